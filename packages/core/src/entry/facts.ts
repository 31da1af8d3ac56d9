// SPDX-License-Identifier: Apache-2.0
/**
 * What a log entry says, in terms common to all kinds: which digest or payload, which signature, made with which key.
 *
 * A kind declares itself as an `EntryForm` in a file of its own and is listed in `table.ts`; nothing else here or above
 * asks for a kind by name. Bodies are read strictly, unknown members refused: a log stores the canonical form and no more.
 */
import { fromHex, text } from "../bytes/index.ts";
import { JsonObject, parsePemAll } from "../codec/index.ts";
import { DIGEST_LENGTH, type HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { findProtoHash } from "../bundle/index.ts";
import type { Certificate } from "../x509/index.ts";

/** A digest with its algorithm. */
export interface Digest {
  readonly algorithm: HashName;
  readonly value: Uint8Array;
}

/** The certificate or the bare key of a signature, in DER. */
export interface EntryVerifier {
  readonly kind: "certificate" | "publicKey";
  /** Certificate, or SubjectPublicKeyInfo. */
  readonly der: Uint8Array;
  /** The certificate read, where that was done on the way. */
  readonly certificate?: Certificate;
}

/** One signature of an entry. */
export interface EntrySignature {
  /** Undefined for a kind that records none (intoto 0.0.1): such an entry can be read, but proves nothing of a signature. */
  readonly signature: Uint8Array | undefined;
  readonly verifier: EntryVerifier;
  /** The algorithm's registry name, where the kind records it. */
  readonly keyDetails: string | undefined;
}

/** What an entry says. At least one of `digest` and `payloadHash` is there. */
export interface EntryFacts {
  readonly kind: string;
  readonly version: string;
  /** Digest of what was signed: the artifact, or the pre-authentication encoding of an envelope. */
  readonly digest: Digest | undefined;
  /** Digest of the payload of the envelope that was signed. */
  readonly payloadHash: Digest | undefined;
  /** Digest of the text of that envelope as its client wrote it, where the kind records it. Found again, never compared. */
  readonly envelopeHash?: Digest;
  /** Type of that payload, where the kind records it. */
  readonly payloadType: string | undefined;
  readonly signatures: readonly EntrySignature[];
}

/** How entries of one kind and version are read. */
export interface EntryForm {
  readonly kind: string;
  readonly version: string;
  /** Reads the `spec` of a body. */
  readonly decode: (spec: JsonObject) => Omit<EntryFacts, "kind" | "version">;
}

/** More signatures than any client makes; the match wants exactly one. */
export const MAX_SIGNATURES = 64;

function invalid(message: string, found?: string): LacreError {
  return new LacreError("ENTRY_INVALID", message, found === undefined ? {} : { found: found.slice(0, 80) });
}

const HASHES: readonly string[] = Object.keys(DIGEST_LENGTH);

/** A digest as entries of version 1 logs write it: `{"algorithm":"sha256","value":"<hex>"}`. */
export function readHexDigest(digest: JsonObject): Digest {
  digest.refuseUnknown(["algorithm", "value"]);
  const name = digest.string("algorithm");
  if (!HASHES.includes(name)) throw invalid(`${digest.where} is of an unknown algorithm`, name);
  return sized(digest, name as HashName, fromHex(digest.string("value")));
}

/** A digest as entries of version 2 logs write it: `{"algorithm":"SHA2_256","digest":"<base64>"}`. */
export function readProtoDigest(digest: JsonObject): Digest {
  digest.refuseUnknown(["algorithm", "digest"]);
  const name = digest.string("algorithm");
  const algorithm = findProtoHash(name);
  if (algorithm === undefined) throw invalid(`${digest.where} is of an unknown algorithm`, name);
  return sized(digest, algorithm, digest.bytes("digest"));
}

function sized(digest: JsonObject, algorithm: HashName, value: Uint8Array): Digest {
  if (value.length !== DIGEST_LENGTH[algorithm]) throw invalid(`${digest.where} has the wrong length`, `${value.length} octets`);
  return { algorithm, value };
}

const MAX_CHAIN = 10;

/** A verifier as entries of version 1 logs write it: PEM, of a key or of certificates of which the first counts. */
export function readPemVerifier(pem: Uint8Array): EntryVerifier {
  const [first, ...more] = parsePemAll(text(pem));
  if (first?.label === "PUBLIC KEY" && more.length === 0) return { kind: "publicKey", der: first.der };
  if (first?.label === "CERTIFICATE" && more.length < MAX_CHAIN && more.every((block) => block.label === "CERTIFICATE")) {
    return { kind: "certificate", der: first.der };
  }
  throw invalid("verifier of an entry is neither certificates nor one public key", first?.label);
}

/** A verifier as entries of version 2 logs write it, with its `keyDetails`. */
export function readProtoVerifier(verifier: JsonObject): { readonly verifier: EntryVerifier; readonly keyDetails: string } {
  verifier.refuseUnknown(["keyDetails", "publicKey", "x509Certificate"]);
  const certificate = verifier.optionalObject("x509Certificate");
  const publicKey = verifier.optionalObject("publicKey");
  const holder = certificate ?? publicKey;
  if (holder === undefined || (certificate !== undefined && publicKey !== undefined)) {
    throw invalid(`${verifier.where} must have exactly one of publicKey and x509Certificate`);
  }
  holder.refuseUnknown(["rawBytes"]);
  return {
    verifier: { kind: certificate === undefined ? "publicKey" : "certificate", der: holder.bytes("rawBytes") },
    keyDetails: verifier.string("keyDetails"),
  };
}
