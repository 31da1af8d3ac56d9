// SPDX-License-Identifier: Apache-2.0
/** Reading a tile log and proving what was read. */
export { type CertificateEntry, decodeTileLeaf, tileLeafInput, unframeTileLeaves } from "./certificates.ts";
export {
  completeSubtrees,
  createLogReader,
  type LogReader,
  type LogReaderOptions,
  type ProvenEntry,
  type TreeState,
  unframeEntries,
} from "./reader.ts";
export { fetchTiles, type TileSource } from "./source.ts";
