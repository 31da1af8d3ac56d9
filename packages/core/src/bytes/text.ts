// SPDX-License-Identifier: Apache-2.0
import { LacreError } from "../errors.ts";

// Both exist in every platform we run on; declared here so that the library needs neither DOM nor Node types.
declare const TextEncoder: new () => {
  encode(text: string): Uint8Array;
  encodeInto(text: string, into: Uint8Array): { read: number };
};
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => {
  decode(bytes: Uint8Array): string;
};

// Where there is one (Node, Bun, Deno), it converts some six times as fast as the loops below. It is lenient in reading, so
// whatever it reads is written again and compared: a text that comes back is the strict spelling of what was read.
declare const Buffer:
  | {
      from(text: string, encoding: "base64" | "hex" | "utf8"): View;
      from(buffer: ArrayBufferLike, start: number, length: number): View;
      allocUnsafe(length: number): View;
    }
  | undefined;
interface View extends Uint8Array {
  toString(encoding?: "base64" | "hex"): string;
}
const native = typeof Buffer === "undefined" ? undefined : Buffer;

// A Buffer's slice() shares memory where a Uint8Array's copies: none leaves this file.
function plain(view: View): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.length);
}

/** Room for octets that are about to be written, every one of them: what stands there before is anything. */
export function allocate(length: number): Uint8Array {
  // An array of its own is memory outside the heap, which costs more than filling it; the platform cuts short ones from a pool.
  return native === undefined ? new Uint8Array(length) : plain(native.allocUnsafe(length));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of a string. */
export function utf8(value: string): Uint8Array {
  return native === undefined ? encoder.encode(value) : plain(native.from(value, "utf8"));
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
  if (native !== undefined) return native.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  let out = "";
  for (const byte of bytes) out += HEX[byte]!;
  return out;
}

/** Bytes of hexadecimal text, either case. Throws BAD_HEX. */
export function fromHex(value: string): Uint8Array {
  if (native !== undefined) {
    const view = native.from(value, "hex");
    if (view.toString("hex") !== value.toLowerCase()) throw notHex(value);
    return plain(view);
  }
  if (value.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(value)) throw notHex(value);
  const out = new Uint8Array(value.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(value.slice(2 * i, 2 * i + 2), 16);
  return out;
}

function notHex(value: string): LacreError {
  return new LacreError("BAD_HEX", "text is not hexadecimal", { found: value.slice(0, 40) });
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
// More than six bits for what is no digit, so that one look at all digits together finds it.
const NO_DIGIT = 0xff;
const DIGIT = new Uint8Array(256).fill(NO_DIGIT);
for (let i = 0; i < 64; i++) DIGIT[ALPHABET.charCodeAt(i)] = i;

const CODES = encoder.encode(ALPHABET);
const PADDING = 0x3d;

/** Standard base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  if (native !== undefined) return native.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
  return toBase64ByDigit(bytes);
}

/** As toBase64, for platforms that do not write it themselves. */
export function toBase64ByDigit(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  const left = bytes.length % 3;
  const whole = bytes.length - left;
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
  if (native === undefined) return fromBase64ByDigit(value);
  const view = native.from(value, "base64");
  if (view.toString("base64") !== value) throw notBase64(value);
  return plain(view);
}

/** As fromBase64, for platforms without a decoder of their own. */
export function fromBase64ByDigit(value: string): Uint8Array {
  const { length } = value;
  if (length % 4 !== 0) throw notBase64(value);
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  const codes = new Uint8Array(length);
  if (!fillAscii(value, codes)) throw notBase64(value);
  const out = new Uint8Array((length / 4) * 3 - padding);
  const whole = padding === 0 ? length : length - 4;
  let seen = 0;
  let at = 0;
  let i = 0;
  for (; i < whole; i += 4) {
    const a = DIGIT[codes[i]!]!;
    const b = DIGIT[codes[i + 1]!]!;
    const c = DIGIT[codes[i + 2]!]!;
    const d = DIGIT[codes[i + 3]!]!;
    seen |= a | b | c | d;
    out[at++] = (a << 2) | (b >> 4);
    out[at++] = (b << 4) | (c >> 2);
    out[at++] = (c << 6) | d;
  }
  if (padding > 0) {
    // The padding stands for zero bits, and the bits that it cuts off must be zero too.
    const a = DIGIT[codes[i]!]!;
    const b = DIGIT[codes[i + 1]!]!;
    const c = padding === 1 ? DIGIT[codes[i + 2]!]! : 0;
    seen |= a | b | c;
    if ((padding === 1 ? c & 3 : b & 15) !== 0) throw notBase64(value);
    out[at++] = (a << 2) | (b >> 4);
    if (padding === 1) out[at] = (b << 4) | (c >> 2);
  }
  if (seen === NO_DIGIT) throw notBase64(value);
  return out;
}

const SHORT = 128;

// The characters as octets; false when one is not ASCII. Octets are read faster than characters, above all those of a
// string that was put together from parts; for a short one the way there is longer than the way.
function fillAscii(value: string, codes: Uint8Array): boolean {
  // A character that is not ASCII takes more than one octet, and leaves no room for the last.
  if (codes.length > SHORT) return encoder.encodeInto(value, codes).read === codes.length;
  let seen = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = value.charCodeAt(i);
    seen |= code;
    codes[i] = code;
  }
  return seen < 128;
}

function notBase64(value: string): LacreError {
  return new LacreError("BAD_BASE64", "text is not strict base64", { found: value.slice(0, 40) });
}
