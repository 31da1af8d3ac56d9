// SPDX-License-Identifier: Apache-2.0
/**
 * X.509 certificates (RFC 5280 section 4.1), read by one strict walk over the bytes.
 *
 *     Certificate    = SEQUENCE { tbs, signatureAlgorithm, signature BIT STRING }
 *     TBSCertificate = SEQUENCE { [0] version 2, serial, signatureAlgorithm, issuer, SEQUENCE { notBefore, notAfter },
 *                                 subject, SubjectPublicKeyInfo, [3] SEQUENCE OF Extension }
 *
 * Every field is a view on the input: what was signed is compared and hashed as it stands and never encoded again. Only
 * version 3 is read; unique identifiers, which RFC 5280 forbids to write, are refused. Decoding proves nothing about
 * trust: that is `chain.ts`.
 */
import { equalBytes } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { checkSignature, importPublicKey, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import {
  EXTENSION,
  KEY_USAGE,
  readAltNames,
  readAuthorityKeyId,
  readBasicConstraints,
  readExtendedKeyUsage,
  readExtensions,
  type Extension,
  type GeneralName,
  type KeyUsage,
} from "./extensions.ts";
import { checkName } from "./name.ts";
import { algorithmFor, readSignatureAlgorithm, type SignatureAlgorithm } from "./signature.ts";

/** A decoded certificate. Made by {@link decodeCertificate} only; byte fields share memory with its input. */
export class Certificate {
  /** The whole certificate. */
  readonly der: Uint8Array;
  /** The TBSCertificate: what the issuer signed. */
  readonly tbs: Uint8Array;
  /** Content octets of the serial number (minimal two's complement, not negative). */
  readonly serial: Uint8Array;
  /** Name of the issuer, DER. */
  readonly issuer: Uint8Array;
  /** Name of the subject, DER; `30 00` in certificates that name their subject in subjectAltName only. */
  readonly subject: Uint8Array;
  /** First moment of validity, milliseconds since 1970. */
  readonly notBeforeMs: number;
  /** Last *second* of validity, milliseconds since 1970 of its beginning: valid through `notAfterMs + 999`. */
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
  /** All extensions by dotted object identifier, in the order written. */
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly isCa: boolean;
  /** How many authorities may stand between this one and a leaf; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Dotted purposes; empty when the extension is absent. */
  readonly extendedKeyUsage: readonly string[];
  readonly subjectAltNames: readonly GeneralName[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Critical extensions that this library does not process: a path through this certificate is refused. */
  readonly unknownCritical: readonly string[];

  readonly #usage: (bit: number) => boolean;
  #publicKey: PublicKey | undefined;
  // Certificates whose key was seen to verify our signature. Kept here and not in a table of the module: it lives and dies
  // with this object, so a trusted root that is loaded once pays for its inner signatures once.
  readonly #signedBy = new WeakSet<Certificate>();

  /** Use {@link decodeCertificate}. */
  constructor(bytes: Uint8Array) {
    const { TAG } = der;
    const outer = der.openDer(bytes);
    const tbs = outer.next(TAG.sequence);
    const algorithm = outer.whole(TAG.sequence);
    const signature = der.readBits(outer.next(TAG.bitString));
    outer.end();

    const fields = new der.DerReader(tbs.content);
    const version = fields.optional(der.contextTag(0));
    if (version === undefined || der.readSmall(der.decodeDer(version.content)) !== 2)
      throw new LacreError("CERT_INVALID", "certificate is not of version 3");
    const serial = der.readIntegerBytes(fields.next(TAG.integer));
    if (serial[0]! >= 0x80 || serial.length > (serial[0] === 0 ? 21 : 20))
      throw new LacreError("CERT_INVALID", "serial number is negative or longer than 20 octets");
    const inner = fields.whole(TAG.sequence);
    if (!equalBytes(inner, algorithm)) throw new LacreError("CERT_INVALID", "signature algorithms inside and outside differ");
    const issuer = fields.next(TAG.sequence);
    const validity = fields.enter();
    const notBeforeMs = readCertificateTime(validity.next());
    const notAfterMs = readCertificateTime(validity.next());
    validity.end();
    const subject = fields.next(TAG.sequence);
    const spki = fields.whole(TAG.sequence);
    if (fields.nextTag === 0x81 || fields.nextTag === 0x82)
      throw new LacreError("CERT_INVALID", "certificate has unique identifiers");
    const wrapped = fields.enter(der.contextTag(3));
    const extensions = readExtensions(wrapped.enter());
    wrapped.end();
    fields.end();
    if (issuer.content.length === 0) throw new LacreError("CERT_INVALID", "issuer has no name");
    checkName(new der.DerReader(issuer.content));
    checkName(new der.DerReader(subject.content));

    this.der = bytes;
    this.tbs = tbs.whole;
    this.serial = serial;
    this.issuer = issuer.whole;
    this.subject = subject.whole;
    this.notBeforeMs = notBeforeMs;
    this.notAfterMs = notAfterMs;
    this.spki = spki;
    this.signatureAlgorithm = readSignatureAlgorithm(algorithm);
    this.signature = signature;
    this.extensions = extensions;

    let constraints: { readonly isCa: boolean; readonly pathLength: number | undefined } = { isCa: false, pathLength: undefined };
    let usage = (_bit: number): boolean => false;
    let purposes: readonly string[] = [];
    let altNames: readonly GeneralName[] = [];
    let subjectKeyId: Uint8Array | undefined;
    let authorityKeyId: Uint8Array | undefined;
    const unknown: string[] = [];
    for (const { oid, critical, value } of extensions.values()) {
      switch (oid) {
        case EXTENSION.basicConstraints:
          constraints = readBasicConstraints(value);
          break;
        case EXTENSION.keyUsage:
          usage = der.readFlags(der.decodeDer(value));
          break;
        case EXTENSION.extendedKeyUsage:
          purposes = readExtendedKeyUsage(value);
          break;
        case EXTENSION.subjectAltName:
          altNames = readAltNames(value);
          break;
        case EXTENSION.subjectKeyId:
          subjectKeyId = der.readOctets(der.decodeDer(value));
          break;
        case EXTENSION.authorityKeyId:
          authorityKeyId = readAuthorityKeyId(value);
          break;
        default:
          if (critical) unknown.push(oid);
      }
    }
    this.isCa = constraints.isCa;
    this.pathLength = constraints.pathLength;
    this.#usage = usage;
    this.extendedKeyUsage = purposes;
    this.subjectAltNames = altNames;
    this.subjectKeyId = subjectKeyId;
    this.authorityKeyId = authorityKeyId;
    this.unknownCritical = unknown;
  }

  /** The subject's key, parsed on first use. Throws KEY_INVALID, BAD_DER. */
  get publicKey(): PublicKey {
    return (this.#publicKey ??= importPublicKey(this.spki));
  }

  /** Whether keyUsage is present and has this bit. */
  keyUsage(usage: KeyUsage): boolean {
    return this.#usage(KEY_USAGE[usage]);
  }

  /** Proves that `issuer`'s key signed this certificate. Computed once for each pair of objects. Throws CERT_INVALID. */
  checkSignedBy(issuer: Certificate): void {
    if (this.#signedBy.has(issuer)) return;
    try {
      const key = issuer.publicKey;
      checkSignature(algorithmFor(this.signatureAlgorithm, key), key, { message: this.tbs }, this.signature);
    } catch (cause) {
      if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
      throw new LacreError("CERT_INVALID", "certificate was not signed by its issuer's key", {
        expected: this.signatureAlgorithm.name,
        found: cause.message,
        cause,
      });
    }
    this.#signedBy.add(issuer);
  }
}

// RFC 5280 section 4.1.2.5: whole seconds only.
function readCertificateTime(value: der.Der): number {
  if (value.tag === der.TAG.generalizedTime && value.content.length !== 15)
    throw new LacreError("BAD_DER", "a certificate's time is not of whole seconds");
  return der.readTimeMs(value);
}

/**
 * Reads one certificate, with nothing behind it. Total: any bytes give a certificate or a LacreError (BAD_DER, BAD_UTF8,
 * CERT_INVALID, ALGORITHM_UNKNOWN for the signature algorithm). The subject's key is read when it is asked for. The
 * input must not be changed afterwards.
 */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  return new Certificate(bytes);
}
