// SPDX-License-Identifier: Apache-2.0
// npm run abuse: clients that mean harm, against a running installation: slow ones, large ones, ten thousand idle ones, some
// that never read, some that talk nonsense. Meanwhile an honest client writes and reads in a thread of its own. After each
// kind: the right statuses, memory within bounds, and nothing that the honest client would have noticed.
// Arguments choose kinds by a part of their names.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { createPoster, createWrites } from "../../scripts/load.ts";
import { freePort, type Journey, scratch, startInstance, travel } from "../harness.ts";

/** Files that a process may have open; Node raises its limit to what the system allows. */
const FILES = Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
/** Idle connections of the crowd: as many as this side may have open, at most. */
const CROWD = Math.min(10_000, 500 * Math.floor((FILES - 500) / 500));
/** What the server may hold beyond what it held before: its budget for slow clients, a crowd's connections, and room to breathe. */
const ROOM_MIB = 512;

interface Honest {
  readonly done: number;
  readonly failures: readonly string[];
  readonly slowestMs: number;
}

/** The honest client: a write on a kept connection and a read on a new one, again and again. */
async function beHonest(url: string): Promise<void> {
  const next = createWrites(2);
  const poster = createPoster(url, 1);
  let done = 0;
  let slowestMs = 0;
  let failures: string[] = [];
  parentPort!.on("message", () => {
    parentPort!.postMessage({ done, failures, slowestMs } satisfies Honest, []);
    [done, failures, slowestMs] = [0, [], 0];
  });
  for (;;) {
    const began = performance.now();
    try {
      const written = await poster.post("/api/v2/log/entries", next().body);
      if (written.status !== 201) failures.push(`a write was answered with ${written.status}`);
      const read = await fetch(`${url}/api/v2/checkpoint`, { headers: { connection: "close" } });
      if (read.status !== 200) failures.push(`a checkpoint was answered with ${read.status}`);
      await read.text();
      done += 2;
    } catch (error) {
      failures.push(String((error as Error).cause ?? error));
    }
    slowestMs = Math.max(slowestMs, performance.now() - began);
    await sleep(10);
  }
}

function fail(message: string): never {
  throw new Error(message);
}

/** The process below the launcher. */
function serverOf(launcher: number): number {
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, "utf8")) ?? [];
      if (Number(parent) === launcher) return serverOf(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return launcher;
}

/** How often each occurs. */
function tally(all: readonly (number | string)[]): string {
  const counts: Record<string, number> = {};
  for (const one of all) counts[one] = (counts[one] ?? 0) + 1;
  return JSON.stringify(counts);
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

async function main(): Promise<void> {
  const work = scratch("abuse");
  const home = join(work.path, "home");
  mkdirSync(home);
  const port = await freePort();
  const server = await startInstance({ dir: join(work.path, "installation"), port, home });
  const url = `http://127.0.0.1:${port}`;
  const pid = serverOf(server.process.pid!);

  const poster = createPoster(url, 16);
  const next = createWrites(8);
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let at = 0; at < 40; at++)
        if ((await poster.post("/api/v2/log/entries", next().body)).status !== 201) fail("the log takes no entries");
    }),
  );
  poster.close();

  const honest = new Worker(new URL(import.meta.url), { workerData: url, execArgv: process.execArgv });
  const report = async (): Promise<Honest> => {
    honest.postMessage("report", []);
    return (await once(honest, "message"))[0] as Honest;
  };
  await sleep(1000);
  await report();
  const base = residentMiB(pid);
  console.log(`       server at rest: ${base.toFixed(0)} MiB`);
  let peak = base;
  const watch = setInterval(() => (peak = Math.max(peak, residentMiB(pid))), 50);

  const sockets = new Set<Socket>();
  /** A connection, open; what comes back is kept unless nobody reads. */
  async function open(
    first: string | Buffer = "",
    reads = true,
  ): Promise<{ readonly socket: Socket; said(): string; readonly closed: Promise<void> }> {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    sockets.add(socket);
    const closed = new Promise<void>((resolve) => socket.once("close", () => (sockets.delete(socket), resolve())));
    let said = "";
    if (reads) socket.on("data", (chunk: Buffer) => (said += said.length < 4096 ? chunk.toString("latin1") : ""));
    await Promise.race([once(socket, "connect"), closed]);
    socket.write(first);
    return { socket, said: () => said, closed };
  }
  const statusOf = (said: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1] ?? 0);
  const statusesOf = (all: readonly { said(): string }[]): string => tally(all.map(({ said }) => statusOf(said())));

  /** A body in one piece, with an announced length or without. */
  function post(path: string, body: Buffer, chunked = false): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = {
        "content-type": "application/json",
        connection: "close",
        ...(chunked ? { "transfer-encoding": "chunked" } : { "content-length": body.length }),
      };
      const request = httpRequest({ host: "127.0.0.1", port, path, method: "POST", headers, timeout: 60_000 }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      });
      request.on("error", reject).on("timeout", () => request.destroy(new Error("no answer")));
      request.end(body);
    });
  }
  async function expectStatus(what: string, answer: Promise<number>, wanted: number): Promise<void> {
    const status = await answer;
    if (status !== wanted) fail(`${what}: expected ${wanted}, found ${status}`);
  }

  /** One kind of abuse, and what must hold afterwards. */
  function kind(name: string, go: () => Promise<void>): Journey {
    return {
      name,
      async go() {
        await report();
        peak = residentMiB(pid);
        const began = Date.now();
        await go();
        const { done, failures, slowestMs } = await report();
        console.log(
          `       peak ${peak.toFixed(0)} MiB (${(peak - base).toFixed(0)} above rest); honest: ${done} requests in ${((Date.now() - began) / 1000).toFixed(1)} s, ${failures.length} failed, slowest pair ${slowestMs.toFixed(0)} ms`,
        );
        for (const socket of sockets) socket.destroy();
        if (failures.length > 0) fail(`the honest client was harmed: ${[...new Set(failures)].join("; ")}`);
        if (done === 0) fail("the honest client did not get through at all");
        if (peak > base + ROOM_MIB) fail(`${peak.toFixed(0)} MiB resident, allowed are ${(base + ROOM_MIB).toFixed(0)}`);
        if ((await fetch(`${url}/healthz`)).status !== 200) fail("the server is not well");
      },
    };
  }

  /** Connections cut so far to protect the others. */
  async function cut(): Promise<number> {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return [...metrics.matchAll(/^lacre_http_broken_total\{reason="(?:held too much|pipelining)"\} (\d+)/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  }

  const journeys: Journey[] = [
    kind("400 clients dribble their headers: 408, all gone after 15 s and a round of looking", async () => {
      const slow = await Promise.all(
        Array.from({ length: 400 }, () => open("POST /api/v2/log/entries HTTP/1.1\r\nHost: x\r\nX-Slow: ")),
      );
      const dribble = setInterval(() => slow.forEach(({ socket }) => socket.destroyed || socket.write("a")), 1000);
      await Promise.race([Promise.all(slow.map(({ closed }) => closed)), sleep(40_000)]);
      clearInterval(dribble);
      console.log(`       statuses ${statusesOf(slow)}`);
      if (slow.some(({ said }) => statusOf(said()) !== 408)) fail("not all were told 408");
      if (slow.some(({ socket }) => !socket.destroyed)) fail("not all are gone");
    }),
    kind("400 clients dribble their bodies of 4 MiB: 408 after a minute", async () => {
      const head =
        "POST /api/v2/log/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n";
      const slow = await Promise.all(Array.from({ length: 400 }, () => open(head)));
      // A quarter of the budget each hundred: most are cut for what they hold, the youngest are told the time.
      for (const { socket } of slow) socket.write(Buffer.alloc(1 << 20, " "));
      const dribble = setInterval(() => slow.forEach(({ socket }) => socket.destroyed || socket.write(" ")), 1000);
      await Promise.race([Promise.all(slow.map(({ closed }) => closed)), sleep(90_000)]);
      clearInterval(dribble);
      console.log(`       statuses ${statusesOf(slow)} (0: cut for what it held)`);
      if (slow.some(({ said }) => ![0, 408].includes(statusOf(said())))) fail("neither 408 nor cut");
      if (!slow.some(({ said }) => statusOf(said()) === 408)) fail("nobody was told 408");
      if (slow.some(({ socket }) => !socket.destroyed)) fail("not all are gone");
    }),
    kind("bodies of 100 KiB and 4 MiB are read and refused for what they say, one octet more for its size", async () => {
      const paths = ["/api/v2/log/entries", "/api/v2/signingCert"];
      for (const path of paths) {
        await expectStatus(`${path} 100 KiB`, post(path, Buffer.alloc(100 << 10, "x")), 400);
        await expectStatus(`${path} 4 MiB`, post(path, Buffer.alloc(4 << 20, "x")), 400);
        for (const chunked of [false, true]) {
          await expectStatus(
            `${path} 4 MiB and an octet, chunked ${chunked}`,
            post(path, Buffer.alloc((4 << 20) + 1, "x"), chunked),
            413,
          );
        }
        await expectStatus(`${path} nested deeply`, post(path, Buffer.alloc(4 << 20, "[")), 400);
        await expectStatus(
          `${path} one long string`,
          post(path, Buffer.from(`{"hashedRekordRequestV002":"${"x".repeat(4_000_000)}"}`)),
          400,
        );
      }
      await expectStatus("a timestamp of 100 KiB", post("/api/v1/timestamp", Buffer.alloc(100 << 10, "x")), 400);
      await expectStatus("a chain of 600 KiB", post("/ct/v1/add-pre-chain", Buffer.alloc(600 << 10, "x")), 413);
      const huge = await open("POST /api/v2/log/entries HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
      await huge.closed;
      if (statusOf(huge.said()) !== 413) fail(`100 GB announced: ${huge.said().slice(0, 60)}`);
      const many = await Promise.all(
        Array.from({ length: 100 }, () => post("/api/v2/log/entries", Buffer.alloc(4 << 20, "{")).catch(() => 0)),
      );
      console.log(`       100 bodies of 4 MiB at once: ${tally(many)} (0: cut for what all held together)`);
      if (!many.includes(400) || many.some((status) => status !== 400 && status !== 0)) fail("large bodies got strange answers");
    }),
    kind(`${CROWD} idle connections, half of them after a request`, async () => {
      const crowd: Awaited<ReturnType<typeof open>>[] = [];
      for (let at = 0; at < CROWD; at += 500) {
        crowd.push(
          ...(await Promise.all(
            Array.from({ length: 500 }, (_, i) => open(i % 2 === 0 ? "" : "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")),
          )),
        );
      }
      await sleep(2000);
      const open_ = crowd.filter(({ socket }) => !socket.destroyed).length;
      const served = crowd.filter(({ said }) => statusOf(said()) === 200).length;
      console.log(`       ${open_} open, ${served} served, ${(((residentMiB(pid) - base) * 1024) / CROWD).toFixed(1)} KiB each`);
      if (open_ !== CROWD || served !== CROWD / 2) fail("connections were lost");
      await sleep(20_000);
      const mute = crowd.filter((_, at) => at % 2 === 0);
      console.log(
        `       after 20 s: ${mute.filter(({ socket }) => !socket.destroyed).length} of those that said nothing are left, told ${statusesOf(mute)}`,
      );
      if (mute.some(({ socket }) => !socket.destroyed)) fail("connections that say nothing stay");
    }),
    kind("300 clients ask for 16 bundles each and read none", async () => {
      const ask = "GET /api/v2/tile/entries/000 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(16);
      const before = await cut();
      const deaf = await Promise.all(Array.from({ length: 300 }, () => open("", false)));
      for (const { socket } of deaf) {
        socket.pause();
        socket.write(ask);
      }
      await sleep(10_000);
      const gone = (await cut()) - before;
      console.log(`       ${gone} cut`);
      if (gone < 150) fail("hardly anybody was cut for what it held");
    }),
    kind("1,000 clients send 3,000 requests ahead, or nonsense, or headers without end", async () => {
      const told = new Map<string, number>();
      const send = async (name: string, bytes: string | Buffer): Promise<void> => {
        const { said, closed, socket } = await open(bytes);
        await Promise.race([closed, sleep(30_000)]);
        if (!socket.destroyed) fail(`${name}: the connection stays open`);
        const key = `${name} ${statusOf(said())}`;
        told.set(key, (told.get(key) ?? 0) + 1);
      };
      const tls = Buffer.from("16030100f8010000f40303", "hex");
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          Array.from({ length: 100 }, (_, at) => {
            switch (at % 6) {
              case 0:
                return send("pipelined", "GET /api/v2/tile/entries/000 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3000));
              case 1:
                return send("octets", randomBytes(5000));
              case 2:
                return send("tls", Buffer.concat([tls, randomBytes(240)]));
              case 3:
                return send("long header", `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(100_000)}`);
              case 4:
                return send("many headers", `GET / HTTP/1.1\r\nHost: x\r\n${"X: y\r\n".repeat(200_000)}`);
              default:
                return send(
                  "smuggled",
                  "POST /api/v2/log/entries HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
                );
            }
          }),
        );
      }
      console.log(`       told ${JSON.stringify(Object.fromEntries(told))}`);
      for (const [key, wanted] of [
        ["octets", [400]],
        ["tls", [400]],
        ["long header", [431]],
        ["many headers", [431]],
        ["smuggled", [400]],
      ] as const) {
        for (const told_ of told.keys())
          if (told_.startsWith(`${key} `) && ![0, ...wanted].includes(Number(told_.slice(key.length + 1))))
            fail(`${key}: ${told_}`);
      }
    }),
    kind("20,000 requests that are refused begin no new series and hold no memory", async () => {
      const series = async (): Promise<number> =>
        (await (await fetch(`${url}/metrics`)).text()).split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
      const crowd = createPoster(url, 64);
      const refused = async (count: number): Promise<void> => {
        await Promise.all(
          Array.from({ length: 64 }, async (_, lane) => {
            for (let at = 0; at < count / 64; at++) {
              const word = `${lane}-${at}-${randomBytes(4).toString("hex")}`;
              if (at % 3 === 0) await crowd.get(`/${word}?${word}`);
              else if (at % 3 === 1) await crowd.post("/api/v2/log/entries", Buffer.from(JSON.stringify({ [word]: word })));
              else await crowd.get(`/api/v1/log/entries/${word}`);
            }
          }),
        );
      };
      await refused(640);
      const before = await series();
      await refused(20_000);
      crowd.close();
      const after = await series();
      console.log(`       ${after} series`);
      if (after !== before) fail(`${before} series became ${after}`);
    }),
  ];

  const { passed, failed } = await travel(journeys, process.argv.slice(2));
  clearInterval(watch);
  await honest.terminate();
  await sleep(500);
  console.log(`       server at the end: ${residentMiB(pid).toFixed(0)} MiB`);
  await server.stop();
  work.remove();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}

if (isMainThread) await main();
else await beHonest(workerData as string);
