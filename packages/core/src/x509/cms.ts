// SPDX-License-Identifier: Apache-2.0
/**
 * CMS SignedData (RFC 5652) as RFC 3161 tokens and Git signatures use it: one signer, signed attributes, and the content
 * embedded (tokens) or elsewhere (Git).
 *
 *     ContentInfo = SEQUENCE { signedData, [0] SignedData }
 *     SignedData  = SEQUENCE { version, SET digestAlgorithms, SEQUENCE { type, [0] OCTET STRING },
 *                              [0] certificates?, [1] crls?, SET { SignerInfo } }
 *     SignerInfo  = SEQUENCE { version, signer, digestAlgorithm, [0] signedAttributes, signatureAlgorithm,
 *                              OCTET STRING signature, [1] unsignedAttributes? }
 *
 * DER only. What is signed is the attributes' encoding with the tag of a SET in place of [0]; since that encoding is what
 * was received, it must be sorted as DER says. Embedded certificates are offers by a stranger: kept as bytes, in order.
 */
import { compareBytes, concat } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import type { Algorithm, HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import type { Unsigned } from "./issue.ts";
import {
  encodeHashAlgorithm,
  readHashAlgorithm,
  readSignatureAlgorithm,
  signatureAlgorithmOf,
  type SignatureAlgorithm,
} from "./signature.ts";

/** Object identifiers of types and attributes. */
export const CMS = {
  signedData: "1.2.840.113549.1.7.2",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
} as const;

/** How a SignerInfo names the signer's certificate. */
export type SignerId =
  | {
      readonly kind: "issuerSerial";
      /** Name, DER. */ readonly issuer: Uint8Array;
      /** Content octets. */ readonly serial: Uint8Array;
    }
  | { readonly kind: "keyId"; readonly keyId: Uint8Array };

/** A decoded SignedData. Byte fields share memory with the input. */
export interface SignedData {
  readonly contentType: string;
  readonly content: Uint8Array;
  /** Embedded certificates as they stand: untrusted, undecoded, at most {@link MAX_EMBEDDED}. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: SignerId;
  readonly digest: HashName;
  /** What was signed: the signed attributes, tagged as a SET. */
  readonly signedBytes: Uint8Array;
  /** The one value of each signed attribute, by type. */
  readonly signedAttributes: ReadonlyMap<string, der.Der>;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

/** A SignedData whose content is elsewhere. */
export interface DetachedSignedData extends Omit<SignedData, "content"> {
  /** Attributes that nobody signed, by type: offers by whoever held the signature last. */
  readonly unsignedAttributes: ReadonlyMap<string, der.Der>;
}

/** Embedded certificates that are accepted: as many as a path may have. */
export const MAX_EMBEDDED = 10;

const { TAG } = der;
const RSA_ENCRYPTION = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.nil());

function invalid(message: string, found?: string): LacreError {
  return new LacreError("TIMESTAMP_INVALID", message, found === undefined ? {} : { found });
}

/**
 * Reads a ContentInfo that is one value (`whole`). Proves nothing: see `timestamp.ts`. Throws TIMESTAMP_INVALID, BAD_DER,
 * ALGORITHM_UNKNOWN, TOO_LARGE.
 */
export function decodeSignedData(whole: Uint8Array): SignedData {
  const { content, unsigned: _, ...rest } = readSignedData(whole);
  if (content === undefined) throw invalid("SignedData has no content");
  return { ...rest, content };
}

/** Reads a ContentInfo without content; proves nothing. Throws as {@link decodeSignedData}. */
export function decodeDetached(whole: Uint8Array): DetachedSignedData {
  const { content, unsigned, ...rest } = readSignedData(whole);
  if (content !== undefined) throw invalid("SignedData brings a content of its own");
  return { ...rest, unsignedAttributes: unsigned === undefined ? new Map() : readAttributes(unsigned, false) };
}

type Read = Omit<SignedData, "content"> & { readonly content: Uint8Array | undefined; readonly unsigned: Uint8Array | undefined };

function readSignedData(whole: Uint8Array): Read {
  const info = der.openDer(whole);
  const type = der.readOid(info.next(TAG.oid));
  if (type !== CMS.signedData) throw invalid("token is not CMS SignedData", type);
  const wrapped = info.enter(der.contextTag(0));
  info.end();
  const fields = wrapped.enter();
  wrapped.end();

  const version = der.readSmall(fields.next(TAG.integer));
  if (version < 1 || version > 5) throw invalid("SignedData is of an unknown version", `${version}`);
  const digests = fields.enter(TAG.set);
  // Announced for readers that hash while they read; which hash was used the SignerInfo says.
  while (!digests.done) {
    const algorithm = digests.enter();
    algorithm.next(TAG.oid);
    if (!algorithm.done) algorithm.next();
    algorithm.end();
  }
  const encapsulated = fields.enter();
  const contentType = der.readOid(encapsulated.next(TAG.oid));
  let octets: Uint8Array | undefined;
  if (!encapsulated.done) {
    const content = encapsulated.enter(der.contextTag(0));
    octets = content.next(TAG.octetString).content;
    content.end();
  }
  encapsulated.end();
  const certificates = readCertificates(fields.optional(der.contextTag(0)));
  fields.optional(der.contextTag(1));
  const signers = fields.enter(TAG.set);
  fields.end();
  const signer = signers.enter();
  if (!signers.done) throw invalid("token has more than one signer");
  return { contentType, content: octets, certificates, ...readSigner(signer) };
}

function readCertificates(set: der.Der | undefined): readonly Uint8Array[] {
  if (set === undefined) return [];
  const choices = new der.DerReader(set.content);
  const certificates: Uint8Array[] = [];
  while (!choices.done) {
    if (certificates.length === MAX_EMBEDDED)
      throw new LacreError("TOO_LARGE", "token embeds too many certificates", { expected: `${MAX_EMBEDDED}` });
    // Other choices (attribute certificates, obsolete forms) are of no use here.
    const choice = choices.next();
    if (choice.tag === TAG.sequence) certificates.push(choice.whole);
  }
  return certificates;
}

function readSigner(fields: der.DerReader): Omit<Read, "contentType" | "content" | "certificates"> {
  const version = der.readSmall(fields.next(TAG.integer));
  const signer = readSignerId(fields);
  // RFC 5652 section 5.3: the version follows from the way the signer is named.
  if (version !== (signer.kind === "issuerSerial" ? 1 : 3)) throw invalid("SignerInfo is of the wrong version", `${version}`);
  const digest = readHashAlgorithm(fields.next(TAG.sequence).whole);
  const attributes = fields.optional(der.contextTag(0));
  if (attributes === undefined) throw invalid("token has no signed attributes");
  const signatureAlgorithm = readSignerAlgorithm(fields.next(TAG.sequence).whole, digest);
  const signature = der.readOctets(fields.next(TAG.octetString));
  // Of timestamps nobody reads these.
  const unsigned = fields.optional(der.contextTag(1))?.content;
  fields.end();
  if (signatureAlgorithm.hash !== digest)
    throw invalid("digest and signature algorithms disagree", `${digest}, ${signatureAlgorithm.name}`);
  const signedBytes = Uint8Array.from(attributes.whole);
  signedBytes[0] = TAG.set;
  return {
    signer,
    digest,
    signedBytes,
    signedAttributes: readAttributes(attributes.content, true),
    unsigned,
    signatureAlgorithm,
    signature,
  };
}

function readSignerId(fields: der.DerReader): SignerId {
  const keyId = fields.optional(der.contextTag(0, false));
  if (keyId !== undefined) return { kind: "keyId", keyId: keyId.content };
  const names = fields.enter();
  const issuer = names.next(TAG.sequence).whole;
  const serial = der.readIntegerBytes(names.next(TAG.integer));
  names.end();
  return { kind: "issuerSerial", issuer, serial };
}

// RFC 3370 section 3.2: CMS may name an RSA signature by the key's algorithm, the hash being the digest algorithm's.
function readSignerAlgorithm(whole: Uint8Array, digest: HashName): SignatureAlgorithm {
  if (compareBytes(whole, RSA_ENCRYPTION) === 0)
    return { name: `rsaEncryption with ${digest}`, family: "rsa-pkcs1", hash: digest, keyType: "RSA", der: whole };
  return readSignatureAlgorithm(whole);
}

function readAttributes(content: Uint8Array, isSigned: boolean): ReadonlyMap<string, der.Der> {
  const attributes = new Map<string, der.Der>();
  const list = new der.DerReader(content);
  let previous: Uint8Array = new Uint8Array();
  while (!list.done) {
    const attribute = list.next(TAG.sequence);
    if (isSigned && compareBytes(previous, attribute.whole) > 0) throw invalid("signed attributes are not in DER order");
    previous = attribute.whole;
    const fields = new der.DerReader(attribute.content);
    const type = der.readOid(fields.next(TAG.oid));
    const values = fields.enter(TAG.set);
    fields.end();
    if (attributes.has(type)) throw invalid("an attribute stands twice", type);
    attributes.set(type, values.next());
    if (!values.done) throw invalid("an attribute has several values", type);
  }
  return attributes;
}

/** What to sign and embed. */
export interface SignedDataFields {
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly signer: Certificate;
  readonly algorithm: Algorithm;
  /** Certificates to embed; empty: the field is left out. */
  readonly certificates: readonly Certificate[];
  /** Complete signed attributes: see {@link attribute}. contentType and messageDigest must be among them. */
  readonly attributes: readonly Uint8Array[];
}

/** One attribute with one value (complete DER). */
export function attribute(type: string, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(type), der.setOf(value));
}

/** A ContentInfo with one signer, named by issuer and serial, to be signed. `assemble` gives the whole ContentInfo. */
export function prepareSignedData({
  contentType,
  content,
  signer,
  algorithm,
  certificates,
  attributes,
}: SignedDataFields): Unsigned {
  const toBeSigned = der.setOf(...attributes);
  const digest = encodeHashAlgorithm(algorithm.hash);
  const assemble = (signature: Uint8Array): Uint8Array => {
    const tagged = concat(toBeSigned);
    tagged[0] = der.contextTag(0);
    const signerInfo = der.sequence(
      der.integer(1),
      der.sequence(signer.issuer, der.integer(signer.serial)),
      digest,
      tagged,
      signatureAlgorithmOf(algorithm).der,
      der.octets(signature),
    );
    const embedded = certificates.map((certificate) => certificate.der).toSorted(compareBytes);
    const signedData = der.sequence(
      // RFC 5652 section 5.1: version 3, since the content is not of type data.
      der.integer(3),
      der.setOf(digest),
      der.sequence(der.oid(contentType), der.context(0, der.octets(content))),
      ...(embedded.length === 0 ? [] : [der.context(0, ...embedded)]),
      der.setOf(signerInfo),
    );
    return der.sequence(der.oid(CMS.signedData), der.context(0, signedData));
  };
  return { algorithm, toBeSigned, assemble };
}
