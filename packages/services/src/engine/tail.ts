// SPDX-License-Identifier: Apache-2.0
/**
 * The journal written anew: what is not sealed yet, and nothing else. A start does it, so as to trust no bytes that an
 * earlier writer could not make durable; so does a log whose journal has filled with renewals while nothing came.
 *
 * Entries, their times and the final state stay; consecutive commits of the same millisecond become one.
 */
import { randomBytes } from "node:crypto";
import type { Commit, Committed } from "../store/index.ts";
import { encodeBatch } from "./batch.ts";
import type { Tiles } from "./tiles.ts";
import type { Tree } from "./tree.ts";

export interface TailParts {
  readonly tree: Tree;
  readonly tiles: Tiles;
  /** Where the log is. */
  readonly state: Committed;
  /** Up to where it is sealed: a multiple of 256, fewer than 256 entries before the end. */
  readonly sealed: number;
}

/** Base and commits for `takeOver`, under a new epoch. */
export function rewriteTail({ tree, tiles, state, sealed }: TailParts): {
  readonly base: Committed;
  readonly commits: readonly Commit[];
} {
  const epoch = state.epoch + 1;
  const stateAt = (size: number, timeMs: number): Committed => ({
    size,
    root: tree.view(size)!.root,
    timeMs,
    epoch,
    nonce: randomBytes(16),
  });
  // The time of the last sealed entry is no longer at hand everywhere; that of the first one behind is not before it.
  const base = stateAt(sealed, sealed === state.size ? state.timeMs : tiles.hotRecord(sealed)!.timeMs);
  const commits: Commit[] = [];
  let previous = base;
  const add = (size: number, timeMs: number, records: readonly Uint8Array[]): void => {
    const next = stateAt(size, timeMs);
    commits.push({ previous, next, body: encodeBatch(records) });
    previous = next;
  };
  for (let at = sealed; at < state.size;) {
    const { timeMs } = tiles.hotRecord(at)!;
    const records: Uint8Array[] = [];
    for (; at < state.size && tiles.hotRecord(at)!.timeMs === timeMs; at++) records.push(tiles.hotRecord(at)!.record);
    add(at, timeMs, records);
  }
  if (previous.timeMs < state.timeMs) add(state.size, state.timeMs, []);
  return { base, commits };
}
