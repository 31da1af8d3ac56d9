// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { text, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { pae } from "./dsse.ts";

test("encodes type and payload with their lengths", () => {
  const encoded = pae("application/vnd.in-toto+json", utf8("{}"));
  assert.equal(text(encoded), "DSSEv1 28 application/vnd.in-toto+json 2 {}");
  assert.equal(
    createHash("sha256").update(encoded).digest("hex"),
    "4842cb1ba6fed6e460d8a0d56f6b64ccf1f1e11f7714a7f282080d5780251b63",
  );
  assert.equal(text(pae("", new Uint8Array(0))), "DSSEv1 0  0 ");
});

test("lengths count octets of UTF-8, not characters", () => {
  assert.equal(text(pae("é😀", utf8("é"))), "DSSEv1 6 é😀 2 é");
  assert.equal(text(pae("x".repeat(100_000), utf8(""))).slice(0, 15), "DSSEv1 100000 x");
});

test("refuses a type without a UTF-8 form", () => {
  assert.throws(
    () => pae("\ud800", utf8("{}")),
    (error) => error instanceof LacreError && error.code === "BAD_UTF8",
  );
});
