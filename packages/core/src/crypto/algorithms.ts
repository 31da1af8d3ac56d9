// SPDX-License-Identifier: Apache-2.0
/**
 * The algorithm registry of Sigstore (architecture-docs, algorithm-registry.md) as a table: what a `keyDetails` name of
 * the protobuf files means. A new algorithm is a row here and an answer in each platform binding.
 */
import { LacreError } from "../errors.ts";

export type HashName = "sha256" | "sha384" | "sha512";

/** Octets of a digest. */
export const DIGEST_LENGTH: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** What kind of key: the curve, or the family. */
export type KeyType = "P-256" | "P-384" | "P-521" | "RSA" | "Ed25519" | "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87";

/** How a signature is made. */
export type SignatureFamily = "ecdsa" | "rsa-pkcs1" | "rsa-pss" | "ed25519" | "ed25519ph" | "ml-dsa";

export interface Algorithm {
  /** Name in `dev.sigstore.common.v1.PublicKeyDetails`. */
  readonly keyDetails: string;
  /** Number in the same enum. */
  readonly number: number;
  /** Name in flags and configuration files; undefined where the registry has none. */
  readonly flag: string | undefined;
  readonly family: SignatureFamily;
  readonly keyType: KeyType;
  /** Modulus length in bits; 0 for other keys and where any allowed size fits. */
  readonly rsaBits: number;
  /** The hash of the message that is signed; for pure schemes, the hash used for digests beside them. */
  readonly hash: HashName;
  /** Whether a ready digest is enough to verify. False for pure Ed25519 and ML-DSA, which sign the message itself. */
  readonly prehashed: boolean;
}

function row(
  number: number,
  keyDetails: string,
  flag: string | undefined,
  family: SignatureFamily,
  keyType: KeyType,
  hash: HashName,
  rsaBits = 0,
): Algorithm {
  const prehashed = family !== "ed25519" && family !== "ml-dsa";
  return { keyDetails, number, flag, family, keyType, rsaBits, hash, prehashed };
}

export const ALGORITHMS: readonly Algorithm[] = [
  row(5, "PKIX_ECDSA_P256_SHA_256", "ecdsa-sha2-256-nistp256", "ecdsa", "P-256", "sha256"),
  row(12, "PKIX_ECDSA_P384_SHA_384", "ecdsa-sha2-384-nistp384", "ecdsa", "P-384", "sha384"),
  row(13, "PKIX_ECDSA_P521_SHA_512", "ecdsa-sha2-512-nistp521", "ecdsa", "P-521", "sha512"),
  row(9, "PKIX_RSA_PKCS1V15_2048_SHA256", "rsa-sign-pkcs1-2048-sha256", "rsa-pkcs1", "RSA", "sha256", 2048),
  row(10, "PKIX_RSA_PKCS1V15_3072_SHA256", "rsa-sign-pkcs1-3072-sha256", "rsa-pkcs1", "RSA", "sha256", 3072),
  row(11, "PKIX_RSA_PKCS1V15_4096_SHA256", "rsa-sign-pkcs1-4096-sha256", "rsa-pkcs1", "RSA", "sha256", 4096),
  row(16, "PKIX_RSA_PSS_2048_SHA256", undefined, "rsa-pss", "RSA", "sha256", 2048),
  row(17, "PKIX_RSA_PSS_3072_SHA256", undefined, "rsa-pss", "RSA", "sha256", 3072),
  row(18, "PKIX_RSA_PSS_4096_SHA256", undefined, "rsa-pss", "RSA", "sha256", 4096),
  row(7, "PKIX_ED25519", "ed25519", "ed25519", "Ed25519", "sha512"),
  row(8, "PKIX_ED25519_PH", "ed25519-ph", "ed25519ph", "Ed25519", "sha512"),
  row(19, "PKIX_ECDSA_P384_SHA_256", undefined, "ecdsa", "P-384", "sha256"),
  row(20, "PKIX_ECDSA_P521_SHA_256", undefined, "ecdsa", "P-521", "sha256"),
  row(23, "ML_DSA_44", "ml-dsa-44", "ml-dsa", "ML-DSA-44", "sha512"),
  row(21, "ML_DSA_65", "ml-dsa-65", "ml-dsa", "ML-DSA-65", "sha512"),
  row(22, "ML_DSA_87", "ml-dsa-87", "ml-dsa", "ML-DSA-87", "sha512"),
];

const BY_DETAILS = new Map(ALGORITHMS.map((algorithm) => [algorithm.keyDetails, algorithm]));

/** The row of a `keyDetails` name, or undefined for one that the registry lacks. */
export function findAlgorithm(keyDetails: string): Algorithm | undefined {
  return BY_DETAILS.get(keyDetails);
}

/** The row of a `keyDetails` name. Throws ALGORITHM_UNKNOWN. */
export function algorithmOf(keyDetails: string): Algorithm {
  const found = BY_DETAILS.get(keyDetails);
  if (found === undefined)
    throw new LacreError("ALGORITHM_UNKNOWN", "algorithm is not in the registry", { found: keyDetails.slice(0, 60) });
  return found;
}
