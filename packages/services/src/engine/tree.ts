// SPDX-License-Identifier: Apache-2.0
/**
 * The growing edge of a log's tree, in memory: every node of the tiles that are being filled or were filled lately.
 *
 * A tile is kept with all the nodes above its hashes (511 of them), so that appending, the root and the proofs for recent
 * entries cost no hashing twice and no reading. Older tiles come back through `load` when a proof asks for one.
 *
 * Appending runs ahead of the commit: nodes beyond the committed size are only ever overwritten by `rollback` and
 * another `append`, and no reader looks beyond the size it holds a `View` of.
 */
import { sha256 } from "@lacre/core/crypto";
import {
  consistencyNodes,
  emptyRoot,
  foldRight,
  HASH_LENGTH,
  TILE_HEIGHT,
  TILE_WIDTH,
  proveConsistency,
  tileWidth,
} from "@lacre/core/merkle";

/** What proofs need to know of one size: the maximal complete subtrees and, for each, the fold of those right of it. */
export interface View {
  readonly size: number;
  readonly root: Uint8Array;
  /** Left to right, with their levels and where they start. */
  readonly peaks: readonly Peak[];
}

interface Peak {
  readonly level: number;
  readonly first: number;
  readonly hash: Uint8Array;
  /** Root over all peaks right of this one; undefined for the last. */
  readonly right: Uint8Array | undefined;
}

/** Names a full tile that has to be loaded before a question can be answered. */
export interface TileName {
  readonly level: number;
  readonly index: number;
}

const NODES = 2 * TILE_WIDTH - 1;

/** Where the nodes of one height start among a tile's nodes: 256 hashes, then 128, … then the root. */
function rowStart(height: number): number {
  return 2 * TILE_WIDTH - ((2 * TILE_WIDTH) >> height);
}

class Tile {
  readonly nodes: Uint8Array = new Uint8Array(NODES * HASH_LENGTH);
  /** 0x01 and two hashes: the input of a node's hash (RFC 6962 section 2.1), used again and again. */
  readonly #pair: Uint8Array = new Uint8Array(1 + 2 * HASH_LENGTH).fill(1, 0, 1);

  get(height: number, at: number): Uint8Array {
    const from = (rowStart(height) + at) * HASH_LENGTH;
    return this.nodes.subarray(from, from + HASH_LENGTH);
  }

  set(height: number, at: number, hash: Uint8Array): void {
    this.nodes.set(hash, (rowStart(height) + at) * HASH_LENGTH);
  }

  /** Makes the nodes that the hash at this place completes. */
  join(at: number): void {
    for (let height = 0; at % 2 === 1; height++) {
      at >>= 1;
      // Siblings lie side by side.
      const from = (rowStart(height) + 2 * at) * HASH_LENGTH;
      this.#pair.set(this.nodes.subarray(from, from + 2 * HASH_LENGTH), 1);
      this.set(height + 1, at, sha256(this.#pair));
    }
  }
}

/** Tiles kept per level; at least half of them are the latest. */
const KEPT = 64;

export class Tree {
  #size = 0;
  /** Leaves whose full tiles can be read back from files: only those tiles may be dropped. */
  #written = 0;
  /** Per tile level, by index. Maps keep insertion order: the first is the oldest. */
  readonly #tiles: Map<number, Tile>[] = [];

  get size(): number {
    return this.#size;
  }

  #find(level: number, index: number): Tile | undefined {
    return this.#tiles[level]?.get(index);
  }

  #make(level: number, index: number): Tile {
    const tiles = (this.#tiles[level] ??= new Map());
    let tile = tiles.get(index);
    if (tile === undefined) {
      tile = new Tile();
      tiles.set(index, tile);
      if (tiles.size > KEPT) this.#forget(level);
    }
    return tile;
  }

  /** Drops the oldest full tile that the edge does not need. */
  #forget(level: number): void {
    const tiles = this.#tiles[level]!;
    const whole = Math.floor(this.#written / TILE_WIDTH ** (level + 1));
    // The latest are those that proofs are asked for; a published view may be some groups behind the edge.
    for (const index of tiles.keys()) {
      if (index < whole - KEPT / 2) {
        tiles.delete(index);
        return;
      }
    }
  }

  /** Tells that the full tiles of a tree of `size` leaves can be read back. */
  written(size: number): void {
    this.#written = Math.max(this.#written, size);
  }

  /** Adds a leaf. */
  append(leafHash: Uint8Array): void {
    let hash = leafHash;
    let index = this.#size;
    for (let level = 0; ; level++) {
      const at = index % TILE_WIDTH;
      index = (index - at) / TILE_WIDTH;
      const tile = this.#make(level, index);
      tile.set(0, at, hash);
      tile.join(at);
      if (at < TILE_WIDTH - 1) break;
      // A full tile's root is a hash of the tile above.
      hash = tile.get(TILE_HEIGHT, 0);
    }
    this.#size++;
  }

  /** A node of a complete subtree, where its tile is at hand. */
  #node(level: number, index: number): Uint8Array | undefined {
    const height = level % TILE_HEIGHT;
    const width = TILE_WIDTH >> height;
    return this.#find((level - height) / TILE_HEIGHT, Math.floor(index / width))?.get(height, index % width);
  }

  /** Takes leaves back, down to `size`, which must be at most a group behind. */
  rollback(size: number): void {
    this.#size = size;
  }

  /** Takes in the bytes of a full tile that was sealed earlier. */
  load({ level, index }: TileName, bytes: Uint8Array): void {
    if (bytes.length !== TILE_WIDTH * HASH_LENGTH) throw new TypeError("not a full tile");
    this.#fill(this.#make(level, index), bytes);
  }

  #fill(tile: Tile, bytes: Uint8Array): void {
    tile.nodes.set(bytes);
    for (let at = 0; at < bytes.length / HASH_LENGTH; at++) tile.join(at);
  }

  /**
   * Starts from `size` leaves that are sealed: a multiple of 256, whose edge tiles are handed in lowest level first (the
   * hashes that a level has beyond its last full tile; empty where it has none). Level 0 has none by definition.
   */
  restore(size: number, edges: readonly Uint8Array[]): void {
    if (size % TILE_WIDTH !== 0) throw new TypeError("only whole bundles are sealed");
    this.#size = size;
    this.#written = size;
    for (const [level, bytes] of edges.entries()) {
      if (bytes.length > 0) this.#fill(this.#make(level, Math.floor(size / TILE_WIDTH ** (level + 1))), bytes);
    }
  }

  /** The view of the size that is now, or of an earlier one whose edge is still at hand; undefined when it is not. */
  view(size: number = this.#size): View | undefined {
    if (size === 0) return { size, root: emptyRoot(sha256), peaks: [] };
    const found: { level: number; first: number; hash: Uint8Array }[] = [];
    let first = 0;
    for (let level = Math.floor(Math.log2(size)) + 1; level >= 0; level--) {
      const span = 2 ** level;
      if (first + span > size) continue;
      const hash = this.#node(level, first / span);
      if (hash === undefined) return undefined;
      found.push({ level, first, hash: hash.slice() });
      first += span;
    }
    const peaks: Peak[] = [];
    let right: Uint8Array | undefined;
    for (const peak of found.toReversed()) {
      peaks.unshift({ ...peak, right });
      right = right === undefined ? peak.hash : foldRight(sha256, [peak.hash, right]);
    }
    return { size, root: right!, peaks };
  }

  /** The tiles that must be loaded before `view(size)` can answer. */
  missingForView(size: number): TileName[] {
    const missing: TileName[] = [];
    let first = 0;
    for (let level = Math.floor(Math.log2(Math.max(1, size))) + 1; level >= 0; level--) {
      const span = 2 ** level;
      if (first + span > size) continue;
      if (this.#node(level, first / span) === undefined) missing.push(this.#tileOf(level, first / span));
      first += span;
    }
    return missing;
  }

  #tileOf(level: number, index: number): TileName {
    const height = level % TILE_HEIGHT;
    return { level: (level - height) / TILE_HEIGHT, index: Math.floor(index / (TILE_WIDTH >> height)) };
  }

  /** The inclusion proof of a leaf in a view, or the tiles to load first. */
  prove(index: number, { size, peaks }: View): { readonly proof: Uint8Array[] } | { readonly missing: TileName[] } {
    if (!(index >= 0 && index < size)) throw new TypeError(`no leaf ${index} among ${size}`);
    let place = 0;
    while (index >= peaks[place]!.first + 2 ** peaks[place]!.level) place++;
    const peak = peaks[place]!;
    const proof: Uint8Array[] = [];
    const missing: TileName[] = [];
    let at = index;
    for (let level = 0; level < peak.level; level++) {
      const sibling = at % 2 === 0 ? at + 1 : at - 1;
      const hash = this.#node(level, sibling);
      if (hash !== undefined) proof.push(hash.slice());
      else {
        const name = this.#tileOf(level, sibling);
        if (!missing.some((known) => known.level === name.level && known.index === name.index)) missing.push(name);
      }
      at = Math.floor(at / 2);
    }
    if (missing.length > 0) return { missing };
    if (peak.right !== undefined) proof.push(peak.right);
    for (let left = place - 1; left >= 0; left--) proof.push(peaks[left]!.hash);
    return { proof };
  }

  /** The proof that the tree of `size` leaves is the beginning of a view, or the tiles to load first. */
  proveGrowth(size: number, view: View): { readonly proof: Uint8Array[] } | { readonly missing: TileName[] } {
    const missing: TileName[] = [];
    for (const { level, index } of consistencyNodes(size, view.size).flat()) {
      const name = this.#tileOf(level, index);
      if (
        this.#node(level, index) === undefined &&
        !missing.some((known) => known.level === name.level && known.index === name.index)
      )
        missing.push(name);
    }
    if (missing.length > 0) return { missing };
    return { proof: proveConsistency(sha256, size, view.size, (level, index) => this.#node(level, index)!.slice()) };
  }

  /** The first `width` hashes of a tile, where it is at hand and that full in the tree as it is now. */
  tile(level: number, index: number, width: number): Uint8Array | undefined {
    if (width > tileWidth(level, index, this.#size)) return undefined;
    return this.#find(level, index)?.nodes.slice(0, width * HASH_LENGTH);
  }
}
