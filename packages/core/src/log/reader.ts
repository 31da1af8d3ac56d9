// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a tile log (C2SP tlog-tiles) and proves what it reads.
 *
 * The source is believed in nothing. A checkpoint counts once the log's key has signed it; an entry counts once its leaf
 * hash leads, through hashes from tiles, to the root of a checkpoint; a later checkpoint counts as the same log once the
 * earlier tree is proved to be its beginning. What a lying source can do is refuse.
 *
 * Tiles are kept, up to a number, because neighbouring proofs share nearly all of theirs. A partial tile may vanish when
 * the tree has grown past it; then the full one is read and its beginning used, as the format promises.
 */
import {
  type Checkpoint,
  checkNoteSignature,
  checkSigned,
  createVerifierKey,
  noteKeyId,
  parseCheckpoint,
} from "../bundle/index.ts";
import { ByteReader, equalBytes, text } from "../bytes/index.ts";
import { type PublicKey, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import {
  checkConsistency,
  checkInclusion,
  consistencyNodes,
  emptyRoot,
  foldRight,
  HASH_LENGTH,
  hashLeaf,
  hashSlice,
  inclusionNodes,
  type NodeCoordinate,
  proveConsistency,
  proveInclusion,
  type ProofStep,
  TILE_WIDTH,
  tileOfNode,
  tilePath,
  tileWidth,
  type TileCoordinate,
} from "../merkle/index.ts";
import type { TileSource } from "./source.ts";

/** Where a log's files are, and what its checkpoints must be signed with. */
export interface LogReaderOptions {
  readonly source: TileSource;
  /** First line of the log's checkpoints. */
  readonly origin: string;
  /** Name it signs them under. Default: the origin; Rekor v1 logs have another. */
  readonly name?: string | undefined;
  readonly key: PublicKey;
  /** How its checkpoints are signed. Default `note`; CT logs sign a `treeHead`. */
  readonly signature?: "note" | "treeHead";
  /** Kind of the entry bundles. Default `entries`. */
  readonly bundles?: "entries" | "data";
  /** The entries of a bundle, in order. Default: each behind its length in two octets (tlog-tiles). */
  readonly unframe?: (bundle: Uint8Array) => readonly Uint8Array[];
  /** What of an entry is hashed as its leaf. Default: all of it. */
  readonly leafInput?: (entry: Uint8Array) => Uint8Array;
  /** Tiles kept. Default 512. */
  readonly maxTiles?: number;
}

/** An entry that was proved to be in the log. */
export interface ProvenEntry {
  readonly index: number;
  readonly entry: Uint8Array;
  readonly leafHash: Uint8Array;
  /** Its inclusion proof in the checkpoint's tree. */
  readonly proof: readonly Uint8Array[];
}

/** Reads a tile log; what it returns is proved against a checkpoint that the log signed. */
export interface LogReader {
  /** The log's current checkpoint, its signature verified. Throws CHECKPOINT_INVALID, CHECKPOINT_UNSIGNED, SIGNATURE_INVALID, LOG_INCOMPLETE. */
  checkpoint(): Promise<Checkpoint>;
  /** An entry and its proof. Throws PROOF_MISMATCH, also for an index outside; LOG_INCOMPLETE. */
  entry(index: number, checkpoint: TreeState): Promise<ProvenEntry>;
  /** The entries from `from` to `to` (exclusive), each proved. */
  entries(from: number, to: number, checkpoint: TreeState): AsyncGenerator<ProvenEntry>;
  /**
   * The entries from `from` to `to` (exclusive), proved as a whole: each tile of their leaf hashes once. Several times as
   * fast as `entries`, which makes every entry's own proof.
   */
  leaves(from: number, to: number, checkpoint: TreeState): AsyncGenerator<Omit<ProvenEntry, "proof">>;
  /** The proof that leaf `index` with this hash is in the checkpoint's tree, checked. */
  proveInclusion(index: number, leafHash: Uint8Array, checkpoint: TreeState): Promise<Uint8Array[]>;
  /** The root that the tree had at an earlier size, proved to be its beginning, with the proof. */
  rootAt(size: number, checkpoint: TreeState): Promise<{ readonly root: Uint8Array; readonly proof: readonly Uint8Array[] }>;
  /** Proves that the older checkpoint's tree is the beginning of the newer one's, and returns the proof. */
  proveConsistency(older: TreeState, newer: TreeState): Promise<Uint8Array[]>;
}

/** A tree, as checkpoints name it. */
export type TreeState = Pick<Checkpoint, "size" | "root">;

const FETCHED_AT_ONCE = 16;

/** A reader of the log with this origin and key. */
export function createLogReader(options: LogReaderOptions): LogReader {
  const {
    source,
    origin,
    name = origin,
    key,
    signature = "note",
    bundles = "entries",
    unframe = unframeEntries,
    leafInput = (entry) => entry,
    maxTiles = 512,
  } = options;
  const kept = new Map<string, Uint8Array>();

  async function tile(level: number | "entries" | "data", index: number, size: number): Promise<Uint8Array> {
    const width = tileWidth(level, index, size);
    const coordinate: TileCoordinate = { level, index, width };
    const path = tilePath(coordinate);
    const known = kept.get(path);
    if (known !== undefined) return known;
    let bytes = await source(`tile/${path}`);
    if (bytes === undefined && width < TILE_WIDTH) bytes = await source(`tile/${tilePath({ ...coordinate, width: TILE_WIDTH })}`);
    if (bytes === undefined && typeof level === "number" && level > 0 && width < TILE_WIDTH)
      bytes = await joinTiles(level, index, width);
    if (bytes === undefined)
      throw new LacreError("LOG_INCOMPLETE", "the log lacks a tile that its checkpoint promises", { expected: `tile/${path}` });
    if (typeof level === "number") {
      if (bytes.length < width * HASH_LENGTH)
        throw new LacreError("LOG_INCOMPLETE", "a tile is shorter than its name says", {
          expected: `${width * HASH_LENGTH} octets of tile/${path}`,
          found: `${bytes.length}`,
        });
      bytes = bytes.subarray(0, width * HASH_LENGTH);
    }
    if (kept.size >= maxTiles) kept.delete(kept.keys().next().value!);
    kept.set(path, bytes);
    return bytes;
  }

  /** A partial tile made of the full ones below it: plain web servers have no others. Undefined where they lack one too. */
  async function joinTiles(level: number, index: number, width: number): Promise<Uint8Array | undefined> {
    const joined = new Uint8Array(width * HASH_LENGTH);
    for (let from = 0; from < width; from += FETCHED_AT_ONCE) {
      const below = await Promise.all(
        Array.from({ length: Math.min(FETCHED_AT_ONCE, width - from) }, (_, at) =>
          source(`tile/${tilePath({ level: level - 1, index: index * TILE_WIDTH + from + at, width: TILE_WIDTH })}`),
        ),
      );
      for (const [at, tile] of below.entries()) {
        if (tile?.length !== TILE_WIDTH * HASH_LENGTH) return undefined;
        joined.set(hashSlice(sha256, tile, { from: 0, to: TILE_WIDTH }), (from + at) * HASH_LENGTH);
      }
    }
    return joined;
  }

  /** Loads every tile that a plan needs and that is not at hand, then hands out its nodes. */
  async function nodes(
    plan: readonly ProofStep[],
    size: number,
    atHand?: readonly [name: string, tile: Uint8Array],
  ): Promise<(level: number, index: number) => Uint8Array> {
    const tiles = new Map<string, Uint8Array>(atHand === undefined ? [] : [atHand]);
    for (const { level, index } of plan.flat()) {
      const slice = tileOfNode(level, index);
      const name = `${slice.level}/${slice.index}`;
      if (!tiles.has(name)) tiles.set(name, await tile(slice.level, slice.index, size));
    }
    return (level, index) => {
      const slice = tileOfNode(level, index);
      return hashSlice(sha256, tiles.get(`${slice.level}/${slice.index}`)!, slice);
    };
  }

  async function proveLeaf(
    index: number,
    leafHash: Uint8Array,
    checkpoint: TreeState,
    atHand?: readonly [name: string, tile: Uint8Array],
  ): Promise<Uint8Array[]> {
    const size = sizeOf(checkpoint);
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
      throw new LacreError("PROOF_MISMATCH", "the index is outside the tree", {
        expected: `0 to ${size - 1}`,
        found: `${index}`,
      });
    }
    const proof = proveInclusion(sha256, index, size, await nodes(inclusionNodes(index, size), size, atHand));
    checkInclusion(sha256, { index: BigInt(index), size: checkpoint.size, leafHash, proof, root: checkpoint.root });
    return proof;
  }

  async function bundle(index: number, size: number): Promise<readonly Uint8Array[]> {
    const entries = unframe(await tile(bundles, index, size));
    const width = tileWidth(bundles, index, size);
    if (entries.length < width)
      throw new LacreError("LOG_INCOMPLETE", "an entry bundle holds fewer entries than its name says", {
        expected: `${width}`,
        found: `${entries.length}`,
      });
    return entries;
  }

  async function* readEntries(from: number, to: number, checkpoint: TreeState): AsyncGenerator<ProvenEntry> {
    const size = sizeOf(checkpoint);
    let entries: readonly Uint8Array[] = [];
    let loaded = -1;
    for (let index = from; index < to; index++) {
      const at = Math.floor(index / TILE_WIDTH);
      if (at !== loaded && index < size) {
        entries = await bundle(at, size);
        loaded = at;
      }
      const entry = entries[index % TILE_WIDTH] ?? new Uint8Array(0);
      const leafHash = hashLeaf(sha256, leafInput(entry));
      yield { index, entry, leafHash, proof: await proveLeaf(index, leafHash, checkpoint) };
    }
  }

  async function* readLeaves(from: number, to: number, checkpoint: TreeState): AsyncGenerator<Omit<ProvenEntry, "proof">> {
    const size = sizeOf(checkpoint);
    if (to > size)
      throw new LacreError("PROOF_MISMATCH", "the index is outside the tree", {
        expected: `0 to ${size - 1}`,
        found: `${to - 1}`,
      });
    for (let at = Math.floor(from / TILE_WIDTH); at * TILE_WIDTH < to; at++) {
      const [entries, hashes] = [await bundle(at, size), await tile(0, at, size)];
      // The proof of any leaf is made of all the other hashes of its tile: what leads to the root is the tile.
      const first = at * TILE_WIDTH;
      await proveLeaf(first, hashes.subarray(0, HASH_LENGTH), checkpoint, [`0/${at}`, hashes]);
      for (let index = Math.max(from, first); index < Math.min(to, first + TILE_WIDTH); index++) {
        const place = index - first;
        const entry = entries[place]!;
        const leafHash = hashLeaf(sha256, leafInput(entry));
        if (!equalBytes(leafHash, hashes.subarray(place * HASH_LENGTH, (place + 1) * HASH_LENGTH)))
          throw new LacreError("PROOF_MISMATCH", `entry ${index} is not the one that the tree has`);
        yield { index, entry, leafHash };
      }
    }
  }

  return {
    leaves: readLeaves,
    async checkpoint() {
      const bytes = await source("checkpoint");
      if (bytes === undefined) throw new LacreError("LOG_INCOMPLETE", "the log has no checkpoint");
      const checkpoint = parseCheckpoint(text(bytes));
      if (checkpoint.origin !== origin)
        throw new LacreError("CHECKPOINT_INVALID", "the checkpoint is another log's", {
          expected: origin,
          found: checkpoint.origin,
        });
      if (signature === "treeHead") checkSigned(checkpoint, createVerifierKey(name, "rfc6962", key));
      else checkNoteSignature({ note: checkpoint.note, name, keyHint: noteKeyId(name, key).subarray(0, 4), key });
      return checkpoint;
    },
    async entry(index, checkpoint) {
      for await (const proven of readEntries(index, index + 1, checkpoint)) return proven;
      throw new LacreError("PROOF_MISMATCH", "the index is outside the tree", { found: `${index}` });
    },
    entries: readEntries,
    proveInclusion: (index, leafHash, checkpoint) => proveLeaf(index, leafHash, checkpoint),
    async rootAt(size, checkpoint) {
      const whole = sizeOf(checkpoint);
      if (!Number.isSafeInteger(size) || size < 0 || size > whole)
        throw new LacreError("PROOF_MISMATCH", "the log had no such size", { expected: `0 to ${whole}`, found: `${size}` });
      const nodesOf = completeSubtrees(size);
      const node = await nodes([nodesOf], whole);
      const root =
        size === 0
          ? emptyRoot(sha256)
          : foldRight(
              sha256,
              nodesOf.map(({ level, index }) => node(level, index)),
            );
      const proof = size === 0 ? [] : proveConsistency(sha256, size, whole, await nodes(consistencyNodes(size, whole), whole));
      checkConsistency(sha256, {
        oldSize: BigInt(size),
        oldRoot: root,
        newSize: checkpoint.size,
        newRoot: checkpoint.root,
        proof,
      });
      return { root, proof };
    },
    async proveConsistency(older, newer) {
      const [oldSize, newSize] = [sizeOf(older), sizeOf(newer)];
      if (oldSize > newSize)
        throw new LacreError("PROOF_MISMATCH", "the log has shrunk", { expected: `at least ${oldSize}`, found: `${newSize}` });
      const proof =
        oldSize === 0 ? [] : proveConsistency(sha256, oldSize, newSize, await nodes(consistencyNodes(oldSize, newSize), newSize));
      checkConsistency(sha256, { oldSize: older.size, oldRoot: older.root, newSize: newer.size, newRoot: newer.root, proof });
      return proof;
    },
  };
}

function sizeOf({ size }: TreeState): number {
  if (size > BigInt(Number.MAX_SAFE_INTEGER))
    throw new LacreError("TOO_LARGE", "the tree is larger than can be read", { found: `${size}` });
  return Number(size);
}

/** The complete subtrees side by side that make a tree of `size` leaves, the largest first. */
export function completeSubtrees(size: number): NodeCoordinate[] {
  const found: NodeCoordinate[] = [];
  for (let start = 0; start < size;) {
    let level = 0;
    while (start + 2 ** (level + 1) <= size) level++;
    found.push({ level, index: start / 2 ** level });
    start += 2 ** level;
  }
  return found;
}

/** The entries of a bundle: each behind its length in two octets. Throws TRUNCATED. */
export function unframeEntries(bundle: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bundle);
  const entries: Uint8Array[] = [];
  while (reader.left > 0) {
    if (entries.length === TILE_WIDTH) throw new LacreError("TOO_LARGE", "an entry bundle holds more than 256 entries");
    entries.push(reader.vector(2));
  }
  return entries;
}
