// SPDX-License-Identifier: Apache-2.0
/**
 * The index of a log: where its entries are by what is in them. Complete at any moment, made of the entries alone.
 *
 * New entries are in memory (`generation.ts`) from their commit on, before anybody hears of them. Whenever a generation of
 * published entries is full it becomes a segment file, `fan` of those the next larger one, and a new root is signed. A
 * segment is a function of the entries it covers: losing files costs the time to make them again, never an answer.
 *
 * Nothing on the disk is believed. The root counts if our key signed it for this tree; a page, if it has the hash that the
 * root leads to. What does not is named in the operator's log, made again from the entries, and searches that need it wait
 * or are told to come again. After a start all files are read through once, in the background.
 */
import { equalBytes, text, utf8 } from "@lacre/core/bytes";
import type { PrivateKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import {
  entriesAt, INDEX_SHAPE, type IndexRoot, type IndexShape, levelsOf, MAX_ENTRIES, openIndexRoot, type PageNeed, type Places, ROOT_PATH, type SegmentInfo,
  segmentLength, segmentPath, signIndexRoot,
} from "@lacre/core/search";
import type { Follower, Log, Logger } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import { Generation } from "./generation.ts";
import { mergeSegments, type Merged } from "./merge.ts";
import { PageCache, PagedSegment } from "./pages.ts";
import { rootAt } from "./tree.ts";

export interface SearchIndexOptions {
  readonly log: Log;
  /** Where the log's files are; the index's stand beside them. */
  readonly blobs: BlobStore;
  /** Prefixes of the keys of an entry. */
  readonly keys: (record: Uint8Array, leafHash: Uint8Array) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** Name in the log's signatures. */
  readonly name: string;
  readonly key: PrivateKey;
  readonly now: () => number;
  readonly logger?: Logger | undefined;
  readonly shape?: IndexShape | undefined;
  /** Pages of records kept in memory. Default 5,000, some 60 MB. */
  readonly cachedPages?: number | undefined;
  /** Entries that a start reads before it goes on and leaves the rest to the background. Default 16,384. */
  readonly entriesAtStart?: number | undefined;
}

const SILENT: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** Places looked up at a time. */
const CHUNK = 64;
/** Entries read between two turns of the event loop. */
const SLICE = 32;
/** A search waits so long for a segment that is made again. */
const PATIENCE_MS = 2000;
/** A segment that was merged into another stays readable for those who hold the root before, so long. */
const RETIRE_MS = 60_000;

/** What could not be written is tried again after this time. */
const RETRY_MS = 5000;
/** A merge that meets damage begins again, so often. */
const ATTEMPTS = 3;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A page that a look-up needs first. */
interface Need {
  readonly segment: PagedSegment;
  readonly missing: PageNeed;
}

export class SearchIndex {
  readonly shape: IndexShape;
  readonly #o: SearchIndexOptions;
  readonly #logger: Logger;
  readonly #cache: PageCache;
  /** Side by side from the first entry on. */
  #segments: readonly PagedSegment[] = [];
  /** Generations behind the segments, by number; each is without gaps from its beginning. */
  readonly #tail = new Map<number, Generation>();
  /** Entries of a generation whose beginning is still to be read. */
  readonly #waiting = new Map<number, ArrayLike<number>>();
  /** Entries below are in segments, or in memory without a gap. */
  #covered = 0;
  #published = 0;
  #root = "";
  #closed = false;
  /** What is under way: one thing at a time. */
  #work: Promise<void> = Promise.resolve();
  #growing = false;
  readonly #repairs = new Map<string, Promise<void>>();
  /** Segments that were merged into others and are still readable. */
  #retired: { readonly segment: PagedSegment; readonly atMs: number }[] = [];

  private constructor(options: SearchIndexOptions) {
    this.#o = options;
    this.shape = options.shape ?? INDEX_SHAPE;
    if (entriesAt(this.shape, levelsOf(this.shape) - 1) > MAX_ENTRIES) throw new TypeError("segments larger than their places");
    this.#logger = options.logger ?? SILENT;
    this.#cache = new PageCache(options.cachedPages ?? 5000);
  }

  /** Opens the index of a log before its first `append`. What is missing is made: a little now, much in the background. */
  static async open(options: SearchIndexOptions): Promise<SearchIndex> {
    const index = new SearchIndex(options);
    const size = options.log.follow(index.#follower);
    index.#published = size;
    await index.#load(size);
    const missing = size - index.#indexed;
    if (missing <= (options.entriesAtStart ?? 16_384)) await index.#attempt(() => index.#grow());
    else index.#warn({ entries: missing }, "the index is made again from the entries, in the background");
    if (index.#root === "") await index.#attempt(() => index.#publish());
    index.#advance();
    index.#enqueue(() => index.#scrub());
    return index;
  }

  /** Entries in segments. */
  get #indexed(): number {
    const last = this.#segments.at(-1);
    return last === undefined ? 0 : last.first + last.entries;
  }

  /** Answers are complete for the entries below: all published ones, but while a lost index is made again. */
  get size(): number {
    return Math.min(this.#covered, this.#published);
  }

  /** The signed root. */
  get root(): string {
    return this.#root;
  }

  /** Octets of the file of a segment that the root lists, or one of the last ones did; undefined for others. */
  lengthOf(level: number, place: number): number | undefined {
    const named = ({ info }: PagedSegment): boolean => info.level === level && info.place === place;
    const segment = this.#segments.find(named) ?? this.#retired.find((one) => named(one.segment))?.segment;
    return segment && segmentLength(segment.info.records);
  }

  /** For health: entries in segments, and whether something is being made again. */
  get state(): { readonly size: number; readonly indexed: number; readonly isComplete: boolean } {
    return { size: this.size, indexed: this.#indexed, isComplete: this.#covered >= this.#published && this.#repairs.size === 0 };
  }

  #warn(fields: object, message: string): void {
    this.#logger.warn({ origin: this.#o.log.origin, ...fields }, message);
  }

  readonly #follower: Follower<ArrayLike<number>> = {
    prepare: (record, leafHash) => this.#o.keys(record, leafHash),
    committed: (at, prefixes) => {
      this.#add(at, prefixes);
      if (this.#covered === at) this.#covered = at + 1;
    },
    published: (size) => {
      this.#published = size;
      this.#advance();
    },
  };

  #add(at: number, prefixes: ArrayLike<number>): void {
    const number = Math.floor(at / this.shape.generation);
    let generation = this.#tail.get(number);
    if (generation === undefined) this.#tail.set(number, (generation = new Generation(number * this.shape.generation)));
    if (generation.first + generation.entries === at) generation.add(prefixes);
    else this.#waiting.set(at, prefixes);
  }

  // Start.

  /** Takes what the directory has, as far as it is signed for this tree. */
  async #load(size: number): Promise<void> {
    const { blobs, log, name, key } = this.#o;
    const bytes = await blobs.get(ROOT_PATH);
    if (bytes === undefined) return;
    let root: IndexRoot;
    try {
      root = openIndexRoot(text(bytes), { origin: log.origin, name, key: key.publicKey });
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      return this.#warn({ found: `${cause.code}: ${cause.message}` }, `${ROOT_PATH} is damaged; the index is made again from the entries`);
    }
    if (root.shape.generation !== this.shape.generation || root.shape.fan !== this.shape.fan) return this.#warn({}, "the index is of another shape and is made again from the entries");
    if (root.size > size || !equalBytes(root.root, await rootAt(log, root.size))) {
      return this.#warn({ indexed: root.size, size }, "the index is of another history than the log and is made again from the entries");
    }
    this.#root = text(bytes);
    this.#segments = root.segments.map((info) => this.#segment(info));
    this.#covered = root.size;
    for (const segment of this.#segments) await this.#removeParts(segment);
  }

  #segment(info: SegmentInfo): PagedSegment {
    const entries = entriesAt(this.shape, info.level);
    return new PagedSegment(info, info.place * entries, entries, this.#o.blobs, this.#cache);
  }

  /** Removes the segments that one was merged of, which a crash may have left. */
  async #removeParts({ info }: PagedSegment): Promise<void> {
    const { fan } = this.shape;
    for (let level = info.level - 1, count = fan, place = info.place * fan; level >= Math.max(0, info.level - 2); level--, count *= fan, place *= fan) {
      for (let at = 0; at < count; at++) await this.#o.blobs.remove(segmentPath({ level, place: place + at })).catch(() => {});
    }
  }

  /** The keys of entries, from the entries; undefined when the index is closed meanwhile. */
  async #read(from: number, to: number): Promise<Generation | undefined> {
    const { log, keys } = this.#o;
    const generation = new Generation(from);
    for (let at = from; at < to; at++) {
      if (at % SLICE === 0) await turn();
      if (this.#closed) return undefined;
      const entry = await log.entry(at);
      if (entry === undefined) throw new ServiceError("LOG_DAMAGED", undefined, { detail: `entry ${at} of ${log.origin} cannot be read` });
      const prefixes = keys(entry.record, entry.leafHash);
      generation.add(prefixes instanceof Promise ? await prefixes : prefixes);
    }
    return generation;
  }

  // Growth.

  /** Does something; what stands in its way is told and tried again. */
  async #attempt(job: () => Promise<void>): Promise<void> {
    if (this.#closed) return;
    try {
      await job();
    } catch (cause) {
      if (this.#closed) return;
      const detail = cause instanceof ServiceError ? (cause.detail ?? cause.message) : String(cause);
      this.#warn({ cause: detail }, "the index cannot be written now; it answers from memory and goes on later");
      setTimeout(() => this.#advance(), RETRY_MS).unref();
    }
  }

  #enqueue(job: () => Promise<void>): void {
    this.#work = this.#work.then(() => this.#attempt(job));
  }

  /** Grows in the background, where there is something to do and it is not being done. */
  #advance(): void {
    if (this.#growing || !(this.#isFull() || this.#covered < this.#published)) return;
    this.#growing = true;
    this.#enqueue(() => this.#grow().finally(() => (this.#growing = false)));
  }

  /** Makes segments of full generations, reads entries that are not in memory, until neither is left. */
  async #grow(): Promise<void> {
    while (!this.#closed) {
      if (this.#isFull()) await this.#seal();
      else if (this.#covered < this.#published) await this.#fill();
      else return;
    }
  }

  /** Whether the next generation is whole, and published. */
  #isFull(): boolean {
    return this.#indexed + this.shape.generation <= this.size;
  }

  /** Reads the generation behind what is covered. Entries that are committed meanwhile wait, and stand behind. */
  async #fill(): Promise<void> {
    const { generation: span } = this.shape;
    const number = Math.floor(this.#covered / span);
    const generation = await this.#read(number * span, Math.min((number + 1) * span, this.#published));
    if (generation === undefined) return;
    for (let at = generation.first + generation.entries; this.#waiting.has(at); at++) {
      generation.add(this.#waiting.get(at)!);
      this.#waiting.delete(at);
    }
    this.#tail.set(number, generation);
    this.#covered = generation.first + generation.entries;
    // Generations behind it may have come whole meanwhile.
    for (let next = this.#tail.get(this.#covered / span); next !== undefined && next.entries > 0; next = this.#tail.get(this.#covered / span)) this.#covered = next.first + next.entries;
  }

  /** The next generation becomes a segment, and what that completes; then the root is signed anew. */
  async #seal(): Promise<void> {
    const number = this.#indexed / this.shape.generation;
    await this.#install(this.#segment(await this.#write(0, number, this.#tail.get(number)!)));
    this.#tail.delete(number);
  }

  async #write(level: number, place: number, generation: Generation): Promise<SegmentInfo> {
    const { file, records, root } = generation.build();
    await this.#o.blobs.putParts(segmentPath({ level, place }), asParts(file));
    return { level, place, records, root };
  }

  /** Takes a segment into service, merging what fills one of the next level, and publishes the root. */
  async #install(segment: PagedSegment): Promise<void> {
    const { fan } = this.shape;
    let segments = [...this.#segments, segment];
    const replaced: PagedSegment[] = [];
    for (;;) {
      const { level, place } = segments.at(-1)!.info;
      const parts = segments.slice(-fan);
      if (level + 1 >= levelsOf(this.shape) || (place + 1) % fan !== 0 || parts.length < fan || parts.some(({ info }) => info.level !== level)) break;
      segments = [...segments.slice(0, -fan), await this.#merge(parts)];
      replaced.push(...parts);
    }
    this.#segments = segments;
    await this.#publish();
    for (const one of replaced) this.#retired.push({ segment: one, atMs: this.#o.now() });
  }

  /** One segment of `fan` that stand side by side. A damaged one is made again first. */
  async #merge(parts: readonly PagedSegment[]): Promise<PagedSegment> {
    const { level, place } = parts[0]!.info;
    const target = { level: level + 1, place: place / this.shape.fan };
    const merged: Merged = { records: 0, root: new Uint8Array(0) };
    const pause = async (): Promise<void> => {
      await turn();
      if (this.#closed) throw new ServiceError("LOG_STOPPED");
    };
    let sound = parts;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#o.blobs.putParts(segmentPath(target), mergeSegments(sound, merged, pause));
        return this.#segment({ ...target, ...merged });
      } catch (cause) {
        if (!(cause instanceof LacreError) || attempt === ATTEMPTS) throw cause;
        const checked: PagedSegment[] = [];
        for (const part of sound) checked.push((await this.#check(part)) ?? part);
        sound = checked;
      }
    }
  }

  async #publish(): Promise<void> {
    const { log, blobs, name, key, now } = this.#o;
    const size = this.#indexed;
    this.#root = signIndexRoot({ origin: log.origin, size, root: await rootAt(log, size), shape: this.shape, segments: this.#segments.map(({ info }) => info) }, name, key);
    await blobs.putMutable(ROOT_PATH, utf8(this.#root));
    const due = this.#retired.filter(({ atMs }) => atMs + RETIRE_MS <= now());
    this.#retired = this.#retired.filter((one) => !due.includes(one));
    for (const one of due) await blobs.remove(one.segment.name).catch(() => {});
  }

  // Damage.

  /** Reads all files through once. */
  async #scrub(): Promise<void> {
    for (const segment of this.#segments) await this.#check(segment);
  }

  /** Reads a segment through; a damaged one is made again, and is the answer. */
  async #check(segment: PagedSegment): Promise<PagedSegment | undefined> {
    try {
      for await (const pages of segment.pages()) {
        if (this.#closed || pages.length === 0) break;
        await turn();
      }
      return undefined;
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      return this.#remake(segment, cause);
    }
  }

  /** Names a damaged segment and makes it again from the entries. The root changes only if what is kept beside entries did. */
  async #remake(damaged: PagedSegment, found: LacreError): Promise<PagedSegment | undefined> {
    const { info, name } = damaged;
    this.#warn({ segment: name, found: found.message }, "an index segment is damaged and is made again from the entries");
    const again = await this.#make(info.level, info.place);
    if (again === undefined) return undefined;
    const at = this.#segments.indexOf(damaged);
    if (at >= 0) {
      this.#segments = this.#segments.with(at, again);
      if (!equalBytes(again.info.root, info.root)) await this.#publish();
    }
    this.#logger.info({ origin: this.#o.log.origin, segment: name }, "an index segment was made again");
    return again;
  }

  /** Makes a segment from the entries: small ones first, then merged, so that memory stays as small. */
  async #make(level: number, place: number): Promise<PagedSegment | undefined> {
    if (level === 0) {
      const { generation: span } = this.shape;
      const generation = await this.#read(place * span, (place + 1) * span);
      return generation && this.#segment(await this.#write(0, place, generation));
    }
    const parts: PagedSegment[] = [];
    for (let at = 0; at < this.shape.fan; at++) {
      const part = await this.#make(level - 1, place * this.shape.fan + at);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    const merged = await this.#merge(parts);
    for (const { name } of parts) await this.#o.blobs.remove(name).catch(() => {});
    return merged;
  }

  /** Has a damaged segment made again and waits for it, for a while. Throws OVERLOADED. */
  async #repaired(segment: PagedSegment): Promise<void> {
    const { name } = segment;
    let repair = this.#repairs.get(name);
    if (repair === undefined) {
      repair = new Promise((resolve) => {
        this.#enqueue(async () => {
          try {
            // It may have been made again, or merged, since.
            if (this.#segments.includes(segment)) await this.#check(segment);
          } finally {
            this.#repairs.delete(name);
            resolve();
          }
        });
      });
      this.#repairs.set(name, repair);
    }
    const { promise, resolve } = Promise.withResolvers<"late">();
    const timer = setTimeout(() => resolve("late"), PATIENCE_MS);
    const outcome = await Promise.race([repair, promise]);
    clearTimeout(timer);
    if (outcome === "late") {
      throw new ServiceError("OVERLOADED", "a part of the search index is being made again; try again", { headers: { "retry-after": "5" }, detail: name });
    }
  }

  // Look-ups.

  /** Places of a key from `from` on, at most `limit`: or the segment and page that are needed for more. */
  #collect(prefix: number, from: number, limit: number, found: number[]): Need | undefined {
    for (const segment of this.#segments) {
      if (segment.first + segment.entries <= from) continue;
      const answer = segment.find(prefix, Math.max(0, from - segment.first), limit - found.length);
      if (answer.missing !== undefined) return { segment, missing: answer.missing };
      for (const place of answer.places) found.push(segment.first + place);
      if (found.length >= limit) return undefined;
    }
    const { generation: span } = this.shape;
    const end = this.#covered;
    for (let number = Math.max(Math.floor(from / span), this.#indexed / span); number * span < end; number++) {
      const generation = this.#tail.get(number);
      if (generation === undefined) break;
      for (const place of generation.find(prefix, Math.max(0, from - generation.first), limit - found.length)) found.push(generation.first + place);
      if (found.length >= limit) return undefined;
    }
    return undefined;
  }

  /** Indices of entries that may have a key, from `from` on, at most `limit`: candidates, to be compared with the entries. */
  find(prefix: number, from: number, limit: number): readonly number[] | Promise<readonly number[]> {
    const found: number[] = [];
    const need = this.#collect(prefix, from, limit, found);
    return need === undefined ? found : this.#findSlowly(prefix, from, limit, found, need);
  }

  async #findSlowly(prefix: number, from: number, limit: number, found: number[], first: Need): Promise<readonly number[]> {
    let damage = 0;
    for (let need: Need | undefined = first; need !== undefined; ) {
      try {
        await need.segment.load(need.missing);
      } catch (cause) {
        if (!(cause instanceof LacreError)) throw cause;
        if (++damage > ATTEMPTS) throw new ServiceError("LOG_DAMAGED", undefined, { detail: `${need.segment.name}: ${cause.message}, again and again`, cause });
        await this.#repaired(need.segment);
      }
      // Segments may have been merged meanwhile: go on behind what was found.
      need = this.#collect(prefix, found.length === 0 ? from : found.at(-1)! + 1, limit, found);
    }
    return found;
  }

  /** Where a key is, to be combined with others. */
  places(prefix: number): Places {
    let [from, through, known] = [0, -1, [] as readonly number[]];
    const next = (least: number): number | undefined => known.find((at) => at >= least);
    return {
      seek: (least) => {
        if (least >= from && least <= through) return next(least);
        const take = (found: readonly number[]): number | undefined => {
          known = found;
          from = least;
          through = found.length < CHUNK ? Number.MAX_SAFE_INTEGER : found.at(-1)!;
          return next(least);
        };
        const found = this.find(prefix, least, CHUNK);
        return found instanceof Promise ? found.then(take) : take(found);
      },
    };
  }

  /** Resolves when nothing is being made: for tests and for a quiet end. */
  async settled(): Promise<void> {
    for (let before: Promise<void> | undefined; before !== this.#work; ) {
      before = this.#work;
      await before;
    }
  }

  /** Ends what is under way; the files stay as they are. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.settled();
  }
}

async function* asParts(file: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* file;
}
