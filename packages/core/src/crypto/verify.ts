// SPDX-License-Identifier: Apache-2.0
/** Signatures: made, and checked. The only place that decides whether one is good. */
import { platform } from "#platform";
import { openDer, readIntegerBytes, TAG } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { DIGEST_LENGTH, type Algorithm, type HashName, type KeyType } from "./algorithms.ts";
import type { Hasher, StreamSigner } from "./platform.ts";
import { fits, type PrivateKey, type PublicKey } from "./key.ts";

/** What was signed: the message, or (for algorithms that sign a hash) the ready digest of a message not at hand. */
export type Signed = { readonly message: Uint8Array } | { readonly digest: Uint8Array };

/**
 * Proves that `signature` is `key`'s over what was signed. Throws SIGNATURE_INVALID, KEY_INVALID when the key does not
 * fit the algorithm, ALGORITHM_UNKNOWN when this platform or a digest alone cannot decide.
 */
export function checkSignature(algorithm: Algorithm, key: PublicKey, signed: Signed, signature: Uint8Array): void {
  if (!fits(algorithm, key)) {
    throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", { expected: algorithm.keyDetails, found: `${key.type} ${key.rsaBits || ""}`.trim() });
  }
  if (algorithm.family === "ecdsa") checkEcdsaEncoding(signature, key.type);
  let result;
  if ("message" in signed) result = platform.verifyMessage(algorithm, key.handle, signed.message, signature);
  else {
    if (signed.digest.length !== DIGEST_LENGTH[algorithm.hash]) {
      throw new LacreError("SIGNATURE_INVALID", "digest has the wrong length for the algorithm", { expected: algorithm.hash, found: `${signed.digest.length} octets` });
    }
    result = algorithm.prehashed ? platform.verifyDigest(algorithm, key.handle, signed.digest, signature) : "unknown";
  }
  if (result === "valid") return;
  if (result === "unknown") {
    throw new LacreError("ALGORITHM_UNKNOWN", "this signature cannot be checked here", { found: `${algorithm.keyDetails} on ${platform.name}` });
  }
  throw new LacreError("SIGNATURE_INVALID", "signature does not verify", { found: algorithm.keyDetails });
}

/** Signs a message. Throws KEY_INVALID when the key does not fit. */
export function signMessage(algorithm: Algorithm, key: PrivateKey, message: Uint8Array): Uint8Array {
  if (!fits(algorithm, key.publicKey)) throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", { expected: algorithm.keyDetails, found: key.publicKey.type });
  return platform.sign(algorithm, key.handle, message);
}

/**
 * Signs a message that arrives in chunks. Throws KEY_INVALID when the key does not fit, ALGORITHM_UNKNOWN for schemes
 * that cannot sign a stream (pure Ed25519, ML-DSA).
 */
export function createStreamSigner(algorithm: Algorithm, key: PrivateKey): StreamSigner {
  if (!fits(algorithm, key.publicKey)) throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", { expected: algorithm.keyDetails, found: key.publicKey.type });
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

const ORDERS: Readonly<Partial<Record<KeyType, bigint>>> = {
  "P-256": 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  "P-384": 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  "P-521":
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
};

/** The numbers of an ECDSA signature: strict DER, both in [1, n-1]. Throws SIGNATURE_INVALID. */
export function checkEcdsaEncoding(signature: Uint8Array, type: KeyType): { readonly r: bigint; readonly s: bigint } {
  const order = ORDERS[type];
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

const HEX_DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function positive(bytes: Uint8Array): bigint {
  if (bytes[0]! >= 0x80) return 0n;
  let digits = "0x";
  for (const byte of bytes) digits += HEX_DIGITS[byte]!;
  return BigInt(digits);
}
