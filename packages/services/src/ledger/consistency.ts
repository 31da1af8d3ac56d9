// SPDX-License-Identifier: Apache-2.0
/** Consistency proofs and old roots, computed from a log's own tiles. */
import { sha256 } from "@lacre/core/crypto";
import {
  consistencyNodes,
  emptyRoot,
  foldRight,
  hashSlice,
  proveConsistency,
  TILE_WIDTH,
  tileOfNode,
  tileWidth,
  type NodeCoordinate,
} from "@lacre/core/merkle";
import type { Log } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";

/** How a tree grew. */
export interface Growth {
  /** Root of the larger tree. */
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** The proof that the tree of `oldSize` leaves is the beginning of the one of `newSize`; both are published sizes or smaller. */
export async function proveGrowth(log: Log, oldSize: number, newSize: number): Promise<Growth> {
  const whole = cover(newSize);
  const plan = consistencyNodes(oldSize, newSize);
  const node = await loadNodes(log, [...whole, ...plan.flat()]);
  const root =
    newSize === 0
      ? emptyRoot(sha256)
      : foldRight(
          sha256,
          whole.map(({ level, index }) => node(level, index)),
        );
  return { root, proof: proveConsistency(sha256, oldSize, newSize, node) };
}

// The complete subtrees side by side that make a tree: one for each bit of its size, the largest first.
function cover(size: number): NodeCoordinate[] {
  const nodes: NodeCoordinate[] = [];
  let start = 0;
  while (start < size) {
    let level = 0;
    while (start + 2 ** (level + 1) <= size) level++;
    nodes.push({ level, index: start / 2 ** level });
    start += 2 ** level;
  }
  return nodes;
}

async function loadNodes(log: Log, nodes: readonly NodeCoordinate[]): Promise<(level: number, index: number) => Uint8Array> {
  const tiles = new Map<string, Uint8Array>();
  const size = log.size;
  for (const { level, index } of nodes) {
    const slice = tileOfNode(level, index);
    const name = `${slice.level}/${slice.index}`;
    if (tiles.has(name)) continue;
    const width = Math.min(TILE_WIDTH, tileWidth(slice.level, slice.index, size));
    const tile = await log.readTile({ level: slice.level, index: slice.index, width });
    if (tile === undefined)
      throw new ServiceError("LOG_DAMAGED", undefined, { detail: `tile ${name} of ${log.origin} cannot be read` });
    tiles.set(name, tile);
  }
  return (level, index) => {
    const slice = tileOfNode(level, index);
    return hashSlice(sha256, tiles.get(`${slice.level}/${slice.index}`)!, slice);
  };
}
