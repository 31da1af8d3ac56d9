// SPDX-License-Identifier: Apache-2.0
/**
 * Inclusion and consistency proofs (RFC 9162 sections 2.1.3 and 2.1.4; RFC 6962 sections 2.1.1 and 2.1.2).
 *
 * To prove, a plan of the complete subtrees needed is made first, without any hash at hand: a reader of tiles fetches
 * them all at once. To check, indices and sizes are bigints: they come from strangers and may be larger than a double is
 * exact for. A proof has exactly the hashes it needs: one too many or too few is a mismatch, as is an index outside.
 */
import { equalBytes, toHex } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { emptyRoot, foldRight, HASH_LENGTH, hashNode, type Sha256 } from "./tree.ts";

/** A complete subtree: node `index` (from the left) at `level` (leaves are 0). */
export interface NodeCoordinate {
  readonly level: number;
  readonly index: number;
}

/** Gives the hash of a complete subtree; a missing one is the giver's error to throw. */
export type NodeSource = (level: number, index: number) => Uint8Array;

/** One hash of a proof: the complete subtrees side by side, left to right, whose fold it is. */
export type ProofStep = readonly NodeCoordinate[];

// Complete subtrees that cover the leaves from `start` (a multiple of a power of two no smaller than the rest) to `end`.
function cover(start: number, end: number): NodeCoordinate[] {
  const nodes: NodeCoordinate[] = [];
  let at = start;
  while (at < end) {
    let level = 0;
    let width = 1;
    while (at + 2 * width <= end) {
      width *= 2;
      level++;
    }
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

// The largest power of two below n, for n > 1.
function split(n: number): number {
  let width = 1;
  while (2 * width < n) width *= 2;
  return width;
}

/** The plan of an inclusion proof: one step per hash, the leaf's sibling first. `index` is below `size`. */
export function inclusionNodes(index: number, size: number): ProofStep[] {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new TypeError(`no leaf ${index} in a tree of ${size}`);
  }
  const steps: ProofStep[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      steps.push(cover(middle, end));
      end = middle;
    } else {
      steps.push(cover(start, middle));
      start = middle;
    }
  }
  return steps.toReversed();
}

/** The plan of a consistency proof between trees of two sizes, the first no larger than the second. */
export function consistencyNodes(oldSize: number, newSize: number): ProofStep[] {
  if (!Number.isSafeInteger(newSize) || !Number.isSafeInteger(oldSize) || oldSize < 0 || oldSize > newSize) {
    throw new TypeError(`no tree of ${oldSize} within one of ${newSize}`);
  }
  // By convention nothing needs proving from the empty tree; RFC 9162 leaves it undefined.
  if (oldSize === 0) return [];
  const steps: ProofStep[] = [];
  let start = 0;
  let end = newSize;
  while (oldSize !== end) {
    const middle = start + split(end - start);
    if (oldSize <= middle) {
      steps.push(cover(middle, end));
      end = middle;
    } else {
      steps.push(cover(start, middle));
      start = middle;
    }
  }
  // The old tree itself is known to the verifier when it is the whole left part.
  if (start > 0) steps.push(cover(start, end));
  return steps.toReversed();
}

function hashes(h: Sha256, steps: readonly ProofStep[], node: NodeSource): Uint8Array[] {
  return steps.map((step) =>
    foldRight(
      h,
      step.map(({ level, index }) => node(level, index)),
    ),
  );
}

/** The proof that leaf `index` is in the tree of `size` leaves. */
export function proveInclusion(h: Sha256, index: number, size: number, node: NodeSource): Uint8Array[] {
  return hashes(h, inclusionNodes(index, size), node);
}

/** The proof that the tree of `newSize` leaves begins with the tree of `oldSize`. */
export function proveConsistency(h: Sha256, oldSize: number, newSize: number, node: NodeSource): Uint8Array[] {
  return hashes(h, consistencyNodes(oldSize, newSize), node);
}

function mismatch(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("PROOF_MISMATCH", message, detail);
}

function checkHashes(proof: readonly Uint8Array[], ...more: readonly Uint8Array[]): void {
  for (const hash of [...more, ...proof]) {
    if (hash.length !== HASH_LENGTH)
      throw mismatch("a hash of the proof has the wrong length", { expected: "32 octets", found: `${hash.length}` });
  }
}

/** The statement that a leaf is in a tree. */
export interface Inclusion {
  readonly index: bigint;
  readonly size: bigint;
  readonly leafHash: Uint8Array;
  /** Hashes from the leaf upwards. */
  readonly proof: readonly Uint8Array[];
}

/** The root that an inclusion proof leads to. Throws PROOF_MISMATCH when the proof has not the shape that index and size ask for. */
export function inclusionRoot(h: Sha256, { index, size, leafHash, proof }: Inclusion): Uint8Array {
  if (index < 0n || index >= size)
    throw mismatch("index is not inside the tree", { expected: `below ${size}`, found: `${index}` });
  checkHashes(proof, leafHash);
  return size <= LARGEST_NUMBER
    ? climbNumbers(h, Number(index), Number(size - 1n), leafHash, proof)
    : climbLarge(h, index, size - 1n, leafHash, proof);
}

// Up to here numbers are exact. No log has more leaves; what a stranger claims may.
const LARGEST_NUMBER = BigInt(Number.MAX_SAFE_INTEGER);

// RFC 9162 section 2.1.3.2, as climbLarge has it, without an allocation a step.
function climbNumbers(h: Sha256, index: number, end: number, leafHash: Uint8Array, proof: readonly Uint8Array[]): Uint8Array {
  let node = index;
  let last = end;
  let root = leafHash;
  const join = joiner(h);
  for (const hash of proof) {
    if (last === 0) throw mismatch("proof has too many hashes", { found: `${proof.length}` });
    if (node % 2 === 1 || node === last) {
      root = join(hash, root);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else root = join(root, hash);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw mismatch("proof has too few hashes", { found: `${proof.length}` });
  return root;
}

// One buffer for all steps: what `hashNode` would allocate each time.
function joiner(h: Sha256): (left: Uint8Array, right: Uint8Array) => Uint8Array {
  const input = new Uint8Array(1 + 2 * HASH_LENGTH);
  input[0] = 1;
  return (left, right) => {
    input.set(left, 1);
    input.set(right, 1 + HASH_LENGTH);
    return h(input);
  };
}

function climbLarge(h: Sha256, index: bigint, end: bigint, leafHash: Uint8Array, proof: readonly Uint8Array[]): Uint8Array {
  let node = index;
  let last = end;
  let root = leafHash;
  const join = joiner(h);
  for (const hash of proof) {
    if (last === 0n) throw mismatch("proof has too many hashes", { found: `${proof.length}` });
    if (node % 2n === 1n || node === last) {
      root = join(hash, root);
      while (node % 2n === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else root = join(root, hash);
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw mismatch("proof has too few hashes", { found: `${proof.length}` });
  return root;
}

/** Proves that the leaf is in the tree with this root. Throws PROOF_MISMATCH. */
export function checkInclusion(h: Sha256, claim: Inclusion & { readonly root: Uint8Array }): void {
  checkHashes([], claim.root);
  const found = inclusionRoot(h, claim);
  if (!equalBytes(found, claim.root))
    throw mismatch("proof leads to another root", { expected: toHex(claim.root), found: toHex(found) });
}

/** The statement that one tree is the beginning of another. */
export interface Consistency {
  readonly oldSize: bigint;
  readonly oldRoot: Uint8Array;
  readonly newSize: bigint;
  readonly newRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Proves that the new tree begins with the old one: nothing was changed or removed. Throws PROOF_MISMATCH. */
export function checkConsistency(h: Sha256, { oldSize, oldRoot, newSize, newRoot, proof }: Consistency): void {
  checkHashes(proof, oldRoot, newRoot);
  if (oldSize < 0n || oldSize > newSize)
    throw mismatch("the old tree is larger than the new", { expected: `at most ${newSize}`, found: `${oldSize}` });
  if (oldSize === newSize || oldSize === 0n) {
    if (proof.length > 0) throw mismatch("proof has too many hashes", { expected: "0", found: `${proof.length}` });
    checkRoot("old", oldRoot, oldSize === newSize ? newRoot : emptyRoot(h));
    if (newSize === 0n) checkRoot("new", newRoot, emptyRoot(h));
    return;
  }
  let node = oldSize - 1n;
  let last = newSize - 1n;
  while (node % 2n === 1n) {
    node >>= 1n;
    last >>= 1n;
  }
  // When the old tree is one complete subtree its root starts the path and is not repeated in the proof.
  const path = node === 0n ? [oldRoot, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) throw mismatch("proof has too few hashes", { found: "0" });
  let oldFound = first;
  let newFound = first;
  for (const hash of rest) {
    if (last === 0n) throw mismatch("proof has too many hashes", { found: `${proof.length}` });
    if (node % 2n === 1n || node === last) {
      oldFound = hashNode(h, hash, oldFound);
      newFound = hashNode(h, hash, newFound);
      while (node % 2n === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else newFound = hashNode(h, newFound, hash);
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw mismatch("proof has too few hashes", { found: `${proof.length}` });
  checkRoot("old", oldRoot, oldFound);
  checkRoot("new", newRoot, newFound);
}

function checkRoot(which: string, expected: Uint8Array, found: Uint8Array): void {
  if (!equalBytes(expected, found))
    throw mismatch(`proof leads to another ${which} root`, { expected: toHex(expected), found: toHex(found) });
}
