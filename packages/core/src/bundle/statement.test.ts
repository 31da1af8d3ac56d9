// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import { utf8 } from "../bytes/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { decodeStatement } from "./statement.ts";

const GOOD = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ name: "a", digest: { sha256: "00ff" } }, { digest: { sha512: "aa", gitCommit: "bb" } }],
  predicateType: "https://slsa.dev/provenance/v1",
  predicate: { buildType: "x" },
};
const decode = (statement: unknown): ReturnType<typeof decodeStatement> => decodeStatement(utf8(JSON.stringify(statement)));
function refuses(code: LacreCode, statement: unknown): void {
  assert.throws(
    () => decode(statement),
    (error) => error instanceof LacreError && error.code === code,
    JSON.stringify(statement).slice(0, 200),
  );
}

test("reads type, subjects, predicate type and predicate", () => {
  for (const _type of [GOOD._type, "https://in-toto.io/Statement/v0.1"]) {
    const statement = decode({ ...GOOD, _type, extra: 1 });
    assert.equal(statement.type, _type);
    assert.equal(statement.subjects.length, 2);
    assert.equal(statement.subjects[0]!.name, "a");
    assert.equal(statement.subjects[0]!.digests.get("sha256"), "00ff");
    assert.equal(statement.subjects[1]!.name, undefined);
    assert.equal(statement.subjects[1]!.digests.get("gitCommit"), "bb");
    assert.equal(statement.predicateType, "https://slsa.dev/provenance/v1");
    assert.deepEqual(statement.predicate, { buildType: "x" });
  }
  assert.equal(decode({ ...GOOD, predicate: undefined }).predicate, null);
});

test("refuses what is not a statement", () => {
  for (const text of ["", "x", "[]", "null", '"x"', "1"]) {
    assert.throws(
      () => decodeStatement(utf8(text)),
      (error) => error instanceof LacreError && error.code === "BAD_JSON",
    );
  }
  refuses("STATEMENT_INVALID", { ...GOOD, _type: "https://in-toto.io/Statement/v2" });
  refuses("STATEMENT_INVALID", { ...GOOD, _type: "https://in-toto.io/Statement/v1 " });
  refuses("BAD_JSON", { ...GOOD, _type: undefined });
  refuses("STATEMENT_INVALID", { ...GOOD, predicateType: "" });
  refuses("BAD_JSON", { ...GOOD, predicateType: undefined });
  refuses("BAD_JSON", { ...GOOD, predicateType: ["x"] });
});

test("refuses a statement without subjects, and subjects without digests", () => {
  refuses("STATEMENT_INVALID", { ...GOOD, subject: undefined });
  refuses("STATEMENT_INVALID", { ...GOOD, subject: [] });
  refuses("BAD_JSON", { ...GOOD, subject: {} });
  refuses("BAD_JSON", { ...GOOD, subject: ["x"] });
  refuses("BAD_JSON", { ...GOOD, subject: [{ name: "a" }] });
  refuses("STATEMENT_INVALID", { ...GOOD, subject: [{ name: "a", digest: {} }] });
  refuses("BAD_JSON", { ...GOOD, subject: [{ name: "a", digest: { sha256: 1 } }] });
  refuses("BAD_JSON", { ...GOOD, subject: [{ name: "a", digest: { sha256: null } }] });
  refuses("BAD_JSON", { ...GOOD, subject: [{ name: 1, digest: { sha256: "a" } }] });
});

test("a digest may not be given twice", () => {
  const twice = JSON.stringify(GOOD).replace('{"sha256":"00ff"}', '{"sha256":"00ff","sha256":"11ff"}');
  assert.throws(
    () => decodeStatement(utf8(twice)),
    (error) => error instanceof LacreError && error.code === "BAD_JSON",
  );
});

test("subjects and digests have bounds", () => {
  const subjects = (n: number): unknown => ({
    ...GOOD,
    subject: Array.from({ length: n }, () => ({ digest: { sha256: "aa" } })),
  });
  assert.equal(decode(subjects(1024)).subjects.length, 1024);
  refuses("TOO_LARGE", subjects(1025));
  const digests = (n: number): unknown => ({
    ...GOOD,
    subject: [{ digest: Object.fromEntries(Array.from({ length: n }, (_, i) => [`h${i}`, "aa"])) }],
  });
  assert.equal(decode(digests(32)).subjects[0]!.digests.size, 32);
  refuses("TOO_LARGE", digests(33));
});

test("__proto__ is a digest name like another", () => {
  const odd = decodeStatement(
    utf8('{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[{"digest":{"__proto__":"aa"}}]}'),
  );
  assert.deepEqual([...odd.subjects[0]!.digests], [["__proto__", "aa"]]);
});
