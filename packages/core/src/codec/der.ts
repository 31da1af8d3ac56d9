// SPDX-License-Identifier: Apache-2.0
/**
 * Strict DER (X.690): a reader that walks and a writer that concatenates. No object tree is built.
 *
 * A value is `tag ‖ length ‖ content`. Accepted: tags in one byte, definite minimal lengths of at most four bytes,
 * minimal INTEGERs and OBJECT IDENTIFIERs, BOOLEAN 00 or FF, times in the forms of RFC 5280 section 4.1.2.5. Everything
 * else is BAD_DER. A `Der` is a view: `whole` and `content` share memory with the input, so that what was signed can be
 * compared and hashed without being encoded again.
 */
import { concat, text, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

/** Identifier octets used by the formats of this library. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The identifier octet of a context-specific tag; `constructed` for EXPLICIT and for IMPLICIT structures. */
export function contextTag(number: number, constructed = true): number {
  return 0x80 | (constructed ? 0x20 : 0) | number;
}

/** One decoded value: views on the input. */
export interface Der {
  readonly tag: number;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

function bad(message: string, found?: string): LacreError {
  return new LacreError("BAD_DER", message, found === undefined ? {} : { found });
}

// Views are made when they are asked for: a walk passes over most values, and a view costs as much as reading a header.
class Value implements Der {
  readonly tag: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, at: number, end: number) {
    this.tag = bytes[start]!;
    this.#bytes = bytes;
    this.#start = start;
    this.#at = at;
    this.#end = end;
  }

  get whole(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#end);
  }
}

/** Reads the values of a constructed content, or of any sequence of values, in order. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  /** Reads `bytes` from `start` to `end`, all of it unless given. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Whether every byte was read. */
  get done(): boolean {
    return this.#at === this.#end;
  }

  /** Offset of the next value in the bytes that the outermost reader was given. */
  get offset(): number {
    return this.#at;
  }

  /** The tag of the next value, or undefined at the end. */
  get nextTag(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  // Checks the header of the next value and moves behind the value; returns the offset of its content.
  #pass(tag: number | undefined): number {
    const bytes = this.#bytes;
    let at = this.#at;
    if (at >= this.#end) throw bad("a value is missing");
    const found = bytes[at++]!;
    if ((found & 0x1f) === 0x1f) throw bad("multi-byte tags are not used here");
    if (tag !== undefined && found !== tag) {
      throw new LacreError("BAD_DER", "unexpected tag", {
        expected: `0x${tag.toString(16)}`,
        found: `0x${found.toString(16)}`,
      });
    }
    if (at >= this.#end) throw bad("length is missing");
    let length = bytes[at++]!;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0 || octets > 4) throw bad("length is indefinite or too large");
      if (at + octets > this.#end) throw bad("length is cut off");
      if (bytes[at] === 0) throw bad("length is not minimal");
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + bytes[at++]!;
      if (length < 0x80) throw bad("length is not minimal");
    }
    if (length > this.#end - at) throw bad("value is cut off");
    this.#at = at + length;
    return at;
  }

  /** The next value; with `tag`, it must be of that tag. */
  next(tag?: number): Der {
    const start = this.#at;
    const at = this.#pass(tag);
    return new Value(this.#bytes, start, at, this.#at);
  }

  /** The whole of the next value, which must be of `tag`: a view, without a value around it. */
  whole(tag: number): Uint8Array {
    const start = this.#at;
    this.#pass(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** The content of the next value, which must be of `tag`. */
  content(tag: number): Uint8Array {
    const at = this.#pass(tag);
    return this.#bytes.subarray(at, this.#at);
  }

  /** Passes over the next value; with `tag`, it must be of that tag. */
  skip(tag?: number): void {
    this.#pass(tag);
  }

  /** The next value if it has this tag. */
  optional(tag: number): Der | undefined {
    return this.nextTag === tag ? this.next(tag) : undefined;
  }

  /** A reader over the content of the next value, which must be of `tag` (SEQUENCE unless given). */
  enter(tag: number = TAG.sequence): DerReader {
    const at = this.#pass(tag);
    return new DerReader(this.#bytes, at, this.#at);
  }

  /** Refuses anything that was not read. */
  end(): void {
    if (!this.done) throw bad("unexpected bytes after the last value", `${this.#end - this.#at} bytes`);
  }
}

/** The single value that the bytes are, with nothing behind it. */
export function decodeDer(bytes: Uint8Array, tag?: number): Der {
  const reader = new DerReader(bytes);
  const value = reader.next(tag);
  reader.end();
  return value;
}

/** A reader over the content of the single value that the bytes are. */
export function openDer(bytes: Uint8Array, tag: number = TAG.sequence): DerReader {
  const reader = new DerReader(bytes);
  const inner = reader.enter(tag);
  reader.end();
  return inner;
}

function expectTag(value: Der, tag: number): Uint8Array {
  if (value.tag !== tag) {
    throw new LacreError("BAD_DER", "unexpected tag", {
      expected: `0x${tag.toString(16)}`,
      found: `0x${value.tag.toString(16)}`,
    });
  }
  return value.content;
}

export function readBoolean(value: Der): boolean {
  const content = expectTag(value, TAG.boolean);
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw bad("BOOLEAN is not 00 or FF");
  return content[0] === 0xff;
}

/** Content octets of an INTEGER (two's complement, minimal), of any size. */
export function readIntegerBytes(value: Der): Uint8Array {
  const content = expectTag(value, TAG.integer);
  const first = content[0];
  const second = content[1];
  if (first === undefined) throw bad("INTEGER is empty");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw bad("INTEGER is not minimal");
  }
  return content;
}

/** An INTEGER that is zero or positive. */
export function readUnsigned(value: Der): bigint {
  const content = readIntegerBytes(value);
  if (content[0]! >= 0x80) throw bad("INTEGER is negative");
  let out = 0n;
  for (const byte of content) out = (out << 8n) | BigInt(byte);
  return out;
}

/** An INTEGER from 0 to `limit`, which fits a double. */
export function readSmall(value: Der, limit = 0x7fffffff): number {
  const content = readIntegerBytes(value);
  if (content[0]! >= 0x80 || content.length > 5) throw bad("INTEGER is out of range");
  let out = 0;
  for (const byte of content) out = out * 256 + byte;
  if (out > limit) throw bad("INTEGER is out of range", `${out}`);
  return out;
}

export function readOctets(value: Der): Uint8Array {
  return expectTag(value, TAG.octetString);
}

/** Content of a BIT STRING made of whole bytes (keys, signatures). */
export function readBits(value: Der): Uint8Array {
  const content = expectTag(value, TAG.bitString);
  if (content[0] !== 0) throw bad("BIT STRING is not made of whole bytes");
  return content.subarray(1);
}

/** A BIT STRING used as a set of flags: bit 0 is the first (highest) bit. Trailing zero bits are refused, as DER asks. */
export function readFlags(value: Der): (bit: number) => boolean {
  const content = expectTag(value, TAG.bitString);
  const unused = content[0];
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0)) throw bad("BIT STRING is malformed");
  const last = content[content.length - 1]!;
  if (content.length > 1 && ((last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0)) {
    throw bad("BIT STRING has trailing zero bits");
  }
  return (bit) => ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
}

/** An OBJECT IDENTIFIER in dotted form. Arcs are at most 2^53. */
export function readOid(value: Der): string {
  return readOidContent(expectTag(value, TAG.oid));
}

/** As readOid, from the content of the value. */
export function readOidContent(content: Uint8Array): string {
  if (content.length === 0 || content.length > 128 || content[content.length - 1]! >= 0x80) throw bad("OID is cut off");
  const arcs: number[] = [];
  let arc = 0;
  let fresh = true;
  for (const byte of content) {
    if (fresh && byte === 0x80) throw bad("OID arc is not minimal");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw bad("OID arc is too large");
    fresh = byte < 0x80;
    if (fresh) {
      if (arcs.length === 0) {
        const first = Math.min(2, Math.floor(arc / 40));
        arcs.push(first, arc - 40 * first);
      } else arcs.push(arc);
      arc = 0;
    }
  }
  return arcs.join(".");
}

/** Characters of a UTF8String, PrintableString or IA5String. */
export function readString(value: Der): string {
  if (value.tag === TAG.utf8String) return text(value.content);
  if (value.tag !== TAG.printableString && value.tag !== TAG.ia5String)
    throw bad("not a character string", `0x${value.tag.toString(16)}`);
  return readAscii(value.content);
}

/** The string of bytes below 128. */
export function readAscii(content: Uint8Array): string {
  for (let i = 0; i < content.length; i++) if (content[i]! >= 0x80) throw bad("string is not ASCII");
  return text(content);
}

const MONTH_LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** UTCTime or GeneralizedTime, as milliseconds since 1970. Fractions are allowed in GeneralizedTime (RFC 3161). */
export function readTimeMs(value: Der): number {
  const { tag, content } = value;
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) throw bad("not a time", `0x${tag.toString(16)}`);
  const malformed = (): LacreError => bad("time is malformed", String.fromCharCode(...content.subarray(0, 40)));
  const pair = (at: number): number => {
    const [high, low] = [content[at]! - 0x30, content[at + 1]! - 0x30];
    // Written so that an octet that is missing (NaN) fails as well.
    if (!(high >= 0 && high <= 9 && low >= 0 && low <= 9)) throw malformed();
    return high * 10 + low;
  };
  const at = tag === TAG.utcTime ? 2 : 4;
  const year = tag === TAG.utcTime ? pair(0) + (pair(0) < 50 ? 2000 : 1900) : pair(0) * 100 + pair(2);
  const [month, day, hour, minute, second] = [pair(at), pair(at + 2), pair(at + 4), pair(at + 6), pair(at + 8)];
  const fraction = tag === TAG.generalizedTime && content.length > 15 ? readFraction(content.subarray(14, -1)) : 0;
  if (
    content[content.length - 1] !== 0x5a ||
    (tag === TAG.utcTime && content.length !== 13) ||
    fraction === undefined ||
    content.length < 13
  )
    throw malformed();
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const length = month === 2 && leap ? 29 : (MONTH_LENGTHS[month - 1] ?? 0);
  if (day < 1 || day > length || hour > 23 || minute > 59 || second > 59) throw bad("no such time", readAscii(content));
  return (((daysSince1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction;
}

// A point and at most nine digits, the last of which is not zero.
function readFraction(octets: Uint8Array): number | undefined {
  const written = String.fromCharCode(...octets);
  return /^\.\d{0,8}[1-9]$/.test(written) ? Number(written) * 1000 : undefined;
}

// Days of the proleptic Gregorian calendar, counted in years that begin in March, so that leap days come last.
function daysSince1970(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const sinceMarch = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + sinceMarch - 719_468;
}

// Writing. Each function returns one complete value.

/** A value of any tag around its content parts. */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of content) length += part.length;
  let head: Uint8Array;
  if (length < 0x80) head = Uint8Array.of(tag, length);
  else if (length < 0x100) head = Uint8Array.of(tag, 0x81, length);
  else if (length < 0x10000) head = Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);
  else head = Uint8Array.of(tag, 0x84, (length >>> 24) & 0xff, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
  if (length >= 0x10000 && length < 0x1000000) head = Uint8Array.of(tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
  return concat(head, ...content);
}

export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return der(TAG.sequence, ...content);
}

/** SET OF: the elements are sorted by their encodings, as DER asks. */
export function setOf(...elements: readonly Uint8Array[]): Uint8Array {
  return der(TAG.set, ...elements.toSorted(compareSetElements));
}

// X.690 section 11.6 compares as if the shorter were padded with zeros; for complete values of DER that is the plain order.
function compareSetElements(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function boolean(value: boolean): Uint8Array {
  return Uint8Array.of(TAG.boolean, 1, value ? 0xff : 0);
}

/** A non-negative INTEGER, from a number or from big-endian bytes (leading zeros are removed). */
export function integer(value: number | bigint | Uint8Array): Uint8Array {
  let bytes: Uint8Array;
  if (value instanceof Uint8Array) bytes = value;
  else {
    if (value < 0) throw new TypeError("negative INTEGERs are not written");
    const digits = value.toString(16);
    bytes = new Uint8Array(Math.ceil(digits.length / 2));
    let left = BigInt(value);
    for (let i = bytes.length - 1; i >= 0; i--) {
      bytes[i] = Number(left & 0xffn);
      left >>= 8n;
    }
  }
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  bytes = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return bytes[0]! >= 0x80 ? der(TAG.integer, Uint8Array.of(0), bytes) : der(TAG.integer, bytes);
}

export function octets(...content: readonly Uint8Array[]): Uint8Array {
  return der(TAG.octetString, ...content);
}

/** A BIT STRING of whole bytes. */
export function bits(content: Uint8Array): Uint8Array {
  return der(TAG.bitString, Uint8Array.of(0), content);
}

/** A BIT STRING of flags: the numbers of the bits that are set, bit 0 first. */
export function flags(...set: readonly number[]): Uint8Array {
  if (set.length === 0) return der(TAG.bitString, Uint8Array.of(0));
  const last = Math.max(...set);
  const content = new Uint8Array((last >> 3) + 1);
  for (const bit of set) content[bit >> 3]! |= 0x80 >> (bit & 7);
  return der(TAG.bitString, Uint8Array.of(7 - (last & 7)), content);
}

export function nil(): Uint8Array {
  return Uint8Array.of(TAG.null, 0);
}

/** An OBJECT IDENTIFIER from dotted form. One pass without arrays: issuing a certificate writes some twenty. */
export function oid(dotted: string): Uint8Array {
  // No arc takes more octets than it has digits.
  const content = new Uint8Array(dotted.length + 1);
  let length = 0;
  let arcs = 0;
  let first = 0;
  let arc = -1;
  for (let at = 0; at <= dotted.length; at++) {
    const digit = at === dotted.length ? DOT : dotted.charCodeAt(at) - 0x30;
    if (digit !== DOT) {
      arc = digit >= 0 && digit <= 9 ? Math.max(arc, 0) * 10 + digit : Number.NaN;
      continue;
    }
    if (!Number.isSafeInteger(arc) || arc < 0) throw new TypeError(`not an OID: ${dotted}`);
    arcs++;
    if (arcs === 1) first = arc;
    else {
      const value = arcs === 2 ? 40 * first + arc : arc;
      let octets = 1;
      for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) octets++;
      let left = value;
      for (let octet = octets - 1; octet >= 0; octet--) {
        content[length + octet] = (left % 128) | (octet === octets - 1 ? 0 : 0x80);
        left = Math.floor(left / 128);
      }
      length += octets;
    }
    arc = -1;
  }
  if (arcs < 2) throw new TypeError(`not an OID: ${dotted}`);
  return der(TAG.oid, content.subarray(0, length));
}

/** A full stop, as a digit. */
const DOT = -2;

export function utf8String(value: string): Uint8Array {
  return der(TAG.utf8String, utf8(value));
}

export function printableString(value: string): Uint8Array {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)) throw new TypeError(`not a PrintableString: ${value}`);
  return der(TAG.printableString, utf8(value));
}

/** A context-specific value: EXPLICIT around complete values, or IMPLICIT around content; both constructed. */
export function context(number: number, ...content: readonly Uint8Array[]): Uint8Array {
  return der(contextTag(number), ...content);
}

/** A primitive context-specific value (IMPLICIT string or octets). */
export function contextPrimitive(number: number, content: Uint8Array): Uint8Array {
  return der(contextTag(number, false), content);
}

/** GeneralizedTime in whole seconds, UTC. */
export function generalizedTime(timeMs: number): Uint8Array {
  return der(TAG.generalizedTime, utf8(`${compactTime(timeMs)}Z`));
}

/** The time form that RFC 5280 section 4.1.2.5 asks for: UTCTime through 2049, GeneralizedTime after. */
export function time(timeMs: number): Uint8Array {
  const year = new Date(timeMs).getUTCFullYear();
  if (year < 1950 || year > 2049) return generalizedTime(timeMs);
  return der(TAG.utcTime, utf8(`${compactTime(timeMs).slice(2)}Z`));
}

function compactTime(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replaceAll(/[-T:]/g, "");
}
