// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, equalBytes, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { checkConsistency, hashLeaf, parseTilePath, proveConsistency, tileWidth } from "@lacre/core/merkle";
import { ServiceError, type ServiceCode } from "../errors.ts";
import { SimulatedDisk } from "../store/simulated.ts";
import { openOnDisk, Oracle, PLAIN, write } from "./fixture.ts";

function refusal(code: ServiceCode): (error: unknown) => boolean {
  return (error) => error instanceof ServiceError && error.code === code;
}

test("a record is stored once: joined while it waits, found when it is stored", async () => {
  const oracle = new Oracle();
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle });
  const together = await Promise.all(Array.from({ length: 5 }, () => log.append(utf8("same"))));
  assert.deepEqual(
    together.map(({ index, duplicate }) => [index, duplicate]),
    [
      [0, false],
      [0, true],
      [0, true],
      [0, true],
      [0, true],
    ],
  );
  const later = await log.append(utf8("same"));
  assert.deepEqual([later.index, later.duplicate, later.timeMs], [0, true, together[0]!.timeMs]);
  assert.equal(await log.find(sha256(utf8("same"))), 0);
  assert.equal(await log.find(sha256(utf8("other"))), undefined);
  await log.close();
  assert.equal(log.size, 1);
});

test("of two records with one identity the first is kept and given back", async () => {
  const oracle = new Oracle();
  // The identity leaves the last octet out.
  const personality = { ...PLAIN, identity: (record: Uint8Array): Uint8Array => sha256(record.subarray(0, -1)) };
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle, personality });
  await log.append(utf8("entry a"));
  const second = await log.append(utf8("entry b"));
  assert.deepEqual([second.index, second.duplicate, Buffer.from(second.record).toString()], [0, true, "entry a"]);
  assert.ok(equalBytes(second.leafHash, hashLeaf(sha256, utf8("entry a"))));
  await log.close();
});

test("what arrives during a commit is the next group", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const log = await openOnDisk({ disk, oracle });
  let syncs = 0;
  disk.fault = ({ operation, path }) => void (operation === "datasync" && path.includes("journal") && syncs++);
  await Promise.all(
    Array.from({ length: 500 }, async (_, at) => oracle.receive(await log.receipt(await log.append(utf8(`${at}`))))),
  );
  assert.equal(syncs, 1);
  await log.close();
});

test("groups are cut at their limits of entries and of octets", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const log = await openOnDisk({ disk, oracle, limits: { groupEntries: 10, groupBytes: 1000 } });
  let commits = 0;
  disk.fault = ({ operation, path }) => void (operation === "datasync" && path.includes("journal") && commits++);
  await Promise.all(Array.from({ length: 25 }, (_, at) => log.append(utf8(`${at}`))));
  assert.equal(commits, 3);
  await Promise.all(Array.from({ length: 5 }, (_, at) => log.append(utf8(`${at}`.padEnd(600, ".")))));
  assert.equal(commits, 8);
  await log.close();
});

test("more waiting than allowed is refused with a time to come back", async () => {
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle: new Oracle(), limits: { pendingBytes: 100 } });
  const first = log.append(new Uint8Array(80));
  const second = log.append(new Uint8Array(80).fill(1));
  await assert.rejects(second, (error: ServiceError) => error.code === "LOG_BUSY" && error.headers["retry-after"] === "1");
  await first;
  await log.append(new Uint8Array(80).fill(2));
  await log.close();
});

test("a record that fits no bundle gets no place", async () => {
  const personality = {
    ...PLAIN,
    frame: (record: Uint8Array): Uint8Array => {
      if (record.length > 10) throw new ServiceError("ENTRY_TOO_LARGE");
      return PLAIN.frame(record);
    },
  };
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle: new Oracle(), personality });
  await assert.rejects(log.append(new Uint8Array(11)), refusal("ENTRY_TOO_LARGE"));
  assert.equal((await log.append(new Uint8Array(10))).index, 0);
  await log.close();
});

test("serves every tile of the published size, full and partial, before and after it is sealed, and nothing beyond", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  let log = await openOnDisk({ disk, oracle });
  await write(log, oracle, 0, 700);
  const records = Array.from({ length: 700 }, (_, at) => utf8(`entry ${at}`));
  const hashes = concat(...(await Promise.all(records.map(async (_, at) => (await log.entry(at))!.leafHash))));
  for (const round of ["fresh", "sealed"]) {
    for (let index = 0; index < 3; index++) {
      const full = tileWidth(0, index, 700);
      for (const width of [1, 57, 188, 255, 256]) {
        const tile = await log.readTile({ level: 0, index, width });
        const bundle = await log.readTile({ level: "entries", index, width });
        if (width > full) assert.deepEqual([tile, bundle], [undefined, undefined], `${round} ${index}/${width}`);
        else {
          const from = 256 * index;
          const all = concat(
            ...(await Promise.all(Array.from({ length: width }, async (_, at) => (await log.entry(from + at))!.leafHash))),
          );
          assert.ok(equalBytes(tile!, all), `${round} tile ${index}/${width}`);
          assert.deepEqual(PLAIN.unframe(bundle!).length, width, `${round} bundle ${index}/${width}`);
        }
      }
    }
    const above = (await log.readTile({ level: 1, index: 0, width: 2 }))!;
    assert.equal(above.length, 64);
    for (const nothing of [
      { level: 1, index: 0, width: 3 },
      { level: 0, index: 3, width: 1 },
      { level: 2, index: 0, width: 1 },
      { level: "data", index: 0, width: 1 },
      { level: 0, index: 0, width: 0 },
    ] as const) {
      assert.equal(await log.readTile(nothing), undefined);
    }
    await log.close();
    log = await openOnDisk({ disk, oracle });
  }
  assert.equal(hashes.length, 700 * 32);
  await log.close();
});

test("full tiles, bundles and the checkpoint are files where a web server looks for them", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const log = await openOnDisk({ disk, oracle });
  await write(log, oracle, 0, 300);
  assert.equal(Buffer.from(disk.look("/data/log/checkpoint")!).toString(), log.checkpoint());
  for (const path of ["0/000", "entries/000"]) {
    assert.ok(equalBytes(disk.look(`/data/log/tile/${path}`)!, (await log.readTile(parseTilePath(path)))!));
  }
  await log.close();
});

test("a checkpoint is shown only after the tiles it needs and its anchor", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  const log = await openOnDisk({ disk, oracle });
  const order: string[] = [];
  disk.fault = ({ operation, path }) => {
    if (operation === "rename" && /tile|checkpoint/.test(path)) order.push(path.includes("tile") ? "tile" : "checkpoint");
    if (operation === "datasync" && path.includes("anchor")) order.push("anchor");
    return undefined;
  };
  await write(log, oracle, 0, 300);
  assert.equal(order.at(-1), "checkpoint");
  assert.deepEqual([...new Set(order.slice(0, -1))].toSorted(), ["anchor", "tile"]);
  await log.close();
});

test("receipts of old entries are proved from tile files", async () => {
  const oracle = new Oracle();
  const disk = new SimulatedDisk();
  let log = await openOnDisk({ disk, oracle, indexShape: undefined });
  for (let from = 0; from < 20_000; from += 1000)
    await Promise.all(Array.from({ length: 1000 }, (_, at) => log.append(utf8(`entry ${from + at}`))));
  await log.close();
  log = await openOnDisk({ disk, oracle, indexShape: undefined });
  for (const index of [0, 255, 256, 1023, 12_345, 19_711, 19_712, 19_999])
    oracle.receive(await log.receipt((await log.entry(index))!));
  await log.close();
});

test("checkpoints of all sizes are consistent with one another", async () => {
  const oracle = new Oracle();
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle });
  const seen: { size: number; root: Uint8Array }[] = [];
  for (let from = 0; from < 400; from += 13) {
    const [receipt] = await write(log, oracle, from, 13);
    seen.push(receipt!);
  }
  const leaves = await Promise.all(Array.from({ length: log.size }, async (_, at) => (await log.entry(at))!.leafHash));
  const node = (level: number, index: number): Uint8Array =>
    level === 0 ? leaves[index]! : sha256(concat(Uint8Array.of(1), node(level - 1, 2 * index), node(level - 1, 2 * index + 1)));
  for (let at = 1; at < seen.length; at++) {
    const [older, newer] = [seen[at - 1]!, seen[at]!];
    checkConsistency(sha256, {
      oldSize: BigInt(older.size),
      oldRoot: older.root,
      newSize: BigInt(newer.size),
      newRoot: newer.root,
      proof: proveConsistency(sha256, older.size, newer.size, node),
    });
  }
  await log.close();
});

test("a closed log refuses and says so; closing twice is closing once", async () => {
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle: new Oracle() });
  const last = log.append(utf8("last"));
  await Promise.all([log.close(), log.close()]);
  assert.equal((await last).index, 0);
  await assert.rejects(log.append(utf8("late")), refusal("LOG_STOPPED"));
  assert.equal(log.health().status, "stopped");
  assert.equal(await log.ended, undefined);
  assert.equal(log.size, 1);
});

test("a follower hears of every entry in order, after its commit and before its acknowledgement", async () => {
  const disk = new SimulatedDisk();
  const oracle = new Oracle();
  const first = await openOnDisk({ disk, oracle });
  await write(first, oracle, 0, 3);
  await first.close();
  const log = await openOnDisk({ disk, oracle });
  const heard: string[] = [];
  const from = log.follow({
    prepare: async (record) => Buffer.from(record).toString(),
    committed: (index, text) => void heard.push(`${index} ${text as string}`),
    published: (size) => void heard.push(`published ${size}`),
  });
  assert.equal(from, 3);
  const entry = await log.append(utf8("one"));
  assert.deepEqual(heard.slice(0, 1), ["3 one"]);
  await log.receipt(entry);
  assert.deepEqual(heard, ["3 one", "published 4"]);
  // A repeated record is no new entry.
  await log.append(utf8("one"));
  assert.equal(heard.length, 2);
  await Promise.all(["a", "b", "c"].map((text) => log.append(utf8(text))));
  assert.deepEqual(
    heard.filter((line) => !line.startsWith("published")),
    ["3 one", "4 a", "5 b", "6 c"],
  );
  const busy = log.append(utf8("busy"));
  assert.throws(() => log.follow({ prepare: () => 0, committed: () => {}, published: () => {} }), TypeError);
  await busy;
  await log.close();
});

test("what a follower cannot prepare is refused and not committed", async () => {
  const log = await openOnDisk({ disk: new SimulatedDisk(), oracle: new Oracle() });
  log.follow({
    prepare: (record) => (record.length > 3 ? Promise.reject(new ServiceError("STORE_FAILED")) : 0),
    committed: () => {},
    published: () => {},
  });
  await assert.rejects(log.append(utf8("long")), (error: ServiceError) => error.code === "STORE_FAILED");
  assert.equal((await log.receipt(await log.append(utf8("abc")))).index, 0);
  await log.close();
});
