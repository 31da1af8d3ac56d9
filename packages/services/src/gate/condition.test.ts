// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import type { Json } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { parseCondition, type Finding } from "./condition.ts";
import { type Facts, gatherFacts } from "./facts.ts";
import { ARTIFACT, ISSUER, NOW_MS, verdictOf } from "./fixture.ts";

const factsOf = (predicate: Json): Facts =>
  gatherFacts(ARTIFACT, verdictOf({ type: "t", predicate, claims: { buildTrigger: "push" } }), NOW_MS);
const SMALL = factsOf({ n: 3, f: 2.5, zero: 0, text: "release", list: [1, 2, 3], nothing: null, deep: { id: "x" } });
const judge = (source: string, facts = SMALL): Finding => parseCondition(source, "condition").evaluate(facts);

function holds(...sources: readonly string[]): void {
  for (const source of sources) assert.deepEqual(judge(source), { outcome: "holds" }, source);
}

function fails(source: string, reason: RegExp, facts = SMALL): void {
  const finding = judge(source, facts);
  assert.equal(finding.outcome, "failed", source);
  assert.match((finding as { reason: string }).reason, reason, source);
}

function invalid(source: string, words: RegExp): void {
  assert.throws(
    () => parseCondition(source, "condition"),
    (error) =>
      error instanceof LacreError &&
      error.code === "CONDITION_INVALID" &&
      words.test(`${error.message} ${error.expected ?? ""} ${error.found ?? ""}`),
    source,
  );
}

test("conditions speak of artifact, signer, statement, times and now", () => {
  holds(
    'artifact.kind == "file" && artifact.name == "dist/app" && size(artifact.digests.sha256) == 64',
    `identity.value == "alice@example.com" && identity.issuer == "${ISSUER}" && identity.kind == "email"`,
    'claims.buildTrigger == "push" && claims["buildTrigger"].startsWith("pu")',
    'key == "" && predicateType == "t"',
    "predicate.n == 3 && predicate.n > 2.9 && predicate.f < 3 && predicate.n + 1 == 4",
    "predicate.list.all(x, x > 0) && predicate.list.exists(x, x == 2) && predicate.list.map(x, x * 2).size() == 3",
    "predicate.nothing == null && !has(predicate.missing) && has(predicate.deep.id)",
    'now - signedAt < duration("48h") && times.all(t, t.time <= now) && signedAt == times[0].time',
    'predicate.text.matches("^rel(ease)?$")',
    "entries.size() == 0 && subjects.size() == 0",
  );
});

test("false shows what the names stood for", () => {
  assert.deepEqual(judge('predicate.deep.id == "y" && predicate.n == 3'), {
    outcome: "false",
    found: 'predicate.deep.id = "x", predicate.n = 3',
  });
});

test("an error is a refusal and never a pass", () => {
  fails("predicate.n / predicate.zero == 1", /zero/);
  fails("predicate.n % predicate.zero == 1", /zero/);
  fails("predicate.missing == 1", /missing/);
  fails("predicate.missing.deeper == 1", /missing/);
  fails("claims.nothing == 'x'", /nothing/);
  fails("predicate.text > 5", /overload/);
  fails("predicate.text + 1 == 'x'", /overload/);
  fails("9223372036854775807 + predicate.n > 0", /overflow/);
  fails("predicate.list[10] == 1", /bounds/);
  fails('predicate.text.matches("(")', /parsing|regexp/i);
  fails('predicate.text.matches("(?=a)")', /parsing|regexp/i);
  fails("!predicate.missing", /missing/);
  fails("predicate.list.all(x, x / predicate.zero == 1)", /zero/);
  fails('timestamp("tomorrow") > now', /timestamp/i);
  fails("predicate.n", /neither/);
  fails('"true"', /neither/);
  fails("1", /neither/);
  fails("null", /neither/);
  fails("[true]", /neither/);
  fails("predicate.n == 3 ? predicate.n : 0", /neither/);
  // Without a proved time there is none.
  fails("signedAt < now", /signedAt|unresolved/i, gatherFacts(ARTIFACT, verdictOf({ timesMs: [] }), NOW_MS));
  // An error is a value: what does not depend on it may still hold.
  holds("predicate.missing == 1 || true", "!(predicate.missing == 1 && false)");
});

test("what does not exist is refused when the condition is read", () => {
  invalid("predicte.n == 1", /predicate \(did you mean/);
  invalid("constructor == 1", /does not exist/);
  invalid("__proto__ == 1", /does not exist|CEL/);
  invalid("x.all(y, true)", /does not exist/);
  invalid("[1].all(y, y > 0) && y > 0", /does not exist/);
  invalid("foo(1)", /function/);
  invalid('predicate.text.split(",").size() > 1', /function.*split/);
  invalid("google.protobuf.Timestamp{seconds: 1} == now", /message/);
  invalid("predicate.n ==", /CEL/);
  invalid("", /empty/);
  invalid(" ", /empty/);
  invalid("1 == 1 // ".padEnd(5000, "x"), /long/);
  invalid(`${"(".repeat(1500)}1${")".repeat(1500)} == 1`.slice(0, 4096), /CEL|deep/);
  invalid(`${"!".repeat(51)}true ${"&& (true ".repeat(60)}${")".repeat(60)}`, /deep/);
  invalid("[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))", /loops/);
});

test("facts have no members but their own", () => {
  fails("claims.constructor == 'x'", /constructor/);
  fails("predicate.toString == 'x'", /toString/);
  assert.equal(judge("has(predicate.__proto__)").outcome, "false");
  assert.deepEqual(judge("has(predicate.__proto__)", factsOf(JSON.parse('{"__proto__": 1}') as Json)), { outcome: "holds" });
});

const many = (length: number): readonly number[] => Array.from({ length }, (_, at) => at);
const LARGE = factsOf({
  list: many(5000),
  words: many(3000).map((at) => `word ${at}`),
  map: Object.fromEntries(many(50_000).map((at) => [`k${at}`, at])),
  text: "a".repeat(1 << 20),
});

test("the work of an evaluation is bounded, and a spent budget cannot be hidden", () => {
  const spent = /costs more/;
  for (const source of [
    "predicate.list.all(x, predicate.list.all(y, x + y >= 0))",
    "predicate.list.all(x, predicate.list.all(y, x + y >= 0)) || true",
    "true || predicate.list.all(x, predicate.list.all(y, x + y >= 0)) ? predicate.list.all(x, predicate.list.all(y, true)) || true : false",
    "predicate.list.exists(x, predicate == predicate && x < 0)",
    "[predicate.text + predicate.text].all(a, [a + a].all(b, size(b) > 0))",
    "predicate.list.map(x, predicate.list.map(y, y)).size() > 0",
    "predicate.list.all(x, predicate.text.contains('b') || true)",
    "predicate.list.all(x, size(predicate.text) > 0)",
    "predicate.list.exists(x, predicate.text.matches('a*b|c')) || true",
    "[predicate.words, predicate.words, predicate.words, predicate.words].all(a, [[a, a, a, a], [a, a, a, a]].all(b, [[b, b, b, b], [b, b, b, b]].all(c, c == c && [c, c, c, c] == [c, c, c, c])))",
    "predicate.words.all(x, predicate.list.exists(y, y in predicate.words))",
  ])
    fails(source, spent, LARGE);
});

test("what people ask of large statements is within the budget", () => {
  for (const source of [
    "predicate.list.all(x, x >= 0)",
    "predicate.list.filter(x, x > 10).size() == 4989",
    "predicate.list.map(x, x + 1).map(x, x * 2).exists(x, x == 20)",
    "predicate.map.all(name, name.startsWith('k'))",
    "predicate.list.all(x, !(x in predicate.map))",
    "predicate.words.exists_one(w, w == 'word 7')",
    "predicate.text.matches('(a+)+$')",
    "predicate == predicate",
  ])
    assert.deepEqual(judge(source, LARGE), { outcome: "holds" }, source);
});

test("a condition is judged anew each time, with a budget of its own", () => {
  const condition = parseCondition("predicate.list.all(x, x >= 0)", "c");
  for (let i = 0; i < 50; i++) assert.equal(condition.evaluate(LARGE).outcome, "holds");
  assert.equal(condition.evaluate(factsOf({ list: [-1] })).outcome, "false");
});

test("a statement of too many values has no facts", () => {
  assert.throws(
    () => gatherFacts(ARTIFACT, verdictOf({ type: "t", predicate: Array.from({ length: 2_000_001 }, () => 0) }), NOW_MS),
    { code: "TOO_LARGE" },
  );
});

test("a refused verdict has no facts", () => {
  assert.throws(() => gatherFacts(ARTIFACT, { ...verdictOf(), outcome: "refused" }, NOW_MS), TypeError);
});

interface Published {
  readonly name: string;
  readonly expr: string;
  readonly container?: string;
  readonly bindings?: object;
  readonly typeEnv?: object;
  readonly value?: { readonly boolValue?: boolean; readonly int64Value?: string; readonly stringValue?: string };
  readonly evalError?: object;
}
interface Suite {
  readonly name: string;
  readonly suites?: readonly Suite[];
  readonly tests?: readonly { readonly original: Published }[];
}

test("conforms to the published CEL cases that conditions can express", () => {
  // The cases come with the library, from the specification's repository.
  const { tests } = createRequire(createRequire(import.meta.url).resolve("@bufbuild/cel"))(
    "@bufbuild/cel-spec/testdata/conformance.js",
  ) as { tests: Suite };
  const all: { readonly name: string; readonly one: Published }[] = [];
  const walk = (suite: Suite, path: string): void => {
    for (const inner of suite.suites ?? []) walk(inner, `${path}/${inner.name}`);
    for (const { original } of suite.tests ?? []) all.push({ name: `${path}/${original.name}`, one: original });
  };
  walk(tests, "");
  let judged = 0;
  const wrong: string[] = [];
  for (const { name, one } of all) {
    if (one.bindings !== undefined || one.container !== undefined) continue;
    const { boolValue, int64Value, stringValue } = one.value ?? {};
    // Values in the published JSON leave out what is false, zero or empty.
    const source =
      one.evalError !== undefined || boolValue !== undefined
        ? one.expr
        : int64Value !== undefined && /^\d{1,18}$/.test(int64Value)
          ? `(${one.expr}) == ${int64Value}`
          : stringValue !== undefined
            ? `(${one.expr}) == ${JSON.stringify(stringValue)}`
            : undefined;
    if (source === undefined) continue;
    let finding: Finding;
    try {
      finding = judge(source);
    } catch (error) {
      // Refused when read: messages, optional values, extensions, unknown names. Never a pass.
      assert.ok(error instanceof LacreError && error.code === "CONDITION_INVALID", `${name}: ${String(error)}`);
      continue;
    }
    judged++;
    const expected = one.evalError !== undefined ? "failed" : boolValue === false ? "false" : "holds";
    if (finding.outcome !== expected) wrong.push(`${name}: ${source} is ${JSON.stringify(finding)}, not ${expected}`);
  }
  assert.ok(judged > 750, `${judged} of ${all.length} were judged`);
  assert.deepEqual(wrong, []);
});
