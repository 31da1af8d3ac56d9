// SPDX-License-Identifier: Apache-2.0
/**
 * Searches a log by its published files, and proves what it says.
 *
 * The source is believed in nothing. What an answer rests on, in order:
 *  1. the log's checkpoint and the index's root, both signed by the log's key;
 *  2. the index's tree is the beginning of the checkpoint's (consistency proof);
 *  3. in each segment, the pages where the key is or would be, each with the hash that the page above names, up to the
 *     segment's root in the signed root: this proves what is there, and that nothing else is;
 *  4. the entries behind the index's end, all of them, read from the bundles and proved;
 *  5. each entry found, proved to be in the tree, and really having the key.
 *
 * What is left to believe is that the operator put every key of every entry into the segments. Anybody may recompute them;
 * a segment that omits something is a lie under the log's signature.
 *
 * Where the files end before the checkpoint does (a plain web server has no partial tiles) the answer reaches as far as
 * the index, and says so.
 */
import { toHex } from "../bytes/index.ts";
import type { PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import {
  createLogReader,
  type LogReader,
  type ProvenEntry,
  type TreeState,
  tileLeafInput,
  unframeEntries,
  unframeTileLeaves,
} from "../log/index.ts";
import { text } from "../bytes/index.ts";
import { TILE_WIDTH, tilePath } from "../merkle/index.ts";
import { keyPrefix, keysOfCertificateEntry, keysOfEntry, parseSearchKey } from "./keys.ts";
import { anyOf, collectPlaces, type Match, type Places } from "./places.ts";
import { entriesAt, INDEX_SHAPE, type IndexRoot, openIndexRoot, ROOT_PATH } from "./root.ts";
import { lookUp, openPage, type Page, type SegmentInfo } from "./segment.ts";
import type { SearchSource } from "./source.ts";

/** Which log, and how its entries are kept. */
export interface SearchLog {
  /** First line of its checkpoints. */
  readonly origin: string;
  /** Name in its signatures; the origin unless given. */
  readonly name?: string | undefined;
  readonly key: PublicKey;
  /** `artifacts`: a ledger of either dialect; `certificates`: a CT log (static-ct-api). */
  readonly kind: "artifacts" | "certificates";
}

export interface SearchQuery {
  /** Keys as `parseSearchKey` reads them; at least one. Several in a list of their own: any of them will do. */
  readonly keys: readonly (string | readonly string[])[];
  /** Entries that have every key, or any. Default `all`. */
  readonly match?: Match;
  /** Only entries behind this index: where the last answer ended. */
  readonly after?: number | undefined;
  /** Entries of one answer. Default 100. */
  readonly limit?: number;
}

/** An entry that was found and proved. */
export interface SearchHit extends ProvenEntry {
  /** The keys asked for that it has. */
  readonly keys: readonly string[];
}

/** What was found. */
export interface SearchResult {
  /** The answer holds for the first `size` entries: those in `hits` are all, as far as `next` says. */
  readonly size: number;
  /** The tree in which the hits are proved; it has `size` leaves or more. */
  readonly tree: TreeState;
  /** The log's checkpoint, or where the files do not reach it the index's root, whose tree `tree` is. */
  readonly signedBy: "checkpoint" | "index";
  /** Entries that the index covers; those from here to `size` were read one by one. */
  readonly indexSize: number;
  readonly hits: readonly SearchHit[];
  /** The answer ends here: `after` for the next one. Undefined: it is complete to `size`. */
  readonly next: number | undefined;
}

export interface SearchReaderOptions {
  readonly source: SearchSource;
  readonly log: SearchLog;
  /** Entries behind the index that one search reads at most. Default 65,536. */
  readonly maxTail?: number;
  /** Pages kept. Default 1,024. */
  readonly maxPages?: number;
}

export interface SearchReader {
  /**
   * Answers a query. Throws SEARCH_KEY_INVALID; LOG_INCOMPLETE and SEARCH_INDEX_DAMAGED for files that are missing or not
   * what was signed; SEARCH_ROOT_INVALID, CHECKPOINT_INVALID, CHECKPOINT_UNSIGNED, SIGNATURE_INVALID, PROOF_MISMATCH.
   */
  search(query: SearchQuery): Promise<SearchResult>;
  /** The same log, entry by entry. */
  readonly log: LogReader;
}

/** Path of a segment's file, below the log's address. */
export function segmentPath({ level, place }: Pick<SegmentInfo, "level" | "place">): string {
  return `index/search/${tilePath({ level, index: place, width: TILE_WIDTH })}`;
}

/** Segments read at the same time. */
const AT_ONCE = 8;
/** Places looked up at a time. */
const CHUNK = 64;
/** A root that names segments which were merged meanwhile is read again so often. */
const ATTEMPTS = 3;

/** What a log without an index has. */
const NO_ROOT: Pick<IndexRoot, "size" | "segments" | "shape"> = { size: 0, segments: [], shape: INDEX_SHAPE };

/** A query as it is worked on: an entry meets every criterion by any of its keys. */
interface Settled {
  readonly criteria: readonly (readonly string[])[];
  readonly from: number;
  readonly limit: number;
}

/** A log as it is at one moment. */
interface Moment {
  readonly index: IndexRoot | undefined;
  readonly tree: TreeState;
  readonly signedBy: "checkpoint" | "index";
}

export function createSearchReader(options: SearchReaderOptions): SearchReader {
  const { source, log, maxTail = 65_536, maxPages = 1024 } = options;
  const isCt = log.kind === "certificates";
  const reader = createLogReader({
    source: source.file,
    origin: log.origin,
    name: log.name,
    key: log.key,
    ...(isCt
      ? { signature: "treeHead" as const, bundles: "data" as const, unframe: unframeTileLeaves, leafInput: tileLeafInput }
      : { unframe: unframeEntries }),
  });
  const pages = new Map<string, Page>();

  async function keysOf({ entry, leafHash }: Pick<ProvenEntry, "entry" | "leafHash">): Promise<readonly string[]> {
    return isCt
      ? keysOfCertificateEntry(entry, leafHash)
      : keysOfEntry(entry, leafHash, await payloadOf(source, leafHash, entry));
  }

  async function readMoment(): Promise<Moment> {
    const bytes = await source.file(ROOT_PATH);
    const index = bytes === undefined ? undefined : openIndexRoot(text(bytes), log);
    const checkpoint = await reader.checkpoint();
    // A root newer than the checkpoint is as good: the same key signed it.
    if (index !== undefined && BigInt(index.size) > checkpoint.size) return momentOf(index);
    return { index, tree: checkpoint, signedBy: "checkpoint" };
  }

  function momentOf(index: IndexRoot): Moment {
    return { index, tree: { size: BigInt(index.size), root: index.root }, signedBy: "index" };
  }

  /** Reads and proves pages of a segment until a look-up has what it needs. */
  async function placesIn(info: SegmentInfo, prefix: number, from: number, limit: number): Promise<readonly number[]> {
    const name = toHex(info.root);
    for (;;) {
      const answer = lookUp(info, prefix, from, limit, (level, index) => pages.get(`${name}/${level}/${index}`));
      if (answer.missing === undefined) return answer.places;
      const need = answer.missing;
      const path = segmentPath(info);
      const bytes = await source.range(path, need.offset, need.length);
      if (bytes === undefined)
        throw new LacreError("SEARCH_INDEX_DAMAGED", "the index lacks a segment that its root promises", { expected: path });
      if (pages.size >= maxPages) pages.delete(pages.keys().next().value!);
      pages.set(`${name}/${need.level}/${need.index}`, openPage(need, bytes));
    }
  }

  function cursor(info: SegmentInfo, prefix: number): Places {
    let [from, through, known] = [0, -1, [] as readonly number[]];
    return {
      async seek(least) {
        if (least < from || least > through) {
          known = await placesIn(info, prefix, least, CHUNK);
          from = least;
          through = known.length < CHUNK ? Number.MAX_SAFE_INTEGER : known.at(-1)!;
        }
        return known.find((place) => place >= least);
      },
    };
  }

  /** Answers at a moment; where the files do not reach its checkpoint, as far as the index goes. */
  async function searchAsFar(moment: Moment, query: Settled): Promise<SearchResult> {
    const { index, tree } = moment;
    try {
      if (index !== undefined && moment.signedBy === "checkpoint") await reader.proveConsistency(momentOf(index).tree, tree);
      return await searchAt(moment, query);
    } catch (cause) {
      if (!(cause instanceof LacreError) || cause.code !== "LOG_INCOMPLETE" || index === undefined || moment.signedBy === "index")
        throw cause;
      return searchAt(momentOf(index), query);
    }
  }

  async function searchAt({ index: signed, tree, signedBy }: Moment, query: Settled): Promise<SearchResult> {
    const index = signed ?? NO_ROOT;
    const { criteria, limit } = query;
    const prefixes = criteria.map((keys) => keys.map(keyPrefix));
    const size = Math.min(Number(tree.size), index.size + maxTail);
    const hits: SearchHit[] = [];
    const result = (next?: number): SearchResult => ({ size, tree, signedBy, indexSize: index.size, hits, next });

    /** Whether the answer is full with this entry. */
    async function take(found: Omit<ProvenEntry, "proof"> & { readonly proof?: readonly Uint8Array[] }): Promise<boolean> {
      const own = new Set(await keysOf(found));
      if (!criteria.every((keys) => keys.some((key) => own.has(key)))) return false;
      const proof = found.proof ?? (await reader.proveInclusion(found.index, found.leafHash, tree));
      hits.push({ ...found, proof, keys: criteria.flat().filter((key) => own.has(key)) });
      return hits.length === limit;
    }

    const wanted = index.segments.map((info) => ({
      info,
      first: info.place * entriesAt(index.shape, info.level),
      cursors: prefixes.map((some) => anyOf(some.map((prefix) => cursor(info, prefix)))),
    }));
    const behind = wanted.filter(({ info, first }) => first + entriesAt(index.shape, info.level) > query.from);
    for (const [at, { first, cursors }] of behind.entries()) {
      // The first pages of the segments that come are fetched together.
      if (at % AT_ONCE === 0)
        await Promise.all(
          behind
            .slice(at, at + AT_ONCE)
            .flatMap((one) => one.cursors.map(async (each) => each.seek(Math.max(0, query.from - one.first)))),
        );
      for (let least = Math.max(0, query.from - first); ;) {
        const places = await collectPlaces(cursors, "all", least, CHUNK);
        for (const place of places) if (await take(await reader.entry(first + place, tree))) return result(first + place);
        if (places.length < CHUNK) break;
        least = places.at(-1)! + 1;
      }
    }
    for await (const leaf of reader.leaves(Math.max(index.size, query.from), size, tree))
      if (await take(leaf)) return result(leaf.index);
    return result();
  }

  return {
    log: reader,
    async search({ keys, match = "all", after, limit = 100 }) {
      if (keys.length === 0 || !Number.isInteger(limit) || limit < 1)
        throw new TypeError("a search has at least one key and one entry");
      const each = keys.map((key) => (typeof key === "string" ? [key] : key).map(parseSearchKey));
      const query: Settled = {
        criteria: match === "all" ? each : [each.flat()],
        limit,
        from: after === undefined ? 0 : after + 1,
      };
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await searchAsFar(await readMoment(), query);
          return answer.next !== undefined && answer.next + 1 >= answer.size ? { ...answer, next: undefined } : answer;
        } catch (cause) {
          if (attempt === ATTEMPTS || !(cause instanceof LacreError) || cause.code !== "SEARCH_INDEX_DAMAGED") throw cause;
        }
      }
    },
  };
}

/** Path of the payload that a ledger of the v1 dialect keeps beside an entry, below the log's address. */
export function payloadPath(leafHash: Uint8Array): string {
  const name = toHex(leafHash);
  return `attestation/${name.slice(0, 2)}/${name.slice(2)}`;
}

const INTOTO = /"kind":"intoto"/;

/** The payload beside an entry of the one kind that has them. */
async function payloadOf(source: SearchSource, leafHash: Uint8Array, entry: Uint8Array): Promise<Uint8Array | undefined> {
  return mayHavePayload(entry) ? source.file(payloadPath(leafHash)) : undefined;
}

/** Whether an entry is of the kind whose payload is kept beside it: its canonical body says so near its beginning. */
export function mayHavePayload(entry: Uint8Array): boolean {
  return INTOTO.test(String.fromCharCode(...entry.subarray(0, 64)));
}
