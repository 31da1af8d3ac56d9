// SPDX-License-Identifier: Apache-2.0
/**
 * Client of a ledger in the v2 dialect: Rekor's `POST /api/v2/log/entries` (status 201 exactly).
 *
 * A repeated entry is answered with the first one, so a retry after a lost answer is safe. An entry may wait for the
 * next checkpoint: the server is given 20 s and more to answer.
 */
import { type LogEntry, decodeLogEntry } from "../bundle/index.ts";
import { toBase64 } from "../bytes/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import type { HashName } from "../crypto/index.ts";
import { type ClientOptions, decodeAnswer, exchange } from "./request.ts";

/** Whose signature an entry records: a certificate or a bare key (SubjectPublicKeyInfo), both DER. */
export interface EntryVerifier {
  readonly kind: "certificate" | "publicKey";
  readonly der: Uint8Array;
  /** Name of the algorithm in the registry, `PKIX_ECDSA_P256_SHA_256`. */
  readonly keyDetails: string;
}

/** What a signer has in hand for the ledger. */
export interface LoggedSeal {
  /** What was signed: the digest of the artifact, or of the envelope's pre-authentication encoding. */
  readonly digest: { readonly algorithm: HashName; readonly value: Uint8Array };
  readonly signature: Uint8Array;
  readonly verifier: EntryVerifier;
  /** The envelope, for attestations. */
  readonly envelope: { readonly payload: Uint8Array; readonly payloadType: string; readonly keyid: string } | undefined;
}

export interface LedgerClient {
  readonly url: string;
  /** The request that logs a seal in this ledger's dialect, in the form that the dialect's current clients use. */
  requestFor(seal: LoggedSeal): object;
  /**
   * Logs an entry and returns it with its proof, decoded but not verified. `request` is the JSON body, one of
   * `hashedRekordRequest` and its kin. Throws SERVICE_REFUSED, SERVICE_UNREACHABLE, SERVICE_ANSWER_INVALID.
   */
  addEntry(request: object): Promise<LogEntry>;
}

const SERVICE = "the ledger";

/** A client of the ledger at `options.url`. */
export function createLedgerClient(options: ClientOptions): LedgerClient {
  return {
    url: options.url,
    requestFor: ({ digest, signature, verifier }) => hashedRekordRequest(digest.value, signature, verifier),
    async addEntry(request) {
      const answer = await exchange(options, {
        path: "api/v2/log/entries",
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(request),
        success: [201],
        service: SERVICE,
      });
      return decodeAnswer(SERVICE, () => decodeLogEntry(new JsonObject(parseJson(answer), "entry")));
    },
  };
}

/**
 * The request that logs a signature over a digest (kind hashedrekord 0.0.2). For an attestation the digest is that of
 * its pre-authentication encoding, as cosign 3.1 and later do.
 */
export function hashedRekordRequest(digest: Uint8Array, signature: Uint8Array, verifier: EntryVerifier): object {
  return {
    hashedRekordRequestV002: {
      digest: toBase64(digest),
      signature: { content: toBase64(signature), verifier: verifierJson(verifier) },
    },
  };
}

/** The request that logs a whole DSSE envelope (kind dsse 0.0.2), for the ledgers and clients that still want it. */
export function dsseRequest(
  payload: Uint8Array,
  payloadType: string,
  signature: Uint8Array,
  keyid: string,
  verifier: EntryVerifier,
): object {
  return {
    dsseRequestV002: {
      envelope: { payload: toBase64(payload), payloadType, signatures: [{ sig: toBase64(signature), keyid }] },
      verifiers: [verifierJson(verifier)],
    },
  };
}

function verifierJson(verifier: EntryVerifier): object {
  const rawBytes = toBase64(verifier.der);
  return { [verifier.kind === "certificate" ? "x509Certificate" : "publicKey"]: { rawBytes }, keyDetails: verifier.keyDetails };
}
