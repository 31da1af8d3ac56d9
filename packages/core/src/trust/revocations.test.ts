// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { readRevocations } from "./revocations.ts";

const read = (value: unknown): ReturnType<typeof readRevocations> =>
  readRevocations(new JsonObject(parseJson(JSON.stringify(value)), "revocations"));

test("revocations of every kind are read, hexadecimal in one spelling", () => {
  const revocations = read({
    certificates: [{ serial: "00AB01" }],
    identities: [{ identity: "a@b.c" }, { identity: "x", issuer: "https://i", since: "2026-01-01T00:00:00Z" }],
    keys: [{ sha256: "AA".repeat(32) }],
    entries: [{ logId: "0a", index: "12" }],
  });
  assert.deepEqual(revocations.certificates, [{ serial: "ab01" }]);
  assert.deepEqual(revocations.identities, [
    { identity: "a@b.c", issuer: undefined, sinceMs: undefined },
    { identity: "x", issuer: "https://i", sinceMs: Date.parse("2026-01-01T00:00:00Z") },
  ]);
  assert.deepEqual(revocations.keys[0]!.sha256, "aa".repeat(32));
  assert.deepEqual(revocations.entries, [{ logId: "0a", index: "12" }]);
  assert.deepEqual(read({}), { certificates: [], identities: [], keys: [], entries: [] });
});

test("what could mean something else is refused", () => {
  for (const bad of [
    { certificate: [] },
    { certificates: [{ serial: "xyz" }] },
    { certificates: [{ serial: "" }] },
    { certificates: [{ serial: "01", issuer: "x" }] },
    { identities: [{}] },
    { identities: [{ identity: "a", since: "yesterday" }] },
    { keys: [{ sha256: "1" }] },
    { entries: [{ logId: "0a" }] },
    { entries: [{ logId: "0a", index: "one" }] },
  ])
    assert.throws(() => read(bad), LacreError, JSON.stringify(bad));
});
