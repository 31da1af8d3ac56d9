// SPDX-License-Identifier: Apache-2.0
/**
 * A fetch for issuers with a `ca-cert`: TLS is verified against that certificate alone, the machine's own roots are not
 * asked. Reads only, follows nothing, and gives up on answers beyond its limit.
 */
import { request } from "node:https";
import type { Fetch } from "@lacre/core/client";

const MAX_BYTES = 256 * 1024;

/** A fetch that trusts the authorities in this PEM text and nobody else. */
export function createAnchoredFetch(caCert: string): Fetch {
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      if (!url.startsWith("https://")) {
        reject(new Error("an issuer with a ca-cert is asked over https only"));
        return;
      }
      const call = request(
        url,
        { method: "GET", ca: caCert, headers: { ...init.headers }, signal: init.signal as AbortSignal, agent: false },
        (answer) => {
          const chunks: Buffer[] = [];
          let length = 0;
          answer.on("data", (chunk: Buffer) => {
            chunks.push(chunk);
            length += chunk.length;
            if (length > MAX_BYTES) answer.destroy(new Error("the answer is too large"));
          });
          answer.on("error", reject);
          answer.on("end", () =>
            resolve({
              status: answer.statusCode ?? 0,
              headers: { get: (name) => [answer.headers[name.toLowerCase()] ?? []].flat().join(", ") || null },
              arrayBuffer: async () => new Uint8Array(Buffer.concat(chunks)).buffer,
            }),
          );
        },
      );
      call.on("error", reject);
      call.end();
    });
}
