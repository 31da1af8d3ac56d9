// SPDX-License-Identifier: Apache-2.0
/** Roots of earlier sizes, from a log's own tiles. */
import { sha256 } from "@lacre/core/crypto";
import { CompactRange, hashSlice, tileOfNode, tileWidth } from "@lacre/core/merkle";
import type { Log } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";

/**
 * Roots at multiples of a power of two, cheaply for sizes that grow: the subtrees that make the last one are remembered.
 * Entries must be published.
 */
export class RootSource {
  readonly #log: Pick<Log, "origin" | "size" | "readTile">;
  /** Entries of one step, and the tree level whose nodes stand for that many. */
  readonly #step: number;
  readonly #level: number;
  #range = new CompactRange(sha256);

  constructor(log: Pick<Log, "origin" | "size" | "readTile">, step: number) {
    this.#level = Math.log2(step);
    if (!Number.isInteger(this.#level)) throw new TypeError(`${step} is not a power of two`);
    this.#log = log;
    this.#step = step;
  }

  /** The root of the log's first `size` entries, a multiple of the step. */
  async at(size: number): Promise<Uint8Array> {
    const steps = size / this.#step;
    if (steps < this.#range.size) this.#range = new CompactRange(sha256);
    if (steps - this.#range.size > 4) await this.#leap(steps);
    for (; this.#range.size < steps;) this.#range.append(await this.#node(this.#level, this.#range.size));
    return this.#range.root();
  }

  /** Far ahead the subtrees are read whole, the largest first. */
  async #leap(steps: number): Promise<void> {
    const hashes: Uint8Array[] = [];
    for (let start = 0; start < steps;) {
      let level = 0;
      while (start + 2 ** (level + 1) <= steps) level++;
      hashes.push(await this.#node(this.#level + level, start / 2 ** level));
      start += 2 ** level;
    }
    this.#range = new CompactRange(sha256, steps, hashes);
  }

  async #node(level: number, index: number): Promise<Uint8Array> {
    const slice = tileOfNode(level, index);
    const tile = await this.#log.readTile({
      level: slice.level,
      index: slice.index,
      width: tileWidth(slice.level, slice.index, this.#log.size),
    });
    if (tile === undefined)
      throw new ServiceError("LOG_DAMAGED", undefined, {
        detail: `tile ${slice.level}/${slice.index} of ${this.#log.origin} cannot be read`,
      });
    return hashSlice(sha256, tile, slice);
  }
}
