// SPDX-License-Identifier: Apache-2.0
/**
 * Signatures of identity tokens (RFC 7515, 7518, 8037), over keys of issuers (RFC 7517): a table of what is ever accepted,
 * which is asymmetric algorithms only, and the platform's verification.
 *
 * A key verifies for an algorithm only if type and curve are the algorithm's, if its own `alg`, `use` and `key_ops` do not say
 * otherwise, and if it is strong enough. Only public members are taken from a key, whatever else a set may hold.
 */
import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import type { Json } from "@lacre/core/codec";

interface Row {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly crv?: string;
  /** Null where the algorithm hashes by itself. */
  readonly hash: string | null;
  readonly isPss?: boolean;
}

const ROWS: Readonly<Record<string, Row>> = {
  RS256: { kty: "RSA", hash: "sha256" },
  RS384: { kty: "RSA", hash: "sha384" },
  RS512: { kty: "RSA", hash: "sha512" },
  PS256: { kty: "RSA", hash: "sha256", isPss: true },
  PS384: { kty: "RSA", hash: "sha384", isPss: true },
  PS512: { kty: "RSA", hash: "sha512", isPss: true },
  ES256: { kty: "EC", crv: "P-256", hash: "sha256" },
  ES384: { kty: "EC", crv: "P-384", hash: "sha384" },
  ES512: { kty: "EC", crv: "P-521", hash: "sha512" },
  EdDSA: { kty: "OKP", crv: "Ed25519", hash: null },
  Ed25519: { kty: "OKP", crv: "Ed25519", hash: null },
};

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

/** Whether an algorithm is in the table. */
export function isKnownAlgorithm(name: string): boolean {
  return Object.hasOwn(ROWS, name);
}

/** A key of an issuer's set. */
export interface IssuerKey {
  readonly kid: string | undefined;
  /** Whether the key may be used with this algorithm. */
  fits(algorithm: string): boolean;
  /** Whether the signature over these bytes is the key's. Ask `fits` first; an algorithm that does not fit never verifies. */
  verifies(algorithm: string, signed: Uint8Array, signature: Uint8Array): boolean;
}

/** The key of a JWK; undefined for one that is symmetric, damaged, weak, not for signatures, or of a type without a row. */
export function importIssuerKey(value: Json): IssuerKey | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const jwk = value as { readonly [name: string]: Json };
  if (jwk.use !== undefined && jwk.use !== "sig") return undefined;
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify"))) return undefined;
  const key = importKey(jwk);
  if (key === undefined) return undefined;
  const fits = (algorithm: string): boolean => {
    const row = Object.hasOwn(ROWS, algorithm) ? ROWS[algorithm]! : undefined;
    return (
      row !== undefined &&
      jwk.kty === row.kty &&
      (row.crv === undefined || jwk.crv === row.crv) &&
      (jwk.alg === undefined || jwk.alg === algorithm)
    );
  };
  return {
    kid: typeof jwk.kid === "string" ? jwk.kid : undefined,
    fits,
    verifies: (algorithm, signed, signature) => fits(algorithm) && check(ROWS[algorithm]!, key, signed, signature),
  };
}

function importKey({ kty, n, e, crv, x, y }: { readonly [name: string]: Json }): KeyObject | undefined {
  try {
    const parts = kty === "RSA" ? { kty, n, e } : kty === "EC" ? { kty, crv, x, y } : kty === "OKP" ? { kty, crv, x } : undefined;
    if (parts === undefined) return undefined;
    const key = createPublicKey({ key: parts as JsonWebKey, format: "jwk" });
    if (kty !== "RSA") return key;
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
    return modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS && publicExponent >= 3n && publicExponent % 2n === 1n
      ? key
      : undefined;
  } catch {
    // What the platform cannot import verifies nothing; its words may quote the key and help nobody.
    return undefined;
  }
}

function check(row: Row, key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  if (row.kty === "EC") return verify(row.hash, signed, { key, dsaEncoding: "ieee-p1363" }, signature);
  if (row.isPss === true)
    return verify(
      row.hash,
      signed,
      { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
      signature,
    );
  return verify(row.hash, signed, key, signature);
}
