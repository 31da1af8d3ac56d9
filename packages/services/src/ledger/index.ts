// SPDX-License-Identifier: Apache-2.0
/** The artifact ledger: a signed entry in, its place in the log and the proof of it out. Two dialects, a log each. */
export { LEDGER_DEFAULTS, LEDGER_SCHEMA, type LedgerConfig } from "./config.ts";
export { registerLedger } from "./http.ts";
export { admit, createLedgerService, LEDGER_PERSONALITY, type LedgerService, type LoggedEntry } from "./service.ts";
export { createScanIndex, type EntryIndex } from "./index-reader.ts";
export { registerLedgerV1 } from "./v1.ts";
export { originV1 } from "./v1-answer.ts";
export { admitV1, readRetrieval, readSearch } from "./v1-request.ts";
export { createLedgerV1Service, type EntryV1, type LedgerV1Options, type LedgerV1Service } from "./v1-service.ts";
export { createVerification, type Verification } from "./verification.ts";
