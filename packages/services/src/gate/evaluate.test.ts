// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Verdict } from "@lacre/core/verify";
import { evaluate, proofsFor } from "./evaluate.ts";
import { ALICE, ARTIFACT, BOB, decide, ISSUER, NOW_MS, oneRule, policyOf, verdictOf } from "./fixture.ts";
import { countDistinct } from "./signer.ts";

const BOB_SIGNED = verdictOf({ who: "bob@example.com" });
const DAY_MS = 86_400_000;

function refusal(
  policy: Parameters<typeof decide>[0],
  verdicts: readonly Verdict[],
  code: string,
  more: Parameters<typeof decide>[2] = {},
): string {
  const decision = decide(policy, verdicts, more);
  assert.equal(decision.outcome, "refused", JSON.stringify(decision, null, 1));
  assert.equal(decision.code, code, decision.reason);
  assert.ok((decision.fix ?? "") !== "");
  return decision.reason!;
}

test("T31: what no rule is for is refused", () => {
  const policy = oneRule({ a: ALICE }, { artifacts: [{ kind: "file", name: "other" }] });
  assert.match(refusal(policy, [verdictOf()], "RULE_MISSING"), /file dist\/app/);
  refusal(oneRule({ a: ALICE }), [verdictOf()], "RULE_MISSING", { artifact: { ...ARTIFACT, kind: "image" } });
});

test("T31: of rules that overlap all have to hold", () => {
  const rule = (name: string, glob: string, from: string): object => ({
    name,
    artifacts: [{ kind: "file", name: glob }],
    signatures: { from: [from] },
  });
  const policy = policyOf({ signers: { a: ALICE, b: BOB }, rules: [rule("one", "app", "a"), rule("two", "dist/*", "b")] });
  assert.match(refusal(policy, [verdictOf()], "SIGNERS_MISSING"), /rule "two"/);
  assert.match(refusal(policy, [BOB_SIGNED], "SIGNERS_MISSING"), /rule "one"/);
  assert.equal(decide(policy, [verdictOf(), BOB_SIGNED]).outcome, "verified");
});

test("no seal, a refused seal and a seal about something else count for nothing", () => {
  const policy = oneRule({ a: ALICE });
  refusal(policy, [], "SIGNATURE_MISSING");
  const refused: Verdict = {
    ...verdictOf(),
    outcome: "refused",
    checks: [{ id: "J4", name: "x", status: "fail", code: "SIGNATURE_INVALID", message: "no" }],
  };
  refusal(policy, [refused], "SIGNATURE_MISSING");
  assert.equal(decide(policy, [refused]).seals[0]!.code, "SIGNATURE_INVALID");
  refusal(policy, [verdictOf({ artifact: { sha256: "00" } })], "SIGNATURE_MISSING");
  refusal(policy, [verdictOf({ artifact: {} })], "SIGNATURE_MISSING");
  refusal(policy, [verdictOf({ artifact: { ...ARTIFACT.digests, sha512: "1" } })], "SIGNATURE_MISSING", {
    artifact: { ...ARTIFACT, digests: { ...ARTIFACT.digests, sha512: "2" } },
  });
  // What the host proved by other means counts in the verdict's place, for better and for worse.
  refusal(policy, [verdictOf()], "SIGNATURE_MISSING", { about: { sha256: "00" } });
  refusal(policy, [verdictOf()], "SIGNATURE_MISSING", { about: {} });
});

test("a seal counts only where its question was asked", () => {
  const strict = oneRule({ a: ALICE }, { thresholds: { logs: 2 } });
  const [proof] = proofsFor(strict, ARTIFACT);
  const [weaker] = proofsFor(oneRule({ a: ALICE }), ARTIFACT);
  assert.notEqual(proof!.id, weaker!.id);
  const seal = { source: "s", verdict: verdictOf() };
  assert.equal(
    evaluate(strict, { artifact: ARTIFACT, nowMs: NOW_MS, seals: [{ ...seal, proof: weaker!.id }] }).outcome,
    "refused",
  );
  assert.equal(
    evaluate(strict, { artifact: ARTIFACT, nowMs: NOW_MS, seals: [{ ...seal, proof: proof!.id }] }).outcome,
    "verified",
  );
  const trusting = policyOf({
    trust: { here: { root: "r.json" } },
    signers: { a: ALICE },
    rules: [{ name: "r", trust: "here", artifacts: [{ kind: "file", name: "**" }], signatures: { from: ["a"] } }],
  });
  assert.equal(
    evaluate(trusting, { artifact: ARTIFACT, nowMs: NOW_MS, seals: [{ ...seal, proof: weaker!.id }] }).outcome,
    "refused",
  );
});

test("T36: values are compared whole, patterns fit whole", () => {
  const with_ = (identity: unknown, who: string, issuer: unknown = ISSUER): boolean =>
    decide(oneRule({ a: { identity, issuer } }), [verdictOf({ who })]).outcome === "verified";
  assert.ok(with_("a+b@example.com", "a+b@example.com"));
  assert.ok(!with_("a+b@example.com", "aab@example.com"));
  assert.ok(!with_("a.b@example.com", "axb@example.com"));
  for (const who of [
    "Alice@example.com",
    "alice@example.com.",
    "alice@example.com\n",
    "alice@example.com\0",
    "alice%40example.com",
    "аlice@example.com",
    "alice@example.com.evil.org",
    "xalice@example.com",
  ]) {
    assert.ok(!with_("alice@example.com", who), JSON.stringify(who));
    assert.ok(!with_({ pattern: "alice@example\\.com" }, who), JSON.stringify(who));
    assert.ok(!with_({ pattern: "a|alice@example\\.com" }, who), JSON.stringify(who));
  }
  assert.ok(with_({ pattern: "alice@.*" }, "alice@example.com"));
  assert.ok(!with_({ pattern: "alice@example\\.com" }, "alice@example.com.evil.org"));
  assert.ok(with_({ pattern: "alice@example\\.com", anchored: false }, "alice@example.com.evil.org"));
  assert.ok(!with_({ pattern: ".*" }, "alice@example.com", { pattern: "https://issuer" }));
  assert.ok(!with_({ pattern: ".*" }, "alice@example.com", "https://issuer.example/"));
  assert.match(
    refusal(oneRule({ a: ALICE }), [verdictOf({ issuer: "https://evil.example" })], "SIGNERS_MISSING"),
    /identity is right, its issuer is not/,
  );
  refusal(
    oneRule({ a: { identity: "alice@example.com", issuer: { pattern: ".*" } } }),
    [verdictOf({ issuer: undefined })],
    "SIGNERS_MISSING",
  );
});

test("T13: every claim that is required has to be there, and right", () => {
  const policy = oneRule({
    a: { ...ALICE, claims: { buildTrigger: "push", sourceRepositoryRef: { pattern: "refs/tags/v.*" } } },
  });
  const good = { buildTrigger: "push", sourceRepositoryRef: "refs/tags/v1" };
  assert.equal(decide(policy, [verdictOf({ claims: good })]).outcome, "verified");
  assert.match(
    refusal(policy, [verdictOf({ claims: { sourceRepositoryRef: "refs/tags/v1" } })], "SIGNERS_MISSING"),
    /buildTrigger is absent/,
  );
  assert.match(
    refusal(policy, [verdictOf({ claims: { ...good, buildTrigger: "pull_request" } })], "SIGNERS_MISSING"),
    /pull_request/,
  );
  refusal(policy, [verdictOf({ claims: { ...good, sourceRepositoryRef: "refs/heads/refs/tags/v1" } })], "SIGNERS_MISSING");
  refusal(oneRule({ a: { ...ALICE, claims: { buildTrigger: { pattern: ".*" } } } }), [verdictOf()], "SIGNERS_MISSING");
});

test("keys are who they are by their fingerprint, or by what the host found", () => {
  const key = `sha256:${"1".repeat(64)}`;
  assert.equal(decide(oneRule({ a: { key } }), [verdictOf({ key })]).outcome, "verified");
  refusal(oneRule({ a: { key: `sha256:${"2".repeat(64)}` } }), [verdictOf({ key })], "SIGNERS_MISSING");
  const named = oneRule({ a: { key: "a.pub" } });
  assert.match(refusal(named, [verdictOf({ key })], "SIGNERS_MISSING"), /not known/);
  assert.equal(decide(named, [verdictOf({ key })], { keys: new Map([["a.pub", key]]) }).outcome, "verified");
  // A certificate does not stand for a key, nor a key for a certificate.
  refusal(oneRule({ a: { key } }), [verdictOf()], "SIGNERS_MISSING");
  refusal(oneRule({ a: ALICE }), [verdictOf({ key })], "SIGNERS_MISSING");
});

test("the same signer is never counted twice", () => {
  const two = (signers: Readonly<Record<string, unknown>>): ReturnType<typeof oneRule> =>
    oneRule(signers, { signatures: { from: Object.keys(signers), atLeast: 2 } });
  // Twice the same identity, as with two ephemeral keys or two bundles.
  refusal(two({ a: ALICE, b: BOB }), [verdictOf({ serial: "01" }), verdictOf({ serial: "02" })], "SIGNERS_MISSING");
  // One identity that fits two signers of the policy.
  refusal(
    two({ a: ALICE, all: { identity: { pattern: ".*@example\\.com" }, issuer: ISSUER } }),
    [verdictOf(), verdictOf()],
    "SIGNERS_MISSING",
  );
  // One signer with two ways: a key and an identity.
  const key = `sha256:${"1".repeat(64)}`;
  refusal(two({ a: [ALICE, { key }], b: BOB }), [verdictOf(), verdictOf({ key })], "SIGNERS_MISSING");
  // One identity from two issuers.
  refusal(
    two({ a: { identity: "alice@example.com", issuer: { pattern: ".*" }, each: true } }),
    [verdictOf(), verdictOf({ issuer: "https://other.example" })],
    "SIGNERS_MISSING",
  );
  assert.equal(
    decide(two({ a: ALICE, all: { identity: { pattern: ".*@example\\.com" }, issuer: ISSUER } }), [verdictOf(), BOB_SIGNED])
      .outcome,
    "verified",
  );
  assert.equal(
    decide(two({ a: { identity: { pattern: ".*@example\\.com" }, issuer: ISSUER, each: true } }), [verdictOf(), BOB_SIGNED])
      .outcome,
    "verified",
  );
  refusal(
    two({ a: { identity: { pattern: ".*@example\\.com" }, issuer: ISSUER }, c: { identity: "c", issuer: ISSUER } }),
    [verdictOf(), BOB_SIGNED],
    "SIGNERS_MISSING",
  );
});

test("k of n is the largest pairing of persons and signers, found by trying all", () => {
  // The oracle: every assignment.
  const most = (
    fits: readonly (readonly number[])[],
    isEach: readonly boolean[],
    used: ReadonlySet<number> = new Set(),
  ): number => {
    const [first, ...rest] = fits;
    if (first === undefined) return 0;
    let best = most(rest, isEach, used);
    for (const signer of first) {
      if (!(isEach[signer] ?? false) && used.has(signer)) continue;
      best = Math.max(best, 1 + most(rest, isEach, new Set([...used, signer])));
    }
    return best;
  };
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 4 }), { maxLength: 6 }),
      fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
      (fits, isEach) => {
        assert.equal(countDistinct(fits, isEach), most(fits, isEach));
      },
    ),
    { numRuns: 300 },
  );
});

test("k of n: any bundles of fewer than k persons are refused, however many and in whatever order", () => {
  const people = ["a@x", "b@x", "c@x", "d@x"];
  const signers = Object.fromEntries(people.map((who, at) => [`s${at}`, { identity: who, issuer: ISSUER }]));
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 10 }), fc.integer({ min: 1, max: 4 }), (who, needed) => {
      const policy = oneRule(signers, { signatures: { from: Object.keys(signers), atLeast: needed } });
      const verdicts = who.map((at, i) => verdictOf({ who: people[at]!, serial: `0${i}` }));
      assert.equal(decide(policy, verdicts).outcome, new Set(who).size >= needed ? "verified" : "refused");
    }),
    { numRuns: 200 },
  );
});

test("a statement is no signature, and a signature no statement", () => {
  const type = "https://slsa.dev/provenance/v1";
  const statement = verdictOf({ type, predicate: {} });
  refusal(oneRule({ a: ALICE }), [statement], "SIGNATURE_MISSING");
  const wanting = oneRule({ a: ALICE }, { attestations: [{ type: "slsaprovenance1", from: ["a"] }] });
  assert.equal(decide(wanting, [statement]).outcome, "verified");
  refusal(wanting, [verdictOf()], "ATTESTATION_MISSING");
  refusal(wanting, [verdictOf({ type: `${type}/`, predicate: {} })], "ATTESTATION_MISSING");
  refusal(wanting, [verdictOf({ type, predicate: {}, who: "bob@example.com" })], "SIGNERS_MISSING");
  // cosign signs images by a statement that says nothing else.
  assert.equal(decide(oneRule({ a: ALICE }), [verdictOf({ type: "https://sigstore.dev/cosign/sign/v1" })]).outcome, "verified");
});

test("conditions hold over one and the same statement", () => {
  const type = "https://slsa.dev/provenance/v1";
  const policy = oneRule(
    { a: ALICE },
    { attestations: [{ type, from: ["a"], conditions: ["predicate.x == 1", "predicate.y == 2"] }] },
  );
  const of = (predicate: { readonly [name: string]: number }): Verdict => verdictOf({ type, predicate });
  assert.equal(decide(policy, [of({ x: 1, y: 2 })]).outcome, "verified");
  assert.match(
    refusal(policy, [of({ x: 1, y: 3 }), of({ x: 2, y: 2 })], "CONDITION_FALSE"),
    /predicate\.y == 2 is false \(predicate\.y = 3\)|predicate\.x == 1 is false/,
  );
  refusal(policy, [of({ x: 1 })], "CONDITION_FAILED");
  assert.equal(decide(policy, [of({ x: 5, y: 5 }), of({ x: 1, y: 2 })]).outcome, "verified");
});

test("ages are by the earliest proved time", () => {
  const aged = (age: object): ReturnType<typeof oneRule> => oneRule({ a: ALICE }, { age });
  const at = (...timesMs: number[]): Verdict => verdictOf({ timesMs });
  assert.equal(decide(aged({ within: "30d" }), [at(NOW_MS - 30 * DAY_MS)]).outcome, "verified");
  refusal(aged({ within: "30d" }), [at(NOW_MS - 30 * DAY_MS - 1)], "SEAL_AGE");
  // A new timestamp does not make an old signature new.
  refusal(aged({ within: "30d" }), [at(NOW_MS - 31 * DAY_MS, NOW_MS)], "SEAL_AGE");
  refusal(aged({ notBefore: "2026-01-30" }), [at(Date.UTC(2026, 0, 30) - 1)], "SEAL_AGE");
  assert.equal(decide(aged({ notBefore: "2026-01-30" }), [at(Date.UTC(2026, 0, 30))]).outcome, "verified");
  refusal(aged({ notAfter: "2026-01-01T00:00:00Z" }), [at(Date.UTC(2026, 0, 1) + 1)], "SEAL_AGE");
  assert.match(refusal(aged({ within: "30d" }), [at()], "SEAL_AGE"), /no time/);
});

test("what is revoked counts for nothing, whoever else asks for it", () => {
  const revoking = (revoked: readonly object[]): ReturnType<typeof oneRule> => oneRule({ a: ALICE, b: BOB }, {}, { revoked });
  refusal(revoking([{ identity: "alice@example.com" }]), [verdictOf()], "SIGNATURE_MISSING");
  assert.equal(decide(revoking([{ identity: "alice@example.com" }]), [verdictOf()]).seals[0]!.code, "REVOKED");
  assert.equal(decide(revoking([{ identity: "alice@example.com" }]), [verdictOf(), BOB_SIGNED]).outcome, "verified");
  assert.equal(
    decide(revoking([{ identity: "alice@example.com", issuer: "https://other.example" }]), [verdictOf()]).outcome,
    "verified",
  );
  refusal(revoking([{ serial: "0A" }]), [verdictOf()], "SIGNATURE_MISSING");
  refusal(revoking([{ serial: "a" }]), [verdictOf({ serial: "000a" })], "SIGNATURE_MISSING");
  assert.equal(decide(revoking([{ serial: "0b" }]), [verdictOf()]).outcome, "verified");
  const key = `sha256:${"1".repeat(64)}`;
  const byKey = (name: string): ReturnType<typeof oneRule> => oneRule({ k: { key } }, {}, { revoked: [{ key: name }] });
  refusal(byKey(key), [verdictOf({ key })], "SIGNATURE_MISSING");
  assert.equal(decide(byKey(`sha256:${"2".repeat(64)}`), [verdictOf({ key })]).outcome, "verified");
  // A revoked key that nobody could find: no key is known not to be it.
  refusal(byKey("lost.pub"), [verdictOf({ key })], "SIGNATURE_MISSING");
  const since = [{ identity: "alice@example.com", since: "2026-01-15" }];
  assert.equal(decide(revoking(since), [verdictOf({ timesMs: [Date.UTC(2026, 0, 14)] })]).outcome, "verified");
  refusal(revoking(since), [verdictOf({ timesMs: [Date.UTC(2026, 0, 16)] })], "SIGNATURE_MISSING");
  refusal(revoking(since), [verdictOf({ timesMs: [] })], "SIGNATURE_MISSING");
});

test("a revoked artifact is refused, in mode warn too, and a hash that was not computed is not passed over", () => {
  const digest = `sha256:${ARTIFACT.digests["sha256"]!}`;
  for (const mode of ["enforce", "warn"])
    assert.match(
      refusal(oneRule({ a: ALICE }, { mode }, { revoked: [{ digest, reason: "backdoor" }] }), [verdictOf()], "REVOKED"),
      /backdoor/,
    );
  refusal(
    oneRule({ a: ALICE }, {}, { revoked: [{ digest: `sha512:${"0".repeat(128)}` }] }),
    [verdictOf()],
    "ARTIFACT_DIGEST_MISSING",
  );
});

test("mode warn is seen and is no verification", () => {
  const warn = oneRule({ a: ALICE }, { mode: "warn" });
  const decision = decide(warn, [BOB_SIGNED]);
  assert.equal(decision.outcome, "warned");
  assert.equal(decision.code, "SIGNERS_MISSING");
  assert.equal(decision.warnings.length, 1);
  assert.equal(decide(warn, [verdictOf()]).outcome, "verified");
  const rule = (name: string, mode: string, from: string): object => ({
    name,
    mode,
    artifacts: [{ kind: "file", name: "**" }],
    signatures: { from: [from] },
  });
  const mixed = policyOf({ signers: { a: ALICE, b: BOB }, rules: [rule("one", "enforce", "a"), rule("two", "warn", "b")] });
  assert.equal(decide(mixed, [verdictOf()]).outcome, "verified");
  assert.equal(decide(mixed, [verdictOf()]).warnings.length, 1);
  assert.equal(decide(mixed, [BOB_SIGNED]).outcome, "refused");
});

test("a decision is plain JSON that says what was wanted and found", () => {
  const decision = decide(oneRule({ a: ALICE }), [BOB_SIGNED]);
  assert.deepEqual(JSON.parse(JSON.stringify(decision)), decision);
  const [demand] = decision.rules[0]!.demands;
  assert.match(demand!.wanted, /a signature by a/);
  assert.match(demand!.found, /bob@example\.com/);
  assert.equal(decision.at, new Date(NOW_MS).toISOString());
});
