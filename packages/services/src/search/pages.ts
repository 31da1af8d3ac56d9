// SPDX-License-Identifier: Apache-2.0
/**
 * Segments of an index as they are used: pages are read when they are asked for, proved against the segment's root, and
 * kept while there is room. What is in memory is proved; what is on the disk is not believed.
 */
import {
  lookUp,
  octetsOf,
  openPage,
  PAGE_CHILDREN,
  type LookUp,
  type Page,
  pageCounts,
  type PageNeed,
  pageRange,
  type SegmentInfo,
  segmentPath,
} from "@lacre/core/search";
import { LacreError } from "@lacre/core/errors";
import type { BlobStore } from "../store/index.ts";

/** What knows the keys of some entries that stand side by side. */
export interface Part {
  readonly level: number;
  readonly place: number;
  /** Index of its first entry, and how many it has. */
  readonly first: number;
  readonly entries: number;
  /** Name of its file. */
  readonly name: string;
  /** What a root says of it; undefined before its file was made. */
  readonly info: SegmentInfo | undefined;
  /** Places of a key from `from` on, at most `limit`, or the page that is needed first. */
  find(prefix: number, from: number, limit: number): LookUp;
  /** Reads a page and proves it. Throws SEARCH_INDEX_DAMAGED. */
  load(need: PageNeed): Promise<unknown>;
  /** All records in order, proved. Throws SEARCH_INDEX_DAMAGED. */
  pages(): AsyncIterable<readonly Page[]>;
}

interface Slot {
  readonly page: Page;
  readonly shelf: (Slot | undefined)[];
  readonly at: number;
  used: boolean;
}

/** Pages of records kept in memory, of all segments together. A page is 8 KiB. */
export class PageCache {
  readonly #limit: number;
  readonly #slots: Slot[] = [];
  #hand = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Puts a page on its shelf; where there is no room, one that was not used lately goes. */
  add(shelf: (Slot | undefined)[], at: number, page: Page): void {
    const slot: Slot = { page, shelf, at, used: false };
    shelf[at] = slot;
    if (this.#slots.length < this.#limit) {
      this.#slots.push(slot);
      return;
    }
    for (; this.#slots[this.#hand]!.used; this.#hand = (this.#hand + 1) % this.#limit) this.#slots[this.#hand]!.used = false;
    const leaving = this.#slots[this.#hand]!;
    if (leaving.shelf[leaving.at] === leaving) leaving.shelf[leaving.at] = undefined;
    this.#slots[this.#hand] = slot;
    this.#hand = (this.#hand + 1) % this.#limit;
  }
}

/** A segment on the disk, whose root is known. */
export class PagedSegment implements Part {
  readonly info: SegmentInfo;
  readonly first: number;
  readonly entries: number;
  readonly name: string;
  readonly #blobs: BlobStore;
  readonly #cache: PageCache;
  readonly #leaves: (Slot | undefined)[] = [];
  /** Pages above the records, by level; they stay, being few: 40 octets for each page of records. */
  readonly #inner: Page[][];

  constructor(info: SegmentInfo, entries: number, blobs: BlobStore, cache: PageCache) {
    this.info = info;
    this.first = info.place * entries;
    this.entries = entries;
    this.name = segmentPath(info);
    this.#blobs = blobs;
    this.#cache = cache;
    this.#inner = pageCounts(info.records).map(() => []);
  }

  get level(): number {
    return this.info.level;
  }

  get place(): number {
    return this.info.place;
  }

  readonly #page = (level: number, index: number): Page | undefined => {
    if (level > 0) return this.#inner[level]![index];
    const slot = this.#leaves[index];
    if (slot === undefined) return undefined;
    slot.used = true;
    return slot.page;
  };

  find(prefix: number, from: number, limit: number): LookUp {
    return lookUp(this.info, prefix, from, limit, this.#page);
  }

  async load(need: PageNeed): Promise<Page> {
    const bytes = await this.#blobs.read(this.name, need.offset, need.length);
    if (bytes === undefined) throw new LacreError("SEARCH_INDEX_DAMAGED", "a segment of the index is missing");
    const page = openPage(need, bytes);
    if (need.level > 0) this.#inner[need.level]![need.index] = page;
    else this.#cache.add(this.#leaves, need.index, page);
    return page;
  }

  /**
   * Every page of records, in order, read anew and proved, in groups; those above are read on the way. Nothing is kept of
   * them. Throws SEARCH_INDEX_DAMAGED.
   */
  async *pages(): AsyncGenerator<readonly Page[]> {
    const { records, root } = this.info;
    const counts = pageCounts(records);
    let hashes: (index: number) => Uint8Array = () => root;
    for (let level = counts.length - 1; level > 0; level--) {
      const above = hashes;
      const pages: Page[] = [];
      for (let index = 0; index < counts[level]!; index++) {
        pages.push(
          await this.load({
            level,
            index,
            hash: above(index),
            first: undefined,
            next: undefined,
            ...pageRange(records, level, index),
          }),
        );
      }
      hashes = (index) => {
        const { words, stride } = pages[Math.floor(index / PAGE_CHILDREN)]!;
        const at = stride * (index % PAGE_CHILDREN);
        return octetsOf(words.subarray(at + 2, at + stride));
      };
    }
    for (let from = 0; from < counts[0]!; from += GROUP) {
      const to = Math.min(from + GROUP, counts[0]!);
      const start = pageRange(records, 0, from).offset;
      const end = pageRange(records, 0, to - 1);
      const bytes = await this.#blobs.read(this.name, start, end.offset + end.length - start);
      if (bytes === undefined) throw new LacreError("SEARCH_INDEX_DAMAGED", "a segment of the index is missing");
      yield Array.from({ length: to - from }, (_, at) => {
        const range = pageRange(records, 0, from + at);
        return openPage(
          { level: 0, index: from + at, hash: hashes(from + at), first: undefined, next: undefined, ...range },
          bytes.subarray(range.offset - start, range.offset - start + range.length),
        );
      });
    }
  }
}

/** Pages read at a time when all of a segment is read: 256 KiB. */
const GROUP = 32;
