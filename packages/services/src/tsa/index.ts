// SPDX-License-Identifier: Apache-2.0
/** The clock: a digest in, an RFC 3161 timestamp out. */
export { TSA_DEFAULTS, TSA_SCHEMA, type TsaConfig } from "./config.ts";
export { registerTsa } from "./http.ts";
export { decodeTimestampQuery, parseTimestampQuery, type TimestampRequest } from "./request.ts";
export { createClockService, type ClockService, type ClockServiceOptions } from "./service.ts";
export type { TokenSigner } from "./token.ts";
