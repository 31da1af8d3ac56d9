// SPDX-License-Identifier: Apache-2.0
/**
 * The publisher: makes committed entries visible and releases their receipts.
 *
 * A publication is, in this order: full tiles become files (I5) and the anchor is durable; the checkpoint is signed over
 * the committed state (I4); where witnesses are configured, enough of them have cosigned it (I9: they are asked for
 * nothing that a crash could take back); the file `checkpoint` is replaced; receipts that it covers leave (I6).
 *
 * When. With few entries waiting: at once, so that an idle log answers in the time of its disk. Under load: on ticks, the
 * next one no sooner than twice what the last took, within 20 to 100 ms, so that signing and renaming stay a small part
 * of the work however many entries come. A witnessed log keeps to the ticks even with few waiting: its witnesses set the
 * pace. While too few of them answer nothing is published; waiting receipts are refused, and it is tried again each tick.
 */
import { utf8 } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import type { Anchor } from "./anchor.ts";
import type { LogObserver } from "./observer.ts";
import type { Tiles } from "./tiles.ts";
import type { View } from "./tree.ts";

/** A state that everybody may see. */
export interface Published {
  readonly view: View;
  readonly timeMs: number;
  readonly checkpoint: string;
}

/** What a checkpoint says, and what a signer gets to see. */
export interface CheckpointState {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly timeMs: number;
}

/** A state for witnesses: signed by the log, durable, anchored. */
export interface ForWitnesses {
  readonly size: number;
  readonly root: Uint8Array;
  /** The checkpoint that the log signed. */
  readonly checkpoint: string;
  /** The consistency proof from an earlier size. */
  readonly prove: (oldSize: number) => Promise<readonly Uint8Array[]>;
}

/** How a log gets its checkpoints cosigned; implemented where witnesses are known. */
export interface Witnessing {
  /** The checkpoint with enough cosignatures. Throws LOG_UNWITNESSED when they cannot be had now. */
  cosign(state: ForWitnesses): Promise<string>;
  /** When a stored checkpoint was cosigned, if it has enough cosignatures; undefined if not. Never throws. */
  cosignedMs(checkpoint: string): number | undefined;
  /** What witnesses, or our own record of them, say of this log: for the check at the start (I10). */
  seen(): Promise<readonly { readonly by: string; readonly size: number; readonly root: Uint8Array }[]>;
}

export interface PublisherParts {
  readonly origin: string;
  readonly signCheckpoint: (state: CheckpointState) => string | Promise<string>;
  readonly tiles: Tiles;
  readonly blobs: BlobStore;
  readonly anchor: Anchor;
  readonly ticks: Ticks;
  readonly witnessing: Witnessing | undefined;
  /** The consistency proof from an earlier size to a view. */
  readonly proveGrowth: (oldSize: number, view: View) => Promise<readonly Uint8Array[]>;
  /** Entries up to this size are durable in files: the journal may forget them. */
  readonly onSealed: (size: number) => Promise<void>;
  readonly observer: LogObserver | undefined;
  readonly onPublished: (published: Published) => void;
  /** The disk is full: publishing is tried again and again. */
  readonly onPause: (refusal: ServiceError) => void;
  readonly onFailure: (error: ServiceError) => void;
}

/** Entries waiting up to which a publication starts at once. */
const FEW = 4;

/** Bounds of the pause between publications under load, in milliseconds. */
export interface Ticks {
  readonly minMs: number;
  readonly maxMs: number;
}

export const DEFAULT_TICKS: Ticks = { minMs: 20, maxMs: 100 };

/** Bundles are sealed in batches of this many, or after this time without news. */
const SEAL_BUNDLES = 16;
const SEAL_AFTER_MS = 2000;
/** A full disk is tried again after this time. */
const RETRY_MS = 1000;

/** The file that shows the latest checkpoint. */
export const CHECKPOINT = "checkpoint";

interface Waiter {
  readonly index: number;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: unknown) => void;
}

export class Publisher {
  readonly #parts: PublisherParts;
  #committed: { readonly view: View; readonly timeMs: number };
  #published: Published;
  #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sealTimer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #sealing: Promise<void> | undefined;
  /** On the monotonic clock. */
  #nextTickMs = 0;
  /** On the monotonic clock: since when something is committed that is not published. */
  #behindSinceMs: number | undefined;
  #refusal: ServiceError | undefined;
  #unwitnessed: ServiceError | undefined;

  /** `first` is what is published at the start, `committed` what is to be: more, where witnesses have not answered yet. */
  constructor(parts: PublisherParts, first: Published, committed: { readonly view: View; readonly timeMs: number }) {
    this.#parts = parts;
    this.#published = first;
    this.#committed = committed;
    if (this.#behind()) this.#behindSinceMs = performance.now();
    this.#schedule();
  }

  /** How long something is committed already that is not published; 0 where all is. */
  get behindMs(): number {
    return this.#behindSinceMs === undefined ? 0 : performance.now() - this.#behindSinceMs;
  }

  /** Why nothing is published at the moment, for want of witnesses. */
  get unwitnessed(): ServiceError | undefined {
    return this.#unwitnessed;
  }

  get published(): Published {
    return this.#published;
  }

  /** Told by the sequencer: this is durable. */
  committed(view: View, timeMs: number): void {
    this.#committed = { view, timeMs };
    this.#behindSinceMs ??= performance.now();
    this.#schedule();
  }

  /** The latest publication that covers an entry, as soon as there is one. */
  covering(index: number): Promise<Published> {
    if (index < this.#published.view.size) return Promise.resolve(this.#published);
    return new Promise((resolve, reject) => {
      if (this.#refusal === undefined) this.#waiters.push({ index, resolve, reject });
      else reject(this.#refusal);
    });
  }

  #behind(): boolean {
    return this.#committed.view.size !== this.#published.view.size || this.#committed.timeMs !== this.#published.timeMs;
  }

  #schedule(): void {
    if (this.#running !== undefined || this.#timer !== undefined || this.#refusal !== undefined || !this.#behind()) return;
    const wait = this.#nextTickMs - performance.now();
    const few = this.#parts.witnessing === undefined ? FEW : 0;
    if (wait <= 0 || this.#committed.view.size - this.#published.view.size <= few) this.#start();
    else this.#wait(wait);
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#start();
    }, ms);
  }

  #start(): void {
    this.#running = this.#publish().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
  }

  async #publish(): Promise<void> {
    const { origin, signCheckpoint, tiles, blobs, anchor, ticks, witnessing, proveGrowth, observer, onPublished } = this.#parts;
    const { view, timeMs } = this.#committed;
    const began = performance.now();
    try {
      let [checkpoint] = await Promise.all([
        signCheckpoint({ origin, size: view.size, root: view.root, timeMs }),
        tiles.write(view.size),
        anchor.write({ size: view.size, root: view.root }),
      ]);
      if (witnessing !== undefined)
        checkpoint = await witnessing.cosign({
          size: view.size,
          root: view.root,
          checkpoint,
          prove: (oldSize) => proveGrowth(oldSize, view),
        });
      await blobs.putMutable(CHECKPOINT, utf8(checkpoint));
      this.#published = { view, timeMs, checkpoint };
      this.#unwitnessed = undefined;
    } catch (cause) {
      if (cause instanceof ServiceError && cause.code === "LOG_UNWITNESSED") return this.#await(cause);
      return this.#failed(cause);
    }
    const now = performance.now();
    // What came meanwhile came after this began.
    this.#behindSinceMs = this.#behind() ? began : undefined;
    observer?.published({ seconds: (now - began) / 1000 });
    this.#nextTickMs = began + Math.min(ticks.maxMs, Math.max(ticks.minMs, 2 * (now - began)));
    onPublished(this.#published);
    const left: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.index < view.size) waiter.resolve(this.#published);
      else left.push(waiter);
    }
    this.#waiters = left;
    this.#planSeal();
  }

  /** Too few witnesses: what waits is refused for now and everything is tried again at the next tick. */
  #await(refusal: ServiceError): void {
    this.#unwitnessed = refusal;
    for (const { reject } of this.#waiters.splice(0)) reject(refusal);
    if (this.#refusal === undefined) this.#wait(Math.max(this.#parts.ticks.minMs, 20));
  }

  /** The entries are committed, but nobody may see them yet: their receipts are refused, a repeated request gets them. */
  #failed(cause: unknown): void {
    const full = cause instanceof ServiceError ? cause.code === "DISK_FULL" : false;
    const refusal = new ServiceError(full ? "LOG_FULL" : "LOG_STOPPED", undefined, {
      detail: cause instanceof ServiceError ? (cause.detail ?? cause.message) : String(cause),
      cause,
      headers: { "retry-after": "5" },
    });
    if (!full) this.stop(refusal);
    for (const { reject } of this.#waiters.splice(0)) reject(refusal);
    if (!full) this.#parts.onFailure(refusal);
    else {
      this.#parts.onPause(refusal);
      this.#wait(RETRY_MS);
    }
  }

  #planSeal(): void {
    if (this.#parts.tiles.unsealed >= SEAL_BUNDLES) this.#seal();
    else if (this.#parts.tiles.unsealed > 0) this.#sealTimer ??= setTimeout(() => this.#seal(), SEAL_AFTER_MS).unref();
  }

  #seal(): void {
    clearTimeout(this.#sealTimer);
    this.#sealTimer = undefined;
    this.#sealing ??= this.#sealNow().finally(() => (this.#sealing = undefined));
  }

  async #sealNow(): Promise<void> {
    try {
      await this.#parts.onSealed(await this.#parts.tiles.seal());
    } catch (cause) {
      this.#failed(cause);
    }
  }

  /** Refuses receipts from now on. */
  stop(refusal: ServiceError): void {
    this.#refusal ??= refusal;
    clearTimeout(this.#timer);
    clearTimeout(this.#sealTimer);
    this.#timer = undefined;
    for (const { reject } of this.#waiters.splice(0)) reject(this.#refusal);
  }

  /** Publishes what is committed and seals what is full. */
  async finish(): Promise<void> {
    while (this.#refusal === undefined && (this.#running !== undefined || this.#behind())) {
      if (this.#running === undefined) {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#start();
      }
      const before = this.#published;
      await this.#running;
      if (this.#published === before) break;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#refusal === undefined && this.#parts.tiles.unsealed > 0) this.#seal();
    await this.#running;
    await this.#sealing;
  }
}
