// SPDX-License-Identifier: Apache-2.0
/**
 * Reading an entry by writing it: for the common kinds, what a bundle holds and two digests are the whole of its entry's
 * canonical body. So the body that is expected is written, its digests copied from the body at hand, and the two are
 * compared as text. Equal text has equal facts; these come from the bundle, and nothing is parsed.
 *
 * This decides nothing. A body that is spelled in any other way, or is of another signature or certificate, is read by
 * its kind (`table.ts`), and what follows from that is said there. A test holds both ways against one another.
 */
import type { BundleContent } from "../bundle/index.ts";
import { fromBase64, fromHex, text, toBase64, utf8 } from "../bytes/index.ts";
import { formatPem } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import type { EntryFacts } from "./facts.ts";

/** What the bundle holds that its entry should record. */
export interface ExpectedEntry {
  readonly content: Pick<BundleContent, "signature">;
  /** The leaf certificate, DER. */
  readonly certificate: Uint8Array;
}

const HEX = 64;
const HEX_DIGEST = /^[0-9a-f]{64}$/;
/** Base64 of 32 octets. */
const BASE64 = 44;
const KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256";

/** The facts of a body that is exactly the expected one; undefined for every other. */
export function readExpected(
  body: Uint8Array,
  kind: string,
  version: string,
  { content: { signature }, certificate }: ExpectedEntry,
): EntryFacts | undefined {
  const form = FORMS[`${kind} ${version}`];
  if (form === undefined) return undefined;
  try {
    return form(text(body), signature, certificate);
  } catch (error) {
    // Not UTF-8, or a digest that is none.
    if (error instanceof LacreError) return undefined;
    throw error;
  }
}

type Form = (body: string, signature: Uint8Array, certificate: Uint8Array) => EntryFacts | undefined;

// Nothing below needs escapes: hexadecimal, base64 and names of tables.
const FORMS: Readonly<Record<string, Form | undefined>> = {
  "hashedrekord 0.0.1"(body, signature, certificate) {
    const head = '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"';
    const digest = body.slice(head.length, head.length + HEX);
    const tail = `"}},"signature":{"content":"${toBase64(signature)}","publicKey":{"content":"${pemText(certificate)}"}}}}`;
    if (body !== head + digest + tail || !HEX_DIGEST.test(digest)) return undefined;
    return {
      kind: "hashedrekord",
      version: "0.0.1",
      digest: { algorithm: "sha256", value: fromHex(digest) },
      payloadHash: undefined,
      payloadType: undefined,
      signatures: [{ signature, verifier: { kind: "certificate", der: certificate }, keyDetails: undefined }],
    };
  },
  "hashedrekord 0.0.2"(body, signature, certificate) {
    const head =
      '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"';
    const digest = body.slice(head.length, head.length + BASE64);
    const verifier = `{"keyDetails":"${KEY_DETAILS}","x509Certificate":{"rawBytes":"${toBase64(certificate)}"}}`;
    const tail = `"},"signature":{"content":"${toBase64(signature)}","verifier":${verifier}}}}}`;
    if (body !== head + digest + tail) return undefined;
    const value = fromBase64(digest);
    if (value.length !== 32) return undefined;
    return {
      kind: "hashedrekord",
      version: "0.0.2",
      digest: { algorithm: "sha256", value },
      payloadHash: undefined,
      payloadType: undefined,
      signatures: [{ signature, verifier: { kind: "certificate", der: certificate }, keyDetails: KEY_DETAILS }],
    };
  },
  "dsse 0.0.1"(body, signature, certificate) {
    const head = '{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"';
    const middle = '"},"payloadHash":{"algorithm":"sha256","value":"';
    const envelope = body.slice(head.length, head.length + HEX);
    const second = head.length + HEX + middle.length;
    const payload = body.slice(second, second + HEX);
    const tail = `"},"signatures":[{"signature":"${toBase64(signature)}","verifier":"${pemText(certificate)}"}]}}`;
    if (body !== head + envelope + middle + payload + tail) return undefined;
    if (!HEX_DIGEST.test(envelope) || !HEX_DIGEST.test(payload)) return undefined;
    return {
      kind: "dsse",
      version: "0.0.1",
      digest: undefined,
      envelopeHash: { algorithm: "sha256", value: fromHex(envelope) },
      payloadHash: { algorithm: "sha256", value: fromHex(payload) },
      payloadType: undefined,
      signatures: [{ signature, verifier: { kind: "certificate", der: certificate }, keyDetails: undefined }],
    };
  },
};

// Base64 of the certificate's PEM, as the v1 dialect writes it.
function pemText(certificate: Uint8Array): string {
  return toBase64(utf8(formatPem("CERTIFICATE", certificate)));
}
