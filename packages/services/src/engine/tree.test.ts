// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, equalBytes, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { checkInclusion, CompactRange, hashLeaf, hashSlice, HASH_LENGTH, proveInclusion, TILE_WIDTH } from "@lacre/core/merkle";
import fc from "fast-check";
import { Tree } from "./tree.ts";

const LEAVES = Array.from({ length: 66_100 }, (_, at) => hashLeaf(sha256, utf8(`${at}`)));

/** The library's tree, grown beside ours: nodes by level, and roots. */
function reference(size: number): { node: (level: number, index: number) => Uint8Array; root: Uint8Array } {
  const nodes = new Map<string, Uint8Array>();
  const range = new CompactRange(sha256);
  for (let at = 0; at < size; at++) range.append(LEAVES[at]!, (level, index, hash) => nodes.set(`${level}/${index}`, hash));
  return { node: (level, index) => nodes.get(`${level}/${index}`)!, root: range.root() };
}

function grown(size: number): Tree {
  const tree = new Tree();
  for (let at = 0; at < size; at++) tree.append(LEAVES[at]!);
  return tree;
}

test("has the library's root and proofs at any size", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1200 }), fc.double({ min: 0, max: 1, noNaN: true }), (size, part) => {
      const tree = grown(size);
      const { node, root } = reference(size);
      const view = tree.view()!;
      assert.ok(equalBytes(view.root, root));
      const index = Math.min(size - 1, Math.floor(part * size));
      const answer = tree.prove(index, view);
      assert.ok("proof" in answer);
      assert.deepEqual(answer.proof, proveInclusion(sha256, index, size, node));
    }),
    { numRuns: 60 },
  );
});

test("proves under an earlier view while it grows", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 0, max: 600 }), (size, more) => {
      const tree = grown(size);
      const view = tree.view()!;
      for (let at = size; at < size + more; at++) tree.append(LEAVES[at]!);
      for (const index of [0, size >> 1, size - 1]) {
        const answer = tree.prove(index, view);
        assert.ok("proof" in answer);
        checkInclusion(sha256, {
          index: BigInt(index),
          size: BigInt(size),
          leafHash: LEAVES[index]!,
          root: view.root,
          proof: answer.proof,
        });
      }
      assert.deepEqual(tree.view(size), view);
    }),
    { numRuns: 40 },
  );
});

test("rolled back and grown again it is as if nothing had been", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 1, max: 400 }), (size, undone) => {
      const tree = grown(size);
      const before = tree.view();
      for (let at = 0; at < undone; at++) tree.append(hashLeaf(sha256, utf8(`other ${at}`)));
      tree.rollback(size);
      assert.deepEqual(tree.view(), before);
      for (let at = size; at < size + undone; at++) tree.append(LEAVES[at]!);
      assert.deepEqual(tree.view(), grown(size + undone).view());
    }),
    { numRuns: 30 },
  );
});

test("restored from sealed tiles it goes on as before, and asks for the tiles that old proofs need", () => {
  const size = 66_048; // 258 bundles: a full tile of level 1, and two hashes beyond it.
  const { node, root } = reference(size);
  const tileAt = (level: number, index: number): Uint8Array =>
    concat(...Array.from({ length: TILE_WIDTH }, (_, at) => node(8 * level, index * TILE_WIDTH + at)));
  const tree = new Tree();
  const one = hashSlice(sha256, tileAt(0, 256), { from: 0, to: 256 });
  const two = hashSlice(sha256, tileAt(0, 257), { from: 0, to: 256 });
  tree.restore(size, [new Uint8Array(0), concat(one, two), node(16, 0)]);
  const view = tree.view()!;
  assert.ok(equalBytes(view.root, root));
  for (const index of [0, 12_345, 65_535, 65_536, 66_047]) {
    const answer = tree.prove(index, view);
    assert.ok("missing" in answer, `${index}`);
    for (const name of answer.missing) tree.load(name, tileAt(name.level, name.index));
    const again = tree.prove(index, view);
    assert.ok("proof" in again, `${index}`);
    assert.deepEqual(again.proof, proveInclusion(sha256, index, size, node));
  }
  for (let at = size; at < LEAVES.length; at++) tree.append(LEAVES[at]!);
  assert.ok(equalBytes(tree.view()!.root, reference(LEAVES.length).root));
});

test("never drops a tile that is not in a file yet, and stays small once they are", () => {
  const tree = grown(20_000);
  for (const index of [0, 30, 77]) assert.equal(tree.tile(0, index, TILE_WIDTH)?.length, TILE_WIDTH * HASH_LENGTH, `${index}`);
  const small = new Tree();
  for (let at = 0; at < 20_000; at++) {
    small.append(LEAVES[at]!);
    if (at % 1000 === 999) small.written(at + 1 - ((at + 1) % TILE_WIDTH));
  }
  assert.equal(small.tile(0, 0, TILE_WIDTH), undefined);
  assert.ok(equalBytes(small.view()!.root, tree.view()!.root));
});
