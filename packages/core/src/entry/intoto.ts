// SPDX-License-Identifier: Apache-2.0
/**
 * intoto: attestations as older clients log them in Rekor v1. Both versions read and taken in.
 *
 * 0.0.1: hashes of envelope and payload, and the key. The signature is not recorded, so such an entry cannot be tied to a
 * bundle: it can be shown, not relied on. Requests hold the envelope's text and one key.
 * 0.0.2: the envelope, its payload mostly removed. Payload and signatures are base64 of what the envelope holds, which is
 * base64 already. `hash` covers the client's own spelling of the envelope and is never compared; requests have it ready.
 *
 * The payload is not in the entries. A ledger keeps it beside them, up to a size, and gives it out as `attestation`.
 */
import { equalBytes, fromBase64, text, toBase64, utf8 } from "../bytes/index.ts";
import { pae, type Json, type JsonObject } from "../codec/index.ts";
import { hash, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { refused, requiredBytes, type SignatureCheck } from "./admit.ts";
import { fromLooseBase64, MAX_REQUEST_SIGNATURES, parseEnvelope } from "./envelope.ts";
import { MAX_SIGNATURES, readHexDigest, readPemVerifier, type EntryForm } from "./facts.ts";
import { hexDigest, messageCheck, readRequestDigest, readRequestPem, signedMessage, type ProposedForm } from "./proposed.ts";

export const intoto1: EntryForm = {
  kind: "intoto",
  version: "0.0.1",
  decode(spec) {
    spec.refuseUnknown(["content", "publicKey"]);
    const content = spec.object("content");
    content.refuseUnknown(["hash", "payloadHash"]);
    return {
      digest: undefined,
      envelopeHash: readHexDigest(content.object("hash")),
      payloadHash: readHexDigest(content.object("payloadHash")),
      payloadType: undefined,
      signatures: [{ signature: undefined, verifier: readPemVerifier(spec.bytes("publicKey")), keyDetails: undefined }],
    };
  },
};

export const intoto2: EntryForm = {
  kind: "intoto",
  version: "0.0.2",
  decode(spec) {
    spec.refuseUnknown(["content"]);
    const content = spec.object("content");
    content.refuseUnknown(["envelope", "hash", "payloadHash"]);
    const envelopeHash = readHexDigest(content.object("hash"));
    const payloadHash = readHexDigest(content.object("payloadHash"));
    const envelope = content.object("envelope");
    envelope.refuseUnknown(["payload", "payloadType", "signatures"]);
    if (
      envelope.has("payload") &&
      !equalBytes(hash(payloadHash.algorithm, twiceDecoded(envelope, "payload")), payloadHash.value)
    ) {
      throw new LacreError("ENTRY_INVALID", "payload and payload hash of an entry differ");
    }
    return {
      digest: undefined,
      envelopeHash,
      payloadHash,
      payloadType: envelope.string("payloadType"),
      signatures: envelope.objects(MAX_SIGNATURES, "signatures").map((item) => {
        item.refuseUnknown(["keyid", "publicKey", "sig"]);
        return {
          signature: twiceDecoded(item, "sig"),
          verifier: readPemVerifier(item.bytes("publicKey")),
          keyDetails: undefined,
        };
      }),
    };
  },
};

function twiceDecoded(object: JsonObject, name: string): Uint8Array {
  return fromBase64(text(object.bytes(name)));
}

export const intoto1Request: ProposedForm = {
  kind: "intoto",
  version: "0.0.1",
  admit(spec) {
    const text = spec.object("content").string("envelope");
    const envelope = parseEnvelope(text);
    const { key, canonical } = readRequestPem(requiredBytes(spec, "publicKey"));
    const [only, ...others] = envelope.signatures;
    // Of several signatures one has to be this key's; the entry says nothing of the others, and neither do we.
    if (others.length > 0 && !envelope.signatures.some(({ signature }) => signedMessage(key, envelope.encoded, signature))) {
      throw refused("no signature of the envelope is the key's");
    }
    return {
      spec: {
        content: { hash: hexDigest(sha256(utf8(text))), payloadHash: hexDigest(sha256(envelope.payload)) },
        publicKey: canonical,
      },
      checks: others.length === 0 ? [messageCheck(key, envelope.encoded, only!.signature)] : [],
      attestation: envelope.payload,
    };
  },
};

export const intoto2Request: ProposedForm = {
  kind: "intoto",
  version: "0.0.2",
  admit(spec) {
    const content = spec.object("content");
    const { canonical: hash } = readRequestDigest(content.object("hash"));
    const envelope = content.object("envelope");
    const payload = twiceLoose(envelope, "payload");
    const payloadType = envelope.string("payloadType");
    if (payloadType === "") throw refused("envelope has no payload type");
    const message = pae(payloadType, payload);
    const checks: SignatureCheck[] = [];
    const signatures = envelope.objects(MAX_REQUEST_SIGNATURES, "signatures").map((item): Json => {
      const signature = twiceLoose(item, "sig");
      const { key, canonical } = readRequestPem(requiredBytes(item, "publicKey"));
      checks.push(messageCheck(key, message, signature));
      const keyid = item.optionalString("keyid") ?? "";
      return { ...(keyid === "" ? {} : { keyid }), publicKey: canonical, sig: toBase64(requiredBytes(item, "sig")) };
    });
    if (checks.length === 0) throw refused("envelope has no signature");
    return {
      spec: { content: { envelope: { payloadType, signatures }, hash, payloadHash: hexDigest(sha256(payload)) } },
      checks,
      attestation: payload,
    };
  },
};

// What is in base64 of base64; the inner one in any spelling.
function twiceLoose(object: JsonObject, name: string): Uint8Array {
  return fromLooseBase64(text(requiredBytes(object, name)));
}
