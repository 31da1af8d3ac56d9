// SPDX-License-Identifier: Apache-2.0
import { LacreError } from "../errors.ts";
import { allocate } from "./text.ts";

/** Reads big-endian numbers and byte strings in order. Slices are views. Running short throws TRUNCATED. */
export class ByteReader {
  readonly bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Offset of the next byte. */
  get offset(): number {
    return this.#at;
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.bytes.length - this.#at;
  }

  /** The next `count` bytes. */
  take(count: number): Uint8Array {
    if (count < 0 || count > this.left) {
      throw new LacreError("TRUNCATED", `need ${count} more bytes`, { found: `${this.left}` });
    }
    this.#at += count;
    return this.bytes.subarray(this.#at - count, this.#at);
  }

  /** An unsigned number of `width` bytes (1 to 6: exact in a double). */
  uint(width: 1 | 2 | 3 | 4 | 5 | 6): number {
    let value = 0;
    for (const byte of this.take(width)) value = value * 256 + byte;
    return value;
  }

  /** An unsigned 64-bit number. */
  uint64(): bigint {
    let value = 0n;
    for (const byte of this.take(8)) value = (value << 8n) | BigInt(byte);
    return value;
  }

  /** A byte string with a length prefix of `width` bytes (the vectors of RFC 8446, section 3.4). */
  vector(width: 1 | 2 | 3): Uint8Array {
    return this.take(this.uint(width));
  }

  /** Everything not yet read. */
  rest(): Uint8Array {
    return this.take(this.left);
  }
}

/** Collects big-endian numbers and byte strings. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** Bytes collected so far. */
  get length(): number {
    return this.#length;
  }

  put(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }

  /** An unsigned number in `width` bytes; a number that does not fit is misuse. */
  uint(width: 1 | 2 | 3 | 4 | 5 | 6, value: number): this {
    if (!Number.isSafeInteger(value) || value < 0 || value >= 256 ** width) {
      throw new TypeError(`${value} does not fit ${width} bytes`);
    }
    const out = new Uint8Array(width);
    let left = value;
    for (let i = width - 1; i >= 0; i--) {
      out[i] = left % 256;
      left = Math.floor(left / 256);
    }
    return this.put(out);
  }

  uint64(value: bigint): this {
    if (value < 0n || value >= 1n << 64n) throw new TypeError(`${value} does not fit 8 bytes`);
    const out = new Uint8Array(8);
    let left = value;
    for (let i = 7; i >= 0; i--) {
      out[i] = Number(left & 0xffn);
      left >>= 8n;
    }
    return this.put(out);
  }

  /** A byte string behind its length in `width` bytes. */
  vector(width: 1 | 2 | 3, bytes: Uint8Array): this {
    return this.uint(width, bytes.length).put(bytes);
  }

  /** What was collected, in a new array. */
  finish(): Uint8Array {
    const out = allocate(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
