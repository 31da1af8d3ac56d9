// SPDX-License-Identifier: Apache-2.0
/**
 * intoto: attestations as older clients logged them in Rekor v1. Read only.
 *
 * 0.0.1: hashes of envelope and payload, and the key. The signature is not recorded, so such an entry cannot be tied to a
 * bundle: it can be shown, not relied on.
 * 0.0.2: the envelope, its payload mostly removed. Payload and signatures are base64 of what the envelope holds, which is
 * base64 already. `hash` covers the client's own spelling of the envelope and is never compared.
 */
import { equalBytes, fromBase64, text } from "../bytes/index.ts";
import type { JsonObject } from "../codec/index.ts";
import { hash } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { MAX_SIGNATURES, readHexDigest, readPemVerifier, type EntryForm } from "./facts.ts";

export const intoto1: EntryForm = {
  kind: "intoto",
  version: "0.0.1",
  decode(spec) {
    spec.refuseUnknown(["content", "publicKey"]);
    const content = spec.object("content");
    content.refuseUnknown(["hash", "payloadHash"]);
    readHexDigest(content.object("hash"));
    return {
      digest: undefined,
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
    readHexDigest(content.object("hash"));
    const payloadHash = readHexDigest(content.object("payloadHash"));
    const envelope = content.object("envelope");
    envelope.refuseUnknown(["payload", "payloadType", "signatures"]);
    if (envelope.has("payload") && !equalBytes(hash(payloadHash.algorithm, twiceDecoded(envelope, "payload")), payloadHash.value)) {
      throw new LacreError("ENTRY_INVALID", "payload and payload hash of an entry differ");
    }
    return {
      digest: undefined,
      payloadHash,
      payloadType: envelope.string("payloadType"),
      signatures: envelope.objects(MAX_SIGNATURES, "signatures").map((item) => {
        item.refuseUnknown(["keyid", "publicKey", "sig"]);
        return { signature: twiceDecoded(item, "sig"), verifier: readPemVerifier(item.bytes("publicKey")), keyDetails: undefined };
      }),
    };
  },
};

function twiceDecoded(object: JsonObject, name: string): Uint8Array {
  return fromBase64(text(object.bytes(name)));
}
