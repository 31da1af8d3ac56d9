// SPDX-License-Identifier: Apache-2.0
/** Policy files and conditions: read or refused; what is read judges artifacts without a fault, and never without a rule. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { parseCases, parseCondition, parsePolicy } from "../packages/services/src/gate/index.ts";
import { ARTIFACT, decide, verdictOf } from "../packages/services/src/gate/fixture.ts";
import { rulesFor } from "../packages/services/src/gate/policy.ts";

export const name = "policy";

const YAML = `schema: urn:lacre:policy:1
name: releases
trust: {here: {root: root.json}}
signers:
  alice: [{identity: alice@example.com, issuer: https://issuer.example}, {key: "sha256:${"0".repeat(64)}"}]
  ci: {github: {repository: org/app, workflow: .github/workflows/r.yml, ref: refs/tags/*}}
  all: {identity: {pattern: '.*@example\\.com'}, issuer: {pattern: 'https://.*', anchored: false}, claims: {buildTrigger: push}, each: true}
revoked:
  - {serial: 0a, since: 2026-01-01, reason: x}
  - {digest: "sha256:${"1".repeat(64)}"}
rules:
  - name: r
    artifacts: [{kind: file, name: '**'}]
    mode: warn
    trust: here
    signatures: {from: [alice, ci, all], atLeast: 2}
    conditions: ['now - signedAt < duration("1h")']
    attestations: [{type: slsaprovenance1, from: [ci], conditions: ['predicate.list.all(x, x > 0) && has(predicate.y)']}]
    age: {within: 30d, notBefore: 2026-01-01, notAfter: 2026-12-31T00:00:00Z}
    thresholds: {logs: 1, times: 1, timestamps: 0, scts: 1}
`;

export const seeds: Uint8Array[] = [
  utf8(YAML),
  utf8(
    '{"schema":"urn:lacre:policy:1","signers":{"a":{"identity":"alice@example.com","issuer":"https://issuer.example"}},"rules":[{"name":"r","artifacts":[{"kind":"file","name":"*"}],"signatures":{"from":["a"]}}]}',
  ),
  utf8("cases: [{artifact: a, bundles: [b], expect: refused, code: REVOKED, now: 2026-01-01}]"),
  utf8('predicate.list.exists(x, x.matches("^a+$")) || size(predicate.text) > 3'),
];

const VERDICTS = [verdictOf(), verdictOf({ type: "https://slsa.dev/provenance/v1", predicate: { list: [1, 2], text: "aaaa" } })];

export function target(bytes: Uint8Array): void {
  try {
    parseCases(bytes, "cases");
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  try {
    parseCondition(Buffer.from(bytes).toString("latin1"), "condition");
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  const policy = parsePolicy(bytes);
  const decision = decide(policy, VERDICTS);
  if (decision.outcome !== "refused" && rulesFor(policy, ARTIFACT).length === 0) throw new Error("no rule, and not refused");
  if (decide(policy, []).outcome === "verified") throw new Error("verified without a seal");
}
