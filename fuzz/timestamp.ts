// SPDX-License-Identifier: Apache-2.0
/** RFC 3161 responses, decoded and held against a trusted authority. */
import { defaultAlgorithm, hash } from "../packages/core/src/crypto/index.ts";
import {
  checkTimestamp,
  decodeTimestampResponse,
  prepareTimestamp,
  signUnsigned,
  type Certificate,
} from "../packages/core/src/x509/index.ts";
import { anchor, clock, keyNumber, TIME_MS } from "./certificate.ts";

export const name = "timestamp";

const key = keyNumber(3);
const signedBytes = Uint8Array.of(1, 2, 3);

function respond(certificates: readonly Certificate[], nonce?: bigint): Uint8Array {
  const unsigned = prepareTimestamp({
    policy: "1.3.6.1.4.1.57264.2",
    imprint: { hash: "sha256", digest: hash("sha256", signedBytes) },
    serial: Uint8Array.of(7),
    timeMs: TIME_MS,
    accuracySeconds: 1,
    ...(nonce === undefined ? {} : { nonce }),
    signer: clock,
    algorithm: defaultAlgorithm(key.publicKey),
    certificates,
  });
  return signUnsigned(unsigned, key);
}

/** Without a certificate, with the signer's, with the whole chain and a nonce. */
export const seeds: Uint8Array[] = [respond([]), respond([clock]), respond([clock, anchor], 1n << 127n)];

const authorities = [
  { chain: [anchor], startMs: 0, endMs: undefined },
  { chain: [clock, anchor], startMs: 0, endMs: undefined },
];

export function target(bytes: Uint8Array): void {
  const { timeMs } = checkTimestamp({ response: decodeTimestampResponse(bytes), signedBytes, authorities });
  // Versions and lists that nobody signs may be changed, the statement may not.
  if (timeMs !== TIME_MS) throw new Error("a made-up time is believed");
}
