// SPDX-License-Identifier: Apache-2.0
/** How services are asked: one client each, with `fetch` handed in. Answers are decoded strictly, and trusted by nobody. */
export { type AuthorityClient, type CertificateRequest, createAuthorityClient } from "./authority.ts";
export { type ClockClient, createClockClient } from "./clock.ts";
export { type CtClient, createCtClient } from "./ct.ts";
export { createLedgerClient, dsseRequest, type EntryVerifier, hashedRekordRequest, type LedgerClient } from "./ledger.ts";
export { type ClientOptions, type Fetch, type FetchAnswer, readResource } from "./request.ts";
