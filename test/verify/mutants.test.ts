// SPDX-License-Identifier: Apache-2.0
/** A sample of what `npm run mutants` does with thousands, and proof that its oracle would notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { bytesOf, seal } from "../workshop/workshop.ts";
import { difference, essenceOf } from "./equivalence.ts";
import { judgeMutants, workshopSubjects, type Subject } from "./mutants.ts";
import { MUTATIONS, Random, twinSignature } from "./mutation.ts";
import { workshop } from "./trial.ts";

test("no damaged bundle is accepted unless it says the same in other words (T37, T39)", () => {
  const { failures, classes } = judgeMutants(workshopSubjects(workshop), 800, 20260115);
  assert.deepEqual(failures, []);
  for (const [way, { judged }] of classes) assert.ok(judged > 0, `${way} was not tried`);
});

test("a verifier that accepts everything is found out in every way of damage", () => {
  const careless = workshopSubjects(workshop).map((subject): Subject => {
    const verdict = subject.verify(new TextEncoder().encode(subject.text));
    return { ...subject, verify: () => verdict };
  });
  const { failures, classes } = judgeMutants(careless, 2000, 7);
  for (const way of classes.keys()) {
    if (way === "the twin of a signature") continue;
    assert.ok(
      failures.some((failure) => failure.includes(`: ${way} (`)),
      `${way}: nothing was noticed`,
    );
  }
});

test("a verifier that throws, or refuses without a reason, is found out", () => {
  const [subject] = workshopSubjects(workshop);
  const throwing: Subject = {
    ...subject!,
    verify: () => {
      throw new TypeError("undefined is not a function");
    },
  };
  assert.equal(judgeMutants([throwing], 20, 1).failures.length, 20);
  const silent: Subject = {
    ...subject!,
    verify: () => ({ schema: "urn:lacre:verdict:1", outcome: "refused", checks: [], warnings: [] }),
  };
  assert.equal(judgeMutants([silent], 20, 1).failures.length, 20);
});

test("the other root of a signature is one, and its other root is the first", () => {
  const signature = seal(workshop, { dialect: "v1" }).signature;
  const twin = twinSignature(signature)!;
  assert.notDeepEqual(twin, Buffer.from(signature));
  assert.deepEqual(twinSignature(twin), Buffer.from(signature));
  assert.equal(twinSignature(Buffer.from("3006020101020100", "hex")), undefined);
});

test("spelling is no difference, content is", () => {
  const { bundle, root } = seal(workshop, { dialect: "v2" });
  const logs = new Set(decodeTrustedRoot(bytesOf(root)).tlogs.map(({ logId }) => Buffer.from(logId).toString("hex")));
  const good = essenceOf(JSON.stringify(bundle), logs)!;
  assert.equal(difference(good, essenceOf(JSON.stringify(bundle, undefined, 2), logs)), undefined);
  const random = new Random(1);
  const bit = MUTATIONS["a bit of a value flipped"]!;
  const entry = { ...bundle, verificationMaterial: { ...bundle["verificationMaterial"], tlogEntries: [] } };
  assert.match(difference(good, essenceOf(JSON.stringify(entry), logs)) ?? "", /no log entry is left/);
  assert.match(difference(good, essenceOf("[", logs)) ?? "", /no bundle/);
  assert.ok(bit(JSON.stringify(bundle), [], random)!.text !== JSON.stringify(bundle));
});
