// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { test } from "node:test";
import { concat, fromBase64 } from "../bytes/index.ts";
import { bits, integer, nil, octets, oid, sequence } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { ALGORITHMS, type KeyType } from "./algorithms.ts";
import { generateKey, importPrivateKey, importPublicKey } from "./key.ts";
import { decodePkcs8, encodePkcs8 } from "./pkcs8.ts";
import { algorithmIdentifier, decodeSpki, encodeSpki, keyTypeOf } from "./spki.ts";

// Node generates ML-DSA keys from version 24 on.
const HAS_ML_DSA = Number(process.versions.node.split(".")[0]) >= 24;
const TYPES = [...new Set(ALGORITHMS.map((algorithm) => algorithm.keyType))].filter(
  (type) => HAS_ML_DSA || !type.startsWith("ML-DSA"),
);

function refused(spki: Uint8Array, code: string, what: string): void {
  assert.throws(
    () => importPublicKey(spki),
    (error: unknown) => error instanceof LacreError && error.code === code,
    what,
  );
}

for (const type of TYPES) {
  test(`${type}: OpenSSL's encoding is read, and written the same`, () => {
    const { publicKey } = generateKey(type, type === "RSA" ? 2048 : undefined);
    const key = decodeSpki(publicKey.spki);
    assert.equal(key.type, type);
    assert.equal(key.rsaBits, type === "RSA" ? 2048 : 0);
    assert.deepEqual(encodeSpki(type, key.raw), publicKey.spki);
  });

  test(`${type}: refuses bytes behind, bytes missing, parameters of another kind`, () => {
    const { spki, raw } = generateKey(type, type === "RSA" ? 2048 : undefined).publicKey;
    refused(concat(spki, Uint8Array.of(0)), "BAD_DER", "an octet behind");
    for (const length of [0, 1, 2, 10, spki.length - 1]) refused(spki.subarray(0, length), "BAD_DER", `cut to ${length}`);
    refused(sequence(sequence(oid("1.2.3")), bits(raw)), "KEY_INVALID", "unknown type");
    const others: Partial<Record<KeyType, Uint8Array>> = { RSA: sequence(oid("1.2.840.113549.1.1.1")) };
    const kind = others[type] ?? (type.startsWith("P-") ? sequence(oid("1.2.840.10045.2.1")) : undefined);
    if (kind !== undefined) refused(sequence(kind, bits(raw)), "BAD_DER", "no parameters");
    else refused(sequence(sequence(oid(oidOf(type)), nil()), bits(raw)), "BAD_DER", "parameters");
    refused(sequence(concat(spki.subarray(0, 0)), bits(raw)), "BAD_DER", "no algorithm");
  });
}

function oidOf(type: KeyType): string {
  return {
    Ed25519: "1.3.101.112",
    "ML-DSA-44": "2.16.840.1.101.3.4.3.17",
    "ML-DSA-65": "2.16.840.1.101.3.4.3.18",
    "ML-DSA-87": "2.16.840.1.101.3.4.3.19",
  }[type as "Ed25519"];
}

test("says what type a key is of before looking whether it is one, and nothing of unknown types", () => {
  for (const type of TYPES) {
    const { spki, raw } = generateKey(type, type === "RSA" ? 2048 : undefined).publicKey;
    assert.equal(keyTypeOf(spki), type);
    assert.equal(keyTypeOf(encodeSpki(type, raw.subarray(3))), type);
  }
  const { publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  assert.equal(keyTypeOf(publicKey.export({ format: "der", type: "spki" })), undefined);
  assert.equal(keyTypeOf(sequence(sequence(oid("1.2.840.10045.2.1")), bits(new Uint8Array(65)))), undefined);
  assert.equal(keyTypeOf(sequence(sequence(oid("1.2.3")), bits(new Uint8Array(65)))), undefined);
});

test("refuses curves outside the registry", () => {
  for (const namedCurve of ["secp256k1", "secp224r1", "brainpoolP256r1"]) {
    const { publicKey } = crypto.generateKeyPairSync("ec", { namedCurve });
    refused(publicKey.export({ format: "der", type: "spki" }), "KEY_INVALID", namedCurve);
  }
  refused(crypto.generateKeyPairSync("ed448").publicKey.export({ format: "der", type: "spki" }), "KEY_INVALID", "Ed448");
  refused(crypto.generateKeyPairSync("x25519").publicKey.export({ format: "der", type: "spki" }), "KEY_INVALID", "X25519");
  refused(
    crypto.generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
    "KEY_INVALID",
    "id-RSASSA-PSS",
  );
});

test("refuses RSA keys of other sizes, with an even modulus, with unsafe or negative numbers", () => {
  const rsa = (modulus: bigint | Uint8Array, exponent: bigint | Uint8Array): Uint8Array =>
    encodeSpki(
      "RSA",
      sequence(
        modulus instanceof Uint8Array ? modulus : integer(modulus),
        exponent instanceof Uint8Array ? exponent : integer(exponent),
      ),
    );
  const modulus = 2n ** 2047n + 1n;
  assert.equal(importPublicKey(rsa(modulus, 3n)).rsaBits, 2048);
  assert.equal(importPublicKey(rsa(modulus, 0xffffffffn)).rsaBits, 2048);
  for (const bits of [512n, 1024n, 2047n, 2049n, 2056n, 4095n, 4097n, 8192n])
    refused(rsa(2n ** (bits - 1n) + 1n, 65537n), "KEY_INVALID", `${bits} bits`);
  for (const exponent of [0n, 1n, 2n, 4n, 65536n, 0x100000001n])
    refused(rsa(modulus, exponent), "KEY_INVALID", `exponent ${exponent}`);
  refused(rsa(modulus + 1n, 65537n), "KEY_INVALID", "even modulus");
  const negative = Uint8Array.of(2, 1, 0xfd);
  refused(rsa(modulus, negative), "KEY_INVALID", "negative exponent");
  refused(rsa(negative, 65537n), "KEY_INVALID", "negative modulus");
  refused(
    encodeSpki("RSA", concat(sequence(integer(modulus), integer(3n)), Uint8Array.of(0))),
    "BAD_DER",
    "bytes behind the numbers",
  );
});

test("refuses raw keys of a wrong length", () => {
  for (const type of TYPES.filter((name) => name === "Ed25519" || name.startsWith("ML-DSA"))) {
    const { raw } = generateKey(type).publicKey;
    refused(encodeSpki(type, raw.subarray(1)), "KEY_INVALID", type);
    refused(encodeSpki(type, concat(raw, Uint8Array.of(0))), "KEY_INVALID", type);
  }
});

test("PKCS#8 is read as OpenSSL writes it, and OpenSSL reads what is written", () => {
  for (const type of ["P-256", "P-384", "P-521", "Ed25519"] as const) {
    const { pkcs8, publicKey } = generateKey(type);
    const key = decodePkcs8(pkcs8);
    assert.equal(key.type, type);
    const written = encodePkcs8(type, key.secret, publicKey.raw);
    assert.deepEqual(written, pkcs8);
    if (type === "Ed25519") continue;
    // Without its point, as some tools write it, an EC key is complete all the same.
    const bare = sequence(integer(0), sequence(...algorithmIdentifier(type)), octets(sequence(integer(1), octets(key.secret))));
    assert.deepEqual(decodePkcs8(bare), { type, secret: key.secret, raw: undefined });
    assert.deepEqual(importPrivateKey(bare).publicKey.spki, publicKey.spki);
  }
});

test("PKCS#8 of version 2, with attributes and the public key behind (RFC 8410 section 10.3), is read", () => {
  const bytes = fromBase64(
    "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhCoB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
  );
  const key = decodePkcs8(bytes);
  assert.equal(key.raw?.length, 32);
  assert.deepEqual(
    encodePkcs8("Ed25519", key.secret, key.raw!),
    fromBase64("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"),
  );
  // Version 1 has no place for it.
  const early = bytes.slice();
  early[4] = 0;
  assert.throws(() => decodePkcs8(early), LacreError);
});

test("PKCS#8 of other kinds, lengths and versions is refused", () => {
  const { pkcs8 } = generateKey("P-256");
  const invalid = (bytes: Uint8Array): void => assert.throws(() => decodePkcs8(bytes), LacreError);
  invalid(crypto.generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey.export({ format: "der", type: "pkcs8" }));
  invalid(crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "der", type: "pkcs8" }));
  invalid(pkcs8.subarray(0, 40));
  invalid(encodePkcs8("Ed25519", new Uint8Array(31), new Uint8Array()));
  invalid(encodePkcs8("P-256", new Uint8Array(31), new Uint8Array(65)));
  const version = pkcs8.slice();
  version[version.indexOf(2) + 2] = 2;
  invalid(version);
});
