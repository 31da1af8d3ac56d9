// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { LacreError } from "../errors.ts";
import { fromBase64, fromHex, text, toBase64, toHex, utf8 } from "./text.ts";

test("base64 and hexadecimal are what Node writes and read back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"));
      assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
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
        try {
          assert.equal(toBase64(fromBase64(value)), value);
        } catch (error) {
          assert.ok(error instanceof LacreError && error.code === "BAD_BASE64");
          // Node is lenient, so a difference between what it reads and writes is what makes a text bad.
          assert.notEqual(Buffer.from(value, "base64").toString("base64"), value);
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
    for (const before of ["", "AAAA".repeat(40)]) {
      assert.throws(
        () => fromBase64(before + wrong),
        (error) => error instanceof LacreError && error.code === "BAD_BASE64",
        before + wrong,
      );
    }
    assert.throws(
      () => fromBase64(`${wrong}${"AAAA".repeat(40)}`),
      (error) => error instanceof LacreError && error.code === "BAD_BASE64",
      wrong,
    );
  }
  assert.deepEqual(fromBase64(""), new Uint8Array(0));
});

test("refuses text that is not hexadecimal, and octets that are not UTF-8", () => {
  for (const wrong of ["0", "0g", "0x00", " 00", "00\n"])
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
