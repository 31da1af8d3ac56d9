// SPDX-License-Identifier: Apache-2.0
/** The gate: one policy for files, images and packages; verified facts in, a decision out. Nothing here reads or asks. */
export { parseCases, type PolicyCase } from "./cases.ts";
export { type Condition, type Finding, parseCondition } from "./condition.ts";
export {
  type Decision,
  DECISION_SCHEMA,
  type DemandResult,
  broadSigners,
  describeRule,
  describeSelectors,
  describeSigners,
  evaluate,
  type Evidence,
  type Proof,
  proofsFor,
  type RuleResult,
  type Seal,
  type SealResult,
} from "./evaluate.ts";
export { type ArtifactFacts, type ArtifactKind, type Facts, gatherFacts } from "./facts.ts";
export { learnPolicy, type LearnedPolicy } from "./learn.ts";
export { hashesOf, parsePolicy, type Policy, POLICY_SCHEMA, type Rule, rulesFor, type TrustChoice } from "./policy.ts";
export { POLICY_JSON_SCHEMA } from "./schema.ts";
export { type KeyReference, type Keys, type Signer } from "./signer.ts";
