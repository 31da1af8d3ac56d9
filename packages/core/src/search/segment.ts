// SPDX-License-Identifier: Apache-2.0
/**
 * A segment of a search index: which of its entries may have a given key. A file of sorted records, cut into pages that
 * form a tree of hashes, so that whoever knows the root can look a key up by a few range reads and prove what was read.
 *
 *     record     u64, little-endian: 40 bits of the key's hash above 24 bits of the entry's place in the segment;
 *                strictly ascending, so that the places of one key stand side by side in order
 *     page       of level 0: 1,024 records, the last page the rest of them
 *                above: up to 204 children, each by its first record (8 octets) and its hash (32 octets)
 *     hash       SHA-256(0x00 ‖ page) at level 0, SHA-256(0x01 ‖ page) above
 *     file       the pages of level 0, then those of level 1, and so on; the last page, alone at its level, is the root
 *
 * How many records there are decides where every page is: there is no header, and nothing in the file is believed. A page
 * says where each child begins, so the page that holds the nearest records on both sides is the proof that a key is not
 * there. The numbers are small on purpose: with 1,024 records to a page a reader fetches two or three pages of 8 KiB.
 */
import { concat, equalBytes, toHex } from "../bytes/index.ts";
import { sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";

/** Octets of a record; records of a full page at level 0. */
export const RECORD_BYTES = 8;
export const PAGE_RECORDS = 1024;
/** Octets of a child in a page above; children of a full one. */
export const CHILD_BYTES = 40;
export const PAGE_CHILDREN = 204;
/** A place has 24 bits. */
export const MAX_ENTRIES: number = 1 << 24;

/** What a signed root says of a segment. */
export interface SegmentInfo {
  /** Segments of one level hold equally many entries. */
  readonly level: number;
  /** Which of its level. */
  readonly place: number;
  readonly records: number;
  /** Hash of its last page. */
  readonly root: Uint8Array;
}

/** A record: of a key with this prefix, the entry at this place. */
interface Mark {
  readonly prefix: number;
  readonly place: number;
}

/** A page to be read: where it is, how long, which hash it must have, and between which records it lies. */
export interface PageNeed {
  /** 0 for records, 1 and more for children. */
  readonly level: number;
  /** Which of its level. */
  readonly index: number;
  readonly offset: number;
  readonly length: number;
  readonly hash: Uint8Array;
  /** Its first record, and the first of the page after it, as the page above says. */
  readonly first: Mark | undefined;
  readonly next: Mark | undefined;
}

/** A page that was read and proved. */
export interface Page {
  /** Prefixes of its records, or of its children's first records. */
  readonly prefixes: Float64Array;
  readonly places: Uint32Array;
  /** The children's hashes, one behind the other; nothing at level 0. */
  readonly hashes: Uint8Array;
}

/** How many pages each level has; the last one has one. */
export function pageCounts(records: number): number[] {
  if (!Number.isSafeInteger(records) || records < 1) throw new TypeError(`not a number of records: ${records}`);
  const counts = [Math.ceil(records / PAGE_RECORDS)];
  while (counts.at(-1)! > 1) counts.push(Math.ceil(counts.at(-1)! / PAGE_CHILDREN));
  return counts;
}

/** Octets of a segment's file. */
export function segmentLength(records: number): number {
  return pageCounts(records).slice(0, -1).reduce((sum, pages) => sum + pages * CHILD_BYTES, records * RECORD_BYTES);
}

/** Where a page is. `index` is one of the level's. */
export function pageRange(records: number, level: number, index: number): { readonly offset: number; readonly length: number } {
  const counts = pageCounts(records);
  if (level === 0) return { offset: index * PAGE_RECORDS * RECORD_BYTES, length: Math.min(PAGE_RECORDS, records - index * PAGE_RECORDS) * RECORD_BYTES };
  let offset = records * RECORD_BYTES;
  for (let below = 1; below < level; below++) offset += counts[below - 1]! * CHILD_BYTES;
  return { offset: offset + index * PAGE_CHILDREN * CHILD_BYTES, length: Math.min(PAGE_CHILDREN, counts[level - 1]! - index * PAGE_CHILDREN) * CHILD_BYTES };
}

const TAGS = [Uint8Array.of(0), Uint8Array.of(1)];

/** Hash of a page. */
export function hashPage(level: number, bytes: Uint8Array): Uint8Array {
  return sha256(concat(TAGS[Math.min(level, 1)]!, bytes));
}

function damaged(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("SEARCH_INDEX_DAMAGED", message, detail);
}

/** Takes a page that was read. Throws SEARCH_INDEX_DAMAGED for bytes that are not the page that was needed. */
export function openPage({ level, index, length, hash, first, next }: PageNeed, bytes: Uint8Array): Page {
  if (bytes.length !== length) throw damaged(`page ${index} at level ${level} of an index segment has the wrong length`, { expected: `${length}`, found: `${bytes.length}` });
  const found = hashPage(level, bytes);
  if (!equalBytes(found, hash)) throw damaged(`page ${index} at level ${level} of an index segment has another hash`, { expected: toHex(hash), found: toHex(found) });
  const page = decodePage(level, bytes);
  const last = page.prefixes.length - 1;
  // Whoever signs a root may lie about what is inside; at least every reader is told the same.
  if (first !== undefined && (page.prefixes[0] !== first.prefix || page.places[0] !== first.place)) throw damaged("a page of an index segment does not begin where the page above says");
  if (next !== undefined && !isBelow(page, last, next.prefix, next.place)) throw damaged("a page of an index segment ends behind the beginning of the next one");
  return page;
}

/** Reads a page whose hash is known to be right, or does not matter. Throws SEARCH_INDEX_DAMAGED. */
export function decodePage(level: number, bytes: Uint8Array): Page {
  const width = level === 0 ? RECORD_BYTES : CHILD_BYTES;
  const count = bytes.length / width;
  if (!Number.isInteger(count) || count < 1 || count > (level === 0 ? PAGE_RECORDS : PAGE_CHILDREN)) throw damaged("a page of an index segment has an impossible length", { found: `${bytes.length}` });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const prefixes = new Float64Array(count);
  const places = new Uint32Array(count);
  const hashes = new Uint8Array(level === 0 ? 0 : 32 * count);
  let [before, placeBefore] = [-1, 0];
  for (let i = 0, at = 0; i < count; i++, at += width) {
    const low = view.getUint32(at, true);
    const prefix = view.getUint32(at + 4, true) * 256 + (low >>> 24);
    const place = low & 0xffffff;
    if (prefix < before || (prefix === before && place <= placeBefore)) throw damaged("a page of an index segment is not in order");
    [before, placeBefore] = [prefix, place];
    prefixes[i] = prefix;
    places[i] = place;
    if (level > 0) hashes.set(bytes.subarray(at + RECORD_BYTES, at + CHILD_BYTES), 32 * i);
  }
  return { prefixes, places, hashes };
}

function isBelow({ prefixes, places }: Page, at: number, prefix: number, place: number): boolean {
  return prefixes[at]! < prefix || (prefixes[at] === prefix && places[at]! < place);
}

/** First of the page that is not below (prefix, place). */
function lowerBound(page: Page, prefix: number, place: number): number {
  let from = 0;
  let to = page.prefixes.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (isBelow(page, middle, prefix, place)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Places found, or the page that has to be read first. */
export type LookUp = { readonly places: readonly number[]; readonly missing?: undefined } | { readonly missing: PageNeed };

/**
 * The places of a key in a segment, from `from` on, in order, at most `limit`. Pages come from `page`, which knows the
 * proved ones; where it does not know one, that one is the answer.
 */
export function lookUp(info: SegmentInfo, prefix: number, from: number, limit: number, page: (level: number, index: number) => Page | undefined): LookUp {
  const top = topLevel(info.records);
  const found: number[] = [];
  for (let least = from; found.length < limit; ) {
    // Down to the page that the record (prefix, least) is in, or would be; `next` is where the page after it begins.
    let need: Descent = { index: 0, hash: info.root, first: undefined, next: undefined };
    for (let level = top; level > 0; level--) {
      const inner = page(level, need.index);
      if (inner === undefined) return { missing: needOf(info, level, need) };
      const at = Math.max(0, lowerBound(inner, prefix, least + 1) - 1);
      need = {
        index: need.index * PAGE_CHILDREN + at,
        hash: inner.hashes.subarray(32 * at, 32 * at + 32),
        first: { prefix: inner.prefixes[at]!, place: inner.places[at]! },
        next: at + 1 < inner.prefixes.length ? { prefix: inner.prefixes[at + 1]!, place: inner.places[at + 1]! } : need.next,
      };
    }
    const leaf = page(0, need.index);
    if (leaf === undefined) return { missing: needOf(info, 0, need) };
    let at = lowerBound(leaf, prefix, least);
    for (; at < leaf.prefixes.length && leaf.prefixes[at] === prefix && found.length < limit; at++) found.push(leaf.places[at]!);
    // More of them only where the page was exhausted and the next one begins with this key.
    if (at < leaf.prefixes.length || need.next?.prefix !== prefix) break;
    least = need.next.place;
  }
  return { places: found };
}

type Descent = Pick<PageNeed, "index" | "hash" | "first" | "next">;

function needOf({ records }: SegmentInfo, level: number, descent: Descent): PageNeed {
  return { level, ...descent, ...pageRange(records, level, descent.index) };
}

function topLevel(records: number): number {
  let level = 0;
  for (let pages = Math.ceil(records / PAGE_RECORDS); pages > 1; pages = Math.ceil(pages / PAGE_CHILDREN)) level++;
  return level;
}
