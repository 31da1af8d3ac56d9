// SPDX-License-Identifier: Apache-2.0
/**
 * RFC 3161 timestamps, proven (block E) and prepared.
 *
 * A token says "these bytes existed at genTime". It counts when, in this order: the imprint is the hash of the bytes (E3),
 * the signed attributes bind the statement and name the signer's certificate (E4), that certificate is one of the trusted
 * authority's, or is embedded and leads to its anchor (E5), its key signed the attributes (E6), it is a timestamp
 * signer's and its path is valid at genTime (E7), and the authority's own window contains genTime (E8). The policy is
 * asked of the certificate that signed, never of one that merely lies in the token.
 */
import { equalBytes, toHex } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { checkSignature, hash, type Algorithm } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate, type Certificate } from "./certificate.ts";
import { checkChain } from "./chain.ts";
import { attribute, CMS, prepareSignedData, type SignedData } from "./cms.ts";
import { EXTENSION, PURPOSE } from "./extensions.ts";
import type { Unsigned } from "./issue.ts";
import { formatName } from "./name.ts";
import { sha1 } from "./sha1.ts";
import { algorithmFor, encodeHashAlgorithm, readHashAlgorithm } from "./signature.ts";
import { encodeTimestampResponse, encodeTstInfo, TST_INFO, type MessageImprint, type TimestampResponse } from "./tsp.ts";

/** A timestamp authority of a trusted root: one chain, one window. */
export interface TimestampAuthority {
  /** As trusted roots list it: signer's certificate (optional), intermediates, anchor. The last one is the anchor. */
  readonly chain: readonly Certificate[];
  /** Window in which this authority is trusted, both ends included. */
  readonly startMs: number;
  readonly endMs: number | undefined;
}

/** What a token proved. */
export interface ProvenTime<A extends TimestampAuthority = TimestampAuthority> {
  readonly timeMs: number;
  /** The authority that vouches for it. */
  readonly authority: A;
  /** Signer's certificate first, anchor last. */
  readonly path: readonly Certificate[];
}

const SIGNING_CERTIFICATE_V1 = "1.2.840.113549.1.9.16.2.12";
const SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";

// `rule` is the number in the verifier's catalogue: one code stands for all of block E.
function invalid(rule: string, message: string, detail: { expected?: string; found?: string; cause?: unknown } = {}): LacreError {
  return new LacreError("TIMESTAMP_INVALID", message, { ...detail, rule });
}

/**
 * Proves that `signedBytes` (for a bundle: the raw signature) existed at the token's time, by the word of one of the
 * authorities. Throws TIMESTAMP_MISMATCH when the token is for other bytes, ALGORITHM_UNKNOWN when this platform cannot
 * check the signature, TIMESTAMP_INVALID for everything else.
 */
export function checkTimestamp<A extends TimestampAuthority>({
  response,
  signedBytes,
  authorities,
}: {
  readonly response: TimestampResponse;
  readonly signedBytes: Uint8Array;
  readonly authorities: readonly A[];
}): ProvenTime<A> {
  const { signedData, info } = response;
  const digest = hash(info.imprint.hash, signedBytes);
  if (!equalBytes(digest, info.imprint.digest)) {
    throw new LacreError("TIMESTAMP_MISMATCH", "timestamp is for other bytes than this signature", {
      expected: `a timestamp over ${info.imprint.hash}:${toHex(digest)}`,
      found: `one over ${info.imprint.hash}:${toHex(info.imprint.digest)}`,
    });
  }
  const named = checkAttributes(signedData);
  let failure: LacreError | undefined;
  for (const authority of authorities) {
    try {
      return { timeMs: info.timeMs, authority, path: checkAgainst(authority, signedData, named, info.timeMs) };
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      // Of several refusals the one of the authority that knows the signer says most.
      if (failure === undefined || failure.message === UNKNOWN_SIGNER) failure = error;
    }
  }
  throw failure ?? invalid("E5", "no timestamp authority is trusted");
}

const UNKNOWN_SIGNER = "signer's certificate is not of a trusted timestamp authority";

function checkAgainst(
  authority: TimestampAuthority,
  signedData: SignedData,
  named: readonly NamedCertificate[],
  timeMs: number,
): readonly Certificate[] {
  const anchor = authority.chain[authority.chain.length - 1];
  if (anchor === undefined) throw invalid("E5", "timestamp authority has no anchor");
  const listed = authority.chain.slice(0, -1);
  const embedded = signedData.certificates.flatMap(decodeOffered);
  // A root that lists the signer's certificate means that one: another under the same anchor does not stand in for it.
  const pinned = listed.filter((certificate) => !certificate.isCa);
  const signer = (pinned.length > 0 ? pinned : embedded).find((certificate) => isNamed(certificate, signedData, named));
  if (signer === undefined) {
    throw invalid("E5", UNKNOWN_SIGNER, {
      expected: `one of ${formatName(anchor.subject)}`,
      found: describeSigner(signedData),
    });
  }
  checkSigner(signer);
  checkTokenSignature(signedData, signer);
  let path: readonly Certificate[];
  try {
    path = checkChain({
      leaf: signer,
      intermediates: [...listed, ...embedded],
      anchors: [anchor],
      timeMs,
      purpose: "timeStamping",
    });
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw invalid("E7", "signer's certificate does not lead to the trusted authority at the token's time", {
      found: cause.message,
      cause,
    });
  }
  if (!(timeMs >= authority.startMs) || (authority.endMs !== undefined && !(timeMs <= authority.endMs))) {
    const show = (ms: number): string => (Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms));
    throw invalid("E8", "token's time is outside the authority's window", {
      expected: `${show(authority.startMs)} to ${authority.endMs === undefined ? "now" : show(authority.endMs)}`,
      found: show(timeMs),
    });
  }
  return path;
}

/**
 * Proves that a token agrees with itself: the attributes bind the statement, and where the token carries the certificate
 * that they name, that one's key signed them. Who that is, and whether anybody trusts him, is not asked. Throws
 * TIMESTAMP_INVALID, ALGORITHM_UNKNOWN.
 */
export function checkEmbeddedSigner({ signedData }: TimestampResponse): void {
  const named = checkAttributes(signedData);
  if (signedData.certificates.length === 0) return;
  const signer = signedData.certificates.flatMap(decodeOffered).find((certificate) => isNamed(certificate, signedData, named));
  if (signer === undefined) throw invalid("E5", "token carries certificates, but not the one it names");
  checkTokenSignature(signedData, signer);
}

// E6
function checkTokenSignature(signedData: SignedData, signer: Certificate): void {
  try {
    const key = signer.publicKey;
    checkSignature(
      algorithmFor(signedData.signatureAlgorithm, key),
      key,
      { message: signedData.signedBytes },
      signedData.signature,
    );
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
    throw invalid("E6", "token was not signed by the certificate it names", { found: cause.message, cause });
  }
}

// A stranger may embed anything; what cannot be read cannot help, and is needed by nobody if the token is good.
function decodeOffered(bytes: Uint8Array): readonly Certificate[] {
  try {
    return [decodeCertificate(bytes)];
  } catch (error) {
    if (error instanceof LacreError) return [];
    throw error;
  }
}

/** A certificate as a signed attribute names it: by its digest, and where given by issuer and serial. */
interface NamedCertificate {
  readonly digestOf: (certificate: Uint8Array) => Uint8Array;
  readonly digest: Uint8Array;
  readonly issuer: Uint8Array | undefined;
  readonly serial: Uint8Array | undefined;
}

// E4. Returns every naming of the signer's certificate; all must mean the same one.
function checkAttributes(signedData: SignedData): readonly NamedCertificate[] {
  const { signedAttributes, content, digest } = signedData;
  const contentType = signedAttributes.get(CMS.contentType);
  if (contentType === undefined || !equalBytes(contentType.whole, der.oid(signedData.contentType)))
    throw invalid("E4", "signed attributes do not state the content's type");
  const messageDigest = signedAttributes.get(CMS.messageDigest);
  if (messageDigest === undefined || !equalBytes(messageDigest.whole, der.octets(hash(digest, content)))) {
    throw invalid("E4", "signed attributes do not state the content's digest");
  }
  const named = [SIGNING_CERTIFICATE_V2, SIGNING_CERTIFICATE_V1].flatMap((type) => {
    const value = signedAttributes.get(type);
    return value === undefined ? [] : [readSigningCertificate(value.whole, type === SIGNING_CERTIFICATE_V2)];
  });
  if (named.length === 0) throw invalid("E4", "signed attributes do not name the signer's certificate");
  return named;
}

// SigningCertificateV2 = SEQUENCE { SEQUENCE OF ESSCertIDv2, policies? } (RFC 5035); the first names the signer.
// ESSCertIDv2 = SEQUENCE { hashAlgorithm DEFAULT sha256, OCTET STRING hash, SEQUENCE { GeneralNames, serial }? }
// Version 1 (RFC 2634) is the same without hashAlgorithm: SHA-1 always.
function readSigningCertificate(whole: Uint8Array, version2: boolean): NamedCertificate {
  try {
    const outer = der.openDer(whole);
    const ids = outer.enter();
    outer.optional(der.TAG.sequence);
    outer.end();
    const id = ids.enter();
    while (!ids.done) ids.next(der.TAG.sequence);
    const algorithm = version2 ? id.optional(der.TAG.sequence) : undefined;
    const digest = der.readOctets(id.next(der.TAG.octetString));
    const issuerSerial = id.done ? undefined : id.enter();
    id.end();
    const name = algorithm === undefined ? "sha256" : readHashAlgorithm(algorithm.whole);
    const digestOf = version2 ? (certificate: Uint8Array) => hash(name, certificate) : sha1;
    if (issuerSerial === undefined) return { digestOf, digest, issuer: undefined, serial: undefined };
    const names = issuerSerial.enter();
    const issuer = der.decodeDer(names.next(der.contextTag(4)).content, der.TAG.sequence).whole;
    names.end();
    const serial = der.readIntegerBytes(issuerSerial.next(der.TAG.integer));
    issuerSerial.end();
    return { digestOf, digest, issuer, serial };
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw invalid("E4", "the attribute that names the signer's certificate is malformed", { found: cause.message, cause });
  }
}

// E5: SignerInfo and attributes must all mean this certificate.
function isNamed(certificate: Certificate, { signer }: SignedData, named: readonly NamedCertificate[]): boolean {
  if (signer.kind === "issuerSerial") {
    if (!equalBytes(signer.serial, certificate.serial) || !equalBytes(signer.issuer, certificate.issuer)) return false;
  } else if (certificate.subjectKeyId === undefined || !equalBytes(signer.keyId, certificate.subjectKeyId)) return false;
  return named.every(
    ({ digestOf, digest, issuer, serial }) =>
      (serial === undefined || equalBytes(serial, certificate.serial)) &&
      (issuer === undefined || equalBytes(issuer, certificate.issuer)) &&
      equalBytes(digestOf(certificate.der), digest),
  );
}

// Whom the token names as its signer, for a refusal. Nothing of it is proved, its form included.
function describeSigner({ signer }: SignedData): string {
  if (signer.kind === "keyId") return `a signer with key id ${toHex(signer.keyId).slice(0, 80)}`;
  try {
    return `a signer that ${formatName(signer.issuer)} certified`;
  } catch {
    return "a signer whose issuer has a malformed name";
  }
}

// E7, what the path rules do not ask.
function checkSigner(signer: Certificate): void {
  const refuse = (message: string): never => {
    throw invalid("E7", message, { found: formatName(signer.subject) });
  };
  if (signer.isCa) refuse("timestamp signer is an authority");
  if (!signer.keyUsage("digitalSignature")) refuse("timestamp signer is not for digital signatures");
  const purposes = signer.extensions.get(EXTENSION.extendedKeyUsage);
  if (
    purposes?.critical !== true ||
    signer.extendedKeyUsage.length !== 1 ||
    signer.extendedKeyUsage[0] !== PURPOSE.timeStamping
  ) {
    refuse("timestamp signer's purpose is not timeStamping alone and critical");
  }
}

/** What a timestamp authority is about to state. */
export interface TimestampFields {
  readonly policy: string;
  readonly imprint: MessageImprint;
  /** Big-endian, positive, fresh. */
  readonly serial: Uint8Array;
  /** Written in whole seconds, rounded down. */
  readonly timeMs: number;
  readonly accuracySeconds?: number;
  /** As the request had it: content octets, or a number. */
  readonly nonce?: Uint8Array | bigint;
  readonly signer: Certificate;
  readonly algorithm: Algorithm;
  /** Certificates to embed when the request asks for them; empty otherwise. */
  readonly certificates: readonly Certificate[];
}

/**
 * A granted TimeStampResp, to be signed: signed attributes contentType, messageDigest, signingTime and
 * signingCertificateV2 with issuer and serial (sigstore-java insists on the hash, others on the serial).
 */
export function prepareTimestamp(fields: TimestampFields): Unsigned {
  const { signer, algorithm, certificates, timeMs, ...statement } = fields;
  const content = encodeTstInfo({ ...statement, timeMs, tsaName: signer.subject });
  const certificateId = der.sequence(
    ...(algorithm.hash === "sha256" ? [] : [encodeHashAlgorithm(algorithm.hash)]),
    der.octets(hash(algorithm.hash, signer.der)),
    der.sequence(der.sequence(der.context(4, signer.issuer)), der.integer(signer.serial)),
  );
  const attributes = [
    attribute(CMS.contentType, der.oid(TST_INFO)),
    attribute(CMS.messageDigest, der.octets(hash(algorithm.hash, content))),
    attribute(CMS.signingTime, der.time(timeMs)),
    attribute(SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(certificateId))),
  ];
  const token = prepareSignedData({ contentType: TST_INFO, content, signer, algorithm, certificates, attributes });
  return { ...token, assemble: (signature) => encodeTimestampResponse(token.assemble(signature)) };
}
