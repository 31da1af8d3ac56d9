// SPDX-License-Identifier: Apache-2.0
/**
 * Segments too large to be held: the file is read where it has to be, led by every 512th entry in memory.
 *
 * A look-up reads one run of 4 KiB, now and then two, while its caller waits: it decides whether an entry is new, and
 * in the machine's cache it costs a few microseconds. So what a log holds in memory does not grow with it but for eight
 * octets in 4,096 on the disk. A file is read through and held to its hash when it is opened; what rots afterwards can hide an
 * entry from the index, so that it may be logged twice, and never make one up.
 */
import { createHash } from "node:crypto";
import { equalBytes } from "@lacre/core/bytes";
import type { BlobStore, OpenBlob } from "../store/index.ts";
import { candidates, encodeHeader, HEADER, high, lowerBound, type Segment, TRAILER } from "./segment.ts";

/** Entries between two that are in memory. */
const FENCE = 512;
const CHUNK = 1 << 20;

export interface StoredSegment {
  readonly first: number;
  readonly count: number;
  /** The first 32 bits of every 512th entry. */
  readonly fences: Uint32Array;
  readonly blob: OpenBlob;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The words of entries `from` up to `to`. */
function wordsOf({ blob }: Pick<StoredSegment, "blob">, from: number, to: number): Uint32Array {
  const bytes = blob.readNow(HEADER + 8 * from, 8 * (to - from));
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

/** Opens a segment of exactly these entries; undefined where the blob is missing or anything else. */
export async function openStored(
  blobs: BlobStore,
  name: string,
  first: number,
  count: number,
): Promise<StoredSegment | undefined> {
  const blob = await blobs.open(name);
  if (blob === undefined) return undefined;
  const fences = new Uint32Array(Math.ceil(count / FENCE));
  const end = HEADER + 8 * count;
  if (blob.length === end + TRAILER && equalBytes(blob.readNow(0, HEADER), encodeHeader(first, count))) {
    const hash = createHash("sha256");
    hash.update(blob.readNow(0, HEADER));
    for (let at = HEADER; at < end; at += CHUNK, await turn()) hash.update(blob.readNow(at, Math.min(CHUNK, end - at)));
    for (let at = 0; at < count; at += FENCE) fences[at / FENCE] = wordsOf({ blob }, at, at + 1)[1]!;
    if (equalBytes(hash.digest(), blob.readNow(end, TRAILER))) return { first, count, fences, blob };
  }
  await blob.close();
  return undefined;
}

/** Indices of the entries whose identity starts with the same 40 bits. */
export function storedCandidates(segment: StoredSegment, identity: string): number[] {
  const { first, count, fences } = segment;
  const wanted = high(identity);
  // The run before the first fence that is not below may end with what is wanted; those that begin with it may go on with it.
  let from = 0;
  for (let to = fences.length; from < to;) {
    const middle = (from + to) >> 1;
    if (fences[middle]! < wanted) from = middle + 1;
    else to = middle;
  }
  let to = from;
  while (to < fences.length && fences[to] === wanted) to++;
  const words = wordsOf(segment, Math.max(0, from - 1) * FENCE, Math.min(count, Math.max(to, 1) * FENCE));
  return candidates({ first, words }, identity);
}

/** Entries that a merge sorts at a time. */
const SLICE = 1 << 16;
/** Entries that it reads of a part at a time. */
const RUN = 1 << 12;

/** The file of the segment that covers what these cover side by side, a piece at a time: it may be larger than memory. */
export async function* mergedFile(parts: readonly (Segment | StoredSegment)[]): AsyncGenerator<Uint8Array> {
  const { first } = parts[0]!;
  const readers = parts.map((part) => ({
    shift: part.first - first,
    count: "words" in part ? part.words.length / 2 : part.count,
    words: (from: number, to: number): Uint32Array =>
      "words" in part ? part.words.subarray(2 * from, 2 * to) : wordsOf(part, from, to),
    at: 0,
  }));
  const count = readers.reduce((sum, reader) => sum + reader.count, 0);
  const hash = createHash("sha256");
  const piece = (bytes: Uint8Array): Uint8Array => {
    hash.update(bytes);
    return bytes;
  };
  yield piece(encodeHeader(first, count));
  const slices = Math.ceil(count / SLICE);
  for (let slice = 1; slice <= slices; slice++) {
    // Hashes are evenly spread: equal ranges of them hold nearly as many entries each.
    const bound = slice === slices ? Infinity : Math.floor((0x1_0000_0000 / slices) * slice);
    const taken: Uint32Array[] = [];
    for (const reader of readers) {
      for (let isMore = true; isMore;) {
        const words = reader.words(reader.at, Math.min(reader.count, reader.at + RUN));
        const below = bound === Infinity ? words.length : lowerBound(words, bound, 0);
        const moved = words.slice(0, below);
        for (let at = 0; at < below; at += 2) moved[at]! += reader.shift;
        taken.push(moved);
        reader.at += below / 2;
        isMore = below === words.length && words.length > 0;
      }
    }
    const sorted = new Uint32Array(taken.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const words of taken) {
      sorted.set(words, at);
      at += words.length;
    }
    new BigUint64Array(sorted.buffer).sort();
    yield piece(new Uint8Array(sorted.buffer));
    await turn();
  }
  yield hash.digest();
}
