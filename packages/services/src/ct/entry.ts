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
import { ByteWriter, concat } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { decodeTileLeaf, tileLeafInput, unframeTileLeaves } from "@lacre/core/log";
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
  const { timestampMs, certificate, signed, issuerKeyHash, issuers: hashes } = decodeTileLeaf(record);
  const issuers: Uint8Array[] = [];
  for (let at = 0; at < hashes.length; at += 32) issuers.push(hashes.subarray(at, at + 32));
  return issuerKeyHash === undefined
    ? { timestampMs, issuers, kind: "certificate", certificate }
    : { timestampMs, issuers, kind: "precertificate", issuerKeyHash, tbs: signed, precertificate: certificate };
}

/** How the engine treats entries: equal certificates (of one issuer key) are one entry, whatever chain they came with. */
export const CT_PERSONALITY: Personality = {
  // The MerkleTreeLeaf, which is also what an SCT signs.
  leafInput: tileLeafInput,
  // Everything of the TimestampedEntry but the time: type, issuer's key hash, TBS (or certificate), extensions.
  identity(record) {
    return sha256(record.subarray(8, decodeTileLeaf(record).leafEnd));
  },
  frame: (record) => record,
  unframe(bundle) {
    try {
      return unframeTileLeaves(bundle);
    } catch (cause) {
      if (cause instanceof LacreError)
        throw new ServiceError("LOG_DAMAGED", undefined, { detail: "a data tile does not hold entries", cause });
      throw cause;
    }
  },
  bundles: "data",
};
