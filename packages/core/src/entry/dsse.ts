// SPDX-License-Identifier: Apache-2.0
/**
 * dsse: the signatures of an envelope, with the hash of its payload. The payload itself is not logged.
 *
 * 0.0.1 (Rekor v1): hashes in hexadecimal, verifiers in PEM. `envelopeHash` covers the client's own spelling of the
 * envelope, which nobody keeps: it is read and never compared.
 * 0.0.2 (Rekor v2): members of `dev.sigstore.rekor.v2.DSSELogEntryV002`, signatures sorted by their octets. Newer
 * clients log attestations as hashedrekord; this form is taken for those that do not.
 */
import { compareBytes, equalBytes, toBase64, utf8 } from "../bytes/index.ts";
import { pae, type JsonObject } from "../codec/index.ts";
import { checkSignature, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { boundedBody, readVerifier, refused, requiredBytes, type RequestForm, type RequestVerifier, type SignatureCheck } from "./admit.ts";
import { MAX_SIGNATURES, readHexDigest, readPemVerifier, readProtoDigest, readProtoVerifier, type EntryForm } from "./facts.ts";

export const dsse1: EntryForm = {
  kind: "dsse",
  version: "0.0.1",
  decode(spec) {
    spec.refuseUnknown(["envelopeHash", "payloadHash", "signatures"]);
    readHexDigest(spec.object("envelopeHash"));
    return {
      digest: undefined,
      payloadHash: readHexDigest(spec.object("payloadHash")),
      payloadType: undefined,
      signatures: spec.objects(MAX_SIGNATURES, "signatures").map((item) => {
        item.refuseUnknown(["signature", "verifier"]);
        return { signature: item.bytes("signature"), verifier: readPemVerifier(item.bytes("verifier")), keyDetails: undefined };
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

/** The encoding that is signed is at hand, so pure Ed25519 can be checked too; the prehashed one is not used for envelopes. */
const PERMITTED: readonly string[] = [
  "PKIX_ECDSA_P256_SHA_256", "PKIX_ECDSA_P384_SHA_384", "PKIX_ECDSA_P521_SHA_512",
  "PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PKCS1V15_3072_SHA256", "PKIX_RSA_PKCS1V15_4096_SHA256", "PKIX_ED25519",
];

const MAX_REQUEST_SIGNATURES = 10;
const MAX_REQUEST_VERIFIERS = 10;

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
    if (signatures.length === 0) throw refused("envelope has no signature");
    if (verifiers.length === 0) throw refused("request has no verifier");
    if (signatures.some((one, i) => signatures.findIndex((other) => equalBytes(one, other)) !== i)) throw refused("envelope has the same signature twice");
    const message = pae(payloadType, payload);
    const [only, ...others] = verifiers as [RequestVerifier, ...RequestVerifier[]];
    const pairs = others.length === 0 ? signatures.map((signature): Pair => ({ signature, verifier: only })) : assign(signatures, verifiers, message);
    return {
      kind: dsse2.kind,
      version: dsse2.version,
      body: boundedBody(dsseBody(sha256(payload), pairs)),
      // With one verifier it is plain who should verify what; with several it took the checks themselves to find out.
      checks: others.length === 0 ? pairs.map((pair) => check(pair, message)) : [],
    };
  },
};

interface Pair {
  readonly signature: Uint8Array;
  readonly verifier: RequestVerifier;
}

function check({ signature, verifier: { algorithm, key } }: Pair, message: Uint8Array): SignatureCheck {
  return { algorithm, key, signed: { message }, signature };
}

function readSignature(signature: JsonObject): Uint8Array {
  signature.refuseUnknown(["sig", "keyid"]);
  signature.optionalString("keyid");
  return requiredBytes(signature, "sig");
}

// Finds for each signature the verifier that verifies it. Verifiers are tried in order until every signature is covered;
// one that is tried and verifies nothing new refuses the request, as upstream's ledger has it.
function assign(signatures: readonly Uint8Array[], verifiers: readonly RequestVerifier[], message: Uint8Array): Pair[] {
  const pairs: Pair[] = [];
  let open = [...signatures];
  for (const verifier of verifiers) {
    if (open.length === 0) break;
    const left = open.filter((signature) => {
      const pair = { signature, verifier };
      if (!verifies(check(pair, message))) return true;
      pairs.push(pair);
      return false;
    });
    if (left.length === open.length) throw refused("a verifier verifies no signature of the envelope");
    open = left;
  }
  if (open.length > 0) throw refused("a signature of the envelope is verified by no verifier");
  return pairs;
}

function verifies({ algorithm, key, signed, signature }: SignatureCheck): boolean {
  try {
    checkSignature(algorithm, key, signed, signature);
    return true;
  } catch (error) {
    if (error instanceof LacreError && error.code === "SIGNATURE_INVALID") return false;
    throw error;
  }
}

// The canonical JSON (RFC 8785) by a template; see hashedrekord.ts.
function dsseBody(payloadHash: Uint8Array, pairs: readonly Pair[]): Uint8Array {
  const items = pairs
    .toSorted((a, b) => compareBytes(a.signature, b.signature))
    .map(({ signature, verifier }) => `{"content":"${toBase64(signature)}","verifier":${verifier.canonical}}`);
  const hash = `{"algorithm":"SHA2_256","digest":"${toBase64(payloadHash)}"}`;
  return utf8(`{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{"payloadHash":${hash},"signatures":[${items.join(",")}]}}}`);
}
