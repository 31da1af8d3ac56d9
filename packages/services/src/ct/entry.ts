// SPDX-License-Identifier: Apache-2.0
/**
 * What a CT log stores (RFC 6962 section 3.4, C2SP static-ct-api): one structure in three uses.
 *
 *     TimestampedEntry = u64 time in ms ‖ u16 type ‖ signed entry ‖ u16-vector extensions
 *     signed entry     = type 0: u24-vector certificate
 *                        type 1: SHA-256(issuer's SPKI)[32] ‖ u24-vector TBSCertificate without poison
 *     MerkleTreeLeaf   = u8 0 ‖ u8 0 ‖ TimestampedEntry
 *     TileLeaf         = TimestampedEntry ‖ (type 1: u24-vector precertificate) ‖ u16-vector of issuers' SHA-256[32]
 *
 * The record that the engine keeps is the TileLeaf. What the log signs for an SCT (version, signature type, then the
 * TimestampedEntry) is octet for octet the MerkleTreeLeaf. Extensions are empty: the index of an entry is known only when
 * it is stored, and old Python clients refuse promises with extensions.
 */
import { ByteReader, ByteWriter, concat } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import type { Personality } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";

/** An entry before and after it is encoded. */
export type CtEntry = {
  readonly timestampMs: number;
  /** SHA-256 of each issuer's certificate, the leaf's own issuer first, root last. */ readonly issuers: readonly Uint8Array[];
} & (
  | { readonly kind: "certificate"; readonly certificate: Uint8Array }
  | {
      readonly kind: "precertificate";
      readonly issuerKeyHash: Uint8Array;
      readonly tbs: Uint8Array;
      readonly precertificate: Uint8Array;
    }
);

const LEAF_HEAD = Uint8Array.of(0, 0);
const NOTHING = new Uint8Array(0);

/** The record of an entry: a TileLeaf. */
export function encodeEntry(entry: CtEntry): Uint8Array {
  const writer = new ByteWriter().uint64(BigInt(entry.timestampMs));
  if (entry.kind === "certificate") writer.uint(2, 0).vector(3, entry.certificate).vector(2, NOTHING);
  else writer.uint(2, 1).put(entry.issuerKeyHash).vector(3, entry.tbs).vector(2, NOTHING).vector(3, entry.precertificate);
  return writer.vector(2, concat(...entry.issuers)).finish();
}

/** Reads one record. Throws TRUNCATED and BAD_DER for damaged ones. */
export function decodeEntry(record: Uint8Array): CtEntry {
  const reader = new ByteReader(record);
  const { entry } = readEntry(reader);
  if (reader.left > 0) throw new LacreError("BAD_DER", "entry has bytes behind it");
  return entry;
}

/** Where the parts of a TimestampedEntry end, and what it says. */
function readEntry(reader: ByteReader): { readonly entry: CtEntry; readonly end: number } {
  const timestampMs = Number(reader.uint64());
  const type = reader.uint(2);
  if (type !== 0 && type !== 1) throw new LacreError("BAD_DER", "entry is of an unknown type", { found: `${type}` });
  const issuerKeyHash = type === 1 ? reader.take(32) : NOTHING;
  const signed = reader.vector(3);
  reader.vector(2);
  const end = reader.offset;
  const precertificate = type === 1 ? reader.vector(3) : NOTHING;
  const list = new ByteReader(reader.vector(2));
  const issuers: Uint8Array[] = [];
  while (list.left > 0) issuers.push(list.take(32));
  const entry: CtEntry =
    type === 0
      ? { timestampMs, issuers, kind: "certificate", certificate: signed }
      : { timestampMs, issuers, kind: "precertificate", issuerKeyHash, tbs: signed, precertificate };
  return { entry, end };
}

/** The MerkleTreeLeaf of a record, which is also what an SCT signs. */
export function leafOf(record: Uint8Array): Uint8Array {
  const { end } = readEntry(new ByteReader(record));
  return concat(LEAF_HEAD, record.subarray(0, end));
}

/** How the engine treats entries: equal certificates (of one issuer key) are one entry, whatever chain they came with. */
export const CT_PERSONALITY: Personality = {
  leafInput: leafOf,
  // Everything of the TimestampedEntry but the time: type, issuer's key hash, TBS (or certificate), extensions.
  identity(record) {
    const { end } = readEntry(new ByteReader(record));
    return sha256(record.subarray(8, end));
  },
  frame: (record) => record,
  unframe(bundle) {
    const reader = new ByteReader(bundle);
    const records: Uint8Array[] = [];
    try {
      while (reader.left > 0) {
        const start = reader.offset;
        readEntry(reader);
        records.push(bundle.subarray(start, reader.offset));
      }
    } catch (cause) {
      if (cause instanceof LacreError)
        throw new ServiceError("LOG_DAMAGED", undefined, { detail: "a data tile does not hold entries", cause });
      throw cause;
    }
    return records;
  },
  bundles: "data",
};
