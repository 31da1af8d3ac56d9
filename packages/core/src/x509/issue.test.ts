// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { toHex } from "../bytes/index.ts";
import { defaultAlgorithm, findAlgorithm } from "../crypto/index.ts";
import { checkChain, checkCodeSigningLeaf } from "./chain.ts";
import { EXTENSION, PURPOSE } from "./extensions.ts";
import { authority, clock, file, HOUR, keyOf, NOW, openssl, pem, refuses, root, serial, signer } from "./fixture.test.ts";
import {
  authorityFields,
  EMPTY_NAME,
  keyIdOf,
  prepareCertificate,
  randomSerial,
  rootFields,
  signerFields,
  signUnsigned,
  timestampLeafFields,
} from "./issue.ts";
import { encodeName, formatName } from "./name.ts";

const common = { serial: Uint8Array.of(1), publicKey: keyOf("x").publicKey, notBeforeMs: NOW, notAfterMs: NOW + HOUR };

test("serial numbers have 159 random bits and are never zero", () => {
  assert.equal(randomSerial((length) => new Uint8Array(length).fill(0xff))[0], 0x7f);
  let asked = 0;
  const serialNumber = randomSerial((length) => new Uint8Array(length).fill(asked++ === 0 ? 0 : 1));
  assert.equal(asked, 2);
  assert.equal(toHex(serialNumber), "01".repeat(20));
  assert.equal(randomSerial(randomBytes).length, 20);
});

test("profiles are those that official clients accept", () => {
  const top = root();
  const issuing = authority(top);
  const critical = (extensions: ReadonlyMap<string, { critical: boolean }>): readonly string[] =>
    [...extensions].filter(([, extension]) => extension.critical).map(([oid]) => oid);

  assert.equal(formatName(top.certificate.subject), "O=lacre test, CN=root");
  assert.deepEqual(critical(top.certificate.extensions), [EXTENSION.keyUsage, EXTENSION.basicConstraints]);
  assert.equal(top.certificate.pathLength, undefined);
  assert.deepEqual(top.certificate.extendedKeyUsage, []);
  assert.ok(
    top.certificate.keyUsage("keyCertSign") &&
      top.certificate.keyUsage("crlSign") &&
      !top.certificate.keyUsage("digitalSignature"),
  );

  assert.deepEqual([issuing.certificate.isCa, issuing.certificate.pathLength], [true, 0]);
  assert.deepEqual(issuing.certificate.extendedKeyUsage, [PURPOSE.codeSigning]);
  assert.deepEqual(issuing.certificate.authorityKeyId, top.certificate.subjectKeyId);

  const { certificate } = signer(issuing);
  checkCodeSigningLeaf(certificate);
  assert.deepEqual(certificate.subject, EMPTY_NAME);
  assert.deepEqual(certificate.issuer, issuing.certificate.subject);
  assert.deepEqual(critical(certificate.extensions), [EXTENSION.keyUsage, EXTENSION.subjectAltName]);
  assert.deepEqual(certificate.authorityKeyId, issuing.certificate.subjectKeyId);
  assert.deepEqual(certificate.subjectKeyId, keyIdOf(keyOf("signer").publicKey));

  const tsa = clock(top).certificate;
  assert.deepEqual(critical(tsa.extensions), [EXTENSION.keyUsage, EXTENSION.extendedKeyUsage]);
  assert.deepEqual([tsa.isCa, tsa.extendedKeyUsage], [false, [PURPOSE.timeStamping]]);
});

test("OpenSSL's strict mode accepts every profile, whatever the authority's key", () => {
  for (const type of ["P-256", "P-384", "P-521"] as const) {
    const top = root(`root ${type}`, undefined, type);
    const issuing = authority(top);
    const { certificate } = signer(issuing);
    openssl(
      "verify",
      "-x509_strict",
      "-attime",
      `${NOW / 1000}`,
      "-CAfile",
      file(pem(top.certificate.der)),
      "-untrusted",
      file(pem(issuing.certificate.der)),
      file(pem(certificate.der)),
    );
    checkChain({
      leaf: certificate,
      intermediates: [issuing.certificate],
      anchors: [top.certificate],
      timeMs: NOW,
      purpose: "codeSigning",
    });
    const tsa = clock(top).certificate;
    openssl(
      "verify",
      "-x509_strict",
      "-purpose",
      "timestampsign",
      "-attime",
      `${NOW / 1000}`,
      "-CAfile",
      file(pem(top.certificate.der)),
      file(pem(tsa.der)),
    );
  }
});

test("nothing outlives its issuer", () => {
  const issuing = authority(root());
  const { notBeforeMs, notAfterMs } = issuing.certificate;
  const signerAt = (from: number, until: number) => () =>
    signerFields({
      ...common,
      notBeforeMs: from,
      notAfterMs: until,
      issuer: issuing.certificate,
      san: { kind: "email", value: "a@b" },
      identityIssuer: "https://x",
      claims: new Map(),
    });
  signerAt(notBeforeMs, notAfterMs + 999)();
  refuses(signerAt(notBeforeMs - 1, notAfterMs), "CERT_INVALID", /issuer is not/);
  refuses(signerAt(notBeforeMs, notAfterMs + 1000), "CERT_INVALID", /issuer is not/);
  const named = { ...common, notAfterMs: notAfterMs + HOUR, issuer: issuing.certificate, subject: encodeName({ CN: "x" }) };
  refuses(() => authorityFields({ ...named, purpose: "codeSigning" }), "CERT_INVALID", /issuer is not/);
  refuses(() => timestampLeafFields(named), "CERT_INVALID", /issuer is not/);
});

test("an identity that a certificate cannot hold is refused; a timestamp authority needs a name", () => {
  const issuing = authority(root());
  const rest = { ...common, issuer: issuing.certificate, identityIssuer: "https://x", claims: new Map<string, string>() };
  refuses(() => signerFields({ ...rest, san: { kind: "email", value: "zoë@example.com" } }), "IDENTITY_INVALID", /ASCII/);
  refuses(() => signerFields({ ...rest, san: { kind: "uri", value: "https://exämple.com" } }), "IDENTITY_INVALID", /ASCII/);
  signerFields({ ...rest, san: { kind: "other", value: "zoë!example.com" } });
  assert.throws(() => timestampLeafFields({ ...common, issuer: issuing.certificate, subject: EMPTY_NAME }), TypeError);
});

test("times are written in whole seconds, in the form that RFC 5280 asks for", () => {
  const key = keyOf("x");
  const subject = encodeName({ O: "x", CN: "y" });
  const fields = rootFields({
    subject,
    serial: serial(),
    publicKey: key.publicKey,
    notBeforeMs: Date.UTC(2049, 11, 31, 23, 59, 59, 900),
    notAfterMs: Date.UTC(2050, 0, 1),
  });
  const bytes = signUnsigned(prepareCertificate(fields, defaultAlgorithm(key.publicKey)), key);
  const shown = openssl("asn1parse", "-inform", "der", "-in", file(bytes));
  assert.match(shown, /UTCTIME +:491231235959Z/);
  assert.match(shown, /GENERALIZEDTIME +:20500101000000Z/);
});

test("an algorithm that X.509 does not have, or that the key does not fit, is refused", () => {
  const key = keyOf("x");
  const fields = rootFields({ ...common, subject: encodeName({ CN: "y" }) });
  refuses(() => prepareCertificate(fields, findAlgorithm("PKIX_ED25519_PH")!), "ALGORITHM_UNKNOWN");
  refuses(() => signUnsigned(prepareCertificate(fields, findAlgorithm("PKIX_ECDSA_P384_SHA_384")!), key), "KEY_INVALID");
});

test("names for people cannot deceive them", () => {
  assert.equal(
    formatName(encodeName({ C: "DE", O: "a, CN=b", CN: "x\u001b[2J\u202e" })),
    "C=DE, O=a\\, CN=b, CN=x\\u{1b}[2J\\u{202e}",
  );
  for (const wrong of [{ X: "y" }, { CN: undefined }]) assert.throws(() => encodeName(wrong as never), /unknown name attribute/);
});
