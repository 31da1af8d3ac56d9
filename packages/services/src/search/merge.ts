// SPDX-License-Identifier: Apache-2.0
/** Segments side by side become one: read page by page, proved, merged and written on, whatever their size. */
import { type Page, SegmentWriter } from "@lacre/core/search";
import { concat } from "@lacre/core/bytes";
import type { Part } from "./pages.ts";

/** What a merge came to; filled in when the file is written. */
export interface Merged {
  records: number;
  root: Uint8Array;
}

/** Pages written at a time; between the groups other work gets its turn. */
const GROUP = 32;

/** A segment that is read: the page it is at. */
class Input {
  readonly shift: number;
  readonly #groups: AsyncIterator<readonly Page[]>;
  #group: readonly Page[] = [];
  #next = 0;
  page: Page | undefined;
  /** Word of the page that is next. */
  at = 0;

  constructor(segment: Part, first: number) {
    this.shift = segment.first - first;
    this.#groups = segment.pages()[Symbol.asyncIterator]();
  }

  /** Goes to the next page; there is none when `page` is undefined afterwards. */
  async turn(): Promise<void> {
    if (this.#next === this.#group.length) {
      const { value, done } = await this.#groups.next();
      this.#group = done === true ? [] : (value as readonly Page[]);
      this.#next = 0;
    }
    this.page = this.#group[this.#next++];
    this.at = 0;
  }

  async close(): Promise<void> {
    await this.#groups.return?.();
  }
}

/**
 * The file of the merged segment, in parts. `merged` is filled in at the end. Throws SEARCH_INDEX_DAMAGED when one of the
 * parts is not what its root says; what `pause` throws ends the merge.
 */
export async function* mergeToFile(
  segments: readonly Part[],
  merged: Merged,
  pause: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const first = segments[0]!.first;
  let inputs = segments.map((segment) => new Input(segment, first));
  let ready: Uint8Array[] = [];
  const writer = new SegmentWriter((page) => ready.push(page));
  try {
    for (const input of inputs) await input.turn();
    inputs = inputs.filter(({ page }) => page !== undefined);
    while (inputs.length > 0) {
      const emptied = advance(inputs, writer);
      await emptied.turn();
      if (emptied.page === undefined) inputs = inputs.filter((input) => input !== emptied);
      if (ready.length < GROUP) continue;
      await pause();
      const part = concat(...ready);
      ready = [];
      yield part;
    }
    Object.assign(merged, writer.finish());
    yield concat(...ready);
  } finally {
    for (const input of inputs) await input.close();
  }
}

/** Takes records until the page of one of the inputs is used up. Inputs stand in the order of their entries. */
function advance(inputs: readonly Input[], writer: SegmentWriter): Input {
  for (;;) {
    let least = inputs[0]!;
    let { words } = least.page!;
    let high = words[least.at + 1]!;
    // Of one key the earlier segment's entries come first, so 40 bits are compared.
    let tag = words[least.at]! >>> 24;
    for (let i = 1; i < inputs.length; i++) {
      const other = inputs[i]!;
      const its = other.page!.words;
      const itsHigh = its[other.at + 1]!;
      if (itsHigh > high || (itsHigh === high && its[other.at]! >>> 24 >= tag)) continue;
      least = other;
      words = its;
      high = itsHigh;
      tag = its[other.at]! >>> 24;
    }
    writer.add(high, words[least.at]! + least.shift);
    least.at += 2;
    if (least.at === words.length) return least;
  }
}
