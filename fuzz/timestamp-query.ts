// SPDX-License-Identifier: Apache-2.0
/** The DER form of a timestamp request. */
import { der } from "../packages/core/src/codec/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { decodeTimestampQuery } from "../packages/services/src/tsa/index.ts";

export const name = "timestamp-query";

const imprint = der.sequence(der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.nil()), der.octets(new Uint8Array(32).fill(7)));
const query = (...rest: Uint8Array[]): Uint8Array => der.sequence(der.integer(1), imprint, ...rest);

/** As cosign sends it; with nonce and certReq; with a policy; with an extension. */
export const seeds: Uint8Array[] = [
  query(),
  query(der.integer(0x8877665544332211n), der.boolean(true)),
  query(der.oid("1.3.6.1.4.1.57264.2")),
  query(der.context(0, der.sequence(der.oid("2.5.29.14"), der.octets(new Uint8Array(4))))),
];

export function target(bytes: Uint8Array): void {
  try {
    decodeTimestampQuery(bytes);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    // The runner tells refusals apart by code and sentence; the library's own say more.
    throw error.cause instanceof LacreError ? error.cause : new LacreError("BAD_JSON", error.detail ?? error.message);
  }
}
