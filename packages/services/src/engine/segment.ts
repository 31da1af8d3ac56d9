// SPDX-License-Identifier: Apache-2.0
/**
 * An index segment: which of its entries may have a given identity. Sorted, immutable, derivable from the log by anyone.
 *
 * File, numbers little-endian: `LIX2`, u32 entries, u64 index of the first entry; then per entry one u64, ascending: the
 * first 40 bits of the identity above 24 bits of the entry's place in the segment; then SHA-256 of all that.
 * Eight octets an entry, and a look-up is an interpolation: identities are hashes, evenly spread. Small segments are in
 * memory (`Segment`); large ones stay files, of which every 512th entry is (`stored.ts`).
 *
 * A hit is a candidate, not an answer: whoever asks reads the entry and compares (I8). Of a million entries about one
 * question in a million meets a stranger.
 */
import { createHash } from "node:crypto";
import { concat, equalBytes } from "@lacre/core/bytes";

const MAGIC = 0x3258494c;
export const HEADER = 16;
export const TRAILER = 32;
/** A place has 24 bits. */
export const MAX_ENTRIES: number = 1 << 24;

const LITTLE = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
if (!LITTLE) throw new TypeError("this machine is big-endian; index segments are not");

/** Words in pairs: even places hold the low half (8 bits of prefix, 24 of place), odd ones the high half. */
export interface Segment {
  readonly first: number;
  readonly words: Uint32Array;
}

/** Collects the identities of entries `first`, `first`+1, …: `identities[i]` is one character per octet. */
export function buildSegment(
  first: number,
  identities: Iterable<readonly [identity: string, index: number]>,
  count: number,
): Segment {
  if (count > MAX_ENTRIES) throw new TypeError(`${count} entries in one segment`);
  const words = new Uint32Array(2 * count);
  let at = 0;
  for (const [identity, index] of identities) {
    words[at++] = ((identity.charCodeAt(4) << 24) | (index - first)) >>> 0;
    words[at++] = high(identity);
  }
  if (at !== words.length) throw new TypeError(`${at / 2} identities, not ${count}`);
  new BigUint64Array(words.buffer).sort();
  return { first, words };
}

/** The first 32 bits of an identity. */
export function high(identity: string): number {
  return (
    ((identity.charCodeAt(0) << 24) | (identity.charCodeAt(1) << 16) | (identity.charCodeAt(2) << 8) | identity.charCodeAt(3)) >>>
    0
  );
}

/** Indices of the entries whose identity starts with the same 40 bits. */
export function candidates({ first, words }: Segment, identity: string): number[] {
  const wanted = high(identity);
  const low = (identity.charCodeAt(4) << 24) >>> 0;
  const found: number[] = [];
  for (
    let at = lowerBound(words, wanted, low);
    at < words.length && words[at + 1] === wanted && (words[at]! & 0xff000000) >>> 0 === low;
    at += 2
  ) {
    found.push(first + (words[at]! & 0xffffff));
  }
  return found;
}

/** The first pair that is not below (high, low); an even place. */
export function lowerBound(words: Uint32Array, high: number, low: number): number {
  let from = 0;
  let to = words.length / 2;
  let fromHigh = 0;
  let toHigh = 0x1_0000_0000;
  // Invariant: pairs before `from` are below, those from `to` on are not. Interpolate while it pays, then halve.
  for (let round = 0; from < to; round++) {
    const guess = round < 4 ? from + Math.floor(((to - from) * (high - fromHigh)) / (toHigh - fromHigh + 1)) : (from + to) >> 1;
    const at = Math.min(Math.max(guess, from), to - 1);
    const value = words[2 * at + 1]!;
    if (value < high || (value === high && words[2 * at]! < low)) {
      from = at + 1;
      fromHigh = value;
    } else {
      to = at;
      toHigh = value;
    }
  }
  return 2 * from;
}

/** Merges segments that stand side by side, a slice at a time: the generator yields between slices. */
export function* mergeSegments(segments: readonly Segment[]): Generator<void, Segment> {
  const first = segments[0]!.first;
  let runs: Uint32Array[] = segments.map(({ first: from, words }) => {
    const moved = words.slice();
    if (from > first) for (let at = 0; at < moved.length; at += 2) moved[at]! += from - first;
    return moved;
  });
  while (runs.length > 1) {
    const next: Uint32Array[] = [];
    for (let at = 0; at < runs.length; at += 2)
      next.push(at + 1 < runs.length ? yield* mergeTwo(runs[at]!, runs[at + 1]!) : runs[at]!);
    runs = next;
  }
  return { first, words: runs[0]! };
}

const SLICE = 1 << 16;

function* mergeTwo(a: Uint32Array, b: Uint32Array): Generator<void, Uint32Array> {
  const out = new Uint32Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < out.length; at += 2) {
    const fromA = j >= b.length || (i < a.length && (a[i + 1]! < b[j + 1]! || (a[i + 1] === b[j + 1] && a[i]! <= b[j]!)));
    if (fromA) {
      out[at] = a[i]!;
      out[at + 1] = a[i + 1]!;
      i += 2;
    } else {
      out[at] = b[j]!;
      out[at + 1] = b[j + 1]!;
      j += 2;
    }
    if (at % SLICE === 0) yield;
  }
  return out;
}

/** The beginning of a segment's file. */
export function encodeHeader(first: number, count: number): Uint8Array {
  const out = new Uint8Array(HEADER);
  const view = new DataView(out.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, count, true);
  view.setBigUint64(8, BigInt(first), true);
  return out;
}

export function encodeSegment({ first, words }: Segment): Uint8Array {
  const body = concat(encodeHeader(first, words.length / 2), new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  return concat(body, createHash("sha256").update(body).digest());
}

/** A segment of exactly these entries, or undefined for bytes that are anything else. */
export function decodeSegment(bytes: Uint8Array, first: number, count: number): Segment | undefined {
  if (bytes.length !== HEADER + 8 * count + TRAILER) return undefined;
  if (!equalBytes(encodeHeader(first, count), bytes.subarray(0, HEADER))) return undefined;
  const end = bytes.length - TRAILER;
  if (!equalBytes(createHash("sha256").update(bytes.subarray(0, end)).digest(), bytes.subarray(end))) return undefined;
  // A copy of its own, whatever kind of array was given: words need alignment.
  return { first, words: new Uint32Array(new Uint8Array(bytes.subarray(HEADER, end)).buffer) };
}
