// SPDX-License-Identifier: Apache-2.0
/**
 * What is particular to a CT log that is read as files (C2SP static-ct-api): its entries, and how its checkpoints are signed.
 *
 *     TileLeaf  = u64 time ‖ u16 type ‖ (type 1: issuer key hash[32]) ‖ u24-vector certificate or TBS ‖ u16-vector extensions
 *                 ‖ (type 1: u24-vector precertificate) ‖ u16-vector of issuers' SHA-256[32]
 *     leaf      = u8 0 ‖ u8 0 ‖ the TileLeaf up to and with the extensions (RFC 6962, MerkleTreeLeaf)
 *     signature = u64 time ‖ u8 4 ‖ u8 3 ‖ u16-vector ECDSA signature over u8 0 ‖ u8 1 ‖ u64 time ‖ u64 size ‖ root[32]
 *     key id    = SHA-256(name ‖ 0x0A ‖ 0x05 ‖ SHA-256 of the key's SubjectPublicKeyInfo)
 */
import type { Checkpoint } from "../bundle/index.ts";
import { ByteReader, ByteWriter, concat, equalBytes, utf8 } from "../bytes/index.ts";
import { checkSignature, defaultAlgorithm, type PublicKey, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { TILE_WIDTH } from "../merkle/index.ts";

/** An entry of a CT log, as views on its octets. */
export interface CertificateEntry {
  readonly timestampMs: number;
  /** The certificate, or the precertificate that was submitted: DER. */
  readonly certificate: Uint8Array;
  readonly isPrecertificate: boolean;
  /** Where the leaf ends within the entry. */
  readonly leafEnd: number;
}

function readTileLeaf(reader: ByteReader): CertificateEntry {
  const start = reader.offset;
  const timestampMs = Number(reader.uint64());
  const type = reader.uint(2);
  if (type !== 0 && type !== 1) throw new LacreError("BAD_DER", "entry is of an unknown type", { found: `${type}` });
  if (type === 1) reader.take(32);
  const signed = reader.vector(3);
  reader.vector(2);
  const leafEnd = reader.offset - start;
  const certificate = type === 1 ? reader.vector(3) : signed;
  if (reader.vector(2).length % 32 !== 0) throw new LacreError("BAD_DER", "entry names its issuers by something else than hashes");
  return { timestampMs, certificate, isPrecertificate: type === 1, leafEnd };
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

/** Proves that a CT log signed a checkpoint. Returns the time it states. Throws CHECKPOINT_UNSIGNED, SIGNATURE_INVALID, TRUNCATED. */
export function checkTreeHead({ note, size, root }: Checkpoint, name: string, key: PublicKey): number {
  const hint = sha256(concat(utf8(name), Uint8Array.of(0x0a, 0x05), sha256(key.spki))).subarray(0, 4);
  const line = note.signatures.find((one) => one.name === name && equalBytes(one.keyHint, hint));
  if (line === undefined) throw new LacreError("CHECKPOINT_UNSIGNED", "no signature line is of the log's name and key", { expected: name });
  const reader = new ByteReader(line.signature);
  const timeMs = Number(reader.uint64());
  reader.take(2);
  const signature = reader.vector(2);
  const message = new ByteWriter().uint(1, 0).uint(1, 1).uint64(BigInt(timeMs)).uint64(size).put(root).finish();
  checkSignature(defaultAlgorithm(key), key, { message }, signature);
  return timeMs;
}
