// SPDX-License-Identifier: Apache-2.0
/**
 * A start on a log with a million entries (nearly a whole index generation is read back from bundles): after a clean
 * close, after a kill, and with its index deleted. The budget is three seconds to ready for the first two.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileAnchor, openLog, type Log } from "../packages/services/src/engine/index.ts";
import { PLAIN, unsigned } from "../packages/services/src/engine/fixture.ts";
import { createMemoryLock } from "../packages/services/src/store/index.ts";
import type { Measurement } from "./measure.ts";

const ENTRIES = 1_048_576 + 65_000;
const RECORD = 1200;
const BUDGET_MS = 3000;

function recordOf(index: number): Uint8Array {
  const record = Buffer.alloc(RECORD, index);
  createHash("sha256").update(`${index}`).digest().copy(record);
  return record;
}

export async function run(): Promise<readonly Measurement[]> {
  const scratch = mkdtempSync(join(tmpdir(), "lacre-bench-"));
  const open = (dir: string): Promise<Log> =>
    openLog({
      dir: join(scratch, dir),
      origin: "bench",
      personality: PLAIN,
      production: false,
      now: Date.now,
      lock: createMemoryLock(),
      anchor: createFileAnchor(join(scratch, `${dir}.anchor`), "bench"),
      signCheckpoint: unsigned,
    });
  const timed = async (name: string, dir: string, budget: number | null): Promise<Measurement> => {
    const began = performance.now();
    const log = await open(dir);
    const value = performance.now() - began;
    const entry = await log.append(recordOf(ENTRIES - 1));
    if (entry.index !== ENTRIES - 1 || !(await log.append(recordOf(5))).duplicate)
      throw new Error("the index does not know its entries");
    await log.close();
    return {
      name,
      unit: "ms",
      value,
      bound: budget,
      peer: null,
      ratio: budget === null ? null : budget / value,
      peerRatio: null,
      boundName: budget === null ? null : "the budget: 3 s",
      peerName: null,
      repetitions: 1,
      spread: 0,
    };
  };
  try {
    const log = await open("log");
    const began = performance.now();
    for (let from = 0; from < ENTRIES; from += 2048) {
      const entries = await Promise.all(
        Array.from({ length: Math.min(2048, ENTRIES - from) }, (_, at) => log.append(recordOf(from + at))),
      );
      await log.receipt(entries.at(-1)!);
    }
    process.stderr.write(
      `${ENTRIES} entries in ${((performance.now() - began) / 1000).toFixed(0)} s; ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB resident\n`,
    );
    // What a kill leaves: the files as they are, while the log is open.
    cpSync(join(scratch, "log"), join(scratch, "killed"), { recursive: true });
    await log.close();
    const results = [
      await timed("ready after a close", "log", BUDGET_MS),
      await timed("ready after a kill", "killed", BUDGET_MS),
    ];
    rmSync(join(scratch, "log", "index"), { recursive: true });
    return [...results, await timed("ready without an index", "log", null)];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
