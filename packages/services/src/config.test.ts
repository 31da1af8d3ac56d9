// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { decodeIssuers } from "./ca/index.ts";
import { CONFIG_SCHEMA, defaultSettings } from "./config.ts";
import { ServiceError } from "./errors.ts";
import { parseConfig } from "./serve.ts";

const docs = join(import.meta.dirname, "..", "..", "..", "docs");
const page = readFileSync(join(docs, "configuration.md"), "utf8");

test("docs/configuration.md lists exactly the settings there are, with their defaults", () => {
  const written = [...page.matchAll(/^\| `([a-z]+\.[A-Za-z]+)` \| `(.*?)` \|/gm)].map(([, field, value]) => [
    field!,
    JSON.parse(value!) as unknown,
  ]);
  const real = Object.entries(defaultSettings()).flatMap(([section, fields]) =>
    Object.entries(fields).map(([field, value]) => [`${section}.${field}`, value as unknown]),
  );
  assert.deepEqual(Object.fromEntries(written), Object.fromEntries(real));
});

test("every default has a place in the schema, and every setting of the schema a default", () => {
  const sections = (CONFIG_SCHEMA as unknown as { properties: Record<string, { properties: object }> }).properties;
  for (const [section, fields] of Object.entries(defaultSettings()))
    assert.deepEqual(Object.keys(sections[section]!.properties).toSorted(), Object.keys(fields).toSorted(), section);
  assert.deepEqual(Object.keys(sections).toSorted(), ["installation", "version", ...Object.keys(defaultSettings())].toSorted());
});

test("the published schema is the one that is applied", () => {
  const published = readFileSync(join(docs, "lacre.schema.json"), "utf8");
  const applied = `${JSON.stringify({ $schema: "https://json-schema.org/draft/2020-12/schema", ...CONFIG_SCHEMA }, null, 2)}\n`;
  assert.equal(published, applied, "write docs/lacre.schema.json anew from CONFIG_SCHEMA");
});

test("the example in the document is a configuration", () => {
  const [, example] = /```json\n([\s\S]*?)```/.exec(page)!;
  const { settings } = parseConfig(example!, "example");
  assert.equal(settings.ledger.keyType, "P-256");
  assert.equal(decodeIssuers(settings.ca.issuers as never).length, 1);
});

test("issuers are read as strictly as everything else", () => {
  const wrong = '{"ca":{"issuers":{"oidc-issuers":{"ftp://x":{"client-id":"a","type":"email"}}}}}';
  assert.throws(
    () => parseConfig(wrong, "wrong"),
    (error) => error instanceof ServiceError && error.code === "CONFIG_INVALID",
  );
});

test("an empty file is the defaults", () => {
  assert.deepEqual(parseConfig("{}", "empty"), { facts: undefined, settings: defaultSettings() });
});
