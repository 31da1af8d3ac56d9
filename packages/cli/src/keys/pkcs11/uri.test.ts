// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { LacreError } from "@lacre/core/errors";
import { formatTokenUri, parseTokenUri, showTokenUri } from "./uri.ts";

test("reads the examples of RFC 7512 that name a key", () => {
  const uri = parseTokenUri(
    "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=public;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
  );
  assert.equal(uri.token, "The Software PKCS#11 Softtoken");
  assert.equal(uri.manufacturer, "Snake Oil, Inc.");
  assert.equal(uri.model, "1.0");
  assert.equal(uri.serial, "");
  assert.equal(uri.object, "my-certificate");
  assert.deepEqual([...uri.id!], [0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91]);
  assert.equal(uri.pinFile, "/etc/token_pin");
  const other = parseTokenUri(
    "pkcs11:object=my-sign-key;type=private;slot-id=327;token=%E5%90%8D?module-path=/lib/x.so&pin-value=1%26%202",
  );
  assert.equal(other.slotId, 327n);
  assert.equal(other.token, "名");
  assert.equal(other.modulePath, "/lib/x.so");
  assert.equal(other.pinValue, "1& 2");
});

test("refuses what could mean another key", () => {
  const bad = [
    "",
    "pkcs11",
    "PKCS11:token=a",
    "pkcs11:token",
    "pkcs11:token=a;token=b",
    "pkcs11:token=a;x-vendor=1",
    "pkcs11:token=a;library-version=1",
    "pkcs11:token=a?module-name=softhsm",
    "pkcs11:token=a?x=1?y=2",
    "pkcs11:token=%zz",
    "pkcs11:token=%1",
    "pkcs11:token=%ff",
    "pkcs11:slot-id=-1",
    "pkcs11:slot-id=0x1",
    "pkcs11:type=cert;object=a",
    "pkcs11:object=a?pin-source=|rm",
    "pkcs11:object=a?pin-source=https://x",
    "pkcs11:object=a?pin-source=/x&pin-value=1",
    `pkcs11:object=${"a".repeat(5000)}`,
  ];
  for (const uri of bad) {
    assert.throws(
      () => parseTokenUri(uri),
      (error) => error instanceof LacreError && error.code === "KEY_INVALID",
      uri,
    );
  }
});

test("no error and nothing that is shown holds the PIN", () => {
  for (const uri of [
    "pkcs11:object=a?pin-value=s3cret&pin-value=s3cret",
    "pkcs11:object=a?pin-value=s3cret%",
    "pkcs11:object=a?s3cret",
    "pkcs11:s3cret",
  ]) {
    assert.throws(
      () => parseTokenUri(uri),
      (error: LacreError) => !`${error.message}${error.found}${error.expected}`.includes("s3cret"),
    );
  }
  assert.equal(showTokenUri("pkcs11:object=a?pin-value=s3cret"), "pkcs11:object=a");
});

test("what is written is read as it was meant", () => {
  const named = { token: "a;b=c ?é", object: "x%y", id: Uint8Array.of(0, 255, 59) };
  const read = parseTokenUri(formatTokenUri(named));
  assert.equal(read.token, named.token);
  assert.equal(read.object, named.object);
  assert.deepEqual([...read.id!], [...named.id]);
});
