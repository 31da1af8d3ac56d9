// SPDX-License-Identifier: Apache-2.0
/** A log whose publications wait for a witness that remembers more than the log's disk may. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { checkConsistency, emptyRoot } from "@lacre/core/merkle";
import { ServiceError } from "../errors.ts";
import { Crashed, SimulatedDisk, type CrashKind } from "../store/simulated.ts";
import { openOnDisk, Oracle, ORIGIN, unsigned } from "./fixture.ts";
import type { Log } from "./log.ts";
import type { ForWitnesses, Witnessing } from "./publish.ts";

const SEAL = "— witness seal\n";

/** A witness elsewhere: it keeps what it cosigned whatever becomes of the log's disk, and never takes it back. */
class Elsewhere implements Witnessing {
  size = 0;
  root: Uint8Array = emptyRoot(sha256);
  isDown = false;
  asked = 0;
  /** Runs between the cosignature and its arrival. */
  after: (() => void) | undefined;

  async cosign({ size, root, checkpoint, prove }: ForWitnesses): Promise<string> {
    this.asked++;
    if (this.isDown)
      throw new ServiceError("LOG_UNWITNESSED", undefined, { detail: "it is down", headers: { "retry-after": "1" } });
    checkConsistency(sha256, {
      oldSize: BigInt(this.size),
      oldRoot: this.root,
      newSize: BigInt(size),
      newRoot: root,
      proof: await prove(this.size),
    });
    this.size = size;
    this.root = root;
    this.after?.();
    return checkpoint + SEAL;
  }

  cosignedMs(checkpoint: string): number | undefined {
    return checkpoint.endsWith(SEAL) ? 1 : undefined;
  }

  async seen(): Promise<readonly { by: string; size: number; root: Uint8Array }[]> {
    return [{ by: "the witness", size: this.size, root: this.root }];
  }
}

/** The oracle reads unsigned checkpoints; the seal is looked at and taken off. */
async function append(log: Log, oracle: Oracle, from: number, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const receipt = await log.receipt(await log.append(utf8(`entry ${from + at}`)));
      assert.ok(receipt.checkpoint.endsWith(SEAL), "a receipt left under a checkpoint that no witness has seen");
      oracle.receive({ ...receipt, checkpoint: receipt.checkpoint.slice(0, -SEAL.length) });
    }),
  );
}

function isCrash(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Crashed) return true;
  return false;
}

test("a crash anywhere, before or after the witness answered, never contradicts what it cosigned", async () => {
  const live = async (disk: SimulatedDisk, oracle: Oracle, witnessing: Elsewhere): Promise<void> => {
    try {
      const log = await openOnDisk({ disk, oracle, witnessing });
      for (const [from, count] of [
        [0, 2],
        [2, 255],
        [257, 3],
      ] as const)
        await append(log, oracle, from, count);
      await log.close();
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
  };
  const whole = new SimulatedDisk();
  await live(whole, new Oracle(), new Elsewhere());
  const kinds: readonly CrashKind[] = ["kill", "none", { seed: 7 }];
  for (let call = 1; call <= whole.calls; call++) {
    for (const [side, when] of (["before", "after"] as const).entries()) {
      const oracle = new Oracle();
      const disk = new SimulatedDisk();
      const witness = new Elsewhere();
      disk.fault = ({ number }) => (number === call ? when : undefined);
      try {
        await live(disk, oracle, witness);
        // The witness was asked only for what the disk cannot lose: the next life proves growth from there.
        const log = await openOnDisk({ disk: disk.crash(kinds[(call + side) % kinds.length]!), oracle, witnessing: witness });
        await append(log, oracle, 10_000, 2);
        assert.equal(witness.size, log.size);
        await oracle.check(log);
        await log.close();
      } catch (error) {
        throw new Error(
          `crash ${when} call ${call}: ${error instanceof ServiceError ? `${error.code} ${error.detail}` : String(error)}`,
          { cause: error },
        );
      }
    }
  }
});

test("a crash right after the witness answered: cosigned, not published, and published by the next life", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const witness = new Elsewhere();
  const log = await openOnDisk({ disk, oracle, witnessing: witness });
  await append(log, oracle, 0, 3);
  witness.after = () => (disk.fault = () => "before");
  await assert.rejects(log.append(utf8("late")).then((entry) => log.receipt(entry)));
  assert.equal(witness.size, 4);
  witness.after = undefined;
  const next = await openOnDisk({ disk: disk.crash("none"), oracle, witnessing: witness });
  // Shown at once is what was published before; what the witness saw follows.
  assert.ok(next.size === 3 || next.size === 4);
  await append(next, oracle, 100, 1);
  assert.equal(next.size, 5);
  await next.close();
});

test("while the witness is silent nothing is published: receipts are refused in time, and get through later", async () => {
  const oracle = new Oracle();
  const witness = new Elsewhere();
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle, witnessing: witness });
  await append(log, oracle, 0, 2);
  const shown = log.checkpoint();
  witness.isDown = true;
  const entry = await log.append(utf8("waits"));
  await assert.rejects(
    log.receipt(entry),
    (error: ServiceError) => error.code === "LOG_UNWITNESSED" && error.headers["retry-after"] === "1",
  );
  assert.deepEqual(
    [log.health().status, log.health().failure, log.checkpoint(), log.size],
    ["unwitnessed", "it is down", shown, 2],
  );
  witness.isDown = false;
  const again = await log.append(utf8("waits"));
  assert.deepEqual([again.index, again.duplicate], [2, true]);
  await log.receipt(again).catch((error: ServiceError) => assert.equal(error.code, "LOG_UNWITNESSED"));
  await log.receipt(again);
  assert.deepEqual([log.health().status, log.size], ["serving", 3]);
  await log.close();
});

test("a log that starts without its witness shows what was published before; a new one shows nothing", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const witness = new Elsewhere();
  const first = await openOnDisk({ disk, oracle, witnessing: witness });
  await append(first, oracle, 0, 2);
  const shown = first.checkpoint();
  witness.isDown = true;
  const entry = await first.append(utf8("committed"));
  await assert.rejects(first.receipt(entry));
  await first.close();
  const second = await openOnDisk({ disk, oracle, witnessing: witness });
  assert.deepEqual([second.checkpoint(), second.size, second.health().committed], [shown, 2, 3]);
  // What is not published is nobody's but a follower's.
  assert.equal(await second.readRecord(2), undefined);
  assert.equal((await second.entry(2))?.index, 2);
  assert.equal(await second.entry(3), undefined);
  witness.isDown = false;
  await append(second, oracle, 50, 1);
  assert.equal(second.size, 4);
  await second.close();

  const silent = new Elsewhere();
  silent.isDown = true;
  const fresh = await openOnDisk({ disk: new SimulatedDisk(), oracle: new Oracle(), witnessing: silent });
  assert.throws(
    () => fresh.checkpoint(),
    (error: ServiceError) => error.code === "LOG_UNWITNESSED",
  );
  assert.equal(fresh.size, 0);
  silent.isDown = false;
  const own = new Oracle();
  await append(fresh, own, 0, 1);
  await fresh.close();
});

test("what a witness has seen and this directory lacks stops the start, until the operator accepts it", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const witness = new Elsewhere();
  const log = await openOnDisk({ disk, oracle, witnessing: witness });
  await append(log, oracle, 0, 3);
  await log.close();
  const { size, root } = witness;
  for (const seen of [
    { size: 4, root: sha256(utf8("x")) },
    { size: 2, root: sha256(utf8("x")) },
    { size: 3, root: sha256(utf8("x")) },
  ]) {
    Object.assign(witness, seen);
    await assert.rejects(
      openOnDisk({ disk, oracle, witnessing: witness }),
      (error: ServiceError) => error.code === "LOG_FORKED" && /the witness has seen/.test(error.detail!),
    );
  }
  const accepted = await openOnDisk({ disk, oracle, witnessing: witness, accept: [{ size, root }] });
  assert.equal(accepted.size, 3);
  await accepted.close();
});

test("the witness is asked on ticks, however many receipts wait, and only for what is durable and anchored", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const witness = new Elsewhere();
  const log = await openOnDisk({ disk, oracle, witnessing: witness, ticks: { minMs: 120, maxMs: 120 } });
  const order: string[] = [];
  disk.fault = ({ operation, path }) => {
    if (operation === "datasync") order.push(path.includes("anchor") ? "anchor" : "frame");
    if (operation === "rename" && path.includes("checkpoint")) order.push("checkpoint");
    return undefined;
  };
  witness.after = () => void order.push("cosigned");
  await append(log, oracle, 0, 1);
  assert.deepEqual(order, ["frame", "anchor", "cosigned", "checkpoint"]);
  const before = witness.asked;
  for (let at = 1; at <= 20; at++) await log.append(utf8(`entry ${at}`));
  await append(log, oracle, 21, 1);
  assert.ok(witness.asked - before <= 2, `asked ${witness.asked - before} times`);
  assert.equal(unsigned({ origin: ORIGIN, size: witness.size, root: witness.root }) + SEAL, log.checkpoint());
  await log.close();
});
