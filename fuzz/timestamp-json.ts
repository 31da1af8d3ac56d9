// SPDX-License-Identifier: Apache-2.0
/** The JSON form of a timestamp request. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
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
    // A service's refusal is as good as the library's.
    if (!(error instanceof ServiceError)) throw error;
  }
}
