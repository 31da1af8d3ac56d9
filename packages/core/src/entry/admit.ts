// SPDX-License-Identifier: Apache-2.0
/**
 * What a ledger takes in (Rekor v2, `CreateEntryRequest`): the parts that requests of all kinds share.
 *
 * Requests come in protobuf JSON: two spellings of each name, base64 standard or URL-safe, enums by name or number.
 * Unknown members are refused at every level, for what is not understood must not be logged as if it had been checked.
 */
import type { JsonObject } from "../codec/index.ts";
import {
  ALGORITHMS,
  findAlgorithm,
  fits,
  importPublicKey,
  type Algorithm,
  type PublicKey,
  type Signed,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate } from "../x509/index.ts";
import { toBase64 } from "../bytes/index.ts";
import type { EntryFacts, EntryVerifier } from "./facts.ts";

/** A signature that must verify before the entry may be logged: the arguments of `checkSignature`. */
export interface SignatureCheck {
  readonly algorithm: Algorithm;
  readonly key: PublicKey;
  readonly signed: Signed;
  readonly signature: Uint8Array;
}

/** A request that is well-formed and agrees with itself. */
export interface Admitted {
  readonly kind: string;
  readonly version: string;
  /** The leaf: the entry's canonical JSON, at most 65,535 octets. */
  readonly body: Uint8Array;
  /** What is left to check. All must pass before the body is logged. */
  readonly checks: readonly SignatureCheck[];
  /** A payload that the entry holds the hash of; a ledger of the v1 dialect keeps it beside the entry. */
  readonly attestation?: Uint8Array;
  /** What the entry says, as `describeEntry` reads it from the body, where it was all read on the way in. */
  readonly facts?: EntryFacts;
}

/** How requests of one type are taken in. */
export interface RequestForm {
  /** The member that holds such a request, in both spellings. */
  readonly member: string;
  readonly alias: string;
  readonly admit: (request: JsonObject) => Admitted;
}

/** Tiles hold entries behind 16 bits of length. */
const MAX_BODY = 65_535;

/** A refusal of a request. */
export function refused(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("ENTRY_REQUEST_INVALID", message, detail);
}

/** The body, if it fits into a log. Throws TOO_LARGE. */
export function boundedBody(body: Uint8Array): Uint8Array {
  if (body.length > MAX_BODY)
    throw new LacreError("TOO_LARGE", "entry is too large for the log", {
      expected: `at most ${MAX_BODY} bytes`,
      found: `${body.length}`,
    });
  return body;
}

/** Octets that may not be empty, in any base64. */
export function requiredBytes(object: JsonObject, name: string, ...aliases: readonly string[]): Uint8Array {
  const bytes = object.looseBytes(name, ...aliases);
  if (bytes.length === 0) throw refused(`${object.where}.${name} is empty`);
  return bytes;
}

/** Algorithms that can be checked with a digest alone, which requests of every kind may name. */
export const DIGEST_ALGORITHMS: readonly string[] = [
  "PKIX_ECDSA_P256_SHA_256",
  "PKIX_ECDSA_P384_SHA_384",
  "PKIX_ECDSA_P521_SHA_512",
  "PKIX_RSA_PKCS1V15_2048_SHA256",
  "PKIX_RSA_PKCS1V15_3072_SHA256",
  "PKIX_RSA_PKCS1V15_4096_SHA256",
];

/** A verifier of a request. */
export interface RequestVerifier {
  readonly algorithm: Algorithm;
  readonly key: PublicKey;
  /** Its canonical JSON, as entries hold it. */
  readonly canonical: string;
  readonly verifier: EntryVerifier;
}

/**
 * Reads a verifier. Throws what the key's or the certificate's decoder throws, ALGORITHM_UNKNOWN for `keyDetails` that
 * are not permitted, KEY_INVALID for a key of another type than they say. Certificates are read, not judged: they may have
 * expired, and be anybody's.
 */
export function readVerifier(verifier: JsonObject, permitted: readonly string[]): RequestVerifier {
  verifier.refuseUnknown(["keyDetails", "key_details", "publicKey", "public_key", "x509Certificate", "x509_certificate"]);
  const algorithm = readAlgorithm(verifier, permitted);
  const certificate = verifier.optionalObject("x509Certificate", "x509_certificate");
  const publicKey = verifier.optionalObject("publicKey", "public_key");
  const holder = certificate ?? publicKey;
  if (holder === undefined || (certificate !== undefined && publicKey !== undefined)) {
    throw refused(`${verifier.where} must have exactly one of publicKey and x509Certificate`);
  }
  holder.refuseUnknown(["rawBytes", "raw_bytes"]);
  const bytes = requiredBytes(holder, "rawBytes", "raw_bytes");
  const decoded = certificate === undefined ? undefined : decodeCertificate(bytes);
  const key = decoded?.publicKey ?? importPublicKey(bytes);
  if (!fits(algorithm, key)) {
    throw new LacreError("KEY_INVALID", "key is not of the type that keyDetails says", {
      expected: algorithm.keyDetails,
      found: `${key.type} ${key.rsaBits || ""}`.trim(),
    });
  }
  // Members in the order of RFC 8785; names of algorithms and base64 need no escapes.
  const canonical = `{"keyDetails":"${algorithm.keyDetails}","${certificate === undefined ? "publicKey" : "x509Certificate"}":{"rawBytes":"${toBase64(bytes)}"}}`;
  const read: EntryVerifier =
    decoded === undefined ? { kind: "publicKey", der: bytes } : { kind: "certificate", der: bytes, certificate: decoded };
  return { algorithm, key, canonical, verifier: read };
}

function readAlgorithm(verifier: JsonObject, permitted: readonly string[]): Algorithm {
  const value = verifier.get("keyDetails", "key_details");
  const algorithm =
    typeof value === "number"
      ? ALGORITHMS.find((row) => row.number === value)
      : findAlgorithm(verifier.string("keyDetails", "key_details"));
  if (algorithm === undefined || !permitted.includes(algorithm.keyDetails)) {
    throw new LacreError("ALGORITHM_UNKNOWN", "keyDetails is not permitted here", {
      expected: permitted.join(", "),
      found: `${value as string | number}`.slice(0, 60),
    });
  }
  return algorithm;
}
