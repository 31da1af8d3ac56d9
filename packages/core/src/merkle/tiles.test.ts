// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { hash as nodeHash } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { concat, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { proveInclusion, checkInclusion } from "./proof.ts";
import {
  hashSlice,
  newTiles,
  parseTilePath,
  partialWidth,
  tileOfNode,
  tilePath,
  tileWidth,
  type TileCoordinate,
} from "./tiles.ts";
import { CompactRange, hashLeaf } from "./tree.ts";

const h = (data: Uint8Array): Uint8Array => new Uint8Array(nodeHash("sha256", data, "buffer"));

test("spells paths as C2SP tlog-tiles does", () => {
  const cases: [string, TileCoordinate][] = [
    ["0/x001/x234/067", { level: 0, index: 1234067, width: 256 }],
    ["0/000", { level: 0, index: 0, width: 256 }],
    ["1/x001/234.p/57", { level: 1, index: 1234, width: 57 }],
    ["63/999", { level: 63, index: 999, width: 256 }],
    ["entries/000.p/1", { level: "entries", index: 0, width: 1 }],
    ["data/x001/000.p/255", { level: "data", index: 1000, width: 255 }],
    ["0/x009/x007/x199/x254/x740/991", { level: 0, index: Number.MAX_SAFE_INTEGER, width: 256 }],
  ];
  for (const [path, coordinate] of cases) {
    assert.equal(tilePath(coordinate), path);
    assert.deepEqual(parseTilePath(path), coordinate);
  }
});

test("refuses every other spelling", () => {
  for (const wrong of [
    "",
    "0",
    "0/",
    "/0/000",
    "0/0",
    "0/00",
    "0/0000",
    "0/x000/000",
    "0/x000/x001/000",
    "0/001/000",
    "0/x001",
    "0/x1/000",
    "0/x001/x002",
    "00/000",
    "01/000",
    "64/000",
    "100/000",
    "-1/000",
    "+1/000",
    "0/000.p/0",
    "0/000.p/256",
    "0/000.p/01",
    "0/000.p/",
    "0/000.p",
    "0/000.p/999",
    "0/000.p/1/",
    "0/000/",
    "0//000",
    "Entries/000",
    "entries/000 ",
    "0/000\n",
    "0/../000",
    "0/x00１/000",
    "0/x009/x007/x199/x254/x740/992",
    "0/x001/x000/x000/x000/x000/x000/000",
    "tile/0/000",
    "issuer/000",
  ])
    assert.throws(
      () => parseTilePath(wrong),
      (error) => error instanceof LacreError && error.code === "BAD_TILE_PATH",
      wrong,
    );
});

test("what is spelled is read back; what is read is spelled the same", () => {
  const level = fc.oneof(fc.integer({ min: 0, max: 63 }), fc.constantFrom("entries", "data"));
  fc.assert(
    fc.property(level, fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }), (at, index, width) => {
      const coordinate = { level: at as TileCoordinate["level"], index, width };
      assert.deepEqual(parseTilePath(tilePath(coordinate)), coordinate);
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^(entries|\d{1,2})\/(x\d{3}\/){0,2}\d{3}(\.p\/\d{1,3})?$/), (path) => {
      try {
        assert.equal(tilePath(parseTilePath(path)), path);
      } catch (error) {
        assert.ok(error instanceof LacreError);
      }
    }),
  );
});

test("coordinates that no tile has are misuse", () => {
  for (const wrong of [
    { level: 64 },
    { level: -1 },
    { level: 0.5 },
    { level: "issuer" },
    { index: -1 },
    { index: 2 ** 53 },
    { index: 0.5 },
    { width: 0 },
    { width: 257 },
    { width: 1.5 },
  ]) {
    assert.throws(() => tilePath({ level: 0, index: 0, width: 256, ...wrong } as TileCoordinate), TypeError);
  }
});

test("widths follow the size", () => {
  assert.equal(partialWidth(0, 70_000), 70_000 % 256);
  assert.equal(partialWidth(1, 70_000), 273 % 256);
  assert.equal(partialWidth(2, 70_000), 1);
  assert.equal(partialWidth(3, 70_000), 0);
  assert.equal(partialWidth("entries", 257), 1);
  assert.equal(tileWidth(0, 273, 70_000), 112);
  assert.equal(tileWidth(0, 272, 70_000), 256);
  assert.equal(tileWidth(0, 274, 70_000), 0);
  assert.equal(tileWidth(1, 1, 70_000), 17);
  assert.equal(tileWidth("data", 0, 0), 0);
  assert.equal(tileWidth(7, 0, 2 ** 53 - 1), 0);
});

test("new tiles are the tiles of the new size that the old size had not", () => {
  const all = (size: number): string[] => {
    const paths: string[] = [];
    for (let level = 0; level < 4; level++) {
      for (let index = 0; tileWidth(level, index, size) > 0; index++)
        paths.push(tilePath({ level, index, width: tileWidth(level, index, size) }));
    }
    return paths;
  };
  fc.assert(
    fc.property(fc.nat(70_000), fc.nat(70_000), (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const old = new Set(all(from));
      assert.deepEqual(
        newTiles(from, to).map(tilePath),
        all(to).filter((path) => !old.has(path)),
      );
    }),
    { numRuns: 30 },
  );
  assert.deepEqual(newTiles(255, 257).map(tilePath), ["0/000", "0/001.p/1", "1/000.p/1"]);
  assert.deepEqual(newTiles(5, 5), []);
});

test("proofs come out of tiles as they come out of the tree", () => {
  const size = 2 * 256 + 77;
  const range = new CompactRange(h);
  const nodes = new Map<string, Uint8Array>();
  const leaves = Array.from({ length: size }, (_, i) => hashLeaf(h, utf8(`${i}`)));
  for (const leaf of leaves) range.append(leaf, (level, index, hash) => nodes.set(`${level}/${index}`, hash));
  const tiles = new Map(
    newTiles(0, size).map(({ level, index, width }) => [
      `${level}/${index}`,
      concat(...Array.from({ length: width }, (_, i) => nodes.get(`${8 * (level as number)}/${index * 256 + i}`)!)),
    ]),
  );
  const fromTiles = (level: number, index: number): Uint8Array => {
    const slice = tileOfNode(level, index);
    return hashSlice(h, tiles.get(`${slice.level}/${slice.index}`)!, slice);
  };
  for (const [key, hash] of nodes) {
    const [level, index] = key.split("/").map(Number) as [number, number];
    assert.deepEqual(fromTiles(level, index), hash, key);
  }
  for (const index of [0, 255, 256, 511, 512, size - 1]) {
    const proof = proveInclusion(h, index, size, fromTiles);
    checkInclusion(h, { index: BigInt(index), size: BigInt(size), leafHash: leaves[index]!, proof, root: range.root() });
  }
  assert.throws(() => hashSlice(h, tiles.get("0/2")!, tileOfNode(0, 512 + 77)), TypeError);
});
