// SPDX-License-Identifier: Apache-2.0
/**
 * Envelopes in requests: reading one that came as text, and finding out which of several keys made which signature.
 *
 * An envelope of the v1 dialect is JSON within JSON: the hash of its text is logged, so the text is taken as it came.
 * Payload and signatures are base64, standard or URL-safe, as DSSE allows; the spelling of a signature is kept, because
 * some kinds log it.
 */
import { equalBytes, fromBase64 } from "../bytes/index.ts";
import { JsonObject, pae, parseJson } from "../codec/index.ts";
import { checkSignature } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { refused, type SignatureCheck } from "./admit.ts";

/** Signatures of one envelope, and keys given for it, in one request. More would only cost. */
export const MAX_REQUEST_SIGNATURES = 10;
export const MAX_REQUEST_VERIFIERS = 10;

const MAX_DEPTH = 16;

/** One signature of an envelope. */
export interface EnvelopeSignature {
  readonly signature: Uint8Array;
  /** As it stood in the envelope. */
  readonly spelled: string;
}

/** An envelope, read. */
export interface Envelope {
  readonly payload: Uint8Array;
  readonly payloadType: string;
  readonly signatures: readonly EnvelopeSignature[];
  /** What was signed. */
  readonly encoded: Uint8Array;
}

/** Reads the text of an envelope. Unknown members are left aside. Throws ENTRY_REQUEST_INVALID and the codec's errors. */
export function parseEnvelope(text: string): Envelope {
  const envelope = new JsonObject(parseJson(text, { maxDepth: MAX_DEPTH }), "envelope");
  const payload = envelope.looseBytes("payload");
  const payloadType = envelope.string("payloadType");
  if (payloadType === "") throw refused("envelope has no payload type");
  const signatures = envelope.objects(MAX_REQUEST_SIGNATURES, "signatures").map((item): EnvelopeSignature => {
    const signature = item.looseBytes("sig");
    if (signature.length === 0) throw refused("envelope has an empty signature");
    return { signature, spelled: item.string("sig") };
  });
  checkDistinct(signatures);
  return { payload, payloadType, signatures, encoded: pae(payloadType, payload) };
}

/** One signature or more, none of them twice. Throws ENTRY_REQUEST_INVALID. */
export function checkDistinct(signatures: readonly { readonly signature: Uint8Array }[]): void {
  if (signatures.length === 0) throw refused("envelope has no signature");
  if (signatures.some((one, i) => signatures.findIndex((other) => equalBytes(one.signature, other.signature)) !== i)) {
    throw refused("envelope has the same signature twice");
  }
}

/** Octets from base64 in any spelling, standard or URL-safe, padded or not. Throws BAD_BASE64. */
export function fromLooseBase64(value: string): Uint8Array {
  const standard = value.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}

/** A signature and who made it. */
export interface Pair<S, V> {
  readonly signature: S;
  readonly verifier: V;
}

/**
 * Finds for each signature the verifier that verifies it. Verifiers are tried in order until every signature is covered;
 * one that is tried and verifies nothing new refuses the request, as upstream's ledger has it. Throws
 * ENTRY_REQUEST_INVALID.
 */
export function assignSignatures<S, V>(
  signatures: readonly S[],
  verifiers: readonly V[],
  fits: (signature: S, verifier: V) => boolean,
): Pair<S, V>[] {
  const pairs: Pair<S, V>[] = [];
  let open = [...signatures];
  for (const verifier of verifiers) {
    if (open.length === 0) break;
    const left = open.filter((signature) => {
      if (!fits(signature, verifier)) return true;
      pairs.push({ signature, verifier });
      return false;
    });
    if (left.length === open.length) throw refused("a verifier verifies no signature of the envelope");
    open = left;
  }
  if (open.length > 0) throw refused("a signature of the envelope is verified by no verifier");
  return pairs;
}

/** Whether a signature verifies, asked now. Other failures than a wrong signature are thrown. */
export function verifies({ algorithm, key, signed, signature }: SignatureCheck): boolean {
  try {
    checkSignature(algorithm, key, signed, signature);
    return true;
  } catch (error) {
    if (error instanceof LacreError && error.code === "SIGNATURE_INVALID") return false;
    throw error;
  }
}
