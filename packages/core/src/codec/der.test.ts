// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import * as der from "./der.ts";

function refused(hex: string, read: (bytes: Uint8Array) => unknown = (bytes) => der.decodeDer(bytes)): void {
  assert.throws(
    () => read(fromHex(hex)),
    (error: unknown) => error instanceof LacreError && error.code === "BAD_DER",
    hex,
  );
}

test("refuses lengths that are indefinite, overlong, oversize or cut off", () => {
  for (const hex of ["", "30", "3080", "30800000", "308101ff", "30820001ff", "3081", "3085000000000a", "3003", "30030101"])
    refused(hex);
});

test("refuses bytes after the value, multi-byte tags and a wrong tag", () => {
  refused("050000");
  refused("1f8100");
  refused("0500", (bytes) => der.decodeDer(bytes, der.TAG.sequence));
});

test("refuses INTEGERs that are empty, padded or negative", () => {
  for (const hex of ["0200", "02020001", "0202ff80"]) refused(hex, (bytes) => der.readIntegerBytes(der.decodeDer(bytes)));
  refused("0201ff", (bytes) => der.readUnsigned(der.decodeDer(bytes)));
});

test("refuses BOOLEANs other than 00 and FF, and flags with trailing zeros", () => {
  refused("010101", (bytes) => der.readBoolean(der.decodeDer(bytes)));
  for (const hex of ["0300", "030108", "03020100", "030200c0".replace("c0", "80").replace("00", "06")]) {
    refused(hex, (bytes) => der.readFlags(der.decodeDer(bytes)));
  }
});

test("OIDs survive a round trip, padded arcs do not", () => {
  for (const dotted of ["1.2.840.113549.1.7.2", "2.5.29.17", "1.3.6.1.4.1.57264.1.24", "2.999.3", "0.9"]) {
    assert.equal(der.readOid(der.decodeDer(der.oid(dotted))), dotted);
  }
  refused("0602800a", (bytes) => der.readOid(der.decodeDer(bytes)));
  refused("060181", (bytes) => der.readOid(der.decodeDer(bytes)));
});

test("times are real dates in the two forms of RFC 5280", () => {
  const at = Date.UTC(2026, 10, 24, 5, 36, 39);
  assert.equal(der.readTimeMs(der.decodeDer(der.time(at))), at);
  assert.equal(der.readTimeMs(der.decodeDer(der.generalizedTime(at))), at);
  const far = Date.UTC(2051, 0, 1);
  assert.equal(toHex(der.time(far)).slice(0, 2), "18");
  for (const written of ["261324053639Z", "260230053639Z", "2611240536Z", "261124053639+0000"]) {
    assert.throws(() => der.readTimeMs(der.decodeDer(der.der(der.TAG.utcTime, new TextEncoder().encode(written)))), LacreError);
  }
});

test("lengths of every size survive a round trip", () => {
  for (const size of [0, 127, 128, 255, 256, 65535, 65536, 1 << 20]) {
    const value = der.decodeDer(der.octets(new Uint8Array(size)));
    assert.equal(value.content.length, size);
  }
});
