// SPDX-License-Identifier: Apache-2.0
/**
 * dsse: the signatures of an envelope, with the hash of its payload. The payload itself is not logged.
 *
 * 0.0.1 (Rekor v1): hashes in hexadecimal, verifiers in PEM, signatures sorted by their text. `envelopeHash` covers the
 * client's own spelling of the envelope, which nobody keeps: it is read and never compared. A request has the envelope's
 * text and the verifiers under `proposedContent`.
 * 0.0.2 (Rekor v2): members of `dev.sigstore.rekor.v2.DSSELogEntryV002`, signatures sorted by their octets. Newer
 * clients log attestations as hashedrekord; this form is taken for those that do not.
 */
import { compareBytes, fromBase64, toBase64, utf8 } from "../bytes/index.ts";
import { pae, type JsonObject } from "../codec/index.ts";
import { sha256 } from "../crypto/index.ts";
import {
  boundedBody,
  DIGEST_ALGORITHMS,
  readVerifier,
  refused,
  requiredBytes,
  type RequestForm,
  type RequestVerifier,
  type SignatureCheck,
} from "./admit.ts";
import {
  assignSignatures,
  checkDistinct,
  MAX_REQUEST_SIGNATURES,
  MAX_REQUEST_VERIFIERS,
  parseEnvelope,
  verifies,
  type EnvelopeSignature,
  type Pair,
} from "./envelope.ts";
import { MAX_SIGNATURES, readHexDigest, readPemVerifier, readProtoDigest, readProtoVerifier, type EntryForm } from "./facts.ts";
import { hexDigest, messageCheck, readRequestPem, signedMessage, type PemVerifier, type ProposedForm } from "./proposed.ts";

export const dsse1: EntryForm = {
  kind: "dsse",
  version: "0.0.1",
  decode(spec) {
    spec.refuseUnknown(["envelopeHash", "payloadHash", "signatures"]);
    return {
      digest: undefined,
      envelopeHash: readHexDigest(spec.object("envelopeHash")),
      payloadHash: readHexDigest(spec.object("payloadHash")),
      payloadType: undefined,
      signatures: spec.objects(MAX_SIGNATURES, "signatures").map((item) => {
        item.refuseUnknown(["signature", "verifier"]);
        // As the envelope spelled it, which may be the URL-safe way.
        return {
          signature: item.looseBytes("signature"),
          verifier: readPemVerifier(item.bytes("verifier")),
          keyDetails: undefined,
        };
      }),
    };
  },
};

export const dsse2: EntryForm = {
  kind: "dsse",
  version: "0.0.2",
  decode(spec) {
    spec.refuseUnknown(["dsseV002"]);
    const entry = spec.object("dsseV002");
    entry.refuseUnknown(["payloadHash", "signatures"]);
    return {
      digest: undefined,
      payloadHash: readProtoDigest(entry.object("payloadHash")),
      payloadType: undefined,
      signatures: entry.objects(MAX_SIGNATURES, "signatures").map((item) => {
        item.refuseUnknown(["content", "verifier"]);
        return { signature: item.bytes("content"), ...readProtoVerifier(item.object("verifier")) };
      }),
    };
  },
};

export const dsse1Request: ProposedForm = {
  kind: "dsse",
  version: "0.0.1",
  admit(spec) {
    for (const member of ["envelopeHash", "payloadHash", "signatures"]) {
      if (spec.has(member)) throw refused(`either proposedContent or ${member} must be present but not both`);
    }
    const proposed = spec.object("proposedContent");
    const text = proposed.string("envelope");
    const envelope = parseEnvelope(text);
    const verifiers = proposed.strings(MAX_REQUEST_VERIFIERS, "verifiers").map((pem) => readRequestPem(fromBase64(pem)));
    const [only, ...others] = verifiers;
    if (only === undefined) throw refused("request has no verifier");
    const pairs =
      others.length === 0
        ? envelope.signatures.map((signature) => ({ signature, verifier: only }))
        : assignSignatures(envelope.signatures, verifiers, ({ signature }, { key }) =>
            signedMessage(key, envelope.encoded, signature),
          );
    const [envelopeHash, payloadHash] = [sha256(utf8(text)), sha256(envelope.payload)];
    const sorted = pairs.toSorted((a, b) => compareBytes(utf8(a.signature.spelled), utf8(b.signature.spelled)));
    return {
      facts: {
        digest: undefined,
        payloadHash: { algorithm: "sha256", value: payloadHash },
        envelopeHash: { algorithm: "sha256", value: envelopeHash },
        payloadType: undefined,
        signatures: sorted.map(({ signature, verifier }) => ({
          signature: signature.signature,
          verifier: verifier.verifier,
          keyDetails: undefined,
        })),
      },
      spec: {
        envelopeHash: hexDigest(envelopeHash),
        payloadHash: hexDigest(payloadHash),
        signatures: sorted.map(({ signature, verifier }) => ({ signature: signature.spelled, verifier: verifier.canonical })),
      },
      checks: others.length === 0 ? pairs.map((pair) => checkText(pair, envelope.encoded)) : [],
    };
  },
};

function checkText({ signature, verifier }: Pair<EnvelopeSignature, PemVerifier>, message: Uint8Array): SignatureCheck {
  return messageCheck(verifier.key, message, signature.signature);
}

/** The encoding that is signed is at hand, so pure Ed25519 can be checked too; the prehashed one is not used for envelopes. */
const PERMITTED: readonly string[] = [...DIGEST_ALGORITHMS, "PKIX_ED25519"];

export const dsseRequest: RequestForm = {
  member: "dsseRequestV002",
  alias: "dsse_request_v002",
  admit(request) {
    request.refuseUnknown(["envelope", "verifiers"]);
    const envelope = request.object("envelope");
    envelope.refuseUnknown(["payload", "payloadType", "payload_type", "signatures"]);
    const payload = requiredBytes(envelope, "payload");
    const payloadType = envelope.string("payloadType", "payload_type");
    if (payloadType === "") throw refused("envelope has no payload type");
    const signatures = envelope.objects(MAX_REQUEST_SIGNATURES, "signatures").map(readSignature);
    const verifiers = request.objects(MAX_REQUEST_VERIFIERS, "verifiers").map((verifier) => readVerifier(verifier, PERMITTED));
    checkDistinct(signatures.map((signature) => ({ signature })));
    const message = pae(payloadType, payload);
    const [only, ...others] = verifiers;
    if (only === undefined) throw refused("request has no verifier");
    const pairs =
      others.length === 0
        ? signatures.map((signature) => ({ signature, verifier: only }))
        : assignSignatures(signatures, verifiers, (signature, verifier) => verifies(check({ signature, verifier }, message)));
    const payloadHash = sha256(payload);
    const sorted = pairs.toSorted((a, b) => compareBytes(a.signature, b.signature));
    return {
      kind: dsse2.kind,
      version: dsse2.version,
      body: boundedBody(dsseBody(payloadHash, sorted)),
      facts: {
        kind: dsse2.kind,
        version: dsse2.version,
        digest: undefined,
        payloadHash: { algorithm: "sha256", value: payloadHash },
        payloadType: undefined,
        signatures: sorted.map(({ signature, verifier }) => ({
          signature,
          verifier: verifier.verifier,
          keyDetails: verifier.algorithm.keyDetails,
        })),
      },
      // With one verifier it is plain who should verify what; with several it took the checks themselves to find out.
      checks: others.length === 0 ? pairs.map((pair) => check(pair, message)) : [],
    };
  },
};

function check(
  { signature, verifier: { algorithm, key } }: Pair<Uint8Array, RequestVerifier>,
  message: Uint8Array,
): SignatureCheck {
  return { algorithm, key, signed: { message }, signature };
}

function readSignature(signature: JsonObject): Uint8Array {
  signature.refuseUnknown(["sig", "keyid"]);
  signature.optionalString("keyid");
  return requiredBytes(signature, "sig");
}

// The canonical JSON (RFC 8785) by a template; see hashedrekord.ts.
function dsseBody(payloadHash: Uint8Array, pairs: readonly Pair<Uint8Array, RequestVerifier>[]): Uint8Array {
  const items = pairs.map(({ signature, verifier }) => `{"content":"${toBase64(signature)}","verifier":${verifier.canonical}}`);
  const hash = `{"algorithm":"SHA2_256","digest":"${toBase64(payloadHash)}"}`;
  return utf8(
    `{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{"payloadHash":${hash},"signatures":[${items.join(",")}]}}}`,
  );
}
