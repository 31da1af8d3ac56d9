// SPDX-License-Identifier: Apache-2.0
/** Public keys (SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7) and private keys (PKCS#8, RFC 5958). */
import { platform } from "#platform";
import { DerReader, openDer, readBits, readOid, readUnsigned, TAG, decodeDer } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { ALGORITHMS, type Algorithm, type KeyType } from "./algorithms.ts";
import type { KeyMaterial, PlatformKey } from "./platform.ts";

/** A usable public key. `handle` is made on first use and kept: import a key once, use it often. */
export class PublicKey implements KeyMaterial {
  readonly type: KeyType;
  readonly spki: Uint8Array;
  readonly raw: Uint8Array;
  readonly rsaBits: number;
  #handle: PlatformKey | undefined;

  constructor(material: KeyMaterial) {
    this.type = material.type;
    this.spki = material.spki;
    this.raw = material.raw;
    this.rsaBits = material.rsaBits;
  }

  get handle(): PlatformKey {
    return (this.#handle ??= platform.importKey(this));
  }
}

/** A private key that can sign on this platform. Its bytes never leave `handle`. */
export interface PrivateKey {
  readonly publicKey: PublicKey;
  readonly handle: PlatformKey;
}

const EC_KEY = "1.2.840.10045.2.1";
const RSA_KEY = "1.2.840.113549.1.1.1";
const CURVES: Readonly<Record<string, { type: KeyType; octets: number }>> = {
  "1.2.840.10045.3.1.7": { type: "P-256", octets: 32 },
  "1.3.132.0.34": { type: "P-384", octets: 48 },
  "1.3.132.0.35": { type: "P-521", octets: 66 },
};
const RAW_KEYS: Readonly<Record<string, { type: KeyType; octets: number }>> = {
  "1.3.101.112": { type: "Ed25519", octets: 32 },
  "2.16.840.1.101.3.4.3.17": { type: "ML-DSA-44", octets: 1312 },
  "2.16.840.1.101.3.4.3.18": { type: "ML-DSA-65", octets: 1952 },
  "2.16.840.1.101.3.4.3.19": { type: "ML-DSA-87", octets: 2592 },
};

function invalid(message: string, found?: string): LacreError {
  return new LacreError("KEY_INVALID", message, found === undefined ? {} : { found });
}

/**
 * The key in a DER SubjectPublicKeyInfo. Throws KEY_INVALID for unknown types and curves, compressed points, RSA other
 * than 2048, 3072 and 4096 bits or with an exponent that is even, below 3 or above 2^32; BAD_DER for malformed bytes.
 * Whether a point lies on its curve is found out when the key is first used.
 */
export function importPublicKey(spki: Uint8Array): PublicKey {
  const body = openDer(spki);
  const algorithm = body.enter();
  const raw = readBits(body.next(TAG.bitString));
  body.end();
  const kind = readOid(algorithm.next(TAG.oid));
  if (kind === EC_KEY) {
    const name = readOid(algorithm.next(TAG.oid));
    algorithm.end();
    const curve = CURVES[name];
    if (curve === undefined) throw invalid("curve is not P-256, P-384 or P-521", name);
    if (raw.length !== 1 + 2 * curve.octets || raw[0] !== 4) throw invalid("point is not uncompressed");
    return new PublicKey({ type: curve.type, spki, raw, rsaBits: 0 });
  }
  if (kind === RSA_KEY) {
    algorithm.next(TAG.null);
    algorithm.end();
    return new PublicKey({ type: "RSA", spki, raw, rsaBits: checkRsa(raw) });
  }
  const pure = RAW_KEYS[kind];
  if (pure === undefined) throw invalid("key type is unknown", kind);
  algorithm.end();
  if (raw.length !== pure.octets) throw invalid(`${pure.type} key has the wrong length`, `${raw.length} octets`);
  return new PublicKey({ type: pure.type, spki, raw, rsaBits: 0 });
}

function checkRsa(raw: Uint8Array): number {
  const fields = new DerReader(decodeDer(raw, TAG.sequence).content);
  const modulus = readUnsigned(fields.next(TAG.integer));
  const exponent = readUnsigned(fields.next(TAG.integer));
  fields.end();
  const bits = modulus.toString(2).length;
  if (bits !== 2048 && bits !== 3072 && bits !== 4096) throw invalid("RSA key is not of 2048, 3072 or 4096 bits", `${bits} bits`);
  if (exponent < 3n || exponent > 0xffffffffn || exponent % 2n === 0n) throw invalid("RSA exponent is unsafe", `${exponent}`);
  return bits;
}

/** The algorithm a key signs with unless something says otherwise (the first row of the registry that fits). */
export function defaultAlgorithm(key: PublicKey): Algorithm {
  const found = ALGORITHMS.find((algorithm) => fits(algorithm, key));
  if (found === undefined) throw invalid("no algorithm fits the key", key.type);
  return found;
}

/** Whether a key is of the type and size that an algorithm asks for. */
export function fits(algorithm: Algorithm, key: PublicKey): boolean {
  return algorithm.keyType === key.type && (algorithm.rsaBits === 0 || algorithm.rsaBits === key.rsaBits);
}

/** A fresh private key of this type, and its unencrypted PKCS#8 DER for storing. */
export function generateKey(type: KeyType, rsaBits?: number): PrivateKey & { readonly pkcs8: Uint8Array } {
  const { pkcs8 } = platform.generateKey(type, rsaBits);
  return { ...importPrivateKey(pkcs8), pkcs8 };
}

/** The private key in an unencrypted PKCS#8 DER. Throws KEY_INVALID. */
export function importPrivateKey(pkcs8: Uint8Array): PrivateKey {
  const { handle, spki } = platform.importPrivateKey(pkcs8);
  return { handle, publicKey: importPublicKey(spki) };
}
