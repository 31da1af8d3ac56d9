// SPDX-License-Identifier: Apache-2.0
/**
 * One log of 10^5, 10^6 and 10^7 entries (64 octets each; nothing the engine keeps per entry depends on their length but
 * the bundles on the disk): memory, start, proofs, look-ups, disk. `LACRE_SCALE=100000,1000000` chooses other sizes.
 *
 * Each step is a process of its own: the one that grows the log is killed with SIGKILL while it commits, the next one's
 * start is therefore that after a kill; it closes, and the third one's start is that after a close. Questions go to random
 * entries one after the other, so every bundle and tile is met cold in the process (but mostly in the page cache of the
 * machine, which is left alone). Records go through the engine in groups of 1,024, each with its own fdatasync.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "@lacre/core/crypto";
import { checkInclusion } from "@lacre/core/merkle";
import { PLAIN, unsigned } from "../packages/services/src/engine/fixture.ts";
import { createFileAnchor, openLog, type Log } from "../packages/services/src/engine/index.ts";
import type { Measurement } from "./measure.ts";

const SIZES = (process.env["LACRE_SCALE"] ?? "100000,1000000,10000000").split(",").map(Number);
const RECORD = 64;
const GROUP = 1024;
const PROOFS = 3000;
const LOOKUPS = 20_000;
const ROUNDS = 3;
const START_BUDGET_MS = 10_000;

/** What a step of its own process found out. */
interface Report {
  readonly readyMs: number;
  /** From the start of the process, Node's own included. */
  readonly processMs: number;
  readonly residentMiB: number;
  readonly residentAfterMiB: number;
  readonly peakMiB: number;
  readonly grown?: { readonly entries: number; readonly seconds: number; readonly cpuSeconds: number };
  readonly asked?: { readonly proofs: Quantiles; readonly found: Quantiles; readonly strangersUs: number };
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function recordOf(index: number): Uint8Array {
  const record = new Uint8Array(RECORD);
  new DataView(record.buffer).setBigUint64(0, BigInt(index));
  return record;
}

function open(dir: string): Promise<Log> {
  return openLog({
    dir: join(dir, "log"),
    origin: "bench",
    personality: PLAIN,
    production: true,
    now: Date.now,
    anchor: createFileAnchor(join(dir, "anchor"), "bench"),
    signCheckpoint: unsigned,
  });
}

const residentMiB = (): number => process.memoryUsage.rss() / 2 ** 20;

/** Most that was ever resident. */
const peakMiB = (): number => Number(/^VmHWM:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;

function quantiles(all: readonly number[]): Quantiles {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1)! };
}

async function grow(log: Log, size: number): Promise<NonNullable<Report["grown"]>> {
  const first = log.health().committed;
  // Of this size already: only as much as makes the next start one after a kill at work.
  const end = first < size ? size : first + Math.min(32 * GROUP, size / 20);
  const began = performance.now();
  const before = process.cpuUsage();
  for (let from = first; from < end; from += 2 * GROUP) {
    const entries = await Promise.all(
      Array.from({ length: Math.min(2 * GROUP, end - from) }, (_, at) => log.append(recordOf(from + at))),
    );
    // The publisher may be a little behind, as it is under load; not further.
    if (log.health().committed - log.size > 16 * GROUP) await log.receipt(entries.at(-1)!);
  }
  const { user, system } = process.cpuUsage(before);
  return { entries: end - first, seconds: (performance.now() - began) / 1000, cpuSeconds: (user + system) / 1e6 };
}

async function ask(log: Log, size: number): Promise<NonNullable<Report["asked"]>> {
  const random = (): number => Math.floor(Math.random() * size);
  const proofs: number[] = [];
  // What was appended at the same time may have changed places, so what an index holds is read.
  const known: { readonly index: number; readonly identity: Uint8Array }[] = [];
  for (let at = 0; at < PROOFS; at++) {
    const index = random();
    const began = performance.now();
    const entry = (await log.entry(index))!;
    const { proof, root, leafHash, size: treeSize } = await log.receipt(entry);
    proofs.push(performance.now() - began);
    checkInclusion(sha256, { index: BigInt(index), size: BigInt(treeSize), leafHash, root, proof });
    known.push({ index, identity: PLAIN.identity(entry.record) });
  }
  const found: number[] = [];
  for (const { index, identity } of known) {
    const began = performance.now();
    const answer = await log.find(identity);
    found.push(performance.now() - began);
    if (answer !== index) throw new Error(`the index finds ${answer} for entry ${index}`);
  }
  const strangers = Array.from({ length: LOOKUPS }, () => randomBytes(32));
  const began = performance.now();
  for (const stranger of strangers) if ((await log.find(stranger)) !== undefined) throw new Error("the index knows a stranger");
  return { proofs: quantiles(proofs), found: quantiles(found), strangersUs: (1000 * (performance.now() - began)) / LOOKUPS };
}

/** A step: opens the log, grows it or asks it, says so in one line. Grown, it commits on until it is killed. */
async function step(dir: string, what: string, size: number): Promise<void> {
  const began = performance.now();
  const log = await open(dir);
  const times = { readyMs: performance.now() - began, processMs: performance.now() };
  const resident = residentMiB();
  const more = what === "grow" ? { grown: await grow(log, size) } : what === "ask" ? { asked: await ask(log, size) } : {};
  const report: Report = { ...times, residentMiB: resident, residentAfterMiB: residentMiB(), peakMiB: peakMiB(), ...more };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  // It goes on, so that it is at work when the kill comes.
  if (what === "grow") {
    for (;;) {
      const from = log.health().committed;
      await Promise.all(Array.from({ length: GROUP }, (_, at) => log.append(recordOf(from + at))));
    }
  }
  await log.close();
}

async function run1(dir: string, what: "grow" | "ask" | "start", size: number): Promise<Report> {
  const child = spawn(process.execPath, ["--conditions=source", import.meta.filename, dir, what, `${size}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  let output = "";
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (what === "grow" && output.endsWith("\n")) child.kill("SIGKILL");
  }
  const code = await ended;
  if (what !== "grow" && code !== 0) throw new Error(`${what} at ${size} ended with ${code}`);
  return JSON.parse(output) as Report;
}

async function disk(dir: string): Promise<{ readonly octets: number; readonly files: number }> {
  let [octets, files] = [0, 0];
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    octets += 512 * (await stat(join(entry.parentPath, entry.name))).blocks;
    files++;
  }
  return { octets, files };
}

/** The least of several runs (of kills the worst: what a kill leaves differs), and how far they lie apart as a part of the largest. */
function rowOf(name: string, unit: string, values: readonly number[], budgetMs?: number): Measurement {
  const value = name.includes("kill") ? Math.max(...values) : Math.min(...values);
  return {
    name,
    unit,
    value,
    bound: budgetMs ?? null,
    ratio: budgetMs === undefined ? null : budgetMs / value,
    peer: null,
    peerRatio: null,
    boundName: budgetMs === undefined ? null : "the budget for a start with 10^7 entries: 10 s",
    peerName: null,
    repetitions: values.length,
    spread: 1 - Math.min(...values) / Math.max(...values),
  };
}

export async function run(): Promise<readonly Measurement[]> {
  const scratch = mkdtempSync(join(process.env["LACRE_SCALE_DIR"] ?? tmpdir(), "lacre-scale-"));
  const results: Measurement[] = [];
  try {
    for (const size of SIZES) {
      const { bavail, bsize } = statfsSync(scratch);
      if (bavail * bsize < 600 * size) throw new Error(`${size} entries want ${600 * size} octets of disk`);
      const { grown, peakMiB: growing } = await run1(scratch, "grow", size);
      const killed: Report[] = [];
      const closed: Report[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        if (round > 0) await run1(scratch, "grow", size);
        killed.push(await run1(scratch, "ask", size));
        closed.push(await run1(scratch, "start", size));
      }
      const { octets, files } = await disk(scratch);
      const add = (name: string, unit: string, values: readonly number[], budgetMs?: number): void =>
        void results.push(rowOf(`${name}, ${size} entries`, unit, values, budgetMs));
      add(
        "start after a kill",
        "ms",
        killed.map(({ readyMs }) => readyMs),
        START_BUDGET_MS,
      );
      add(
        "start after a close",
        "ms",
        closed.map(({ readyMs }) => readyMs),
        START_BUDGET_MS,
      );
      add(
        "resident after the start",
        "MiB",
        closed.map(({ residentMiB: resident }) => resident),
      );
      add(
        "resident after the questions",
        "MiB",
        killed.map(({ residentAfterMiB }) => residentAfterMiB),
      );
      add("resident at most while growing", "MiB", [growing]);
      add(
        "proof p50",
        "ms",
        killed.map(({ asked }) => asked!.proofs.p50),
      );
      add(
        "proof p99",
        "ms",
        killed.map(({ asked }) => asked!.proofs.p99),
      );
      add(
        "look-up of a stored record p50",
        "ms",
        killed.map(({ asked }) => asked!.found.p50),
      );
      add(
        "look-up of a stored record p99",
        "ms",
        killed.map(({ asked }) => asked!.found.p99),
      );
      add(
        "look-up of a stranger",
        "µs",
        killed.map(({ asked }) => asked!.strangersUs),
      );
      add("disk", "octets per entry", [octets / size]);
      add("files", "per 1,000 entries", [(1000 * files) / size]);
      add("growing, CPU", "µs per entry", [(1e6 * grown!.cpuSeconds) / grown!.entries]);
      add("growing, wall", "µs per entry", [(1e6 * grown!.seconds) / grown!.entries]);
      process.stderr.write(
        `${size} entries: ${grown!.seconds.toFixed(0)} s of growing, ${(octets / 2 ** 20).toFixed(0)} MiB in ${files} files, load ${readFileSync("/proc/loadavg", "utf8").slice(0, 14)}\n`,
      );
      process.stderr.write(`${JSON.stringify({ size, killed, closed, grown })}\n`);
    }
    return results;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [dir, what, size] = process.argv.slice(2);
  if (dir === undefined || what === undefined) throw new TypeError("run it as: npm run bench -- scale");
  await step(dir, what, Number(size));
}
