// SPDX-License-Identifier: Apache-2.0
/** How services are asked: one client each, with `fetch` handed in. Answers are decoded strictly, and trusted by nobody. */
export { type AuthorityClient, type CertificateRequest, createAuthorityClient } from "./authority.ts";
export { type ClockClient, createClockClient } from "./clock.ts";
export { type CtClient, createCtClient } from "./ct.ts";
export {
  createLedgerClient,
  dsseRequest,
  type EntryVerifier,
  hashedRekordRequest,
  type LedgerClient,
  type LoggedSeal,
} from "./ledger.ts";
export {
  createLedgerV1Client,
  decodeEntryMap,
  dsseProposal,
  findEntriesV1,
  formatLoggedEnvelope,
  hashedRekordProposal,
} from "./ledger-v1.ts";
export { createWitnessClient, type WitnessAnswer, type WitnessClient } from "./witness.ts";
export {
  cleanMessage,
  type ClientOptions,
  type Fetch,
  type FetchAnswer,
  parseRetryAfter,
  readBounded,
  readRange,
  readResource,
  reasonOf,
} from "./request.ts";
