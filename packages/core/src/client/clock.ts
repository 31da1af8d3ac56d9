// SPDX-License-Identifier: Apache-2.0
/**
 * Client of a timestamp authority: RFC 3161 over HTTP (section 3.4), a DER query by POST, status 200 or 201.
 *
 * The address is the whole one of the signing config, path included; nothing is appended. The query asks for SHA-256
 * over the octets to be dated, with a nonce and without certificates: verifiers take those from the trusted root.
 */
import { equalBytes } from "../bytes/index.ts";
import { random, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeTimestampResponse, encodeTimestampRequest, type MessageImprint } from "../x509/index.ts";
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

/** A client of the timestamp authority at `options.url`, which is the full address to post to. */
export function createClockClient(options: ClientOptions): ClockClient {
  return {
    url: options.url,
    async timestamp(signature) {
      const imprint: MessageImprint = { hash: "sha256", digest: sha256(signature) };
      const nonce = createNonce();
      const answer = await exchange(options, {
        path: "",
        method: "POST",
        headers: { "content-type": "application/timestamp-query", accept: "application/timestamp-reply" },
        body: encodeTimestampRequest({ imprint, nonce }),
        success: [200, 201],
        service: SERVICE,
      });
      decodeAnswer(SERVICE, () => checkReply(answer, imprint, nonce));
      return answer;
    },
  };
}

/** Content octets of a positive INTEGER of eight octets in its shortest form. */
function createNonce(): Uint8Array {
  const octets = random(8);
  octets[0] = (octets[0]! & 0x7f) | 0x40;
  return octets;
}

function checkReply(reply: Uint8Array, imprint: MessageImprint, nonce: Uint8Array): void {
  const { info } = decodeTimestampResponse(reply);
  if (info.imprint.hash !== imprint.hash || !equalBytes(info.imprint.digest, imprint.digest)) {
    throw new LacreError("TIMESTAMP_INVALID", "the timestamp is over something else than was sent");
  }
  if (info.nonce === undefined || !equalBytes(info.nonce, nonce)) {
    throw new LacreError("TIMESTAMP_INVALID", "the timestamp does not carry the nonce that was sent");
  }
}
