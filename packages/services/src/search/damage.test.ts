// SPDX-License-Identifier: Apache-2.0
/** Files of the index lost, changed, put back, cut off by a crash: named, made again, and never an answer. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { toHex } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { hashLeaf } from "@lacre/core/merkle";
import { sha256 } from "@lacre/core/crypto";
import { createSearchReader, type SearchSource } from "@lacre/core/search";
import { createFileAnchor } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import { type BlobStore, createFileBlobStore, createFileSystem, createMemoryLock } from "../store/index.ts";
import { Crashed, SimulatedDisk } from "../store/simulated.ts";
import { entryOf, fullScan, LOG_KEY, openBed, ORIGIN, type Bed } from "./fixture.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-search-damage-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let beds = 0;
const fresh = (): string => join(scratch, `${beds++}`);

const LOG = { origin: ORIGIN, key: LOG_KEY.publicKey, kind: "artifacts" } as const;
const KEYS = ["identity:ann@example.com", "issuer:https://accounts.example", "domain:example.com", "identity:nobody@example.com"];

function filesOf(dir: string): string[] {
  return readdirSync(join(dir, "index"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .toSorted();
}

/** A log whose index is on the disk: 92 entries, segments of 8, 16 and 64, the smaller ones in memory. */
async function filled(dir: string): Promise<Bed> {
  const bed = await openBed(dir);
  for (let at = 0; at < 92; at += 23) await bed.add(...Array.from({ length: 23 }, (_, i) => entryOf(at + i)));
  await bed.close();
  // A start removes what was merged.
  return openBed(dir);
}

async function answersAreRight({ search, log, blobs }: Bed): Promise<void> {
  for (const key of KEYS) {
    const answer = await search.search({ keys: [key], match: "all", limit: 1000 });
    assert.deepEqual(
      [answer.size, answer.entries.map(({ index }) => index)],
      [log.size, await fullScan(log, blobs, [key], "all", undefined, 1000)],
      key,
    );
  }
}

/** Places spread over a file, its ends among them. */
function placesIn(length: number, count: number): number[] {
  return [...new Set(Array.from({ length: count }, (_, at) => Math.round((at * (length - 1)) / (count - 1))))];
}

test("a file that was changed, cut or removed is named at the next start and made again as it was", async () => {
  const dir = fresh();
  await (await filled(dir)).close();
  const files = filesOf(dir);
  assert.deepEqual(files, ["index/search/0/010", "index/search/1/004", "index/search/3/000", "index/search/root"]);
  const whole = new Map(files.map((file) => [file, readFileSync(join(dir, file))]));
  for (const file of files) {
    const good = whole.get(file)!;
    const cases: [string, Buffer | undefined][] = [
      ["removed", undefined],
      ["cut", good.subarray(0, good.length - 1)],
      ["longer", Buffer.concat([good, Buffer.of(0)])],
    ];
    for (const at of placesIn(good.length, 6))
      cases.push([`octet ${at}`, good.map((octet, place) => (place === at ? octet ^ 4 : octet)) as Buffer]);
    for (const [what, bytes] of cases) {
      if (bytes === undefined) unlinkSync(join(dir, file));
      else writeFileSync(join(dir, file), bytes);
      const bed = await openBed(dir);
      await bed.search.index.settled();
      await answersAreRight(bed);
      const isLonger = what === "longer" && file !== "index/search/root";
      if (!isLonger && !(what === "removed" && file.endsWith("root")))
        assert.ok(
          bed.told.some((line) => line.includes(file)),
          `${file} ${what}: ${bed.told.join("\n")}`,
        );
      await bed.close();
      // Octets behind the end are read by nobody.
      if (!isLonger && !file.endsWith("root")) assert.deepEqual(readFileSync(join(dir, file)), good, `${file} ${what}`);
      else writeFileSync(join(dir, file), good);
    }
  }
});

test("damage under a running index is met by a search, named, and mended before the answer", async () => {
  const dir = fresh();
  const bed = await filled(dir);
  await bed.close();
  const again = await openBed(dir, { entriesInMemory: 0 });
  await again.search.index.settled();
  // Pages are read when they are needed: none was yet.
  const file = filesOf(dir).find((name) => name !== "index/search/root" && statSync(join(dir, name)).size > 2000)!;
  const good = readFileSync(join(dir, file));
  for (const damage of ["changed", "removed"]) {
    if (damage === "removed") unlinkSync(join(dir, file));
    else
      writeFileSync(
        join(dir, file),
        good.map((octet, at) => (at % 50 === 7 ? octet ^ 1 : octet)),
      );
    const told = again.told.length;
    await answersAreRight(again);
    if (damage === "changed")
      assert.ok(
        again.told.slice(told).some((line) => line.includes(file)),
        again.told.join("\n"),
      );
    again.search.index.scrub();
    await again.search.index.settled();
    assert.deepEqual(readFileSync(join(dir, file)), good);
    assert.ok(again.told.slice(told).some((line) => line.includes(file)));
  }
  await again.close();
});

test("a lost index directory is made again, under a running process and at a start", async () => {
  const dir = fresh();
  let bed = await filled(dir);
  const files = filesOf(dir);
  const whole = files.map((file) => readFileSync(join(dir, file)));
  rmSync(join(dir, "index"), { recursive: true });
  bed.search.index.scrub();
  await bed.search.index.flush();
  await answersAreRight(bed);
  assert.deepEqual(filesOf(dir), files);
  await bed.close();
  rmSync(join(dir, "index"), { recursive: true });
  bed = await openBed(dir);
  await bed.search.index.flush();
  await answersAreRight(bed);
  assert.deepEqual(
    files.map((file) => readFileSync(join(dir, file))),
    whole,
    "segments and root are functions of the entries",
  );
  await bed.close();
});

test("while much is made again in the background, answers say how far they reach; new entries are taken meanwhile", async () => {
  const dir = fresh();
  await (await filled(dir)).close();
  rmSync(join(dir, "index"), { recursive: true });
  const bed = await openBed(dir, { entriesAtStart: 0 });
  const early = await bed.search.search({ keys: ["issuer:https://accounts.example"], match: "all", limit: 1000 });
  assert.ok(early.size < 92);
  assert.deepEqual(
    early.entries.map(({ index }) => index),
    (await fullScan(bed.log, bed.blobs, ["issuer:https://accounts.example"], "all", undefined, 1000)).filter(
      (at) => at < early.size,
    ),
  );
  await Promise.all([bed.add(...Array.from({ length: 30 }, (_, at) => entryOf(200 + at))), bed.search.index.settled()]);
  await bed.search.index.flush();
  await answersAreRight(bed);
  assert.equal(bed.search.index.state.isComplete, true);
  await bed.close();
});

test("an index of another history is not taken", async () => {
  const [one, two] = [fresh(), fresh()];
  await (await filled(one)).close();
  const other = await openBed(two);
  for (let at = 0; at < 100; at += 25) await other.add(...Array.from({ length: 25 }, (_, i) => entryOf(500 + at + i)));
  await other.close();
  rmSync(join(two, "index"), { recursive: true });
  for (const file of filesOf(one)) {
    const bytes = readFileSync(join(one, file));
    await createFileBlobStore(createFileSystem(), two).putMutable(file, bytes);
  }
  const bed = await openBed(two);
  await bed.search.index.flush();
  assert.ok(bed.told.some((line) => line.includes("another history")));
  await answersAreRight(bed);
  await bed.close();
});

test("no changed octet of any file gives a reader of files a wrong answer", async () => {
  const dir = fresh();
  const bed = await filled(dir);
  const files = new Map(filesOf(dir).map((file) => [file, Uint8Array.from(readFileSync(join(dir, file)))]));
  const source = (changed: ReadonlyMap<string, Uint8Array>): SearchSource => ({
    file: async (path) => changed.get(path) ?? (path.startsWith("index/") ? undefined : bed.search.files.file(path)),
    range: async (path, offset, length) => changed.get(path)?.slice(offset, offset + length),
  });
  const right = new Map<string, readonly number[]>();
  for (const key of KEYS) right.set(key, await fullScan(bed.log, bed.blobs, [key], "all", undefined, 1000));
  let [refused, answered] = [0, 0];
  for (const [file, bytes] of files) {
    for (let at = 0; at < bytes.length; at += file.endsWith("root") ? 5 : 61) {
      const changed = new Map(files).set(
        file,
        bytes.map((octet, place) => (place === at ? octet ^ (1 << (at % 8)) : octet)),
      );
      const key = KEYS[at % KEYS.length]!;
      try {
        const result = await createSearchReader({ source: source(changed), log: LOG }).search({ keys: [key], limit: 1000 });
        assert.deepEqual([result.size, result.hits.map(({ index }) => index)], [92, right.get(key)], `${file} octet ${at}`);
        answered++;
      } catch (error) {
        assert.ok(error instanceof LacreError, `${file} octet ${at}: ${String(error)}`);
        refused++;
      }
    }
    if (file.endsWith("root")) continue;
    await assert.rejects(
      createSearchReader({ source: source(new Map([...files].filter(([name]) => name !== file))), log: LOG }).search({
        keys: [KEYS[0]!],
      }),
      (error: LacreError) => error.code === "SEARCH_INDEX_DAMAGED",
    );
  }
  assert.ok(refused > 100, `${refused} refused, ${answered} answered`);
  await bed.close();
});

test("where the index cannot be written it answers from memory, says so, and catches up", async () => {
  const dir = fresh();
  const disk = createFileBlobStore(createFileSystem(), dir);
  let isFull = false;
  const refuse = async (): Promise<never> => {
    throw new ServiceError("DISK_FULL");
  };
  const blobs: BlobStore = {
    ...disk,
    putParts: (name, parts) => (isFull ? refuse() : disk.putParts(name, parts)),
    putMutable: (name, bytes) => (isFull ? refuse() : disk.putMutable(name, bytes)),
  };
  const bed = await openBed(dir, { blobs });
  await bed.add(...Array.from({ length: 10 }, (_, at) => entryOf(at)));
  await bed.search.index.flush();
  const before = bed.search.index.root;
  isFull = true;
  for (let at = 10; at < 90; at += 20) await bed.add(...Array.from({ length: 20 }, (_, i) => entryOf(at + i)));
  await bed.search.index.settled();
  await answersAreRight(bed);
  assert.ok(
    bed.told.some((line) => line.includes("cannot be written now")),
    bed.told.join("\n"),
  );
  assert.equal(readFileSync(join(dir, "index/search/root"), "utf8"), before);
  isFull = false;
  await bed.add(entryOf(500));
  await bed.search.index.flush();
  await answersAreRight(bed);
  assert.match(readFileSync(join(dir, "index/search/root"), "utf8"), /^log\.test\/search\n88\n/);
  await bed.close();
});

// The log and its index on a disk that loses power, at many calls; every acknowledged entry must be found in the next life.
test("a crash at any time: every acknowledged entry is found again", async () => {
  const isCrash = (error: unknown): boolean => {
    for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Crashed) return true;
    return false;
  };
  const open = async (disk: SimulatedDisk): Promise<Bed> =>
    openBed("/data/log", {
      blobs: createFileBlobStore(disk, "/data/log"),
      log: { fs: disk, lock: createMemoryLock(), anchor: createFileAnchor("/state/anchor", ORIGIN, disk), segmentBytes: 1 << 17 },
    });
  const live = async (disk: SimulatedDisk, from: number, acknowledged: Map<string, number>): Promise<void> => {
    try {
      const bed = await open(disk);
      for (let at = from; at < from + 40; at += 5) {
        await Promise.all(
          Array.from({ length: 5 }, async (_, i) => {
            const record = entryOf(at + i);
            const receipt = await bed.log.receipt(await bed.log.append(record));
            acknowledged.set(toHex(hashLeaf(sha256, record)), receipt.index);
          }),
        );
      }
      await bed.close();
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
  };
  const rehearsal = new SimulatedDisk();
  await live(rehearsal, 0, new Map());
  for (let call = 5; call < rehearsal.calls; call += 9) {
    const acknowledged = new Map<string, number>();
    let disk = new SimulatedDisk();
    disk.fault = ({ number }) => (number === call ? "after" : undefined);
    await live(disk, 0, acknowledged);
    disk = disk.crash(call % 3 === 0 ? "kill" : call % 3 === 1 ? "none" : { seed: call });
    const bed = await open(disk);
    for (const [leaf, index] of acknowledged) {
      const { entries } = await bed.search.search({ keys: [`leaf:${leaf}`], match: "all", limit: 10 });
      assert.deepEqual(
        entries.map((entry) => entry.index),
        [index],
        `crash at call ${call}: ${leaf}`,
      );
    }
    await answersAreRight(bed);
    await bed.close();
  }
});
