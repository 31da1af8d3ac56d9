// SPDX-License-Identifier: Apache-2.0
/**
 * Client of a certificate transparency log: RFC 6962 section 4.2, `add-pre-chain`. Used by authorities, which must show a
 * log what they are about to certify.
 */
import { ByteWriter, toBase64 } from "../bytes/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { decodeSct, type Sct } from "../x509/index.ts";
import { type ClientOptions, decodeAnswer, exchange } from "./request.ts";

export interface CtClient {
  readonly url: string;
  /**
   * Logs a precertificate with its issuers, DER, precertificate first, and returns the log's promise, decoded but not
   * verified. Throws SERVICE_REFUSED, SERVICE_UNREACHABLE, SERVICE_ANSWER_INVALID.
   */
  addPreChain(chain: readonly Uint8Array[]): Promise<Sct>;
}

const SERVICE = "the certificate log";

/** A client of the CT log whose API is at `<options.url>/ct/v1/`. */
export function createCtClient(options: ClientOptions): CtClient {
  return {
    url: options.url,
    async addPreChain(chain) {
      const answer = await exchange(options, {
        path: "ct/v1/add-pre-chain",
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify({ chain: chain.map(toBase64) }),
        success: [200],
        service: SERVICE,
      });
      return decodeAnswer(SERVICE, () => decodeSct(serialize(answer)));
    },
  };
}

/** The JSON form of an SCT (RFC 6962 section 4.1) as the SignedCertificateTimestamp structure (section 3.2). */
function serialize(answer: Uint8Array): Uint8Array {
  const promise = new JsonObject(parseJson(answer), "add-pre-chain");
  const version = promise.int64("sct_version");
  const id = promise.bytes("id");
  if (version !== 0n || id.length !== 32) {
    throw new LacreError("BAD_JSON", "not an SCT of version 1", {
      expected: "sct_version 0, id of 32 octets",
      found: `${version}, ${id.length} octets`,
    });
  }
  return new ByteWriter()
    .uint(1, 0)
    .put(id)
    .uint64(promise.int64("timestamp"))
    .vector(2, promise.optionalBytes("extensions") ?? new Uint8Array(0))
    .put(promise.bytes("signature"))
    .finish();
}
