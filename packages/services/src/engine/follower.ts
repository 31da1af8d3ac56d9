// SPDX-License-Identifier: Apache-2.0
/**
 * Whoever keeps something derived from the entries that has to be there when an entry is acknowledged: an index, say. It
 * hears of every entry in order, between its commit and its acknowledgement, and keeps nothing that it could not make again.
 */
export interface Follower<P = unknown> {
  /**
   * What will be kept of a record that is about to be committed. `known` is what `append` was told of it, and may save
   * reading it again. A failure refuses the record.
   */
  prepare(record: Uint8Array, leafHash: Uint8Array, known?: unknown): P | Promise<P>;
  /** The record is durable, at this index. Must not fail. */
  committed(index: number, prepared: P): void;
  /** Entries below `size` are published. Must not fail. */
  published(size: number): void;
}
