// SPDX-License-Identifier: Apache-2.0
/** Signatures: made, and checked. The only place that decides whether one is good. */
import { platform } from "#platform";
import { openDer, readIntegerBytes, TAG } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { DIGEST_LENGTH, type Algorithm, type HashName, type KeyType } from "./algorithms.ts";
import { curveOf } from "./curve.ts";
import { fromOctets } from "./numbers.ts";
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
  const [refusal] = checkSignatures([{ algorithm, key, signed, signature }]);
  if (refusal !== undefined) throw refusal;
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

/** The numbers of an ECDSA signature: strict DER, both in [1, n-1]. Throws SIGNATURE_INVALID. */
export function checkEcdsaEncoding(signature: Uint8Array, type: KeyType): { readonly r: bigint; readonly s: bigint } {
  const order = curveOf(type)?.n;
  if (order === undefined) throw new TypeError(`${type} is not an ECDSA key`);
  try {
    const fields = openDer(signature);
    const r = positive(readIntegerBytes(fields.next(TAG.integer)));
    const s = positive(readIntegerBytes(fields.next(TAG.integer)));
    fields.end();
    if (r >= 1n && r < order && s >= 1n && s < order) return { r, s };
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new LacreError("SIGNATURE_INVALID", "ECDSA signature is not strict DER", { cause });
  }
  throw new LacreError("SIGNATURE_INVALID", "ECDSA signature has a number out of range");
}

// The number of an INTEGER's content, 0 (out of range) for a negative one.
function positive(bytes: Uint8Array): bigint {
  return bytes[0]! >= 0x80 ? 0n : fromOctets(bytes);
}
