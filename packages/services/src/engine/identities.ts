// SPDX-License-Identifier: Apache-2.0
/**
 * Which identities are stored, and at which index: what makes a repeated record find its first entry.
 *
 * Entries of the current generation (65,536 of them) are in a map; when a generation is sealed it becomes a segment file
 * `index/identity/0/<N>`, sixteen of which are merged into one of the next level, four of those again, and so on. Those of level
 * 0 are held in memory, larger ones stay files: memory does not grow with the log. All of it can be made again from the bundles and is, when a file is missing or damaged: losing it costs time, never a promise (I8).
 */
import { tilePath, TILE_WIDTH } from "@lacre/core/merkle";
import type { BlobStore } from "../store/index.ts";
import type { Logger } from "./logger.ts";
import type { Personality } from "./personality.ts";
import { buildSegment, candidates, decodeSegment, encodeSegment, type Segment } from "./segment.ts";
import { mergedFile, openStored, storedCandidates, type StoredSegment } from "./stored.ts";
import { readBundle, type Tiles } from "./tiles.ts";

/** Entries of a segment of level 0, and how many segments of each level make one of the next. */
export interface IndexShape {
  readonly generation: number;
  readonly fans: readonly number[];
}

/**
 * 65,536, 1,048,576, 4,194,304 and 16,777,216 entries: the last is as many as a segment can hold. Small steps between those
 * that are files, because each of them is a read for every new entry.
 */
export const DEFAULT_SHAPE: IndexShape = { generation: 65_536, fans: [16, 4, 4] };

/** Entries of a segment of this level. */
export function spanOf({ generation, fans }: IndexShape, level: number): number {
  return fans.slice(0, level).reduce((span, fan) => span * fan, generation);
}

export interface IdentityParts {
  readonly blobs: BlobStore;
  readonly tiles: Tiles;
  readonly personality: Personality;
  readonly origin: string;
  readonly log: Logger;
  readonly shape?: IndexShape | undefined;
}

interface Placed {
  readonly level: number;
  /** Which of its level. */
  readonly place: number;
  readonly segment: Segment | StoredSegment;
}

/** An identity as a key of maps: one character per octet. */
export function key(identity: Uint8Array): string {
  return Buffer.from(identity.buffer, identity.byteOffset, identity.length).toString("latin1");
}

/** Name of a segment's blob. */
export function segmentName(level: number, place: number): string {
  return `index/identity/${tilePath({ level, index: place, width: TILE_WIDTH })}`;
}

export class Identities {
  readonly #parts: IdentityParts;
  readonly #shape: IndexShape;
  /** Oldest entries first, without gaps, up to the first generation in `#recent`. */
  #segments: Placed[] = [];
  /** By generation; each complete but the last. */
  readonly #recent = new Map<number, Map<string, number>>();

  private constructor(parts: IdentityParts) {
    this.#parts = parts;
    this.#shape = parts.shape ?? DEFAULT_SHAPE;
  }

  /** The index of a log whose first `sealed` entries are in sealed bundles and whose others, up to `size`, are hot. */
  static async open(parts: IdentityParts, sealed: number, size: number): Promise<Identities> {
    const index = new Identities(parts);
    await index.#load(sealed);
    const from = index.#covered;
    for (let bundle = from / TILE_WIDTH; bundle < sealed / TILE_WIDTH; bundle++) {
      await index.#eachIdentity(bundle, (identity, at) => index.add(identity, at));
    }
    for (let at = Math.max(from, sealed); at < size; at++)
      index.add(key(parts.personality.identity(parts.tiles.hotRecord(at)!.record)), at);
    await index.#fill(sealed);
    return index;
  }

  /** Entries that are in segments. */
  get #covered(): number {
    const last = this.#segments.at(-1);
    return last === undefined ? 0 : (last.place + 1) * this.#span(last.level);
  }

  #span(level: number): number {
    return spanOf(this.#shape, level);
  }

  async #eachIdentity(bundle: number, take: (identity: string, index: number) => void): Promise<void> {
    const { blobs, personality } = this.#parts;
    const stored = (await readBundle(blobs, personality, bundle)) ?? [];
    for (const [at, { record }] of stored.entries()) take(key(personality.identity(record)), bundle * TILE_WIDTH + at);
  }

  /** Segments that cover the sealed generations, largest first; missing and damaged ones are made again. */
  async #load(sealed: number): Promise<void> {
    const whole = Math.floor(sealed / this.#shape.generation) * this.#shape.generation;
    let from = 0;
    for (let level = this.#shape.fans.length; level >= 0; level--) {
      for (const span = this.#span(level); from + span <= whole; from += span) await this.#loadOne(level, from / span);
    }
  }

  async #loadOne(level: number, place: number): Promise<void> {
    const { blobs, log, origin } = this.#parts;
    const span = this.#span(level);
    const name = segmentName(level, place);
    const bytes = level > 0 ? undefined : await blobs.get(name);
    const segment =
      level > 0 ? await openStored(blobs, name, place * span, span) : bytes && decodeSegment(bytes, place * span, span);
    if (segment !== undefined) {
      this.#segments.push({ level, place, segment });
      return;
    }
    // Larger ones are merged from smaller ones, which are where the merge was not finished; or are made again too.
    if (level > 0) {
      if ((await blobs.read(name, 0, 1)) !== undefined) {
        log.warn({ origin, segment: name, found: "damage" }, "an index segment is made again from smaller ones");
        await blobs.remove(name);
      }
      const fan = this.#shape.fans[level - 1]!;
      for (let below = 0; below < fan; below++) await this.#loadOne(level - 1, place * fan + below);
      return;
    }
    log.warn(
      { origin, segment: name, found: bytes === undefined ? "nothing" : "damage" },
      "an index segment is made again from the entries",
    );
    const identities: [string, number][] = [];
    for (let bundle = (place * span) / TILE_WIDTH; bundle < ((place + 1) * span) / TILE_WIDTH; bundle++) {
      await this.#eachIdentity(bundle, (identity, at) => identities.push([identity, at]));
    }
    await this.#install(place, buildSegment(place * span, identities, span));
  }

  /** Remembers a committed entry. */
  add(identity: string, index: number): void {
    const generation = Math.floor(index / this.#shape.generation);
    let map = this.#recent.get(generation);
    if (map === undefined) this.#recent.set(generation, (map = new Map()));
    // The first entry of an identity is the one that counts; more than one there is only after an index was lost.
    if (!map.has(identity)) map.set(identity, index);
  }

  /** Index of the committed entry with this identity. */
  find(identity: string): number | undefined | Promise<number | undefined> {
    for (const map of this.#recent.values()) {
      const index = map.get(identity);
      if (index !== undefined) return index;
    }
    let found: number[] | undefined;
    for (const { segment } of this.#segments) {
      const hits = "words" in segment ? candidates(segment, identity) : storedCandidates(segment, identity);
      if (hits.length > 0) found = found === undefined ? hits : [...found, ...hits];
    }
    return (
      found &&
      this.#confirm(
        identity,
        found.toSorted((a, b) => a - b),
      )
    );
  }

  async #confirm(identity: string, indices: readonly number[]): Promise<number | undefined> {
    const { tiles, personality } = this.#parts;
    for (const index of indices) {
      const stored = await tiles.record(index);
      if (stored !== undefined && key(personality.identity(stored.record)) === identity) return index;
    }
    return undefined;
  }

  /** Told that the entries below `size` are sealed: whole generations become segments, and segments larger ones. */
  async sealed(size: number): Promise<void> {
    await this.#fill(size);
    await this.#merge();
  }

  async #fill(size: number): Promise<void> {
    const span = this.#shape.generation;
    for (let place = this.#covered / span; (place + 1) * span <= size; place++) {
      const map = this.#recent.get(place)!;
      const segment = map.size === span ? buildSegment(place * span, map, span) : undefined;
      // Two entries of one identity (an index was lost once): build from the entries, which knows both.
      if (segment === undefined) await this.#loadOne(0, place);
      else await this.#install(place, segment);
      this.#recent.delete(place);
    }
  }

  /** Takes a segment of level 0 into service, then writes it. One that cannot be written is made again at the next start. */
  async #install(place: number, segment: Segment): Promise<void> {
    const { blobs } = this.#parts;
    const name = segmentName(0, place);
    this.#segments = [...this.#segments, { level: 0, place, segment }];
    try {
      await blobs.putMutable(name, encodeSegment(segment));
      await blobs.flush([name]);
    } catch (cause) {
      this.#warn(name, cause, "an index segment cannot be written; it stays in memory");
    }
  }

  #warn(segment: string, cause: unknown, message: string): void {
    this.#parts.log.warn({ origin: this.#parts.origin, segment, cause: String(cause) }, message);
  }

  /**
   * Merges segments while some fill one of the next level: also those that a start found unmerged, which it does not wait for.
   * Look-ups go to the parts until the whole is a file.
   */
  async #merge(): Promise<void> {
    for (;;) {
      const at = this.#segments.findIndex(({ level, place }, index) => {
        const fan = this.#shape.fans[level];
        return fan !== undefined && place % fan === 0 && this.#segments[index + fan - 1]?.level === level;
      });
      if (at < 0) return;
      const { level, place } = this.#segments[at]!;
      const fan = this.#shape.fans[level]!;
      if (!(await this.#mergeOne(this.#segments.slice(at, at + fan), { level: level + 1, place: place / fan }))) return;
    }
  }

  async #mergeOne(parts: readonly Placed[], { level, place }: Pick<Placed, "level" | "place">): Promise<boolean> {
    const { blobs } = this.#parts;
    const name = segmentName(level, place);
    const span = this.#span(level);
    try {
      await blobs.putParts(name, mergedFile(parts.map(({ segment }) => segment)));
      await blobs.flush([name]);
      const segment = await openStored(blobs, name, place * span, span);
      if (segment === undefined) throw new Error("it does not read as it was written");
      this.#segments = this.#segments.toSpliced(this.#segments.indexOf(parts[0]!), parts.length, { level, place, segment });
    } catch (cause) {
      this.#warn(name, cause, "index segments cannot be merged; they stay as they are");
      return false;
    }
    await close(parts);
    for (const part of parts) await blobs.remove(segmentName(part.level, part.place)).catch(() => {});
    return true;
  }

  /** Lets go of the files. */
  async close(): Promise<void> {
    await close(this.#segments.splice(0));
  }
}

async function close(segments: readonly Placed[]): Promise<void> {
  for (const { segment } of segments) if ("blob" in segment) await segment.blob.close();
}
