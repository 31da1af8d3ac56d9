// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { LacreError } from "../errors.ts";
import { fromBase64, fromBase64ByDigit, fromHex, text, toBase64, toBase64ByDigit, toHex, utf8 } from "./text.ts";

// The platform's own conversion where there is one, and ours where there is none.
const READERS = [fromBase64, fromBase64ByDigit];

test("base64 and hexadecimal are what Node writes and read back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"));
      assert.equal(toBase64ByDigit(bytes), toBase64(bytes));
      for (const read of READERS) assert.deepEqual(read(toBase64(bytes)), bytes);
      assert.equal(toHex(bytes), Buffer.from(bytes).toString("hex"));
      assert.deepEqual(fromHex(toHex(bytes)), bytes);
      assert.deepEqual(fromHex(toHex(bytes).toUpperCase()), bytes);
    }),
  );
});

test("one text, one decoding: whatever base64 is read is written the same", () => {
  // Long texts are read in another way than short ones.
  fc.assert(
    fc.property(
      fc.constantFrom("", "AbC9".repeat(40)),
      fc.array(fc.constantFrom(..."ABQgwxyz09+/=-_ \né€"), { maxLength: 12 }),
      (before, characters) => {
        const value = before + characters.join("");
        for (const read of READERS) {
          try {
            assert.equal(toBase64(read(value)), value);
          } catch (error) {
            assert.ok(error instanceof LacreError && error.code === "BAD_BASE64");
            // Node is lenient, so a difference between what it reads and writes is what makes a text bad.
            assert.notEqual(Buffer.from(value, "base64").toString("base64"), value);
          }
        }
      },
    ),
    { numRuns: 5000 },
  );
});

test("refuses loose base64", () => {
  for (const wrong of [
    "A",
    "AA",
    "AAA",
    "AA=",
    "A===",
    "====",
    "=",
    "AB==",
    "AAB=",
    "AA=A",
    "AA==AAAA",
    "AAAA\n",
    " AAAA",
    "AA-_",
    "AAA\u0141",
    "\ud83d\ude00AA",
    "AAAA=",
  ]) {
    for (const text of [wrong, "AAAA".repeat(40) + wrong, wrong + "AAAA".repeat(40)]) {
      for (const read of READERS) {
        assert.throws(
          () => read(text),
          (error) => error instanceof LacreError && error.code === "BAD_BASE64",
          text,
        );
      }
    }
  }
  for (const read of READERS) assert.deepEqual(read(""), new Uint8Array(0));
});

test("refuses text that is not hexadecimal, and octets that are not UTF-8", () => {
  for (const wrong of ["0", "0g", "0x00", " 00", "00\n", "\u0130\u0131", "\uff10\uff10"])
    assert.throws(
      () => fromHex(wrong),
      (error) => error instanceof LacreError && error.code === "BAD_HEX",
    );
  for (const wrong of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
    assert.throws(
      () => text(Uint8Array.from(wrong)),
      (error) => error instanceof LacreError && error.code === "BAD_UTF8",
    );
  }
  assert.equal(text(utf8("\ufeffé😀")), "\ufeffé😀");
});
