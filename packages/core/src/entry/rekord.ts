// SPDX-License-Identifier: Apache-2.0
/**
 * rekord 0.0.1 (Rekor v1): a signature over an artifact that travels with the request. The artifact is hashed, the
 * signature checked over it, and only the digest is logged. What rekor-cli uploads unless told otherwise.
 *
 * Upstream knows four formats of keys and signatures; taken here is `x509` (PEM keys and certificates, bare signatures),
 * the only one that Sigstore's own clients write. The others are refused by name.
 */
import { equalBytes, toBase64, toHex } from "../bytes/index.ts";
import { sha256 } from "../crypto/index.ts";
import { refused, requiredBytes } from "./admit.ts";
import { readHexDigest, readPemVerifier, type EntryForm } from "./facts.ts";
import { hexDigest, messageCheck, readRequestDigest, readRequestPem, type ProposedForm } from "./proposed.ts";

export const rekord1: EntryForm = {
  kind: "rekord",
  version: "0.0.1",
  decode(spec) {
    spec.refuseUnknown(["data", "signature"]);
    const data = spec.object("data");
    data.refuseUnknown(["hash"]);
    const signature = spec.object("signature");
    signature.refuseUnknown(["content", "format", "publicKey"]);
    checkFormat(signature.string("format"));
    return {
      digest: readHexDigest(data.object("hash")),
      payloadHash: undefined,
      payloadType: undefined,
      signatures: [
        {
          signature: signature.bytes("content"),
          verifier: readPemVerifier(signature.object("publicKey").bytes("content")),
          keyDetails: undefined,
        },
      ],
    };
  },
};

export const rekord1Request: ProposedForm = {
  kind: "rekord",
  version: "0.0.1",
  admit(spec) {
    const holder = spec.object("signature");
    checkFormat(holder.string("format"));
    const signature = requiredBytes(holder, "content");
    const { key, canonical } = readRequestPem(requiredBytes(holder.object("publicKey"), "content"));
    const data = spec.object("data");
    const content = requiredBytes(data, "content");
    const digest = sha256(content);
    const stated = data.optionalObject("hash");
    if (stated !== undefined && !equalBytes(readRequestDigest(stated).value, digest)) {
      throw refused("data.hash is not the SHA-256 of data.content", { expected: toHex(digest) });
    }
    return {
      spec: {
        data: { hash: hexDigest(digest) },
        signature: { content: toBase64(signature), format: "x509", publicKey: { content: canonical } },
      },
      checks: [messageCheck(key, content, signature)],
    };
  },
};

function checkFormat(format: string): void {
  if (format !== "x509")
    throw refused("signatures of this format are not logged here", { expected: "x509", found: format.slice(0, 40) });
}
