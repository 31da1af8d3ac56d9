// SPDX-License-Identifier: Apache-2.0
/**
 * Signed certificate timestamps (RFC 6962 sections 3.2 and 3.3): a log's promise to publish a certificate.
 *
 *     SCT      = u8 version 0 ‖ log id[32] ‖ u64 time in ms ‖ u16-vector extensions ‖ DigitallySigned
 *     DigitallySigned = u8 hash ‖ u8 signature ‖ u16-vector signature
 *     signed   = u8 0 ‖ u8 0 ‖ u64 time ‖ u16 1 ‖ SHA-256(issuer's SPKI)[32] ‖ u24-vector TBS ‖ u16-vector extensions
 *
 * The TBS is that of the precertificate without the poison, which is that of the certificate without the SCT list: what
 * is left when an extension is cut out, lengths adjusted, everything else byte for byte.
 */
import { ByteReader, ByteWriter, equalBytes } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { checkSignature, sha256, type Algorithm, type HashName, type PublicKey, type SignatureFamily } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import { EXTENSION, type Extension } from "./extensions.ts";
import { algorithmFor } from "./signature.ts";

/** A decoded promise. Byte fields share memory with the input. */
export interface Sct {
  /** SHA-256 of the log's SubjectPublicKeyInfo. */
  readonly logId: Uint8Array;
  /** Milliseconds since 1970, by the log's clock. */
  readonly timestampMs: number;
  readonly extensions: Uint8Array;
  /** Numbers of RFC 5246 section 7.4.1.4.1, as written. */
  readonly hashCode: number;
  readonly signatureCode: number;
  readonly signature: Uint8Array;
}

/** Marks a precertificate: critical, so that nobody who does not know it accepts one. */
export const POISON: Extension = { oid: EXTENSION.poison, critical: true, value: der.nil() };

const HASHES: readonly (readonly [code: number, hash: HashName])[] = [
  [4, "sha256"],
  [5, "sha384"],
  [6, "sha512"],
];
const FAMILIES: readonly (readonly [code: number, family: SignatureFamily])[] = [
  [1, "rsa-pkcs1"],
  [3, "ecdsa"],
];

function invalid(message: string, detail: { expected?: string; found?: string; cause?: unknown } = {}): LacreError {
  return new LacreError("SCT_INVALID", message, detail);
}

/** One serialized SCT, with nothing behind it. Throws SCT_INVALID, TRUNCATED. */
export function decodeSct(bytes: Uint8Array): Sct {
  const reader = new ByteReader(bytes);
  const version = reader.uint(1);
  if (version !== 0) throw invalid("SCT is of a version that is not read", { expected: "0 (v1)", found: `${version}` });
  const logId = reader.take(32);
  const timestamp = reader.uint64();
  // A double counts milliseconds exactly for 285,000 years; a later promise is no promise.
  if (timestamp > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid("SCT is of an impossible time", { found: `${timestamp}` });
  const extensions = reader.vector(2);
  const hashCode = reader.uint(1);
  const signatureCode = reader.uint(1);
  const signature = reader.vector(2);
  if (reader.left > 0) throw invalid("SCT has bytes behind its signature", { found: `${reader.left}` });
  return { logId, timestampMs: Number(timestamp), extensions, hashCode, signatureCode, signature };
}

/** The serialized form of an SCT. */
export function encodeSct(sct: Sct): Uint8Array {
  if (sct.logId.length !== 32) throw new TypeError("a log id is of 32 octets");
  return new ByteWriter()
    .uint(1, 0)
    .put(sct.logId)
    .uint64(BigInt(sct.timestampMs))
    .vector(2, sct.extensions)
    .uint(1, sct.hashCode)
    .uint(1, sct.signatureCode)
    .vector(2, sct.signature)
    .finish();
}

/**
 * The SCTs in the value of a certificate's SCT list extension (content of extnValue): an OCTET STRING around
 * `u16 total ‖ (u16 length ‖ SCT)*`. The list must parse fully and not be empty. Throws SCT_INVALID.
 */
export function decodeSctList(value: Uint8Array): readonly Sct[] {
  try {
    const outer = new ByteReader(der.readOctets(der.decodeDer(value)));
    const list = new ByteReader(outer.vector(2));
    if (outer.left > 0) throw invalid("SCT list has bytes behind it", { found: `${outer.left}` });
    const scts: Sct[] = [];
    while (list.left > 0) scts.push(decodeSct(list.vector(2)));
    if (scts.length === 0) throw invalid("SCT list is empty");
    return scts;
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "SCT_INVALID") throw cause;
    throw invalid("SCT list is malformed", { found: cause.message, cause });
  }
}

/** The SCT list extension of these SCTs, not critical. */
export function sctListExtension(scts: readonly Sct[]): Extension {
  const list = new ByteWriter();
  for (const sct of scts) list.vector(2, encodeSct(sct));
  return { oid: EXTENSION.sctList, critical: false, value: der.octets(new ByteWriter().vector(2, list.finish()).finish()) };
}

/** The SCTs embedded in a certificate; none when it has no list. Throws SCT_INVALID. */
export function embeddedScts(certificate: Certificate): readonly Sct[] {
  const extension = certificate.extensions.get(EXTENSION.sctList);
  return extension === undefined ? [] : decodeSctList(extension.value);
}

/**
 * The TBSCertificate that a log signs for a certificate or its precertificate: without SCT list and without poison, the
 * rest byte for byte. The input is a strict DER TBSCertificate, so writing its lengths again gives the only encoding.
 */
export function loggedTbs(tbs: Uint8Array): Uint8Array {
  const fields = der.openDer(tbs);
  const start = fields.offset;
  while (fields.nextTag !== EXTENSIONS_TAG) fields.skip();
  const before = tbs.subarray(start, fields.offset);
  const wrapped = fields.enter(EXTENSIONS_TAG);
  const list = wrapped.enter();
  const kept: Uint8Array[] = [];
  let from = list.offset;
  while (!list.done) {
    const at = list.offset;
    const identifier = list.enter();
    const start = identifier.offset;
    identifier.skip(der.TAG.oid);
    // Most extensions are told apart by the length of their name.
    const length = identifier.offset - start;
    if (length !== SCT_LIST_OID.length && length !== POISON_OID.length) continue;
    const oid = tbs.subarray(start, identifier.offset);
    if (!equalBytes(oid, SCT_LIST_OID) && !equalBytes(oid, POISON_OID)) continue;
    kept.push(tbs.subarray(from, at));
    from = list.offset;
  }
  kept.push(tbs.subarray(from, list.offset));
  wrapped.end();
  fields.end();
  const extensions = der.sequence(...kept);
  return extensions.length === EMPTY ? der.sequence(before) : der.sequence(before, der.context(3, extensions));
}

// Length of a SEQUENCE with nothing in it.
const EMPTY = 2;
const EXTENSIONS_TAG = der.contextTag(3);
const SCT_LIST_OID = der.oid(EXTENSION.sctList);
const POISON_OID = der.oid(EXTENSION.poison);

/** What a promise is about: the certificate as logged, and which key issued it. */
export interface LoggedCertificate {
  /** From {@link loggedTbs}. */
  readonly tbs: Uint8Array;
  /** From {@link issuerKeyHash}. */
  readonly issuerKeyHash: Uint8Array;
}

/** SHA-256 of the issuing authority's SubjectPublicKeyInfo: it ties a promise to the issuer of the verified path. */
export function issuerKeyHash(issuer: Certificate): Uint8Array {
  return sha256(issuer.spki);
}

/** The bytes a log signs for a precertificate entry at this time. */
export function sctSignedData(
  { tbs, issuerKeyHash: keyHash }: LoggedCertificate,
  timestampMs: number,
  extensions: Uint8Array = new Uint8Array(),
): Uint8Array {
  if (keyHash.length !== 32) throw new TypeError("an issuer key hash is of 32 octets");
  return new ByteWriter()
    .uint(1, 0)
    .uint(1, 0)
    .uint64(BigInt(timestampMs))
    .uint(2, 1)
    .put(keyHash)
    .vector(3, tbs)
    .vector(2, extensions)
    .finish();
}

/** The two algorithm numbers of DigitallySigned for a log key's algorithm. Only RSA and ECDSA have some; else misuse. */
export function sctAlgorithmCodes(algorithm: Algorithm): { readonly hashCode: number; readonly signatureCode: number } {
  const hash = HASHES.find(([, name]) => name === algorithm.hash);
  const family = FAMILIES.find(([, name]) => name === algorithm.family);
  if (hash === undefined || family === undefined) throw new TypeError(`no log signs with ${algorithm.keyDetails}`);
  return { hashCode: hash[0], signatureCode: family[0] };
}

/**
 * Proves that a log promised to publish this certificate (rules H5): the SCT names the log, and the log's key
 * signed it over the certificate, the issuer's key, the time and the SCT's extensions. Whether the log's window and the
 * certificate's validity contain `sct.timestampMs` is the caller's check. Throws SCT_UNKNOWN_LOG when the SCT names another log,
 * SCT_INVALID, ALGORITHM_UNKNOWN.
 */
export function checkSct({
  sct,
  logged,
  log,
}: {
  readonly sct: Sct;
  readonly logged: LoggedCertificate;
  readonly log: { readonly logId: Uint8Array; readonly key: PublicKey };
}): void {
  if (!equalBytes(sct.logId, log.logId)) throw new LacreError("SCT_UNKNOWN_LOG", "SCT is of another log");
  const hash = HASHES.find(([code]) => code === sct.hashCode)?.[1];
  const family = FAMILIES.find(([code]) => code === sct.signatureCode)?.[1];
  if (hash === undefined || family === undefined) {
    throw invalid("SCT is signed with an algorithm that logs do not use", {
      expected: "SHA-2 with ECDSA or RSA",
      found: `${sct.hashCode}.${sct.signatureCode}`,
    });
  }
  const name = `${hash} ${family}`;
  const stated = { name, family, hash, keyType: family === "ecdsa" ? undefined : ("RSA" as const), der: new Uint8Array() };
  try {
    checkSignature(
      algorithmFor(stated, log.key),
      log.key,
      { message: sctSignedData(logged, sct.timestampMs, sct.extensions) },
      sct.signature,
    );
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
    throw invalid("the log did not sign this SCT for this certificate", { cause });
  }
}
