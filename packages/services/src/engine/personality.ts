// SPDX-License-Identifier: Apache-2.0
/** What makes a log a ledger or a CT log. The engine knows nothing else about what it stores. */

export interface Personality {
  /** What the tree commits to for a record: the content of its leaf. */
  readonly leafInput: (record: Uint8Array) => Uint8Array;
  /** 32 octets; records with the same identity are one entry. The first one stays. */
  readonly identity: (record: Uint8Array) => Uint8Array;
  /** The record's octets in an entry bundle. Throws ENTRY_TOO_LARGE where the format has no room. */
  readonly frame: (record: Uint8Array) => Uint8Array;
  /** The records of an entry bundle, as `frame` made them, in order. */
  readonly unframe: (bundle: Uint8Array) => Uint8Array[];
  /** What bundles are called in tile paths. Default `entries`. */
  readonly bundles?: "entries" | "data";
}
