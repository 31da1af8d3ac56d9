// SPDX-License-Identifier: Apache-2.0
/**
 * Certificates, written: the profiles of an installation's authorities and of what they issue.
 *
 * Writing has two halves, so that a key may live elsewhere: `prepare…` gives the bytes to sign, `assemble` puts the
 * signature in. One encoder makes precertificate and certificate, so that the two differ by poison and SCT list alone.
 */
import { compareBytes } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { sha256, signMessage, type Algorithm, type PrivateKey, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import {
  authorityKeyId,
  basicConstraints,
  encodeExtension,
  extendedKeyUsage,
  keyUsage,
  PURPOSE,
  subjectAltName,
  subjectKeyId,
  type Extension,
} from "./extensions.ts";
import { identityExtensions, type IdentityName } from "./identity.ts";
import { formatName } from "./name.ts";
import { POISON, sctListExtension, type Sct } from "./sct.ts";
import { signatureAlgorithmOf } from "./signature.ts";

/** Something complete but for its signature. */
export interface Unsigned {
  readonly algorithm: Algorithm;
  /** The message to sign with `algorithm`. */
  readonly toBeSigned: Uint8Array;
  /** The finished DER around a signature (DER for ECDSA). The signature is not checked. */
  assemble(signature: Uint8Array): Uint8Array;
}

/** Signs with a key at hand. Throws KEY_INVALID when the key does not fit the algorithm. */
export function signUnsigned(unsigned: Unsigned, key: PrivateKey): Uint8Array {
  return unsigned.assemble(signMessage(unsigned.algorithm, key, unsigned.toBeSigned));
}

/** What a certificate says, beside who signed how. Names are DER, times milliseconds (written in whole seconds). */
export interface CertificateFields {
  /** Big-endian, positive; see {@link randomSerial}. */
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: PublicKey;
  readonly extensions: readonly Extension[];
}

/** A name without attributes: the subject of certificates that name their subject as an alternative name. */
export const EMPTY_NAME: Uint8Array = der.sequence();

/** 159 random bits (RFC 5280 section 4.1.2.2: positive, at most 20 octets), never zero. */
export function randomSerial(random: (length: number) => Uint8Array): Uint8Array {
  for (;;) {
    const serial = Uint8Array.from(random(20));
    serial[0]! &= 0x7f;
    if (serial.some((octet) => octet !== 0)) return serial;
  }
}

/** Identifier of a key: the leftmost 160 bits of the SHA-256 of its bits (RFC 7093, section 2, method 1). */
export function keyIdOf(key: PublicKey): Uint8Array {
  return sha256(key.raw).subarray(0, 20);
}

/** A certificate to be signed by its issuer with this algorithm. */
export function prepareCertificate(fields: CertificateFields, algorithm: Algorithm): Unsigned {
  const identifier = signatureAlgorithmOf(algorithm).der;
  const toBeSigned = der.sequence(
    der.context(0, der.integer(2)),
    der.integer(fields.serial),
    identifier,
    fields.issuer,
    der.sequence(der.time(fields.notBeforeMs), der.time(fields.notAfterMs)),
    fields.subject,
    fields.publicKey.spki,
    der.context(3, der.sequence(...fields.extensions.map(encodeExtension))),
  );
  return { algorithm, toBeSigned, assemble: (signature) => der.sequence(toBeSigned, identifier, der.bits(signature)) };
}

/** The precertificate of a certificate: the same and the poison, last. Signed by the issuer's own key. */
export function preparePrecertificate(fields: CertificateFields, algorithm: Algorithm): Unsigned {
  return prepareCertificate({ ...fields, extensions: [...fields.extensions, POISON] }, algorithm);
}

/** The certificate with the logs' promises, last. Clients want exactly one. */
export function prepareLoggedCertificate(fields: CertificateFields, algorithm: Algorithm, scts: readonly Sct[]): Unsigned {
  return prepareCertificate({ ...fields, extensions: [...fields.extensions, sctListExtension(scts)] }, algorithm);
}

/** What every profile needs. */
interface Common {
  readonly serial: Uint8Array;
  readonly publicKey: PublicKey;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A self-signed authority, of any purpose. `subject` should have O and CN: sigstore-python's trust model wants both. */
export function rootFields({ subject, ...common }: Common & { readonly subject: Uint8Array }): CertificateFields {
  const extensions = [keyUsage("keyCertSign", "crlSign"), basicConstraints(true), subjectKeyId(keyIdOf(common.publicKey))];
  return { ...common, issuer: subject, subject, extensions };
}

/**
 * An authority under another: issues end certificates only (path length 0) and for one purpose. Throws CERT_INVALID when
 * it would outlive its issuer.
 */
export function authorityFields({
  issuer,
  subject,
  purpose,
  ...common
}: Common & {
  readonly issuer: Certificate;
  readonly subject: Uint8Array;
  readonly purpose: "codeSigning" | "timeStamping";
}): CertificateFields {
  const extensions = [
    keyUsage("keyCertSign", "crlSign"),
    extendedKeyUsage([PURPOSE[purpose]], false),
    basicConstraints(true, 0),
    subjectKeyId(keyIdOf(common.publicKey)),
    authorityKeyId(keyIdFor(issuer)),
  ];
  return inside(issuer, { ...common, issuer: issuer.subject, subject, extensions });
}

/** The certificate of a timestamp authority's signing key: timeStamping alone and critical (RFC 3161 section 2.3). */
export function timestampLeafFields({
  issuer,
  subject,
  ...common
}: Common & {
  readonly issuer: Certificate;
  readonly subject: Uint8Array;
}): CertificateFields {
  if (compareBytes(subject, EMPTY_NAME) === 0) throw new TypeError("a timestamp authority needs a name");
  const extensions = [
    keyUsage("digitalSignature"),
    extendedKeyUsage([PURPOSE.timeStamping], true),
    subjectKeyId(keyIdOf(common.publicKey)),
    authorityKeyId(keyIdFor(issuer)),
  ];
  return inside(issuer, { ...common, issuer: issuer.subject, subject, extensions });
}

/**
 * A signer's certificate without promises: empty subject, one critical alternative name, the identity's claims. Its
 * promises are added by {@link prepareLoggedCertificate}. Throws CERT_INVALID when it would outlive its issuer,
 * IDENTITY_INVALID for an email or URI that is not ASCII.
 */
export function signerFields({
  issuer,
  san,
  identityIssuer,
  claims,
  ...common
}: Common & {
  readonly issuer: Certificate;
  readonly san: IdentityName;
  /** Issuer of the identity token. */
  readonly identityIssuer: string;
  readonly claims: ReadonlyMap<string, string>;
}): CertificateFields {
  const extensions = [
    keyUsage("digitalSignature"),
    extendedKeyUsage([PURPOSE.codeSigning], false),
    subjectKeyId(keyIdOf(common.publicKey)),
    authorityKeyId(keyIdFor(issuer)),
    subjectAltName(san, true),
    ...identityExtensions(identityIssuer, claims),
  ];
  return inside(issuer, { ...common, issuer: issuer.subject, subject: EMPTY_NAME, extensions });
}

function keyIdFor(issuer: Certificate): Uint8Array {
  return issuer.subjectKeyId ?? keyIdOf(issuer.publicKey);
}

function inside(issuer: Certificate, fields: CertificateFields): CertificateFields {
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  if (seconds(fields.notBeforeMs) < seconds(issuer.notBeforeMs) || seconds(fields.notAfterMs) > seconds(issuer.notAfterMs)) {
    throw new LacreError("CERT_INVALID", "certificate would be valid when its issuer is not", {
      found: formatName(issuer.subject),
    });
  }
  return fields;
}
