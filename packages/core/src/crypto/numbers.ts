// SPDX-License-Identifier: Apache-2.0
/**
 * Integers as octets (big-endian, I2OSP and OS2IP of RFC 8017 section 4) and arithmetic modulo m. Only ever over public
 * values: BigInt takes time that depends on its operands.
 */

/** The number that big-endian octets are; 0 for none. */
export function fromOctets(octets: Uint8Array): bigint {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  let value = 0n;
  let at = 0;
  for (; at + 8 <= octets.length; at += 8) value = (value << 64n) | view.getBigUint64(at);
  for (; at < octets.length; at++) value = (value << 8n) | BigInt(octets[at]!);
  return value;
}

/** A number in `length` big-endian octets. A number that does not fit is misuse. */
export function toOctets(value: bigint, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  const view = new DataView(octets.buffer);
  let left = value;
  let end = length;
  for (; end >= 8; end -= 8) {
    view.setBigUint64(end - 8, BigInt.asUintN(64, left));
    left >>= 64n;
  }
  for (; end > 0; end--) {
    octets[end - 1] = Number(left & 0xffn);
    left >>= 8n;
  }
  if (left !== 0n) throw new TypeError(`number does not fit ${length} octets`);
  return octets;
}

/** How many bits a non-negative number has. */
export function bitLength(value: bigint): number {
  const digits = value.toString(16);
  return 4 * digits.length - Math.max(0, Math.clz32(Number.parseInt(digits[0]!, 16)) - 28);
}

/** The least non-negative residue. */
export function residue(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** base^exponent mod modulus, for a non-negative exponent. */
export function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let out = 1n;
  let square = residue(base, modulus);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) out = (out * square) % modulus;
    square = (square * square) % modulus;
  }
  return out;
}

/** The inverse of a value that is prime to the modulus (Euclid's algorithm); anything else is misuse. */
export function invert(value: bigint, modulus: bigint): bigint {
  let high = modulus;
  let low = residue(value, modulus);
  let before = 0n;
  let factor = 1n;
  while (low !== 0n) {
    const quotient = high / low;
    const rest = high - quotient * low;
    high = low;
    low = rest;
    const next = before - quotient * factor;
    before = factor;
    factor = next;
  }
  if (high !== 1n) throw new TypeError("number has no inverse");
  return residue(before, modulus);
}

/**
 * The inverses of many values at the price of one and three multiplications each (Montgomery's trick): the product of
 * all is inverted, then peeled from the end.
 */
export function invertAll(values: readonly bigint[], modulus: bigint): bigint[] {
  const products: bigint[] = [];
  let product = 1n;
  for (const value of values) {
    products.push(product);
    product = (product * value) % modulus;
  }
  const inverses: bigint[] = [];
  let inverse = values.length === 0 ? 1n : invert(product, modulus);
  for (let i = values.length - 1; i >= 0; i--) {
    inverses[i] = residue(products[i]! * inverse, modulus);
    inverse = (inverse * values[i]!) % modulus;
  }
  return inverses;
}
