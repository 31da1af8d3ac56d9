// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { test } from "node:test";
import { concat } from "../bytes/index.ts";
import { integer, sequence } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { toOctets } from "./numbers.ts";
import { decodeRsaKey, encodePkcs1, isPkcs1Encoding, isPssEncoding, openRsaSignature } from "./rsa.ts";
import { decodeSpki } from "./spki.ts";

const { privateKey, publicKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = decodeRsaKey(decodeSpki(publicKey.export({ format: "der", type: "spki" })).raw);
const message = Buffer.from("lacre\n");
const hash = (algorithm: string, data: Uint8Array): Uint8Array => Uint8Array.from(crypto.hash(algorithm, data, "buffer"));
const digest = hash("sha256", message);

const { RSA_NO_PADDING, RSA_PKCS1_PSS_PADDING } = crypto.constants;

/** A signature that contains exactly this encoded message: what a signer can do who does not follow the standard. */
function seal(encoded: Uint8Array): Uint8Array {
  return crypto.privateEncrypt({ key: privateKey, padding: RSA_NO_PADDING }, encoded);
}

test("opens a signature as OpenSSL does, and only one below the modulus and as long as it", () => {
  const signature = crypto.sign("sha256", message, privateKey);
  const opened = openRsaSignature(key, signature)!;
  assert.deepEqual(opened, Uint8Array.from(crypto.publicDecrypt({ key: publicKey, padding: RSA_NO_PADDING }, signature)));
  assert.deepEqual(opened, encodePkcs1("sha256", digest, 256));
  assert.equal(openRsaSignature(key, signature.subarray(1)), undefined);
  assert.equal(openRsaSignature(key, concat(Uint8Array.of(0), signature)), undefined);
  assert.equal(openRsaSignature(key, toOctets(key.modulus, 256)), undefined);
  assert.deepEqual(openRsaSignature(key, toOctets(key.modulus - 1n, 256)), toOctets(key.modulus - 1n, 256));
});

test("a key with a negative number is refused", () => {
  const [modulus, exponent] = [integer(key.modulus), integer(key.exponent)];
  assert.deepEqual(decodeRsaKey(sequence(modulus, exponent)), key);
  const negative = Uint8Array.of(2, 1, 0x80);
  for (const raw of [sequence(negative, exponent), sequence(modulus, negative)]) {
    assert.throws(
      () => decodeRsaKey(raw),
      (error: unknown) => error instanceof LacreError && error.code === "KEY_INVALID",
    );
  }
});

test("PKCS#1 v1.5 has one encoding for a digest: any octet changed is another", () => {
  for (const name of ["sha256", "sha384", "sha512"] as const) {
    const encoded = openRsaSignature(key, crypto.sign(name, message, privateKey))!;
    assert.ok(isPkcs1Encoding(name, hash(name, message), encoded), name);
    for (let at = 0; at < encoded.length; at++) {
      const spoiled = encoded.slice();
      spoiled[at]! ^= 1;
      assert.equal(isPkcs1Encoding(name, hash(name, message), spoiled), false);
    }
  }
  const short = Uint8Array.from({ length: 256 }, (_, at) => encodePkcs1("sha256", digest, 248)[at] ?? 0);
  assert.equal(isPkcs1Encoding("sha256", digest, short), false, "octets behind the digest");
});

interface Parts {
  readonly trailer?: number;
  readonly topBit?: boolean;
  readonly padding?: number;
  readonly separator?: number;
  readonly salt?: Uint8Array;
  readonly spoilHash?: boolean;
}

/** EMSA-PSS (RFC 8017 section 9.1.1), each part replaceable. */
function pss({
  trailer = 0xbc,
  topBit = false,
  padding = 0,
  separator = 1,
  salt = crypto.randomBytes(32),
  spoilHash = false,
}: Parts = {}): Uint8Array {
  const h = hash("sha256", concat(new Uint8Array(8), digest, salt));
  const block = new Uint8Array(256 - 32 - 1);
  block[block.length - salt.length - 1] = separator;
  block[10] = padding;
  block.set(salt, block.length - salt.length);
  for (let at = 0, counter = 0; at < block.length; counter++) {
    for (const octet of hash("sha256", concat(h, Uint8Array.of(0, 0, 0, counter)))) if (at < block.length) block[at++]! ^= octet;
  }
  if (topBit) block[0]! |= 0x80;
  else block[0]! &= 0x7f;
  if (spoilHash) h[0]! ^= 1;
  return concat(block, h, Uint8Array.of(trailer));
}

test("PSS encodings are judged as OpenSSL judges them, one part wrong at a time", () => {
  const judge = (encoded: Uint8Array): [boolean, boolean | "not below the modulus"] => {
    const ours = isPssEncoding(hash, "sha256", digest, encoded);
    let theirs: boolean | "not below the modulus";
    try {
      theirs = crypto.verify(
        "sha256",
        message,
        { key: publicKey, padding: RSA_PKCS1_PSS_PADDING, saltLength: 32 },
        seal(encoded),
      );
    } catch {
      theirs = "not below the modulus";
    }
    return [ours, theirs];
  };
  assert.deepEqual(judge(pss()), [true, true]);
  assert.deepEqual(judge(pss({ trailer: 0xbd })), [false, false]);
  assert.deepEqual(judge(pss({ padding: 1 })), [false, false]);
  assert.deepEqual(judge(pss({ separator: 2 })), [false, false]);
  assert.deepEqual(judge(pss({ separator: 0 })), [false, false]);
  assert.deepEqual(judge(pss({ spoilHash: true })), [false, false]);
  for (const length of [0, 31, 33, 64])
    assert.deepEqual(judge(pss({ salt: crypto.randomBytes(length) })), [false, false], `salt of ${length}`);
  // The spare bit set makes most such messages larger than the modulus; then only we can look.
  const [ours, theirs] = judge(pss({ topBit: true }));
  assert.equal(ours, false);
  assert.notEqual(theirs, true);
});

test("a PSS encoding too short for hash and salt is refused without reading past its end", () => {
  for (let length = 0; length < 66; length++) {
    const encoded = new Uint8Array(length);
    if (length > 0) encoded[length - 1] = 0xbc;
    assert.equal(isPssEncoding(hash, "sha256", digest, encoded), false, `${length}`);
  }
});
