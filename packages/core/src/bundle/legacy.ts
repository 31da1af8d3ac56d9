// SPDX-License-Identifier: Apache-2.0
/**
 * Signatures as cosign kept them before there were bundles: loose parts that travel in files, in one small JSON document,
 * or in annotations of an image's layer.
 *
 *     signature     base64, or the raw octets
 *     certificate   PEM, base64 of PEM, or DER; one certificate. A public key in its place is refused: it would stand in
 *                   for the key that the verifier trusts (GHSA-fx35-mq7g-6g98)
 *     chain         PEM: path material, trusted for nothing. Roots in it are dropped: cosign always wrote one
 *     rekor bundle  {"SignedEntryTimestamp": base64,
 *                    "Payload": {"body": base64, "integratedTime": n, "logIndex": n, "logID": hex}}
 *     timestamp     {"SignedRFC3161Timestamp": base64}, or the token in DER
 *     envelope      a DSSE envelope in JSON, for attestations
 *
 * The document of `sign-blob --bundle` is {"base64Signature": …, "cert": base64 of PEM, "rekorBundle": …}.
 *
 * All of it is put together into a bundle of version 0.1 shape (a log entry needs its promise, a proof there is not) and
 * takes the same way through the verifier as any other: in particular the log entry has to be about this signature, this
 * payload and this certificate (CVE-2022-23649, CVE-2022-36056, CVE-2026-22703). There is no second verifier.
 */
import { compareBytes, fromBase64, fromHex, text, toBase64, utf8 } from "../bytes/index.ts";
import { der, JsonObject, parseJson, parsePemAll } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate } from "../x509/index.ts";
import type { Bundle, BundleContent } from "./bundle.ts";
import type { LogEntry } from "./entry.ts";

/** What a signature of the old kind is over. */
export type LegacyContent =
  /** The octets of a file, or of a simple signing document: those the caller has. */
  | { readonly kind: "message"; readonly signature: Uint8Array | string }
  /** A DSSE envelope, as the text that was stored. */
  | { readonly kind: "envelope"; readonly envelope: Uint8Array };

/** The loose parts of one signature, each as found; nothing of it is trusted. */
export interface LegacySignature {
  /** Where it is from, for the verdict: a layer's media type, or `LEGACY_MEDIA_TYPE`. */
  readonly mediaType: string;
  readonly content: LegacyContent;
  /** Absent: signed with a key that the verifier has. */
  readonly certificate?: Uint8Array | string | undefined;
  readonly chain?: Uint8Array | string | undefined;
  readonly rekorBundle?: Uint8Array | string | undefined;
  readonly timestamp?: Uint8Array | string | undefined;
}

/** How detached files and the old JSON document are called in a verdict; they never had a media type. */
export const LEGACY_MEDIA_TYPE = "application/vnd.dev.cosign.detached";
/** A layer that holds a simple signing document, its signature in the annotations. */
export const SIMPLE_SIGNING_MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";
/** A layer that holds a DSSE envelope. */
export const DSSE_MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json";

const MAX_PART = 1 << 20;
const MAX_ENVELOPE = 128 << 20;
const MAX_CHAIN = 10;
const MAX_DEPTH = 16;

function shape(rule: string, message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("BUNDLE_SHAPE", message, { ...detail, rule });
}

function octets(part: Uint8Array | string, what: string): Uint8Array {
  const bytes = typeof part === "string" ? utf8(part) : part;
  if (bytes.length > MAX_PART) throw new LacreError("TOO_LARGE", `${what} is larger than 1 MiB`, { rule: "A2" });
  if (bytes.length === 0) throw shape("B2", `${what} is empty`);
  return bytes;
}

/**
 * Puts the parts together. Throws TOO_LARGE, BAD_BASE64, BAD_PEM, BAD_DER, BAD_JSON, BUNDLE_SHAPE, BUNDLE_NO_PROMISE and
 * what decoding a certificate throws. What comes out is structure: nothing of it has been verified.
 */
export function assembleLegacy(parts: LegacySignature): Bundle {
  const content = readContent(parts.content);
  return {
    mediaType: parts.mediaType,
    version: "0.1",
    key:
      parts.certificate === undefined
        ? { kind: "publicKey", hint: "" }
        : { kind: "certificate", chain: [readCertificate(parts.certificate), ...readChain(parts.chain)] },
    logEntries: parts.rekorBundle === undefined ? [] : [readRekorBundle(octets(parts.rekorBundle, "the log's promise"))],
    timestamps: parts.timestamp === undefined ? [] : [readTimestamp(octets(parts.timestamp, "the timestamp"))],
    content,
    unknownFields: [],
  };
}

function readContent(content: LegacyContent): BundleContent {
  if (content.kind === "message") return { kind: "message", digest: undefined, signature: readSignature(content.signature) };
  const { envelope: bytes } = content;
  const envelope = new JsonObject(parseJson(bytes, { maxBytes: MAX_ENVELOPE, maxDepth: MAX_DEPTH }), "envelope");
  const payloadType = envelope.string("payloadType");
  if (payloadType === "") throw shape("B8", "envelope has no payload type");
  const count = envelope.optionalArray("signatures")?.length ?? 0;
  const [only] = count === 1 ? envelope.objects(1, "signatures") : [];
  if (only === undefined) throw shape("B8", "envelope must have exactly one signature", { expected: "1", found: `${count}` });
  const payload = envelope.bytes("payload");
  const signature = only.bytes("sig");
  if (payload.length === 0 || signature.length === 0) throw shape("B8", "envelope has an empty payload or signature");
  return { kind: "dsse", payload, payloadType, signature, keyid: only.optionalString("keyid") ?? "", envelope: bytes };
}

const BASE64_TEXT = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * A detached signature: base64 on one line, or the octets themselves. Octets that happen to be base64 text are read as
 * text: an ECDSA signature in DER has a control character in front, and of the others one in 10^38 is such a text.
 */
function readSignature(part: Uint8Array | string): Uint8Array {
  const bytes = octets(part, "the signature");
  const written = asText(bytes)?.trim();
  if (written !== undefined && BASE64_TEXT.test(written)) return fromBase64(written);
  if (typeof part === "string") throw new LacreError("BAD_BASE64", "the signature is not base64", { rule: "A4" });
  return bytes;
}

/** Printable text, or undefined. */
function asText(bytes: Uint8Array): string | undefined {
  return bytes.every((octet) => (octet >= 0x20 && octet < 0x7f) || octet === 0x0a || octet === 0x0d || octet === 0x09)
    ? text(bytes)
    : undefined;
}

function readCertificate(part: Uint8Array | string): Uint8Array {
  const bytes = octets(part, "the certificate");
  const written = asText(bytes)?.trim();
  if (written === undefined) {
    der.decodeDer(bytes, der.TAG.sequence);
    return bytes;
  }
  const pem = BASE64_TEXT.test(written.replaceAll(/\s/g, "")) ? text(fromBase64(written.replaceAll(/\s/g, ""))) : written;
  const [first, ...more] = parsePemAll(pem);
  if (first?.label !== "CERTIFICATE") {
    throw shape("B2", "there is a key where the certificate belongs", {
      expected: "CERTIFICATE",
      found: first?.label.slice(0, 60) ?? "nothing",
    });
  }
  if (more.length > 0)
    throw shape("B2", "there is more than one certificate where the signer's belongs", {
      expected: "1",
      found: `${1 + more.length}`,
    });
  der.decodeDer(first.der, der.TAG.sequence);
  return first.der;
}

// A root says nothing that the trusted root does not say; what is left is help to find a path.
function readChain(part: Uint8Array | string | undefined): readonly Uint8Array[] {
  if (part === undefined) return [];
  const blocks = parsePemAll(text(octets(part, "the certificate chain")), "CERTIFICATE");
  if (blocks.length > MAX_CHAIN) {
    throw new LacreError("TOO_LARGE", "the certificate chain is too long", {
      expected: `at most ${MAX_CHAIN}`,
      found: `${blocks.length}`,
      rule: "A3",
    });
  }
  return blocks
    .map((block) => block.der)
    .filter((bytes) => {
      const { issuer, subject } = decodeCertificate(bytes);
      return compareBytes(issuer, subject) !== 0;
    });
}

function readRekorBundle(bytes: Uint8Array): LogEntry {
  const bundle = new JsonObject(parseJson(bytes, { maxDepth: MAX_DEPTH }), "rekor bundle");
  const signedEntryTimestamp = bundle.optionalBytes("SignedEntryTimestamp");
  if (signedEntryTimestamp === undefined || signedEntryTimestamp.length === 0)
    throw new LacreError("BUNDLE_NO_PROMISE", "the rekor bundle has no promise of the log");
  const payload = bundle.object("Payload");
  const canonicalizedBody = payload.bytes("body");
  const logId = fromHex(payload.string("logID"));
  if (logId.length === 0 || logId.length > 64)
    throw shape("B3", "the id of a log has the wrong length", { found: `${logId.length} octets` });
  return {
    logIndex: payload.int64("logIndex"),
    logId,
    ...statedKind(canonicalizedBody),
    integratedTime: payload.int64("integratedTime"),
    signedEntryTimestamp,
    inclusionProof: undefined,
    canonicalizedBody,
  };
}

// The old form names the kind in the body alone; the verifier reads the body by it, and the promise is over the body.
function statedKind(body: Uint8Array): { readonly kind: string; readonly version: string } {
  const entry = new JsonObject(parseJson(body, { maxDepth: MAX_DEPTH }), "body of the log entry");
  const kind = entry.string("kind");
  const version = entry.string("apiVersion");
  if (kind === "" || kind.length > 64 || version === "" || version.length > 64)
    throw shape("B3", "the kind of a log entry is empty or too long");
  return { kind, version };
}

function readTimestamp(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes;
  const token = new JsonObject(parseJson(bytes, { maxDepth: MAX_DEPTH }), "timestamp").bytes("SignedRFC3161Timestamp");
  if (token.length === 0) throw shape("A4", "the timestamp is empty");
  return token;
}

/** Parts of the document that `sign-blob --bundle` wrote before there were bundles. */
export type LegacyBundle = Pick<LegacySignature, "certificate" | "rekorBundle"> & { readonly signature: string };

/**
 * Whether a file looks like that document rather than a bundle. It decides how to read the file, nothing else: each
 * reader refuses what is not its own.
 */
export function isLegacyBundle(bytes: Uint8Array): boolean {
  try {
    const object = new JsonObject(parseJson(bytes, { maxBytes: 4 * MAX_PART }), "bundle");
    return object.has("base64Signature") && !object.has("mediaType", "media_type");
  } catch (error) {
    if (error instanceof LacreError) return false;
    throw error;
  }
}

/** Reads that document. Throws BAD_JSON, TOO_LARGE, BUNDLE_SHAPE; parts stay as they were written. */
export function decodeLegacyBundle(bytes: Uint8Array): LegacyBundle {
  const object = new JsonObject(parseJson(bytes, { maxBytes: 4 * MAX_PART, maxDepth: MAX_DEPTH }), "bundle");
  const signature = object.string("base64Signature");
  if (signature === "") throw shape("B7", "the signature is empty");
  const certificate = object.optionalString("cert") ?? "";
  const rekor = object.optionalObject("rekorBundle");
  return {
    signature,
    ...(certificate === "" ? {} : { certificate }),
    ...(rekor === undefined ? {} : { rekorBundle: encodeRekorBundle(rekor) }),
  };
}

// The members that are read, in a document of their own; what else there was takes no part.
function encodeRekorBundle(rekor: JsonObject): string {
  const payload = rekor.object("Payload");
  return JSON.stringify({
    SignedEntryTimestamp: rekor.optionalString("SignedEntryTimestamp") ?? "",
    Payload: {
      body: payload.string("body"),
      integratedTime: `${payload.int64("integratedTime")}`,
      logIndex: `${payload.int64("logIndex")}`,
      logID: payload.string("logID"),
    },
  });
}

/** The rekor bundle of an entry, as old signatures carry it; undefined for one without promise. */
export function encodeLegacyPromise(entry: LogEntry): string | undefined {
  const { signedEntryTimestamp, canonicalizedBody, integratedTime, logIndex, logId } = entry;
  if (signedEntryTimestamp === undefined) return undefined;
  const id = [...logId].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  // Numbers are written as digits: JSON.stringify has no integers above 2^53.
  return `{"SignedEntryTimestamp":"${toBase64(signedEntryTimestamp)}","Payload":{"body":"${toBase64(canonicalizedBody)}","integratedTime":${integratedTime},"logIndex":${logIndex},"logID":"${id}"}}`;
}
