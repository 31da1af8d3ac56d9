// SPDX-License-Identifier: Apache-2.0
/** A log crashed at every file-system call, before and after it, with the write lost, kept and torn. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ServiceError } from "../errors.ts";
import { Crashed, SimulatedDisk, type CrashKind } from "../store/simulated.ts";
import { openOnDisk, Oracle, write } from "./fixture.ts";

function isCrash(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Crashed) return true;
  return false;
}

/** One life of a log: open, write groups of these sizes, close. Ends at the crash, wherever it is. */
async function live(disk: SimulatedDisk, oracle: Oracle, first: number, groups: readonly number[]): Promise<void> {
  try {
    const log = await openOnDisk({ disk, oracle });
    let from = first;
    for (const count of groups) {
      const written = await Promise.allSettled([write(log, oracle, from, count)]);
      from += count;
      for (const result of written) if (result.status === "rejected") throw result.reason;
    }
    await log.close();
  } catch (error) {
    if (!isCrash(error)) throw error;
  }
}

/** What a start after the crash must find, whatever part of the disk got through. */
async function revive(disk: SimulatedDisk, oracle: Oracle, next: number): Promise<void> {
  const log = await openOnDisk({ disk, oracle });
  const size = log.size;
  await write(log, oracle, next, 3);
  assert.equal(log.size, size + 3);
  // A repeated request finds the first entry, whichever life it was in.
  const before = oracle.acknowledged;
  await write(log, oracle, next, 3);
  assert.equal(oracle.acknowledged, before);
  assert.equal(log.size, size + 3);
  await oracle.check(log);
  await log.close();
}

/** Crashes a life at every call; `kinds` says what of the disk is left, given the call and the side. */
async function everyCrash(groups: readonly number[], kinds: (call: number, side: number) => readonly CrashKind[]): Promise<void> {
  const whole = new SimulatedDisk();
  await live(whole, new Oracle(), 0, groups);
  for (let call = 1; call <= whole.calls + 1; call++) {
    for (const [side, when] of (["before", "after"] as const).entries()) {
      for (const kind of kinds(call, side)) {
        const oracle = new Oracle();
        const disk = new SimulatedDisk();
        disk.fault = ({ number }) => (number === call ? when : undefined);
        try {
          await live(disk, oracle, 0, groups);
          await revive(disk.crash(kind), oracle, 10_000);
        } catch (error) {
          throw new Error(
            `crash ${when} call ${call}, ${JSON.stringify(kind)}: ${error instanceof ServiceError ? `${error.code} ${error.detail}` : String(error)}`,
            { cause: error },
          );
        }
      }
    }
  }
}

test("a crash before and after any call of open, commit, publish and close: written lost, kept or torn, no receipt is lost and no checkpoint forked", async () => {
  await everyCrash([2, 1, 3], (call) => ["kill", "none", { seed: call }, { seed: 1000 + call }]);
});

test("the same where a bundle is filled, written as tiles and sealed, and journal segments are switched", async () => {
  const kinds: readonly CrashKind[] = ["kill", "none", { seed: 7 }];
  await everyCrash([2, 252, 1, 3, 30], (call, side) =>
    process.env.LACRE_THOROUGH === "1" ? kinds : [kinds[(call + side) % kinds.length]!],
  );
});

test("crashes during recovery, life after life, lose nothing", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const oracle = new Oracle();
    let disk = new SimulatedDisk();
    for (let life = 0; life < 6; life++) {
      const at = 1 + ((seed * 131 + life * 29) % 70);
      disk.fault = ({ number }) => (number === at ? (life % 2 === 0 ? "after" : "before") : undefined);
      await live(disk, oracle, life * 1000, [3, 100, 60]);
      disk = disk.crash(life % 3 === 0 ? "kill" : { seed: seed * 10 + life });
    }
    disk.fault = () => undefined;
    await revive(disk, oracle, 50_000);
  }
});
