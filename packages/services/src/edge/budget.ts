// SPDX-License-Identifier: Apache-2.0
/**
 * Octets that are held in memory for clients: bodies that arrive slowly, answers that nobody reads.
 *
 * One client may hold as much as a request or an answer is long; ten thousand together may not hold ten thousand times as
 * much. Above the limit the connection that has held something longest is cut: an honest client is through in
 * milliseconds and therefore among the youngest, whoever dribbles is among the oldest.
 */

/** The part of a socket that matters here. */
export interface Connection {
  destroy(): unknown;
}

export class Budget {
  readonly #limit: number;
  readonly #onCut: () => void;
  /** Octets by connection; who has held something longest comes first. */
  readonly #held = new Map<Connection, number>();
  #total = 0;

  /** `onCut` hears of every connection that is cut. */
  constructor(limit: number, onCut: () => void = () => {}) {
    this.#limit = limit;
    this.#onCut = onCut;
  }

  /** Octets held at the moment. */
  get total(): number {
    return this.#total;
  }

  /** More is held for a connection. May cut others, or this one. */
  add(connection: Connection, octets: number): void {
    this.#held.set(connection, (this.#held.get(connection) ?? 0) + octets);
    this.#total += octets;
    for (const [oldest] of this.#held) {
      if (this.#total <= this.#limit) return;
      this.drop(oldest);
      this.#onCut();
      oldest.destroy();
    }
  }

  /** Less is held for a connection; nothing happens where it was dropped before. */
  release(connection: Connection, octets: number): void {
    const held = this.#held.get(connection);
    if (held === undefined) return;
    this.#total -= Math.min(held, octets);
    if (held > octets) this.#held.set(connection, held - octets);
    else this.#held.delete(connection);
  }

  /** Nothing is held for a connection any more. */
  drop(connection: Connection): void {
    this.#total -= this.#held.get(connection) ?? 0;
    this.#held.delete(connection);
  }
}
