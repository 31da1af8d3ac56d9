// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import Schema from "typebox/schema";
import { parse } from "yaml";
import { utf8 } from "@lacre/core/bytes";
import { parsePolicy } from "./policy.ts";
import { POLICY_JSON_SCHEMA } from "./schema.ts";

const docs = join(import.meta.dirname, "..", "..", "..", "..", "docs");

test("docs/policy.schema.json is the schema", () => {
  const published = readFileSync(join(docs, "policy.schema.json"), "utf8");
  assert.equal(
    published,
    `${JSON.stringify(POLICY_JSON_SCHEMA, null, 2)}\n`,
    "write docs/policy.schema.json anew from POLICY_JSON_SCHEMA",
  );
});

test("every policy in the documents is read, and keeps the schema", () => {
  let count = 0;
  for (const name of ["policy.md", join("formats", "policy.md")]) {
    const page = readFileSync(join(docs, name), "utf8");
    for (const [text] of page.matchAll(/^schema: urn:lacre:policy:1\n[\s\S]*?(?=^(?:```|EOF)$)/gm)) {
      parsePolicy(utf8(text), name);
      assert.ok(
        Schema.Check(POLICY_JSON_SCHEMA as never, parse(text)),
        `${name}: ${JSON.stringify(Schema.Errors(POLICY_JSON_SCHEMA as never, parse(text))[1])}`,
      );
      count++;
    }
  }
  assert.ok(count >= 6, `${count} policies were found`);
});

test("the schema refuses what is misspelt or empty", () => {
  const good = {
    schema: "urn:lacre:policy:1",
    signers: { a: { identity: "a", issuer: "b" } },
    rules: [{ name: "r", artifacts: [{ kind: "file", name: "x" }], signatures: { from: ["a"] } }],
  };
  const validate = (value: unknown): boolean => Schema.Check(POLICY_JSON_SCHEMA as never, value);
  assert.ok(validate(good));
  for (const bad of [
    { ...good, rules: [] },
    { ...good, rulez: [] },
    { ...good, schema: "x" },
    { ...good, signers: { a: { identity: "a" } } },
    { ...good, signers: { a: { identity: "a", issuer: "b", claims: { nothing: "x" } } } },
  ])
    assert.ok(!validate(bad), JSON.stringify(bad));
});
