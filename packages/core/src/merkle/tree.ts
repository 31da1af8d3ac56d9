// SPDX-License-Identifier: Apache-2.0
/**
 * The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1.1), grown leaf by leaf.
 *
 * A leaf is hashed as H(0x00 ‖ leaf), a node as H(0x01 ‖ left ‖ right), the empty tree as H(""). Node `index` at
 * `level` stands for the complete subtree over the leaves index·2^level … (index+1)·2^level − 1. The hash function is
 * handed in: this room does arithmetic only.
 */

import { concat } from "../bytes/index.ts";

/** SHA-256: 32 octets out. */
export type Sha256 = (data: Uint8Array) => Uint8Array;

/** Octets of a hash. */
export const HASH_LENGTH = 32;

const LEAF_PREFIX = Uint8Array.of(0);

/** Hash of a leaf's content. */
export function hashLeaf(h: Sha256, leaf: Uint8Array): Uint8Array {
  return h(concat(LEAF_PREFIX, leaf));
}

/** Hash of a node over its children's hashes. */
export function hashNode(h: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + left.length + right.length);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + left.length);
  return h(input);
}

/** Root of the tree without leaves. */
export function emptyRoot(h: Sha256): Uint8Array {
  return h(new Uint8Array(0));
}

/** Root over complete subtrees that stand side by side, largest first; at least one. */
export function foldRight(h: Sha256, hashes: readonly Uint8Array[]): Uint8Array {
  let root = hashes[hashes.length - 1]!;
  for (let i = hashes.length - 2; i >= 0; i--) root = hashNode(h, hashes[i]!, root);
  return root;
}

/** Told of each complete subtree the moment its last leaf arrives: the leaf itself (level 0), then its ancestors. */
export type NodeObserver = (level: number, index: number, hash: Uint8Array) => void;

/**
 * A tree's right edge: all that is needed to append and to know the root, about log2(size) hashes. Sizes are below 2^53.
 */
export class CompactRange {
  readonly #h: Sha256;
  readonly #hashes: Uint8Array[];
  #size: number;

  /** The tree of `size` leaves whose maximal complete subtrees have these roots, left to right. */
  constructor(h: Sha256, size = 0, hashes: readonly Uint8Array[] = []) {
    if (!Number.isSafeInteger(size) || size < 0) throw new TypeError(`not a size: ${size}`);
    let expected = 0;
    for (let left = size; left > 0; left = Math.floor(left / 2)) expected += left % 2;
    if (hashes.length !== expected || hashes.some((hash) => hash.length !== HASH_LENGTH)) {
      throw new TypeError(`a tree of size ${size} has ${expected} maximal subtrees, not ${hashes.length}`);
    }
    this.#h = h;
    this.#size = size;
    this.#hashes = [...hashes];
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a leaf by its hash. */
  append(leafHash: Uint8Array, onNode?: NodeObserver): void {
    let hash = leafHash;
    let index = this.#size;
    onNode?.(0, index, hash);
    for (let level = 1; index % 2 === 1; level++) {
      hash = hashNode(this.#h, this.#hashes.pop()!, hash);
      index = (index - 1) / 2;
      onNode?.(level, index, hash);
    }
    this.#hashes.push(hash);
    this.#size++;
  }

  /** Root of the tree as it is now. */
  root(): Uint8Array {
    return this.#size === 0 ? emptyRoot(this.#h) : foldRight(this.#h, this.#hashes);
  }

  /** Roots of the maximal complete subtrees, left to right: what the constructor takes. */
  hashes(): Uint8Array[] {
    return [...this.#hashes];
  }

  /** An independent copy, to try a batch on. */
  clone(): CompactRange {
    return new CompactRange(this.#h, this.#size, this.#hashes);
  }
}
