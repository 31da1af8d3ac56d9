// SPDX-License-Identifier: Apache-2.0
/** Renewal, and what a log says of itself to those who watch it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { utf8 } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";
import type { FileSystem } from "../store/index.ts";
import { Crashed, faultOf, SimulatedDisk } from "../store/simulated.ts";
import { openOnDisk, Oracle, write } from "./fixture.ts";
import type { Log, LogObserver } from "./index.ts";

async function renewed(log: Log, timeMs: number): Promise<void> {
  log.renew();
  while (log.health().timeMs !== timeMs) await sleep(1);
}

test("a renewed log has the same tree at a later time, now, after a restart and for the entries that come then", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  let nowMs = 1_000;
  const open = () => openOnDisk({ disk, oracle, now: () => nowMs });
  const log = await open();
  await write(log, oracle, 0, 3);
  nowMs = 61_000;
  await renewed(log, 61_000);
  assert.equal(log.size, 3);
  // The clock steps back; the log does not.
  nowMs = 5_000;
  log.renew();
  await write(log, oracle, 3, 2);
  assert.equal(log.health().timeMs, 61_000);
  await log.close();
  const again = await open();
  assert.deepEqual([again.size, again.health().timeMs], [5, 61_000]);
  nowMs = 70_000;
  for (let at = 0; at < 600; at++) again.renew();
  await renewed(again, 70_000);
  await write(again, oracle, 5, 300);
  await again.close();
  const third = await open();
  await oracle.check(third);
  assert.equal(third.size, 305);
  assert.equal((await third.entry(2))!.timeMs, 1_000, "an entry keeps the time of its commit");
  await third.close();
});

test("renewals of an idle log do not fill its disk, and entries keep their times", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  let nowMs = 1_000;
  const open = () => openOnDisk({ disk, oracle, now: () => nowMs, limits: { renewals: 10 } });
  let log = await open();
  await write(log, oracle, 0, 300);
  nowMs = 2_000;
  await write(log, oracle, 300, 5);
  // Until the full bundle is sealed the journal is needed whole.
  await log.close();
  log = await open();
  for (nowMs = 3_000; nowMs < 3_200; nowMs++) await renewed(log, nowMs);
  const journal = [...disk.copyOf("/data/log/journal")].filter(([name]) => name.endsWith(".journal"));
  assert.ok(
    journal.reduce((octets, [, bytes]) => octets + bytes.length, 0) <= 4 * 32_768,
    String(journal.map(([name, bytes]) => `${name} ${bytes.length}`)),
  );
  await write(log, oracle, 305, 300);
  await log.close();
  log = await open();
  assert.deepEqual(
    [(await log.entry(299))!.timeMs, (await log.entry(304))!.timeMs, (await log.entry(305))!.timeMs],
    [1_000, 2_000, 3_200],
  );
  await oracle.check(log);
  await log.close();
});

test("crashes before and after any call of a renewal lose nothing and fork nothing", async () => {
  const life = async (disk: SimulatedDisk, oracle: Oracle): Promise<void> => {
    let nowMs = 1_000;
    try {
      const log = await openOnDisk({ disk, oracle, now: () => nowMs, limits: { renewals: 2 } });
      await write(log, oracle, 0, 2);
      for (nowMs = 2_000; nowMs < 2_003; nowMs++) {
        log.renew();
        while (log.health().timeMs !== nowMs && log.health().status === "serving") await sleep(0);
        if (log.health().status !== "serving") throw new Crashed();
      }
      await write(log, oracle, 2, 1);
      await log.close();
    } catch (error) {
      for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Crashed) return;
      throw error;
    }
  };
  const whole = new SimulatedDisk();
  await life(whole, new Oracle());
  for (let call = 1; call <= whole.calls; call++) {
    for (const when of ["before", "after"] as const) {
      const disk = new SimulatedDisk();
      const oracle = new Oracle();
      disk.fault = ({ number }) => (number === call ? when : undefined);
      await life(disk, oracle);
      const log = await openOnDisk({ disk: disk.crash(call % 2 === 0 ? "none" : { seed: call }), oracle, now: () => 3_000 });
      await write(log, oracle, 100, 2);
      await oracle.check(log);
      await log.close();
    }
  }
});

test("a renewal that the disk refuses stops the log: an idle log notices a disk that fails", async () => {
  const disk = new SimulatedDisk();
  const log = await openOnDisk({ disk, oracle: new Oracle() });
  disk.fault = ({ operation, path }) => (operation === "datasync" && path.includes("journal") ? faultOf("EIO") : undefined);
  log.renew();
  const failure = await log.ended;
  assert.ok(failure instanceof ServiceError && failure.code === "LOG_STOPPED");
  assert.equal(log.health().status, "stopped");
  log.renew();
  await log.close();
});

test("says how long entries wait for their commit, and committed ones for their publication", async () => {
  const disk = new SimulatedDisk();
  let letSign: () => void = () => {};
  let signing: Promise<void> | undefined;
  const oracle = new Oracle();
  const log = await openOnDisk({
    disk,
    oracle,
    signCheckpoint: async (state) => {
      await signing;
      return oracle.sign(state);
    },
  });
  assert.deepEqual([log.health().oldestMs, log.health().behindMs], [0, 0]);
  signing = new Promise((resolve) => (letSign = resolve));
  const entry = await log.append(utf8("slow"));
  await sleep(20);
  const { committed, published, behindMs, oldestMs } = log.health();
  assert.deepEqual([committed, published, oldestMs], [1, 0, 0]);
  assert.ok(behindMs >= 15, String(behindMs));
  letSign();
  await log.receipt(entry);
  assert.equal(log.health().behindMs, 0);
  await log.close();
});

test("an entry that waits for the disk is as old as it is, in the group under way too", async () => {
  const disk = new SimulatedDisk();
  let letSync: () => void = () => {};
  let syncing: Promise<void> | undefined;
  const slow: FileSystem = {
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      const datasync = async (): Promise<void> => {
        await syncing;
        return file.datasync();
      };
      return {
        read: file.read.bind(file),
        readNow: file.readNow.bind(file),
        write: file.write.bind(file),
        size: file.size.bind(file),
        close: file.close.bind(file),
        datasync,
      };
    },
    readFile: disk.readFile.bind(disk),
    rename: disk.rename.bind(disk),
    remove: disk.remove.bind(disk),
    makeDirectory: disk.makeDirectory.bind(disk),
    list: disk.list.bind(disk),
    syncDirectory: disk.syncDirectory.bind(disk),
  };
  const log = await openOnDisk({ disk, oracle: new Oracle(), fs: slow });
  syncing = new Promise((resolve) => (letSync = resolve));
  const first = log.append(utf8("first"));
  await sleep(20);
  const second = log.append(utf8("second"));
  await sleep(5);
  assert.ok(log.health().oldestMs >= 20, String(log.health().oldestMs));
  letSync();
  syncing = undefined;
  await Promise.all([first, second]);
  assert.equal(log.health().oldestMs, 0);
  await log.close();
});

test("tells whoever measures how large groups are and that they were published", async () => {
  const groups: number[] = [];
  let publications = 0;
  const observer: LogObserver = {
    committed: ({ entries, octets, seconds }) => {
      groups.push(entries);
      assert.ok(octets >= 4 * entries && seconds >= 0);
    },
    published: ({ seconds }) => {
      publications++;
      assert.ok(seconds >= 0);
    },
  };
  const oracle = new Oracle();
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle, observer });
  await write(log, oracle, 0, 1);
  await write(log, oracle, 1, 40);
  assert.equal(
    groups.reduce((sum, entries) => sum + entries, 0),
    41,
  );
  assert.ok(publications >= 2);
  assert.equal(log.health().sealed, 0);
  await write(log, oracle, 41, 300);
  await log.close();
  assert.equal(log.health().sealed, 256);
});
