// SPDX-License-Identifier: Apache-2.0
/**
 * hashedrekord: a signature over a digest, with the certificate or key that verifies it.
 *
 * 0.0.1 (Rekor v1): digest in hexadecimal, verifier in PEM. Request and entry have the same members.
 * 0.0.2 (Rekor v2): members of `dev.sigstore.rekor.v2.HashedRekordLogEntryV002`. The digest is of the artifact, or of an
 * envelope's pre-authentication encoding; nothing in the entry tells the two apart. The hash is the one of the algorithm.
 */
import { protoHashName } from "../bundle/index.ts";
import { toBase64, utf8 } from "../bytes/index.ts";
import { DIGEST_LENGTH } from "../crypto/index.ts";
import {
  boundedBody,
  DIGEST_ALGORITHMS,
  readVerifier,
  refused,
  requiredBytes,
  type RequestForm,
  type RequestVerifier,
} from "./admit.ts";
import { readHexDigest, readPemVerifier, readProtoDigest, readProtoVerifier, type EntryForm } from "./facts.ts";
import { digestAlgorithm, readRequestDigest, readRequestPem, type ProposedForm } from "./proposed.ts";

export const hashedrekord1: EntryForm = {
  kind: "hashedrekord",
  version: "0.0.1",
  decode(spec) {
    spec.refuseUnknown(["data", "signature"]);
    const data = spec.object("data");
    data.refuseUnknown(["hash"]);
    const signature = spec.object("signature");
    signature.refuseUnknown(["content", "publicKey"]);
    const publicKey = signature.object("publicKey");
    publicKey.refuseUnknown(["content"]);
    return {
      digest: readHexDigest(data.object("hash")),
      payloadHash: undefined,
      payloadType: undefined,
      signatures: [
        { signature: signature.bytes("content"), verifier: readPemVerifier(publicKey.bytes("content")), keyDetails: undefined },
      ],
    };
  },
};

export const hashedrekord2: EntryForm = {
  kind: "hashedrekord",
  version: "0.0.2",
  decode(spec) {
    spec.refuseUnknown(["hashedRekordV002"]);
    const entry = spec.object("hashedRekordV002");
    entry.refuseUnknown(["data", "signature"]);
    const signature = entry.object("signature");
    signature.refuseUnknown(["content", "verifier"]);
    return {
      digest: readProtoDigest(entry.object("data")),
      payloadHash: undefined,
      payloadType: undefined,
      signatures: [{ signature: signature.bytes("content"), ...readProtoVerifier(signature.object("verifier")) }],
    };
  },
};

export const hashedrekord1Request: ProposedForm = {
  kind: "hashedrekord",
  version: "0.0.1",
  admit(spec) {
    const digest = readRequestDigest(spec.object("data").object("hash"));
    const holder = spec.object("signature");
    const signature = requiredBytes(holder, "content");
    const { key, canonical, verifier } = readRequestPem(requiredBytes(holder.object("publicKey"), "content"));
    return {
      facts: {
        digest: { algorithm: digest.algorithm, value: digest.value },
        payloadHash: undefined,
        payloadType: undefined,
        signatures: [{ signature, verifier, keyDetails: undefined }],
      },
      spec: { data: { hash: digest.canonical }, signature: { content: toBase64(signature), publicKey: { content: canonical } } },
      checks: [{ algorithm: digestAlgorithm(key, digest.algorithm), key, signed: { digest: digest.value }, signature }],
    };
  },
};

/** Algorithms that sign a digest, and so can be checked without the artifact. */
const PERMITTED: readonly string[] = [...DIGEST_ALGORITHMS, "PKIX_ED25519_PH"];

export const hashedrekordRequest: RequestForm = {
  member: "hashedRekordRequestV002",
  alias: "hashed_rekord_request_v002",
  admit(request) {
    request.refuseUnknown(["digest", "signature"]);
    const digest = request.looseBytes("digest");
    const holder = request.object("signature");
    holder.refuseUnknown(["content", "verifier"]);
    const signature = requiredBytes(holder, "content");
    const by = readVerifier(holder.object("verifier"), PERMITTED);
    const { algorithm, key, verifier } = by;
    const expected = DIGEST_LENGTH[algorithm.hash];
    if (digest.length !== expected) {
      throw refused("digest has the wrong length for the algorithm", {
        expected: `${expected} octets (${algorithm.hash})`,
        found: `${digest.length}`,
      });
    }
    return {
      kind: hashedrekord2.kind,
      version: hashedrekord2.version,
      body: boundedBody(hashedrekordBody(digest, signature, by)),
      checks: [{ algorithm, key, signed: { digest }, signature }],
      facts: {
        kind: hashedrekord2.kind,
        version: hashedrekord2.version,
        digest: { algorithm: algorithm.hash, value: digest },
        payloadHash: undefined,
        payloadType: undefined,
        signatures: [{ signature, verifier, keyDetails: algorithm.keyDetails }],
      },
    };
  },
};

// The canonical JSON (RFC 8785) by a template, several times faster than a general writer. Every part is base64 or a name
// of a table, so that nothing needs escapes; a test holds it against `canonicalJson`.
function hashedrekordBody(digest: Uint8Array, signature: Uint8Array, { algorithm, canonical }: RequestVerifier): Uint8Array {
  const data = `{"algorithm":"${protoHashName(algorithm.hash)}","digest":"${toBase64(digest)}"}`;
  const signed = `{"content":"${toBase64(signature)}","verifier":${canonical}}`;
  return utf8(`{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":${data},"signature":${signed}}}}`);
}
