// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { concat, toHex, utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { defaultAlgorithm, signMessage } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { answers, damaged, file, keyOf, openssl, refuses, scratchPath, stuffed } from "./fixture.test.ts";
import { EMPTY_NAME, signUnsigned } from "./issue.ts";
import { encodeName, formatName } from "./name.ts";
import { checkRequest, decodeRequest, prepareRequest } from "./request.ts";
import { signatureAlgorithmOf } from "./signature.ts";

const key = keyOf("request");
const algorithm = defaultAlgorithm(key.publicKey);

function request(subject: Uint8Array = encodeName({ CN: "ada" })): Uint8Array {
  return signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm, subject }), key);
}

function crafted(parts: {
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly attributes?: Uint8Array;
  readonly outer?: Uint8Array;
}): Uint8Array {
  const info = der.sequence(
    parts.version ?? der.integer(0),
    parts.subject ?? EMPTY_NAME,
    key.publicKey.spki,
    parts.attributes ?? der.context(0),
  );
  return der.sequence(info, parts.outer ?? signatureAlgorithmOf(algorithm).der, der.bits(signMessage(algorithm, key, info)));
}

test("OpenSSL verifies a request of ours", () => {
  const shown = openssl("req", "-inform", "der", "-in", file(request()), "-noout", "-text", "-verify");
  assert.match(shown, /Subject: CN *= *ada/);
});

test("proves requests that OpenSSL makes, with attributes and without, by every kind of key", () => {
  const kinds: readonly (readonly string[])[] = [
    ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ["rsa:2048"],
    ["ed25519"],
  ];
  for (const kind of kinds) {
    for (const extra of [[], ["-addext", "subjectAltName=email:ada@example.com"]]) {
      const out = scratchPath("request.der");
      openssl(
        "req",
        "-new",
        "-newkey",
        ...kind,
        "-nodes",
        "-subj",
        "/O=x/emailAddress=ada@example.com",
        "-keyout",
        scratchPath("key"),
        "-outform",
        "der",
        "-out",
        out,
        ...extra,
      );
      const decoded = decodeRequest(new Uint8Array(readFileSync(out)));
      // OpenSSL signs with SHA-256 whatever the curve; the caller sees that in the algorithm and may refuse it.
      const proven = checkRequest(decoded);
      assert.equal(proven.keyType, decoded.publicKey.type);
      assert.match(formatName(decoded.subject), /^O=x, 1\.2\.840\.113549\.1\.9\.1=ada@example\.com$/);
    }
  }
});

test("a request signed by another key, or changed after signing, is refused", () => {
  const stranger = keyOf("stranger");
  const forged = signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm, subject: EMPTY_NAME }), stranger);
  refuses(() => checkRequest(decodeRequest(forged)), "REQUEST_INVALID", /not signed/);
  checkRequest(decodeRequest(request(encodeName({ CN: "ada" }))));
  const changed = Uint8Array.from(request(encodeName({ CN: "ada" })));
  changed.set(utf8("b"), Buffer.from(changed).indexOf("ada"));
  refuses(() => checkRequest(decodeRequest(changed)), "REQUEST_INVALID", /not signed/);
});

test("an algorithm that the key cannot have used is refused", () => {
  const rsa = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.nil());
  refuses(() => checkRequest(decodeRequest(crafted({ outer: rsa }))), "KEY_INVALID");
  refuses(() => decodeRequest(crafted({ outer: der.sequence(der.oid("1.2.840.10045.4.1")) })), "ALGORITHM_UNKNOWN");
});

test("refuses other versions, malformed names and attributes, and bytes behind", () => {
  refuses(() => decodeRequest(crafted({ version: der.integer(1) })), "REQUEST_INVALID", /version/);
  refuses(() => decodeRequest(crafted({ subject: der.sequence(der.sequence()) })), "BAD_DER");
  refuses(() => decodeRequest(crafted({ attributes: der.context(0, der.nil()) })), "BAD_DER");
  refuses(() => decodeRequest(crafted({ attributes: der.context(0, der.sequence(der.oid("1.2.3"), der.nil())) })), "BAD_DER");
  refuses(() => decodeRequest(crafted({ attributes: der.context(1) })), "BAD_DER");
  refuses(() => decodeRequest(concat(request(), Uint8Array.of(0))), "BAD_DER");
  checkRequest(decodeRequest(crafted({ attributes: new Uint8Array() })));
});

test("a key that is none (a point off its curve) is said to be the key's fault", () => {
  const offCurve = Uint8Array.from(key.publicKey.spki);
  offCurve.fill(7, -32);
  const bytes = Buffer.from(request());
  bytes.set(offCurve, bytes.indexOf(key.publicKey.spki.subarray(0, 30)));
  refuses(() => checkRequest(decodeRequest(bytes)), "KEY_INVALID");
});

test("weak keys are refused (RSA of 1024 bits, curves outside the table)", () => {
  for (const kind of [["rsa:1024"], ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"]]) {
    const out = scratchPath("request.der");
    openssl(
      "req",
      "-new",
      "-newkey",
      ...kind,
      "-nodes",
      "-subj",
      "/O=x",
      "-keyout",
      scratchPath("key"),
      "-outform",
      "der",
      "-out",
      out,
    );
    refuses(() => decodeRequest(new Uint8Array(readFileSync(out))), "KEY_INVALID");
  }
});

test("refuses one value too many, wherever it stands", () => {
  const attribute = der.sequence(der.oid("1.2.840.113549.1.9.14"), der.setOf(der.octets(Uint8Array.of(1))));
  const good = crafted({ subject: encodeName({ CN: "ada" }), attributes: der.context(0, attribute) });
  decodeRequest(good);
  // What an attribute holds is nobody's business: its SET is passed over.
  const set = der.setOf(der.octets(Uint8Array.of(1)));
  for (const bytes of stuffed(good)) {
    if (toHex(bytes).includes(toHex(der.der(der.TAG.set, der.octets(Uint8Array.of(1)), der.nil())))) continue;
    assert.throws(
      () => decodeRequest(bytes),
      (error) => error instanceof LacreError,
      toHex(bytes),
    );
  }
  assert.ok(toHex(good).includes(toHex(set)));
});

test("no damage to a request gets past as anything but an answer, and none is proven", () => {
  let proven = 0;
  for (const bytes of damaged(request())) {
    answers(
      () => {
        checkRequest(decodeRequest(bytes));
        proven++;
      },
      toHex(bytes.subarray(0, 40)),
    );
  }
  assert.equal(proven, 0);
});
