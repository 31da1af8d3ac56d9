// SPDX-License-Identifier: Apache-2.0
/**
 * The sequencer: records in, committed entries out. One group at a time, one durable write a group.
 *
 * There is no timer. What arrives while a commit is under way is the next group, so an idle log commits at once and a
 * busy one in larger groups. A record that is already stored, or already waiting, is not stored again: its first entry is
 * the answer (exact, since this is the only writer).
 *
 * Failures. No space: the group is refused with LOG_FULL, the tree goes back, later appends try again. Anything else of
 * the store leaves open what the disk holds: the sequencer stops for good and only a restart, which reads what is really
 * there, goes on (I7).
 */
import { randomBytes } from "node:crypto";
import { sha256 } from "@lacre/core/crypto";
import { hashLeaf, TILE_WIDTH } from "@lacre/core/merkle";
import { ServiceError } from "../errors.ts";
import { lastState, type Committed, type CommitStore, type Token } from "../store/index.ts";
import { encodeBatch } from "./batch.ts";
import { key, type Identities } from "./identities.ts";
import type { Follower } from "./follower.ts";
import type { LogObserver } from "./observer.ts";
import type { Personality } from "./personality.ts";
import { rewriteTail } from "./tail.ts";
import type { Tiles } from "./tiles.ts";
import type { Tree, View } from "./tree.ts";

/** An entry that is committed: durable, at its place for ever. */
export interface Sequenced {
  readonly index: number;
  readonly leafHash: Uint8Array;
  /** The stored record: with `duplicate`, the first one of this identity. */
  readonly record: Uint8Array;
  /** When it was committed, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly duplicate: boolean;
}

/** How much may wait and how much goes into one commit. */
export interface SequenceLimits {
  readonly groupEntries: number;
  readonly groupBytes: number;
  /** Octets waiting before LOG_BUSY. */
  readonly pendingBytes: number;
  /** Entries committed but not yet published before LOG_BUSY. */
  readonly unpublishedEntries: number;
  /** Commits without entries after which the journal is written anew. */
  readonly renewals: number;
}

export const DEFAULT_LIMITS: SequenceLimits = {
  groupEntries: 1024,
  groupBytes: 4 << 20,
  pendingBytes: 64 << 20,
  unpublishedEntries: 65_536,
  renewals: 4096,
};

interface Pending {
  readonly record: Uint8Array;
  readonly framed: Uint8Array;
  readonly identity: string;
  readonly leafHash: Uint8Array;
  /** What each follower prepared of it. */
  readonly prepared: readonly unknown[];
  /** On the monotonic clock. */
  readonly sinceMs: number;
  readonly resolve: (entry: Sequenced) => void;
  readonly reject: (error: unknown) => void;
}

export interface SequencerParts {
  readonly store: CommitStore;
  readonly token: Token;
  readonly state: Committed;
  readonly tree: Tree;
  readonly tiles: Tiles;
  readonly identities: Identities;
  readonly personality: Personality;
  readonly now: () => number;
  readonly limits: SequenceLimits;
  readonly observer: LogObserver | undefined;
  /** A group is durable: the view at its end and its time. */
  readonly onCommit: (view: View, timeMs: number) => void;
  /** The store failed: nothing more will be committed. */
  readonly onFailure: (error: ServiceError) => void;
}

export class Sequencer {
  /** Told of each entry before it is acknowledged. */
  readonly followers: Follower[] = [];
  readonly #parts: SequencerParts;
  #token: Token;
  #state: Committed;
  #pending: Pending[] = [];
  /** Octets of the records that arrived and are neither committed nor refused. */
  #heldBytes = 0;
  /** By identity, from arrival until the entry is committed or refused. */
  readonly #inFlight = new Map<string, Promise<Sequenced>>();
  #running: Promise<void> | undefined;
  /** On the monotonic clock: since when the first of the group waits that is being committed. */
  #underWaySinceMs: number | undefined;
  #isRenewing = false;
  #published: number;
  #renewals = 0;
  /** Why nothing more is committed; why nothing more is taken. */
  #refusal: ServiceError | undefined;
  #closed: ServiceError | undefined;
  /** Why nothing is taken for now. */
  #paused: ServiceError | undefined;

  constructor(parts: SequencerParts) {
    this.#parts = parts;
    this.#token = parts.token;
    this.#state = parts.state;
    this.#published = parts.state.size;
  }

  get state(): Committed {
    return this.#state;
  }

  /** Entries that wait for their commit. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** How long the entry has waited that waits longest for its commit; 0 where none does. */
  get oldestMs(): number {
    const since = this.#underWaySinceMs ?? this.#pending[0]?.sinceMs;
    return since === undefined ? 0 : performance.now() - since;
  }

  /** Commits the time alone: the same tree, known to be so later. Nothing where entries are being committed anyway. */
  renew(): void {
    if ((this.#refusal ?? this.#closed ?? this.#paused) !== undefined) return;
    this.#isRenewing = true;
    this.#running ??= this.#run();
  }

  /** Adds a follower; entries that are under way would be without what it prepares. */
  follow(follower: Follower): void {
    if (this.#inFlight.size > 0) throw new TypeError("a log is followed from before its first entry");
    this.followers.push(follower);
  }

  /** Told by the publisher how far it is. */
  published(size: number): void {
    this.#published = size;
    this.#paused = undefined;
  }

  /** Told by the publisher that it cannot go on for now: what would be committed could not be shown. */
  pause(refusal: ServiceError): void {
    this.#paused = refusal;
  }

  /** Why entries are refused at present. */
  get paused(): ServiceError | undefined {
    return this.#paused;
  }

  /** Refuses everything from now on: what waits, and what comes. */
  stop(refusal: ServiceError): void {
    this.#refusal ??= refusal;
    for (const { reject } of this.#pending.splice(0)) reject(this.#refusal);
  }

  /** Takes nothing more and resolves when what came before is committed or refused. */
  async finish(refusal: ServiceError): Promise<void> {
    this.#closed ??= refusal;
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight.values());
    await this.#running;
    this.stop(refusal);
  }

  async append(record: Uint8Array, known?: unknown): Promise<Sequenced> {
    this.#check(record);
    const identity = key(this.#parts.personality.identity(record));
    const first = this.#inFlight.get(identity);
    if (first !== undefined) return { ...(await first), duplicate: true };
    const entry = this.#place(record, identity, known);
    this.#inFlight.set(identity, entry);
    this.#heldBytes += record.length;
    try {
      return await entry;
    } finally {
      this.#inFlight.delete(identity);
      this.#heldBytes -= record.length;
    }
  }

  #check(record: Uint8Array): void {
    const refusal = this.#refusal ?? this.#closed ?? this.#paused;
    if (refusal !== undefined) throw refusal;
    const behind = this.#state.size - this.#published;
    if (this.#heldBytes + record.length > this.#parts.limits.pendingBytes || behind > this.#parts.limits.unpublishedEntries) {
      throw new ServiceError("LOG_BUSY", undefined, {
        headers: { "retry-after": "1" },
        detail: `${this.#pending.length} waiting, ${behind} unpublished`,
      });
    }
  }

  async #place(record: Uint8Array, identity: string, known: unknown): Promise<Sequenced> {
    const index = await this.#parts.identities.find(identity);
    if (index !== undefined) {
      const stored = await this.#parts.tiles.record(index);
      if (stored === undefined) throw new ServiceError("LOG_DAMAGED", undefined, { detail: `entry ${index} cannot be read` });
      return { index, leafHash: this.leafHash(stored.record), record: stored.record, timeMs: stored.timeMs, duplicate: true };
    }
    // Framed now, since a record that fits no bundle must not get a place.
    const framed = this.#parts.personality.frame(record);
    const leafHash = this.leafHash(record);
    // Prepared now, while another group is on its way to the disk.
    const prepared: unknown[] = [];
    for (const follower of this.followers) {
      const one = follower.prepare(record, leafHash, known);
      prepared.push(one instanceof Promise ? await one : one);
    }
    return new Promise((resolve, reject) => {
      if (this.#refusal !== undefined) return reject(this.#refusal);
      this.#pending.push({ record, framed, identity, leafHash, prepared, sinceMs: performance.now(), resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Hash of the leaf that stands for a record. */
  leafHash(record: Uint8Array): Uint8Array {
    return hashLeaf(sha256, this.#parts.personality.leafInput(record));
  }

  async #run(): Promise<void> {
    // Let the event loop finish the requests that are already here: they make one group.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0 || this.#isRenewing) {
      const group = this.#takeGroup();
      this.#isRenewing = false;
      this.#underWaySinceMs = group[0]?.sinceMs;
      try {
        await this.#commit(group);
      } catch (cause) {
        this.#fail(group, cause);
      }
      this.#underWaySinceMs = undefined;
    }
    this.#running = undefined;
  }

  /** A group that is not committed: refused for now when the disk is full, otherwise the end of this writer. */
  #fail(group: readonly Pending[], cause: unknown): void {
    const full = cause instanceof ServiceError && cause.code === "DISK_FULL";
    const detail = cause instanceof ServiceError ? (cause.detail ?? cause.message) : String(cause);
    const refusal = new ServiceError(full ? "LOG_FULL" : "LOG_STOPPED", undefined, {
      detail,
      cause,
      headers: { "retry-after": "5" },
    });
    for (const { reject } of group) reject(refusal);
    if (full) return;
    this.stop(refusal);
    this.#parts.onFailure(refusal);
  }

  #takeGroup(): Pending[] {
    const { groupEntries, groupBytes } = this.#parts.limits;
    let count = 0;
    let bytes = 0;
    while (
      count < this.#pending.length &&
      count < groupEntries &&
      (count === 0 || bytes + this.#pending[count]!.record.length <= groupBytes)
    ) {
      bytes += this.#pending[count]!.record.length;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  async #commit(group: readonly Pending[]): Promise<void> {
    const { store, tree, tiles, identities, now, observer, onCommit } = this.#parts;
    const before = this.#state;
    // The clock may step back; the log's time does not.
    const timeMs = Math.max(before.timeMs, now());
    for (const { leafHash } of group) tree.append(leafHash);
    const view = tree.view()!;
    const next: Committed = { size: view.size, root: view.root, timeMs, epoch: before.epoch, nonce: randomBytes(16) };
    const batch = encodeBatch(group.map(({ record }) => record));
    const beganMs = performance.now();
    try {
      this.#token = await store.commit(this.#token, next, batch);
    } catch (cause) {
      tree.rollback(before.size);
      throw cause;
    }
    this.#state = next;
    if (group.length === 0) this.#renewals++;
    observer?.committed({ entries: group.length, octets: batch.length, seconds: (performance.now() - beganMs) / 1000 });
    for (const [at, { record, framed, identity, prepared }] of group.entries()) {
      identities.add(identity, before.size + at);
      tiles.add({ record, framed, timeMs });
      for (const [i, follower] of this.followers.entries()) follower.committed(before.size + at, prepared[i]);
    }
    for (const [at, { record, leafHash, resolve }] of group.entries())
      resolve({ index: before.size + at, leafHash, record, timeMs, duplicate: false });
    onCommit(view, timeMs);
    if (this.#renewals >= this.#parts.limits.renewals) await this.#compact();
  }

  /** Renewals of an idle log would fill the disk one block at a time: the journal starts over with what is not sealed. */
  async #compact(): Promise<void> {
    const { store, tree, tiles } = this.#parts;
    const { sealed } = tiles;
    if (this.#state.size - sealed >= TILE_WIDTH) return;
    const { base, commits } = rewriteTail({ tree, tiles, state: this.#state, sealed });
    this.#token = await store.takeOver(this.#token, base, commits);
    this.#state = lastState(base, commits);
    this.#renewals = 0;
  }
}
