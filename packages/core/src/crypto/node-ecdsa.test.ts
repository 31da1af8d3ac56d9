// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { test } from "node:test";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { concat, fromHex } from "../bytes/index.ts";
import { integer, sequence } from "../codec/der.ts";
import { CURVES, type CurveName, decodePoint, encodePoint, type Point } from "./curve.ts";
import { adoptNative, type EcdsaClaim, verifyEcdsaDigests } from "./node-ecdsa.ts";
import { fromOctets, invert, residue, toOctets } from "./numbers.ts";
import { type Algorithm, algorithmOf, checkSignature, importPublicKey, type PublicKey, type Signed } from "./index.ts";
import { encodeSpki } from "./spki.ts";

const ORACLES = { "P-256": p256, "P-384": p384, "P-521": p521 };
const NAMES = Object.keys(CURVES) as CurveName[];

function encode(r: bigint, s: bigint): Uint8Array {
  return sequence(integer(r), integer(s));
}

function alone(claim: EcdsaClaim): boolean {
  const [verdict] = verifyEcdsaDigests([claim]);
  return verdict!;
}

// Small, fast, and the same in every run: the search for a counter-example starts from this number.
function* numbersFrom(seed: number): Generator<number> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

const ROUNDS: Readonly<Record<CurveName, number>> = { "P-256": 3000, "P-384": 240, "P-521": 120 };
const ROWS: Readonly<Record<CurveName, string>> = {
  "P-256": "PKIX_ECDSA_P256_SHA_256",
  "P-384": "PKIX_ECDSA_P384_SHA_384",
  "P-521": "PKIX_ECDSA_P521_SHA_512",
};

for (const name of NAMES) {
  test(`${name}: over a digest as OpenSSL over the message, for signatures good and spoiled`, () => {
    const algorithm = algorithmOf(ROWS[name]);
    const random = numbersFrom(7);
    const pick = (below: number): number => random.next().value! % below;
    const flip = (bytes: Uint8Array, from = 0): Uint8Array => {
      const out = Uint8Array.from(bytes);
      const at = from + pick(out.length - from);
      out[at]! ^= 1 << pick(8);
      return out;
    };
    const pairs = Array.from({ length: 12 }, () => crypto.generateKeyPairSync("ec", { namedCurve: name }));
    const keys = pairs.map((pair) => importPublicKey(pair.publicKey.export({ format: "der", type: "spki" })));
    const counts = { valid: 0, invalid: 0 };
    for (let round = 0; round < ROUNDS[name]; round++) {
      const which = pick(pairs.length);
      let message: Uint8Array = crypto.randomBytes(1 + pick(100));
      let signature: Uint8Array = crypto.sign(algorithm.hash, message, pairs[which]!.privateKey);
      let key = which;
      switch (round % 5) {
        case 1:
          message = flip(message);
          break;
        case 2:
          signature = flip(signature);
          break;
        case 3:
          key = (which + 1) % pairs.length;
          break;
        case 4: {
          const n = CURVES[name].n;
          const [r, s] = numbersOf(signature);
          // The complement of s is as good as s; any other change is not.
          signature = [encode(r, n - s), encode(n - r, s), encode(s, r), encode(r, residue(2n * s, n)), encode(r, invert(s, n))][
            pick(5)
          ]!;
        }
      }
      const expected = crypto.verify(algorithm.hash, message, pairs[key]!.publicKey, signature);
      const digest = crypto.hash(algorithm.hash, message, "buffer");
      assert.equal(accepts(algorithm, keys[key]!, { digest }, signature), expected, Buffer.from(signature).toString("hex"));
      counts[expected ? "valid" : "invalid"]++;
    }
    assert.ok(counts.valid > ROUNDS[name] / 6 && counts.invalid > ROUNDS[name] / 2);
  });
}

function accepts(algorithm: Algorithm, key: PublicKey, signed: Signed, signature: Uint8Array): boolean {
  try {
    checkSignature(algorithm, key, signed, signature);
    return true;
  } catch {
    return false;
  }
}

function numbersOf(signature: Uint8Array): [bigint, bigint] {
  const start = signature[1]! < 0x80 ? 2 : 3;
  const end = start + 2 + signature[start + 1]!;
  return [fromOctets(signature.subarray(start + 2, end)), fromOctets(signature.subarray(end + 2))];
}

/** A signature over any number, made with chosen k: what a signer can do who wants to hit a corner of the construction. */
interface Crafted {
  readonly point: Point;
  readonly r: bigint;
  readonly s: bigint;
}

function craft(name: CurveName, d: bigint, k: bigint, z: bigint): Crafted {
  const { n } = CURVES[name];
  const { BASE } = ORACLES[name].Point;
  const r = residue(BASE.multiply(k).toAffine().x, n);
  return { point: BASE.multiply(d).toAffine(), r, s: residue((z + r * d) * invert(k, n), n) };
}

// Numbers of our own messages: SHA-256 of nothing, of 01 and of 02.
const OURS = [[], [1], [2]].map((octets) => fromOctets(crypto.hash("sha256", Uint8Array.from(octets), "buffer")));

for (const name of NAMES) {
  const curve = CURVES[name];
  const k = 0x1234567890abcdef1234567890abcdefn;
  const d = 0xfedcba0987654321fedcba0987654321n;
  // As many octets as the order; of its 66 on P-521 the last seven bits do not count, so that every number can be a digest.
  const digestOf = (z: bigint): Uint8Array => toOctets(residue(z, curve.n) << (name === "P-521" ? 7n : 0n), curve.octets);
  const judge = (what: string, z: bigint, key: bigint = d): void => {
    const { point, r, s } = craft(name, key, k, z);
    const digest = digestOf(z);
    const signature = encode(r, s);
    assert.ok(
      ORACLES[name].verify(signature, digest, encodePoint(curve, point), { prehash: false, lowS: false, format: "der" }),
      `${what}: the signature is good`,
    );
    assert.equal(alone({ curve, point, digest, signature }), true, what);
    assert.equal(alone({ curve, point, digest, signature: encode(r, residue(-s, curve.n)) }), true, `${what}, other s`);
    assert.equal(alone({ curve, point, digest, signature: encode(r, residue(s + 1n, curve.n)) }), false, `${what}, s + 1`);
    assert.equal(alone({ curve, point, digest: digestOf(z + 1n), signature }), false, `${what}, z + 1`);
  };
  const { r } = craft(name, d, k, 0n);

  test(`${name}: digests of zero, and those of our own messages`, () => {
    judge("zero", 0n);
    for (const [i, z] of OURS.entries()) judge(`message ${i}`, z);
  });

  test(`${name}: W = Q, where the key would double`, () => {
    judge("doubling", OURS[0]! + r * d);
  });

  test(`${name}: W = −Q, where the key would vanish`, () => {
    judge("vanishing", OURS[0]! - r * d);
  });

  test(`${name}: a signer who meets both of our first messages`, () => {
    // W = Q with the first and W = −Q with the second: z is halfway between them, and the key is what makes it so.
    const half = invert(2n, curve.n);
    judge("both", (OURS[0]! + OURS[1]!) * half, residue((OURS[1]! - OURS[0]!) * half * invert(r, curve.n), curve.n));
  });
}

test("P-256: a digest is reduced, not cut, when its number is above the order", () => {
  const curve = CURVES["P-256"];
  const { point, r, s } = craft("P-256", 5n, 7n, 1n);
  const signature = encode(r, s);
  assert.equal(alone({ curve, point, digest: toOctets(1n, 32), signature }), true);
  assert.equal(alone({ curve, point, digest: toOctets(curve.n + 1n, 32), signature }), true);
  assert.equal(alone({ curve, point, digest: toOctets(curve.n, 32), signature }), false);
});

test("a digest longer than the order counts by its leftmost bits", () => {
  for (const name of ["P-256", "P-384"] as const) {
    const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: name });
    const point = decodePoint(CURVES[name], importPublicKey(publicKey.export({ format: "der", type: "spki" })).raw);
    const message = crypto.randomBytes(50);
    const signature = crypto.sign("sha512", message, privateKey);
    const digest = crypto.hash("sha512", message, "buffer");
    assert.equal(alone({ curve: CURVES[name], point, digest, signature }), true);
    assert.equal(
      alone({ curve: CURVES[name], point, digest: concat(Uint8Array.of(digest[0]! ^ 1), digest.subarray(1)), signature }),
      false,
    );
  }
});

test("a batch of all curves, good and bad, gives what each gives alone", () => {
  const claims: EcdsaClaim[] = [];
  for (let i = 0; i < 30; i++) {
    const name = NAMES[i % 3]!;
    const { point, r, s } = craft(name, BigInt(i + 2), BigInt(i + 1000), BigInt(i % 4));
    claims.push({
      curve: CURVES[name],
      point,
      digest: toOctets(BigInt(i % 4), 32),
      signature: encode(r, i % 5 === 0 ? s - 1n : s),
    });
  }
  const together = verifyEcdsaDigests(claims);
  assert.deepEqual(together, claims.map(alone));
  assert.deepEqual(
    together,
    claims.map((_, i) => i % 5 !== 0),
  );
  assert.deepEqual(verifyEcdsaDigests([]), []);
});

test("the platform's own verifyDigest is used only if it answers both known questions right", () => {
  const right = (_hash: string, digest: Uint8Array, key: crypto.KeyObject, signature: Uint8Array): boolean => {
    const raw = importPublicKey(key.export({ format: "der", type: "spki" })).raw;
    return p256.verify(signature, digest, raw, { prehash: false, lowS: false, format: "der" });
  };
  assert.equal(adoptNative(right), right);
  const wrong = [
    undefined,
    "verifyDigest",
    () => true,
    () => false,
    () => 1,
    () => {
      throw new Error("not this way");
    },
    // Hashes what it is given, as crypto.verify does.
    (hash: string, digest: Uint8Array, key: crypto.KeyObject, signature: Uint8Array) =>
      crypto.verify(hash, digest, key, signature),
  ];
  for (const candidate of wrong) assert.equal(adoptNative(candidate), undefined);
});

test("the SubjectPublicKeyInfo that is written for a moved key is OpenSSL's own", () => {
  for (const name of NAMES) {
    const { publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: name });
    const spki = publicKey.export({ format: "der", type: "spki" });
    const key = importPublicKey(spki);
    assert.deepEqual(encodeSpki(name, key.raw), Uint8Array.from(spki));
  }
  assert.deepEqual(encodeSpki("Ed25519", new Uint8Array(32)), fromHex(`302a300506032b6570032100${"00".repeat(32)}`));
});
