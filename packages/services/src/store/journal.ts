// SPDX-License-Identifier: Apache-2.0
/**
 * The `CommitStore` on local files: a journal of frames (`frame.ts`) in numbered segments `0000000001.journal`, ….
 *
 * A commit is one write and one fdatasync. Segments are filled with zeros ahead of the writer, so that a commit
 * overwrites allocated blocks and the sync has no file size to record; a segment that is no longer needed is kept once
 * as `spare` and becomes the next.
 *
 * What a crash can leave, and what `load` does with it:
 * - a torn last frame (never acknowledged): ignored; with a valid frame behind it, or a gap in the chain: LOG_DAMAGED;
 * - a next segment without a first frame: prepared, or its first commit was torn; ignored;
 * - `takeOver` writes a whole new segment beside its name and renames it: a left-over `.tmp` is ignored, and after the
 *   rename its start frame says that older segments are superseded;
 * - older segments behind a gap in the numbers: released, their removal half done; ignored. Whether the base that
 *   remains is right is checked by the engine against the sealed tiles.
 *
 * A failed write for lack of space leaves the store as it was (DISK_FULL). Any other failure, and every failed sync, ends
 * the writer for good (STORE_FAILED): what the kernel then still shows may not be on the disk (I7).
 *
 * Tokens are of this process: a second process is kept out by the directory's lock, which its owner must hold.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { equalBytes, utf8 } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";
import {
  checkChain,
  conflict,
  lastState,
  sameState,
  type Commit,
  type Committed,
  type CommitStore,
  type Loaded,
  type Token,
} from "./commit.ts";
import { ensureDirectory, isDiskFull, storageFailure, type FileSystem, type OpenFile } from "./filesystem.ts";
import { BLOCK, decodeFrame, encodeFrame, encodeHeader, frameLength, type SegmentMark } from "./frame.ts";

export interface JournalOptions {
  readonly fs: FileSystem;
  readonly directory: string;
  /** Keeps journals apart: the log's origin. */
  readonly context: string;
  /** Octets of a segment; a larger frame still gets one of its own. Default 64 MiB. */
  readonly segmentBytes?: number | undefined;
}

const SUFFIX = ".journal";
const SPARE = "spare";
/**
 * How far entries are sealed: `size⏎ checksum⏎`, renamed into place and not synced. It is written after what it says is
 * durable, so whatever survives a crash is true, and a damaged one is as good as none.
 */
const SEALED = "sealed";
/** How far zeros are written ahead of the frames. */
const AHEAD = 1 << 20;

interface Segment {
  readonly number: number;
  readonly base: Committed;
  readonly fresh: boolean;
  readonly commits: readonly Commit[];
}

/** The segment being written. */
interface Active {
  readonly mark: SegmentMark;
  readonly file: OpenFile;
  /** Where the next frame goes. */
  offset: number;
  /** Up to where blocks are allocated. */
  filled: number;
  /** A fill under way: it writes zeros from `filled` on, so a frame that reaches there waits for it. */
  filling: Promise<void> | undefined;
}

export function createJournal({ fs, directory, context, segmentBytes = 64 << 20 }: JournalOptions): CommitStore {
  const journal = new Journal(fs, directory, context, segmentBytes);
  return {
    load: () => journal.load(),
    create: (state) => journal.create(state),
    commit: (previous, next, body) => journal.commit(previous, next, body),
    takeOver: (previous, base, commits) => journal.takeOver(previous, base, commits),
    release: (size) => journal.release(size),
    close: () => journal.close(),
  };
}

function nameOf(number: number): string {
  return `${number}`.padStart(10, "0") + SUFFIX;
}

class Journal {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #context: string;
  readonly #segmentBytes: number;
  /** The state our token names; undefined before `create` or `load`. */
  #state: Committed | undefined;
  #active: Active | undefined;
  /** Older segments still needed, and where each ends. */
  #sealed: { readonly number: number; end: number }[] = [];
  #nextNumber = 1;
  #next: Promise<{ readonly number: number; readonly file: OpenFile; readonly filled: number }> | undefined;
  #failure: ServiceError | undefined;

  constructor(fs: FileSystem, directory: string, context: string, segmentBytes: number) {
    this.#fs = fs;
    this.#directory = directory;
    this.#context = context;
    this.#segmentBytes = Math.max(2 * BLOCK, Math.ceil(segmentBytes / BLOCK) * BLOCK);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #damaged(detail: string): ServiceError {
    return new ServiceError("LOG_DAMAGED", undefined, { detail: `${this.#directory}: ${detail}` });
  }

  async #numbers(): Promise<number[]> {
    const names = await this.#fs.list(this.#directory);
    return names.filter((name) => /^\d{10}\.journal$/.test(name)).map((name) => Number(name.slice(0, 10)));
  }

  /** One segment's frames; undefined when it has none. */
  async #read(number: number): Promise<Segment | undefined> {
    const bytes = (await this.#fs.readFile(this.#path(nameOf(number)))) ?? new Uint8Array(0);
    const first = decodeFrame(bytes, 0, { context: this.#context, number });
    const salt = first?.salt;
    const commits: Commit[] = [];
    const fresh = first?.frame.kind === "start";
    const base = fresh ? first.frame.next : first?.frame.previous;
    let at = fresh ? frameLength(0) : 0;
    for (let state = base; state !== undefined;) {
      const frame = decodeFrame(bytes, at, { context: this.#context, number, salt })?.frame;
      if (frame === undefined) break;
      if (frame.kind !== "commit" || !sameState(frame.previous, state))
        throw this.#damaged(`segment ${number} breaks off at ${at}`);
      commits.push(frame);
      state = frame.next;
      at += frameLength(frame.body.length);
    }
    // A commit is only written after the one before it was synced: nothing valid may stand behind a torn frame.
    for (let behind = at; behind + BLOCK <= bytes.length; behind += BLOCK) {
      if (decodeFrame(bytes, behind, { context: this.#context, number, salt }) !== undefined) {
        throw this.#damaged(`segment ${number} has a damaged frame at ${at} and a good one at ${behind}`);
      }
    }
    return base && { number, base, fresh, commits };
  }

  async load(): Promise<Loaded | undefined> {
    const segments: Segment[] = [];
    const numbers = (await this.#numbers()).toReversed();
    this.#nextNumber = (numbers[0] ?? 0) + 1;
    for (const number of numbers) {
      const newer = segments[0];
      // Numbers grow by one between segments that continue one another; unused prepared ones come only at the end.
      if (newer !== undefined && (newer.fresh || newer.number !== number + 1)) break;
      const segment = await this.#read(number);
      if (segment === undefined) {
        if (newer !== undefined) throw this.#damaged(`segment ${number} has no frames`);
        continue;
      }
      if (newer !== undefined && !sameState(lastState(segment.base, segment.commits), newer.base)) {
        throw this.#damaged(`segment ${newer.number} does not continue segment ${number}`);
      }
      segments.unshift(segment);
    }
    const [oldest] = segments;
    if (oldest === undefined) return undefined;
    const commits = segments.flatMap((segment) => segment.commits);
    const state = lastState(oldest.base, commits);
    this.#state = state;
    return { state, token: { token: state }, base: oldest.base, commits, released: await this.#readSealed() };
  }

  async #readSealed(): Promise<number> {
    const bytes = await this.#fs.readFile(this.#path(SEALED));
    const size = Number(/^\d{1,15}/.exec(Buffer.from(bytes ?? "").toString("latin1"))?.[0] ?? 0);
    return bytes !== undefined && equalBytes(bytes, this.#sealedBytes(size)) ? size : 0;
  }

  #sealedBytes(size: number): Uint8Array {
    return utf8(`${size}\n${createHash("sha256").update(`${this.#context}\n${size}`).digest("hex")}\n`);
  }

  async #writeSealed(size: number): Promise<void> {
    const beside = this.#path(`${SEALED}.tmp`);
    await this.#fs.remove(beside);
    const file = await this.#fs.open(beside, "create");
    try {
      await file.write(0, this.#sealedBytes(size));
    } finally {
      await file.close();
    }
    await this.#fs.rename(beside, this.#path(SEALED));
  }

  async create(state: Committed): Promise<Token> {
    if ((await this.load()) !== undefined) throw conflict(`${this.#directory} holds a journal`);
    return this.#startOver(state, []);
  }

  async takeOver(previous: Token, base: Committed, commits: readonly Commit[]): Promise<Token> {
    checkChain(base, commits);
    this.#check(previous);
    return this.#startOver(base, commits);
  }

  #check(previous: Token): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state === undefined || previous.token !== this.#state) throw conflict("the token is not of the current state");
  }

  #fail(what: string, cause: unknown): ServiceError {
    const failure = cause instanceof ServiceError ? cause : storageFailure(what, cause);
    this.#failure ??=
      failure.code === "STORE_FAILED"
        ? failure
        : new ServiceError("STORE_FAILED", undefined, { detail: failure.detail ?? failure.message, cause });
    return this.#failure;
  }

  /** A new segment that stands for everything before it, durable before it has its name. */
  async #startOver(base: Committed, commits: readonly Commit[]): Promise<Token> {
    // What is being prepared behind the segment that ends here is not wanted any more; its number is taken.
    const prepared = await this.#next?.catch(() => undefined);
    this.#next = undefined;
    await prepared?.file.close();
    await this.#active?.filling;
    const mark = { context: this.#context, number: this.#nextNumber++, salt: randomBytes(16) };
    const frames = [encodeFrame(mark, { kind: "start", previous: base, next: base, body: new Uint8Array(0) })];
    for (const commit of commits) frames.push(encodeFrame(mark, { kind: "commit", ...commit }));
    const offset = frames.reduce((total, frame) => total + frame.length, 0);
    const path = this.#path(nameOf(mark.number));
    const older = await this.#numbers();
    try {
      await ensureDirectory(this.#fs, this.#directory);
      await this.#fs.remove(`${path}.tmp`);
      const file = await this.#fs.open(`${path}.tmp`, "create");
      await file.write(0, ...frames);
      await file.datasync();
      await this.#fs.rename(`${path}.tmp`, path);
      await this.#fs.syncDirectory(this.#directory);
      await this.#active?.file.close();
      this.#active = { mark, file, offset, filled: offset, filling: undefined };
    } catch (cause) {
      const failure = this.#fail(`writing ${path}`, cause);
      // At a start the operator needs to hear the reason, not only that this writer is done for.
      throw isDiskFull(cause) ? storageFailure(`writing ${path}`, cause) : failure;
    }
    for (const number of older) await this.#fs.remove(this.#path(nameOf(number)));
    for (const name of await this.#fs.list(this.#directory)) if (name.endsWith(".tmp")) await this.#fs.remove(this.#path(name));
    this.#sealed = [];
    this.#state = lastState(base, commits);
    this.#keepAhead(this.#active);
    return { token: this.#state };
  }

  async commit(previous: Token, next: Committed, body: Uint8Array): Promise<Token> {
    this.#check(previous);
    const state = this.#state!;
    let active = this.#active;
    if (active === undefined) throw conflict("takeOver comes before commit");
    const length = frameLength(body.length);
    if (active.offset + length > this.#segmentBytes && active.offset > 0) active = await this.#nextSegment();
    const at = active.offset;
    const end = at + length;
    if (active.filling !== undefined && end > active.filled) await active.filling;
    const header = encodeHeader(active.mark, { kind: "commit", previous: state, next, body });
    try {
      // Without its padding: what stands behind is zeros, or stale and recognised as such.
      await active.file.write(at, header, body);
    } catch (cause) {
      // Nothing was synced, so nothing can have been acknowledged; the same place is written again.
      if (isDiskFull(cause)) throw storageFailure("writing the journal", cause);
      throw this.#fail("writing the journal", cause);
    }
    try {
      await active.file.datasync();
    } catch (cause) {
      throw this.#fail("syncing the journal", cause);
    }
    if (active !== this.#active) await this.#switchTo(active, state.size);
    active.offset = end;
    active.filled = Math.max(active.filled, end);
    this.#state = next;
    this.#keepAhead(active);
    return { token: next };
  }

  /** The next segment's file, its name durable. Prepared in the background where there was time. */
  async #nextSegment(): Promise<Active> {
    this.#next ??= this.#prepare();
    try {
      const { number, file, filled } = await this.#next;
      return { mark: { context: this.#context, number, salt: randomBytes(16) }, file, offset: 0, filled, filling: undefined };
    } catch (cause) {
      this.#next = undefined;
      if (isDiskFull(cause)) throw storageFailure("preparing a journal segment", cause);
      throw this.#fail("preparing a journal segment", cause);
    }
  }

  async #switchTo(active: Active, size: number): Promise<void> {
    const old = this.#active!;
    this.#sealed.push({ number: old.mark.number, end: size });
    this.#active = active;
    this.#next = undefined;
    await old.filling;
    await old.file.close();
  }

  async #prepare(): Promise<{ readonly number: number; readonly file: OpenFile; readonly filled: number }> {
    const number = this.#nextNumber;
    const path = this.#path(nameOf(number));
    const names = await this.#fs.list(this.#directory);
    if (names.includes(SPARE)) {
      await this.#fs.rename(this.#path(SPARE), path);
      const file = await this.#fs.open(path, "update");
      await this.#fs.syncDirectory(this.#directory);
      this.#nextNumber = number + 1;
      return { number, file, filled: await file.size() };
    }
    await this.#fs.remove(path);
    const file = await this.#fs.open(path, "create");
    const filled = Math.min(AHEAD, this.#segmentBytes);
    try {
      await file.write(0, new Uint8Array(filled));
    } catch (cause) {
      await file.close();
      await this.#fs.remove(path);
      throw cause;
    }
    await this.#fs.syncDirectory(this.#directory);
    this.#nextNumber = number + 1;
    return { number, file, filled };
  }

  /** Keeps zeros ahead of the writer, then a next segment. A failure here shows itself in the commit that needs the space. */
  #keepAhead(active: Active): void {
    if (active.filling !== undefined) return;
    if (active.filled < this.#segmentBytes) {
      if (active.filled - active.offset > AHEAD / 2) return;
      const from = active.filled;
      const to = Math.min(this.#segmentBytes, from + AHEAD);
      active.filling = active.file.write(from, new Uint8Array(to - from)).then(
        () => {
          active.filled = to;
          active.filling = undefined;
        },
        () => void (active.filling = undefined),
      );
    } else if (this.#next === undefined && active.offset > this.#segmentBytes / 2) {
      this.#next = this.#prepare();
      this.#next.catch(() => {});
    }
  }

  async release(size: number): Promise<void> {
    try {
      await this.#writeSealed(size);
    } catch (cause) {
      // Only the next start is slower for it.
      if (!isDiskFull(cause)) throw this.#fail("writing how far the log is sealed", cause);
    }
    while (this.#sealed[0] !== undefined && this.#sealed[0].end <= size) {
      const { number } = this.#sealed.shift()!;
      const path = this.#path(nameOf(number));
      const spare = (await this.#fs.list(this.#directory)).includes(SPARE);
      if (spare) await this.#fs.remove(path);
      else await this.#fs.rename(path, this.#path(SPARE));
    }
  }

  async close(): Promise<void> {
    const next = await this.#next?.catch(() => undefined);
    await next?.file.close();
    await this.#active?.filling;
    await this.#active?.file.close();
    this.#active = undefined;
    this.#failure ??= new ServiceError("LOG_STOPPED", undefined, { detail: "the journal is closed" });
  }
}
