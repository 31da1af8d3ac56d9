// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Checkpoint, parseCheckpoint, signCheckpoint } from "../bundle/index.ts";
import { ByteWriter, equalBytes, utf8 } from "../bytes/index.ts";
import { generateKey, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { CompactRange, hashLeaf, TILE_WIDTH, tilePath, tileWidth } from "../merkle/index.ts";
import { createLogReader, fetchTiles, type LogReader } from "./index.ts";

const ORIGIN = "log.example";
const key = generateKey("Ed25519");

/** A log in memory: its files by path, at one size. */
function build(size: number): { files: Map<string, Uint8Array>; checkpoint: Checkpoint; leaves: Uint8Array[] } {
  const leaves = Array.from({ length: size }, (_, i) => utf8(`entry ${i}`));
  const files = new Map<string, Uint8Array>();
  const range = new CompactRange(sha256);
  const levels: Uint8Array[][] = [];
  for (const leaf of leaves)
    range.append(hashLeaf(sha256, leaf), (level, index, hash) => void ((levels[level] ??= [])[index] = hash));
  for (let level = 0; level * 8 < levels.length; level++) {
    for (let index = 0; tileWidth(level, index, size) > 0; index++) {
      const width = tileWidth(level, index, size);
      files.set(
        `tile/${tilePath({ level, index, width })}`,
        Buffer.concat(levels[level * 8]!.slice(index * TILE_WIDTH, index * TILE_WIDTH + width)),
      );
    }
  }
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = tileWidth("entries", index, size);
    const bundle = new ByteWriter();
    for (const leaf of leaves.slice(index * TILE_WIDTH, index * TILE_WIDTH + width)) bundle.vector(2, leaf);
    files.set(`tile/${tilePath({ level: "entries", index, width })}`, bundle.finish());
  }
  const signed = signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: BigInt(size), root: range.root(), key });
  files.set("checkpoint", utf8(signed));
  return { files, checkpoint: parseCheckpoint(signed), leaves };
}

const read = (files: Map<string, Uint8Array>, more: object = {}): LogReader =>
  createLogReader({ source: async (path) => files.get(path), origin: ORIGIN, key: key.publicKey, ...more });

async function refusedWith(code: LacreCode, work: Promise<unknown>): Promise<void> {
  const error = await work.then(
    () => assert.fail("accepted"),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof LacreError, String(error));
  assert.equal(error.code, code, error.message);
}

const big = build(66_000);

test("every kind of position is read and proved", async () => {
  const reader = read(big.files);
  const checkpoint = await reader.checkpoint();
  for (const index of [0, 1, 255, 256, 65_535, 65_536, 65_999]) {
    const proven = await reader.entry(index, checkpoint);
    assert.deepEqual(Buffer.from(proven.entry), Buffer.from(big.leaves[index]!));
  }
});

test("entries are read in order across bundles", async () => {
  const reader = read(big.files, { maxTiles: 3 });
  const texts: string[] = [];
  for await (const { entry } of reader.entries(250, 262, big.checkpoint)) texts.push(Buffer.from(entry).toString());
  assert.deepEqual(
    texts,
    Array.from({ length: 12 }, (_, i) => `entry ${250 + i}`),
  );
});

test("entries are proved as a whole, tile by tile, and any change of entry or tile is refused", async () => {
  for (const [from, to, size] of [
    [0, 300, 300],
    [250, 262, 300],
    [299, 300, 300],
    [65_530, 66_000, 66_000],
    [7, 7, 300],
  ] as const) {
    const { files, checkpoint, leaves } = size === 300 ? build(300) : big;
    const found: string[] = [];
    for await (const { entry } of read(files).leaves(from, to, checkpoint)) found.push(Buffer.from(entry).toString());
    assert.deepEqual(
      found,
      leaves.slice(from, to).map((leaf) => Buffer.from(leaf).toString()),
    );
  }
  const { files, checkpoint } = build(300);
  const all = async (changed: ReadonlyMap<string, Uint8Array>, to = 300): Promise<void> => {
    for await (const _ of read(new Map(changed)).leaves(0, to, checkpoint));
  };
  for (const path of ["tile/0/000", "tile/0/001.p/44", "tile/entries/000", "tile/entries/001.p/44"]) {
    const good = files.get(path)!;
    // Not the two octets of a length.
    for (const at of [3, good.length - 2, good.length - 1])
      await refusedWith(
        "PROOF_MISMATCH",
        all(
          new Map(files).set(
            path,
            good.map((octet, place) => (place === at ? octet ^ 1 : octet)),
          ),
        ),
      );
  }
  await refusedWith("PROOF_MISMATCH", all(files, 301));
});

test("growth is proved from the tiles of the larger tree", async () => {
  for (const size of [0, 1, 255, 256, 257, 65_536, 66_000])
    await read(big.files).proveConsistency(build(size).checkpoint, big.checkpoint);
});

test("a log that shrank or changed its past is refused", async () => {
  const small = build(300);
  await refusedWith("PROOF_MISMATCH", read(small.files).proveConsistency(big.checkpoint, small.checkpoint));
  const forged = { ...small.checkpoint, root: big.checkpoint.root };
  await refusedWith("PROOF_MISMATCH", read(big.files).proveConsistency(forged, big.checkpoint));
});

test("a partial tile that is gone is read from the full one", async () => {
  const old = build(300);
  const grown = new Map([...big.files].filter(([path]) => path !== "checkpoint"));
  const proven = await read(grown).entry(299, old.checkpoint);
  assert.equal(Buffer.from(proven.entry).toString(), "entry 299");
});

test("a changed entry, tile or checkpoint is refused", async () => {
  const { files, checkpoint } = build(300);
  const change = (path: string, edit: (bytes: Uint8Array) => void): Map<string, Uint8Array> => {
    const bytes = Uint8Array.from(files.get(path)!);
    edit(bytes);
    return new Map(files).set(path, bytes);
  };
  await refusedWith("PROOF_MISMATCH", read(change("tile/entries/000", (b) => void (b[5]! ^= 1))).entry(0, checkpoint));
  await refusedWith("PROOF_MISMATCH", read(change("tile/0/000", (b) => void (b[32]! ^= 1))).entry(0, checkpoint));
  await refusedWith(
    "SIGNATURE_INVALID",
    read(
      new Map(files).set("checkpoint", utf8(Buffer.from(files.get("checkpoint")!).toString().replace("\n300\n", "\n301\n"))),
    ).checkpoint(),
  );
  await refusedWith("CHECKPOINT_INVALID", read(files, { origin: "other.example" }).checkpoint());
  await refusedWith("CHECKPOINT_UNSIGNED", read(files, { key: generateKey("Ed25519").publicKey }).checkpoint());
});

test("an index outside the tree is refused before anything is read", async () => {
  const reader = read(new Map());
  for (const index of [300, -1, 1.5, Number.NaN, 2 ** 53])
    await refusedWith("PROOF_MISMATCH", reader.proveInclusion(index, new Uint8Array(32), build(300).checkpoint));
  await refusedWith("PROOF_MISMATCH", reader.entry(300, build(300).checkpoint));
});

test("what the checkpoint promises and the log lacks is named", async () => {
  const { files, checkpoint } = build(300);
  for (const path of ["tile/0/000", "tile/0/001.p/44", "tile/entries/000", "tile/entries/001.p/44"]) {
    const poorer = new Map(files);
    poorer.delete(path);
    await refusedWith(
      "LOG_INCOMPLETE",
      read(poorer)
        .entry(299 - 299, checkpoint)
        .then(() => read(poorer).entry(299, checkpoint)),
    );
  }
  await refusedWith("LOG_INCOMPLETE", read(new Map()).checkpoint());
  await refusedWith("LOG_INCOMPLETE", read(new Map(files).set("tile/entries/000", new Uint8Array(0))).entry(0, checkpoint));
  await refusedWith("LOG_INCOMPLETE", read(new Map(files).set("tile/0/000", new Uint8Array(32))).entry(0, checkpoint));
});

test("where a web server has full tiles alone, partial ones above the leaves are made of them", async () => {
  const { files, checkpoint } = build(66_048);
  const full = new Map([...files].filter(([path]) => !/^tile\/[1-9].*\.p\//.test(path)));
  assert.ok(full.size < files.size);
  const proven = await read(full).entry(66_047, checkpoint);
  assert.equal(Buffer.from(proven.entry).toString(), "entry 66047");
  await refusedWith(
    "LOG_INCOMPLETE",
    read(new Map([...full].filter(([path]) => path !== "tile/0/256"))).entry(66_047, checkpoint),
  );
});

test("the root of an earlier size is computed and proved", async () => {
  const older = build(300);
  for (const size of [0, 1, 256, 300, 65_536, 66_000]) {
    const { root } = await read(big.files).rootAt(size, big.checkpoint);
    assert.ok(equalBytes(root, build(size).checkpoint.root), `${size}`);
  }
  for (const size of [-1, 0.5, 66_001]) await refusedWith("PROOF_MISMATCH", read(big.files).rootAt(size, big.checkpoint));
  await refusedWith("PROOF_MISMATCH", read(older.files).rootAt(300, { ...older.checkpoint, root: big.checkpoint.root }));
});

test("a bundle with too many entries or a cut one is refused", async () => {
  const { files, checkpoint } = build(300);
  await refusedWith("TOO_LARGE", read(new Map(files).set("tile/entries/000", new Uint8Array(2 * 257))).entry(0, checkpoint));
  await refusedWith("TRUNCATED", read(new Map(files).set("tile/entries/000", Uint8Array.of(0, 5, 1))).entry(0, checkpoint));
});

test("tiles are fetched from a server, and its 404 is an absence", async () => {
  const { files, checkpoint } = build(300);
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(url);
    const bytes = files.get(url.replace("http://log.example/api/v2/", ""));
    return {
      status: bytes === undefined ? 404 : 200,
      headers: { get: () => null },
      arrayBuffer: async () => Uint8Array.from(bytes ?? []).buffer,
    };
  };
  const reader = createLogReader({
    source: fetchTiles({ url: "http://log.example/api/v2/", fetch }),
    origin: ORIGIN,
    key: key.publicKey,
  });
  assert.equal((await reader.checkpoint()).size, 300n);
  await reader.entry(7, checkpoint);
  assert.ok(asked.includes("http://log.example/api/v2/tile/entries/000"));
  files.delete("tile/entries/000");
  await refusedWith(
    "LOG_INCOMPLETE",
    createLogReader({
      source: fetchTiles({ url: "http://log.example/api/v2", fetch }),
      origin: ORIGIN,
      key: key.publicKey,
    }).entry(7, checkpoint),
  );
});
