// SPDX-License-Identifier: Apache-2.0
/**
 * Writing to a log. From below: the tree, the index, the engine (durable, with proof, no HTTP), and the whole ledger: a
 * server in a process of its own, HTTP, every check on, durable, proof in the answer, its CPU time counted apart from the
 * generator's. The bound of the last two is V, P-256 verifications a second on one thread: what every entry needs once.
 * Beside a peer, from outside and in both dialects: ledger-peers.ts.
 */
import { spawn } from "node:child_process";
import * as crypto from "node:crypto";
import { mkdtempSync, openSync, readFileSync, rmSync, fdatasyncSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { sha256 } from "@lacre/core/crypto";
import { hashLeaf } from "@lacre/core/merkle";
import { createFileAnchor, openLog } from "../packages/services/src/engine/index.ts";
import { PLAIN, unsigned } from "../packages/services/src/engine/fixture.ts";
import { key } from "../packages/services/src/engine/identities.ts";
import { buildSegment, candidates } from "../packages/services/src/engine/segment.ts";
import { Tree } from "../packages/services/src/engine/tree.ts";
import { createPoster, createWrites, type Write } from "../scripts/load.ts";
import { compare, type Measurement } from "./measure.ts";

const GROUP = 256;
const RECORD = 1700;
const CLIENTS = 256;
const ROUND_MS = 4000;
const V = "V: crypto.verify, P-256 with SHA-256, prepared key, one thread";

function verifier(): () => void {
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = crypto.randomBytes(1024);
  const signature = crypto.sign("sha256", message, privateKey);
  return () => void crypto.verify("sha256", message, publicKey, signature);
}

function bare(name: string, unit: string, value: number, spread: number, repetitions: number): Measurement {
  return {
    name,
    unit,
    value,
    bound: null,
    peer: null,
    ratio: null,
    peerRatio: null,
    boundName: null,
    peerName: null,
    repetitions,
    spread,
  };
}

async function tree(): Promise<Measurement> {
  const leaf = crypto.randomBytes(1024);
  const node = crypto.randomBytes(65);
  let grown = new Tree();
  return compare({
    name: "tree: 1 KB leaves hashed and appended",
    ours: {
      operations: 1000,
      work: () => {
        if (grown.size > 500_000) grown = new Tree();
        for (let at = 0; at < 1000; at++) grown.append(hashLeaf(sha256, leaf));
        grown.written(grown.size - (grown.size % 256));
      },
    },
    bound: {
      name: "two bare SHA-256, 1 KB and 65 octets",
      operations: 1000,
      work: () => {
        for (let at = 0; at < 1000; at++) {
          crypto.hash("sha256", leaf, "buffer");
          crypto.hash("sha256", node, "buffer");
        }
      },
    },
    repetitions: 3,
  });
}

async function index(): Promise<Measurement[]> {
  const count = 1 << 16;
  const identities = Array.from({ length: count }, (_, at) => [key(crypto.randomBytes(32)), at] as const);
  const segments = Array.from({ length: 16 }, (_, at) =>
    buildSegment(
      at * count,
      identities.map(([, place]) => [key(crypto.randomBytes(32)), at * count + place] as const),
      count,
    ),
  );
  const strangers = Array.from({ length: 4096 }, () => key(crypto.randomBytes(32)));
  const build = await compare({
    name: "index: entries taken in (map, then segment)",
    ours: {
      operations: count,
      work: () => {
        const map = new Map<string, number>();
        for (const [identity, place] of identities) map.set(identity, place);
        buildSegment(0, map, count);
      },
    },
    repetitions: 3,
  });
  const look = await compare({
    name: "index: look-ups among 1,048,576 entries",
    ours: {
      operations: strangers.length,
      work: () => {
        for (const identity of strangers) for (const segment of segments) candidates(segment, identity);
      },
    },
    repetitions: 3,
  });
  return [build, look];
}

async function engine(scratch: string): Promise<Measurement[]> {
  const log = await openLog({
    dir: join(scratch, "engine"),
    origin: "bench",
    personality: PLAIN,
    production: true,
    now: Date.now,
    anchor: createFileAnchor(join(scratch, "anchor"), "bench"),
    signCheckpoint: unsigned,
  });
  const append = async (): Promise<void> => void (await log.receipt(await log.append(crypto.randomBytes(RECORD))));
  try {
    const many = await compare({
      name: `engine: ${GROUP} at once, durable, with proof`,
      ours: { operations: GROUP, work: () => Promise.all(Array.from({ length: GROUP }, append)) },
      bound: { name: V, work: verifier() },
      repetitions: 3,
      sliceMs: 1000,
    });
    // One writer, each waiting for its own receipt; beside it what the disk needs for 64 KB.
    const waits: number[] = [];
    const syncs: number[] = [];
    const file = openSync(join(scratch, "sync"), "w");
    const page = crypto.randomBytes(65_536);
    for (let at = 0; at < 200; at++) {
      let began = performance.now();
      await append();
      waits.push(performance.now() - began);
      began = performance.now();
      writeSync(file, page, 0, page.length, at * page.length);
      fdatasyncSync(file);
      syncs.push(performance.now() - began);
    }
    closeSync(file);
    const middle = (all: number[]): number => all.toSorted((a, b) => a - b)[all.length / 2]!;
    const [wait, sync] = [middle(waits), middle(syncs)];
    return [
      many,
      {
        ...bare("engine: one writer, p50 to the receipt", "ms", wait, 0, 200),
        bound: 2 + 4 * sync,
        ratio: (2 + 4 * sync) / wait,
        boundName: `2 ms + 4 × fdatasync of 64 KB appended (${sync.toFixed(2)} ms here): the budget`,
      },
    ];
  } finally {
    await log.close();
  }
}

/** CPU seconds of a process, all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function ledger(scratch: string): Promise<Measurement[]> {
  const root = dirname(import.meta.dirname);
  const state = Object.fromEntries(["STATE", "CONFIG", "DATA", "CACHE"].map((name) => [`XDG_${name}_HOME`, join(scratch, name)]));
  const child = spawn(
    process.execPath,
    [
      "--conditions=source",
      join(root, "packages/cli/src/main.ts"),
      "up",
      "--quiet",
      "--dir",
      join(scratch, "ledger"),
      "--only",
      "ledger",
      "--listen",
      "127.0.0.1:0",
    ],
    { env: { ...process.env, ...state, HOME: scratch, LACRE_LAUNCHER: "" }, stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((resolve) => child.on("exit", resolve));
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on("data", (chunk: Buffer) => {
        const ready = /^lacre ready (\S+)/.exec(chunk.toString())?.[1];
        if (ready !== undefined) resolve(ready);
      });
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const client = createPoster(url, CLIENTS);
    const write = createWrites(1500);
    const pool: Write[] = Array.from({ length: 20_000 }, write);
    const latencies: number[] = [];
    const rounds: { perCpu: number; perSecond: number; bound: number }[] = [];
    const check = verifier();
    for (let round = 0; round < 4; round++) {
      // V takes turns with the load, so that a busy neighbour disturbs both.
      let own = process.cpuUsage();
      let checks = 0;
      for (let began = performance.now(); performance.now() - began < 500; checks++) check();
      own = process.cpuUsage(own);
      const bound = checks / ((own.user + own.system) / 1e6);
      let good = 0;
      const before = cpuSeconds(child.pid!);
      const began = performance.now();
      await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          while (performance.now() - began < ROUND_MS) {
            const sent = performance.now();
            const { status, body } = await client.post("/api/v2/log/entries", (pool.pop() ?? write()).body);
            if (status !== 201) throw new Error(`${status} ${body.toString()}`);
            latencies.push(performance.now() - sent);
            good++;
          }
        }),
      );
      const seconds = (performance.now() - began) / 1000;
      // The first round warms the server up.
      if (round > 0) rounds.push({ perCpu: good / (cpuSeconds(child.pid!) - before), perSecond: good / seconds, bound });
    }
    client.close();
    const best = Math.max(...rounds.map(({ perCpu }) => perCpu));
    const bound = Math.max(...rounds.map((one) => one.bound));
    const spread = (best - Math.min(...rounds.map(({ perCpu }) => perCpu))) / best;
    const sorted = latencies.toSorted((a, b) => a - b);
    return [
      {
        ...bare(
          "ledger: entries over HTTP, all checks, durable, with proof",
          "per CPU-second of the server",
          best,
          spread,
          rounds.length,
        ),
        bound,
        ratio: best / bound,
        boundName: V,
      },
      bare(
        `ledger: the same, ${CLIENTS} waiting clients`,
        "per second, both cores, generator included",
        Math.max(...rounds.map(({ perSecond }) => perSecond)),
        0,
        rounds.length,
      ),
      bare(`ledger: p50 of ${CLIENTS} waiting clients (queue included)`, "ms", sorted[sorted.length >> 1]!, 0, rounds.length),
    ];
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

export async function run(): Promise<readonly Measurement[]> {
  const scratch = mkdtempSync(join(tmpdir(), "lacre-bench-"));
  try {
    return [await tree(), ...(await index()), ...(await engine(scratch)), ...(await ledger(scratch))];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
