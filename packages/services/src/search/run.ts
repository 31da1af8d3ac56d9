// SPDX-License-Identifier: Apache-2.0
/**
 * Small segments, in memory: sorted records, as the engine's own index has them. Their files are made when a root lists
 * them; many are merged before one does.
 */
import { type LookUp, type Page, type PageNeed, type SegmentInfo, segmentPath, SegmentWriter } from "@lacre/core/search";
import { LacreError } from "@lacre/core/errors";
import { lowerBound, type Segment } from "../engine/index.ts";
import type { Part } from "./pages.ts";

/** A segment whose records are in memory. */
export class Run implements Part {
  readonly level: number;
  readonly place: number;
  readonly first: number;
  readonly entries: number;
  readonly name: string;
  readonly words: Uint32Array;
  /** What the root says of it; undefined before its file was made. */
  info: SegmentInfo | undefined;

  constructor(level: number, place: number, entries: number, words: Uint32Array, info?: SegmentInfo) {
    this.level = level;
    this.place = place;
    this.first = place * entries;
    this.entries = entries;
    this.name = segmentPath({ level, place });
    this.words = words;
    this.info = info;
  }

  /** As the engine's merge takes it. */
  get segment(): Segment {
    return { first: this.first, words: this.words };
  }

  /** Its file, and what a root says of it. */
  build(): { readonly file: readonly Uint8Array[]; readonly info: SegmentInfo } {
    const { level, place, words } = this;
    const file: Uint8Array[] = [];
    const writer = new SegmentWriter((page) => file.push(page));
    for (let at = 0; at < words.length; at += 2) writer.add(words[at + 1]!, words[at]!);
    return { file, info: { level, place, ...writer.finish() } };
  }

  find(prefix: number, from: number, limit: number): LookUp {
    const high = Math.floor(prefix / 256);
    const tag = ((prefix - 256 * high) << 24) >>> 0;
    const { words } = this;
    const places: number[] = [];
    for (
      let at = lowerBound(words, high, (tag | from) >>> 0);
      at < words.length && words[at + 1] === high && (words[at]! & 0xff000000) >>> 0 === tag && places.length < limit;
      at += 2
    ) {
      places.push(words[at]! & 0xffffff);
    }
    return { places };
  }

  load(_need: PageNeed): Promise<void> {
    throw new TypeError("a segment in memory needs no page");
  }

  async *pages(): AsyncGenerator<readonly Page[]> {
    yield [{ words: this.words, stride: 2 }];
  }
}

/** Records in order, each once. */
export function sortRecords(words: Uint32Array<ArrayBuffer>): Uint32Array {
  new BigUint64Array(words.buffer).sort();
  let kept = 0;
  for (let at = 0; at < words.length; at += 2) {
    // An entry with two keys that share 40 bits.
    if (kept > 0 && words[kept - 2] === words[at] && words[kept - 1] === words[at + 1]) continue;
    words[kept] = words[at]!;
    words[kept + 1] = words[at + 1]!;
    kept += 2;
  }
  return kept === words.length ? words : words.slice(0, kept);
}

/** The records of proved pages, one behind the other. Throws SEARCH_INDEX_DAMAGED where there are not as many as the root says. */
export async function collectRecords(pages: AsyncIterable<readonly Page[]>, records: number): Promise<Uint32Array> {
  const words = new Uint32Array(2 * records);
  let at = 0;
  for await (const group of pages) {
    for (const page of group) {
      if (at + page.words.length > words.length)
        throw new LacreError("SEARCH_INDEX_DAMAGED", "a segment has more records than its root says");
      words.set(page.words, at);
      at += page.words.length;
    }
  }
  if (at !== words.length) throw new LacreError("SEARCH_INDEX_DAMAGED", "a segment has fewer records than its root says");
  return words;
}
