// SPDX-License-Identifier: Apache-2.0
/** Several keys at once: where all of them are, or any. Works on whatever can say where a key is next. */

/** How keys are combined. */
export type Match = "all" | "any";

/** Where one key is, in order. */
export interface Places {
  /** The first place at or behind `least`; undefined when there is none. */
  seek(least: number): number | undefined | Promise<number | undefined>;
}

/** The first places from `from` on, at most `limit`, at which all or any of the keys are. */
export async function collectPlaces(keys: readonly Places[], match: Match, from: number, limit: number): Promise<number[]> {
  const found: number[] = [];
  for (let least = from; found.length < limit && keys.length > 0;) {
    const next = await (match === "all" ? nextOfAll(keys, least) : nextOfAny(keys, least));
    if (next === undefined) break;
    found.push(next);
    least = next + 1;
  }
  return found;
}

/** Where any of several keys is, as one. */
export function anyOf(keys: readonly Places[]): Places {
  return keys.length === 1 ? keys[0]! : { seek: (least) => nextOfAny(keys, least) };
}

// Each key pulls the others behind it: the rarest one decides how many steps there are.
async function nextOfAll(keys: readonly Places[], from: number): Promise<number | undefined> {
  let least = from;
  for (let agreed = 0, at = 0; agreed < keys.length; at = (at + 1) % keys.length) {
    const place = await keys[at]!.seek(least);
    if (place === undefined) return undefined;
    agreed = place === least ? agreed + 1 : 1;
    least = place;
  }
  return least;
}

async function nextOfAny(keys: readonly Places[], least: number): Promise<number | undefined> {
  let first: number | undefined;
  for (const key of keys) {
    const place = await key.seek(least);
    if (place !== undefined && (first === undefined || place < first)) first = place;
  }
  return first;
}
