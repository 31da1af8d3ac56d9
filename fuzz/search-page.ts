// SPDX-License-Identifier: Apache-2.0
/** Pages of index segments: whatever their octets, they are refused or can be asked. */
import { decodePage, lookUp, SegmentWriter, type SegmentInfo } from "@lacre/core/search";

const pages: Uint8Array[] = [];
const writer = new SegmentWriter((page) => pages.push(page));
for (let at = 0; at < 1500; at++) writer.add(at * 2_000_003, (at << 24) >>> 0);
const info: SegmentInfo = { level: 0, place: 0, ...writer.finish() };

export const name = "search-page";
export const seeds: Uint8Array[] = pages;

export function target(bytes: Uint8Array): void {
  for (const level of [0, 1]) {
    const page = decodePage(level, bytes);
    for (const prefix of [0, 2_000_003 * 256 * 700, 2 ** 40 - 1])
      lookUp({ ...info, records: level === 0 ? Math.min(1024, page.words.length / 2) : info.records }, prefix, 0, 10, (at) =>
        at === level ? page : undefined,
      );
  }
}
