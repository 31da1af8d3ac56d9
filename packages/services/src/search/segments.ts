// SPDX-License-Identifier: Apache-2.0
/**
 * How segments are made: from entries, from smaller segments, from nothing but the log. When, is for `search-index.ts` to say.
 *
 * A segment is a function of the entries it covers, so it may be made at any time, and again. What takes long gives way to
 * the event loop between its steps, and ends when the index is closed.
 */
import { LacreError } from "@lacre/core/errors";
import { entriesAt, type IndexShape, type SegmentInfo, segmentPath } from "@lacre/core/search";
import { type Log, mergeSegments } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import { Generation } from "./generation.ts";
import { mergeToFile, type Merged } from "./merge.ts";
import { type PageCache, PagedSegment, type Part } from "./pages.ts";
import { Run } from "./run.ts";

/** What segments are made of, and where they go. */
export interface SegmentSource {
  readonly log: Pick<Log, "origin" | "entry">;
  /** Where the log's files are; the index's stand beside them. */
  readonly blobs: BlobStore;
  /** Prefixes of the keys of an entry; `known` is what its writer had read of it. */
  readonly keys: (record: Uint8Array, leafHash: Uint8Array, known?: unknown) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** Segments of up to so many entries are kept in memory. Default 16,384. */
  readonly entriesInMemory?: number | undefined;
}

export interface SegmentMakerOptions extends SegmentSource {
  readonly shape: IndexShape;
  readonly cache: PageCache;
  readonly isClosed: () => boolean;
  /** Reads the file of a segment through; a damaged one is made again, and is the answer. */
  readonly check: (part: Part) => Promise<Part | undefined>;
}

/** Entries read between two turns of the event loop. */
const SLICE = 32;
/** What meets damage begins again, so often. */
export const ATTEMPTS = 3;

/** Lets others have the thread. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Makes the segments of one index. */
export class SegmentMaker {
  readonly #o: SegmentMakerOptions;

  constructor(options: SegmentMakerOptions) {
    this.#o = options;
  }

  /** Segments of up to so many entries are kept in memory. */
  get inMemory(): number {
    return this.#o.entriesInMemory ?? 16_384;
  }

  /** A segment as its file. */
  paged(info: SegmentInfo): PagedSegment {
    return new PagedSegment(info, entriesAt(this.#o.shape, info.level), this.#o.blobs, this.#o.cache);
  }

  /** The keys of entries, from the entries; undefined when the index is closed meanwhile. */
  async read(from: number, to: number): Promise<Generation | undefined> {
    const { log, keys } = this.#o;
    const generation = new Generation(from);
    for (let at = from; at < to; at++) {
      if (at % SLICE === 0) await turn();
      if (this.#o.isClosed()) return undefined;
      const entry = await log.entry(at);
      if (entry === undefined)
        throw new ServiceError("LOG_DAMAGED", undefined, { detail: `entry ${at} of ${log.origin} cannot be read` });
      const prefixes = keys(entry.record, entry.leafHash);
      generation.add(prefixes instanceof Promise ? await prefixes : prefixes);
    }
    return generation;
  }

  /** One segment of `fan` that stand side by side. A damaged one is made again first. */
  async merge(parts: readonly Part[]): Promise<Part> {
    const { level, place, entries } = parts[0]!;
    const { fan } = this.#o.shape;
    const pause = async (): Promise<void> => {
      await turn();
      if (this.#o.isClosed()) throw new ServiceError("LOG_STOPPED");
    };
    if (entries * fan <= this.inMemory && parts.every((part) => part instanceof Run)) {
      const steps = mergeSegments(parts.map((part) => (part as Run).segment));
      let step = steps.next();
      for (; step.done !== true; step = steps.next()) await pause();
      return new Run(level + 1, place / fan, entries * fan, step.value.words);
    }
    const merged: Merged = { records: 0, root: new Uint8Array(0) };
    let sound = parts;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#o.blobs.putParts(segmentPath({ level: level + 1, place: place / fan }), mergeToFile(sound, merged, pause));
        return this.paged({ level: level + 1, place: place / fan, ...merged });
      } catch (cause) {
        if (!(cause instanceof LacreError) || attempt === ATTEMPTS) throw cause;
        const checked: Part[] = [];
        for (const part of sound) checked.push((await this.#o.check(part)) ?? part);
        sound = checked;
      }
    }
  }

  /** Makes a segment from the entries: small ones first, then merged, so that memory stays as small. */
  async make(level: number, place: number): Promise<Part | undefined> {
    const { generation: span, fan } = this.#o.shape;
    if (level === 0) {
      const generation = await this.read(place * span, (place + 1) * span);
      return generation && new Run(0, place, span, generation.sorted());
    }
    const parts: Part[] = [];
    for (let at = 0; at < fan; at++) {
      const part = await this.make(level - 1, place * fan + at);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    const merged = await this.merge(parts);
    for (const part of parts) if (part instanceof PagedSegment) await this.#o.blobs.remove(part.name).catch(() => {});
    return merged;
  }

  /** Writes the file of a segment in memory. */
  async write(run: Run): Promise<void> {
    const { file, info } = run.build();
    await this.#o.blobs.putParts(run.name, asParts(file));
    run.info = info;
  }
}

async function* asParts(file: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* file;
}
