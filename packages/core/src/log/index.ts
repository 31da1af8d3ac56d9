// SPDX-License-Identifier: Apache-2.0
/** Reading a tile log and proving what was read. */
export { createLogReader, type LogReader, type LogReaderOptions, type ProvenEntry, unframeEntries } from "./reader.ts";
export { fetchTiles, type TileSource } from "./source.ts";
