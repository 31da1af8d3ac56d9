// SPDX-License-Identifier: Apache-2.0
/**
 * What a ledger takes in under the v1 dialect (Rekor's `ProposedEntry`): the parts that requests of all kinds share.
 *
 *     { "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": { … } }
 *
 * The request has the members of the entry that will be logged, and more that only the server reads. Members that are not
 * known are left aside, as upstream does: none of them gets into the entry. Digests are hexadecimal, everything binary is
 * base64, keys and certificates are PEM in base64. The leaf is the canonical JSON (RFC 8785) of kind, version and the
 * canonical spec; PEM is written anew in it, digests stay as they were sent.
 */
import { fromHex, text, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { canonicalJson, formatPem, type Json, type JsonObject, parsePemAll } from "../codec/index.ts";
import {
  ALGORITHMS,
  type Algorithm,
  DIGEST_LENGTH,
  encodeSpki,
  fits,
  type HashName,
  importPublicKey,
  type PublicKey,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate } from "../x509/index.ts";
import { type Admitted, boundedBody, refused, type SignatureCheck } from "./admit.ts";
import { verifies } from "./envelope.ts";
import type { EntryFacts, EntryVerifier } from "./facts.ts";

/** How requests of one kind and version are taken in. */
export interface ProposedForm {
  readonly kind: string;
  readonly version: string;
  /** Takes in the `spec` of a request. */
  readonly admit: (spec: JsonObject) => Proposed;
}

/** A request that is well-formed and agrees with itself. */
export interface Proposed {
  /** The canonical `spec`. */
  readonly spec: Json;
  readonly checks: readonly SignatureCheck[];
  /** A payload that is not in the entry and that the ledger keeps beside it. */
  readonly attestation?: Uint8Array;
  /** What the entry says, where it was all read on the way in. */
  readonly facts?: Omit<EntryFacts, "kind" | "version">;
}

/** The leaf of a request. Throws TOO_LARGE for one that no bundle can hold. */
export function admitted({ kind, version }: ProposedForm, { spec, checks, attestation, facts }: Proposed): Admitted {
  const body = boundedBody(utf8(canonicalJson({ apiVersion: version, kind, spec })));
  return {
    kind,
    version,
    body,
    checks,
    ...(attestation === undefined ? {} : { attestation }),
    ...(facts === undefined ? {} : { facts: { kind, version, ...facts } }),
  };
}

/** Who signed, as requests say it. */
export interface PemVerifier {
  readonly key: PublicKey;
  /** The PEM as entries hold it, in base64. */
  readonly canonical: string;
  /** The same as text. */
  readonly pem: string;
  readonly verifier: EntryVerifier;
}

/** Certificates of one verifier, as upstream allows. */
const MAX_CHAIN = 10;

/**
 * Reads a verifier: one public key, or certificates of which the first counts. Throws ENTRY_REQUEST_INVALID and what the
 * decoders of PEM, keys and certificates throw. Certificates are read, not judged.
 */
export function readRequestPem(bytes: Uint8Array): PemVerifier {
  const blocks = parsePemAll(text(bytes));
  const [first, ...more] = blocks;
  if (first !== undefined && more.length === 0 && first.label !== "CERTIFICATE") {
    const key = keyOf(first.label, first.der);
    return verifierOf(key, formatPem("PUBLIC KEY", key.spki), { kind: "publicKey", der: key.spki });
  }
  if (first === undefined || blocks.length > MAX_CHAIN || blocks.some(({ label }) => label !== "CERTIFICATE")) {
    throw refused("verifier is neither one public key nor certificates", {
      found: blocks
        .map(({ label }) => label)
        .join(", ")
        .slice(0, 80),
    });
  }
  const [leaf] = blocks.map(({ der }) => decodeCertificate(der));
  return verifierOf(leaf!.publicKey, blocks.map(({ der }) => formatPem("CERTIFICATE", der)).join(""), {
    kind: "certificate",
    der: leaf!.der,
    certificate: leaf!,
  });
}

function verifierOf(key: PublicKey, pem: string, verifier: EntryVerifier): PemVerifier {
  return { key, pem, canonical: toBase64(utf8(pem)), verifier };
}

/** The PEM of a verifier as entries hold it, written anew. Throws as `readRequestPem`. */
export function canonicalPem(bytes: Uint8Array): string {
  return readRequestPem(bytes).pem;
}

function keyOf(label: string, der: Uint8Array): PublicKey {
  if (label === "PUBLIC KEY") return importPublicKey(der);
  if (label === "RSA PUBLIC KEY") return importPublicKey(encodeSpki("RSA", der));
  throw refused("verifier is neither a public key nor a certificate", { found: label.slice(0, 80) });
}

const HASHES: readonly string[] = Object.keys(DIGEST_LENGTH);

/** A digest as the v1 dialect writes it. */
export interface HexDigest {
  readonly algorithm: HashName;
  readonly value: Uint8Array;
  /** As entries hold it: the digits as they were sent. */
  readonly canonical: { readonly algorithm: HashName; readonly value: string };
}

/** Reads `{"algorithm": "sha256", "value": "<hex>"}`. Throws ENTRY_REQUEST_INVALID, BAD_HEX. */
export function readRequestDigest(digest: JsonObject): HexDigest {
  const algorithm = digest.string("algorithm");
  if (!HASHES.includes(algorithm))
    throw refused(`${digest.where}.algorithm is not known`, { expected: HASHES.join(", "), found: algorithm.slice(0, 40) });
  const name = algorithm as HashName;
  const digits = digest.string("value");
  const value = fromHex(digits);
  if (value.length !== DIGEST_LENGTH[name])
    throw refused(`${digest.where}.value has the wrong length`, {
      expected: `${DIGEST_LENGTH[name]} octets`,
      found: `${value.length}`,
    });
  return { algorithm: name, value, canonical: { algorithm: name, value: digits } };
}

/** A digest that the ledger computed, as entries hold it. */
export function hexDigest(value: Uint8Array): Json {
  return { algorithm: "sha256", value: toHex(value) };
}

/**
 * The algorithm of a signature over a ready digest: fixed by the key and the digest's name. P-384 and P-521 with SHA-256
 * are taken too, for older clients sign so. Throws ALGORITHM_UNKNOWN.
 */
export function digestAlgorithm(key: PublicKey, hash: HashName): Algorithm {
  const found = ALGORITHMS.find((row) => row.prehashed && row.family !== "rsa-pss" && row.hash === hash && fits(row, key));
  if (found !== undefined) return found;
  const detail = {
    expected: "P-256 or RSA with sha256, P-384 with sha384, P-521 with sha512, Ed25519ph with sha512",
    found: `${key.type} with ${hash}`,
  };
  throw new LacreError("ALGORITHM_UNKNOWN", "signatures of this key over this digest cannot be logged", detail);
}

/**
 * The check of a signature over a message at hand. Upstream hashes with SHA-256 whatever the key is; clients that follow
 * the registry sign with the curve's own hash, and are right too: where a key has several algorithms the one that fits the
 * signature is taken. Throws ALGORITHM_UNKNOWN.
 */
export function messageCheck(key: PublicKey, message: Uint8Array, signature: Uint8Array): SignatureCheck {
  const checks = messageAlgorithms(key).map((algorithm): SignatureCheck => ({ algorithm, key, signed: { message }, signature }));
  const [first, ...others] = checks;
  if (first === undefined)
    throw new LacreError("ALGORITHM_UNKNOWN", "signatures of this key cannot be logged", {
      found: `${key.type} ${key.rsaBits || ""}`.trim(),
    });
  return others.length === 0 ? first : (checks.find(verifies) ?? first);
}

/** Whether the key signed the message, by any of its algorithms. */
export function signedMessage(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  return messageAlgorithms(key).some((algorithm) => verifies({ algorithm, key, signed: { message }, signature }));
}

const MESSAGE_FAMILIES: readonly string[] = ["ecdsa", "rsa-pkcs1", "ed25519"];

function messageAlgorithms(key: PublicKey): readonly Algorithm[] {
  const found = ALGORITHMS.filter((row) => MESSAGE_FAMILIES.includes(row.family) && fits(row, key));
  return found.toSorted((a, b) => Number(b.hash === "sha256") - Number(a.hash === "sha256"));
}
