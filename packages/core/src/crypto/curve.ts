// SPDX-License-Identifier: Apache-2.0
/**
 * The curves: NIST's P-256, P-384 and P-521 (FIPS 186-5 and SP 800-186, y² = x³ − 3x + b over GF(p), prime order n), and
 * which octets are a usable key on them or on edwards25519 (RFC 8032 section 5.1).
 *
 * Scalar multiplication stays with the platform; here are only the checks and the one addition that `node-ecdsa.ts` needs.
 */
import { LacreError } from "../errors.ts";
import type { KeyType } from "./algorithms.ts";
import { fromOctets, power, residue, toOctets } from "./numbers.ts";

export type CurveName = "P-256" | "P-384" | "P-521";

export interface Curve {
  readonly name: CurveName;
  /** Octets of a coordinate, and of a number below the order. */
  readonly octets: number;
  readonly p: bigint;
  readonly b: bigint;
  /** Order of the base point, a prime; the cofactor is 1, so a point on the curve is in the group. */
  readonly n: bigint;
}

/** A point other than infinity, in affine coordinates. */
export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

export const CURVES: Readonly<Record<CurveName, Curve>> = {
  "P-256": {
    name: "P-256",
    octets: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  "P-384": {
    name: "P-384",
    octets: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  "P-521": {
    name: "P-521",
    octets: 66,
    p: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    n: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
};

/** The curve of a key type, or undefined for a key of another kind. */
export function curveOf(type: KeyType): Curve | undefined {
  return type === "P-256" || type === "P-384" || type === "P-521" ? CURVES[type] : undefined;
}

function notOnCurve(name: string): LacreError {
  return new LacreError("KEY_INVALID", "point is not on the curve", { expected: name });
}

/** The point of its uncompressed form (SEC 1 section 2.3.4). Throws KEY_INVALID unless it lies on the curve. */
export function decodePoint(curve: Curve, octets: Uint8Array): Point {
  if (octets.length !== 1 + 2 * curve.octets || octets[0] !== 4) throw new LacreError("KEY_INVALID", "point is not uncompressed");
  const x = fromOctets(octets.subarray(1, 1 + curve.octets));
  const y = fromOctets(octets.subarray(1 + curve.octets));
  if (x >= curve.p || y >= curve.p) throw notOnCurve(curve.name);
  if ((y * y - (x * x - 3n) * x - curve.b) % curve.p !== 0n) throw notOnCurve(curve.name);
  return { x, y };
}

/** The uncompressed form of a point. */
export function encodePoint(curve: Curve, point: Point): Uint8Array {
  const octets = new Uint8Array(1 + 2 * curve.octets);
  octets[0] = 4;
  octets.set(toOctets(point.x, curve.octets), 1);
  octets.set(toOctets(point.y, curve.octets), 1 + curve.octets);
  return octets;
}

/**
 * The sum of two points with different x (so neither equal nor opposite); `inverse` is 1 / (b.x − a.x), handed in so that
 * a batch can share the inversion.
 */
export function addPoints(curve: Curve, a: Point, b: Point, inverse: bigint): Point {
  const slope = residue((b.y - a.y) * inverse, curve.p);
  const x = residue(slope * slope - a.x - b.x, curve.p);
  return { x, y: residue(slope * (a.x - x) - a.y, curve.p) };
}

/** edwards25519: the field, and the curve's d. */
export const P25519: bigint = 2n ** 255n - 19n;
export const D25519: bigint = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;

// The y of the points whose order divides 8; each belongs to points (x, y) and (−x, y).
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  P25519 - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
]);

/**
 * Refuses 32 octets that are no Ed25519 key, or one under which signatures prove nothing: y not below p, no such point,
 * or a point of small order (which verifies one signature over many messages). Throws KEY_INVALID.
 */
export function checkEdwardsKey(octets: Uint8Array): void {
  const y = fromOctets(octets.toReversed()) & (2n ** 255n - 1n);
  if (y >= P25519) throw new LacreError("KEY_INVALID", "Ed25519 key is not in its canonical form");
  if (SMALL_ORDER_Y.has(y)) throw new LacreError("KEY_INVALID", "Ed25519 key is of small order");
  // x² = (y² − 1) / (d·y² + 1) has a root where numerator times denominator is a square (Euler's criterion).
  const square = (y * y) % P25519;
  const product = residue((square - 1n) * (D25519 * square + 1n), P25519);
  if (power(product, (P25519 - 1n) / 2n, P25519) !== 1n) throw notOnCurve("Ed25519");
}
