// SPDX-License-Identifier: Apache-2.0
/**
 * What a client asks the clock for, in its two forms.
 *
 * DER (RFC 3161, section 2.4.1), media type application/timestamp-query:
 *
 *     TimeStampReq ::= SEQUENCE { version INTEGER { v1(1) }, messageImprint SEQUENCE { hashAlgorithm AlgorithmIdentifier,
 *       hashedMessage OCTET STRING }, reqPolicy OBJECT IDENTIFIER OPTIONAL, nonce INTEGER OPTIONAL,
 *       certReq BOOLEAN DEFAULT FALSE, extensions [0] IMPLICIT Extensions OPTIONAL }
 *
 * JSON, media type application/json, at most 1024 bytes:
 *
 *     { "artifactHash": "<base64>", "hashAlgorithm": "sha256", "certificates": true, "nonce": 12345678901234567890,
 *       "tsaPolicyOID": "1.3.6.1.4.1.57264.2" }
 *
 * A nonce is an integer of any size; it is kept as the content octets of its INTEGER, never as a double. Members of the
 * JSON form that are not known are ignored, as the original does; the object is flat.
 */
import { fromBase64, text } from "@lacre/core/bytes";
import { der, JsonObject, parseJson } from "@lacre/core/codec";
import { DIGEST_LENGTH, type HashName } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { ServiceError } from "../errors.ts";

export interface TimestampRequest {
  readonly hash: HashName;
  readonly digest: Uint8Array;
  /** Content octets of the INTEGER. */
  readonly nonce: Uint8Array | undefined;
  /** Whether the reply should carry the clock's certificate. */
  readonly certificates: boolean;
  /** The policy asked for, dotted. */
  readonly policy: string | undefined;
}

/** Largest body of each form, in bytes. */
export const JSON_LIMIT = 1024;
export const DER_LIMIT: number = 1024 * 1024;
/** Largest nonce in bytes. Clients send 8 to 20. */
const NONCE_LIMIT = 512;
const MOST_ARCS = 128;

export const HASH_OIDS: Readonly<Record<HashName, string>> = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
};
const HASHES: Readonly<Record<string, HashName>> = Object.fromEntries(
  Object.entries(HASH_OIDS).map(([name, oid]) => [oid, name as HashName]),
);
const WEAK_OIDS: readonly string[] = ["1.3.14.3.2.26", "1.2.840.113549.2.5", "1.2.840.113549.2.2", "1.2.840.113549.2.4"];

const UNREADABLE = "Error generating timestamp response";
const WEAK = "Weak hash algorithm in timestamp request";
const WRONG_LENGTH = "Message digest has incorrect length for specified algorithm";
export const TOO_LARGE = "timestamp request is too large";
const ARCS = "OID should be comprised of at most 128 components";
const EXTENSIONS = "unaccepted extension: requested extensions are not supported by the TSA";

function refuse(message: string, detail?: string, cause?: unknown): ServiceError {
  return new ServiceError("BAD_REQUEST", message, {
    ...(detail === undefined ? {} : { detail }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Whatever the library refuses is a request that cannot be read; the log keeps why. */
function reading<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof LacreError) throw refuse(UNREADABLE, cause.message, cause);
    throw cause;
  }
}

/** The request in a DER TimeStampReq. Throws ServiceError BAD_REQUEST in the words of timestamp-authority. */
export function decodeTimestampQuery(body: Uint8Array): TimestampRequest {
  if (body.length > DER_LIMIT) throw refuse(TOO_LARGE);
  return reading(() => {
    const fields = der.openDer(body);
    if (der.readSmall(fields.next(der.TAG.integer)) !== 1) throw refuse(UNREADABLE, "version is not 1");
    const imprint = fields.enter();
    const algorithm = imprint.enter();
    const oid = der.readOid(algorithm.next(der.TAG.oid));
    if (!algorithm.done) algorithm.next(der.TAG.null);
    algorithm.end();
    const digest = der.readOctets(imprint.next(der.TAG.octetString));
    imprint.end();
    const policy = fields.optional(der.TAG.oid);
    const nonce = fields.optional(der.TAG.integer);
    const wanted = fields.optional(der.TAG.boolean);
    const certificates = wanted !== undefined && der.readBoolean(wanted);
    const extensions = fields.optional(der.contextTag(0));
    fields.end();
    if (extensions !== undefined && extensions.content.length > 0) throw refuse(EXTENSIONS);
    return checked({
      oid,
      digest,
      nonce: nonce === undefined ? undefined : der.readIntegerBytes(nonce),
      certificates,
      policy: policy === undefined ? undefined : der.readOid(policy),
    });
  });
}

/** The request in its JSON form. Throws ServiceError BAD_REQUEST in the words of timestamp-authority. */
export function parseTimestampQuery(body: Uint8Array): TimestampRequest {
  if (body.length > JSON_LIMIT) throw refuse(TOO_LARGE);
  return reading(() => {
    const written = text(body);
    const o = new JsonObject(parseJson(written, { maxBytes: JSON_LIMIT, maxDepth: 1 }), "timestamp request");
    const name = o.string("hashAlgorithm").toLowerCase();
    if (name === "sha1" || name === "md5") throw refuse(WEAK);
    const policy = o.optionalString("tsaPolicyOID");
    return checked({
      oid: Object.hasOwn(HASH_OIDS, name) ? HASH_OIDS[name as HashName] : "",
      digest: fromBase64(o.string("artifactHash")),
      nonce: o.has("nonce") ? exactInteger(written, "nonce") : undefined,
      certificates: o.optionalBoolean("certificates") ?? false,
      policy: policy === undefined ? undefined : dotted(policy),
    });
  });
}

function checked(o: Omit<TimestampRequest, "hash"> & { readonly oid: string }): TimestampRequest {
  if (WEAK_OIDS.includes(o.oid)) throw refuse(WEAK);
  const hash = Object.hasOwn(HASHES, o.oid) ? HASHES[o.oid] : undefined;
  if (hash === undefined) throw refuse(UNREADABLE, "hash algorithm is unknown");
  if (o.digest.length !== DIGEST_LENGTH[hash]) throw refuse(WRONG_LENGTH);
  if (o.nonce !== undefined && o.nonce.length > NONCE_LIMIT) throw refuse(TOO_LARGE, "nonce");
  return { hash, digest: o.digest, nonce: o.nonce, certificates: o.certificates, policy: o.policy };
}

function dotted(policy: string): string {
  if (policy.split(".", MOST_ARCS + 1).length > MOST_ARCS) throw refuse(ARCS);
  if (!/^[0-2](?:\.(?:0|[1-9][0-9]*))+$/.test(policy)) throw refuse(UNREADABLE, "policy is not an OID");
  return policy;
}

/** The digits of a top-level number as written: JSON.parse would round them to a double. */
function exactInteger(written: string, member: string): Uint8Array {
  let digits = "";
  const reviver = (key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (key === member && typeof value === "number") digits = context?.source ?? "";
    return value;
  };
  // The text is flat (depth 1 was enforced), so there is one member of this name at most.
  JSON.parse(written, reviver as (this: unknown, key: string, value: unknown) => unknown);
  if (!/^-?(?:0|[1-9][0-9]*)$/.test(digits)) throw refuse(UNREADABLE, "nonce is not an integer");
  return integerOctets(BigInt(digits));
}

/** Content octets of a DER INTEGER: two's complement, minimal, any sign. */
function integerOctets(value: bigint): Uint8Array {
  const octets: number[] = [];
  let left = value;
  do {
    octets.unshift(Number(left & 0xffn));
    left >>= 8n;
  } while (!((left === 0n && octets[0]! < 0x80) || (left === -1n && octets[0]! >= 0x80)));
  return Uint8Array.from(octets);
}
