// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { ServiceError, type ServiceCode } from "../errors.ts";
import { createJournal, createMemoryLock, type Committed, type CommitStore } from "../store/index.ts";
import { faultOf, SimulatedDisk } from "../store/simulated.ts";
import { createFileAnchor } from "./anchor.ts";
import { decodeBatch, encodeBatch } from "./batch.ts";
import { openOnDisk, Oracle, ORIGIN, unsigned, write, type LogOnDisk } from "./fixture.ts";
import type { Logger } from "./logger.ts";

function refusal(code: ServiceCode, detail = ""): (error: unknown) => boolean {
  return (error) => error instanceof ServiceError && error.code === code && (error.detail ?? "").includes(detail);
}

/** A log with `count` entries on a disk, closed. */
async function closedLog(count: number, more: Partial<LogOnDisk> = {}): Promise<{ disk: SimulatedDisk; oracle: Oracle }> {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  const log = await openOnDisk({ disk, oracle, ...more });
  if (count > 0) await write(log, oracle, 0, count);
  await log.close();
  return { disk, oracle };
}

test("a copy of the directory put back refuses to sign: the anchor is ahead", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  let log = await openOnDisk({ disk, oracle });
  await write(log, oracle, 0, 300);
  await log.close();
  const yesterday = disk.copyOf("/data");
  log = await openOnDisk({ disk, oracle });
  await write(log, oracle, 300, 5);
  await log.close();
  disk.restore("/data", yesterday);
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_FORKED", "305:"));
  await assert.rejects(openOnDisk({ disk, oracle, production: false }), refusal("LOG_FORKED", "Restored from a backup?"));
});

test("a copy that went another way refuses to sign: the anchor is of another history", async () => {
  const { disk } = await closedLog(10);
  const yesterday = disk.copyOf("/data");
  const anchor = disk.copyOf("/state");
  const main = new Oracle();
  let log = await openOnDisk({ disk, oracle: main });
  await write(log, main, 100, 5);
  await log.close();
  const anchored = disk.copyOf("/state");
  disk.restore("/data", yesterday);
  disk.restore("/state", anchor);
  log = await openOnDisk({ disk, oracle: new Oracle() });
  await write(log, new Oracle(), 200, 9);
  await log.close();
  disk.restore("/state", anchored);
  await assert.rejects(openOnDisk({ disk, oracle: new Oracle() }), refusal("LOG_FORKED", "15:"));
});

test("a published checkpoint beyond the journal refuses to sign", async () => {
  const { disk, oracle } = await closedLog(10);
  disk.put("/data/log/checkpoint", utf8(unsigned({ origin: ORIGIN, size: 11, root: new Uint8Array(32) })));
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_FORKED", "checkpoint says 11:"));
  disk.put("/data/log/checkpoint", utf8(unsigned({ origin: ORIGIN, size: 10, root: new Uint8Array(32) })));
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_FORKED", "checkpoint says 10:"));
  disk.put("/data/log/checkpoint", utf8(unsigned({ origin: ORIGIN, size: 4, root: new Uint8Array(32) })));
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_FORKED", "checkpoint says 4:"));
  disk.put("/data/log/checkpoint", utf8(unsigned({ origin: "log.other", size: 10, root: new Uint8Array(32) })));
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_DAMAGED", "log.other"));
});

test("a missing anchor refuses in production and warns in development; an empty log needs none", async () => {
  for (const damage of [undefined, utf8("not an anchor")]) {
    const { disk, oracle } = await closedLog(3);
    if (damage === undefined) disk.restore("/state", new Map());
    else disk.put("/state/anchor", damage);
    await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_UNANCHORED", "3:"));
    const warnings: string[] = [];
    const logger: Logger = { info: () => {}, error: () => {}, warn: (_, message) => void warnings.push(message) };
    const log = await openOnDisk({ disk, oracle, production: false, log: logger });
    await log.close();
    assert.ok(
      warnings.some((line) => line.startsWith("no record of this log outside its directory")),
      warnings.join("\n"),
    );
    // It was recorded again.
    await (await openOnDisk({ disk, oracle })).close();
  }
  const { disk, oracle } = await closedLog(0);
  disk.restore("/state", new Map());
  await (await openOnDisk({ disk, oracle })).close();
});

test("goes on from a state that the operator accepts, and from no other", async () => {
  const { disk } = await closedLog(300);
  const yesterday = disk.copyOf("/data");
  const oracle = new Oracle();
  let log = await openOnDisk({ disk, oracle });
  const { root } = await log.receipt((await log.entry(299))!);
  await write(log, oracle, 300, 7);
  await log.close();
  disk.restore("/data", yesterday);
  const after = new Oracle();
  for (const wrong of [
    { size: 299, root },
    { size: 300, root: new Uint8Array(32) },
  ]) {
    await assert.rejects(openOnDisk({ disk, oracle: after, accept: [wrong] }), refusal("LOG_FORKED", `300:${toBase64(root)}`));
  }
  log = await openOnDisk({
    disk,
    oracle: after,
    accept: [
      { size: 7, root },
      { size: 300, root },
    ],
  });
  await write(log, after, 900, 2);
  await after.check(log);
  await log.close();
  // The word was for that state alone, and is not needed again.
  await (await openOnDisk({ disk, oracle: after, accept: [{ size: 300, root }] })).close();
});

test("a directory that lost its journal, or a sealed tile, is refused", async () => {
  const { disk, oracle } = await closedLog(600);
  // A start shortens the journal to what is not sealed; until then it could mend the tiles.
  await (await openOnDisk({ disk, oracle })).close();
  const whole = disk.copyOf("/data");
  const without = (pattern: RegExp): ReadonlyMap<string, Uint8Array> =>
    new Map([...whole].filter(([name]) => !pattern.test(name)));
  disk.restore("/data", without(/journal/));
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_DAMAGED", "no journal"));
  disk.restore("/data", without(/tile\/0\/001$/));
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_DAMAGED", "tile/0/001 is missing"));
  const changed = new Map(whole);
  const tile = changed.get("/data/log/tile/0/000")!.slice();
  tile[40]! ^= 1;
  changed.set("/data/log/tile/0/000", tile);
  disk.restore("/data", changed);
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_DAMAGED", "do not have the root"));
  disk.restore("/data", whole);
  const log = await openOnDisk({ disk, oracle });
  await oracle.check(log);
  await log.close();
});

test("a journal whose frames do not say what their entries say is refused, although every checksum is good", async () => {
  type Change = (next: Committed, records: Uint8Array[]) => { next?: Partial<Committed>; records?: Uint8Array[] };
  const changes: readonly [string, Change, string][] = [
    ["another root", () => ({ next: { root: new Uint8Array(32) } }), "do not have the root"],
    ["another entry", (_, records) => ({ records: [utf8("forged"), ...records.slice(1)] }), "do not have the root"],
    ["an entry more", (_, records) => ({ records: [...records, utf8("more")] }), "does not hold its entries"],
    ["an entry less", (_, records) => ({ records: records.slice(1) }), "does not hold its entries"],
    ["an earlier time", (next) => ({ next: { timeMs: next.timeMs - 3_600_000 } }), "time goes back"],
  ];
  for (const [name, change, found] of changes) {
    const { disk, oracle } = await closedLog(5);
    const journal = (): CommitStore => createJournal({ fs: disk, directory: "/data/log/journal", context: ORIGIN });
    const store = journal();
    const { token, base, state, commits } = (await store.load())!;
    const last = commits.at(-1)!;
    const { next = {}, records } = change(last.next, decodeBatch(last.body));
    const changed = { ...last, next: { ...last.next, ...next }, body: records === undefined ? last.body : encodeBatch(records) };
    await store.takeOver(token, base, [...commits.slice(0, -1), changed]);
    await store.close();
    assert.equal((await journal().load())!.state.size, state.size, name);
    await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_DAMAGED", found), name);
  }
});

test("sealed bundles beyond the journal's end are refused: the journal is of an earlier day", async () => {
  const { disk, oracle } = await closedLog(300);
  await (await openOnDisk({ disk, oracle })).close();
  const store = createJournal({ fs: disk, directory: "/data/log/journal", context: ORIGIN });
  const { token, base } = (await store.load())!;
  await store.takeOver(token, { ...base, size: 200 }, []);
  await store.release(256);
  await store.close();
  await assert.rejects(openOnDisk({ disk, oracle }), refusal("LOG_DAMAGED", "before the sealed bundles"));
});

test("a journal of another log is refused", async () => {
  const { disk, oracle } = await closedLog(5);
  await assert.rejects(
    openOnDisk({ disk, oracle, origin: "log.other", anchor: createFileAnchor("/state/other", "log.other", disk) }),
    refusal("LOG_DAMAGED"),
  );
});

test("a second process on the directory is refused", async () => {
  const disk = new SimulatedDisk();
  const place = { held: false };
  const log = await openOnDisk({ disk, oracle: new Oracle(), lock: createMemoryLock(place) });
  await assert.rejects(openOnDisk({ disk, oracle: new Oracle(), lock: createMemoryLock(place) }), refusal("DIRECTORY_LOCKED"));
  await log.close();
  await (await openOnDisk({ disk, oracle: new Oracle(), lock: createMemoryLock(place) })).close();
});

test("a refused start gives the lock back and writes nothing", async () => {
  const { disk, oracle } = await closedLog(3);
  disk.restore("/state", new Map());
  const before = [...disk.copyOf("/data")];
  const place = { held: false };
  await assert.rejects(openOnDisk({ disk, oracle, lock: createMemoryLock(place) }), refusal("LOG_UNANCHORED"));
  assert.equal(place.held, false);
  assert.deepEqual([...disk.copyOf("/data")], before);
});

test("time never goes back, whatever the clock does", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  let now = 1_800_000_000_000;
  const clock = (): number => now;
  let log = await openOnDisk({ disk, oracle, now: clock });
  const [first] = await write(log, oracle, 0, 1);
  now -= 3_600_000;
  const [second] = await write(log, oracle, 1, 1);
  await log.close();
  log = await openOnDisk({ disk, oracle, now: clock });
  const [third] = await write(log, oracle, 2, 1);
  now += 3_700_000;
  const [fourth] = await write(log, oracle, 3, 1);
  assert.deepEqual(
    [first, second, third, fourth].map((receipt) => receipt!.timeMs - 1_800_000_000_000),
    [0, 0, 0, 100_000],
  );
  assert.equal((await log.entry(2))!.timeMs, 1_800_000_000_000);
  await log.close();
});

test("times of entries survive sealing and a restart", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  let now = 1_800_000_000_000;
  const clock = (): number => now;
  let log = await openOnDisk({ disk, oracle, now: clock });
  await write(log, oracle, 0, 200);
  now += 5;
  await write(log, oracle, 200, 600);
  await log.close();
  log = await openOnDisk({ disk, oracle, now: clock });
  for (const index of [0, 199, 200, 255, 256, 511, 799])
    assert.equal((await log.entry(index))!.timeMs, index < 200 ? now - 5 : now, `${index}`);
  await log.close();
});

test("a full disk refuses new entries, keeps every acknowledged one, and goes on when there is room", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  const log = await openOnDisk({ disk, oracle });
  await write(log, oracle, 0, 40);
  disk.capacityBytes = 1;
  const large = (name: string): Uint8Array => utf8(name.padEnd(40_000, "."));
  await assert.rejects(log.append(large("a")), refusal("LOG_FULL"));
  await assert.rejects(log.append(large("a")), refusal("LOG_FULL"));
  assert.equal(log.health().status, "serving");
  await oracle.check(log);
  disk.capacityBytes = Infinity;
  oracle.receive(await log.receipt(await log.append(large("a"))));
  await write(log, oracle, 40, 300);
  await oracle.check(log);
  await log.close();
  const again = await openOnDisk({ disk: disk.crash("none"), oracle });
  await oracle.check(again);
  await again.close();
});

test("a full disk while publishing refuses the receipt; the entry gets it when it is asked for again", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  const log = await openOnDisk({ disk, oracle });
  await write(log, oracle, 0, 3);
  let full = true;
  disk.fault = ({ operation, path }) =>
    full && operation === "write" && path.includes("checkpoint") ? faultOf("ENOSPC") : undefined;
  const entry = await log.append(utf8("late"));
  await assert.rejects(log.receipt(entry), refusal("LOG_FULL"));
  await assert.rejects(log.append(utf8("what could not be shown is not taken")), refusal("LOG_FULL"));
  assert.equal(log.health().status, "full");
  full = false;
  while (log.health().status === "full") await new Promise((resolve) => setTimeout(resolve, 20));
  const again = await log.append(utf8("late"));
  assert.deepEqual([again.index, again.duplicate], [entry.index, true]);
  oracle.receive(await log.receipt(again));
  await log.close();
});

test("a failed sync of the journal or of the anchor stops the log; a restart finds everything acknowledged", async () => {
  for (const place of ["journal", "anchor"]) {
    const disk = new SimulatedDisk();
    const oracle = new Oracle();
    const log = await openOnDisk({ disk, oracle });
    await write(log, oracle, 0, 5);
    disk.fault = ({ operation, path }) => (operation === "datasync" && path.includes(place) ? faultOf("EIO") : undefined);
    await assert.rejects(write(log, oracle, 5, 1), refusal("LOG_STOPPED"));
    disk.fault = () => undefined;
    await assert.rejects(log.append(utf8("after")), refusal("LOG_STOPPED"));
    assert.equal(log.health().status, "stopped");
    assert.equal((await log.ended)!.code, "LOG_STOPPED");
    for (const kind of ["kill", "none"] as const) {
      const copy = new SimulatedDisk();
      copy.restore("/", disk.copyOf(""));
      const next = await openOnDisk({ disk: copy.crash(kind), oracle });
      await oracle.check(next);
      await next.close();
    }
    await log.close();
  }
});

test("a start does not merge index segments; the next sealing does, whatever was left", async () => {
  const { disk, oracle } = await closedLog(1600);
  const names = (): readonly string[] =>
    [...disk.copyOf("/data").keys()].flatMap((name) => name.split("/index/identity/")[1] ?? []).toSorted();
  const files = new Map(disk.copyOf("/data"));
  files.delete("/data/log/index/identity/1/000");
  disk.restore("/data", files);
  const log = await openOnDisk({ disk, oracle });
  assert.deepEqual(names(), ["0/000", "0/001", "0/002"]);
  await write(log, oracle, 1600, 500);
  await log.close();
  assert.deepEqual(names(), ["2/000"]);
  const next = await openOnDisk({ disk, oracle });
  for (const at of [0, 511, 1024, 2047, 2099]) assert.equal((await next.append(utf8(`entry ${at}`))).duplicate, true);
  await next.close();
});

test("a damaged index segment is named and made again, and duplicates are still found", async () => {
  const { disk, oracle } = await closedLog(1600);
  const segments = [...disk.copyOf("/data").keys()].filter((name) => name.includes("/index/"));
  assert.deepEqual(segments.map((name) => name.slice("/data/log/index/identity/".length)).toSorted(), ["0/002", "1/000"]);
  const good = new Map(disk.copyOf("/data"));
  for (const name of segments) {
    for (const damage of [
      (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 200 ? byte ^ 1 : byte)),
      (): Uint8Array => new Uint8Array(3),
      undefined,
    ]) {
      const files = new Map(good);
      if (damage === undefined) files.delete(name);
      else files.set(name, damage(files.get(name)!));
      disk.restore("/data", files);
      const warnings: string[] = [];
      const log = await openOnDisk({
        disk,
        oracle,
        log: { info: () => {}, error: () => {}, warn: (_, message) => void warnings.push(message) },
      });
      assert.ok(warnings.some((line) => line.includes("made again")));
      for (const at of [0, 511, 512, 1023, 1024, 1535, 1536, 1599])
        assert.deepEqual(await log.append(utf8(`entry ${at}`)).then(({ duplicate }) => duplicate), true);
      assert.equal(log.size, 1600);
      await log.close();
    }
  }
});
