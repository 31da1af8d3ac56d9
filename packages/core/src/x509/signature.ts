// SPDX-License-Identifier: Apache-2.0
/**
 * Signature algorithms as certificates, requests and CMS name them (RFC 5758, 4055, 8410, 9881).
 *
 * An AlgorithmIdentifier is recognised by its exact DER: algorithm and parameters are one choice, and a spelling that is
 * not in the table is an unknown algorithm. The key then says which row of the registry checks the signature.
 */
import { equalBytes } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import {
  ALGORITHMS,
  fits,
  type Algorithm,
  type HashName,
  type KeyType,
  type PublicKey,
  type SignatureFamily,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";

/** What an AlgorithmIdentifier says: how the signature was made, and with which hash. */
export interface SignatureAlgorithm {
  /** The usual name, as OpenSSL writes it. */
  readonly name: string;
  readonly family: SignatureFamily;
  readonly hash: HashName;
  /** The only key type that fits, where the algorithm fixes one. */
  readonly keyType: KeyType | undefined;
  /** The whole AlgorithmIdentifier. */
  readonly der: Uint8Array;
}

/** The hash algorithms by their object identifiers (RFC 5754). */
export const HASH_OID: Readonly<Record<HashName, string>> = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
};

function row(
  name: string,
  family: SignatureFamily,
  hash: HashName,
  oid: string,
  parameters: () => Uint8Array = nothing,
  keyType?: KeyType,
): SignatureAlgorithm {
  // Encoded when it is compared: a verification meets two or three of them, and a process may live for one verification.
  let whole: Uint8Array | undefined;
  return {
    name,
    family,
    hash,
    keyType,
    get der() {
      return (whole ??= der.sequence(der.oid(oid), parameters()));
    },
  };
}

// RFC 4055, section 3.1: hash and MGF1 hash the same, salt as long as the hash, trailer field by default.
function pssParameters(hash: HashName, saltLength: number, hashParameters: Uint8Array): Uint8Array {
  const algorithm = der.sequence(der.oid(HASH_OID[hash]), hashParameters);
  const mask = der.sequence(der.oid("1.2.840.113549.1.1.8"), algorithm);
  return der.sequence(der.context(0, algorithm), der.context(1, mask), der.context(2, der.integer(saltLength)));
}

const nothing = (): Uint8Array => new Uint8Array();

// The first row of a family and hash is the one we write; the others are spellings that RFC 4055 tells readers to accept.
const TABLE: readonly SignatureAlgorithm[] = [
  row("ecdsa-with-SHA256", "ecdsa", "sha256", "1.2.840.10045.4.3.2"),
  row("ecdsa-with-SHA384", "ecdsa", "sha384", "1.2.840.10045.4.3.3"),
  row("ecdsa-with-SHA512", "ecdsa", "sha512", "1.2.840.10045.4.3.4"),
  row("ED25519", "ed25519", "sha512", "1.3.101.112", nothing, "Ed25519"),
  ...[der.nil, nothing].flatMap((parameters) => [
    row("sha256WithRSAEncryption", "rsa-pkcs1", "sha256", "1.2.840.113549.1.1.11", parameters, "RSA"),
    row("sha384WithRSAEncryption", "rsa-pkcs1", "sha384", "1.2.840.113549.1.1.12", parameters, "RSA"),
    row("sha512WithRSAEncryption", "rsa-pkcs1", "sha512", "1.2.840.113549.1.1.13", parameters, "RSA"),
  ]),
  ...[der.nil, nothing].flatMap((parameters) => [
    row("rsassaPss-SHA256", "rsa-pss", "sha256", "1.2.840.113549.1.1.10", () => pssParameters("sha256", 32, parameters()), "RSA"),
    row("rsassaPss-SHA384", "rsa-pss", "sha384", "1.2.840.113549.1.1.10", () => pssParameters("sha384", 48, parameters()), "RSA"),
    row("rsassaPss-SHA512", "rsa-pss", "sha512", "1.2.840.113549.1.1.10", () => pssParameters("sha512", 64, parameters()), "RSA"),
  ]),
  row("ML-DSA-44", "ml-dsa", "sha512", "2.16.840.1.101.3.4.3.17", nothing, "ML-DSA-44"),
  row("ML-DSA-65", "ml-dsa", "sha512", "2.16.840.1.101.3.4.3.18", nothing, "ML-DSA-65"),
  row("ML-DSA-87", "ml-dsa", "sha512", "2.16.840.1.101.3.4.3.19", nothing, "ML-DSA-87"),
];

/** The algorithm that a whole AlgorithmIdentifier names. Throws ALGORITHM_UNKNOWN. */
export function readSignatureAlgorithm(whole: Uint8Array): SignatureAlgorithm {
  for (const candidate of TABLE) if (equalBytes(candidate.der, whole)) return candidate;
  throw new LacreError("ALGORITHM_UNKNOWN", "signature algorithm is not one of ECDSA, RSA, Ed25519 or ML-DSA with SHA-2", {
    found: describe(whole),
  });
}

function describe(whole: Uint8Array): string {
  const fields = der.openDer(whole);
  return der.readOid(fields.next(der.TAG.oid));
}

/**
 * The registry's row for this algorithm and this key; a pair that the registry does not list but X.509 allows (a P-384
 * authority signing with SHA-256, RSA with SHA-512) gets a row of its own, numbered 0. Throws KEY_INVALID when the key
 * cannot have made such a signature.
 */
export function algorithmFor(signature: SignatureAlgorithm, key: PublicKey): Algorithm {
  for (const candidate of ALGORITHMS) {
    if (candidate.family === signature.family && candidate.hash === signature.hash && fits(candidate, key)) return candidate;
  }
  const curve = key.type === "P-256" || key.type === "P-384" || key.type === "P-521";
  if (signature.family === "ecdsa" ? !curve : signature.keyType !== key.type) {
    throw new LacreError("KEY_INVALID", "key cannot have made a signature of this algorithm", {
      expected: signature.name,
      found: key.type,
    });
  }
  return {
    keyDetails: `${signature.name} by ${key.type}`,
    number: 0,
    flag: undefined,
    family: signature.family,
    keyType: key.type,
    rsaBits: key.rsaBits,
    hash: signature.hash,
    prehashed: signature.family !== "ed25519" && signature.family !== "ml-dsa",
  };
}

/** How a certificate names the algorithm of a registry row. Throws ALGORITHM_UNKNOWN for Ed25519ph, which X.509 lacks. */
export function signatureAlgorithmOf(algorithm: Algorithm): SignatureAlgorithm {
  for (const candidate of TABLE) {
    if (candidate.family !== algorithm.family || candidate.hash !== algorithm.hash) continue;
    if (candidate.keyType === undefined || candidate.keyType === algorithm.keyType) return candidate;
  }
  throw new LacreError("ALGORITHM_UNKNOWN", "certificates cannot be signed so", { found: algorithm.keyDetails });
}

/** AlgorithmIdentifier of a hash; `parameters` NULL where a peer expects it (RFC 3161 imprints), absent otherwise. */
export function encodeHashAlgorithm(hash: HashName, parameters: "absent" | "null" = "absent"): Uint8Array {
  return der.sequence(der.oid(HASH_OID[hash]), parameters === "null" ? der.nil() : nothing());
}

let hashes: readonly { readonly hash: HashName; readonly bare: Uint8Array; readonly withNull: Uint8Array }[] | undefined;

/** The hash that a whole AlgorithmIdentifier names, parameters absent or NULL. Throws ALGORITHM_UNKNOWN. */
export function readHashAlgorithm(whole: Uint8Array): HashName {
  // Encoded when the first one is read, as the rows above.
  hashes ??= (["sha256", "sha384", "sha512"] as const).map((hash) => ({
    hash,
    bare: encodeHashAlgorithm(hash),
    withNull: encodeHashAlgorithm(hash, "null"),
  }));
  for (const { hash, bare, withNull } of hashes) if (equalBytes(bare, whole) || equalBytes(withNull, whole)) return hash;
  throw new LacreError("ALGORITHM_UNKNOWN", "hash algorithm is not SHA-256, SHA-384 or SHA-512", { found: describe(whole) });
}
