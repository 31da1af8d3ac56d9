// SPDX-License-Identifier: Apache-2.0
/**
 * Verification on edwards25519 (RFC 8032 section 5.1), for the scheme that platforms leave out: Ed25519ph, which signs a
 * digest. Points are in extended coordinates with the formulas of section 5.1.4.
 *
 * As OpenSSL does it, and the page's binding: without the cofactor. R must be the very octets of S·B − k·A, and S below the
 * order; the key has passed `checkEdwardsKey`, so it is canonical and not of small order. Everything here is public, and
 * BigInt's time depends on it: nothing signs with this file. One check takes some milliseconds.
 */
import { concat, equalBytes, utf8 } from "../bytes/index.ts";
import { D25519, P25519 } from "./curve.ts";
import { fromOctets, invert, power, residue, toOctets } from "./numbers.ts";

/** (X/Z, Y/Z) with T = XY/Z. */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly t: bigint;
}

const P = P25519;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D2 = residue(2n * D25519, P);
const NEUTRAL: Point = { x: 0n, y: 1n, z: 1n, t: 0n };

// Computed by the first who needs them: a process that meets no such signature is spared a millisecond.
let root: bigint | undefined;
let base: Point | undefined;

/** A square root of −1, for section 5.1.3 step 3. */
function rootOfMinusOne(): bigint {
  return (root ??= power(2n, (P - 1n) / 4n, P));
}

/** The point B. */
function basePoint(): Point {
  return (base ??= decodePoint(toOctets(residue(4n * invert(5n, P), P), 32).toReversed()));
}

/** The domain of Ed25519ph without a context: dom2(1, "") of section 2. */
export const PREHASHED: Uint8Array = concat(utf8("SigEd25519 no Ed25519 collisions"), Uint8Array.of(1, 0));

/** SHA-512, handed in, so that the arithmetic has no platform. */
export type Sha512 = (data: Uint8Array) => Uint8Array;

/**
 * Whether a signature over `message` (of Ed25519ph: the digest) is the key's. `domain` is empty for pure Ed25519. `key` is 32
 * octets that `checkEdwardsKey` has let through.
 */
export function verifyEdwards(
  sha512: Sha512,
  domain: Uint8Array,
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  const s = fromOctets(signature.subarray(32).toReversed());
  if (s >= ORDER) return false;
  const k = fromOctets(sha512(concat(domain, r, key, message)).toReversed()) % ORDER;
  return equalBytes(encodePoint(combine(s, basePoint(), k, negate(decodePoint(key)))), r);
}

/** a·P + b·Q, bit by bit, both at once. */
function combine(a: bigint, p: Point, b: bigint, q: Point): Point {
  const both = add(p, q);
  let sum = NEUTRAL;
  for (let bit = 252n; bit >= 0n; bit--) {
    sum = double(sum);
    const isA = ((a >> bit) & 1n) === 1n;
    const isB = ((b >> bit) & 1n) === 1n;
    if (isA && isB) sum = add(sum, both);
    else if (isA) sum = add(sum, p);
    else if (isB) sum = add(sum, q);
  }
  return sum;
}

// Complete on this curve: right also for equal and opposite points.
function add(one: Point, other: Point): Point {
  const a = residue((one.y - one.x) * (other.y - other.x), P);
  const b = ((one.y + one.x) * (other.y + other.x)) % P;
  const c = (((one.t * D2) % P) * other.t) % P;
  const d = (2n * one.z * other.z) % P;
  return assemble(b - a, d - c, d + c, b + a);
}

function double({ x, y, z }: Point): Point {
  const a = (x * x) % P;
  const b = (y * y) % P;
  const h = a + b;
  const e = h - (x + y) ** 2n;
  const g = a - b;
  return assemble(residue(e, P), ((2n * z * z) % P) + g, g, h);
}

function assemble(e: bigint, f: bigint, g: bigint, h: bigint): Point {
  return { x: residue(e * f, P), y: residue(g * h, P), z: residue(f * g, P), t: residue(e * h, P) };
}

function negate({ x, y, z, t }: Point): Point {
  return { x: residue(-x, P), y, z, t: residue(-t, P) };
}

/** The point of 32 octets that name one (section 5.1.3). */
function decodePoint(octets: Uint8Array): Point {
  const number = fromOctets(octets.toReversed());
  const y = number & (2n ** 255n - 1n);
  const u = residue(y * y - 1n, P);
  const v = residue(D25519 * y * y + 1n, P);
  const candidate = residue(u * v ** 3n * power(u * v ** 7n, (P - 5n) / 8n, P), P);
  const x = residue(v * candidate * candidate - u, P) === 0n ? candidate : residue(candidate * rootOfMinusOne(), P);
  const isOdd = number >> 255n === 1n;
  const signed = ((x & 1n) === 1n) === isOdd ? x : residue(-x, P);
  return { x: signed, y, z: 1n, t: residue(signed * y, P) };
}

function encodePoint({ x, y, z }: Point): Uint8Array {
  const inverse = invert(z, P);
  const isOdd = residue(x * inverse, P) & 1n;
  return toOctets(residue(y * inverse, P) | (isOdd << 255n), 32).toReversed();
}
