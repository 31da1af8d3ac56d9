// SPDX-License-Identifier: Apache-2.0
/** Index segments of a log: a damaged file is noticed, whatever the damage, and one that is taken can be asked. */
import { buildSegment, candidates, decodeSegment, encodeSegment } from "../packages/services/src/engine/segment.ts";

const COUNT = 16;
const identities = Array.from({ length: COUNT }, (_, at) => [String.fromCharCode(at * 15, at, 7, 9, 200, at), 32 + at] as const);

export const name = "index-segment";
export const seeds: Uint8Array[] = [encodeSegment(buildSegment(32, identities, COUNT))];

export function target(bytes: Uint8Array): void {
  const segment = decodeSegment(bytes, 32, COUNT);
  if (segment !== undefined)
    for (const [identity, index] of identities)
      if (!candidates(segment, identity).includes(index)) throw new Error("an entry is not found");
}
