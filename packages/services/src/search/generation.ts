// SPDX-License-Identifier: Apache-2.0
/** The newest entries of an index, in memory until they are enough for a segment. */
import { SegmentWriter } from "@lacre/core/search";

/** Keys of the entries from `first` on. */
export class Generation {
  readonly first: number;
  #entries = 0;
  #records = 0;
  #prefixes = new Float64Array(1024);
  #places = new Uint32Array(1024);
  /** Places by prefix, in order; most keys have one. */
  readonly #found = new Map<number, number | number[]>();

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
    if (this.#records + prefixes.length > this.#places.length) this.#grow(this.#records + prefixes.length);
    for (let i = 0; i < prefixes.length; i++) {
      const prefix = prefixes[i]!;
      this.#prefixes[this.#records] = prefix;
      this.#places[this.#records++] = place;
      const known = this.#found.get(prefix);
      if (known === undefined) this.#found.set(prefix, place);
      else if (typeof known === "number") this.#found.set(prefix, [known, place]);
      else known.push(place);
    }
  }

  #grow(least: number): void {
    const length = Math.max(least, 2 * this.#places.length);
    const [prefixes, places] = [new Float64Array(length), new Uint32Array(length)];
    prefixes.set(this.#prefixes);
    places.set(this.#places);
    this.#prefixes = prefixes;
    this.#places = places;
  }

  /** Places of a key from `from` on, at most `limit`. */
  find(prefix: number, from: number, limit: number): readonly number[] {
    const known = this.#found.get(prefix);
    if (known === undefined) return [];
    return (typeof known === "number" ? [known] : known).filter((place) => place >= from).slice(0, limit);
  }

  /** The segment of its entries. */
  build(): { readonly file: readonly Uint8Array[]; readonly records: number; readonly root: Uint8Array } {
    const words = new Uint32Array(2 * this.#records);
    for (let i = 0; i < this.#records; i++) {
      const prefix = this.#prefixes[i]!;
      const high = Math.floor(prefix / 256);
      words[2 * i] = (((prefix - 256 * high) << 24) | this.#places[i]!) >>> 0;
      words[2 * i + 1] = high;
    }
    new BigUint64Array(words.buffer).sort();
    const file: Uint8Array[] = [];
    const writer = new SegmentWriter((page) => file.push(page));
    for (let i = 0; i < words.length; i += 2) writer.add(words[i + 1]! * 256 + (words[i]! >>> 24), words[i]! & 0xffffff);
    return { file, ...writer.finish() };
  }
}
