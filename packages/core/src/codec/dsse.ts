// SPDX-License-Identifier: Apache-2.0
/**
 * DSSE v1 (dead simple signing envelope): what a signature in an envelope covers.
 *
 * PAE = "DSSEv1" SP len(type) SP type SP len(payload) SP payload, lengths in decimal and in octets of UTF-8. Counting
 * characters instead lets one signature stand for two envelopes (GHSA-jfc7-64v2-mr8c).
 */
import { concat, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

/** The pre-authentication encoding of an envelope. Throws BAD_UTF8 for a type that has no UTF-8 form. */
export function pae(payloadType: string, payload: Uint8Array): Uint8Array {
  if (!payloadType.isWellFormed()) throw new LacreError("BAD_UTF8", "payload type has a lone surrogate");
  const type = utf8(payloadType);
  return concat(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}
