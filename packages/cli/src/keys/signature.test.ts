// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { algorithmOf, checkSignature, importPublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { CliError } from "../errors.ts";
import { chooseAlgorithm, createRemoteSigner, encodeEcdsa } from "./signature.ts";

const P256 = algorithmOf("PKIX_ECDSA_P256_SHA_256");
const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = importPublicKey(pair.publicKey.export({ format: "der", type: "spki" }));
const message = Buffer.from("x");

test("r and s become DER, whatever their first octets", () => {
  for (let i = 0; i < 300; i++) {
    const raw = sign("sha256", message, { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
    checkSignature(P256, publicKey, { message }, encodeEcdsa(raw));
  }
  for (const length of [0, 63]) assert.throws(() => encodeEcdsa(new Uint8Array(length)), CliError);
});

test("a key elsewhere is given digests, and its signature is checked", async () => {
  const given: unknown[] = [];
  const signer = createRemoteSigner(publicKey, P256, async (input) => {
    given.push(Object.keys(input)[0]);
    return sign("sha256", message, pair.privateKey);
  });
  checkSignature(P256, publicKey, { message }, await signer.sign({ message }));
  assert.deepEqual(given, ["digest"]);
  await assert.rejects(
    signer.sign({ message: Buffer.from("y") }),
    (error) => error instanceof CliError && error.code === "KEY_UNREACHABLE",
  );
});

test("the algorithm is the one asked for, and one the keeper knows", () => {
  assert.equal(
    chooseAlgorithm(publicKey, undefined, () => true),
    P256,
  );
  assert.equal(
    chooseAlgorithm(publicKey, P256, () => true),
    P256,
  );
  const refused = (code: string) => (error: unknown) => error instanceof LacreError && error.code === code;
  assert.throws(() => chooseAlgorithm(publicKey, algorithmOf("PKIX_ED25519"), () => true), refused("KEY_INVALID"));
  assert.throws(() => chooseAlgorithm(publicKey, P256, () => false), refused("ALGORITHM_UNKNOWN"));
});
