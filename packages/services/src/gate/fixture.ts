// SPDX-License-Identifier: Apache-2.0
/** Verdicts and policies for the gate's tests. */
import { toHex, utf8 } from "@lacre/core/bytes";
import type { Json } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { VERDICT_SCHEMA, type Verdict } from "@lacre/core/verify";
import { type Decision, evaluate, type Evidence, proofsFor, type Seal } from "./evaluate.ts";
import type { ArtifactFacts } from "./facts.ts";
import { parsePolicy, type Policy, POLICY_SCHEMA } from "./policy.ts";

export const NOW_MS: number = Date.UTC(2026, 0, 31);
export const ISSUER = "https://issuer.example";
export const ARTIFACT: ArtifactFacts = { kind: "file", name: "dist/app", digests: { sha256: toHex(sha256(utf8("app"))) } };

/** What makes one verdict differ from the usual. */
export interface Made {
  readonly who?: string;
  readonly issuer?: string | undefined;
  readonly key?: string;
  readonly claims?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly predicate?: Json;
  readonly timesMs?: readonly number[];
  readonly artifact?: Readonly<Record<string, string>>;
  readonly serial?: string;
}

/** A verified verdict. */
export function verdictOf(made: Made = {}): Verdict {
  const {
    who = "alice@example.com",
    key,
    claims = {},
    type,
    predicate = null,
    timesMs = [NOW_MS - 86_400_000],
    serial = "0a",
  } = made;
  const issuer = "issuer" in made ? made.issuer : ISSUER;
  return {
    schema: VERDICT_SCHEMA,
    outcome: "verified",
    checks: [],
    warnings: [],
    ...(key === undefined
      ? { identity: { kind: "email", value: who, ...(issuer === undefined ? {} : { issuer }), claims, serial } }
      : { key }),
    times: timesMs.map((timeMs) => ({ timeMs, kind: "timestamp", source: "tsa" })),
    logEntries: [],
    artifact: made.artifact ?? ARTIFACT.digests,
    ...(type === undefined ? {} : { payloadType: "application/vnd.in-toto+json", predicateType: type, predicate }),
  };
}

/** A policy whose members are given. */
export function policyOf(members: Readonly<Record<string, unknown>>): Policy {
  return parsePolicy(utf8(JSON.stringify({ schema: POLICY_SCHEMA, ...members })));
}

export const ALICE: { readonly identity: string; readonly issuer: string } = { identity: "alice@example.com", issuer: ISSUER };
export const BOB: typeof ALICE = { identity: "bob@example.com", issuer: ISSUER };

/** A policy of one rule for everything, and the signers given. */
export function oneRule(
  signers: Readonly<Record<string, unknown>>,
  rule: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Policy {
  const signatures = "attestations" in rule || "signatures" in rule ? {} : { signatures: { from: Object.keys(signers) } };
  return policyOf({
    signers,
    rules: [{ name: "r", artifacts: [{ kind: "file", name: "**" }], ...signatures, ...rule }],
    ...more,
  });
}

/** The decision on the usual artifact with these seals. */
export function decide(
  policy: Policy,
  verdicts: readonly Verdict[],
  more: Partial<Evidence> & { readonly about?: Seal["about"] } = {},
): Decision {
  const artifact = more.artifact ?? ARTIFACT;
  const [proof] = proofsFor(policy, artifact);
  const seals = verdicts.map((verdict, at): Seal => ({
    source: `seal ${at + 1}`,
    proof: proof?.id ?? "none",
    verdict,
    ...(more.about === undefined ? {} : { about: more.about }),
  }));
  return evaluate(policy, { artifact, seals, nowMs: NOW_MS, ...more });
}
