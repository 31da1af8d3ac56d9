// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { fromHex, toHex } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { addPoints, checkEdwardsKey, CURVES, type CurveName, decodePoint, encodePoint } from "./curve.ts";
import { bitLength, fromOctets, invert, invertAll, power, residue, toOctets } from "./numbers.ts";

const PRIME = CURVES["P-256"].p;
const inRange = fc.bigInt({ min: 1n, max: PRIME - 1n });

test("octets and numbers convert both ways, at every length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (octets) => {
      const number = fromOctets(octets);
      assert.equal(number, octets.length === 0 ? 0n : BigInt(`0x${toHex(octets)}`));
      assert.deepEqual(toOctets(number, octets.length), octets);
      assert.equal(bitLength(number), number === 0n ? 0 : number.toString(2).length);
    }),
  );
});

test("a number that does not fit its octets is misuse", () => {
  assert.throws(() => toOctets(256n, 1), TypeError);
  assert.throws(() => toOctets(1n << 64n, 8), TypeError);
  assert.throws(() => toOctets(-1n, 8), TypeError);
  assert.throws(() => toOctets(1n, 0), TypeError);
});

test("an inverse times its number is one, alone and in a batch", () => {
  fc.assert(
    fc.property(fc.array(inRange, { maxLength: 40 }), (values) => {
      const inverses = invertAll(values, PRIME);
      assert.equal(inverses.length, values.length);
      for (const [i, value] of values.entries()) {
        assert.equal((value * inverses[i]!) % PRIME, 1n);
        assert.equal(inverses[i], invert(value, PRIME));
        assert.equal(invert(value - PRIME, PRIME), inverses[i]);
      }
    }),
  );
});

test("what has no inverse is misuse, also within a batch", () => {
  assert.throws(() => invert(0n, PRIME), TypeError);
  assert.throws(() => invert(6n, 9n), TypeError);
  assert.throws(() => invertAll([1n, 0n, 2n], PRIME), TypeError);
});

test("powers agree with repeated multiplication and with Fermat", () => {
  fc.assert(
    fc.property(inRange, fc.integer({ min: 0, max: 30 }), (base, exponent) => {
      assert.equal(power(base, BigInt(exponent), PRIME), residue(base ** BigInt(exponent), PRIME));
      assert.equal(power(base, PRIME - 1n, PRIME), 1n);
    }),
    { numRuns: 20 },
  );
});

const ORACLES = { "P-256": p256, "P-384": p384, "P-521": p521 };

for (const [name, oracle] of Object.entries(ORACLES) as [CurveName, typeof p256][]) {
  const curve = CURVES[name];
  const { Point } = oracle;

  test(`${name}: the constants are those of @noble/curves`, () => {
    const { p, n, b, a, h } = Point.CURVE();
    assert.deepEqual({ p: curve.p, n: curve.n, b: curve.b, a: curve.p - 3n, h: 1n }, { p, n, b, a, h });
    assert.equal(curve.octets, Point.Fp.BYTES);
  });

  test(`${name}: points survive a round trip and add up as in @noble/curves`, () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: curve.n - 1n }), fc.bigInt({ min: 1n, max: curve.n - 1n }), (m, k) => {
        fc.pre(m !== k && m + k !== curve.n);
        const [left, right] = [Point.BASE.multiply(m), Point.BASE.multiply(k)];
        const a = decodePoint(curve, left.toBytes(false));
        const b = decodePoint(curve, right.toBytes(false));
        const sum = addPoints(curve, a, b, invert(b.x - a.x, curve.p));
        assert.deepEqual(encodePoint(curve, sum), Uint8Array.from(left.add(right).toBytes(false)));
      }),
      { numRuns: 25 },
    );
  });

  test(`${name}: refuses a point off the curve, a coordinate not below p, and any other form of point`, () => {
    const good = encodePoint(curve, Point.BASE.toAffine());
    assert.deepEqual(decodePoint(curve, good), Point.BASE.toAffine());
    for (let at = 0; at < good.length; at += 7) {
      const bad = good.slice();
      bad[at]! ^= 1;
      refused(() => decodePoint(curve, bad));
    }
    refused(() => decodePoint(curve, Point.BASE.toBytes(true)));
    refused(() => decodePoint(curve, new Uint8Array(1)));
    refused(() => decodePoint(curve, good.subarray(1)));
    // A point with a small x, and the same x written as x + p where that fits: still on the curve, but not canonical.
    const bits = 8n * BigInt(curve.octets);
    for (let x = 0n; x < 40n && x + curve.p < 1n << bits; x++) {
      const square = residue((x * x - 3n) * x + curve.b, curve.p);
      const y = power(square, (curve.p + 1n) / 4n, curve.p);
      if ((y * y) % curve.p !== square) continue;
      decodePoint(curve, Uint8Array.of(4, ...toOctets(x, curve.octets), ...toOctets(y, curve.octets)));
      refused(() => decodePoint(curve, Uint8Array.of(4, ...toOctets(x + curve.p, curve.octets), ...toOctets(y, curve.octets))));
    }
  });
}

test("Ed25519 keys: takes what @noble/curves takes strictly and calls no small order, refuses the rest", () => {
  const judge = (octets: Uint8Array): boolean => {
    try {
      checkEdwardsKey(octets);
      return true;
    } catch (error) {
      assert.ok(error instanceof LacreError && error.code === "KEY_INVALID");
      return false;
    }
  };
  const oracle = (octets: Uint8Array): boolean => {
    try {
      return !ed25519.Point.fromBytes(octets, false).isSmallOrder();
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (octets) => judge(octets) === oracle(octets)),
    { numRuns: 300 },
  );
  let taken = 0;
  for (let low = 0; low < 256; low++) {
    for (const [fill, high] of [
      [0, 0],
      [0, 0x80],
      [0xff, 0x7f],
      [0xff, 0xff],
    ] as const) {
      const octets = new Uint8Array(32).fill(fill);
      octets[0] = low;
      octets[31] = high;
      assert.equal(judge(octets), oracle(octets), toHex(octets));
      if (judge(octets)) taken++;
    }
  }
  assert.ok(taken > 200);
  for (const y of [
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ]) {
    assert.ok(ed25519.Point.fromBytes(fromHex(y)).isSmallOrder());
    assert.equal(judge(fromHex(y)), false);
  }
});

function refused(decode: () => unknown): void {
  assert.throws(decode, (error: unknown) => error instanceof LacreError && error.code === "KEY_INVALID");
}
