// SPDX-License-Identifier: Apache-2.0
/**
 * Octets that are held in memory for clients: bodies that arrive slowly, answers that nobody reads.
 *
 * One client may hold as much as a request or an answer is long; ten thousand together may not hold ten thousand times as
 * much. Above the limit connections are cut until a quarter of it is free again, first those that have held most for
 * longest: octets times age. An honest request is through in milliseconds, so it scores next to nothing, however many
 * others fill the house; whoever dribbles, or does not read, scores more with every second.
 */

/** The part of a socket that matters here. */
export interface Connection {
  destroy(): unknown;
}

interface Holding {
  octets: number;
  readonly sinceMs: number;
}

/** Part of the limit that is filled after a cut: cutting looks at everybody, so it should not be done for every octet. */
const REFILL = 0.75;

export class Budget {
  readonly #limit: number;
  readonly #onCut: () => void;
  readonly #clock: () => number;
  readonly #held = new Map<Connection, Holding>();
  #total = 0;

  /** `onCut` hears of every connection that is cut; `clock` counts milliseconds and never goes back. */
  constructor(limit: number, onCut: () => void = () => {}, clock: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#onCut = onCut;
    this.#clock = clock;
  }

  /** Octets held at the moment. */
  get total(): number {
    return this.#total;
  }

  /** More is held for a connection. May cut others, or this one. */
  add(connection: Connection, octets: number): void {
    const held = this.#held.get(connection);
    if (held === undefined) this.#held.set(connection, { octets, sinceMs: this.#clock() });
    else held.octets += octets;
    this.#total += octets;
    if (this.#total > this.#limit) this.#cut();
  }

  /** Less is held for a connection; nothing happens where it was dropped before. */
  release(connection: Connection, octets: number): void {
    const held = this.#held.get(connection);
    if (held === undefined) return;
    this.#total -= Math.min(held.octets, octets);
    if (held.octets > octets) held.octets -= octets;
    else this.#held.delete(connection);
  }

  /** Nothing is held for a connection any more. */
  drop(connection: Connection): void {
    this.#total -= this.#held.get(connection)?.octets ?? 0;
    this.#held.delete(connection);
  }

  #cut(): void {
    const nowMs = this.#clock();
    const score = ({ octets, sinceMs }: Holding): number => octets * (nowMs - sinceMs + 1);
    const worst = [...this.#held].toSorted(([, a], [, b]) => score(b) - score(a));
    for (const [connection] of worst) {
      if (this.#total <= this.#limit * REFILL) return;
      this.drop(connection);
      this.#onCut();
      connection.destroy();
    }
  }
}
