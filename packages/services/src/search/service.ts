// SPDX-License-Identifier: Apache-2.0
/**
 * Search in one log: a query in, the entries out that have the keys, with the size up to which that is complete. No HTTP.
 *
 * The index gives candidates; each is read from the log and its keys derived again, so what the index holds by chance is
 * never an answer. An answer with proof is one that this service has checked as a stranger would, by the same reader, and
 * carries the pages that it took.
 */
import { toBase64, utf8 } from "@lacre/core/bytes";
import type { PrivateKey } from "@lacre/core/crypto";
import type { EntryFacts } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { parseTilePath, type TileCoordinate } from "@lacre/core/merkle";
import {
  anyOf,
  collectPlaces,
  entriesAt,
  type IndexShape,
  type KeyMemory,
  keyPrefix,
  keysOfCertificateEntry,
  keysOfEntry,
  lookUp,
  mayHavePayload,
  openIndexRoot,
  openPage,
  type Page,
  parseSearchKey,
  payloadPath,
  ROOT_PATH,
  segmentPath,
  type Match,
  type SearchSource,
} from "@lacre/core/search";
import type { Log, Logger } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import { SearchIndex } from "./search-index.ts";

export interface SearchOptions {
  readonly log: Log;
  /** Where the log's files are. */
  readonly blobs: BlobStore;
  readonly kind: "artifacts" | "certificates";
  /** Name in the log's signatures. */
  readonly name: string;
  readonly key: PrivateKey;
  readonly now: () => number;
  readonly logger?: Logger | undefined;
  readonly shape?: IndexShape | undefined;
  readonly cachedPages?: number | undefined;
  readonly entriesAtStart?: number | undefined;
  readonly entriesInMemory?: number | undefined;
  readonly publishMs?: number | undefined;
}

export interface Query {
  /** As `parseSearchKey` reads them; at least one. */
  readonly keys: readonly string[];
  readonly match: Match;
  /** Entries behind this index. */
  readonly after?: number | undefined;
  readonly limit: number;
}

/** An entry that has the keys. */
export interface Found {
  readonly index: number;
  readonly leafHash: Uint8Array;
  readonly record: Uint8Array;
  readonly keys: readonly string[];
}

export interface Answer {
  /** The answer holds for the first `size` entries. */
  readonly size: number;
  readonly entries: readonly Found[];
  /** `after` for the rest; undefined: there is none. */
  readonly next: number | undefined;
}

/** Octets of an index file that a proof rests on. */
export interface ProvedRange {
  readonly path: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** An answer with what a reader needs to prove it. */
export interface ProvedAnswer extends Answer {
  /** Each with its inclusion proof in the checkpoint's tree. */
  readonly entries: readonly (Found & { readonly proof: readonly Uint8Array[] })[];
  readonly checkpoint: string;
  readonly indexRoot: string;
  readonly pages: readonly ProvedRange[];
}

export interface SearchService {
  readonly index: SearchIndex;
  /** Throws SEARCH_KEY_INVALID; OVERLOADED while a damaged part of the index is made again. */
  search(query: Query): Promise<Answer>;
  /** As `search`, with proofs and the pages of the index that prove it. */
  prove(query: Query): Promise<ProvedAnswer>;
  /**
   * Indices of all published entries that meet every criterion, each by any of its keys, in order: what the v1 dialect asks.
   * Throws SEARCH_TOO_BROAD for more than `most`, 10,000 unless given.
   */
  find(criteria: readonly (readonly string[])[], most?: number): Promise<readonly number[]>;
  /** The newest published checkpoint. */
  checkpoint(): string;
  /** A tile or bundle of the published tree. */
  readTile(tile: TileCoordinate): Promise<Uint8Array | undefined>;
  /** A file below the log's address, or a part of it: the index's own, checkpoint, tiles, what is kept beside entries. */
  readonly files: SearchSource;
  close(): Promise<void>;
}

/** Candidates looked up at a time. */
const CHUNK = 64;
/** Entries of an answer that has no pages. */
const MOST = 10_000;

/** Prefixes of keys that return all the time (issuers, domains, repositories), and the names that they follow from. */
class Memory {
  readonly names: KeyMemory = new Map();
  readonly #prefixes = new Map<string, number>();

  prefixOf(key: string): number {
    const known = this.#prefixes.get(key);
    if (known !== undefined) return known;
    const prefix = keyPrefix(key);
    // Hashes are hardly ever asked for twice.
    if (/^(?:issuer|domain|under|identity):/.test(key)) {
      if (this.#prefixes.size >= REMEMBERED) this.#prefixes.clear();
      this.#prefixes.set(key, prefix);
    }
    return prefix;
  }

  /** Makes room before more is remembered. */
  trim(): void {
    if (this.names.size >= REMEMBERED) this.names.clear();
  }
}

const REMEMBERED = 8192;

/** Opens search on a log, before its first `append`. */
export async function openSearch(o: SearchOptions): Promise<SearchService> {
  const { log, blobs, kind, name } = o;
  const memory = new Memory();

  function keysOf(record: Uint8Array, leafHash: Uint8Array, facts?: EntryFacts): readonly string[] | Promise<readonly string[]> {
    memory.trim();
    if (kind === "certificates") return keysOfCertificateEntry(record, leafHash, memory.names);
    if (facts === undefined && mayHavePayload(record))
      return blobs.get(payloadPath(leafHash)).then((payload) => keysOfEntry(record, leafHash, payload, undefined, memory.names));
    return keysOfEntry(record, leafHash, undefined, facts, memory.names);
  }

  const prefixes = (keys: readonly string[]): number[] => keys.map((key) => memory.prefixOf(key));
  const index = await SearchIndex.open({
    ...o,
    // The ledger tells what it has read on the way in, of kinds that have no payload beside them.
    keys: (record, leafHash, known) => {
      const keys = keysOf(record, leafHash, kind === "artifacts" ? (known as EntryFacts | undefined) : undefined);
      return Array.isArray(keys) ? prefixes(keys) : (keys as Promise<readonly string[]>).then(prefixes);
    },
  });

  /** Entries that meet every criterion, from `from` to `end` (exclusive), with those of their keys that were asked for. */
  async function* matching(
    criteria: readonly (readonly string[])[],
    from: number,
    end: number,
    chunk: number,
  ): AsyncGenerator<Found> {
    const places = criteria.map((keys) => anyOf(keys.map((key) => index.places(memory.prefixOf(key)))));
    for (let least = from; ;) {
      const candidates = await collectPlaces(places, "all", least, chunk);
      for (const at of candidates) {
        if (at >= end) return;
        const entry = await log.entry(at);
        if (entry === undefined)
          throw new ServiceError("LOG_DAMAGED", undefined, { detail: `entry ${at} of ${log.origin} cannot be read` });
        const own = new Set(await keysOf(entry.record, entry.leafHash));
        if (criteria.every((keys) => keys.some((key) => own.has(key)))) {
          yield {
            index: at,
            leafHash: entry.leafHash,
            record: entry.record,
            keys: criteria.flat().filter((key) => own.has(key)),
          };
        }
      }
      if (candidates.length < chunk) return;
      least = candidates.at(-1)! + 1;
    }
  }

  const files: SearchSource = {
    async file(path) {
      if (path === "checkpoint") return utf8(log.checkpoint());
      if (path === ROOT_PATH) return utf8(index.root);
      if (path.startsWith("tile/")) return log.readTile(parseTilePath(path.slice(5)));
      return blobs.get(path);
    },
    range: (path, offset, length) => blobs.read(path, offset, length),
  };

  async function search({ keys, match, after, limit }: Query): Promise<Answer> {
    const size = index.size;
    const wanted = [...new Set(keys.map(parseSearchKey))];
    const entries: Found[] = [];
    for await (const found of matching(
      match === "all" ? wanted.map((key) => [key]) : [wanted],
      after === undefined ? 0 : after + 1,
      size,
      Math.min(limit, CHUNK),
    )) {
      entries.push(found);
      if (entries.length === limit) break;
    }
    const last = entries.at(-1)?.index ?? size;
    return { size, entries, next: entries.length === limit && last + 1 < size ? last : undefined };
  }

  /** The pages that a reader asks for first, of every segment that the root lists. Throws OVERLOADED where one is damaged. */
  async function pagesFor(
    prefixes: readonly number[],
    from: number,
  ): Promise<{ readonly indexRoot: string; readonly pages: readonly ProvedRange[] }> {
    const indexRoot = index.root;
    const { segments, shape } = openIndexRoot(indexRoot, { origin: log.origin, name, key: o.key.publicKey });
    const pages: ProvedRange[] = [];
    for (const info of segments) {
      const first = info.place * entriesAt(shape, info.level);
      if (first + entriesAt(shape, info.level) <= from) continue;
      const path = segmentPath(info);
      const known = new Map<string, Page>();
      for (const prefix of prefixes) {
        for (;;) {
          const { missing } = lookUp(info, prefix, Math.max(0, from - first), CHUNK, (level, at) => known.get(`${level}/${at}`));
          if (missing === undefined) break;
          const bytes = await blobs.read(path, missing.offset, missing.length);
          // Damaged, or so old a root that its segments are gone.
          const page = bytes && tolerant(() => openPage(missing, bytes));
          if (bytes === undefined || page === undefined) {
            index.scrub();
            throw new ServiceError("OVERLOADED", "a part of the search index is being made again; try again", {
              headers: { "retry-after": "5" },
              detail: path,
            });
          }
          known.set(`${missing.level}/${missing.index}`, page);
          pages.push({ path, offset: missing.offset, bytes });
        }
      }
    }
    return { indexRoot, pages };
  }

  return {
    index,
    files,
    checkpoint: () => log.checkpoint(),
    readTile: (tile) => log.readTile(tile),
    search,
    async prove(query) {
      const { entries, ...answer } = await search(query);
      const pages = await pagesFor(
        query.keys.map((key) => memory.prefixOf(parseSearchKey(key))),
        query.after === undefined ? 0 : query.after + 1,
      );
      // Asked for in one turn, all receipts are for one checkpoint.
      const checkpoint = log.checkpoint();
      const receipts = await Promise.all(
        entries.map((found) =>
          log.receipt({ index: found.index, leafHash: found.leafHash, record: found.record, timeMs: 0, duplicate: false }),
        ),
      );
      const proved = entries.map((found, at) => ({ ...found, proof: receipts[at]!.proof }));
      return { ...answer, entries: proved, checkpoint, ...pages };
    },
    async find(criteria, most = MOST) {
      const found: number[] = [];
      for await (const entry of matching(
        criteria.map((keys) => keys.map(parseSearchKey)),
        0,
        index.size,
        CHUNK,
      )) {
        if (found.length === most)
          throw new ServiceError("SEARCH_TOO_BROAD", `more than ${most} entries match; ask for something rarer, or page by page`);
        found.push(entry.index);
      }
      return found;
    },
    close: () => index.close(),
  };
}

function tolerant<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof LacreError) return undefined;
    throw cause;
  }
}

/** A range as JSON carries it. */
export function formatRange({ path, offset, bytes }: ProvedRange): object {
  return { path, offset, bytes: toBase64(bytes) };
}
