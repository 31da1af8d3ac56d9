// SPDX-License-Identifier: Apache-2.0
/**
 * Client of a timestamp authority: RFC 3161 over HTTP (section 3.4), a DER query by POST, status 200 or 201.
 *
 * The address is the whole one of the signing config, path included; nothing is appended. The query asks for SHA-256
 * over the octets to be dated, with a nonce and without certificates: verifiers take those from the trusted root.
 */
import { equalBytes } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { random, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { type ClientOptions, decodeAnswer, exchange } from "./request.ts";

export interface ClockClient {
  readonly url: string;
  /**
   * The DER TimeStampResp for these octets (for a seal: the raw signature). Its status, imprint and nonce are checked
   * here, its signature by whoever trusts a clock. Throws SERVICE_REFUSED, SERVICE_UNREACHABLE, SERVICE_ANSWER_INVALID.
   */
  timestamp(signature: Uint8Array): Promise<Uint8Array>;
}

const SERVICE = "the timestamp authority";
const SHA256_OID = "2.16.840.1.101.3.4.2.1";

/** A client of the timestamp authority at `options.url`, which is the full address to post to. */
export function createClockClient(options: ClientOptions): ClockClient {
  return {
    url: options.url,
    async timestamp(signature) {
      const imprint = der.sequence(der.sequence(der.oid(SHA256_OID), der.nil()), der.octets(sha256(signature)));
      const nonce = der.integer(positive(random(8)));
      const answer = await exchange(options, {
        path: "",
        method: "POST",
        headers: { "content-type": "application/timestamp-query", accept: "application/timestamp-reply" },
        body: der.sequence(der.integer(1), imprint, nonce),
        success: [200, 201],
        service: SERVICE,
      });
      decodeAnswer(SERVICE, () => checkReply(answer, imprint, nonce));
      return answer;
    },
  };
}

/** The octets as an unsigned number with its top bit clear, so that its DER never grows. */
function positive(octets: Uint8Array): bigint {
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n) & ((1n << 63n) - 1n);
}

/**
 * Walks TimeStampResp → ContentInfo → SignedData → TSTInfo far enough to see that this is an answer to our query: status
 * granted, our imprint, our nonce. RFC 3161 section 2.4.2, RFC 5652 sections 3, 5.1, 5.2.
 */
function checkReply(reply: Uint8Array, imprint: Uint8Array, nonce: Uint8Array): void {
  const response = der.openDer(reply);
  const status = der.readSmall(response.enter().next(der.TAG.integer));
  if (status > 1) throw new LacreError("BAD_DER", "the timestamp was not granted", { expected: "status 0 or 1", found: `status ${status}` });
  const contentInfo = response.enter();
  contentInfo.next(der.TAG.oid);
  const signedData = contentInfo.enter(der.contextTag(0)).enter();
  signedData.next(der.TAG.integer);
  signedData.next(der.TAG.set);
  const encapsulated = signedData.enter();
  encapsulated.next(der.TAG.oid);
  const info = der.openDer(der.readOctets(encapsulated.enter(der.contextTag(0)).next(der.TAG.octetString)));
  info.next(der.TAG.integer);
  info.next(der.TAG.oid);
  if (!equalBytes(info.next(der.TAG.sequence).whole, imprint)) {
    throw new LacreError("BAD_DER", "the timestamp is over something else than was sent");
  }
  let found = false;
  while (!info.done) found = equalBytes(info.next().whole, nonce) || found;
  if (!found) throw new LacreError("BAD_DER", "the timestamp does not carry the nonce that was sent");
}
