// SPDX-License-Identifier: Apache-2.0
/**
 * Messages of the time-stamp protocol (RFC 3161, RFC 5816), shape only.
 *
 *     TimeStampReq  = SEQUENCE { version 1, MessageImprint, policy?, nonce?, certReq DEFAULT FALSE, [0] extensions? }
 *     TimeStampResp = SEQUENCE { SEQUENCE { status, text?, failInfo? }, token? }
 *     TSTInfo       = SEQUENCE { version 1, policy, MessageImprint, serial, genTime, accuracy?, ordering DEFAULT FALSE,
 *                                nonce?, [0] tsa?, [1] extensions? }
 *     MessageImprint = SEQUENCE { hashAlgorithm, OCTET STRING digest }
 */
import { text } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { DIGEST_LENGTH, type HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeSignedData, type SignedData } from "./cms.ts";
import { readExtensions, readGeneralName, type Extension } from "./extensions.ts";
import { encodeHashAlgorithm, HASH_OID, readHashAlgorithm } from "./signature.ts";

const { TAG } = der;

/** Content type of a token. */
export const TST_INFO = "1.2.840.113549.1.9.16.1.4";

/** A digest and the hash that made it. */
export interface MessageImprint {
  readonly hash: HashName;
  readonly digest: Uint8Array;
}

/** What a client asks of a timestamp authority. */
export interface TimestampRequest {
  /** The hash as asked for: `hash` is undefined for one that is not in the registry (SHA-1, say). The digest's length is not checked. */
  readonly imprint: { readonly oid: string; readonly hash: HashName | undefined; readonly digest: Uint8Array };
  /** Dotted policy; undefined: any. */
  readonly policy: string | undefined;
  /** Content octets of the INTEGER, to be echoed as they are. */
  readonly nonce: Uint8Array | undefined;
  /** Whether the token shall carry the signer's certificate. */
  readonly certReq: boolean;
  readonly extensions: readonly Extension[];
}

/** Reads a TimeStampReq, with nothing behind it. Throws REQUEST_INVALID. */
export function decodeTimestampRequest(bytes: Uint8Array): TimestampRequest {
  try {
    const fields = der.openDer(bytes);
    const version = der.readSmall(fields.next(TAG.integer));
    if (version !== 1)
      throw new LacreError("REQUEST_INVALID", "timestamp request is of an unknown version", {
        expected: "1",
        found: `${version}`,
      });
    const imprint = fields.enter();
    const algorithm = imprint.enter();
    const oid = der.readOid(algorithm.next(TAG.oid));
    algorithm.optional(TAG.null);
    algorithm.end();
    const digest = der.readOctets(imprint.next(TAG.octetString));
    imprint.end();
    const policy = fields.optional(TAG.oid);
    const nonce = fields.optional(TAG.integer);
    const certReq = readDefaultFalse(fields);
    const extensions = fields.nextTag === der.contextTag(0) ? [...readExtensions(fields.enter(der.contextTag(0))).values()] : [];
    fields.end();
    return {
      imprint: { oid, hash: hashNames.find((hash) => HASH_OID[hash] === oid), digest },
      policy: policy && der.readOid(policy),
      nonce: nonce && der.readIntegerBytes(nonce),
      certReq,
      extensions,
    };
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "REQUEST_INVALID") throw cause;
    throw new LacreError("REQUEST_INVALID", "timestamp request is malformed", { found: cause.message, cause });
  }
}

const hashNames = Object.keys(HASH_OID) as readonly HashName[];

function readDefaultFalse(fields: der.DerReader): boolean {
  const flag = fields.optional(TAG.boolean);
  if (flag !== undefined && !der.readBoolean(flag)) throw new LacreError("BAD_DER", "a default value is written out");
  return flag !== undefined;
}

/** A TimeStampReq. `nonce`: content octets of an INTEGER, or a number that is not negative. */
export function encodeTimestampRequest({
  imprint,
  nonce,
  certReq = false,
  policy,
}: {
  readonly imprint: MessageImprint;
  readonly nonce?: Uint8Array | bigint;
  readonly certReq?: boolean;
  readonly policy?: string;
}): Uint8Array {
  return der.sequence(
    der.integer(1),
    encodeImprint(imprint),
    ...(policy === undefined ? [] : [der.oid(policy)]),
    ...encodeNonce(nonce),
    ...(certReq ? [der.boolean(true)] : []),
  );
}

function encodeImprint({ hash, digest }: MessageImprint): Uint8Array {
  return der.sequence(encodeHashAlgorithm(hash, "null"), der.octets(digest));
}

function encodeNonce(nonce: Uint8Array | bigint | undefined): readonly Uint8Array[] {
  if (nonce === undefined) return [];
  return [typeof nonce === "bigint" ? der.integer(nonce) : der.der(TAG.integer, nonce)];
}

/** The signed statement of a token: these bytes existed at this time. */
export interface TstInfo {
  readonly policy: string;
  readonly imprint: MessageImprint;
  /** Content octets of the serial number. */
  readonly serial: Uint8Array;
  /** genTime, milliseconds since 1970; fractions of milliseconds are kept. */
  readonly timeMs: number;
  /** How far genTime may be off, as stated; undefined: not stated. */
  readonly accuracyMs: number | undefined;
  readonly nonce: Uint8Array | undefined;
}

/** Reads a TSTInfo, with nothing behind it. Throws BAD_DER, TIMESTAMP_INVALID, ALGORITHM_UNKNOWN. */
export function decodeTstInfo(bytes: Uint8Array): TstInfo {
  const fields = der.openDer(bytes);
  const version = der.readSmall(fields.next(TAG.integer));
  if (version !== 1)
    throw new LacreError("TIMESTAMP_INVALID", "TSTInfo is of an unknown version", { expected: "1", found: `${version}` });
  const policy = der.readOid(fields.next(TAG.oid));
  const imprint = fields.enter();
  const hash = readHashAlgorithm(imprint.next(TAG.sequence).whole);
  const digest = der.readOctets(imprint.next(TAG.octetString));
  imprint.end();
  if (digest.length !== DIGEST_LENGTH[hash])
    throw new LacreError("TIMESTAMP_INVALID", "imprint has the wrong length", {
      expected: hash,
      found: `${digest.length} octets`,
    });
  const serial = der.readIntegerBytes(fields.next(TAG.integer));
  const timeMs = der.readTimeMs(fields.next(TAG.generalizedTime));
  const accuracy = fields.optional(TAG.sequence);
  readDefaultFalse(fields);
  const nonce = fields.optional(TAG.integer);
  const tsa = fields.optional(der.contextTag(0));
  if (tsa !== undefined) readGeneralName(der.decodeDer(tsa.content));
  if (fields.nextTag === der.contextTag(1)) {
    for (const { oid, critical } of readExtensions(fields.enter(der.contextTag(1))).values()) {
      if (critical)
        throw new LacreError("TIMESTAMP_INVALID", "token has a critical extension that is not processed", { found: oid });
    }
  }
  fields.end();
  return {
    policy,
    imprint: { hash, digest },
    serial,
    timeMs,
    accuracyMs: accuracy && readAccuracy(accuracy.content),
    nonce: nonce && der.readIntegerBytes(nonce),
  };
}

// Accuracy = SEQUENCE { seconds?, [0] millis 1..999?, [1] micros 1..999? }
function readAccuracy(content: Uint8Array): number {
  const fields = new der.DerReader(content);
  const seconds = fields.optional(TAG.integer);
  const millis = fields.optional(der.contextTag(0, false));
  const micros = fields.optional(der.contextTag(1, false));
  fields.end();
  const small = (value: der.Der | undefined): number =>
    value === undefined ? 0 : der.readSmall({ tag: TAG.integer, whole: value.whole, content: value.content }, 999);
  return (seconds === undefined ? 0 : der.readSmall(seconds) * 1000) + small(millis) + small(micros) / 1000;
}

/** A TSTInfo as clients of every kind read it: genTime in whole seconds, accuracy in whole seconds, no ordering. */
export function encodeTstInfo({
  policy,
  imprint,
  serial,
  timeMs,
  accuracySeconds,
  nonce,
  tsaName,
}: {
  readonly policy: string;
  readonly imprint: MessageImprint;
  /** Big-endian, positive. */
  readonly serial: Uint8Array;
  readonly timeMs: number;
  readonly accuracySeconds?: number;
  readonly nonce?: Uint8Array | bigint;
  /** Subject of the signer's certificate, DER. */
  readonly tsaName?: Uint8Array;
}): Uint8Array {
  return der.sequence(
    der.integer(1),
    der.oid(policy),
    encodeImprint(imprint),
    der.integer(serial),
    der.generalizedTime(timeMs),
    // Python's reader refuses a zero anywhere in accuracy: what is zero is left out.
    ...(accuracySeconds === undefined || accuracySeconds === 0 ? [] : [der.sequence(der.integer(accuracySeconds))]),
    ...encodeNonce(nonce),
    ...(tsaName === undefined ? [] : [der.context(0, der.context(4, tsaName))]),
  );
}

/** A granted response: status, and the token with its content decoded. */
export interface TimestampResponse {
  /** 0 granted, 1 granted with modifications. */
  readonly status: 0 | 1;
  readonly signedData: SignedData;
  readonly info: TstInfo;
}

/**
 * Reads a TimeStampResp that grants a token, with nothing behind it (rules E1, E2). Proves nothing. Throws
 * TIMESTAMP_INVALID for everything that is wrong, with the cause inside.
 */
export function decodeTimestampResponse(bytes: Uint8Array): TimestampResponse {
  try {
    const fields = der.openDer(bytes);
    const status = readStatus(fields.enter());
    const token = fields.optional(TAG.sequence);
    fields.end();
    if (token === undefined) throw new LacreError("TIMESTAMP_INVALID", "response is granted but has no token", { rule: "E1" });
    const signedData = decodeSignedData(token.whole);
    if (signedData.contentType !== TST_INFO)
      throw new LacreError("TIMESTAMP_INVALID", "token is not about a time", {
        expected: TST_INFO,
        found: signedData.contentType,
      });
    return { status, signedData, info: decodeTstInfo(signedData.content) };
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "TIMESTAMP_INVALID") throw cause;
    throw new LacreError("TIMESTAMP_INVALID", "timestamp is malformed", { found: cause.message, cause });
  }
}

function readStatus(fields: der.DerReader): 0 | 1 {
  const status = der.readSmall(fields.next(TAG.integer));
  const words = fields.optional(TAG.sequence);
  const said: string[] = [];
  if (words !== undefined) {
    const list = new der.DerReader(words.content);
    while (!list.done) said.push(text(list.next(TAG.utf8String).content));
  }
  fields.optional(TAG.bitString);
  fields.end();
  if (status !== 0 && status !== 1) {
    throw new LacreError("TIMESTAMP_INVALID", "the timestamp authority refused", {
      rule: "E1",
      expected: "status 0 or 1",
      found: `${status} ${said.join("; ")}`.trim().slice(0, 200),
    });
  }
  return status;
}

/** A TimeStampResp that grants this token (a whole ContentInfo). */
export function encodeTimestampResponse(token: Uint8Array): Uint8Array {
  return der.sequence(der.sequence(der.integer(0)), token);
}
