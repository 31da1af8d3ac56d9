// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import fc from "fast-check";
import { decodeBatch, encodeBatch } from "./batch.ts";
import { ServiceError } from "../errors.ts";
import { key } from "./identities.ts";
import { buildSegment, candidates, decodeSegment, encodeSegment, mergeSegments, type Segment } from "./segment.ts";

const identityOf = (index: number): string => key(sha256(utf8(`${index}`)));

function built(first: number, count: number): Segment {
  return buildSegment(
    first,
    Array.from({ length: count }, (_, at) => [identityOf(first + at), first + at] as const),
    count,
  );
}

test("finds every entry it was built from and hardly ever another", () => {
  const segment = built(1000, 5000);
  for (let index = 1000; index < 6000; index++) assert.deepEqual(candidates(segment, identityOf(index)), [index]);
  let strangers = 0;
  for (let index = 6000; index < 16_000; index++) strangers += candidates(segment, identityOf(index)).length;
  assert.ok(strangers <= 1);
});

test("gives all entries with the same first 40 bits, wherever they lie", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 1, 254, 255), fc.constantFrom(0, 255), fc.constantFrom(0, 128, 255)), {
        minLength: 1,
        maxLength: 60,
      }),
      (rows) => {
        const identities = rows.map(([a, b, c], at) => [String.fromCharCode(a, b, b, b, c) + `${at}`, 70 + at] as const);
        const segment = buildSegment(70, identities, identities.length);
        for (const [identity] of identities) {
          const expected = identities.filter(([other]) => other.slice(0, 5) === identity.slice(0, 5)).map(([, index]) => index);
          assert.deepEqual(
            candidates(segment, identity).toSorted((x, y) => x - y),
            expected,
          );
        }
      },
    ),
  );
});

test("merged segments answer as one built at once", () => {
  for (const counts of [
    [1, 1],
    [300, 1, 500],
    [64, 64, 64, 64, 64],
  ]) {
    let first = 0;
    const parts = counts.map((count) => built((first += count) - count, count));
    const steps = mergeSegments(parts);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    assert.deepEqual(step.value, built(0, first));
  }
});

test("a file holds exactly one segment; any change of it is noticed", () => {
  const segment = built(512, 256);
  const bytes = encodeSegment(segment);
  assert.deepEqual(decodeSegment(bytes, 512, 256), segment);
  assert.equal(decodeSegment(bytes, 0, 256), undefined);
  assert.equal(decodeSegment(bytes, 512, 255), undefined);
  assert.equal(decodeSegment(bytes.subarray(1), 512, 256), undefined);
  for (const at of [0, 5, 9, 40, 64, 1000, bytes.length - 1]) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    assert.equal(decodeSegment(changed, 512, 256), undefined, `octet ${at}`);
  }
});

test("a batch gives back its records; anything else is damage", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (records) => {
      const decoded = decodeBatch(encodeBatch(records));
      assert.ok(decoded.length === records.length && decoded.every((record, at) => equalBytes(record, records[at]!)));
    }),
  );
  const bytes = encodeBatch([utf8("one"), utf8("two")]);
  const damage = (changed: Uint8Array): void =>
    assert.throws(
      () => decodeBatch(changed),
      (error: ServiceError) => error.code === "LOG_DAMAGED",
    );
  for (let length = 0; length < bytes.length; length++) damage(bytes.subarray(0, length));
  for (const at of [0, 3, 4, 7, 14]) damage(bytes.map((byte, place) => (place === at ? byte ^ 1 : byte)));
});
