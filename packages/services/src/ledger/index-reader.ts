// SPDX-License-Identifier: Apache-2.0
/**
 * What the v1 dialect's search asks of an index: where the entries with a key are. Keys are those of the library's
 * `search/`: `digest:<algorithm>:<hex>`, `pem:<hex>`, `identity:<name>`, in lower case.
 *
 * `createScanIndex` answers from the entries themselves, one search at a time: always complete and right, in time that
 * grows with the log. It serves a log that has no index of segments, behind the same interface.
 */
import { keysOfEntry } from "@lacre/core/search";
import type { Log } from "../engine/index.ts";

/** Where entries are by what is in them. */
export interface EntryIndex {
  /** Indices of the published entries that meet every criterion, each by any of its keys; in order. */
  find(criteria: readonly (readonly string[])[]): Promise<readonly number[]>;
}

/** Entries looked at between two turns of the event loop. */
const SLICE = 64;

/** An index that reads the log anew for each search. `payloadOf` gives the payload kept beside an entry. */
export function createScanIndex(
  log: Log,
  payloadOf: (record: Uint8Array, leafHash: Uint8Array) => Promise<Uint8Array | undefined>,
): EntryIndex {
  let last: Promise<unknown> = Promise.resolve();
  async function scan(criteria: readonly (readonly string[])[]): Promise<readonly number[]> {
    const found: number[] = [];
    const { size } = log;
    for (let index = 0; index < size; index++) {
      if (index % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      const entry = await log.entry(index);
      if (entry === undefined) continue;
      const { record, leafHash } = entry;
      const own = new Set(keysOfEntry(record, leafHash, await payloadOf(record, leafHash)));
      if (criteria.every((keys) => keys.some((key) => own.has(key)))) found.push(index);
    }
    return found;
  }
  return {
    find(criteria) {
      const work = last.then(() => scan(criteria));
      last = work.catch(() => {});
      return work;
    },
  };
}
