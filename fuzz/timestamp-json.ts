// SPDX-License-Identifier: Apache-2.0
/** The JSON form of a timestamp request. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { parseTimestampQuery } from "../packages/services/src/tsa/index.ts";

export const name = "timestamp-json";

const digest = "YiHWH9uHDkhlWZbtQngXGwk+PYB53EuKtsZVBlWrQjE=";
export const seeds: Uint8Array[] = [
  `{"artifactHash":"${digest}","hashAlgorithm":"sha256"}`,
  `{"artifactHash":"${digest}","hashAlgorithm":"SHA256","certificates":true,"nonce":123456789012345678901234567890,"tsaPolicyOID":"1.3.6.1.4.1.57264.2"}`,
  `{"nonce":-128,"artifactHash":"${digest}","hashAlgorithm":"sha256","other":null}`,
].map(utf8);

export function target(bytes: Uint8Array): void {
  try {
    parseTimestampQuery(bytes);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    // The runner tells refusals apart by code and sentence; the library's own say more.
    throw error.cause instanceof LacreError ? error.cause : new LacreError("BAD_JSON", error.detail ?? error.message);
  }
}
