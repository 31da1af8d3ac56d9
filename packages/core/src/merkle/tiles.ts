// SPDX-License-Identifier: Apache-2.0
/**
 * Tile coordinates (C2SP tlog-tiles; static-ct-api for `data`): a log cut into files that never change.
 *
 * Tile `index` at tile level L holds the hashes of the nodes at tree level 8·L from 256·index on: 256 of them when full,
 * `width` of them when the tree ends inside. The path is `<L>/<N>` or `<L>/<N>.p/<W>`; N in groups of three digits, all
 * but the last behind an x (1234067 is x001/x234/067). Entry bundles take `entries` (or `data`) in place of the level and
 * hold the leaves themselves. A full tile starts with the bytes of each of its partial versions.
 */
import { LacreError } from "../errors.ts";
import { foldRight, HASH_LENGTH, type Sha256 } from "./tree.ts";

/** Hashes in a full tile. */
export const TILE_WIDTH = 256;
/** Tree levels that one tile level spans. */
export const TILE_HEIGHT = 8;
const MAX_LEVEL = 63;

export interface TileCoordinate {
  /** Tile level 0–63, or the kind of an entry bundle: `entries` (tlog-tiles), `data` (static-ct-api). */
  readonly level: number | "entries" | "data";
  readonly index: number;
  /** Hashes or entries inside: 1–256, where 256 is a full tile. */
  readonly width: number;
}

/** Path of a tile below `tile/`. */
export function tilePath({ level, index, width }: TileCoordinate): string {
  if (
    typeof level === "number"
      ? !Number.isInteger(level) || level < 0 || level > MAX_LEVEL
      : level !== "entries" && level !== "data"
  ) {
    throw new TypeError(`not a tile level: ${level}`);
  }
  if (!Number.isSafeInteger(index) || index < 0) throw new TypeError(`not a tile index: ${index}`);
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) throw new TypeError(`not a tile width: ${width}`);
  let left = Math.floor(index / 1000);
  let path = `${index % 1000}`.padStart(3, "0");
  while (left > 0) {
    path = `x${`${left % 1000}`.padStart(3, "0")}/${path}`;
    left = Math.floor(left / 1000);
  }
  return width === TILE_WIDTH ? `${level}/${path}` : `${level}/${path}.p/${width}`;
}

const PATH = /^(entries|data|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** The tile of a path below `tile/`. Throws BAD_TILE_PATH for any spelling but the one that `tilePath` gives. */
export function parseTilePath(path: string): TileCoordinate {
  const [, level, groups, width] = PATH.exec(path) ?? [];
  if (level !== undefined && groups !== undefined) {
    const coordinate: TileCoordinate = {
      level: level === "entries" || level === "data" ? level : Number(level),
      index: Number(groups.replaceAll(/[x/]/g, "")),
      width: width === undefined ? TILE_WIDTH : Number(width),
    };
    const allowed =
      (typeof coordinate.level !== "number" || coordinate.level <= MAX_LEVEL) &&
      Number.isSafeInteger(coordinate.index) &&
      (width === undefined || coordinate.width < TILE_WIDTH);
    if (allowed && tilePath(coordinate) === path) return coordinate;
  }
  throw new LacreError("BAD_TILE_PATH", "not the path of a tile", { found: path.slice(0, 80) });
}

/** Nodes at the lowest tree level of tile level `level` in a tree of `size` leaves (entries: level 0). */
function nodesAt(level: number | "entries" | "data", size: number): number {
  return typeof level === "number" ? Math.floor(size / TILE_WIDTH ** level) : size;
}

/** How much of a tile exists in a tree of `size` leaves: 0 (nothing) to 256 (full). */
export function tileWidth(level: number | "entries" | "data", index: number, size: number): number {
  return Math.max(0, Math.min(TILE_WIDTH, nodesAt(level, size) - TILE_WIDTH * index));
}

/** Width of the last, partial tile at a level of a tree of `size` leaves; 0 when there is none. */
export function partialWidth(level: number | "entries" | "data", size: number): number {
  return nodesAt(level, size) % TILE_WIDTH;
}

/**
 * The hash tiles that a tree of `newSize` leaves has and one of `oldSize` had not: full ones and, at each level that
 * grew, the partial one at its end. Lowest level first, left to right.
 */
export function newTiles(oldSize: number, newSize: number): TileCoordinate[] {
  const tiles: TileCoordinate[] = [];
  for (let level = 0; nodesAt(level, newSize) > 0; level++) {
    const before = nodesAt(level, oldSize);
    const after = nodesAt(level, newSize);
    if (after === before) continue;
    for (let index = Math.floor(before / TILE_WIDTH); index * TILE_WIDTH < after; index++) {
      tiles.push({ level, index, width: tileWidth(level, index, newSize) });
    }
  }
  return tiles;
}

/** Where the hash of a node is found: the hashes `from` to `to` (exclusive) of tile `index` at `level`, whose fold it is. */
export interface TileSlice {
  readonly level: number;
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** The part of a tile that a complete subtree comes from. The tile must be at least `to` wide. */
export function tileOfNode(nodeLevel: number, nodeIndex: number): TileSlice {
  const level = Math.floor(nodeLevel / TILE_HEIGHT);
  const count = 2 ** (nodeLevel % TILE_HEIGHT);
  const first = nodeIndex * count;
  const index = Math.floor(first / TILE_WIDTH);
  const from = first - index * TILE_WIDTH;
  return { level, index, from, to: from + count };
}

/** The hash of the complete subtree that a slice of a tile stands for; `tile` holds at least `to` hashes. */
export function hashSlice(h: Sha256, tile: Uint8Array, { from, to }: { readonly from: number; readonly to: number }): Uint8Array {
  if (to * HASH_LENGTH > tile.length) throw new TypeError(`tile has no hash ${to - 1}`);
  let row: Uint8Array[] = [];
  for (let i = from; i < to; i++) row.push(tile.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH));
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i + 1 < row.length; i += 2) above.push(foldRight(h, [row[i]!, row[i + 1]!]));
    row = above;
  }
  return row[0]!;
}
