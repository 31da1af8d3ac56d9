// SPDX-License-Identifier: Apache-2.0
/**
 * Verification: evidence, then policy, then verdict.
 *
 *     input      A, B   what came in: policy, bundle, artifact                     → input.ts
 *     anchors    C      whom we trust                                              → anchors.ts
 *     times      D, E   when it was signed: timestamps, promised times             → times.ts
 *     signer     H, I   who signed: certificate path, certificate logs, identity   → signer.ts, policy.ts
 *     log        F, G   that it was logged, and that the entry is about this       → log.ts
 *     signature  J      that this is what was signed                               → signature.ts
 *     verdict    K      whether all of that is on record                           → verifier.ts, evidence.ts, verdict.ts
 *
 * `createVerifier` prepares a trusted root once; `verify` is synchronous and pure, and its answer is plain JSON.
 */
export { createVerifier, type Question, type Thresholds, type Verifier, type VerifierOptions } from "./verifier.ts";
export { keyHint, type Artifact, type TrustedKey } from "./input.ts";
export { type Needs, readNeeds } from "./needs.ts";
export { IN_TOTO, type ClaimRules, type IdentityRule, type Matcher, type Pattern, type Policy } from "./policy.ts";
export {
  CHECKS,
  decidingCheck,
  VERDICT_SCHEMA,
  type Check,
  type CheckId,
  type CheckStatus,
  type RootSource,
  type Verdict,
  type VerdictEntry,
  type VerdictIdentity,
  type VerdictSubject,
  type VerdictTime,
} from "./verdict.ts";
export { decodeVerdict } from "./saved.ts";
