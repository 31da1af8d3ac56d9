// SPDX-License-Identifier: Apache-2.0
/**
 * The platform binding for pages: audited JavaScript (@noble), inlined when the browser bundle is built.
 *
 * It gives the same verdicts as Node's binding on every vector: ECDSA with high s, Ed25519 without the cofactor and with
 * canonical R (as OpenSSL verifies it). Beyond Node it can Ed25519ph; it lacks ML-DSA, and signs with EC and Ed25519 only.
 */
import { ed25519, ed25519ph } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { concat, equalBytes, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import type { Algorithm, HashName, KeyType } from "./algorithms.ts";
import { type CurveName, curveOf } from "./curve.ts";
import { fromOctets } from "./numbers.ts";
import { decodePkcs8, encodePkcs8 } from "./pkcs8.ts";
import type { DigestClaim, KeyMaterial, Platform, PlatformKey, SignatureResult } from "./platform.ts";
import { decodeRsaKey, isPkcs1Encoding, isPssEncoding, openRsaSignature } from "./rsa.ts";
import { encodeSpki } from "./spki.ts";

// In every page and worker; declared here so that the library needs no DOM types.
declare const crypto: { getRandomValues(array: Uint8Array): Uint8Array };

const HASHES = { sha256, sha384, sha512 };
const ECDSA = { "P-256": p256, "P-384": p384, "P-521": p521 };
const ECDSA_OPTIONS = { prehash: false, lowS: false, format: "der" } as const;

/** A private key of a page: plain octets in memory. */
interface PagePrivateKey {
  readonly type: CurveName | "Ed25519";
  readonly secret: Uint8Array;
}

function hash(algorithm: HashName, data: Uint8Array): Uint8Array {
  return HASHES[algorithm](data);
}

function material(key: PlatformKey): KeyMaterial {
  return key.platformKey as KeyMaterial;
}

function verifyMessage(algorithm: Algorithm, key: PlatformKey, message: Uint8Array, signature: Uint8Array): SignatureResult {
  if (algorithm.family === "ed25519") return answer(verifyEd25519(NO_DOMAIN, material(key).raw, message, signature));
  if (!algorithm.prehashed) return "unknown";
  return verifyDigest({ algorithm, key, digest: hash(algorithm.hash, message), signature });
}

function verifyDigest({ algorithm, key, digest, signature }: DigestClaim): SignatureResult {
  const { type, raw } = material(key);
  switch (algorithm.family) {
    case "ecdsa":
      return answer(ECDSA[type as CurveName].verify(signature, digest, raw, ECDSA_OPTIONS));
    case "ed25519ph":
      return answer(verifyEd25519(PREHASHED_DOMAIN, raw, digest, signature));
    case "rsa-pkcs1":
    case "rsa-pss": {
      const encoded = openRsaSignature(decodeRsaKey(raw), signature);
      if (encoded === undefined) return "invalid";
      return answer(
        algorithm.family === "rsa-pss"
          ? isPssEncoding(hash, algorithm.hash, digest, encoded)
          : isPkcs1Encoding(algorithm.hash, digest, encoded),
      );
    }
    default:
      return "unknown";
  }
}

function answer(verified: boolean): SignatureResult {
  return verified ? "valid" : "invalid";
}

const NO_DOMAIN = new Uint8Array();
// dom2(1, "") of RFC 8032 section 2.
const PREHASHED_DOMAIN = concat(utf8("SigEd25519 no Ed25519 collisions"), Uint8Array.of(1, 0));

/**
 * RFC 8032 section 5.1.7 without the cofactor: R must be the very octets of S·B − k·A. @noble's own verify multiplies by
 * the cofactor, and so accepts some signatures (made by a signer who bends his own key) that OpenSSL refuses.
 */
function verifyEd25519(domain: Uint8Array, key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const { Point } = ed25519;
  const r = signature.subarray(0, 32);
  const s = fromOctets(signature.subarray(32).toReversed());
  if (s >= Point.Fn.ORDER) return false;
  const k = fromOctets(sha512(concat(domain, r, key, message)).toReversed()) % Point.Fn.ORDER;
  const point = Point.BASE.multiplyUnsafe(s).subtract(Point.fromBytes(key).multiplyUnsafe(k));
  return equalBytes(point.toBytes(), r);
}

function cannotSign(found: string): LacreError {
  return new LacreError("ALGORITHM_UNKNOWN", "a page signs with EC and Ed25519 keys only", { found });
}

function sign(algorithm: Algorithm, key: PlatformKey, message: Uint8Array): Uint8Array {
  const { secret } = key.platformKey as PagePrivateKey;
  switch (algorithm.family) {
    case "ecdsa":
      return signDigest(algorithm, key, hash(algorithm.hash, message));
    case "ed25519":
      return ed25519.sign(message, secret);
    case "ed25519ph":
      return ed25519ph.sign(message, secret);
    default:
      throw cannotSign(algorithm.keyDetails);
  }
}

function signDigest(algorithm: Algorithm, key: PlatformKey, digest: Uint8Array): Uint8Array {
  const { type, secret } = key.platformKey as PagePrivateKey;
  return ECDSA[type as CurveName].sign(digest, secret, ECDSA_OPTIONS);
}

/** The public octets of a secret. Throws on a scalar out of range. */
function publicOf(type: CurveName | "Ed25519", secret: Uint8Array): Uint8Array {
  return type === "Ed25519" ? ed25519.getPublicKey(secret) : ECDSA[type].getPublicKey(secret, false);
}

function generateKey(type: KeyType): { readonly pkcs8: Uint8Array; readonly spki: Uint8Array } {
  const curve = curveOf(type)?.name;
  if (curve === undefined && type !== "Ed25519") throw cannotSign(type);
  const named = curve ?? "Ed25519";
  const secret = named === "Ed25519" ? ed25519.utils.randomSecretKey() : ECDSA[named].utils.randomSecretKey();
  const raw = publicOf(named, secret);
  return { pkcs8: encodePkcs8(named, secret, raw), spki: encodeSpki(named, raw) };
}

function importPrivateKey(pkcs8: Uint8Array): { readonly handle: PlatformKey; readonly spki: Uint8Array } {
  try {
    const { type, secret, raw: stated } = decodePkcs8(pkcs8);
    const raw = publicOf(type, secret);
    if (stated !== undefined && !equalBytes(stated, raw))
      throw new LacreError("KEY_INVALID", "public key is not the private key's");
    return {
      handle: { platformKey: { type, secret: Uint8Array.from(secret) } satisfies PagePrivateKey },
      spki: encodeSpki(type, raw),
    };
  } catch {
    // The cause could quote key bytes; it stays here.
    throw new LacreError("KEY_INVALID", "not an unencrypted PKCS#8 private key of a known type");
  }
}

/** The platform of a page. */
export const platform: Platform = {
  name: "page",
  hash,
  hasher(algorithm) {
    const state = HASHES[algorithm].create();
    return { update: (chunk) => void state.update(chunk), digest: () => state.digest() };
  },
  random(length) {
    const octets = new Uint8Array(length);
    // getRandomValues gives at most 65,536 octets a call.
    for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(octets.subarray(at, at + 65_536));
    return octets;
  },
  importKey: (key) => ({ platformKey: key }),
  verifyMessage,
  verifyDigests: (claims) => claims.map(verifyDigest),
  generateKey,
  importPrivateKey,
  sign,
  streamSigner(algorithm, key) {
    if (algorithm.family !== "ecdsa")
      throw new LacreError("ALGORITHM_UNKNOWN", "this algorithm cannot sign a stream here", { found: algorithm.keyDetails });
    const state = HASHES[algorithm.hash].create();
    return { update: (chunk) => void state.update(chunk), finish: () => signDigest(algorithm, key, state.digest()) };
  },
};
