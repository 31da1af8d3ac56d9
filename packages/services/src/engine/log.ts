// SPDX-License-Identifier: Apache-2.0
/**
 * A log: append a record, get its place; ask for the receipt, get a proof under a published checkpoint.
 *
 * The life of an entry, numbered, and what a crash leaves at each step, is in this room's README.
 */
import { join } from "node:path";
import { utf8 } from "@lacre/core/bytes";
import { TILE_WIDTH, type TileCoordinate } from "@lacre/core/merkle";
import { ServiceError } from "../errors.ts";
import {
  createFileBlobStore,
  createFileLock,
  createFileSystem,
  createJournal,
  ensureDirectory,
  storageFailure,
  type BlobStore,
  type CommitStore,
  type FileSystem,
  type Lock,
} from "../store/index.ts";
import type { Anchor, Anchored } from "./anchor.ts";
import type { Follower } from "./follower.ts";
import { Identities, key, type IndexShape } from "./identities.ts";
import type { Logger } from "./logger.ts";
import type { LogObserver } from "./observer.ts";
import type { Personality } from "./personality.ts";
import {
  CHECKPOINT,
  DEFAULT_TICKS,
  Publisher,
  type CheckpointState,
  type Published,
  type Ticks,
  type Witnessing,
} from "./publish.ts";
import { recover, storedCheckpoint, viewAt, type Recovered } from "./recover.ts";
import { DEFAULT_LIMITS, Sequencer, type SequenceLimits, type Sequenced } from "./sequence.ts";
import type { Tiles } from "./tiles.ts";
import type { Tree, View } from "./tree.ts";

export interface LogOptions {
  /** The log's directory: journal, tiles, checkpoint, lock. */
  readonly dir: string;
  /** First line of its checkpoints; fixed for the life of the log. */
  readonly origin: string;
  readonly personality: Personality;
  /** Signs a state that the engine vouches for: durable, and larger than every state before. */
  readonly signCheckpoint: (state: CheckpointState) => string | Promise<string>;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly anchor: Anchor;
  /** A log of a production installation refuses where one in development warns. */
  readonly production: boolean;
  /** States that the operator vouches for as the last ones published; that of this log counts, others do no harm. */
  readonly accept?: readonly Anchored[] | undefined;
  readonly log?: Logger | undefined;
  /** Who measures. */
  readonly observer?: LogObserver | undefined;
  readonly limits?: Partial<SequenceLimits> | undefined;
  readonly ticks?: Ticks | undefined;
  /** Who has to cosign before anything is published; nobody unless given. */
  readonly witnessing?: Witnessing | undefined;
  /** Octets of a journal segment. */
  readonly segmentBytes?: number | undefined;
  /** Sizes of the index's segments. */
  readonly indexShape?: IndexShape | undefined;
  /** Replace the machine's files: for tests, and for stores elsewhere. */
  readonly fs?: FileSystem | undefined;
  readonly lock?: Lock | undefined;
  readonly store?: CommitStore | undefined;
  readonly blobs?: BlobStore | undefined;
}

/** An entry with the proof that a published checkpoint covers it. */
export interface Receipt extends Sequenced {
  readonly checkpoint: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

export interface LogHealth {
  /**
   * `full`: no entries until the disk has room again. `unwitnessed`: nothing more is published until enough witnesses
   * answer. `stopped`: no entries until the process starts again.
   */
  readonly status: "serving" | "full" | "unwitnessed" | "stopped";
  readonly committed: number;
  readonly published: number;
  /** Time of the published checkpoint. */
  readonly timeMs: number;
  readonly waiting: number;
  /** How long the entry has waited that waits longest for its commit; 0 where none does. */
  readonly oldestMs: number;
  /** How long something is committed already that is not published; 0 where all is. */
  readonly behindMs: number;
  /** Entries below this size are in full bundles, durably. */
  readonly sealed: number;
  readonly failure: string | undefined;
}

export interface Log {
  readonly origin: string;
  /** Size of the published tree. */
  readonly size: number;
  /**
   * Stores a record, or finds the entry of the same identity. Resolves when it is durable (I1). `known` is what the caller
   * has read of the record anyway: handed to followers, and otherwise not looked at.
   */
  append(record: Uint8Array, known?: unknown): Promise<Sequenced>;
  /** The receipt of an entry, once a published checkpoint covers it (I6). */
  receipt(entry: Sequenced): Promise<Receipt>;
  /** The published checkpoint. Throws LOG_UNWITNESSED while there is none, for want of witnesses. */
  checkpoint(): string;
  /** A tile or bundle of the published tree; undefined where it has none such. */
  readTile(coordinate: TileCoordinate): Promise<Uint8Array | undefined>;
  /** A published record. */
  readRecord(index: number): Promise<Uint8Array | undefined>;
  /** The committed entry at an index as `append` gave it out, for a receipt asked for later. Not to be shown before that. */
  entry(index: number): Promise<Sequenced | undefined>;
  /** Index of the committed entry with this identity. */
  find(identity: Uint8Array): Promise<number | undefined>;
  /**
   * Has the follower told of every entry from the returned index on; those before it reads for itself. To be called before
   * the first `append`, when everything is published.
   */
  follow(follower: Follower): number;
  health(): LogHealth;
  /**
   * Commits and publishes the same tree under the time of now, for logs whose checkpoints say when, or are cosigned: an
   * idle log stays fresh, and a disk that fails is noticed. Does nothing while entries are not taken.
   */
  renew(): void;
  /** Resolves when the log has stopped: with the failure, or undefined after `close`. */
  readonly ended: Promise<ServiceError | undefined>;
  /** Commits what waits, publishes it, seals what is full and gives the lock back. */
  close(): Promise<void>;
}

const SILENT: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/**
 * Opens a log, or makes one in an empty directory. Throws DIRECTORY_LOCKED, LOG_DAMAGED, LOG_FORKED, LOG_UNANCHORED,
 * and what the file system refuses as DIRECTORY_UNWRITABLE, DISK_FULL or STORE_FAILED.
 */
export async function openLog(options: LogOptions): Promise<Log> {
  const fs = options.fs ?? createFileSystem();
  const lock = options.lock ?? createFileLock(join(options.dir, "lock"));
  const release = lock.acquire();
  try {
    options.anchor.hold();
    await ensureDirectory(fs, options.dir);
    const store =
      options.store ??
      createJournal({ fs, directory: join(options.dir, "journal"), context: options.origin, segmentBytes: options.segmentBytes });
    const blobs = options.blobs ?? createFileBlobStore(fs, options.dir);
    try {
      return await EngineLog.open(options, store, blobs, release);
    } catch (cause) {
      await store.close();
      throw cause;
    }
  } catch (cause) {
    await options.anchor.close();
    release();
    throw cause instanceof ServiceError ? cause : storageFailure(`opening ${options.dir}`, cause);
  }
}

/**
 * What was published before this start and may be shown on: the stored checkpoint, if enough witnesses have cosigned it
 * (that it lies within this history was checked). After a loss of power it may be damaged, and then there is none.
 */
async function keptPublication(
  { tree, tiles, view, state }: Recovered,
  blobs: BlobStore,
  witnessing: Witnessing,
): Promise<Published | undefined> {
  const stored = await storedCheckpoint(blobs);
  const cosignedMs = stored && witnessing.cosignedMs(stored.text);
  if (stored === undefined || cosignedMs === undefined || stored.size > view.size) return undefined;
  const past = await viewAt(tree, tiles, stored.size);
  return { view: past, timeMs: stored.size === view.size ? state.timeMs : cosignedMs, checkpoint: stored.text };
}

/** The first checkpoint of a start with its cosignatures; empty when they cannot be had now. */
async function cosignFirst(recovered: Recovered, checkpoint: string, witnessing: Witnessing, log: Logger): Promise<string> {
  const { view } = recovered;
  try {
    return await witnessing.cosign({
      size: view.size,
      root: view.root,
      checkpoint,
      prove: (oldSize) => proveGrowth(recovered, oldSize, view),
    });
  } catch (error) {
    if (!(error instanceof ServiceError && error.code === "LOG_UNWITNESSED")) throw error;
    log.warn({ detail: error.detail }, "the log starts with nothing published: too few witnesses answer");
    return "";
  }
}

/** The consistency proof from an earlier size to a view. */
async function proveGrowth({ tree, tiles }: Recovered, oldSize: number, view: View): Promise<readonly Uint8Array[]> {
  let answer = tree.proveGrowth(oldSize, view);
  // As for receipts: tiles may be dropped again while others are read.
  for (let round = 0; "missing" in answer && round < 8; round++) {
    await Promise.all(answer.missing.map((name) => tiles.load(name)));
    answer = tree.proveGrowth(oldSize, view);
  }
  if ("missing" in answer)
    throw new ServiceError("LOG_BUSY", undefined, { detail: "tiles for a consistency proof were dropped before they were used" });
  return answer.proof;
}

class EngineLog implements Log {
  readonly origin: string;
  readonly ended: Promise<ServiceError | undefined>;
  readonly #sequencer: Sequencer;
  readonly #publisher: Publisher;
  readonly #tree: Tree;
  readonly #tiles: Tiles;
  readonly #identities: Identities;
  readonly #store: CommitStore;
  readonly #anchor: Anchor;
  readonly #release: () => void;
  #end: (failure: ServiceError | undefined) => void = () => {};
  #failure: ServiceError | undefined;
  #closing: Promise<void> | undefined;

  static async open(options: LogOptions, store: CommitStore, blobs: BlobStore, release: () => void): Promise<EngineLog> {
    const { origin, anchor, personality, signCheckpoint, production, accept = [], now, log = SILENT } = options;
    const { witnessing } = options;
    const recovered = await recover({
      origin,
      store,
      blobs,
      anchor,
      personality,
      production,
      accept,
      now,
      log,
      seen: witnessing && (() => witnessing.seen()),
    });
    const { view, state, tiles } = recovered;
    const sealed = state.size - (state.size % TILE_WIDTH);
    const identities = await Identities.open(
      { blobs, tiles, personality, origin, log, shape: options.indexShape },
      sealed,
      state.size,
    );
    const kept = witnessing && (await keptPublication(recovered, blobs, witnessing));
    // Writing the anchor before the checkpoint holds for the first publication too.
    await anchor.write({ size: view.size, root: view.root });
    let first = kept;
    if (first === undefined) {
      const signed = await signCheckpoint({ origin, size: view.size, root: view.root, timeMs: state.timeMs });
      const checkpoint = witnessing === undefined ? signed : await cosignFirst(recovered, signed, witnessing, log);
      if (checkpoint !== "") await blobs.putMutable(CHECKPOINT, utf8(checkpoint));
      first =
        checkpoint === "" ? { view: recovered.tree.view(0)!, timeMs: 0, checkpoint } : { view, timeMs: state.timeMs, checkpoint };
    }
    return new EngineLog(options, store, blobs, recovered, identities, first, release);
  }

  private constructor(
    options: LogOptions,
    store: CommitStore,
    blobs: BlobStore,
    recovered: Recovered,
    identities: Identities,
    first: Published,
    release: () => void,
  ) {
    const { token, state, tree, tiles, view: committed } = recovered;
    const { origin, personality, anchor, signCheckpoint, now, log = SILENT } = options;
    this.origin = origin;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#tree = tree;
    this.#tiles = tiles;
    this.#identities = identities;
    this.#store = store;
    this.#anchor = anchor;
    this.#release = release;
    const onFailure = (failure: ServiceError): void => {
      log.error({ origin, code: failure.code, detail: failure.detail }, "the log has stopped");
      this.#fail(failure);
    };
    this.#publisher = new Publisher(
      {
        origin,
        signCheckpoint,
        tiles,
        blobs,
        anchor,
        onFailure,
        ticks: options.ticks ?? DEFAULT_TICKS,
        witnessing: options.witnessing,
        observer: options.observer,
        proveGrowth: (oldSize, view) => proveGrowth(recovered, oldSize, view),
        onPause: (refusal) => this.#sequencer.pause(refusal),
        onSealed: async (size) => {
          await identities.sealed(size);
          await store.release(size);
        },
        onPublished: ({ view }) => {
          this.#sequencer.published(view.size);
          for (const follower of this.#sequencer.followers) follower.published(view.size);
        },
      },
      first,
      { view: committed, timeMs: state.timeMs },
    );
    this.#sequencer = new Sequencer({
      store,
      token,
      state,
      tree,
      tiles,
      personality,
      now,
      onFailure,
      identities,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      observer: options.observer,
      onCommit: (view, timeMs) => this.#publisher.committed(view, timeMs),
    });
  }

  #fail(failure: ServiceError): void {
    this.#failure ??= failure;
    this.#sequencer.stop(failure);
    this.#publisher.stop(failure);
    this.#end(failure);
  }

  get size(): number {
    return this.#publisher.published.view.size;
  }

  append(record: Uint8Array, known?: unknown): Promise<Sequenced> {
    return this.#sequencer.append(record, known);
  }

  async receipt(entry: Sequenced): Promise<Receipt> {
    const { view, checkpoint } = await this.#publisher.covering(entry.index);
    let answer = this.#tree.prove(entry.index, view);
    // Tiles may be dropped again while others are read; two rounds suffice unless the log is very busy.
    for (let round = 0; "missing" in answer && round < 8; round++) {
      await Promise.all(answer.missing.map((name) => this.#tiles.load(name)));
      answer = this.#tree.prove(entry.index, view);
    }
    if ("missing" in answer)
      throw new ServiceError("LOG_BUSY", undefined, { detail: "tiles for a proof were dropped before they were used" });
    return { ...entry, checkpoint, size: view.size, root: view.root, proof: answer.proof };
  }

  checkpoint(): string {
    const { checkpoint } = this.#publisher.published;
    if (checkpoint === "")
      throw this.#publisher.unwitnessed ?? new ServiceError("LOG_UNWITNESSED", undefined, { headers: { "retry-after": "1" } });
    return checkpoint;
  }

  readTile(coordinate: TileCoordinate): Promise<Uint8Array | undefined> {
    return this.#tiles.read(coordinate, this.size);
  }

  async readRecord(index: number): Promise<Uint8Array | undefined> {
    return index < this.size ? (await this.#tiles.record(index))?.record : undefined;
  }

  async entry(index: number): Promise<Sequenced | undefined> {
    // Committed is enough: a follower reads what is not published yet, where witnesses keep a log waiting at its start.
    const stored = index < this.#sequencer.state.size ? await this.#tiles.record(index) : undefined;
    return (
      stored && {
        index,
        leafHash: this.#sequencer.leafHash(stored.record),
        record: stored.record,
        timeMs: stored.timeMs,
        duplicate: false,
      }
    );
  }

  async find(identity: Uint8Array): Promise<number | undefined> {
    return this.#identities.find(key(identity));
  }

  follow(follower: Follower): number {
    this.#sequencer.follow(follower);
    return this.#sequencer.state.size;
  }

  health(): LogHealth {
    const { view, timeMs } = this.#publisher.published;
    return {
      status: this.#status(),
      committed: this.#sequencer.state.size,
      published: view.size,
      timeMs,
      waiting: this.#sequencer.waiting,
      oldestMs: this.#sequencer.oldestMs,
      behindMs: this.#publisher.behindMs,
      sealed: this.#tiles.sealed,
      failure: (this.#failure ?? this.#sequencer.paused ?? this.#publisher.unwitnessed)?.detail,
    };
  }

  #status(): LogHealth["status"] {
    if (this.#failure !== undefined || this.#closing !== undefined) return "stopped";
    if (this.#sequencer.paused !== undefined) return "full";
    return this.#publisher.unwitnessed === undefined ? "serving" : "unwitnessed";
  }

  renew(): void {
    this.#sequencer.renew();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const refusal = new ServiceError("LOG_STOPPED", undefined, { detail: "closed" });
    await this.#sequencer.finish(refusal);
    await this.#publisher.finish();
    this.#publisher.stop(refusal);
    await this.#store.close();
    await this.#anchor.close();
    await this.#identities.close();
    this.#release();
    this.#end(this.#failure);
  }
}
