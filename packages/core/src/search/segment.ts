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

/** A record, as two words. */
interface Mark {
  readonly high: number;
  readonly low: number;
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
  /**
   * Its records, or its children: the record, the first one of the child, comes first. A record is two words, the low one
   * (8 bits of prefix above 24 of place) first, then the high one (32 bits of prefix).
   */
  readonly words: Uint32Array;
  /** Words from one to the next: 2 for records, 10 for children. */
  readonly stride: number;
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
  return pageCounts(records)
    .slice(0, -1)
    .reduce((sum, pages) => sum + pages * CHILD_BYTES, records * RECORD_BYTES);
}

/** Where a page is. `index` is one of the level's. */
export function pageRange(records: number, level: number, index: number): { readonly offset: number; readonly length: number } {
  const counts = pageCounts(records);
  if (level === 0)
    return {
      offset: index * PAGE_RECORDS * RECORD_BYTES,
      length: Math.min(PAGE_RECORDS, records - index * PAGE_RECORDS) * RECORD_BYTES,
    };
  let offset = records * RECORD_BYTES;
  for (let below = 1; below < level; below++) offset += counts[below - 1]! * CHILD_BYTES;
  return {
    offset: offset + index * PAGE_CHILDREN * CHILD_BYTES,
    length: Math.min(PAGE_CHILDREN, counts[level - 1]! - index * PAGE_CHILDREN) * CHILD_BYTES,
  };
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
  if (bytes.length !== length)
    throw damaged(`page ${index} at level ${level} of an index segment has the wrong length`, {
      expected: `${length}`,
      found: `${bytes.length}`,
    });
  const found = hashPage(level, bytes);
  if (!equalBytes(found, hash))
    throw damaged(`page ${index} at level ${level} of an index segment has another hash`, {
      expected: toHex(hash),
      found: toHex(found),
    });
  const page = decodePage(level, bytes);
  const { words, stride } = page;
  // Whoever signs a root may lie about what is inside; at least every reader is told the same.
  if (first !== undefined && (words[1] !== first.high || words[0] !== first.low))
    throw damaged("a page of an index segment does not begin where the page above says");
  if (next !== undefined && !isBelow(words, words.length - stride, next.high, next.low))
    throw damaged("a page of an index segment ends behind the beginning of the next one");
  return page;
}

const LITTLE = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Octets as little-endian words, whatever the machine is: a copy. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  if (LITTLE) new Uint8Array(words.buffer).set(bytes);
  else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < words.length; at++) words[at] = view.getUint32(4 * at, true);
  }
  return words;
}

/** Reads a page whose hash is known to be right, or does not matter. Throws SEARCH_INDEX_DAMAGED. */
export function decodePage(level: number, bytes: Uint8Array): Page {
  const width = level === 0 ? RECORD_BYTES : CHILD_BYTES;
  const count = bytes.length / width;
  if (!Number.isInteger(count) || count < 1 || count > (level === 0 ? PAGE_RECORDS : PAGE_CHILDREN))
    throw damaged("a page of an index segment has an impossible length", { found: `${bytes.length}` });
  const words = wordsOf(bytes);
  const stride = width / 4;
  for (let at = stride; at < words.length; at += stride) {
    if (!isBelow(words, at - stride, words[at + 1]!, words[at]!)) throw damaged("a page of an index segment is not in order");
  }
  return { words, stride };
}

function isBelow(words: Uint32Array, at: number, high: number, low: number): boolean {
  return words[at + 1]! < high || (words[at + 1] === high && words[at]! < low);
}

/** The first of a page that is not below (high, low): its word. Records lie evenly but for keys that many entries have. */
function lowerBound({ words, stride }: Page, high: number, low: number): number {
  let from = 0;
  let to = words.length / stride;
  let [fromHigh, toHigh] = [words[1]!, words[words.length - stride + 1]!];
  for (let round = 0; from < to; round++) {
    const guess = round < 3 ? from + Math.floor(((to - from) * (high - fromHigh)) / (toHigh - fromHigh + 1)) : (from + to) >>> 1;
    const at = guess < from ? from : guess >= to ? to - 1 : guess;
    const value = words[at * stride + 1]!;
    if (value < high || (value === high && words[at * stride]! < low)) {
      from = at + 1;
      fromHigh = value;
    } else {
      to = at;
      toHigh = value;
    }
  }
  return from * stride;
}

/** Places found, or the page that has to be read first. */
export type LookUp = { readonly places: readonly number[]; readonly missing?: undefined } | { readonly missing: PageNeed };

/**
 * The places of a key in a segment, from `from` on, in order, at most `limit`. Pages come from `page`, which knows the
 * proved ones; where it does not know one, that one is the answer.
 */
export function lookUp(
  info: SegmentInfo,
  prefix: number,
  from: number,
  limit: number,
  page: (level: number, index: number) => Page | undefined,
): LookUp {
  const top = topLevel(info.records);
  const high = Math.floor(prefix / 256);
  const tag = ((prefix - 256 * high) << 24) >>> 0;
  const found: number[] = [];
  for (let least = from; found.length < limit;) {
    // Down to the page that the record is in, or would be; `next` is where the page after it begins.
    let index = 0;
    let above: Page | undefined;
    let at = 0;
    let next: Mark | undefined;
    for (let level = top; level > 0; level--) {
      const inner = page(level, index);
      if (inner === undefined) return { missing: needOf(info, level, index, above, at, next) };
      const { words, stride } = inner;
      const bound = lowerBound(inner, high, (tag | least) >>> 0);
      // The record may be the first of a child, or within the one before.
      at =
        bound < words.length && words[bound + 1] === high && words[bound] === (tag | least) >>> 0
          ? bound
          : Math.max(0, bound - stride);
      if (at + stride < words.length) next = { high: words[at + stride + 1]!, low: words[at + stride]! };
      index = index * PAGE_CHILDREN + at / stride;
      above = inner;
    }
    const leaf = page(0, index);
    if (leaf === undefined) return { missing: needOf(info, 0, index, above, at, next) };
    const { words } = leaf;
    at = lowerBound(leaf, high, (tag | least) >>> 0);
    for (
      ;
      at < words.length && words[at + 1] === high && (words[at]! & 0xff000000) >>> 0 === tag && found.length < limit;
      at += 2
    )
      found.push(words[at]! & 0xffffff);
    // More of them only where the page was exhausted and the next one begins with this key.
    if (at < words.length || next?.high !== high || (next.low & 0xff000000) >>> 0 !== tag) break;
    least = next.low & 0xffffff;
  }
  return { places: found };
}

/** A page as the page above names it, at this word; without one it is the root. */
function needOf(
  { records, root }: SegmentInfo,
  level: number,
  index: number,
  above: Page | undefined,
  at: number,
  next: Mark | undefined,
): PageNeed {
  const range = { level, index, next, ...pageRange(records, level, index) };
  if (above === undefined) return { ...range, hash: root, first: undefined };
  const { words, stride } = above;
  return { ...range, hash: octetsOf(words.subarray(at + 2, at + stride)), first: { high: words[at + 1]!, low: words[at]! } };
}

/** The octets of little-endian words. */
export function octetsOf(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  if (LITTLE) bytes.set(new Uint8Array(words.buffer, words.byteOffset, bytes.length));
  else {
    const view = new DataView(bytes.buffer);
    for (const [at, word] of words.entries()) view.setUint32(4 * at, word, true);
  }
  return bytes;
}

function topLevel(records: number): number {
  let level = 0;
  for (let pages = Math.ceil(records / PAGE_RECORDS); pages > 1; pages = Math.ceil(pages / PAGE_CHILDREN)) level++;
  return level;
}
