// SPDX-License-Identifier: Apache-2.0
/**
 * What the library asks of the machine it runs on. Two bindings exist, `node.ts` and `page.ts`; package.json's
 * `#platform` chooses. Both are synchronous and pass the same gates (Wycheproof, see `vectors/`).
 */
import type { Algorithm, HashName, KeyType } from "./algorithms.ts";

/** Hashes a stream, chunk by chunk. `digest` may be called once. */
export interface Hasher {
  update(chunk: Uint8Array): void;
  digest(): Uint8Array;
}

/** A public key as parsed from its SubjectPublicKeyInfo: enough for any binding to build its own handle. */
export interface KeyMaterial {
  readonly type: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** The BIT STRING's content: the uncompressed point, the raw Ed25519 or ML-DSA key, or the RSAPublicKey DER. */
  readonly raw: Uint8Array;
  /** RSA modulus length in bits, 0 for others. */
  readonly rsaBits: number;
}

/** A binding's own prepared key. Opaque everywhere else. */
export type PlatformKey = { readonly platformKey: unknown };

/** `unknown`: this platform cannot decide (it lacks the algorithm). Never to be read as `valid`. */
export type SignatureResult = "valid" | "invalid" | "unknown";

/** A signature over a digest, to be verified. */
export interface DigestClaim {
  readonly algorithm: Algorithm;
  readonly key: PlatformKey;
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
}

/** Signs a stream, chunk by chunk. `finish` may be called once. */
export interface StreamSigner {
  update(chunk: Uint8Array): void;
  /** ECDSA as DER, the rest raw. */
  finish(): Uint8Array;
}

export interface Platform {
  readonly name: "node" | "page";
  hash(algorithm: HashName, data: Uint8Array): Uint8Array;
  hasher(algorithm: HashName): Hasher;
  /** Cryptographically strong random octets. */
  random(length: number): Uint8Array;
  /** Throws KEY_INVALID when the material is no usable key (a point off the curve, say). */
  importKey(material: KeyMaterial): PlatformKey;
  /** `signature`: DER for ECDSA (already checked for strictness and range), raw octets for the rest. */
  verifyMessage(algorithm: Algorithm, key: PlatformKey, message: Uint8Array, signature: Uint8Array): SignatureResult;
  /**
   * As verifyMessage, over digests (`algorithm.hash`) of messages that are not at hand: one result for each claim, in
   * order. Only algorithms that are `prehashed` are asked for, and digests of the right length.
   */
  verifyDigests(claims: readonly DigestClaim[]): SignatureResult[];
  /** A fresh key pair; `rsaBits` for RSA only. */
  generateKey(type: KeyType, rsaBits?: number): { readonly pkcs8: Uint8Array; readonly spki: Uint8Array };
  /** Throws KEY_INVALID for anything but an unencrypted PKCS#8 private key of a known type. */
  importPrivateKey(pkcs8: Uint8Array): { readonly handle: PlatformKey; readonly spki: Uint8Array };
  /** Throws ALGORITHM_UNKNOWN where this platform cannot sign so. */
  sign(algorithm: Algorithm, key: PlatformKey, message: Uint8Array): Uint8Array;
  /**
   * As sign, over a message that arrives in chunks and is never held whole. Throws ALGORITHM_UNKNOWN for schemes that
   * need the message twice (pure Ed25519, ML-DSA).
   */
  streamSigner(algorithm: Algorithm, key: PlatformKey): StreamSigner;
}
