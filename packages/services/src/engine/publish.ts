// SPDX-License-Identifier: Apache-2.0
/**
 * The publisher: makes committed entries visible and releases their receipts.
 *
 * A publication is, in this order: full tiles become files (I5) and the anchor is durable; the checkpoint is signed over
 * the committed state (I4); the file `checkpoint` is replaced; receipts that it covers leave (I6).
 *
 * When. With few entries waiting: at once, so that an idle log answers in the time of its disk. Under load: on ticks, the
 * next one no sooner than twice what the last took, within 20 to 100 ms, so that signing and renaming stay a small part
 * of the work however many entries come.
 */
import { utf8 } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import type { Anchor } from "./anchor.ts";
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

export interface PublisherParts {
  readonly origin: string;
  readonly signCheckpoint: (state: CheckpointState) => string | Promise<string>;
  readonly tiles: Tiles;
  readonly blobs: BlobStore;
  readonly anchor: Anchor;
  readonly ticks: Ticks;
  /** Entries up to this size are durable in files: the journal may forget them. */
  readonly onSealed: (size: number) => Promise<void>;
  readonly onPublished: (published: Published) => void;
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
  #refusal: ServiceError | undefined;

  constructor(parts: PublisherParts, first: Published) {
    this.#parts = parts;
    this.#published = first;
    this.#committed = first;
  }

  get published(): Published {
    return this.#published;
  }

  /** Told by the sequencer: this is durable. */
  committed(view: View, timeMs: number): void {
    this.#committed = { view, timeMs };
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
    if (wait <= 0 || this.#committed.view.size - this.#published.view.size <= FEW) this.#start();
    else this.#wait(wait);
  }

  #wait(ms: number): void {
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
    const { origin, signCheckpoint, tiles, blobs, anchor, ticks, onPublished } = this.#parts;
    const { view, timeMs } = this.#committed;
    const began = performance.now();
    try {
      const [checkpoint] = await Promise.all([
        signCheckpoint({ origin, size: view.size, root: view.root, timeMs }),
        tiles.write(view.size),
        anchor.write({ size: view.size, root: view.root }),
      ]);
      await blobs.putMutable(CHECKPOINT, utf8(checkpoint));
      this.#published = { view, timeMs, checkpoint };
    } catch (cause) {
      return this.#failed(cause);
    }
    const now = performance.now();
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

  /** The entries are committed, but nobody may see them yet: their receipts are refused, a repeated request gets them. */
  #failed(cause: unknown): void {
    const full = cause instanceof ServiceError ? cause.code === "DISK_FULL" : false;
    const refusal = new ServiceError(full ? "LOG_FULL" : "LOG_STOPPED", undefined, {
      detail: cause instanceof ServiceError ? cause.detail ?? cause.message : String(cause), cause, headers: { "retry-after": "5" },
    });
    if (!full) this.stop(refusal);
    for (const { reject } of this.#waiters.splice(0)) reject(refusal);
    if (full) this.#wait(RETRY_MS);
    else this.#parts.onFailure(refusal);
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
