// SPDX-License-Identifier: Apache-2.0
/** What a log tells whoever measures it. Calls must not fail, and must be quick: they are made in the way of commits. */
export interface LogObserver {
  /** A group became durable: how many entries, how many octets of them, and how long the store took. */
  committed(group: { readonly entries: number; readonly octets: number; readonly seconds: number }): void;
  /** A checkpoint was published: how long that took, witnesses included. */
  published(publication: { readonly seconds: number }): void;
}
