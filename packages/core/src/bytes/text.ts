// SPDX-License-Identifier: Apache-2.0
import { LacreError } from "../errors.ts";

// Both exist in every platform we run on; declared here so that the library needs neither DOM nor Node types.
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (label: string, options: { fatal: boolean; ignoreBOM: boolean }) => {
  decode(bytes: Uint8Array): string;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of a string. */
export function utf8(value: string): Uint8Array {
  return encoder.encode(value);
}

/** The string of UTF-8 bytes; a byte order mark is kept. Throws BAD_UTF8. */
export function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new LacreError("BAD_UTF8", "bytes are not UTF-8", { cause });
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += HEX[byte]!;
  return out;
}

/** Bytes of hexadecimal text, either case. Throws BAD_HEX. */
export function fromHex(value: string): Uint8Array {
  if (value.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(value)) {
    throw new LacreError("BAD_HEX", "text is not hexadecimal", { found: value.slice(0, 40) });
  }
  const out = new Uint8Array(value.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(value.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT = new Int16Array(128).fill(-1);
for (let i = 0; i < 64; i++) DIGIT[ALPHABET.charCodeAt(i)] = i;

const CODES = encoder.encode(ALPHABET);
const PADDING = 0x3d;

/** Standard base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  const left = bytes.length % 3;
  const whole = bytes.length - left;
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let i = 0; i < whole; i += 3) {
    const n = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    out[at++] = CODES[n >> 18]!;
    out[at++] = CODES[(n >> 12) & 63]!;
    out[at++] = CODES[(n >> 6) & 63]!;
    out[at++] = CODES[n & 63]!;
  }
  if (left > 0) {
    const n = (bytes[whole]! << 16) | (left === 2 ? bytes[whole + 1]! << 8 : 0);
    out[at++] = CODES[n >> 18]!;
    out[at++] = CODES[(n >> 12) & 63]!;
    out[at++] = left === 2 ? CODES[(n >> 6) & 63]! : PADDING;
    out[at] = PADDING;
  }
  return decoder.decode(out);
}

/**
 * Bytes of strict standard base64: the alphabet of RFC 4648 section 4, padding required, no white space, no bits left
 * over. Throws BAD_BASE64. One text has one decoding and one decoding has one text.
 */
export function fromBase64(value: string): Uint8Array {
  const { length } = value;
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  if (length % 4 !== 0) throw notBase64(value);
  const out = new Uint8Array((length / 4) * 3 - padding);
  const whole = padding === 0 ? length : length - 4;
  let at = 0;
  let i = 0;
  for (; i < whole; i += 4) {
    const n = group(value.charCodeAt(i), value.charCodeAt(i + 1), value.charCodeAt(i + 2), value.charCodeAt(i + 3));
    if (n < 0) throw notBase64(value);
    out[at++] = n >> 16;
    out[at++] = n >> 8;
    out[at++] = n;
  }
  if (padding > 0) {
    // The padding stands for zero bits, and the bits that it cuts off must be zero too.
    const n = group(value.charCodeAt(i), value.charCodeAt(i + 1), padding === 1 ? value.charCodeAt(i + 2) : ZERO, ZERO);
    if (n < 0 || (n & (padding === 1 ? 0xff : 0xffff)) !== 0) throw notBase64(value);
    out[at++] = n >> 16;
    if (padding === 1) out[at] = n >> 8;
  }
  return out;
}

const ZERO = 0x41;

// The 24 bits of four characters, negative if one is not of the alphabet.
function group(a: number, b: number, c: number, d: number): number {
  if ((a | b | c | d) > 127) return -1;
  return (DIGIT[a]! << 18) | (DIGIT[b]! << 12) | (DIGIT[c]! << 6) | DIGIT[d]!;
}

function notBase64(value: string): LacreError {
  return new LacreError("BAD_BASE64", "text is not strict base64", { found: value.slice(0, 40) });
}
