// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { bytesOf, createWorkshop, seal } from "../../../../test/workshop/workshop.ts";
import { decodeBundle } from "../bundle/index.ts";
import { text, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { readExpected } from "./expected.ts";
import { decodeEntry } from "./table.ts";

const workshop = createWorkshop();
const SAMPLES = (
  [
    ["hashedrekord 0.0.1", {}],
    ["dsse 0.0.1", { content: "dsse" }],
    ["hashedrekord 0.0.2", { dialect: "v2" }],
    ["hashedrekord 0.0.2", { dialect: "v2", content: "dsse" }],
  ] as const
).map(([name, recipe]) => {
  const bundle = decodeBundle(bytesOf(seal(workshop, recipe).bundle));
  const entry = bundle.logEntries[0]!;
  assert.ok(bundle.key.kind === "certificate");
  return {
    name,
    body: entry.canonicalizedBody,
    kind: entry.kind,
    version: entry.version,
    expected: { content: bundle.content, certificate: bundle.key.chain[0]! },
  };
});

test("the expected body gives the facts that its kind reads from it", () => {
  for (const { name, body, kind, version, expected } of SAMPLES) {
    assert.equal(`${kind} ${version}`, name);
    const facts = readExpected(body, kind, version, expected);
    assert.notEqual(facts, undefined, name);
    assert.deepEqual(facts, decodeEntry(body, kind, version));
  }
});

test("a body in any other spelling, or of another signature, certificate or kind, is not the expected one", () => {
  for (const { name, body, kind, version, expected } of SAMPLES) {
    const written = text(body);
    for (const other of [
      ` ${written}`,
      `${written}\n`,
      written.replace(",", ", "),
      written.slice(0, -1),
      written.replace('"kind"', '"kin\\u0064"'),
    ])
      assert.equal(readExpected(utf8(other), kind, version, expected), undefined, name);
    const { content, certificate } = expected;
    const signature = Uint8Array.from(content.signature);
    signature[9]! ^= 1;
    assert.equal(readExpected(body, kind, version, { content: { signature }, certificate }), undefined, name);
    assert.equal(readExpected(body, kind, version, { content, certificate: certificate.subarray(1) }), undefined, name);
    assert.equal(readExpected(body, kind, "0.0.9", expected), undefined, name);
    for (const other of SAMPLES)
      if (other.name !== name) assert.equal(readExpected(body, other.kind, other.version, expected), undefined, name);
  }
});

test("whatever is changed in a body: it is not the expected one, or has the facts that its kind reads", () => {
  const octet = fc.constantFrom(...utf8('"\\{}:,0aAfF+/=-_ \u00e9'));
  fc.assert(
    fc.property(
      fc.constantFrom(...SAMPLES),
      fc.array(fc.tuple(fc.nat(), octet), { minLength: 1, maxLength: 3 }),
      (sample, changes) => {
        const { kind, version, expected } = sample;
        const body = Uint8Array.from(sample.body);
        for (const [at, value] of changes) body[at % body.length] = value;
        const facts = readExpected(body, kind, version, expected);
        if (facts !== undefined) return assert.deepEqual(facts, decodeEntry(body, kind, version));
        // Then the answer is the reader's, with or without something expected.
        const answer = (hint?: typeof expected): unknown => {
          try {
            return decodeEntry(body, kind, version, hint);
          } catch (error) {
            if (error instanceof LacreError) return error.code;
            throw error;
          }
        };
        assert.deepEqual(answer(expected), answer());
      },
    ),
    { numRuns: 2000 },
  );
});
