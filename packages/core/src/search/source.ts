// SPDX-License-Identifier: Apache-2.0
/** Where a log's files and parts of them come from: a server that knows range requests, a folder, or bytes at hand. */
import { type ClientOptions, readRange } from "../client/index.ts";
import { fetchTiles, type TileSource } from "../log/index.ts";

/** Files by their path below the log's address. */
export interface SearchSource {
  /** A file, or undefined when there is none. May throw: then nothing is known about it. */
  readonly file: TileSource;
  /** Octets of a file from `offset` on: `length` of them, or fewer where it ends; undefined when there is no such file. */
  readonly range: (path: string, offset: number, length: number) => Promise<Uint8Array | undefined>;
}

/** A page is at most 8 KiB; a server without range requests sends the file. */
const MAX_RANGE_BYTES = 64 << 20;

/** Reads from `<options.url>/<path>`: `http://localhost:7800/api/v2` for a Rekor v2 ledger. */
export function fetchSearch(options: ClientOptions): SearchSource {
  const limited = { maxBytes: MAX_RANGE_BYTES, ...options };
  return { file: fetchTiles(options), range: (path, offset, length) => readRange(limited, path, { offset, length }, "the log") };
}
