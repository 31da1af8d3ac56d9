// SPDX-License-Identifier: Apache-2.0
/** RFC 3161 requests, as the library reads them. */
import { decodeTimestampRequest, encodeTimestampRequest } from "../packages/core/src/x509/index.ts";

export const name = "timestamp-request";

const imprint = { hash: "sha256", digest: new Uint8Array(32).fill(7) } as const;

/** As cosign sends it, as gitsign does, with a policy and a long hash. */
export const seeds: Uint8Array[] = [
  encodeTimestampRequest({ imprint }),
  encodeTimestampRequest({ imprint, nonce: 1n << 120n, certReq: true }),
  encodeTimestampRequest({
    imprint: { hash: "sha512", digest: new Uint8Array(64) },
    policy: "1.3.6.1.4.1.57264.2",
    nonce: Uint8Array.of(0xff),
  }),
];

export function target(bytes: Uint8Array): void {
  decodeTimestampRequest(bytes);
}
