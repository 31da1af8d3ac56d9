// SPDX-License-Identifier: Apache-2.0
/**
 * `CommitStore`: the one thing a log needs that must be linearizable. It holds the committed state and, until they are
 * sealed elsewhere, the commits that led to it.
 *
 * Contract, the same for memory, files and (later) object stores and databases; `contract.ts` is its suite:
 * - `commit` succeeds only against the token of the current state: compare and swap. Of several writers with the same
 *   token at most one wins; the others get STORE_CONFLICT and must not write again before `load`.
 * - When it returns, state and body are on stable storage, both or neither.
 * - Any other failure than STORE_CONFLICT and DISK_FULL is ambiguous: the commit may have happened. The caller stops and
 *   loads again (I7). DISK_FULL is definite: nothing was committed, and the same token stays good.
 * - `takeOver` fences every earlier writer: their tokens no longer win.
 */
import { equalBytes } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";

/** The state after a commit. `epoch` counts writers, `nonce` is random: equal states of two writers still differ. */
export interface Committed {
  readonly size: number;
  readonly root: Uint8Array;
  readonly timeMs: number;
  readonly epoch: number;
  /** 16 octets. */
  readonly nonce: Uint8Array;
}

/** One commit: from `previous` to `next` by what `body` says. The store does not look into a body. */
export interface Commit {
  readonly previous: Committed;
  readonly next: Committed;
  readonly body: Uint8Array;
}

/** Names a state of one store for compare-and-swap. Only the store that made it can read it. */
export type Token = { readonly token: unknown };

/** What a store knows: the commits after `base`, in order and without a gap, lead to `state`. */
export interface Loaded {
  readonly state: Committed;
  readonly token: Token;
  readonly base: Committed;
  readonly commits: readonly Commit[];
  /** The largest size given to `release`, as far as the store remembers: entries below are sealed elsewhere. */
  readonly released: number;
}

export interface CommitStore {
  /** The last committed state, or undefined where `create` never succeeded. LOG_DAMAGED where it cannot be known. */
  load(): Promise<Loaded | undefined>;
  /** The first state. STORE_CONFLICT where there is one. */
  create(state: Committed): Promise<Token>;
  commit(previous: Token, next: Committed, body: Uint8Array): Promise<Token>;
  /**
   * Becomes the writer: the store holds `base` and `commits` (the loaded ones behind `base`, stamped with a new epoch),
   * on stable storage and written anew, so that nothing rests on bytes that an earlier writer could not make durable.
   */
  takeOver(previous: Token, base: Committed, commits: readonly Commit[]): Promise<Token>;
  /** Entries below `size` are sealed elsewhere: commits that hold no others may be forgotten. */
  release(size: number): Promise<void>;
  close(): Promise<void>;
}

/** Whether two states are the same commit. */
export function sameState(a: Committed, b: Committed): boolean {
  return (
    a.size === b.size &&
    a.timeMs === b.timeMs &&
    a.epoch === b.epoch &&
    equalBytes(a.root, b.root) &&
    equalBytes(a.nonce, b.nonce)
  );
}

/** The state a list of commits ends in. */
export function lastState(base: Committed, commits: readonly Commit[]): Committed {
  return commits.at(-1)?.next ?? base;
}

/** Throws a TypeError unless the commits chain from `base`: that is the caller's mistake. */
export function checkChain(base: Committed, commits: readonly Commit[]): void {
  let state = base;
  for (const commit of commits) {
    if (!sameState(commit.previous, state)) throw new TypeError(`commit does not continue size ${state.size}`);
    state = commit.next;
  }
}

/** What every writer but the winner gets. */
export function conflict(detail: string): ServiceError {
  return new ServiceError("STORE_CONFLICT", undefined, { detail });
}

/** What memory stores share: several of them over one `place` race as processes would. */
export interface MemoryPlace {
  held: { readonly base: Committed; readonly commits: readonly Commit[]; readonly released: number } | undefined;
}

/** A store that lives as long as its `place`. */
export function createMemoryCommitStore(place: MemoryPlace = { held: undefined }): CommitStore {
  const now = (): Committed | undefined => place.held && lastState(place.held.base, place.held.commits);
  const check = (previous: Token): void => {
    if (now() !== previous.token) throw conflict("another writer has committed");
  };
  return {
    load: async () => {
      const { held } = place;
      if (held === undefined) return undefined;
      const state = lastState(held.base, held.commits);
      return { ...held, state, token: { token: state } };
    },
    create: async (state) => {
      if (place.held !== undefined) throw conflict("the store was created before");
      place.held = { base: state, commits: [], released: 0 };
      return { token: state };
    },
    commit: async (previous, next, body) => {
      check(previous);
      const held = place.held!;
      place.held = { ...held, commits: [...held.commits, { previous: previous.token as Committed, next, body: body.slice() }] };
      return { token: next };
    },
    takeOver: async (previous, base, commits) => {
      checkChain(base, commits);
      check(previous);
      place.held = { base, commits, released: place.held!.released };
      return { token: lastState(base, commits) };
    },
    release: async (size) => {
      const held = place.held!;
      let from = 0;
      while (from < held.commits.length && held.commits[from]!.next.size <= size) from++;
      place.held = {
        base: from === 0 ? held.base : held.commits[from - 1]!.next,
        commits: held.commits.slice(from),
        released: size,
      };
    },
    close: async () => {},
  };
}
