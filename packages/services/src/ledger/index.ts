// SPDX-License-Identifier: Apache-2.0
/** The artifact ledger: a signed entry in, its place in the log and the proof of it out. */
export { LEDGER_DEFAULTS, LEDGER_SCHEMA, type LedgerConfig } from "./config.ts";
export { registerLedger } from "./http.ts";
export { admit, createLedgerService, LEDGER_PERSONALITY, type LedgerService, type LoggedEntry } from "./service.ts";
export { createVerification, type Verification } from "./verification.ts";
