// SPDX-License-Identifier: Apache-2.0
/**
 * SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) for the key types of the registry:
 *
 *     EC        RFC 5480: id-ecPublicKey with a named curve; the point uncompressed and on the curve
 *     RSA       RFC 3279: rsaEncryption with NULL; 2048, 3072 or 4096 bits, an odd exponent from 3 to 2^32 − 1
 *     Ed25519   RFC 8410: no parameters, 32 octets; canonical, on the curve, not of small order
 *     ML-DSA    RFC 9881: no parameters, the octets of FIPS 204
 *
 * What is read here is a usable key; nothing is found out later.
 */
import { bits, nil, oid, openDer, readBits, readOid, sequence, TAG } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import type { KeyType } from "./algorithms.ts";
import { checkEdwardsKey, CURVES, type CurveName, decodePoint } from "./curve.ts";
import type { KeyMaterial } from "./platform.ts";
import { decodeRsaKey } from "./rsa.ts";

/** Object identifiers of key types, and of the named curves. */
export const EC_KEY = "1.2.840.10045.2.1";
const RSA_KEY = "1.2.840.113549.1.1.1";
const ED25519_KEY = "1.3.101.112";
const CURVE_OID: Readonly<Record<CurveName, string>> = {
  "P-256": "1.2.840.10045.3.1.7",
  "P-384": "1.3.132.0.34",
  "P-521": "1.3.132.0.35",
};

/** Key types without parameters whose key is a fixed number of octets. */
const RAW_KEYS: Readonly<Record<string, { readonly type: KeyType; readonly octets: number }>> = {
  [ED25519_KEY]: { type: "Ed25519", octets: 32 },
  "2.16.840.1.101.3.4.3.17": { type: "ML-DSA-44", octets: 1312 },
  "2.16.840.1.101.3.4.3.18": { type: "ML-DSA-65", octets: 1952 },
  "2.16.840.1.101.3.4.3.19": { type: "ML-DSA-87", octets: 2592 },
};

function invalid(message: string, found?: string): LacreError {
  return new LacreError("KEY_INVALID", message, found === undefined ? {} : { found });
}

/** The curve of an object identifier, or undefined for another. */
export function curveOfOid(dotted: string): CurveName | undefined {
  return (Object.keys(CURVE_OID) as CurveName[]).find((name) => CURVE_OID[name] === dotted);
}

/** The type of key that a SubjectPublicKeyInfo says it holds, well formed or not; undefined for one that we do not know. */
export function keyTypeOf(spki: Uint8Array): KeyType | undefined {
  const algorithm = openDer(spki).enter();
  const kind = readOid(algorithm.next(TAG.oid));
  if (kind === EC_KEY) return algorithm.nextTag === TAG.oid ? curveOfOid(readOid(algorithm.next(TAG.oid))) : undefined;
  return kind === RSA_KEY ? "RSA" : RAW_KEYS[kind]?.type;
}

/** The parts of a key. Throws BAD_DER for malformed bytes, KEY_INVALID for a key of another kind or a weak one. */
export function decodeSpki(spki: Uint8Array): KeyMaterial {
  const body = openDer(spki);
  const algorithm = body.enter();
  const raw = readBits(body.next(TAG.bitString));
  body.end();
  const kind = readOid(algorithm.next(TAG.oid));
  if (kind === EC_KEY) {
    const name = readOid(algorithm.next(TAG.oid));
    algorithm.end();
    const type = curveOfOid(name);
    if (type === undefined) throw invalid("curve is not P-256, P-384 or P-521", name);
    decodePoint(CURVES[type], raw);
    return { type, spki, raw, rsaBits: 0 };
  }
  if (kind === RSA_KEY) {
    algorithm.next(TAG.null);
    algorithm.end();
    return { type: "RSA", spki, raw, rsaBits: checkRsa(raw) };
  }
  const pure = RAW_KEYS[kind];
  if (pure === undefined) throw invalid("key type is unknown", kind);
  algorithm.end();
  if (raw.length !== pure.octets) throw invalid(`${pure.type} key has the wrong length`, `${raw.length} octets`);
  if (pure.type === "Ed25519") checkEdwardsKey(raw);
  return { type: pure.type, spki, raw, rsaBits: 0 };
}

function checkRsa(raw: Uint8Array): number {
  const { bits: size, exponent, modulus } = decodeRsaKey(raw);
  if (size !== 2048 && size !== 3072 && size !== 4096) throw invalid("RSA key is not of 2048, 3072 or 4096 bits", `${size} bits`);
  if (modulus % 2n === 0n) throw invalid("RSA modulus is even");
  if (exponent < 3n || exponent > 0xffffffffn || exponent % 2n === 0n)
    throw invalid("RSA exponent is unsafe", exponent.toString().slice(0, 40));
  return size;
}

/** SubjectPublicKeyInfo around the content of its BIT STRING. */
export function encodeSpki(type: KeyType, raw: Uint8Array): Uint8Array {
  return sequence(sequence(...algorithmIdentifier(type)), bits(raw));
}

/** Algorithm and parameters, as SubjectPublicKeyInfo and PKCS#8 both write them. */
export function algorithmIdentifier(type: KeyType): Uint8Array[] {
  if (type === "RSA") return [oid(RSA_KEY), nil()];
  if (type === "P-256" || type === "P-384" || type === "P-521") return [oid(EC_KEY), oid(CURVE_OID[type])];
  const [dotted] = Object.entries(RAW_KEYS).find(([, key]) => key.type === type)!;
  return [oid(dotted)];
}
