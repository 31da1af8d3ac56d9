// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@lacre/core/bytes";
import { generateKey } from "@lacre/core/crypto";
import { formatPem } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { ALICE, ARTIFACT, BOB, decide, ISSUER, oneRule, policyOf, verdictOf } from "./fixture.ts";
import { readDocument } from "./document.ts";
import { parsePolicy, rulesFor } from "./policy.ts";

const GOOD = `schema: urn:lacre:policy:1
signers:
  alice: {identity: alice@example.com, issuer: https://issuer.example}
rules:
  - name: all
    artifacts: [{kind: file, name: '**'}]
    signatures: {from: [alice]}
`;

function refused(text: string | Uint8Array, code: string, words: RegExp): void {
  assert.throws(
    () => parsePolicy(typeof text === "string" ? utf8(text) : text),
    (error) => {
      assert.ok(error instanceof LacreError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(`${error.message} ${error.expected ?? ""} ${error.found ?? ""}`, words);
      return true;
    },
  );
}

const change = (from: string, to: string): string => {
  assert.ok(GOOD.includes(from), from);
  return GOOD.replace(from, to);
};

test("reads YAML and JSON to the same policy", () => {
  const yaml = parsePolicy(utf8(GOOD));
  const json = policyOf({
    signers: { alice: ALICE },
    rules: [{ name: "all", artifacts: [{ kind: "file", name: "**" }], signatures: { from: ["alice"] } }],
  });
  assert.equal(yaml.rules.length, 1);
  assert.equal(decide(yaml, [verdictOf()]).outcome, "verified");
  assert.equal(decide(json, [verdictOf()]).outcome, "verified");
});

test("refuses what YAML can do beyond plain data", () => {
  refused(change("alice: {identity", "alice: &a {identity"), "POLICY_INVALID", /anchor/);
  refused(`${GOOD}revoked: [*a]\n`, "POLICY_INVALID", /alias|Unresolved/i);
  refused(`a: &a [1]\nb: *a\n`, "POLICY_INVALID", /alias|anchor/);
  refused(`${GOOD}<<: {name: x}\n`, "POLICY_INVALID", /merge key/);
  refused(change("name: all", "name: !!str all"), "POLICY_INVALID", /tag/);
  refused(change("name: all", "name: !evil all"), "POLICY_INVALID", /tag|Unresolved/i);
  refused(`%YAML 1.1\n---\n${GOOD}`, "POLICY_INVALID", /directive/);
  refused(`%TAG ! tag:x,2000:\n---\n${GOOD}`, "POLICY_INVALID", /directive/);
  refused(`${GOOD}---\n${GOOD}`, "POLICY_INVALID", /document/i);
  refused(`${GOOD}? [a, b]\n: c\n`, "POLICY_INVALID", /key|text/i);
  refused(`${GOOD}1: c\n`, "POLICY_INVALID", /no member "1"/);
  refused(`${GOOD}name: a\nname: b\n`, "POLICY_INVALID", /twice/);
  refused(change("{from: [alice]}", "{from: [alice], from: [alice]}"), "POLICY_INVALID", /twice/);
  refused(Uint8Array.of(0xef, 0xbb, 0xbf, ...utf8(GOOD)), "POLICY_INVALID", /byte order mark/);
  refused(Uint8Array.of(0x61, 0xff), "POLICY_INVALID", /UTF-8/);
  refused('{"schema": "urn:lacre:policy:1", "schema": "urn:lacre:policy:1"}', "POLICY_INVALID", /JSON|duplicate/i);
});

test("refuses texts that are made to be expensive, before or while reading them", () => {
  refused(" ".repeat(257 << 10), "TOO_LARGE", /large/);
  refused(`a: ${"[".repeat(5000)}`, "TOO_LARGE", /deep/);
  refused(`a: ${"[".repeat(100)}1${"]".repeat(100)}`, "TOO_LARGE", /deep/);
  refused(`${"- ".repeat(20_000)}x`, "TOO_LARGE", /deep/);
  refused(`a:\n${Array.from({ length: 60 }, (_, at) => `${" ".repeat(at + 1)}a:`).join("\n")} 1`, "TOO_LARGE", /deep/);
  refused("- a\n".repeat(30_000), "TOO_LARGE", /many/);
  const laughs = `a: &a [x,x]\n${Array.from({ length: 30 }, (_, at) => `b${at}: &b${at} [*${at === 0 ? "a" : `b${at - 1}`}, *${at === 0 ? "a" : `b${at - 1}`}]`).join("\n")}`;
  refused(laughs, "POLICY_INVALID", /anchor|alias/);
});

test("numbers are whole and exact", () => {
  for (const number of ["1.5", "1e3", "9007199254740993", "99999999999999999999999999", ".inf", ".nan", "0x1p3"])
    refused(change("{from: [alice]}", `{from: [alice], atLeast: ${number}}`), "POLICY_INVALID", /whole|number/);
});

test("a document holds no number that another reader could read otherwise", () => {
  for (const number of ["1.5", "9007199254740993"])
    assert.throws(() => readDocument(utf8(`a: ${number}`), "document"), { code: "POLICY_INVALID" });
  assert.deepEqual(readDocument(utf8("a: 7\nb: yes\nc: 2026-01-01\n"), "document"), { a: 7, b: "yes", c: "2026-01-01" });
});

test("refuses another schema, and none", () => {
  refused(change("policy:1", "policy:2"), "POLICY_INVALID", /urn:lacre:policy:1/);
  refused(change("schema: urn:lacre:policy:1\n", ""), "POLICY_INVALID", /schema is missing/);
});

test("T31: an unknown member is refused, with the name that was meant", () => {
  refused(change("signatures:", "signature:"), "POLICY_INVALID", /signatures \(did you mean that\?\)/);
  refused(change("kind: file, name", "kind: file, nme"), "POLICY_INVALID", /name \(did you mean/);
  refused(change("issuer:", "isuer:"), "POLICY_INVALID", /issuer \(did you mean/);
  refused(`${GOOD}revokd: []\n`, "POLICY_INVALID", /revoked \(did you mean/);
  refused(change("from: [alice]", "from: [alcie]"), "POLICY_INVALID", /alice \(did you mean/);
  refused(change("{from: [alice]}", "{from: [alice], atleast: 1}"), "POLICY_INVALID", /atLeast \(did you mean/);
  refused(
    GOOD.replace(
      "rules:",
      "rules:\n  - {name: x, artifacts: [{kind: file, name: a}], signatures: {from: [alice]}, thresholds: {log: 1}}\nrulez:",
    ),
    "POLICY_INVALID",
    /rules \(did you mean|logs \(did you mean/,
  );
});

test("T31: what is empty would ask for nothing, and is refused", () => {
  refused(change("signatures: {from: [alice]}", "signatures: {from: []}"), "POLICY_INVALID", /empty/);
  refused(change("artifacts: [{kind: file, name: '**'}]", "artifacts: []"), "POLICY_INVALID", /empty/);
  refused(change("name: '**'", "name: ''"), "POLICY_INVALID", /empty/);
  refused(GOOD.slice(0, GOOD.indexOf("rules:")) + "rules: []\n", "POLICY_INVALID", /empty/);
  refused(change("    signatures: {from: [alice]}\n", ""), "POLICY_INVALID", /neither signatures nor attestations/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    conditions: []"), "POLICY_INVALID", /empty/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    age: {}"), "POLICY_INVALID", /empty/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    thresholds: {}"), "POLICY_INVALID", /empty/);
  refused(change("{identity: alice@example.com, issuer: https://issuer.example}", "[]"), "POLICY_INVALID", /empty/);
  refused(change("issuer: https://issuer.example}", "issuer: https://issuer.example, claims: {}}"), "POLICY_INVALID", /empty/);
  refused(
    change("signers:\n  alice: {identity: alice@example.com, issuer: https://issuer.example}\n", ""),
    "POLICY_INVALID",
    /signers/,
  );
  refused(`${GOOD}revoked: []\n`, "POLICY_INVALID", /empty/);
  refused(`${GOOD}revoked:\n`, "POLICY_INVALID", /not a list/);
});

test("T31: what contradicts itself, or could never hold, is refused", () => {
  refused(change("{from: [alice]}", "{from: [alice, alice]}"), "POLICY_INVALID", /twice/);
  refused(change("{from: [alice]}", "{from: [alice], atLeast: 2}"), "POLICY_INVALID", /from 1 to 1/);
  refused(change("{from: [alice]}", "{from: [alice], atLeast: 0}"), "POLICY_INVALID", /from 1/);
  refused(
    change("alice: {identity: alice@example.com, issuer:", "alice: {identity: alice@example.com, key: a.pub, issuer:"),
    "POLICY_INVALID",
    /two ways|says who/,
  );
  refused(
    change("{identity: alice@example.com, issuer: https://issuer.example}", "{identity: alice@example.com}"),
    "POLICY_INVALID",
    /issuer is missing/,
  );
  refused(
    change("{identity: alice@example.com, issuer: https://issuer.example}", "{key: a.pub, issuer: x}"),
    "POLICY_INVALID",
    /nothing beside key/,
  );
  refused(
    `${GOOD}  - {name: all, artifacts: [{kind: file, name: a}], signatures: {from: [alice]}}\n`,
    "POLICY_INVALID",
    /two rules of one name/,
  );
  refused(change("  alice:", "  bob: {key: b.pub}\n  alice:"), "POLICY_INVALID", /bob, whom no rule asks for/);
  refused(
    change("{from: [alice]}", "{from: [alice]}\n    age: {notBefore: 2026-02-01, notAfter: 2026-01-01}"),
    "POLICY_INVALID",
    /before it begins/,
  );
  refused(change("{from: [alice]}", "{from: [alice]}\n    age: {notBefore: 2026-02-31}"), "POLICY_INVALID", /no date/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    age: {within: 30}"), "POLICY_INVALID", /text/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    age: {within: 0d}"), "POLICY_INVALID", /span/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    trust: here"), "POLICY_INVALID", /trust that is not there/);
  refused(change("{from: [alice]}", "{from: [alice]}\n    mode: maybe"), "POLICY_INVALID", /enforce, warn/);
});

test("values that no certificate can have are refused", () => {
  refused(change("identity: alice@example.com", 'identity: "alice@example.com\\n"'), "POLICY_INVALID", /blank or a line end/);
  refused(change("identity: alice@example.com", "identity: ' alice@example.com'"), "POLICY_INVALID", /blank/);
  refused(change("identity: alice@example.com", "identity: {pattern: '('}"), "POLICY_INVALID", /RE2/);
  refused(change("identity: alice@example.com", "identity: {pattern: '(?=a)'}"), "POLICY_INVALID", /RE2/);
  refused(change("identity: alice@example.com", `identity: {pattern: '${"a".repeat(1001)}'}`), "POLICY_INVALID", /long/);
  refused(change("identity: alice@example.com", "identity: {pattern: '((((a{10}){10}){10}){10})'}"), "POLICY_INVALID", /RE2/);
});

test("T13: claims are known by name, and a misspelt one is refused", () => {
  refused(
    change("issuer.example}", "issuer.example, claims: {sourceRepositoryUri: x}}"),
    "POLICY_INVALID",
    /sourceRepositoryURI \(did you mean/,
  );
  refused(change("issuer.example}", "issuer.example, claims: {nonsense: x}}"), "POLICY_INVALID", /buildTrigger/);
});

test("keys are fingerprints, PEM, or references for the host", () => {
  const { publicKey } = generateKey("P-256");
  const pem = formatPem("PUBLIC KEY", publicKey.spki);
  const policy = oneRule({ pem: { key: pem }, print: { key: `sha256:${"0".repeat(64)}` }, file: { key: "keys/a.pub" } });
  assert.deepEqual(
    policy.keys.map(({ name, fingerprint, spki }) => [name.slice(0, 7), fingerprint !== undefined, spki !== undefined]),
    [
      ["sha256:", true, true],
      ["sha256:", true, false],
      ["keys/a.", false, false],
    ],
  );
  for (const key of ["sha256:00", `SHA256:${"0".repeat(64)}`, "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"])
    assert.throws(() => oneRule({ a: { key } }), { code: "POLICY_INVALID" });
  assert.throws(() => oneRule({ a: { key: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" } }), LacreError);
});

test("globs: * stops at a slash, ** does not, and a name without a slash is the last part of a path", () => {
  const fits = (glob: string, name: string, kind = "file"): boolean =>
    rulesFor(oneRule({ a: ALICE }, { artifacts: [{ kind, name: glob }] }), { ...ARTIFACT, kind: kind as "file", name }).length ===
    1;
  assert.ok(fits("app", "dist/app"));
  assert.ok(fits("app*", "dist/app-1.2"));
  assert.ok(!fits("dist/*", "dist/a/b"));
  assert.ok(fits("dist/**", "dist/a/b"));
  assert.ok(fits("a?c", "abc"));
  assert.ok(!fits("a?c", "a/c"));
  assert.ok(!fits("a.c", "abc"));
  assert.ok(!fits("a.c*", "abc"));
  assert.ok(fits("a.c*", "a.cd"));
  assert.ok(!fits("app", "app-evil"));
  assert.ok(!fits("ghcr.io/org/*", "ghcr.io.evil.org/org/x", "image"));
  assert.ok(!fits("app", "ghcr.io/org/app", "image"));
  assert.ok(fits("pkg:npm/@scope/*@1.*", "pkg:npm/@scope/a@1.2", "package"));
  assert.ok(!rulesFor(oneRule({ a: ALICE }), { ...ARTIFACT, kind: "image" }).length);
  // Many stars, and a name that almost fits: linear.
  assert.ok(!fits(`${"*a".repeat(200)}b`, "a".repeat(4000)));
});

test("CI forms are short for identity, issuer and claims", () => {
  const uri = "https://github.com/org/app/.github/workflows/release.yml@refs/tags/v1";
  const github = {
    github: { repository: "org/app", workflow: ".github/workflows/release.yml", ref: "refs/tags/*", runner: "github-hosted" },
  };
  const claims = {
    sourceRepositoryURI: "https://github.com/org/app",
    sourceRepositoryRef: "refs/tags/v1",
    runnerEnvironment: "github-hosted",
  };
  const good = { who: uri, issuer: "https://token.actions.githubusercontent.com", claims };
  const verified = (signer: object, made: object): boolean =>
    decide(oneRule({ ci: signer }), [verdictOf(made)]).outcome === "verified";
  assert.ok(verified(github, good));
  for (const bad of [
    { ...good, issuer: ISSUER },
    { ...good, who: uri.replace("release", "other") },
    { ...good, who: uri.replace("org/app", "evil/app") },
    { ...good, who: `https://evil.example/${uri}` },
    { ...good, claims: { ...claims, sourceRepositoryRef: "refs/heads/main" } },
    { ...good, claims: { ...claims, sourceRepositoryURI: "https://github.com/org/app-evil" } },
    { ...good, claims: { sourceRepositoryURI: claims.sourceRepositoryURI, sourceRepositoryRef: claims.sourceRepositoryRef } },
  ])
    assert.ok(!verified(github, bad), JSON.stringify(bad));
  const gitlab = {
    who: "https://gitlab.com/group/app//.gitlab-ci.yml@refs/heads/main",
    issuer: "https://gitlab.com",
    claims: { sourceRepositoryURI: "https://gitlab.com/group/app" },
  };
  assert.ok(verified({ gitlab: { project: "group/app", config: ".gitlab-ci.yml" } }, gitlab));
  assert.ok(!verified({ gitlab: { project: "group/other" } }, gitlab));
  const buildkite = {
    who: "https://buildkite.com/org/pipe",
    issuer: "https://agent.buildkite.com",
    claims: { buildTrigger: "webhook" },
  };
  assert.ok(verified({ buildkite: { organization: "org", pipeline: "pipe", trigger: "webhook" } }, buildkite));
  assert.ok(!verified({ buildkite: { organization: "org", pipeline: "pipe", trigger: "ui" } }, buildkite));
  const circleci = {
    who: "https://circleci.com/api/v2/projects/p1/pipeline-definitions/d1",
    issuer: "https://oidc.circleci.com/org/o1",
    claims: {},
  };
  assert.ok(verified({ circleci: { organization: "o1", project: "p1" } }, circleci));
  assert.ok(!verified({ circleci: { organization: "o2", project: "p1" } }, circleci));
  assert.throws(() => oneRule({ a: { github: { repo: "org/app" } } }), /repo/);
});

test("revocations are read strictly", () => {
  const revoked = (entry: object): unknown =>
    policyOf({
      signers: { a: ALICE, b: BOB },
      rules: [{ name: "r", artifacts: [{ kind: "file", name: "x" }], signatures: { from: ["a", "b"] } }],
      revoked: [entry],
    });
  revoked({ digest: `sha512:${"a".repeat(128)}`, reason: "bad" });
  revoked({ serial: "0A:FF", since: "2026-01-01" });
  for (const entry of [
    {},
    { reason: "x" },
    { key: "a", serial: "1" },
    { digest: "sha256:00" },
    { digest: `sha1:${"a".repeat(40)}` },
    { serial: "xyz" },
    { key: "a", issuer: "b" },
    { digest: `sha256:${"a".repeat(64)}`, since: "2026-01-01" },
  ])
    assert.throws(() => revoked(entry), { code: "POLICY_INVALID" }, JSON.stringify(entry));
});
