// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { LacreError } from "../errors.ts";
import { ProtobufMessage } from "./protobuf.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const bad = (text: string, read: (message: ProtobufMessage) => unknown = () => undefined): void =>
  assert.throws(
    () => read(new ProtobufMessage(hex(text))),
    (error) => error instanceof LacreError && error.code === "BAD_PROTOBUF",
  );

test("reads what another writer wrote", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }),
      (number, octets, list) => {
        const writer = new BinaryWriter();
        writer.tag(1, WireType.Varint).int64(number);
        writer.tag(2, WireType.LengthDelimited).bytes(octets);
        for (const one of list) writer.tag(15, WireType.LengthDelimited).bytes(one);
        writer.tag(16, WireType.Bit64).fixed64(7n).tag(17, WireType.Bit32).fixed32(7);
        const message = new ProtobufMessage(writer.finish());
        assert.equal(message.int64(1), number);
        assert.deepEqual(message.optionalBytes(2), octets);
        assert.deepEqual(message.bytesArray(15), list);
        assert.equal(message.int64(3), 0n);
        assert.equal(message.optionalBytes(3), undefined);
      },
    ),
  );
});

test("refuses what is no message", () => {
  bad("08"); // no value
  bad("08 80"); // the number does not end
  bad("08 80 00"); // longer than it has to be
  bad("08 ff ff ff ff ff ff ff ff ff 02"); // 65 bits
  bad("08 ff ff ff ff ff ff ff ff ff ff 01"); // eleven octets
  bad("12 05 00"); // longer than the message
  bad("12 ff ff ff ff ff ff ff ff ff 01 00");
  bad("00 00"); // field 0
  bad("0b"); // a group
  bad("0f 00"); // wire type 7
  bad("09 00"); // half a fixed value
});

test("refuses a field of another type, a negative number, and one that stands twice", () => {
  bad("08 01", (message) => message.optionalBytes(1));
  bad("08 01", (message) => message.bytesArray(1));
  bad("0a 00", (message) => message.int64(1));
  bad("08 ff ff ff ff ff ff ff ff ff 01", (message) => message.int64(1));
  bad("08 01 08 01", (message) => message.int64(1));
  bad("0a 00 0a 00", (message) => message.optionalBytes(1));
  bad("0a 01 08", (message) => message.optionalMessage(1));
});

test("refuses a flood of fields", () => {
  assert.throws(
    () => new ProtobufMessage(new Uint8Array(4000).map((_, at) => (at % 2 === 0 ? 8 : 1))),
    (error) => error instanceof LacreError && error.code === "TOO_LARGE",
  );
});
