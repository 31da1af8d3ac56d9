// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { fromHex, utf8 } from "../bytes/index.ts";
import { PREHASHED, verifyEdwards } from "./edwards.ts";

const sha512 = (data: Uint8Array): Uint8Array => Uint8Array.from(createHash("sha512").update(data).digest());
const pure = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  verifyEdwards(sha512, new Uint8Array(), key, message, signature);
const prehashed = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  verifyEdwards(sha512, PREHASHED, key, sha512(message), signature);

test("verifies what another implementation signs, and nothing else", () => {
  for (let i = 0; i < 6; i++) {
    const secret = Uint8Array.from({ length: 32 }, (_, at) => (at * 7 + i * 31) & 0xff);
    const key = ed25519ph.getPublicKey(secret);
    const message = utf8(`message ${i}`);
    const signature = ed25519ph.sign(message, secret);
    assert.ok(prehashed(key, message, signature));
    assert.ok(!pure(key, message, signature));
    assert.ok(!prehashed(key, utf8("another"), signature));
    for (const at of [0, 31, 32, 63]) {
      const changed = Uint8Array.from(signature);
      changed[at]! ^= 1;
      assert.ok(!prehashed(key, message, changed));
    }
    assert.ok(!prehashed(key, message, signature.subarray(0, 63)));
  }
});

test("pure signatures of the platform are judged as the platform judges them", () => {
  for (let i = 0; i < 6; i++) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = Uint8Array.from(publicKey.export({ format: "der", type: "spki" }).subarray(12));
    const message = utf8(`message ${i}`);
    const signature = Uint8Array.from(sign(null, message, privateKey));
    assert.ok(pure(key, message, signature));
    signature[i * 10]! ^= 1 << i;
    assert.equal(pure(key, message, signature), verify(null, message, publicKey, signature));
  }
});

const wycheproof = join(import.meta.dirname, "../../../../../shared/vectors/wycheproof/ed25519_test.json");
test("agrees with Wycheproof and the platform on every vector", { skip: !existsSync(wycheproof) }, () => {
  const { testGroups } = JSON.parse(readFileSync(wycheproof, "utf8"));
  let count = 0;
  for (const { publicKeyDer, tests } of testGroups) {
    const handle = createPublicKey({ key: Buffer.from(publicKeyDer, "hex"), format: "der", type: "spki" });
    const key = fromHex(publicKeyDer).subarray(12);
    for (const { msg, sig, result, comment } of tests) {
      const [message, signature] = [fromHex(msg), fromHex(sig)];
      assert.equal(pure(key, message, signature), result === "valid", comment);
      assert.equal(pure(key, message, signature), verify(null, message, handle, signature), comment);
      count++;
    }
  }
  assert.ok(count > 100);
});
