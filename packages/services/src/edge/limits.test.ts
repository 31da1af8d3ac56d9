// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { Writable } from "node:stream";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { pino } from "pino";
import { ServiceError } from "../errors.ts";
import { Budget } from "./budget.ts";
import { createLimitedServer } from "./connections.ts";
import { createGate } from "./gate.ts";
import { bodyOf, BODY_LIMIT, createEdge, type BrokenReason, type EdgeObserver, type EdgeOptions } from "./edge.ts";

type Answered = Parameters<EdgeObserver["answered"]>[0];

/** Everything that an observer hears. */
function watch() {
  const heard = { routes: [] as string[], answered: [] as Answered[], refused: [] as string[], broken: [] as BrokenReason[] };
  const observer: EdgeObserver = {
    route: (pattern) => void heard.routes.push(pattern),
    answered: (answer) => void heard.answered.push(answer),
    refused: (code) => void heard.refused.push(code),
    broken: (reason) => void heard.broken.push(reason),
  };
  return { heard, observer };
}

async function serve(t: TestContext, options: EdgeOptions = {}) {
  const app = createEdge({ closeTimeoutMs: 100, ...options });
  const big = Buffer.alloc(1 << 20, "x");
  app.post("/echo", async (request) => ({ length: bodyOf(request).length }));
  app.post("/small", { bodyLimit: 1000 }, async (request) => ({ length: bodyOf(request).length }));
  app.get("/big", async (_request, reply) => reply.send(Buffer.from(big)));
  app.get("/never", () => new Promise(() => {}));
  app.get("/fail/:id", async () => {
    throw new ServiceError("CHAIN_REFUSED", undefined, { detail: "why" });
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const open = async (text = ""): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    socket.write(text);
    return socket;
  };
  return { app, port, url: `http://127.0.0.1:${port}`, open };
}

/** Waits for what must become true; the test's own time limit ends it otherwise. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

test("a budget never exceeds its limit, and cuts whoever held most for longest", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: -50, max: 50 })), { maxLength: 100 }),
      (steps) => {
        let nowMs = 0;
        const held = new Map<number, { octets: number; since: number }>();
        const score = (at: number): number => held.get(at)!.octets * (nowMs - held.get(at)!.since + 1);
        const cut = (at: number): void => {
          const mine = score(at);
          held.delete(at);
          for (const other of held.keys()) assert.ok(score(other) <= mine, "one that held more for longer stays");
        };
        const connections = [0, 1, 2, 3, 4, 5].map((at) => ({ destroy: () => cut(at) }));
        const budget = new Budget(
          120,
          () => {},
          () => nowMs,
        );
        for (const [at, octets] of steps) {
          nowMs += 7;
          const before = held.get(at);
          if (octets < 0) {
            if (before !== undefined && before.octets > -octets) before.octets += octets;
            else held.delete(at);
            budget.release(connections[at]!, -octets);
          } else {
            if (before === undefined) held.set(at, { octets, since: nowMs });
            else before.octets += octets;
            budget.add(connections[at]!, octets);
          }
          assert.ok(budget.total >= 0 && budget.total <= 120);
          assert.equal(
            budget.total,
            [...held.values()].reduce((sum, one) => sum + one.octets, 0),
          );
        }
        for (const connection of connections) budget.drop(connection);
        assert.equal(budget.total, 0);
      },
    ),
  );
});

test("a gate lets so many in at a time, in order, whatever becomes of them", async () => {
  const gate = createGate(2);
  const log: string[] = [];
  let inside = 0;
  const work = (name: string, fails = false) =>
    gate(async () => {
      log.push(name);
      assert.ok(++inside <= 2);
      await sleep(1);
      inside--;
      if (fails) throw new Error(name);
    }).catch(() => {});
  await Promise.all([work("a"), work("b", true), work("c", true), work("d"), work("e")]);
  await Promise.all([work("f"), work("g")]);
  assert.deepEqual([log.join(""), inside], ["abcdefg", 0]);
});

test("a body above the limit is read to its end and refused, so that the client gets to read why", async (t) => {
  const { url } = await serve(t);
  for (const [path, length] of [
    ["/echo", BODY_LIMIT + 1],
    ["/small", 1001],
    ["/small", 2 << 20],
  ] as const) {
    const plain = await fetch(`${url}${path}`, { method: "POST", body: new Uint8Array(length) });
    assert.deepEqual([plain.status, await plain.json()], [413, { code: 3, message: "The request is too large", details: [] }]);
    // Without an announced length.
    const parts = new ReadableStream({
      start(controller) {
        for (let left = length; left > 0; left -= 65_536) controller.enqueue(new Uint8Array(Math.min(left, 65_536)));
        controller.close();
      },
    });
    const chunked = await fetch(`${url}${path}`, { method: "POST", body: parts, duplex: "half" } as RequestInit);
    assert.equal(chunked.status, 413);
  }
  const exact = await fetch(`${url}/echo`, { method: "POST", body: new Uint8Array(BODY_LIMIT) });
  assert.deepEqual([exact.status, await exact.json()], [200, { length: BODY_LIMIT }]);
});

test("bodies that arrive slowly hold no more than the budget: the oldest are cut, a newcomer is served", async (t) => {
  const { heard, observer } = watch();
  const { url, open } = await serve(t, { heldOctets: 1 << 20, observer });
  const sockets: Socket[] = [];
  let cut = 0;
  for (let at = 0; at < 12; at++) {
    const socket = await open("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
    socket.on("close", () => cut++);
    socket.write(Buffer.alloc(200_000));
    sockets.push(socket);
  }
  await until(() => cut >= 7);
  const honest = await fetch(`${url}/echo`, { method: "POST", body: new Uint8Array(100_000) });
  assert.equal(honest.status, 200);
  assert.ok(heard.broken.includes("held too much"));
  for (const socket of sockets) socket.destroy();
});

test("what was held for an exchange is given back when it ends, on the same connection too", async (t) => {
  const { heard, observer } = watch();
  const { port } = await serve(t, { heldOctets: 3 << 20, observer });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path: string, body: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ port, host: "127.0.0.1", path, agent, method: body.length > 0 ? "POST" : "GET" }, (answer) =>
        answer.resume().on("end", () => resolve(answer.statusCode ?? 0)),
      );
      sent.on("error", reject).end(body);
    });
  for (let times = 0; times < 8; times++) {
    assert.equal(await ask("/echo", Buffer.alloc(1 << 20)), 200);
    assert.equal(await ask("/big", Buffer.alloc(0)), 200);
  }
  assert.deepEqual(heard.broken, []);
  agent.destroy();
});

test("nothing is held for requests whose client went away, in the middle of a body or of an answer", async (t) => {
  const { heard, observer } = watch();
  const { app, open } = await serve(t, { observer });
  for (const [text, more] of [
    ["POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n", 100_000],
    [GET("/big"), 0],
    [GET("/never"), 0],
  ] as const) {
    const before = heard.answered.length;
    const socket = await open(text);
    socket.pause();
    if (more > 0) socket.write(Buffer.alloc(more));
    await sleep(50);
    socket.destroy();
    await until(() => heard.answered.length > before);
  }
  await until(() => app.openConnections() === 0);
  await sleep(20);
  assert.equal(app.heldOctets(), 0);
});

test("answers that nobody reads hold no more than the budget; whoever reads gets all of it", async (t) => {
  const { heard, observer } = watch();
  const { url, open } = await serve(t, { heldOctets: 40 << 20, observer });
  const sockets: Socket[] = [];
  for (let at = 0; at < 100; at++) {
    const socket = await open();
    socket.pause();
    // More than the kernel takes for this connection.
    for (let times = 0; times < 8; times++) socket.write(GET("/big"));
    sockets.push(socket);
  }
  await until(() => heard.broken.includes("held too much"));
  const honest = await fetch(`${url}/big`);
  assert.equal((await honest.arrayBuffer()).byteLength, 1 << 20);
  for (const socket of sockets) socket.destroy();
});

test("a connection that asks hundreds of things before it reads an answer is cut, and the rest of them not looked at", async (t) => {
  const { heard, observer } = watch();
  const { app, url, open } = await serve(t, { observer });
  let begun = 0;
  app.server.on("request", () => begun++);
  const socket = await open(GET("/never").repeat(500));
  await once(socket, "close");
  assert.deepEqual(heard.broken, ["pipelining"]);
  assert.ok(begun > 100, "they came in one piece");
  assert.equal(heard.answered.length, 16);
  // A few are fine.
  const few = await open(GET("/ping").repeat(8));
  let got = "";
  few.on("data", (chunk) => (got += chunk));
  await until(() => got.split("HTTP/1.1 200 OK").length === 9);
  few.destroy();
  assert.equal((await fetch(`${url}/ping`)).status, 200);
});

test("while very much is under way, a connection has one request at a time", async (t) => {
  const cut: string[] = [];
  let taken = 0;
  const { server } = createLimitedServer(
    () => taken++,
    {},
    { maxConnections: 100, maxPipelined: 4, manyRequests: 3 },
    (reason) => cut.push(reason),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => (server.closeAllConnections(), server.close()));
  const open = (requests: number): Socket =>
    connect((server.address() as AddressInfo).port, "127.0.0.1", function (this: Socket) {
      this.write(GET("/").repeat(requests));
    }).on("error", () => {});
  const first = open(3);
  await until(() => taken === 3);
  const greedy = open(2);
  await once(greedy, "close");
  const modest = open(1);
  await until(() => taken === 5);
  assert.deepEqual([cut, modest.destroyed], [["pipelining"], false]);
  // What was under way for those that are gone counts no longer, however they went.
  modest.destroy();
  first.destroy();
  await sleep(50);
  open(3);
  await until(() => taken === 8);
});

test("at the limit of connections the longest idle one makes room; where all are at work, the newcomer goes", async (t) => {
  const { heard, observer } = watch();
  const { url, open } = await serve(t, { maxConnections: 4, observer });
  const idle: Socket[] = [];
  for (let at = 0; at < 4; at++) idle.push(await open());
  const closed = idle.map((socket) => once(socket, "close"));
  const answer = await fetch(`${url}/ping`, { headers: { connection: "close" } });
  assert.equal(answer.status, 200);
  await closed[0];
  assert.equal(idle[1]!.destroyed, false);
  for (const socket of idle) socket.destroy();
  await Promise.all(closed);
  const busy: Socket[] = [];
  for (let at = 0; at < 4; at++) busy.push(await open(GET("/never")));
  await until(() => heard.routes.length > 0);
  await sleep(50);
  const newcomer = await open(GET("/ping"));
  await once(newcomer, "close");
  assert.ok(busy.every((socket) => !socket.destroyed));
  for (const socket of busy) socket.destroy();
});

test("one log line a request, whatever becomes of it", async (t) => {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split("\n")) lines.push(JSON.parse(line));
      done();
    },
  });
  const { heard, observer } = watch();
  const { url, open } = await serve(t, { log: pino({ level: "info" }, sink), observer });
  await fetch(`${url}/ping`);
  await fetch(`${url}/fail/hush`);
  await fetch(`${url}/nowhere?hush`, { method: "POST", body: "hush" });
  const gone = await open(GET("/never"));
  await sleep(50);
  gone.destroy();
  await until(() => heard.answered.length >= 4);
  const said = lines
    .filter(({ msg }) => msg === "answered")
    .map(({ method, route, status, code, detail }) => ({ method, route, status, code, detail }));
  assert.deepEqual(said, [
    { method: "GET", route: "/ping", status: 200, code: undefined, detail: undefined },
    { method: "GET", route: "/fail/:id", status: 400, code: "CHAIN_REFUSED", detail: "why" },
    { method: "POST", route: "unmatched", status: 404, code: "NOT_FOUND", detail: undefined },
    { method: "GET", route: "/never", status: 499, code: undefined, detail: undefined },
  ]);
  assert.doesNotMatch(JSON.stringify(lines), /hush/);
  assert.deepEqual(
    heard.answered.map(({ route, status }) => `${route} ${status}`),
    ["/ping 200", "/fail/:id 400", "unmatched 404", "/never 499"],
  );
  assert.deepEqual(heard.refused, ["CHAIN_REFUSED", "NOT_FOUND"]);
  assert.ok(heard.routes.includes("/fail/:id"));
});
