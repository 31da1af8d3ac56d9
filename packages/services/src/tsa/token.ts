// SPDX-License-Identifier: Apache-2.0
/**
 * The clock's answer: a granted TimeStampResp (RFC 3161, section 2.4.2) around one CMS SignedData (RFC 5652, section 5).
 *
 *     TimeStampResp ::= SEQUENCE { status SEQUENCE { INTEGER granted(0) }, timeStampToken ContentInfo }
 *
 *     SignedData ::= SEQUENCE { version 3, digestAlgorithms SET { SHA-256 }, encapContentInfo { id-ct-TSTInfo, TSTInfo },
 *       certificates [0] (only if asked for), signerInfos SET { one } }
 *
 *     TSTInfo ::= SEQUENCE { version 1, policy, messageImprint, serialNumber, genTime, accuracy { seconds },
 *       nonce (as sent), tsa [0] EXPLICIT directoryName }
 *
 * Where the standards leave a choice, the one is taken that all clients read: genTime in whole seconds, no zero in
 * accuracy, `ordering` left out, the signer named by issuer and serial, signed attributes contentType, signingTime,
 * messageDigest and signingCertificateV2 (RFC 5035) with issuer and serial, sorted as DER asks and signed with the SET tag.
 */
import { der } from "@lacre/core/codec";
import { hash, sha256, signMessage, algorithmOf, type HashName, type PrivateKey } from "@lacre/core/crypto";
import { HASH_OIDS, type TimestampRequest } from "./request.ts";

/** Who signs: the clock's certificate as its parts, and the key that belongs to it. P-256 or P-384. */
export interface TokenSigner {
  readonly certificate: {
    readonly der: Uint8Array;
    readonly issuer: Uint8Array;
    readonly subject: Uint8Array;
    readonly serial: Uint8Array;
  };
  /** Certificates between the clock's and the root, in that order; sent along when certificates are asked for. */
  readonly intermediates: readonly Uint8Array[];
  readonly key: PrivateKey;
}

export interface TokenFacts {
  readonly policy: string;
  /** At most 20 octets; read as a positive number. */
  readonly serial: Uint8Array;
  /** Written in whole seconds. */
  readonly timeMs: number;
  readonly accuracySeconds: number;
}

const OID = {
  signedData: "1.2.840.113549.1.7.2",
  tstInfo: "1.2.840.113549.1.9.16.1.4",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
} as const;

const SIGNATURES: Readonly<Record<string, { readonly keyDetails: string; readonly digest: HashName; readonly oid: string }>> = {
  "P-256": { keyDetails: "PKIX_ECDSA_P256_SHA_256", digest: "sha256", oid: "1.2.840.10045.4.3.2" },
  "P-384": { keyDetails: "PKIX_ECDSA_P384_SHA_384", digest: "sha384", oid: "1.2.840.10045.4.3.3" },
};

/** The DER TimeStampResp that grants a request. */
export function encodeTimestampReply(request: TimestampRequest, facts: TokenFacts, signer: TokenSigner): Uint8Array {
  const token = encodeToken(encodeInfo(request, facts, signer), request.certificates, facts.timeMs, signer);
  return der.sequence(der.sequence(der.integer(0)), token);
}

function encodeInfo(request: TimestampRequest, facts: TokenFacts, signer: TokenSigner): Uint8Array {
  const parts = [
    der.integer(1),
    der.oid(facts.policy),
    der.sequence(der.sequence(der.oid(HASH_OIDS[request.hash]), der.nil()), der.octets(request.digest)),
    der.integer(facts.serial),
    der.generalizedTime(facts.timeMs),
    der.sequence(der.integer(facts.accuracySeconds)),
  ];
  if (request.nonce !== undefined) parts.push(der.der(der.TAG.integer, request.nonce));
  parts.push(der.context(0, directoryName(signer.certificate.subject)));
  return der.sequence(...parts);
}

function encodeToken(info: Uint8Array, certificates: boolean, timeMs: number, signer: TokenSigner): Uint8Array {
  const { certificate, intermediates, key } = signer;
  const scheme = SIGNATURES[key.publicKey.type];
  if (scheme === undefined) throw new TypeError(`the clock's key is ${key.publicKey.type}; it must be P-256 or P-384`);
  const digestAlgorithm = der.sequence(der.oid(HASH_OIDS[scheme.digest]));
  const attributes = [
    attribute(OID.contentType, der.oid(OID.tstInfo)),
    attribute(OID.signingTime, der.time(timeMs)),
    attribute(OID.messageDigest, der.octets(hash(scheme.digest, info))),
    attribute(OID.signingCertificateV2, essCertificate(certificate)),
  ];
  const set = der.setOf(...attributes);
  const signature = signMessage(algorithmOf(scheme.keyDetails), key, set);
  const signerInfo = der.sequence(
    der.integer(1),
    der.sequence(certificate.issuer, der.integer(certificate.serial)),
    digestAlgorithm,
    // The attributes travel under [0] in place of the SET tag that was signed (RFC 5652, section 5.4).
    der.der(der.contextTag(0), der.decodeDer(set).content),
    der.sequence(der.oid(scheme.oid)),
    der.octets(signature),
  );
  const parts = [
    der.integer(3),
    der.setOf(digestAlgorithm),
    der.sequence(der.oid(OID.tstInfo), der.context(0, der.octets(info))),
    ...(certificates ? [der.context(0, ...[certificate.der, ...intermediates].toSorted(compare))] : []),
    der.setOf(signerInfo),
  ];
  return der.sequence(der.oid(OID.signedData), der.context(0, der.sequence(...parts)));
}

function attribute(type: string, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(type), der.setOf(value));
}

/** SigningCertificateV2 of one ESSCertIDv2; its hash algorithm is left out, which means SHA-256. */
function essCertificate(certificate: TokenSigner["certificate"]): Uint8Array {
  const issuerSerial = der.sequence(der.sequence(directoryName(certificate.issuer)), der.integer(certificate.serial));
  return der.sequence(der.sequence(der.sequence(der.octets(sha256(certificate.der)), issuerSerial)));
}

function directoryName(name: Uint8Array): Uint8Array {
  return der.context(4, name);
}

/** Order of a SET OF. */
function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
