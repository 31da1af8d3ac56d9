// SPDX-License-Identifier: Apache-2.0
/**
 * RSA signatures as encoded messages (RFC 8017): EMSA-PKCS1-v1_5 (section 9.2) and EMSA-PSS with MGF1 and a salt as long
 * as the hash (section 9.1.2). A binding opens the signature (RSAVP1, section 5.2.2); this file judges what came out.
 *
 * PKCS#1 v1.5 is compared as a whole with the one encoding that a signer must make, never parsed: parsing it is what
 * made signatures forgeable under small exponents. A DigestInfo without its NULL parameters, which some verifiers take,
 * is refused for the same reason.
 */
import { concat, equalBytes, fromHex } from "../bytes/index.ts";
import { DerReader, decodeDer, readIntegerBytes, TAG } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import type { HashName } from "./algorithms.ts";
import { bitLength, fromOctets, power, toOctets } from "./numbers.ts";

export interface RsaKey {
  readonly modulus: bigint;
  readonly exponent: bigint;
  readonly bits: number;
}

/** The numbers of an RSAPublicKey (RFC 8017 section A.1.1). Throws BAD_DER, KEY_INVALID for a number below zero. */
export function decodeRsaKey(raw: Uint8Array): RsaKey {
  const fields = new DerReader(decodeDer(raw, TAG.sequence).content);
  const modulus = readIntegerBytes(fields.next(TAG.integer));
  const exponent = readIntegerBytes(fields.next(TAG.integer));
  fields.end();
  if (modulus[0]! >= 0x80 || exponent[0]! >= 0x80) throw new LacreError("KEY_INVALID", "RSA key has a negative number");
  const number = fromOctets(modulus);
  return { modulus: number, exponent: fromOctets(exponent), bits: bitLength(number) };
}

/** RSAVP1: the encoded message in a signature, or undefined when the signature is not one number below the modulus. */
export function openRsaSignature(key: RsaKey, signature: Uint8Array): Uint8Array | undefined {
  const octets = Math.ceil(key.bits / 8);
  const number = fromOctets(signature);
  if (signature.length !== octets || number >= key.modulus) return undefined;
  return toOctets(power(number, key.exponent, key.modulus), octets);
}

// DER of DigestInfo up to the digest (RFC 8017 section 9.2, note 1).
const DIGEST_INFO: Readonly<Record<HashName, Uint8Array>> = {
  sha256: fromHex("3031300d060960864801650304020105000420"),
  sha384: fromHex("3041300d060960864801650304020205000430"),
  sha512: fromHex("3051300d060960864801650304020305000440"),
};

/** The encoded message that a PKCS#1 v1.5 signature over this digest must contain, `octets` long. */
export function encodePkcs1(hash: HashName, digest: Uint8Array, octets: number): Uint8Array {
  const info = DIGEST_INFO[hash];
  const padding = new Uint8Array(octets - info.length - digest.length - 3).fill(0xff);
  return concat(Uint8Array.of(0, 1), padding, Uint8Array.of(0), info, digest);
}

/** Whether an encoded message is exactly the PKCS#1 v1.5 one of a digest. */
export function isPkcs1Encoding(hash: HashName, digest: Uint8Array, encoded: Uint8Array): boolean {
  return equalBytes(encoded, encodePkcs1(hash, digest, encoded.length));
}

/** A hash function handed in, so that the arithmetic has no platform. */
export type Digest = (algorithm: HashName, data: Uint8Array) => Uint8Array;

// MGF1, RFC 8017 section B.2.1.
function mask(digest: Digest, hash: HashName, seed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (let counter = 0; at < length; counter++) {
    const block = digest(hash, concat(seed, Uint8Array.of(counter >>> 24, counter >>> 16, counter >>> 8, counter)));
    out.set(block.subarray(0, length - at), at);
    at += block.length;
  }
  return out;
}

/**
 * Whether an encoded message is a PSS one of a digest, with a salt as long as the digest. The modulus has a whole number
 * of octets (as every key size we take), so exactly one bit of the encoded message is spare.
 */
export function isPssEncoding(digest: Digest, hash: HashName, hashed: Uint8Array, encoded: Uint8Array): boolean {
  const size = hashed.length;
  const split = encoded.length - size - 1;
  if (split < size + 1 || encoded[0]! >= 0x80 || encoded[encoded.length - 1] !== 0xbc) return false;
  const trailer = encoded.subarray(split, split + size);
  const block = mask(digest, hash, trailer, split);
  for (let i = 0; i < split; i++) block[i]! ^= encoded[i]!;
  block[0]! &= 0x7f;
  const start = split - size;
  for (let i = 0; i < start - 1; i++) if (block[i] !== 0) return false;
  if (block[start - 1] !== 1) return false;
  return equalBytes(trailer, digest(hash, concat(new Uint8Array(8), hashed, block.subarray(start))));
}
