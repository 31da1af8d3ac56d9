// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { toBase64 } from "../bytes/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { formatPem, parsePem, parsePemAll } from "./pem.ts";

function refuses(code: LacreCode, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof LacreError && error.code === code);
}

test("writes what OpenSSL writes", () => {
  for (const { publicKey } of [
    generateKeyPairSync("ed25519"),
    generateKeyPairSync("ec", { namedCurve: "P-256" }),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ]) {
    const written = formatPem("PUBLIC KEY", publicKey.export({ type: "spki", format: "der" }));
    assert.equal(written, publicKey.export({ type: "spki", format: "pem" }));
    assert.ok(createPublicKey(written).equals(publicKey));
  }
});

test("what is written is read back, in every layout", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (der) => {
      const written = formatPem("CERTIFICATE", der);
      const unwrapped = `-----BEGIN CERTIFICATE-----\n${toBase64(der)}\n-----END CERTIFICATE-----`;
      for (const layout of [written, written.replaceAll("\n", "\r\n"), unwrapped, `subject=x\n${written}\ntrailing text\n`]) {
        assert.deepEqual(parsePem(layout, "CERTIFICATE"), der);
      }
    }),
  );
});

test("reads several blocks in order", () => {
  const two = formatPem("CERTIFICATE", Uint8Array.of(1)) + formatPem("PUBLIC KEY", Uint8Array.of(2));
  assert.deepEqual(parsePemAll(two), [
    { label: "CERTIFICATE", der: Uint8Array.of(1) },
    { label: "PUBLIC KEY", der: Uint8Array.of(2) },
  ]);
  refuses("BAD_PEM", () => parsePemAll(two, "CERTIFICATE"));
  refuses("BAD_PEM", () => parsePem(two));
});

test("refuses malformed text", () => {
  const good = formatPem("CERTIFICATE", new Uint8Array(100));
  for (const wrong of [
    "",
    "AAAA",
    good.replace("END CERTIFICATE", "END PUBLIC KEY"),
    good.replace("-----END CERTIFICATE-----\n", ""),
    good.replace("-----BEGIN", "----BEGIN"),
    good.replace("AAAA", "A AA"),
    good.replace("AAAA", "A-AA"),
    good.replace("AAAA", "AAA"),
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    good.replace("\n", "\nProc-Type: 4,ENCRYPTED\n\n"),
    good + good.slice(0, 28),
    good.replace("CERTIFICATE", "certificate"),
    `-----BEGIN X-----\n${good}`,
  ])
    refuses("BAD_PEM", () => parsePemAll(wrong));
  refuses("BAD_PEM", () => parsePem(good, "PUBLIC KEY"));
  refuses("TOO_LARGE", () => parsePem(`${" ".repeat(1 << 20)}\n${good}`));
});

test("a refusal never quotes the content of a block", () => {
  const leaky = "-----BEGIN PRIVATE KEY-----\nsecret!\n-----END PRIVATE KEY-----\n";
  assert.throws(
    () => parsePem(leaky),
    (error) =>
      error instanceof LacreError && !JSON.stringify([error.message, error.found, String(error.cause)]).includes("secret"),
  );
});
