// SPDX-License-Identifier: Apache-2.0
/**
 * The search index at one million entries with five keys each (three of their own, a name shared by a thousand, one of two
 * issuers): what it costs to build, from memory to merged segment files under a signed root; how many keys are looked up;
 * what a key takes on the disk. Keys are at hand: deriving them from an entry is a figure of its own.
 *
 * Bound of the build: one native sort of as many 64-bit numbers. Bound of the look-up: binary search in one sorted array.
 * Peer: a table of node:sqlite with an index on the key, write-ahead log, one transaction for 256 entries.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { generateKey } from "@lacre/core/crypto";
import { keyPrefix, keysOfEntry, segmentLength } from "@lacre/core/search";
import type { Follower } from "@lacre/services/engine";
import { type IndexedLog, SearchIndex } from "@lacre/services/search";
import { createFileBlobStore, createFileSystem } from "@lacre/services/store";
import { entryOf } from "../packages/services/src/search/fixture.ts";
import { compare, type Measurement } from "./measure.ts";

const ENTRIES = Number(process.env["LACRE_BENCH_ENTRIES"] ?? 1_000_000);
const KEYS = 5;
/** The peer's time grows with its table; it gets a tenth, which is in its favour. */
const PEER_ENTRIES = ENTRIES / 10;
const BATCH = 256;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** A log without content: the index is handed keys, and roots are of nothing. */
class KeysOnly implements IndexedLog {
  readonly origin = "bench.test";
  size = 0;
  follower: Follower<ArrayLike<number>> | undefined;
  follow(follower: Follower): number {
    this.follower = follower as Follower<ArrayLike<number>>;
    return 0;
  }
  async entry(): Promise<undefined> {
    return undefined;
  }
  async readTile(): Promise<Uint8Array> {
    return new Uint8Array(8192);
  }
}

/** Prefixes of 40 random bits, five an entry. */
function drawKeys(): Float64Array {
  const drawn = new Float64Array(ENTRIES * KEYS);
  const names = Float64Array.from({ length: Math.ceil(ENTRIES / 1000) }, draw);
  const issuers = [draw(), draw()];
  for (let at = 0; at < drawn.length; at += KEYS) {
    drawn[at] = draw();
    drawn[at + 1] = draw();
    drawn[at + 2] = draw();
    drawn[at + 3] = names[Math.floor(Math.random() * names.length)]!;
    drawn[at + 4] = issuers[Math.floor(Math.random() * 2)]!;
  }
  return drawn;
}

function draw(): number {
  return Math.floor(Math.random() * 2 ** 40);
}

interface Built {
  readonly index: SearchIndex;
  readonly cpuMs: number;
}

async function build(dir: string, keys: Float64Array): Promise<Built> {
  const log = new KeysOnly();
  const index = await SearchIndex.open({
    log,
    blobs: createFileBlobStore(createFileSystem(), dir),
    name: "bench.test",
    key: generateKey("Ed25519"),
    now: Date.now,
    cachedPages: 6000,
    keys: () => [],
  });
  const began = cpuMs();
  for (let at = 0; at < ENTRIES; at++) {
    log.follower!.committed(at, keys.subarray(at * KEYS, (at + 1) * KEYS));
    if ((at + 1) % BATCH !== 0 && at + 1 < ENTRIES) continue;
    log.size = at + 1;
    log.follower!.published(at + 1);
    // As in a server, where commits take turns with everything else.
    if ((at + 1) % 1024 === 0) await index.settled();
  }
  await index.flush();
  return { index, cpuMs: cpuMs() - began };
}

function sortAll(keys: Float64Array): number {
  const numbers = BigUint64Array.from(keys, (key, at) => BigInt(key) * 0x100_0000n + BigInt(Math.floor(at / KEYS) & 0xff_ffff));
  const began = cpuMs();
  numbers.sort();
  return cpuMs() - began;
}

interface Peer {
  readonly cpuMs: number;
  readonly bytes: number;
  readonly find: (key: number) => unknown;
  readonly close: () => void;
}

function buildPeer(dir: string, keys: Float64Array): Peer {
  const path = join(dir, "peer.sqlite");
  const db = new DatabaseSync(path);
  db.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE keys (key INTEGER NOT NULL, entry INTEGER NOT NULL); CREATE INDEX by_key ON keys (key, entry)",
  );
  const insert = db.prepare("INSERT INTO keys VALUES (?, ?)");
  const select = db.prepare("SELECT entry FROM keys WHERE key = ? ORDER BY entry LIMIT 64");
  const began = cpuMs();
  for (let at = 0; at < PEER_ENTRIES; at++) {
    if (at % BATCH === 0) db.exec("BEGIN");
    for (let i = 0; i < KEYS; i++) insert.run(keys[at * KEYS + i]!, at);
    if (at % BATCH === BATCH - 1 || at === PEER_ENTRIES - 1) db.exec("COMMIT");
  }
  const took = cpuMs() - began;
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  return { cpuMs: took, bytes: statSync(path).size, find: (key) => select.all(key), close: () => db.close() };
}

/** Octets of the segments that a root lists. */
function bytesListed(root: string): number {
  return [...root.matchAll(/^\d+ \d+ (\d+) \S{44}$/gm)].reduce((sum, [, records]) => sum + segmentLength(Number(records)), 0);
}

function figure(
  name: string,
  unit: string,
  value: number,
  bound: number | null,
  peer: number | null,
  names: { readonly bound?: string; readonly peer?: string },
  spread = 0,
): Measurement {
  return {
    name,
    unit,
    value,
    bound,
    peer,
    ratio: bound === null ? null : bound / value,
    peerRatio: peer === null ? null : peer / value,
    boundName: names.bound ?? null,
    peerName: names.peer ?? null,
    repetitions: 2,
    spread,
  };
}

const SORT = "a native sort of as many 64-bit numbers";
const SQLITE = "node:sqlite, indexed table, 256 entries a transaction";

export async function run(): Promise<readonly Measurement[]> {
  const scratch = mkdtempSync(join(tmpdir(), "lacre-bench-index-"));
  try {
    const keys = drawKeys();
    const sorts = [sortAll(keys), sortAll(keys)];
    const first = await build(join(scratch, "one"), keys);
    await first.index.close();
    const { index, cpuMs: second } = await build(join(scratch, "two"), keys);
    const peer = buildPeer(scratch, keys);
    const best = Math.min(first.cpuMs, second);
    const perEntry = (1000 * best) / ENTRIES;
    const spread = (Math.max(first.cpuMs, second) - best) / best;
    const results = [
      figure(
        `index built, µs an entry of ${KEYS} keys`,
        "CPU-µs",
        perEntry,
        (1000 * Math.min(...sorts)) / ENTRIES,
        (1000 * peer.cpuMs) / PEER_ENTRIES,
        { bound: SORT, peer: SQLITE },
        spread,
      ),
      figure(
        "index on the disk, octets a key",
        "octets",
        bytesListed(index.root) / (Math.floor(ENTRIES / 1024) * 1024 * KEYS),
        8,
        peer.bytes / (PEER_ENTRIES * KEYS),
        { bound: "40 bits of key and 24 of place", peer: SQLITE },
      ),
      await lookUps(index, keys, peer),
      await deriving(),
    ];
    peer.close();
    await index.close();
    return results;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Keys that are there, of the first tenth of the entries, so that the peer has them too. */
async function lookUps(index: SearchIndex, keys: Float64Array, peer: Peer): Promise<Measurement> {
  const wanted = Float64Array.from(
    { length: 4096 },
    () => keys[Math.floor(Math.random() * PEER_ENTRIES) * KEYS + Math.floor(Math.random() * 3)]!,
  );
  const sorted = Float64Array.from(keys).sort();
  for (let i = 0; i < 40_000; i++) await index.find(draw(), 0, 64); // pages that are asked for again stay in memory
  const each = (find: (key: number) => unknown) => async (): Promise<void> => {
    for (const key of wanted) {
      const pending = find(key);
      if (pending instanceof Promise) await pending;
    }
  };
  return compare({
    name: "look-ups of one key",
    ours: { work: each((key) => index.find(key, 0, 64)), operations: wanted.length },
    bound: { name: "binary search in one sorted array", work: each((key) => lowerBound(sorted, key)), operations: wanted.length },
    peer: { name: SQLITE, work: each(peer.find), operations: wanted.length },
  });
}

function lowerBound(sorted: Float64Array, key: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (sorted[middle]! < key) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** What an entry of the v2 dialect with a certificate costs to take apart. */
async function deriving(): Promise<Measurement> {
  const entries = Array.from({ length: 64 }, (_, at) => ({ record: entryOf(5 * at + 3), leafHash: randomBytes(32) }));
  const measured = await compare({
    name: "entries taken apart, keys hashed",
    ours: {
      work: () => entries.forEach(({ record, leafHash }) => keysOfEntry(record, leafHash).forEach(keyPrefix)),
      operations: entries.length,
    },
  });
  return measured;
}
