// SPDX-License-Identifier: Apache-2.0
/**
 * The index of a log: where its entries are by what is in them. Complete at any moment, made of the entries alone.
 *
 * New entries are in memory (`generation.ts`) from their commit on, before anybody hears of them. A full generation of
 * published entries becomes a segment, `fan` of those the next larger one: small ones in memory (`run.ts`), large ones as
 * files (`pages.ts`); `segments.ts` makes them. Once a second at most the files of new small ones are written and a new root
 * is signed. A segment is a function of the entries it covers: losing files costs the time to make them again, never an
 * answer.
 *
 * Nothing on the disk is believed. The root counts if our key signed it for this tree; a page, if it has the hash that the
 * root leads to. What does not is named in the operator's log and made again from the entries; searches that need it wait,
 * or are told to come again. All files are read through after a start, and then once an hour.
 */
import { dirname } from "node:path/posix";
import { equalBytes, text, utf8 } from "@lacre/core/bytes";
import type { PrivateKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import {
  INDEX_SHAPE,
  type IndexRoot,
  type IndexShape,
  levelsOf,
  openIndexRoot,
  type PageNeed,
  type Places,
  ROOT_PATH,
  type SegmentInfo,
  segmentLength,
  signIndexRoot,
} from "@lacre/core/search";
import { type Follower, type Log, type Logger } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import { Generation } from "./generation.ts";
import { PageCache, type Part } from "./pages.ts";
import { collectRecords, Run } from "./run.ts";
import { ATTEMPTS, SegmentMaker, type SegmentSource, turn } from "./segments.ts";
import { RootSource } from "./tree.ts";

/** What an index needs of its log. */
export type IndexedLog = Pick<Log, "origin" | "size" | "entry" | "readTile" | "follow">;

export interface SearchIndexOptions extends SegmentSource {
  readonly log: IndexedLog;
  /** Name in the log's signatures. */
  readonly name: string;
  readonly key: PrivateKey;
  readonly now: () => number;
  readonly logger?: Logger | undefined;
  readonly shape?: IndexShape | undefined;
  /** Pages of larger segments kept in memory, 8 KiB each. Default 6,000. */
  readonly cachedPages?: number | undefined;
  /** Entries that a start reads before it goes on and leaves the rest to the background. Default 16,384. */
  readonly entriesAtStart?: number | undefined;
  /** Least time between two roots. Default 1,000. */
  readonly publishMs?: number | undefined;
}

const SILENT: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** Places looked up at a time. */
const CHUNK = 64;
/** A search waits so long for a segment that is made again. */
const PATIENCE_MS = 2000;
/** A segment that was merged into another stays readable for those who hold the root before, so long. */
const RETIRE_MS = 60_000;
/** Between two roots; under unbroken work, so many times as long. */
const PUBLISH_MS = 1000;
const LONG = 5;
/** What could not be written is tried again after this time. */
const RETRY_MS = 5000;
/** All files are read through so often. */
const SCRUB_MS = 3_600_000;

/** A page that a look-up needs first. */
interface Need {
  readonly part: Part;
  readonly missing: PageNeed;
}

export class SearchIndex {
  readonly shape: IndexShape;
  readonly #o: SearchIndexOptions;
  readonly #logger: Logger;
  readonly #maker: SegmentMaker;
  readonly #roots: RootSource;
  /** Side by side from the first entry on. */
  #parts: readonly Part[] = [];
  /** Generations behind them, by number; each is without gaps from its beginning. */
  readonly #tail = new Map<number, Generation>();
  /** Entries of a generation whose beginning is still to be read. */
  readonly #waiting = new Map<number, ArrayLike<number>>();
  /** Entries below are in parts, or in memory without a gap. */
  #covered = 0;
  #published = 0;
  #root = "";
  /** Whether the root says what the parts are, and when it was signed, on the monotonic clock. */
  #isRootNew = false;
  #rootMs = -Infinity;
  #closed = false;
  /** What is under way: one thing at a time. */
  #work: Promise<void> = Promise.resolve();
  #growing = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #repairs = new Map<string, Promise<void>>();
  /** Segments that were merged into others and are still readable. */
  #retired: { readonly part: Part; readonly atMs: number }[] = [];

  private constructor(options: SearchIndexOptions) {
    this.#o = options;
    this.shape = options.shape ?? INDEX_SHAPE;
    this.#logger = options.logger ?? SILENT;
    this.#maker = new SegmentMaker({
      log: options.log,
      blobs: options.blobs,
      keys: options.keys,
      entriesInMemory: options.entriesInMemory,
      shape: this.shape,
      cache: new PageCache(options.cachedPages ?? 6000),
      isClosed: () => this.#closed,
      check: (part) => this.#check(part),
    });
    this.#roots = new RootSource(options.log, this.shape.generation);
  }

  /** Opens the index of a log before its first `append`. What is missing is made: a little now, much in the background. */
  static async open(options: SearchIndexOptions): Promise<SearchIndex> {
    const index = new SearchIndex(options);
    const size = options.log.follow(index.#follower);
    index.#published = size;
    await index.#load(size);
    await index.#attempt(() => index.#sweep());
    const missing = size - index.#indexed;
    if (missing <= (options.entriesAtStart ?? 16_384)) await index.#attempt(() => index.#grow());
    else index.#warn({ entries: missing }, "the index is made again from the entries, in the background");
    if (!index.#isRootNew) await index.#attempt(() => index.#publish());
    index.#advance();
    index.scrub();
    return index;
  }

  /** Entries in parts. */
  get #indexed(): number {
    const last = this.#parts.at(-1);
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
    const named = (part: Part): boolean => part.level === level && part.place === place;
    const info = this.#parts.find(named)?.info ?? this.#retired.find(({ part }) => named(part))?.part.info;
    return info && segmentLength(info.records);
  }

  /** For health: entries that answers are complete for, entries in segments, and whether something is being made again. */
  get state(): { readonly size: number; readonly indexed: number; readonly isComplete: boolean } {
    return { size: this.size, indexed: this.#indexed, isComplete: this.#covered >= this.#published && this.#repairs.size === 0 };
  }

  #warn(fields: object, message: string): void {
    this.#logger.warn({ origin: this.#o.log.origin, ...fields }, message);
  }

  readonly #follower: Follower<ArrayLike<number>> = {
    prepare: (record, leafHash, known) => this.#o.keys(record, leafHash, known),
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
      return this.#warn(
        { found: `${cause.code}: ${cause.message}` },
        `${ROOT_PATH} is damaged; the index is made again from the entries`,
      );
    }
    if (root.shape.generation !== this.shape.generation || root.shape.fan !== this.shape.fan)
      return this.#warn({}, "the index is of another shape and is made again from the entries");
    if (root.size > size || !equalBytes(root.root, await this.#roots.at(root.size))) {
      return this.#warn(
        { indexed: root.size, size },
        "the index is of another history than the log and is made again from the entries",
      );
    }
    this.#root = text(bytes);
    this.#isRootNew = true;
    const parts: Part[] = [];
    for (const info of root.segments) {
      const part = await this.#open(info);
      if (part === undefined) break;
      parts.push(part);
    }
    this.#parts = parts;
    this.#covered = this.#indexed;
  }

  /** A segment of the root. Small ones are read now; undefined for one that cannot be made again either. */
  async #open(info: SegmentInfo): Promise<Part | undefined> {
    const paged = this.#maker.paged(info);
    if (paged.entries > this.#maker.inMemory) return paged;
    try {
      return new Run(info.level, info.place, paged.entries, await collectRecords(paged.pages(), info.records), info);
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      return this.#remake(paged, cause);
    }
  }

  /** Removes files that no root lists: a crash may have left them. */
  async #sweep(): Promise<void> {
    const { blobs } = this.#o;
    const listed = new Set([ROOT_PATH, ...this.#parts.map(({ name }) => name)]);
    for (const name of await blobs.list(dirname(ROOT_PATH))) if (!listed.has(name)) await blobs.remove(name);
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
      this.#later(RETRY_MS, () => this.#advance());
    }
  }

  #enqueue(job: () => Promise<void>): void {
    this.#work = this.#work.then(() => this.#attempt(job));
  }

  #later(ms: number, job: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      job();
    }, ms).unref();
    this.#timers.add(timer);
  }

  /** Grows in the background, where there is something to do and it is not being done. */
  #advance(): void {
    if (this.#growing || this.#closed || !(this.#isFull() || this.#covered < this.#published || !this.#isRootNew)) return;
    this.#growing = true;
    this.#enqueue(() => this.#grow().finally(() => (this.#growing = false)));
  }

  /** Makes segments of full generations, reads entries that are not in memory, until neither is left; then publishes. */
  async #grow(): Promise<void> {
    while (!this.#closed) {
      if (this.#isFull()) {
        await this.#seal();
        // Made from nothing, it shall not begin again from nothing after a crash.
        if (performance.now() - this.#rootMs > LONG * (this.#o.publishMs ?? PUBLISH_MS)) await this.#publish();
      } else if (this.#covered < this.#published) await this.#fill();
      else break;
    }
    if (!this.#isRootNew) await this.#publishInTime();
  }

  /** Whether the next generation is whole, and published. */
  #isFull(): boolean {
    return this.#indexed + this.shape.generation <= this.size;
  }

  /** Reads the generation behind what is covered. Entries that are committed meanwhile wait, and stand behind. */
  async #fill(): Promise<void> {
    const { generation: span } = this.shape;
    const number = Math.floor(this.#covered / span);
    const generation = await this.#maker.read(number * span, Math.min((number + 1) * span, this.#published));
    if (generation === undefined) return;
    for (let at = generation.first + generation.entries; this.#waiting.has(at); at++) {
      generation.add(this.#waiting.get(at)!);
      this.#waiting.delete(at);
    }
    this.#tail.set(number, generation);
    this.#covered = generation.first + generation.entries;
    // Generations behind it may have come whole meanwhile.
    for (
      let next = this.#tail.get(this.#covered / span);
      next !== undefined && next.entries > 0;
      next = this.#tail.get(this.#covered / span)
    )
      this.#covered = next.first + next.entries;
  }

  /** The next generation becomes a segment, and so does what that completes. */
  async #seal(): Promise<void> {
    const { generation: span, fan } = this.shape;
    const number = this.#indexed / span;
    let parts: readonly Part[] = [...this.#parts, new Run(0, number, span, this.#tail.get(number)!.sorted())];
    const replaced: Part[] = [];
    for (;;) {
      const { level, place } = parts.at(-1)!;
      const last = parts.slice(-fan);
      if (
        level + 1 >= levelsOf(this.shape) ||
        (place + 1) % fan !== 0 ||
        last.length < fan ||
        last.some((part) => part.level !== level)
      )
        break;
      parts = [...parts.slice(0, -fan), await this.#maker.merge(last)];
      replaced.push(...last);
    }
    this.#parts = parts;
    this.#isRootNew = false;
    this.#tail.delete(number);
    for (const part of replaced) if (part.info !== undefined) this.#retired.push({ part, atMs: this.#o.now() });
  }

  // The root.

  /** Publishes now, or when the last time is long enough ago. */
  async #publishInTime(): Promise<void> {
    const waitMs = this.#rootMs + (this.#o.publishMs ?? PUBLISH_MS) - performance.now();
    if (waitMs <= 0) return this.#publish();
    if (this.#publishing) return;
    this.#publishing = true;
    this.#later(waitMs, () => {
      this.#publishing = false;
      this.#advance();
    });
  }

  #publishing = false;

  async #publish(): Promise<void> {
    const { log, blobs, name, key, now } = this.#o;
    const segments: SegmentInfo[] = [];
    for (const part of this.#parts) {
      if (part instanceof Run && part.info === undefined) await this.#maker.write(part);
      segments.push(part.info!);
    }
    const size = this.#indexed;
    this.#root = signIndexRoot(
      { origin: log.origin, size, root: await this.#roots.at(size), shape: this.shape, segments },
      name,
      key,
    );
    await blobs.putMutable(ROOT_PATH, utf8(this.#root));
    this.#isRootNew = true;
    this.#rootMs = performance.now();
    const due = this.#retired.filter(({ atMs }) => atMs + RETIRE_MS <= now());
    this.#retired = this.#retired.filter((one) => !due.includes(one));
    for (const { part } of due) await blobs.remove(part.name).catch(() => {});
  }

  // Damage.

  /** Reads all files through, in the background, and mends what is damaged; again in an hour. */
  scrub(): void {
    this.#enqueue(async () => {
      for (const part of this.#parts) await this.#check(part);
      const { blobs } = this.#o;
      const found = await blobs.get(ROOT_PATH);
      if (this.#isRootNew && (found === undefined || !equalBytes(found, utf8(this.#root)))) {
        this.#warn({ found: found === undefined ? "nothing" : "damage" }, `${ROOT_PATH} is written again`);
        await this.#publish();
      }
      if (!this.#closed) this.#later(SCRUB_MS, () => this.scrub());
    });
  }

  /** Reads the file of a segment through; a damaged one is made again, and is the answer. */
  async #check(part: Part): Promise<Part | undefined> {
    const { info } = part;
    if (info === undefined) return undefined;
    try {
      for await (const pages of this.#maker.paged(info).pages()) {
        if (this.#closed || pages.length === 0) break;
        await turn();
      }
      return undefined;
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      return this.#remake(part, cause);
    }
  }

  /** Names a damaged segment and makes it again. The root changes only if what is kept beside entries did. */
  async #remake(damaged: Part, found: LacreError): Promise<Part | undefined> {
    const { level, place, name, info } = damaged;
    this.#warn({ segment: name, found: found.message }, "an index segment is damaged and is made again from the entries");
    let again: Part | undefined = damaged;
    // In memory it is whole: only the file has to be written.
    if (!(damaged instanceof Run)) again = await this.#maker.make(level, place);
    if (again === undefined) return undefined;
    if (again instanceof Run) await this.#maker.write(again);
    const at = this.#parts.indexOf(damaged);
    if (at >= 0 && again !== damaged) this.#parts = this.#parts.with(at, again);
    if (info === undefined || again.info === undefined || !equalBytes(again.info.root, info.root)) {
      this.#isRootNew = false;
      if (at >= 0) await this.#publish();
    }
    this.#logger.info({ origin: this.#o.log.origin, segment: name }, "an index segment was made again");
    return again;
  }

  /** Has a damaged segment made again and waits for it, for a while. Throws OVERLOADED. */
  async #repaired(part: Part): Promise<void> {
    const { name } = part;
    let repair = this.#repairs.get(name);
    if (repair === undefined) {
      repair = new Promise((resolve) => {
        this.#enqueue(async () => {
          try {
            // It may have been made again, or merged, since.
            if (this.#parts.includes(part)) await this.#check(part);
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
      throw new ServiceError("OVERLOADED", "a part of the search index is being made again; try again", {
        headers: { "retry-after": "5" },
        detail: name,
      });
    }
  }

  // Look-ups.

  /** Entries with a key from `from` on, at most `limit`, into `found`; or the page that is needed for more. */
  #collect(prefix: number, from: number, limit: number, found: number[]): Need | undefined {
    for (const part of this.#parts) {
      if (part.first + part.entries <= from) continue;
      const answer = part.find(prefix, Math.max(0, from - part.first), limit - found.length);
      if (answer.missing !== undefined) return { part, missing: answer.missing };
      for (const place of answer.places) found.push(part.first + place);
      if (found.length >= limit) return undefined;
    }
    const { generation: span } = this.shape;
    const end = this.#covered;
    for (let number = Math.max(Math.floor(from / span), this.#indexed / span); number * span < end; number++) {
      const generation = this.#tail.get(number);
      if (generation === undefined) break;
      for (const place of generation.find(prefix, Math.max(0, from - generation.first), limit - found.length))
        found.push(generation.first + place);
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
    for (let need: Need | undefined = first; need !== undefined;) {
      try {
        await need.part.load(need.missing);
      } catch (cause) {
        if (!(cause instanceof LacreError)) throw cause;
        if (++damage > ATTEMPTS)
          throw new ServiceError("LOG_DAMAGED", undefined, {
            detail: `${need.part.name}: ${cause.message}, again and again`,
            cause,
          });
        await this.#repaired(need.part);
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

  // End.

  /** Resolves when nothing is being made. */
  async settled(): Promise<void> {
    for (let before: Promise<void> | undefined; before !== this.#work;) {
      before = this.#work;
      await before;
    }
  }

  /** Publishes what is new, and resolves when nothing is being made. */
  async flush(): Promise<void> {
    await this.settled();
    if (!this.#isRootNew) this.#enqueue(() => this.#publish());
    await this.settled();
  }

  /** Publishes what is new and ends. A long merge is left, and made again after the next start. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  #closing: Promise<void> | undefined;

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    // An index that is made from nothing is not waited for.
    if (this.#covered >= this.#published)
      await Promise.race([this.settled(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref())]);
    this.#closed = true;
    await this.settled();
    if (this.#isRootNew) return;
    await this.#publish().catch((cause: unknown) =>
      this.#warn({ cause: String(cause) }, "the index root cannot be written; it is made again at the next start"),
    );
  }
}
