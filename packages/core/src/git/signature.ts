// SPDX-License-Identifier: Apache-2.0
/**
 * The signature of a commit or tag as gitsign makes it: CMS without content, in PEM armour, turned into a bundle.
 *
 * Signed are the CMS attributes, among them the SHA-256 of the object's signed octets. Where the log entry is depends on how the
 * signer worked:
 *
 * - it travels in an unsigned attribute (1.3.6.1.4.1.57264.3.1, a TransparencyLogEntry without its body): the log then
 *   recorded this very signature over the attributes, and the body is made from signature and certificate;
 * - or it is to be looked up: the log then recorded a second signature by the same certificate, over the object's name as
 *   text. That name covers the object with its CMS signature in it, by SHA-1 as Git has it (or SHA-256).
 *
 * A timestamp (1.2.840.113549.1.9.16.2.14) is over the CMS signature. Nothing that is read here is believed; the bundle goes
 * through the verifier as any other.
 */
import type { Bundle, InclusionProof, LogEntry } from "../bundle/index.ts";
import { equalBytes, text, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { der, formatPem, parsePem, ProtobufMessage } from "../codec/index.ts";
import { checkSignature, hash, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import {
  algorithmFor,
  type Certificate,
  CMS,
  decodeCertificate,
  decodeDetached,
  type DetachedSignedData,
} from "../x509/index.ts";
import type { SignedObject } from "./object.ts";

/** A signature that is of its object, and the certificate that it was made with. Whose that is the verifier says. */
export interface GitSignature {
  readonly signature: Uint8Array;
  /** What the signature is over. */
  readonly signedBytes: Uint8Array;
  readonly certificate: Certificate;
  /** The entry that travels along. */
  readonly entry: LogEntry | undefined;
  /** RFC 3161 responses over the signature. */
  readonly timestamps: readonly Uint8Array[];
}

/** How a verdict calls such signatures; they have no media type. */
export const GIT_MEDIA_TYPE = "application/vnd.gitsign.cms";

const REKOR_ENTRY = "1.3.6.1.4.1.57264.3.1";
const TIMESTAMP_TOKEN = "1.2.840.113549.1.9.16.2.14";
const DATA = "1.2.840.113549.1.7.1";
const MAX_HASHES = 64;

function invalid(message: string, detail: { found?: string; cause?: unknown } = {}): LacreError {
  return new LacreError("GIT_SIGNATURE_INVALID", message, detail);
}

/**
 * Reads a signature and holds it to its object: the attributes state the digest of the signed octets, and the certificate
 * that the signature names, which travels along, signed them. Throws GIT_SIGNATURE_INVALID, GIT_SIGNATURE_MISMATCH,
 * ALGORITHM_UNKNOWN.
 */
export function openGitSignature(object: SignedObject): GitSignature {
  const data = readCms(object.signature);
  const contentType = data.signedAttributes.get(CMS.contentType);
  if (data.contentType !== DATA || contentType === undefined || !equalBytes(contentType.whole, der.oid(DATA)))
    throw invalid("the signature is not over data");
  const stated = data.signedAttributes.get(CMS.messageDigest);
  if (stated === undefined) throw invalid("the signature states no digest");
  const digest = hash(data.digest, object.payload);
  if (!equalBytes(stated.whole, der.octets(digest))) {
    throw new LacreError("GIT_SIGNATURE_MISMATCH", `the signature is of another ${object.kind}`, {
      expected: toHex(digest),
      found: toHex(stated.content),
    });
  }
  const certificate = findSigner(data);
  const algorithm = algorithmFor(data.signatureAlgorithm, certificate.publicKey);
  try {
    checkSignature(algorithm, certificate.publicKey, { message: data.signedBytes }, data.signature);
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
    throw new LacreError("GIT_SIGNATURE_MISMATCH", "the signature was not made by the certificate it names", { cause });
  }
  const { signature, signedBytes, unsignedAttributes } = data;
  const entry = unsignedAttributes.get(REKOR_ENTRY);
  const token = unsignedAttributes.get(TIMESTAMP_TOKEN);
  return {
    signature,
    signedBytes,
    certificate,
    entry: entry && readEntry(entry, { signature, signedBytes, certificate }),
    timestamps: token === undefined ? [] : [der.sequence(der.sequence(der.integer(0)), token.whole)],
  };
}

function readCms(armour: string): DetachedSignedData {
  try {
    return decodeDetached(parsePem(armour, "SIGNED MESSAGE"));
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
    throw invalid("the signature is not CMS of one signer", { found: cause.message, cause });
  }
}

function findSigner({ certificates, signer }: DetachedSignedData): Certificate {
  for (const bytes of certificates) {
    let certificate;
    try {
      certificate = decodeCertificate(bytes);
    } catch (error) {
      if (error instanceof LacreError) continue;
      throw error;
    }
    const isNamed =
      signer.kind === "issuerSerial"
        ? equalBytes(certificate.issuer, signer.issuer) && equalBytes(certificate.serial, signer.serial)
        : certificate.subjectKeyId !== undefined && equalBytes(certificate.subjectKeyId, signer.keyId);
    if (isNamed) return certificate;
  }
  throw invalid("the signature does not bring its certificate");
}

function readEntry(attribute: der.Der, of: Pick<GitSignature, "signature" | "signedBytes" | "certificate">): LogEntry {
  try {
    if (attribute.tag !== der.TAG.octetString) throw invalid("the log entry is not in octets");
    const message = new ProtobufMessage(attribute.content);
    const kindVersion = message.optionalMessage(3);
    const kind = text(kindVersion?.optionalBytes(1) ?? new Uint8Array(0));
    const version = text(kindVersion?.optionalBytes(2) ?? new Uint8Array(0));
    const promise = message.optionalMessage(5)?.optionalBytes(1);
    return {
      logIndex: message.int64(1),
      logId: message.optionalMessage(2)?.optionalBytes(1) ?? new Uint8Array(0),
      kind,
      version,
      integratedTime: message.int64(4),
      signedEntryTimestamp: promise === undefined || promise.length === 0 ? undefined : promise,
      inclusionProof: readProof(message.optionalMessage(6)),
      canonicalizedBody: message.optionalBytes(7) ?? makeBody(kind, version, of),
    };
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "GIT_SIGNATURE_INVALID") throw cause;
    throw invalid("the log entry in the signature cannot be read", { found: cause.message, cause });
  }
}

function readProof(proof: ProtobufMessage | undefined): InclusionProof | undefined {
  if (proof === undefined) return undefined;
  const hashes = proof.bytesArray(4);
  if (hashes.length > MAX_HASHES || hashes.some(({ length }) => length !== 32)) throw invalid("the proof's hashes are misshapen");
  const checkpoint = text(proof.optionalMessage(5)?.optionalBytes(1) ?? new Uint8Array(0));
  if (checkpoint === "") return undefined;
  const rootHash = proof.optionalBytes(2) ?? new Uint8Array(0);
  return { logIndex: proof.int64(1), rootHash, treeSize: proof.int64(3), hashes, checkpoint };
}

/** The body as the v1 dialect's log has it: there is one way to write it, so that promise and proof bind every member. */
function makeBody(
  kind: string,
  version: string,
  of: Pick<GitSignature, "signature" | "signedBytes" | "certificate">,
): Uint8Array {
  if (kind !== "hashedrekord" || version !== "0.0.1")
    throw invalid("the log entry has no body, and is of a kind that cannot be made anew", {
      found: `${kind} ${version}`.slice(0, 80),
    });
  const pem = toBase64(utf8(formatPem("CERTIFICATE", of.certificate.der)));
  const data = `{"hash":{"algorithm":"sha256","value":"${toHex(sha256(of.signedBytes))}"}}`;
  const signature = `{"content":"${toBase64(of.signature)}","publicKey":{"content":"${pem}"}}`;
  return utf8(`{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":${data},"signature":${signature}}}`);
}

/** A signature by the certificate of a commit, with a log entry of it, in the shape that the verifier takes. */
export function gitBundle(of: {
  readonly certificate: Certificate;
  readonly signature: Uint8Array;
  readonly entry: LogEntry | undefined;
  readonly timestamps: readonly Uint8Array[];
}): Bundle {
  return {
    mediaType: GIT_MEDIA_TYPE,
    // With a promise there may or may not be a proof; without one there has to be.
    version: of.entry?.signedEntryTimestamp === undefined ? "0.3" : "0.1",
    key: { kind: "certificate", chain: [of.certificate.der] },
    logEntries: of.entry === undefined ? [] : [of.entry],
    timestamps: of.timestamps,
    content: { kind: "message", digest: undefined, signature: of.signature },
    unknownFields: [],
  };
}
