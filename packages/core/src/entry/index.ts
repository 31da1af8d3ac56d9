// SPDX-License-Identifier: Apache-2.0
/**
 * What a log stores, kind by kind.
 *
 * A verifier reads an entry without knowing kinds: `decodeEntry` turns a body into facts, `checkEntryMatches` compares
 * them with its evidence. The evidence is the bundle's content, the artifact's digests by algorithm (for message
 * signatures; `undefined` when there is no artifact), the leaf certificate's DER if the bundle has one, and the public key
 * that verifies the signature: `{ content, artifact, certificate, key }`.
 *
 * A ledger takes a request in with `admitRequest` (v2 dialect) or `admitProposed` (v1) and makes the checks that come back
 * before it logs the body. `describeEntry` reads any body that a ledger may hold, for search.
 */
export type { Admitted, SignatureCheck } from "./admit.ts";
export type { Digest, EntryFacts, EntrySignature, EntryVerifier } from "./facts.ts";
export { checkEntryMatches, type EntryEvidence } from "./match.ts";
export { canonicalPem } from "./proposed.ts";
export { admitProposed, admitRequest, decodeEntry, describeEntry } from "./table.ts";
