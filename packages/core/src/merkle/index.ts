// SPDX-License-Identifier: Apache-2.0
/** Merkle trees of transparency logs: growing, proving, checking, and cutting into tiles. The hash is handed in. */
export {
  checkConsistency,
  checkInclusion,
  consistencyNodes,
  inclusionNodes,
  inclusionRoot,
  proveConsistency,
  proveInclusion,
  type Consistency,
  type Inclusion,
  type NodeCoordinate,
  type NodeSource,
  type ProofStep,
} from "./proof.ts";
export {
  hashSlice,
  newTiles,
  parseTilePath,
  partialWidth,
  TILE_HEIGHT,
  TILE_WIDTH,
  tileOfNode,
  tilePath,
  tileWidth,
  type TileCoordinate,
  type TileSlice,
} from "./tiles.ts";
export { CompactRange, emptyRoot, foldRight, HASH_LENGTH, hashLeaf, hashNode, type NodeObserver, type Sha256 } from "./tree.ts";
