// SPDX-License-Identifier: Apache-2.0
/** The newest entries of an index, in memory until they are enough for a segment. */
import { sortRecords } from "./run.ts";

/** Keys of the entries from `first` on. A table of typed arrays: maps of numbers cost several times the memory and the time. */
export class Generation {
  readonly first: number;
  #entries = 0;
  #records = 0;
  /** The record of a key, as a segment has it: low word, high word. */
  #words = new Uint32Array(2048);
  /** For each record, the one before it in its bucket, plus one; newest first. */
  #before = new Uint32Array(1024);
  /** Newest record of each bucket, plus one; their number is a power of two. */
  #buckets = new Uint32Array(1024);

  constructor(first: number) {
    this.first = first;
  }

  /** Entries so far, without gaps from `first` on. */
  get entries(): number {
    return this.#entries;
  }

  /** The next entry, by the prefixes of its keys. */
  add(prefixes: ArrayLike<number>): void {
    const place = this.#entries++;
    if (this.#records + prefixes.length > this.#before.length) this.#grow(this.#records + prefixes.length);
    for (let i = 0; i < prefixes.length; i++) {
      const prefix = prefixes[i]!;
      const high = Math.floor(prefix / 256);
      const low = (((prefix - 256 * high) << 24) | place) >>> 0;
      const at = this.#records++;
      this.#words[2 * at] = low;
      this.#words[2 * at + 1] = high;
      const bucket = high & (this.#buckets.length - 1);
      this.#before[at] = this.#buckets[bucket]!;
      this.#buckets[bucket] = at + 1;
    }
  }

  #grow(least: number): void {
    let length = this.#before.length;
    while (length < least) length *= 2;
    const words = new Uint32Array(2 * length);
    words.set(this.#words);
    this.#words = words;
    this.#before = new Uint32Array(length);
    this.#buckets = new Uint32Array(length);
    for (let at = 0; at < this.#records; at++) {
      const bucket = words[2 * at + 1]! & (length - 1);
      this.#before[at] = this.#buckets[bucket]!;
      this.#buckets[bucket] = at + 1;
    }
  }

  /** Places of a key from `from` on, in order, at most `limit`. */
  find(prefix: number, from: number, limit: number): readonly number[] {
    const high = Math.floor(prefix / 256);
    const tag = ((prefix - 256 * high) << 24) >>> 0;
    const places: number[] = [];
    for (let at = this.#buckets[high & (this.#buckets.length - 1)]!; at > 0; at = this.#before[at - 1]!) {
      const low = this.#words[2 * at - 2]!;
      if (this.#words[2 * at - 1] !== high || (low & 0xff000000) >>> 0 !== tag) continue;
      // Newest first, so the rest is older still.
      if ((low & 0xffffff) < from) break;
      places.push(low & 0xffffff);
    }
    places.reverse();
    return places.length > limit ? places.slice(0, limit) : places;
  }

  /** Its records, in order. */
  sorted(): Uint32Array {
    return sortRecords(this.#words.slice(0, 2 * this.#records));
  }
}
