// SPDX-License-Identifier: Apache-2.0
/** Writes segments: records in order in, pages of the file out, and at the end the root. */
import { CHILD_BYTES, hashPage, octetsOf, PAGE_CHILDREN, PAGE_RECORDS, RECORD_BYTES } from "./segment.ts";

/** Takes the records of one segment. The same records give the same file, whoever writes it. */
export class SegmentWriter {
  readonly #sink: (page: Uint8Array) => void;
  readonly #words = new Uint32Array(2 * PAGE_RECORDS);
  /** Words of the page that is being filled. */
  #filled = 0;
  #records = 0;
  #high = 0;
  #low = 0;
  /** First record and hash of each page so far. */
  readonly #children: Uint8Array[] = [];

  /** `sink` is given the file in order, page by page. */
  constructor(sink: (page: Uint8Array) => void) {
    this.#sink = sink;
  }

  /** The next record, above all before, by its two words; the same one again changes nothing. */
  add(high: number, low: number): void {
    if (high < this.#high || (high === this.#high && low <= this.#low)) {
      if (this.#records > 0 && high === this.#high && low === this.#low) return;
      if (this.#records > 0) throw new TypeError("records of a segment come in order");
    }
    this.#high = high;
    this.#low = low;
    this.#words[this.#filled] = low;
    this.#words[this.#filled + 1] = high;
    this.#filled += 2;
    this.#records++;
    if (this.#filled === this.#words.length) this.#flush();
  }

  #flush(): void {
    const page = octetsOf(this.#words.subarray(0, this.#filled));
    this.#children.push(childOf(0, page));
    this.#sink(page);
    this.#filled = 0;
  }

  /** Ends the file. At least one record must have come. */
  finish(): { readonly records: number; readonly root: Uint8Array } {
    if (this.#filled > 0) this.#flush();
    let children = this.#children;
    for (let level = 1; children.length > 1; level++) {
      const above: Uint8Array[] = [];
      for (let at = 0; at < children.length; at += PAGE_CHILDREN) {
        const part = children.slice(at, at + PAGE_CHILDREN);
        const page = new Uint8Array(part.length * CHILD_BYTES);
        for (const [i, child] of part.entries()) page.set(child, i * CHILD_BYTES);
        above.push(childOf(level, page));
        this.#sink(page);
      }
      children = above;
    }
    const [root] = children;
    if (root === undefined) throw new TypeError("a segment without records");
    return { records: this.#records, root: root.slice(RECORD_BYTES) };
  }
}

function childOf(level: number, page: Uint8Array): Uint8Array {
  const child = new Uint8Array(CHILD_BYTES);
  child.set(page.subarray(0, RECORD_BYTES));
  child.set(hashPage(level, page), RECORD_BYTES);
  return child;
}
