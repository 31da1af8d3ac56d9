// SPDX-License-Identifier: Apache-2.0
/**
 * Certification requests (PKCS#10, RFC 2986): a public key, signed by its private key.
 *
 *     CertificationRequest = SEQUENCE { info, signatureAlgorithm, signature BIT STRING }
 *     info                 = SEQUENCE { version 0, subject, SubjectPublicKeyInfo, [0] SET OF Attribute }
 *
 * Subject and attributes are read for shape and then left alone: what a certificate says about its subject comes from
 * the identity token, never from the request.
 */
import { der } from "../codec/index.ts";
import { checkSignature, importPublicKey, type Algorithm, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Unsigned } from "./issue.ts";
import { checkName } from "./name.ts";
import { algorithmFor, readSignatureAlgorithm, signatureAlgorithmOf, type SignatureAlgorithm } from "./signature.ts";

/** A decoded request. Byte fields share memory with the input. */
export interface CertificationRequest {
  /** CertificationRequestInfo: what was signed. */
  readonly info: Uint8Array;
  /** Name, DER. */
  readonly subject: Uint8Array;
  readonly publicKey: PublicKey;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

const ATTRIBUTES = der.contextTag(0);

/** Reads a request, with nothing behind it. Throws REQUEST_INVALID, KEY_INVALID, ALGORITHM_UNKNOWN, BAD_DER. */
export function decodeRequest(bytes: Uint8Array): CertificationRequest {
  const { TAG } = der;
  const outer = der.openDer(bytes);
  const info = outer.next(TAG.sequence);
  const algorithm = outer.next(TAG.sequence).whole;
  const signature = der.readBits(outer.next(TAG.bitString));
  outer.end();
  const fields = new der.DerReader(info.content);
  const version = der.readSmall(fields.next(TAG.integer));
  if (version !== 0)
    throw new LacreError("REQUEST_INVALID", "request is of a version that is not read", {
      expected: "0 (v1)",
      found: `${version}`,
    });
  const subject = fields.next(TAG.sequence);
  checkName(new der.DerReader(subject.content));
  const spki = fields.next(TAG.sequence).whole;
  // RFC 2986 asks for the field even when it is empty; some writers leave it out.
  if (fields.nextTag === ATTRIBUTES) checkAttributes(fields.enter(ATTRIBUTES));
  fields.end();
  return {
    info: info.whole,
    subject: subject.whole,
    publicKey: importPublicKey(spki),
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    signature,
  };
}

function checkAttributes(attributes: der.DerReader): void {
  while (!attributes.done) {
    const attribute = attributes.enter();
    attribute.next(der.TAG.oid);
    attribute.next(der.TAG.set);
    attribute.end();
  }
}

/**
 * Proves that the request was signed with the key it carries; returns the algorithm, for the caller to ask whether it
 * permits it. Throws REQUEST_INVALID, KEY_INVALID, ALGORITHM_UNKNOWN.
 */
export function checkRequest(request: CertificationRequest): Algorithm {
  const algorithm = algorithmFor(request.signatureAlgorithm, request.publicKey);
  try {
    checkSignature(algorithm, request.publicKey, { message: request.info }, request.signature);
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code !== "SIGNATURE_INVALID") throw cause;
    throw new LacreError("REQUEST_INVALID", "request was not signed with the key it carries", {
      found: request.signatureAlgorithm.name,
      cause,
    });
  }
  return algorithm;
}

/** A request for this key, to be signed with it. `subject` is a name in DER; most authorities ignore it. */
export function prepareRequest({
  publicKey,
  algorithm,
  subject,
}: {
  readonly publicKey: PublicKey;
  readonly algorithm: Algorithm;
  readonly subject: Uint8Array;
}): Unsigned {
  const identifier = signatureAlgorithmOf(algorithm).der;
  const toBeSigned = der.sequence(der.integer(0), subject, publicKey.spki, der.context(0));
  return { algorithm, toBeSigned, assemble: (signature) => der.sequence(toBeSigned, identifier, der.bits(signature)) };
}
