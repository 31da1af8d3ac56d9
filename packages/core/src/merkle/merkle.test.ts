// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { hash as nodeHash } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { fromBase64, fromHex, toHex, utf8 } from "../bytes/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import {
  checkConsistency,
  checkInclusion,
  consistencyNodes,
  inclusionNodes,
  inclusionRoot,
  proveConsistency,
  proveInclusion,
} from "./proof.ts";
import { CompactRange, emptyRoot, hashLeaf, hashNode } from "./tree.ts";

const h = (data: Uint8Array): Uint8Array => new Uint8Array(nodeHash("sha256", data, "buffer"));

function refuses(run: () => unknown, code: LacreCode = "PROOF_MISMATCH"): void {
  assert.throws(run, (error) => error instanceof LacreError && error.code === code);
}

// The definitions of RFC 6962, section 2.1, word for word: the oracle.
function largestPower(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return h(new Uint8Array(0));
  if (leaves.length === 1) return leaves[0]!;
  const k = largestPower(leaves.length);
  return hashNode(h, mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}
function path(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = largestPower(leaves.length);
  return m < k
    ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}
function subproof(m: number, leaves: readonly Uint8Array[], known: boolean): Uint8Array[] {
  if (m === leaves.length) return known ? [] : [mth(leaves)];
  const k = largestPower(leaves.length);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), known), mth(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}

const LEAVES = Array.from({ length: 70 }, (_, i) => hashLeaf(h, utf8(`leaf ${i}`)));
const NODES = new Map<string, Uint8Array>();
const ROOTS: Uint8Array[] = [emptyRoot(h)];
{
  const range = new CompactRange(h);
  for (const leaf of LEAVES) {
    range.append(leaf, (level, index, hash) => NODES.set(`${level}/${index}`, hash));
    ROOTS.push(range.root());
  }
}
function node(level: number, index: number): Uint8Array {
  const found = NODES.get(`${level}/${index}`);
  assert.ok(found, `asked for an incomplete node ${level}/${index}`);
  return found;
}

test("hashes leaves and nodes apart, and the empty tree (RFC 6962 2.1)", () => {
  assert.equal(toHex(emptyRoot(h)), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(toHex(hashLeaf(h, new Uint8Array(0))), toHex(h(Uint8Array.of(0))));
  assert.equal(toHex(hashNode(h, fromHex("aa"), fromHex("bb"))), toHex(h(Uint8Array.of(1, 0xaa, 0xbb))));
});

test("grows to the roots of the definition", () => {
  for (let n = 0; n <= LEAVES.length; n++) assert.deepEqual(ROOTS[n], mth(LEAVES.slice(0, n)), `size ${n}`);
});

test("announces each complete subtree once, with its hash", () => {
  for (let level = 0; 2 ** level <= LEAVES.length; level++) {
    for (let index = 0; (index + 1) * 2 ** level <= LEAVES.length; index++) {
      assert.deepEqual(node(level, index), mth(LEAVES.slice(index * 2 ** level, (index + 1) * 2 ** level)));
    }
  }
  assert.equal(NODES.size, 70 + 35 + 17 + 8 + 4 + 2 + 1);
});

test("goes on from its saved hashes, and a clone goes its own way", () => {
  const range = new CompactRange(h);
  for (let n = 0; n < LEAVES.length; n++) {
    const again = new CompactRange(h, n, range.hashes());
    const copy = range.clone();
    copy.append(LEAVES[0]!);
    range.append(LEAVES[n]!);
    again.append(LEAVES[n]!);
    assert.deepEqual(again.root(), ROOTS[n + 1]);
    assert.deepEqual(range.root(), ROOTS[n + 1]);
    assert.equal(range.size, n + 1);
  }
});

test("wants as many hashes as the size has subtrees", () => {
  assert.throws(() => new CompactRange(h, 3, [LEAVES[0]!]), TypeError);
  assert.throws(() => new CompactRange(h, 2 ** 40, []), TypeError);
  assert.throws(() => new CompactRange(h, 1, [new Uint8Array(31)]), TypeError);
  assert.throws(() => new CompactRange(h, -1), TypeError);
  assert.ok(new CompactRange(h, 2 ** 52, [LEAVES[0]!]).root());
});

test("proves inclusion of every leaf at every size, as the definition does", () => {
  for (let size = 1; size <= LEAVES.length; size++) {
    for (let index = 0; index < size; index++) {
      const proof = proveInclusion(h, index, size, node);
      assert.deepEqual(proof, path(index, LEAVES.slice(0, size)));
      checkInclusion(h, { index: BigInt(index), size: BigInt(size), leafHash: LEAVES[index]!, proof, root: ROOTS[size]! });
    }
  }
});

test("proves consistency of every pair of sizes, as the definition does", () => {
  for (let newSize = 0; newSize <= LEAVES.length; newSize++) {
    for (let oldSize = 0; oldSize <= newSize; oldSize++) {
      const proof = proveConsistency(h, oldSize, newSize, node);
      if (oldSize > 0) assert.deepEqual(proof, subproof(oldSize, LEAVES.slice(0, newSize), true));
      const claim = {
        oldSize: BigInt(oldSize),
        newSize: BigInt(newSize),
        oldRoot: ROOTS[oldSize]!,
        newRoot: ROOTS[newSize]!,
        proof,
      };
      checkConsistency(h, claim);
      refuses(() => checkConsistency(h, { ...claim, proof: [...proof, LEAVES[0]!] }));
      if (proof.length > 0) {
        refuses(() => checkConsistency(h, { ...claim, proof: proof.slice(1) }));
        refuses(() => checkConsistency(h, { ...claim, proof: proof.slice(0, -1) }));
      }
      if (oldSize > 0) refuses(() => checkConsistency(h, { ...claim, oldRoot: LEAVES[1]! }));
      if (oldSize > 0 || newSize === 0) refuses(() => checkConsistency(h, { ...claim, newRoot: LEAVES[1]! }));
    }
  }
});

test("an inclusion proof holds for its own leaf, index, size, hashes and root only", () => {
  for (const size of [1, 2, 3, 5, 8, 13, 33, 64, 70]) {
    for (const index of new Set([0, size >> 1, size - 1])) {
      const claim = {
        index: BigInt(index),
        size: BigInt(size),
        leafHash: LEAVES[index]!,
        proof: path(index, LEAVES.slice(0, size)),
        root: ROOTS[size]!,
      };
      checkInclusion(h, claim);
      refuses(() => checkInclusion(h, { ...claim, leafHash: h(utf8("other")) }));
      refuses(() => checkInclusion(h, { ...claim, root: h(utf8("other")) }));
      refuses(() => checkInclusion(h, { ...claim, proof: [...claim.proof, LEAVES[0]!] }));
      if (size > 1) refuses(() => checkInclusion(h, { ...claim, proof: claim.proof.slice(0, -1) }));
      claim.proof.forEach((_, i) =>
        refuses(() => checkInclusion(h, { ...claim, proof: claim.proof.with(i, LEAVES[0]!.with(0, 1)) })),
      );
      for (let other = 0; other < size; other++) {
        if (other !== index) refuses(() => checkInclusion(h, { ...claim, index: BigInt(other) }));
      }
    }
  }
});

test("refuses an index outside the tree, also beyond 2^53, and the empty tree", () => {
  const claim = { index: 0n, size: 1n, leafHash: LEAVES[0]!, proof: [], root: LEAVES[0]! };
  checkInclusion(h, claim);
  refuses(() => checkInclusion(h, { ...claim, index: 1n }));
  refuses(() => checkInclusion(h, { ...claim, size: 0n }));
  refuses(() => checkInclusion(h, { ...claim, index: -1n }));
  refuses(() => checkInclusion(h, { ...claim, index: -1n, size: 0n }));
  const beyond = (1n << 53n) + 1n;
  refuses(() => checkInclusion(h, { ...claim, index: beyond, size: beyond }));
  refuses(() => checkInclusion(h, { ...claim, size: beyond }));
  // 2^53 and 2^53 + 1 are one double: only the exact size may pass.
  const left = LEAVES[1]!;
  const last = { index: 1n << 53n, size: beyond, leafHash: LEAVES[0]!, proof: [left], root: hashNode(h, left, LEAVES[0]!) };
  checkInclusion(h, last);
  refuses(() => checkInclusion(h, { ...last, size: beyond + 1n }));
  refuses(() => checkInclusion(h, { ...last, index: beyond }));
});

test("refuses hashes of another length", () => {
  const claim = { index: 0n, size: 2n, leafHash: LEAVES[0]!, proof: [LEAVES[1]!], root: ROOTS[2]! };
  checkInclusion(h, claim);
  refuses(() => checkInclusion(h, { ...claim, leafHash: claim.leafHash.subarray(1) }));
  refuses(() => checkInclusion(h, { ...claim, proof: [new Uint8Array(33)] }));
  refuses(() => checkInclusion(h, { ...claim, root: claim.root.subarray(1) }));
  refuses(() => inclusionRoot(h, { ...claim, proof: [new Uint8Array(0)] }));
});

test("the number of hashes is checked by itself, not only through the root they lead to", () => {
  const x = LEAVES[9]!;
  const [l0, l1, l2, l3] = LEAVES as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  // Roots made to fit proofs of the wrong length.
  refuses(() => checkInclusion(h, { index: 0n, size: 1n, leafHash: l0, proof: [x], root: hashNode(h, x, l0) }));
  refuses(() =>
    checkInclusion(h, { index: 1n, size: 2n, leafHash: l1, proof: [l0, x], root: hashNode(h, x, hashNode(h, l0, l1)) }),
  );
  refuses(() => checkInclusion(h, { index: 0n, size: 2n, leafHash: l0, proof: [], root: l0 }));
  const proof = [l2, l3, hashNode(h, l0, l1)];
  checkConsistency(h, { oldSize: 3n, newSize: 4n, oldRoot: ROOTS[3]!, newRoot: ROOTS[4]!, proof });
  refuses(() =>
    checkConsistency(h, {
      oldSize: 3n,
      newSize: 4n,
      oldRoot: hashNode(h, x, ROOTS[3]!),
      newRoot: hashNode(h, x, ROOTS[4]!),
      proof: [...proof, x],
    }),
  );
  refuses(() => checkConsistency(h, { oldSize: 3n, newSize: 4n, oldRoot: ROOTS[3]!, newRoot: ROOTS[4]!, proof: [] }));
  refuses(() => checkConsistency(h, { oldSize: 1n, newSize: 2n, oldRoot: l0, newRoot: l0, proof: [] }));
});

test("refuses a tree that shrinks", () => {
  refuses(() => checkConsistency(h, { oldSize: 2n, newSize: 1n, oldRoot: ROOTS[2]!, newRoot: ROOTS[2]!, proof: [] }));
  refuses(() => checkConsistency(h, { oldSize: -1n, newSize: 1n, oldRoot: ROOTS[1]!, newRoot: ROOTS[1]!, proof: [ROOTS[1]!] }));
  refuses(() => checkConsistency(h, { oldSize: 2n, newSize: 1n, oldRoot: ROOTS[2]!, newRoot: ROOTS[1]!, proof: [] }));
  refuses(() => checkConsistency(h, { oldSize: -1n, newSize: 1n, oldRoot: ROOTS[0]!, newRoot: ROOTS[1]!, proof: [] }));
});

test("no random proof passes, and none breaks the checker", () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const size = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });
  fc.assert(
    fc.property(size, size, hash, hash, fc.array(hash, { maxLength: 64 }), (a, b, one, two, proof) => {
      refuses(() => checkInclusion(h, { index: a, size: b, leafHash: one, proof, root: two }));
      refuses(() => checkConsistency(h, { oldSize: a, newSize: b, oldRoot: one, newRoot: two, proof }));
    }),
  );
});

test("plans proofs of very large trees without touching their leaves", () => {
  const size = 2 ** 52 + 12345;
  for (const index of [0, 1, 2 ** 51, size - 1]) {
    const steps = inclusionNodes(index, size);
    assert.ok(steps.length <= 53);
    for (const step of steps) for (const { level, index: at } of step) assert.ok((at + 1) * 2 ** level <= size);
  }
  assert.ok(consistencyNodes(2 ** 51 + 7, size).length > 0);
});

test("planning outside the tree is misuse", () => {
  for (const [index, size] of [
    [1, 1],
    [-1, 1],
    [0, 0],
    [0.5, 1],
    [0, 2 ** 53],
  ] as const)
    assert.throws(() => inclusionNodes(index, size), TypeError);
  for (const [from, to] of [
    [2, 1],
    [-1, 1],
    [0, 0.5],
  ] as const)
    assert.throws(() => consistencyNodes(from, to), TypeError);
});

test("the one-leaf tree of a Rekor v2 body has the published root", () => {
  const body =
    '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"YiHWH9uHDkhlWZbtQngXGwk+PYB53EuKtsZVBlWrQjE="},"signature":{"content":"MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA=="}}}}}}';
  const leaf = hashLeaf(h, utf8(body));
  assert.equal(toHex(leaf), "3a64cb9531071b4f27a77567108161e3063bef4799aab5f3c30cb0eda4ab9ae3");
  assert.deepEqual(leaf, fromBase64("OmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM="));
});
