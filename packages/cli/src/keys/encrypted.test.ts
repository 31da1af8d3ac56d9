// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatPem, parsePem } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { decodeEncryptedKey, isEncryptedKey, openEncryptedKey, sealKey } from "./encrypted.ts";

const folder = join(import.meta.dirname, "../../../../vectors/cosign-keys");
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const PASSWORD = Buffer.from("correct horse");
const LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY";

function publicOf(pkcs8: Uint8Array): string {
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "pem", type: "spki" }).toString();
}

test("opens what cosign wrote, with its password alone", async () => {
  for (const name of ["p256", "p384", "ed25519", "rsa"]) {
    const key = decodeEncryptedKey(read(`${name}.key`));
    const pkcs8 = await openEncryptedKey(key, PASSWORD);
    assert.ok(pkcs8 !== undefined, name);
    assert.equal(publicOf(pkcs8), read(`${name}.pub`));
    assert.equal(await openEncryptedKey(key, Buffer.from("correct horse\n")), undefined);
  }
});

test("reads the older label too", async () => {
  const old = read("p256.key").replaceAll("SIGSTORE", "COSIGN");
  assert.ok(isEncryptedKey(old));
  assert.ok((await openEncryptedKey(decodeEncryptedKey(old), PASSWORD)) !== undefined);
  assert.ok(!isEncryptedKey("-----BEGIN PRIVATE KEY-----"));
});

test("what is sealed opens again, and never the same way twice", async () => {
  const secret = Uint8Array.from([1, 2, 3]);
  const [first, second] = await Promise.all([sealKey(secret, PASSWORD), sealKey(secret, PASSWORD)]);
  assert.notEqual(first, second);
  assert.deepEqual(await openEncryptedKey(decodeEncryptedKey(first), PASSWORD), secret);
  assert.equal(await openEncryptedKey(decodeEncryptedKey(first), new Uint8Array()), undefined);
});

test("a changed box does not open", async () => {
  const key = decodeEncryptedKey(read("p256.key"));
  const ciphertext = Uint8Array.from(key.ciphertext);
  ciphertext[20]! ^= 1;
  assert.equal(await openEncryptedKey({ ...key, ciphertext }, PASSWORD), undefined);
});

// oxlint-disable-next-line no-explicit-any -- tests break documents on purpose
type Loose = any;

test("refuses other methods, costs out of bounds, and what is incomplete, before deriving anything", () => {
  const bend = (change: (document: Loose) => void): string => {
    const document = JSON.parse(Buffer.from(parsePem(read("p256.key"), LABEL)).toString()) as Loose;
    change(document);
    return formatPem(LABEL, Buffer.from(JSON.stringify(document)));
  };
  decodeEncryptedKey(bend(() => undefined));
  const cases: Record<string, (document: Loose) => void> = {
    "another derivation": (document) => (document.kdf.name = "argon2id"),
    "another cipher": (document) => (document.cipher.name = "aes"),
    "N too large": (document) => (document.kdf.params.N = 2 ** 30),
    "N no power of two": (document) => (document.kdf.params.N = 65_537),
    "N of one": (document) => (document.kdf.params.N = 1),
    "r too large": (document) => (document.kdf.params.r = 64),
    "p too large": (document) => (document.kdf.params.p = 1000),
    "p of zero": (document) => (document.kdf.params.p = 0),
    "a fraction": (document) => (document.kdf.params.N = 1.5),
    "a number as text": (document) => (document.kdf.params.N = "65536"),
    "no salt": (document) => (document.kdf.salt = ""),
    "a short nonce": (document) => (document.cipher.nonce = "AAAA"),
    "no ciphertext": (document) => (document.ciphertext = ""),
  };
  for (const [name, change] of Object.entries(cases)) {
    assert.throws(
      () => decodeEncryptedKey(bend(change)),
      (error) => error instanceof LacreError && error.code === "KEY_INVALID",
      name,
    );
  }
  assert.throws(() => decodeEncryptedKey(read("p256.key") + read("p384.key")), /beside/);
  assert.throws(() => decodeEncryptedKey("x".repeat(200_000)), /large/);
});
