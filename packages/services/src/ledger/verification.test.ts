// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { algorithmOf, importPublicKey, sha256, type SignatureClaim } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import type { ServiceError } from "../errors.ts";
import { createVerification } from "./verification.ts";
import { encodeBatch, judgeBatch } from "./worker.ts";

const P256 = algorithmOf("PKIX_ECDSA_P256_SHA_256");
const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = importPublicKey(pair.publicKey.export({ format: "der", type: "spki" }));
const rsaPair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsa = importPublicKey(rsaPair.publicKey.export({ format: "der", type: "spki" }));

function claim(text: string, how: "digest" | "message" = "digest"): SignatureClaim {
  const message = Buffer.from(text);
  return {
    algorithm: P256,
    key,
    signed: how === "digest" ? { digest: sha256(message) } : { message },
    signature: sign("sha256", message, pair.privateKey),
  };
}
const wrong = (text: string): SignatureClaim => ({ ...claim(text), signed: { digest: sha256(Buffer.from("something else")) } });
const rsaClaim = (text: string): SignatureClaim => ({
  algorithm: algorithmOf("PKIX_RSA_PKCS1V15_2048_SHA256"),
  key: rsa,
  signed: { digest: sha256(Buffer.from(text)) },
  signature: sign("sha256", Buffer.from(text), rsaPair.privateKey),
});
const isRefusal = (error: unknown): boolean => error instanceof LacreError && error.code === "SIGNATURE_INVALID";

for (const threads of [0, 1, 2]) {
  test(`each request gets its own verdict, however they are batched (${threads} threads)`, async () => {
    const verification = createVerification({ threads });
    const requests: SignatureClaim[][] = [];
    for (let i = 0; i < 60; i++)
      requests.push(
        i % 7 === 3
          ? [claim(`${i}`), wrong(`${i}`)]
          : i % 5 === 0
            ? [claim(`${i}`), rsaClaim(`${i}`), claim(`${i}`, "message")]
            : [claim(`${i}`)],
      );
    const verdicts = await Promise.allSettled(requests.map((claims) => verification.check(claims)));
    for (const [i, verdict] of verdicts.entries()) {
      assert.equal(verdict.status, i % 7 === 3 ? "rejected" : "fulfilled", `request ${i}`);
      if (verdict.status === "rejected") assert.ok(isRefusal(verdict.reason));
    }
    verification.close();
  });
}

test("a request alone, one with more signatures than a batch, and one without any", async () => {
  const verification = createVerification({ threads: 1 });
  await verification.check([claim("alone")]);
  await verification.check(Array.from({ length: 40 }, (_, i) => claim(`${i}`)));
  await assert.rejects(verification.check([...Array.from({ length: 39 }, (_, i) => claim(`${i}`)), wrong("last")]), isRefusal);
  await verification.check([]);
  verification.close();
});

test("what a thread was at when it ends is judged here, and everything after it", async () => {
  const verification = createVerification({ threads: 1 });
  const checks = Array.from({ length: 20 }, (_, i) => verification.check([i === 9 ? wrong("9") : claim(`${i}`)]));
  const settled = Promise.allSettled(checks);
  await new Promise((resolve) => setImmediate(resolve));
  verification.close();
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    Array.from({ length: 20 }, (_, i) => (i === 9 ? "rejected" : "fulfilled")),
  );
  await verification.check([claim("after")]);
  await assert.rejects(verification.check([wrong("after")]), isRefusal);
});

test("refuses more while the first of the queue has waited too long, and takes it when that is served", async () => {
  let nowMs = 0;
  const verification = createVerification({ threads: 0, monotonic: () => nowMs });
  const waiting = Array.from({ length: 40 }, (_, i) => verification.check([claim(`${i}`)]));
  nowMs = 1000;
  waiting.push(verification.check([claim("in time")]));
  nowMs = 1001;
  await assert.rejects(
    verification.check([claim("late")]),
    (error: ServiceError) => error.code === "LOG_BUSY" && error.headers["retry-after"] === "1",
  );
  await Promise.all(waiting);
  await verification.check([claim("again")]);
});

test("a batch means the same on both sides", () => {
  const { number, refusals } = judgeBatch(encodeBatch(77, [claim("a"), wrong("b"), rsaClaim("c"), claim("d", "message")]));
  assert.equal(number, 77);
  assert.deepEqual(
    refusals.map((refusal) => refusal?.[0] ?? null),
    [null, "SIGNATURE_INVALID", null, null],
  );
});
