// SPDX-License-Identifier: Apache-2.0
/** The verdict as a document: its schema, and the record behind it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHECKS, VERDICT_SCHEMA, type Verdict } from "@lacre/core/verify";
import Schema from "typebox/schema";
import { LacreError } from "../../packages/core/src/errors.ts";
import { Evidence, Refusal } from "../../packages/core/src/verify/evidence.ts";
import type { Recipe } from "../workshop/workshop.ts";
import { judge, POLICY } from "./trial.ts";

const FILE = join(import.meta.dirname, "..", "..", "packages", "core", "src", "verify", "verdict.schema.json");
const schema = JSON.parse(readFileSync(FILE, "utf8"));

function assertFits(verdict: unknown): void {
  assert.deepEqual(Schema.Errors(schema, verdict)[1], []);
  assert.ok(Schema.Check(schema, verdict));
}

const VERIFIED: readonly Recipe[] = [
  {},
  { content: "dsse" },
  { dialect: "v2" },
  { dialect: "v2", content: "dsse" },
  { signer: "key" },
  { mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1" },
];
const REFUSED: readonly Recipe[] = [
  { bundle: (bundle) => void (bundle["mediaType"] = "x") },
  { artifact: new Uint8Array(), signed: () => Uint8Array.of(1) },
  { bundle: (bundle) => void (bundle["verificationMaterial"].tlogEntries = []) },
  { san: { kind: "email", value: "other@example.com" } },
];

test("verdicts fit the published schema", () => {
  for (const recipe of VERIFIED) {
    const verdict = judge({ recipe });
    assert.equal(verdict.outcome, "verified");
    assertFits(verdict);
  }
  for (const recipe of REFUSED) {
    const verdict = judge({ recipe });
    assert.equal(verdict.outcome, "refused");
    assertFits(verdict);
  }
  assertFits(judge({ policy: {} }));
  assertFits(judge({ policy: { anyIdentity: true, ignoreSct: true } }));
  assertFits(judge({ recipe: { dialect: "v2" }, also: { ignoreTlog: true } }));
});

test("the schema refuses what a verdict never is", () => {
  const good = judge({ recipe: { content: "dsse" } });
  const bad = judge({ policy: {} });
  const wrong: unknown[] = [
    { ...good, extra: 1 },
    { ...good, outcome: "maybe" },
    { ...good, schema: "urn:lacre:verdict:2" },
    { ...good, checks: good.checks.slice(1) },
    { ...bad, identity: good.identity },
    { ...bad, payload: good.payload },
    { ...good, times: undefined },
    { ...good, checks: good.checks.map((check) => ({ ...check, status: "fine" })) },
    { ...bad, checks: bad.checks.map(({ code: _code, ...check }) => check) },
  ];
  for (const verdict of wrong) assert.ok(!Schema.Check(schema, JSON.parse(JSON.stringify(verdict))));
});

test("schema, catalogue and verdicts agree on the checks and their order", () => {
  const verdict = judge({});
  assert.deepEqual(
    verdict.checks.map((check) => check.id),
    Object.keys(CHECKS),
  );
  assert.deepEqual(schema.$defs.check.properties.id.enum, Object.keys(CHECKS));
  assert.equal(schema.$id, VERDICT_SCHEMA);
});

test("what was not reached says so", () => {
  const { checks } = judge({ policy: {} });
  assert.deepEqual(
    checks.filter((check) => check.status !== "skipped").map((check) => check.id),
    ["A1", "K4"],
  );
  assert.ok(checks.every((check) => check.status !== "skipped" || check.evidence === "not reached"));
});

test("every check of a good bundle passes, is assumed, or says why it does not apply", () => {
  for (const recipe of VERIFIED) {
    for (const check of judge({ recipe }).checks) {
      assert.ok(
        check.status === "pass" ||
          check.status === "assumed" ||
          (check.status === "skipped" && check.evidence?.startsWith("not applicable")),
        `${check.id} ${check.status} ${check.evidence}`,
      );
    }
  }
});

test("text from a bundle reaches the verdict cut and without control characters", () => {
  const hostile = `\u001b[31m${"x".repeat(1000)}`;
  const verdict = judge({ recipe: { bundle: (bundle) => void Object.assign(bundle, { mediaType: hostile, [hostile]: 1 }) } });
  const found = verdict.checks.find((check) => check.id === "B1")?.found ?? "";
  assert.ok(found.length <= 310 && !/\p{Cc}/u.test(found));
  for (const warning of judge({ recipe: { bundle: (bundle) => void Object.assign(bundle, { [hostile]: 1 }) } }).warnings)
    assert.ok(!/\p{Cc}/u.test(warning) && warning.length < 400);
});

// The record.

test("a failure outranks everything that is said of the same check", () => {
  const evidence = new Evidence();
  evidence.pass("F4");
  assert.throws(() => evidence.refuse("F4", new LacreError("PROOF_MISMATCH", "no")), Refusal);
  evidence.pass("F4");
  evidence.assume("F4", "said so");
  evidence.skip("F4", "not here");
  assert.equal(evidence.status("F4"), "fail");
});

test("what is said of one check again is joined, what is the same is said once", () => {
  const evidence = new Evidence();
  for (const word of ["first", "second", "second"]) evidence.pass("F1", word);
  assert.equal(evidence.checks().find((check) => check.id === "F1")?.evidence, "first; second");
});

test("a failure under a number that the catalogue lacks is still a failure", () => {
  const evidence = new Evidence();
  assert.throws(() => evidence.refuse("Z9" as "K4", new LacreError("INTERNAL", "no")), Refusal);
  assert.equal(evidence.isRefused, true);
  assert.ok(evidence.checks().some((check) => check.status === "fail"));
});

test("what passes, is assumed or does not apply is no refusal", () => {
  const evidence = new Evidence();
  evidence.pass("A1");
  evidence.assume("A2", "said so");
  evidence.skip("A3", "not here");
  assert.equal(evidence.isRefused, false);
});

test("part of a check that succeeds is not the check", () => {
  const evidence = new Evidence();
  evidence.guard("J4", () => {});
  assert.equal(evidence.status("J4"), undefined);
  assert.throws(
    () =>
      evidence.guard("J4", () => {
        throw new LacreError("ARTIFACT_MISMATCH", "no");
      }),
    Refusal,
  );
  assert.equal(evidence.status("J4"), "fail");
});

test("what cannot be decided is unknown and ends the verification", () => {
  const evidence = new Evidence();
  assert.throws(
    () =>
      evidence.prove("J4", () => {
        throw new LacreError("ALGORITHM_UNKNOWN", "not here");
      }),
    Refusal,
  );
  assert.equal(evidence.status("J4"), "unknown");
  assert.equal(evidence.isRefused, true);
});

test("a fault of ours passes through a proof", () => {
  const evidence = new Evidence();
  assert.throws(
    () =>
      evidence.prove("J4", () => {
        throw new RangeError("ours");
      }),
    RangeError,
  );
  assert.equal(evidence.status("J4"), undefined);
});

test("a verdict does not depend on who asked before", () => {
  const once: Verdict = judge({});
  judge({ policy: {} });
  assert.deepEqual(Object.keys(judge({ policy: POLICY })), Object.keys(once));
});
