// SPDX-License-Identifier: Apache-2.0
/**
 * Where a log's files come from: a server, a folder, or bytes at hand. Paths are those of C2SP tlog-tiles:
 * `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`.
 */
import { type ClientOptions, readResource } from "../client/index.ts";

/** The file at a path, or undefined when there is none. May throw: then nothing is known about it. */
export type TileSource = (path: string) => Promise<Uint8Array | undefined>;

/** An entry bundle may hold 256 entries of 65,535 octets. */
const MAX_TILE_BYTES = 256 * 65_537;

/** Reads from `<options.url>/<path>`: `http://localhost:7800/api/v2` for a Rekor v2 ledger. */
export function fetchTiles(options: ClientOptions): TileSource {
  return (path) => readResource({ maxBytes: MAX_TILE_BYTES, ...options }, path, "the log");
}
