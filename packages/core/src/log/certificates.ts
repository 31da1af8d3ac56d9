// SPDX-License-Identifier: Apache-2.0
/**
 * Entries of a CT log that is read as files (C2SP static-ct-api).
 *
 *     TileLeaf  = u64 time ‖ u16 type ‖ (type 1: issuer key hash[32]) ‖ u24-vector certificate or TBS ‖ u16-vector extensions
 *                 ‖ (type 1: u24-vector precertificate) ‖ u16-vector of issuers' SHA-256[32]
 *     leaf      = u8 0 ‖ u8 0 ‖ the TileLeaf up to and with the extensions (RFC 6962, MerkleTreeLeaf)
 */
import { ByteReader, concat } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { TILE_WIDTH } from "../merkle/index.ts";

/** An entry of a CT log, as views on its octets. */
export interface CertificateEntry {
  readonly timestampMs: number;
  /** The certificate, or the precertificate that was submitted: DER. */
  readonly certificate: Uint8Array;
  readonly isPrecertificate: boolean;
  /** What the log signed: the certificate, or the precertificate's TBSCertificate without its poison. */
  readonly signed: Uint8Array;
  /** Of a precertificate: SHA-256 of its issuer's SPKI. */
  readonly issuerKeyHash: Uint8Array | undefined;
  /** SHA-256 of each issuer's certificate, 32 octets each, one behind the other. */
  readonly issuers: Uint8Array;
  /** Where the leaf ends within the entry. */
  readonly leafEnd: number;
}

function readTileLeaf(reader: ByteReader): CertificateEntry {
  const start = reader.offset;
  const timestampMs = Number(reader.uint64());
  const type = reader.uint(2);
  if (type !== 0 && type !== 1) throw new LacreError("BAD_DER", "entry is of an unknown type", { found: `${type}` });
  const issuerKeyHash = type === 1 ? reader.take(32) : undefined;
  const signed = reader.vector(3);
  reader.vector(2);
  const leafEnd = reader.offset - start;
  const certificate = type === 1 ? reader.vector(3) : signed;
  const issuers = reader.vector(2);
  if (issuers.length % 32 !== 0) throw new LacreError("BAD_DER", "entry names its issuers by something else than hashes");
  return { timestampMs, certificate, isPrecertificate: type === 1, signed, issuerKeyHash, issuers, leafEnd };
}

/** Reads one entry of a data tile. Throws TRUNCATED, BAD_DER. */
export function decodeTileLeaf(entry: Uint8Array): CertificateEntry {
  const reader = new ByteReader(entry);
  const decoded = readTileLeaf(reader);
  if (reader.left > 0) throw new LacreError("BAD_DER", "entry has octets behind it");
  return decoded;
}

/** The entries of a data tile. Throws TRUNCATED, BAD_DER, TOO_LARGE. */
export function unframeTileLeaves(tile: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(tile);
  const entries: Uint8Array[] = [];
  while (reader.left > 0) {
    if (entries.length === TILE_WIDTH) throw new LacreError("TOO_LARGE", "a data tile holds more than 256 entries");
    const start = reader.offset;
    readTileLeaf(reader);
    entries.push(tile.subarray(start, reader.offset));
  }
  return entries;
}

const LEAF_HEAD = Uint8Array.of(0, 0);

/** What of an entry is hashed as its leaf. Throws TRUNCATED, BAD_DER. */
export function tileLeafInput(entry: Uint8Array): Uint8Array {
  return concat(LEAF_HEAD, entry.subarray(0, decodeTileLeaf(entry).leafEnd));
}
