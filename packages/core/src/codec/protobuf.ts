// SPDX-License-Identifier: Apache-2.0
/**
 * The protobuf wire format, as much of it as the field's messages use: numbers and octets.
 *
 * A message is a list of fields, each a key (number × 8 + wire type) and a value. Read strictly: keys and numbers in their
 * shortest form, no groups, lengths within the message; fields of fixed width (wire types 1 and 5) are passed over.
 * A field that a reader takes for single and that stands twice is refused, where other readers take the last one.
 */
import { LacreError } from "../errors.ts";

type Value = bigint | Uint8Array;

const MAX_FIELDS = 1024;

function bad(message: string): LacreError {
  return new LacreError("BAD_PROTOBUF", message);
}

/** The fields of one message. Byte fields share memory with the input. */
export class ProtobufMessage {
  readonly #fields = new Map<number, Value[]>();

  /** Throws BAD_PROTOBUF for octets that are not a message, TOO_LARGE beyond 1,024 fields. */
  constructor(bytes: Uint8Array) {
    let at = 0;
    let count = 0;
    const varint = (): bigint => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const octet = bytes[at++];
        if (octet === undefined) throw bad("the message ends within a number");
        if (octet === 0 && shift > 0n) throw bad("a number is longer than it has to be");
        value |= BigInt(octet & 0x7f) << shift;
        if (octet < 0x80) break;
        if (shift === 63n) throw bad("a number has more than 64 bits");
      }
      if (value >> 64n !== 0n) throw bad("a number has more than 64 bits");
      return value;
    };
    const take = (length: number): Uint8Array => {
      if (length > bytes.length - at) throw bad("a field is longer than the message");
      return bytes.subarray(at, (at += length));
    };
    while (at < bytes.length) {
      if (++count > MAX_FIELDS) throw new LacreError("TOO_LARGE", "the message has too many fields");
      const key = varint();
      const field = Number(key >> 3n);
      if (field === 0 || field > 0x1fff_ffff) throw bad("a field has an impossible number");
      const type = Number(key & 7n);
      if (type === 0) this.#add(field, varint());
      else if (type === 2) this.#add(field, take(Number(varint())));
      else if (type === 1 || type === 5) take(type === 1 ? 8 : 4);
      else throw bad("a field is of a wire type that is not in use");
    }
  }

  #add(field: number, value: Value): void {
    const values = this.#fields.get(field);
    if (values === undefined) this.#fields.set(field, [value]);
    else values.push(value);
  }

  #single(field: number): Value | undefined {
    const values = this.#fields.get(field);
    if (values !== undefined && values.length > 1) throw bad(`field ${field} stands twice`);
    return values?.[0];
  }

  /** A number that is not negative; 0 where it is absent, as protobuf has it. Throws BAD_PROTOBUF. */
  int64(field: number): bigint {
    const value = this.#single(field) ?? 0n;
    if (typeof value !== "bigint" || value >> 63n !== 0n) throw bad(`field ${field} is not a number of at least zero`);
    return value;
  }

  /** Octets; undefined where they are absent. Throws BAD_PROTOBUF. */
  optionalBytes(field: number): Uint8Array | undefined {
    const value = this.#single(field);
    if (typeof value === "bigint") throw bad(`field ${field} is a number`);
    return value;
  }

  /** Every one of a repeated field of octets. Throws BAD_PROTOBUF. */
  bytesArray(field: number): readonly Uint8Array[] {
    return (this.#fields.get(field) ?? []).map((value) => {
      if (typeof value === "bigint") throw bad(`field ${field} is a number`);
      return value;
    });
  }

  /** A message within; undefined where it is absent. Throws BAD_PROTOBUF. */
  optionalMessage(field: number): ProtobufMessage | undefined {
    const bytes = this.optionalBytes(field);
    return bytes === undefined ? undefined : new ProtobufMessage(bytes);
  }
}
