// SPDX-License-Identifier: Apache-2.0
/**
 * The public face of a log: tiles of hashes and bundles of entries (C2SP tlog-tiles), as files that never change.
 *
 * Only full tiles are files. A partial tile is a prefix of what the full one will be, so it is answered from memory at
 * the edge and cut from the full file later; nothing is written twice and nothing has to be swept up. Beside each bundle
 * stands `times/<N>`: when each of its entries was committed (u64 milliseconds, big-endian), which no bundle says.
 *
 * Files are written before the checkpoint that needs them (I5) but made durable only when a bundle is sealed; until then
 * the journal holds the entries. What a crash leaves between is written again at the next start.
 */
import { concat } from "@lacre/core/bytes";
import { HASH_LENGTH, TILE_WIDTH, tilePath, tileWidth, type TileCoordinate } from "@lacre/core/merkle";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import type { Personality } from "./personality.ts";
import type { TileName, Tree } from "./tree.ts";

/** A record with the time of the commit that brought it. */
export interface Stored {
  readonly record: Uint8Array;
  readonly timeMs: number;
}

/** A record that is not in a file yet, with its octets in a bundle. */
export interface Hot extends Stored {
  readonly framed: Uint8Array;
}

/** Bundles written at the same time. */
const AT_ONCE = 4;
/** Written bundles whose records stay in memory. */
const KEPT = 2;
/** Bundles read back and kept parsed. */
const CACHED = 64;

/** Name of a full tile's blob. */
export function tileName(level: TileCoordinate["level"], index: number): string {
  return `tile/${tilePath({ level, index, width: TILE_WIDTH })}`;
}

/** Name of the blob of times beside a bundle. */
export function timesName(index: number): string {
  return tileName(0, index).replace("tile/0/", "times/");
}

/** The times of a bundle's entries. */
export function encodeTimes(times: readonly number[]): Uint8Array {
  const out = new Uint8Array(8 * times.length);
  const view = new DataView(out.buffer);
  for (const [at, timeMs] of times.entries()) view.setBigUint64(8 * at, BigInt(timeMs));
  return out;
}

/** The reverse of `encodeTimes`, of a full bundle. Throws LOG_DAMAGED. */
export function decodeTimes(bytes: Uint8Array): number[] {
  if (bytes.length !== 8 * TILE_WIDTH)
    throw new ServiceError("LOG_DAMAGED", undefined, { detail: "a file of times has the wrong length" });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: TILE_WIDTH }, (_, at) => Number(view.getBigUint64(8 * at)));
}

export class Tiles {
  readonly #blobs: BlobStore;
  readonly #tree: Tree;
  readonly #personality: Personality;
  readonly #bundles: "entries" | "data";
  /** Committed records from `#from` on, a multiple of 256. */
  #hot: Hot[] = [];
  #from: number;
  /** Entries below are in files; below `#sealed` durably. Multiples of 256. */
  #written: number;
  #sealed: number;
  #unflushed: string[] = [];
  readonly #cold = new Map<number, readonly Stored[]>();

  /** Starts behind `sealed` entries whose files are durable. */
  constructor(blobs: BlobStore, tree: Tree, personality: Personality, sealed: number) {
    this.#blobs = blobs;
    this.#tree = tree;
    this.#personality = personality;
    this.#bundles = personality.bundles ?? "entries";
    this.#from = sealed;
    this.#written = sealed;
    this.#sealed = sealed;
  }

  /** Bundles written but not yet sealed. */
  get unsealed(): number {
    return (this.#written - this.#sealed) / TILE_WIDTH;
  }

  /** Entries below this size are durable in full bundles. A multiple of 256. */
  get sealed(): number {
    return this.#sealed;
  }

  /** A record that was committed as the next entry. */
  add(hot: Hot): void {
    this.#hot.push(hot);
  }

  /** Writes the full tiles and bundles of a tree of `size` leaves that are not written yet. */
  async write(size: number): Promise<void> {
    while (this.#written + TILE_WIDTH <= size) {
      const blobs: (readonly [string, Uint8Array])[] = [];
      const first = this.#written / TILE_WIDTH;
      const end = Math.min(Math.floor(size / TILE_WIDTH), first + AT_ONCE);
      for (let index = first; index < end; index++) blobs.push(...this.#blobsOf(index));
      await Promise.all(blobs.map(([name, bytes]) => this.#blobs.putImmutable(name, bytes)));
      for (const [name] of blobs) this.#unflushed.push(name);
      this.#written = end * TILE_WIDTH;
      this.#tree.written(this.#written);
      this.#drop();
    }
  }

  /** Forgets records that can be read back, but the latest, which are asked for most. */
  #drop(): void {
    const drop = this.#written - this.#from - KEPT * TILE_WIDTH;
    if (drop <= 0) return;
    this.#hot = this.#hot.slice(drop);
    this.#from += drop;
  }

  /** What is written when a bundle is full: the bundle, its times, and every tile that it completes. */
  *#blobsOf(index: number): Generator<readonly [string, Uint8Array]> {
    const at = index * TILE_WIDTH - this.#from;
    const hot = this.#hot.slice(at, at + TILE_WIDTH);
    yield [tileName(this.#bundles, index), concat(...hot.map(({ framed }) => framed))];
    yield [timesName(index), encodeTimes(hot.map(({ timeMs }) => timeMs))];
    yield [tileName(0, index), this.#fullTile(0, index)];
    for (let level = 1, above = index + 1; above % TILE_WIDTH === 0; level++) {
      above /= TILE_WIDTH;
      yield [tileName(level, above - 1), this.#fullTile(level, above - 1)];
    }
  }

  #fullTile(level: number, index: number): Uint8Array {
    const bytes = this.#tree.tile(level, index, TILE_WIDTH);
    if (bytes === undefined) throw new TypeError(`tile ${level}/${index} left memory before it was written`);
    return bytes;
  }

  /** Makes what was written durable and says up to where. */
  async seal(): Promise<number> {
    const names = this.#unflushed;
    const size = this.#written;
    this.#unflushed = [];
    await this.#blobs.flush(names);
    this.#sealed = size;
    return size;
  }

  /** A tile or bundle of a tree of `size` leaves; undefined where that tree has none such. */
  async read({ level, index, width }: TileCoordinate, size: number): Promise<Uint8Array | undefined> {
    if (width < 1 || width > tileWidth(level, index, size)) return undefined;
    if (typeof level === "number") {
      const hashes = this.#tree.tile(level, index, width) ?? (await this.#blobs.get(tileName(level, index)));
      return hashes?.slice(0, width * HASH_LENGTH);
    }
    if (level !== this.#bundles) return undefined;
    const first = index * TILE_WIDTH;
    if (width === TILE_WIDTH && first < this.#written) return this.#blobs.get(tileName(level, index));
    if (first >= this.#from)
      return concat(...this.#hot.slice(first - this.#from, first - this.#from + width).map(({ framed }) => framed));
    const stored = await this.#bundle(index);
    return stored && concat(...stored.slice(0, width).map(({ record }) => this.#personality.frame(record)));
  }

  /** A committed record; undefined beyond the end. */
  async record(index: number): Promise<Stored | undefined> {
    if (!Number.isSafeInteger(index) || index < 0) return undefined;
    return (
      this.hotRecord(index) ??
      (index < this.#from ? (await this.#bundle(Math.floor(index / TILE_WIDTH)))?.[index % TILE_WIDTH] : undefined)
    );
  }

  /** A committed record that is still in memory. */
  hotRecord(index: number): Hot | undefined {
    return index >= this.#from ? this.#hot[index - this.#from] : undefined;
  }

  async #bundle(index: number): Promise<readonly Stored[] | undefined> {
    const known = this.#cold.get(index);
    if (known !== undefined) {
      this.#cold.delete(index);
      this.#cold.set(index, known);
      return known;
    }
    const read = await readBundle(this.#blobs, this.#personality, index);
    if (read !== undefined) this.#cold.set(index, read);
    const [oldest] = this.#cold.keys();
    if (this.#cold.size > CACHED && oldest !== undefined) this.#cold.delete(oldest);
    return read;
  }

  /** Brings a full tile into the tree's memory. LOG_DAMAGED where its file is missing or not a full tile. */
  async load(name: TileName): Promise<void> {
    this.#tree.load(name, await readTile(this.#blobs, name));
  }
}

/** The bytes of a full hash tile. */
export async function readTile(blobs: BlobStore, { level, index }: TileName): Promise<Uint8Array> {
  const bytes = await blobs.get(tileName(level, index));
  if (bytes?.length !== TILE_WIDTH * HASH_LENGTH) {
    throw new ServiceError("LOG_DAMAGED", undefined, {
      detail: `${tileName(level, index)} is ${bytes === undefined ? "missing" : "not a full tile"}`,
    });
  }
  return bytes;
}

/** A full bundle with the times beside it; undefined where there is none. */
export async function readBundle(
  blobs: BlobStore,
  personality: Personality,
  index: number,
): Promise<readonly Stored[] | undefined> {
  const [bundle, times] = await Promise.all([
    blobs.get(tileName(personality.bundles ?? "entries", index)),
    blobs.get(timesName(index)),
  ]);
  if (bundle === undefined) return undefined;
  const records = personality.unframe(bundle);
  if (records.length !== TILE_WIDTH || times === undefined) {
    throw new ServiceError("LOG_DAMAGED", undefined, { detail: `bundle ${index} is not full, or has no times beside it` });
  }
  const at = decodeTimes(times);
  return records.map((record, place) => ({ record, timeMs: at[place]! }));
}
