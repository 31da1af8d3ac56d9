// SPDX-License-Identifier: Apache-2.0
/** Signatures: made, and checked. The only place that decides whether one is good. */
import { platform } from "#platform";
import { TAG } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { DIGEST_LENGTH, type Algorithm, type HashName, type KeyType } from "./algorithms.ts";
import { CURVES } from "./curve.ts";
import { toOctets } from "./numbers.ts";
import type { DigestClaim, Hasher, SignatureResult, StreamSigner } from "./platform.ts";
import { fits, type PrivateKey, type PublicKey } from "./key.ts";

/** What was signed: the message, or (for algorithms that sign a hash) the ready digest of a message not at hand. */
export type Signed = { readonly message: Uint8Array } | { readonly digest: Uint8Array };

/** One signature to check. */
export interface SignatureClaim {
  readonly algorithm: Algorithm;
  readonly key: PublicKey;
  readonly signed: Signed;
  /** DER for ECDSA, raw octets for the rest. */
  readonly signature: Uint8Array;
}

/**
 * Proves that `signature` is `key`'s over what was signed. Throws SIGNATURE_INVALID, KEY_INVALID when the key does not
 * fit the algorithm, ALGORITHM_UNKNOWN when this platform or a digest alone cannot decide.
 */
export function checkSignature(algorithm: Algorithm, key: PublicKey, signed: Signed, signature: Uint8Array): void {
  const claim = { algorithm, key, signed, signature };
  if ("digest" in signed) {
    const [refusal] = checkSignatures([claim]);
    if (refusal !== undefined) throw refusal;
    return;
  }
  checkShape(claim);
  settle(algorithm, platform.verifyMessage(algorithm, key.handle, signed.message, signature));
}

/**
 * Judges many signatures, each on its own: the error that checkSignature would throw, or undefined for a good one, in the
 * order of the claims. Over digests a batch is cheaper than its parts, because it shares the modular inversions.
 */
export function checkSignatures(claims: readonly SignatureClaim[]): (LacreError | undefined)[] {
  const refusals: (LacreError | undefined)[] = [];
  const digests: DigestClaim[] = [];
  const places: number[] = [];
  for (const [place, claim] of claims.entries()) {
    const { algorithm, key, signed, signature } = claim;
    refusals[place] = refusalOf(() => {
      checkShape(claim);
      if ("message" in signed) return settle(algorithm, platform.verifyMessage(algorithm, key.handle, signed.message, signature));
      if (!algorithm.prehashed) return settle(algorithm, "unknown");
      digests.push({ algorithm, key: key.handle, digest: signed.digest, signature });
      places.push(place);
    });
  }
  for (const [i, result] of (digests.length === 0 ? [] : platform.verifyDigests(digests)).entries()) {
    refusals[places[i]!] = refusalOf(() => settle(digests[i]!.algorithm, result));
  }
  return refusals;
}

function refusalOf(check: () => void): LacreError | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof LacreError) return error;
    throw error;
  }
}

function checkShape({ algorithm, key, signed, signature }: SignatureClaim): void {
  if (!fits(algorithm, key)) {
    throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", {
      expected: algorithm.keyDetails,
      found: `${key.type} ${key.rsaBits || ""}`.trim(),
    });
  }
  if (algorithm.family === "ecdsa") checkEcdsaEncoding(signature, key.type);
  if ("digest" in signed && signed.digest.length !== DIGEST_LENGTH[algorithm.hash]) {
    throw new LacreError("SIGNATURE_INVALID", "digest has the wrong length for the algorithm", {
      expected: algorithm.hash,
      found: `${signed.digest.length} octets`,
    });
  }
}

function settle(algorithm: Algorithm, result: SignatureResult): void {
  if (result === "valid") return;
  if (result === "unknown") {
    throw new LacreError("ALGORITHM_UNKNOWN", "this signature cannot be checked here", {
      found: `${algorithm.keyDetails} on ${platform.name}`,
    });
  }
  throw new LacreError("SIGNATURE_INVALID", "signature does not verify", { found: algorithm.keyDetails });
}

/** Signs a message. Throws KEY_INVALID when the key does not fit. */
export function signMessage(algorithm: Algorithm, key: PrivateKey, message: Uint8Array): Uint8Array {
  if (!fits(algorithm, key.publicKey))
    throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", {
      expected: algorithm.keyDetails,
      found: key.publicKey.type,
    });
  return platform.sign(algorithm, key.handle, message);
}

/**
 * Signs a message that arrives in chunks. Throws KEY_INVALID when the key does not fit, ALGORITHM_UNKNOWN for schemes
 * that cannot sign a stream (pure Ed25519, ML-DSA).
 */
export function createStreamSigner(algorithm: Algorithm, key: PrivateKey): StreamSigner {
  if (!fits(algorithm, key.publicKey))
    throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", {
      expected: algorithm.keyDetails,
      found: key.publicKey.type,
    });
  return platform.streamSigner(algorithm, key.handle);
}

/** Cryptographically strong random octets, for nonces and serial numbers. */
export function random(length: number): Uint8Array {
  return platform.random(length);
}

/** A running digest, for what does not fit memory. */
export function createHasher(algorithm: HashName): Hasher {
  return platform.hasher(algorithm);
}

/** Digest of bytes at hand. */
export function hash(algorithm: HashName, data: Uint8Array): Uint8Array {
  return platform.hash(algorithm, data);
}

/** SHA-256, the hash of logs and identifiers. */
export function sha256(data: Uint8Array): Uint8Array {
  return platform.hash("sha256", data);
}

/**
 * Proves that an ECDSA signature is strict DER of two numbers, both in [1, n-1]. Throws SIGNATURE_INVALID. Read in place:
 * this is asked of every signature, and as values and numbers its parts would cost more than all that is compared.
 */
export function checkEcdsaEncoding(signature: Uint8Array, type: KeyType): void {
  const order = ORDERS[type];
  if (order === undefined) throw new TypeError(`${type} is not an ECDSA key`);
  // Two numbers of at most 67 octets: the length is of one octet, or behind 0x81.
  const long = signature[1] === 0x81;
  const start = long ? 3 : 2;
  const length = signature[start - 1]!;
  if (signature[0] !== TAG.sequence || length !== signature.length - start || (long ? length < 0x80 : length >= 0x80))
    throw notStrict();
  const middle = endOfInteger(signature, start);
  if (endOfInteger(signature, middle) !== signature.length) throw notStrict();
  if (isBelow(signature, start, middle, order) && isBelow(signature, middle, signature.length, order)) return;
  throw new LacreError("SIGNATURE_INVALID", "ECDSA signature has a number out of range");
}

const ORDERS: Partial<Readonly<Record<KeyType, Uint8Array>>> = Object.fromEntries(
  Object.values(CURVES).map(({ name, n, octets }) => [name, toOctets(n, octets)]),
);

function notStrict(): LacreError {
  return new LacreError("SIGNATURE_INVALID", "ECDSA signature is not strict DER");
}

// The INTEGER that begins at `at`: minimal, of less than 128 octets. Octets that are missing fail every comparison.
function endOfInteger(bytes: Uint8Array, at: number): number {
  const length = bytes[at + 1]!;
  const [first, second] = [bytes[at + 2]!, bytes[at + 3]!];
  if (bytes[at] !== TAG.integer || !(length >= 1 && length < 0x80) || at + 2 + length > bytes.length) throw notStrict();
  if (length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) throw notStrict();
  return at + 2 + length;
}

// Whether the INTEGER between these offsets is positive and below the order.
function isBelow(bytes: Uint8Array, at: number, end: number, order: Uint8Array): boolean {
  let start = at + 2;
  if (bytes[start]! >= 0x80) return false;
  if (bytes[start] === 0) start++;
  const length = end - start;
  if (length === 0 || length > order.length) return false;
  if (length < order.length) return true;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== order[i]) return bytes[start + i]! < order[i]!;
  return false;
}
