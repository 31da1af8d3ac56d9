// SPDX-License-Identifier: Apache-2.0
/**
 * Sigstore bundles (protobuf-specs, sigstore_bundle.proto; JSON mapping of protobuf 3): a signature with all that is
 * needed to verify it offline. Versions 0.1 to 0.3 are read, 0.3 is written.
 *
 * Reading judges structure only, the rules A2–A4 and B of the verifier: size and counts, exactly one content and one key,
 * what each version asks of log entries. Not judged here: certificates beyond being one DER value (that none of a chain
 * is a self-signed root is seen by `verify/`, which decodes them), the payload type of an envelope (a matter of policy),
 * and everything cryptographic.
 */
import { toBase64 } from "../bytes/index.ts";
import { der, JsonObject, parseJson, type Json } from "../codec/index.ts";
import { DIGEST_LENGTH, type HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeLogEntry, encodeLogEntry, type LogEntry } from "./entry.ts";

export type BundleVersion = "0.1" | "0.2" | "0.3";

/** What the signature verifies with. */
export type BundleKey =
  /** Certificates in DER, the leaf first; what follows is path material, trusted for nothing. */
  | { readonly kind: "certificate"; readonly chain: readonly Uint8Array[] }
  /** A key that the verifier must have; the hint helps to choose it. */
  | { readonly kind: "publicKey"; readonly hint: string };

/** What was signed, and the signature. */
export type BundleContent =
  | {
      readonly kind: "message";
      /** As the signer states it: a help to find the artifact, never what is verified. */
      readonly digest: { readonly algorithm: HashName; readonly value: Uint8Array } | undefined;
      readonly signature: Uint8Array;
    }
  | {
      readonly kind: "dsse";
      readonly payload: Uint8Array;
      readonly payloadType: string;
      readonly signature: Uint8Array;
      /** Empty when the envelope names no key. */
      readonly keyid: string;
      /** The envelope as its client spelled it, where that is known: old log entries record its hash and no signature. */
      readonly envelope?: Uint8Array;
    };

export interface Bundle {
  /** As written in the text. */
  readonly mediaType: string;
  readonly version: BundleVersion;
  readonly key: BundleKey;
  readonly logEntries: readonly LogEntry[];
  /** RFC 3161 TimeStampResp, DER. */
  readonly timestamps: readonly Uint8Array[];
  readonly content: BundleContent;
  /** Paths of members that no version defines, a hundred at most. They take no part in verification. */
  readonly unknownFields: readonly string[];
}

/** The media type that is written. */
export const BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";

const VERSIONS: ReadonlyMap<string, BundleVersion> = new Map([
  ["application/vnd.dev.sigstore.bundle+json;version=0.1", "0.1"],
  ["application/vnd.dev.sigstore.bundle+json;version=0.2", "0.2"],
  ["application/vnd.dev.sigstore.bundle+json;version=0.3", "0.3"],
  ["application/vnd.dev.sigstore.bundle.v0.1+json", "0.1"],
  ["application/vnd.dev.sigstore.bundle.v0.2+json", "0.2"],
  [BUNDLE_MEDIA_TYPE, "0.3"],
]);

const MAX_ENTRIES = 32;
const MAX_TIMESTAMPS = 32;
const MAX_CERTIFICATES = 10;
const MAX_REPORTED = 100;

/** Names of `dev.sigstore.common.v1.HashAlgorithm`. */
const HASH_NAMES: ReadonlyMap<string, HashName> = new Map([
  ["SHA2_256", "sha256"],
  ["SHA2_384", "sha384"],
  ["SHA2_512", "sha512"],
]);

// `rule` is the number in the verifier's catalogue: one code stands for several of its rules.
function shape(rule: string, message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("BUNDLE_SHAPE", message, { ...detail, rule });
}

// The one member of a oneof that is set. A member that is not known cannot be told from an unknown field, so a oneof
// whose only member is new reads as "none".
function choose<Name extends string>(object: JsonObject, members: Readonly<Record<Name, string>>): Name {
  const set = (Object.keys(members) as Name[]).filter((name) => object.has(name, members[name]));
  const [only] = set;
  if (only === undefined || set.length > 1) {
    throw shape("B2", `${object.where} must have exactly one of several members`, {
      expected: Object.keys(members).join(" or "),
      found: set.join(" and ") || "none",
    });
  }
  return only;
}

/**
 * Reads a bundle. Throws TOO_LARGE (16 MiB, 64 levels, 32 entries, 32 timestamps, 10 certificates and the limits of
 * `decodeLogEntry`), BAD_JSON, BAD_UTF8, BAD_BASE64 and BAD_DER for the encodings, and BUNDLE_VERSION, BUNDLE_SHAPE,
 * BUNDLE_NO_PROMISE, BUNDLE_NO_PROOF for the rules of bundles.
 */
export function decodeBundle(input: Uint8Array): Bundle {
  const bundle = new JsonObject(parseJson(input), "bundle");
  const mediaType = bundle.string("mediaType", "media_type");
  const version = VERSIONS.get(mediaType);
  if (version === undefined)
    throw new LacreError("BUNDLE_VERSION", "unsupported bundle version", {
      expected: BUNDLE_MEDIA_TYPE,
      found: mediaType.slice(0, 100),
    });

  const material = bundle.object("verificationMaterial", "verification_material");
  const key = decodeKey(material, version);
  const logEntries = material.objects(MAX_ENTRIES, "tlogEntries", "tlog_entries").map(decodeLogEntry);
  checkEvidence(logEntries, version);
  const timestamps =
    material
      .optionalObject("timestampVerificationData", "timestamp_verification_data")
      ?.objects(MAX_TIMESTAMPS, "rfc3161Timestamps", "rfc3161_timestamps")
      .map((token) => notEmpty("A4", token.bytes("signedTimestamp", "signed_timestamp"), token.where)) ?? [];

  const content =
    choose(bundle, { messageSignature: "message_signature", dsseEnvelope: "dsse_envelope" }) === "messageSignature"
      ? decodeMessage(bundle.object("messageSignature", "message_signature"))
      : decodeEnvelope(bundle.object("dsseEnvelope", "dsse_envelope"));
  if (
    key.kind === "publicKey" &&
    content.kind === "dsse" &&
    key.hint !== "" &&
    content.keyid !== "" &&
    key.hint !== content.keyid
  ) {
    throw shape("B8", "key hint and envelope name different keys", {
      expected: key.hint.slice(0, 80),
      found: content.keyid.slice(0, 80),
    });
  }
  return { mediaType, version, key, logEntries, timestamps, content, unknownFields: bundle.unreadPaths().slice(0, MAX_REPORTED) };
}

function notEmpty(rule: string, bytes: Uint8Array, where: string): Uint8Array {
  if (bytes.length === 0) throw shape(rule, `${where} is empty`);
  return bytes;
}

function decodeKey(material: JsonObject, version: BundleVersion): BundleKey {
  switch (
    choose(material, { publicKey: "public_key", x509CertificateChain: "x509_certificate_chain", certificate: "certificate" })
  ) {
    case "publicKey":
      return { kind: "publicKey", hint: material.object("publicKey", "public_key").optionalString("hint") ?? "" };
    case "certificate":
      return { kind: "certificate", chain: [decodeDerBytes(material.object("certificate"))] };
    case "x509CertificateChain": {
      if (version === "0.3")
        throw shape("B4", "a version 0.3 bundle holds one certificate, not a chain", {
          expected: "certificate",
          found: "x509CertificateChain",
        });
      const chain = material
        .object("x509CertificateChain", "x509_certificate_chain")
        .objects(MAX_CERTIFICATES, "certificates")
        .map(decodeDerBytes);
      if (chain.length === 0) throw shape("B5", "certificate chain is empty");
      return { kind: "certificate", chain };
    }
  }
}

function decodeDerBytes(holder: JsonObject): Uint8Array {
  const bytes = holder.bytes("rawBytes", "raw_bytes");
  der.decodeDer(bytes, der.TAG.sequence);
  return bytes;
}

function checkEvidence(entries: readonly LogEntry[], version: BundleVersion): void {
  for (const { signedEntryTimestamp, inclusionProof } of entries) {
    if (version === "0.1") {
      if (signedEntryTimestamp === undefined) throw new LacreError("BUNDLE_NO_PROMISE", "a log entry has no inclusion promise");
    } else if (inclusionProof === undefined)
      throw new LacreError("BUNDLE_NO_PROOF", "a log entry has no inclusion proof with a checkpoint");
  }
}

function decodeMessage(message: JsonObject): BundleContent {
  const stated = message.optionalObject("messageDigest", "message_digest");
  let digest;
  if (stated !== undefined) {
    const name = stated.optionalString("algorithm") ?? "HASH_ALGORITHM_UNSPECIFIED";
    const algorithm = HASH_NAMES.get(name);
    if (algorithm === undefined)
      throw shape("B7", "message digest is of an unknown algorithm", {
        expected: [...HASH_NAMES.keys()].join(", "),
        found: name.slice(0, 60),
      });
    const value = stated.bytes("digest");
    if (value.length !== DIGEST_LENGTH[algorithm]) {
      throw shape("B7", "message digest has the wrong length", {
        expected: `${DIGEST_LENGTH[algorithm]} octets`,
        found: `${value.length}`,
      });
    }
    digest = { algorithm, value };
  }
  return { kind: "message", digest, signature: notEmpty("B7", message.bytes("signature"), "the signature of the message") };
}

function decodeEnvelope(envelope: JsonObject): BundleContent {
  const payloadType = envelope.string("payloadType", "payload_type");
  if (payloadType === "") throw shape("B8", "envelope has no payload type");
  // The protobuf file asks for exactly one; readers that took the first of several could be shown another than was checked.
  const count = envelope.optionalArray("signatures")?.length ?? 0;
  const [signature] = count === 1 ? envelope.objects(1, "signatures") : [];
  if (signature === undefined)
    throw shape("B8", "envelope must have exactly one signature", { expected: "1", found: `${count}` });
  return {
    kind: "dsse",
    payload: notEmpty("B8", envelope.bytes("payload"), "the payload of the envelope"),
    payloadType,
    signature: notEmpty("B8", signature.bytes("sig"), "the signature of the envelope"),
    keyid: signature.optionalString("keyid") ?? "",
  };
}

/**
 * Writes a bundle, always as version 0.3. Of a chain it keeps the leaf, for 0.3 has room for no more. Throws
 * BUNDLE_NO_PROOF for an entry that 0.3 does not allow. Unknown fields are not written.
 */
export function encodeBundle(bundle: Omit<Bundle, "mediaType" | "version" | "unknownFields">): string {
  const { key, logEntries, timestamps, content } = bundle;
  checkEvidence(logEntries, "0.3");
  const material: Json = {
    ...encodeKey(key),
    tlogEntries: logEntries.map(encodeLogEntry),
    ...(timestamps.length === 0
      ? {}
      : {
          timestampVerificationData: { rfc3161Timestamps: timestamps.map((token) => ({ signedTimestamp: toBase64(token) })) },
        }),
  };
  return JSON.stringify({ mediaType: BUNDLE_MEDIA_TYPE, verificationMaterial: material, ...encodeContent(content) });
}

function encodeKey(key: BundleKey): { readonly [key: string]: Json } {
  if (key.kind === "publicKey") return { publicKey: { hint: key.hint } };
  const [leaf] = key.chain;
  if (leaf === undefined) throw new TypeError("a bundle needs a certificate");
  return { certificate: { rawBytes: toBase64(leaf) } };
}

function encodeContent(content: BundleContent): { readonly [key: string]: Json } {
  if (content.kind === "dsse") {
    const { payload, payloadType, signature, keyid } = content;
    return { dsseEnvelope: { payload: toBase64(payload), payloadType, signatures: [{ sig: toBase64(signature), keyid }] } };
  }
  const { digest, signature } = content;
  return {
    messageSignature: {
      ...(digest === undefined
        ? {}
        : { messageDigest: { algorithm: protoHashName(digest.algorithm), digest: toBase64(digest.value) } }),
      signature: toBase64(signature),
    },
  };
}

/** A hash by its name in `dev.sigstore.common.v1.HashAlgorithm`, as "SHA2_256". */
export function protoHashName(algorithm: HashName): string {
  return `SHA2_${algorithm.slice(3)}`;
}

/** The hash of a name in `dev.sigstore.common.v1.HashAlgorithm`; undefined for those that are not used here. */
export function findProtoHash(name: string): HashName | undefined {
  return HASH_NAMES.get(name);
}
