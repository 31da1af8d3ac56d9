// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { X509Certificate as SigstoreCertificate } from "@sigstore/core";
import fc from "fast-check";
import { concat, toHex, utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { defaultAlgorithm, generateKey, type KeyType } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate } from "./certificate.ts";
import {
  basicConstraints,
  encodeExtension,
  extendedKeyUsage,
  EXTENSION,
  keyUsage,
  subjectAltName,
  subjectKeyId,
  type KeyUsage,
} from "./extensions.ts";
import {
  answers,
  authority,
  cases,
  clock,
  crafted,
  damaged,
  file,
  haveVectors,
  HOUR,
  issue,
  keyOf,
  NOW,
  openssl,
  raw,
  refuses,
  root,
  serial,
  signer,
  stuffed,
  withExtensions,
} from "./fixture.test.ts";
import { EMPTY_NAME, prepareCertificate, rootFields, signUnsigned } from "./issue.ts";
import { encodeName } from "./name.ts";

const published = haveVectors
  ? [
      ...new Map(
        cases()
          .flatMap(({ leaf, root: { certificateAuthorities, timestampAuthorities = [] } }) => [
            ...(leaf === undefined ? [] : [leaf]),
            ...[...certificateAuthorities, ...timestampAuthorities].flatMap(({ certChain }) => certChain.certificates.map(raw)),
          ])
          .map((bytes) => [toHex(bytes), bytes]),
      ).values(),
    ]
  : [];

test("reads published certificates as Node and sigstore-js read them", { skip: !haveVectors }, () => {
  assert.ok(published.length > 25, `${published.length}`);
  for (const bytes of published) {
    const ours = decodeCertificate(bytes);
    const node = new X509Certificate(bytes);
    const theirs = SigstoreCertificate.parse(Buffer.from(bytes));
    assert.equal(BigInt(`0x${toHex(ours.serial)}`), BigInt(`0x${node.serialNumber}`));
    assert.equal(ours.notBeforeMs, node.validFromDate.getTime());
    assert.equal(ours.notAfterMs, node.validToDate.getTime());
    assert.equal(ours.isCa, node.ca);
    assert.deepEqual(ours.extendedKeyUsage, node.keyUsage ?? []);
    assert.deepEqual(Buffer.from(ours.publicKey.spki), node.publicKey.export({ format: "der", type: "spki" }));
    assert.deepEqual(Buffer.from(ours.tbs), Buffer.from(theirs.tbsCertificate.toDER()));
    assert.deepEqual(Buffer.from(der.decodeDer(ours.issuer).content), theirs.issuer);
    assert.deepEqual(Buffer.from(der.decodeDer(ours.subject).content), theirs.subject);
    assert.deepEqual(Buffer.from(ours.signature), theirs.signatureValue);
    assert.deepEqual(ours.subjectKeyId && Buffer.from(ours.subjectKeyId), theirs.extSubjectKeyID?.keyIdentifier);
    assert.deepEqual(ours.authorityKeyId && Buffer.from(ours.authorityKeyId), theirs.extAuthorityKeyID?.keyIdentifier);
    assert.equal(ours.extensions.size, theirs.extensions.length);
    for (const { oid, critical, value } of ours.extensions.values()) {
      assert.deepEqual(Buffer.from(value), theirs.extension(oid)?.value, oid);
      assert.equal(critical, theirs.extension(oid)?.critical, oid);
    }
  }
});

test("whatever extensions we write, Node, sigstore-js and we read the same", () => {
  const usages: KeyUsage[] = ["digitalSignature", "nonRepudiation", "keyCertSign", "crlSign"];
  const ascii = fc.string({
    unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 200,
  });
  const key = keyOf("property");
  const property = fc.property(
    fc.record({
      name: fc.record({ kind: fc.constantFrom("email" as const, "uri" as const, "dns" as const), value: ascii }),
      used: fc.subarray(usages, { minLength: 1 }),
      purposes: fc.subarray(["1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"], { minLength: 1 }),
      others: fc.uniqueArray(
        fc.record({
          last: fc.integer({ min: 1, max: 2 ** 31 }),
          critical: fc.boolean(),
          value: fc.uint8Array({ maxLength: 300 }),
        }),
        { selector: ({ last }) => last, maxLength: 12 },
      ),
      serial: fc.uint8Array({ minLength: 1, maxLength: 20 }).filter((bytes) => bytes[0]! > 0 && bytes[0]! < 0x80),
      from: fc.integer({ min: 0, max: 90 * 365 * 24 * 3600 }),
    }),
    ({ name, used, purposes, others, serial: number, from }) => {
      const extensions = [
        keyUsage(...used),
        extendedKeyUsage(purposes, false),
        subjectAltName(name, true),
        ...others.map(({ last, critical, value }) => ({ oid: `1.3.6.1.4.1.57264.9.${last}`, critical, value })),
      ];
      const fields = {
        serial: number,
        issuer: encodeName({ CN: "x" }),
        subject: EMPTY_NAME,
        notBeforeMs: from * 1000,
        notAfterMs: from * 1000 + HOUR,
        publicKey: key.publicKey,
        extensions,
      };
      const ours = issue(fields, key);
      const node = new X509Certificate(ours.der);
      assert.equal(node.verify(node.publicKey), true);
      assert.equal(BigInt(`0x${node.serialNumber}`), BigInt(`0x${toHex(number)}`));
      assert.equal(node.validFromDate.getTime(), fields.notBeforeMs);
      assert.equal(node.validToDate.getTime(), fields.notAfterMs);
      assert.deepEqual(node.keyUsage, purposes);
      const theirs = SigstoreCertificate.parse(Buffer.from(ours.der));
      const theirNames = theirs.extSubjectAltName;
      if (name.kind !== "dns") assert.equal(name.kind === "email" ? theirNames?.rfc822Name : theirNames?.uri, name.value);
      for (const usage of usages) assert.equal(ours.keyUsage(usage), used.includes(usage));
      assert.deepEqual(ours.subjectAltNames, [{ ...name }]);
      assert.deepEqual(
        [...ours.extensions.values()].map(({ oid, critical, value }) => ({ oid, critical, value: toHex(value) })),
        extensions.map((extension) => ({ ...extension, value: toHex(extension.value) })),
      );
      for (const { oid, critical, value } of extensions) {
        assert.deepEqual(theirs.extension(oid)?.value, Buffer.from(value));
        assert.equal(theirs.extension(oid)?.critical, critical);
      }
      assert.deepEqual(
        ours.unknownCritical,
        others.filter(({ critical }) => critical).map(({ last }) => `1.3.6.1.4.1.57264.9.${last}`),
      );
    },
  );
  fc.assert(property, { numRuns: 60 });
});

test("OpenSSL reads the extensions we write", () => {
  const path = file(signer(authority(root())).certificate.der);
  const shown = openssl("x509", "-inform", "der", "-in", path, "-noout", "-text");
  for (const expected of [
    /Version: 3 /,
    /Subject: *\n/,
    /X509v3 Key Usage: critical\s+Digital Signature\n/,
    /X509v3 Extended Key Usage: *\s+Code Signing\n/,
    /X509v3 Subject Alternative Name: critical\s+email:ada@example.com\n/,
    /1\.3\.6\.1\.4\.1\.57264\.1\.1: *\s+https:\/\/idp\.example\.com/,
  ])
    assert.match(shown, expected);
});

test("reads the kinds of signature that authorities use, and proves each", () => {
  for (const [type, bits] of [
    ["P-256"],
    ["P-384"],
    ["P-521"],
    ["RSA", 2048],
    ["Ed25519"],
    ["ML-DSA-44"],
  ] as const satisfies readonly (readonly [KeyType, number?])[]) {
    const key = generateKey(type, bits);
    const subject = encodeName({ O: "lacre test", CN: type });
    const fields = rootFields({ subject, serial: serial(), publicKey: key.publicKey, notBeforeMs: NOW, notAfterMs: NOW + HOUR });
    const certificate = decodeCertificate(signUnsigned(prepareCertificate(fields, defaultAlgorithm(key.publicKey)), key));
    certificate.checkSignedBy(certificate);
    assert.equal(
      new X509Certificate(certificate.der).verify(
        createPublicKey({ key: Buffer.from(certificate.spki), format: "der", type: "spki" }),
      ),
      true,
      type,
    );
  }
});

test("proves signatures that OpenSSL made with hashes the registry has no row for", () => {
  const made: readonly (readonly [string, readonly string[]])[] = [
    ["sha512WithRSAEncryption", ["rsa:2048", "-sha512"]],
    ["sha384WithRSAEncryption", ["rsa:2048", "-sha384"]],
  ];
  for (const [name, [algorithm, digest]] of made) {
    const [keyPath, certificatePath] = [file(""), file("")];
    openssl(
      "req",
      "-x509",
      "-newkey",
      algorithm!,
      "-nodes",
      digest!,
      "-subj",
      "/O=x/CN=y",
      "-keyout",
      keyPath,
      "-outform",
      "der",
      "-out",
      certificatePath,
    );
    const certificate = decodeCertificate(
      new Uint8Array(
        Buffer.from(openssl("x509", "-inform", "der", "-in", certificatePath).replaceAll(/-----.*-----|\s/g, ""), "base64"),
      ),
    );
    assert.equal(certificate.signatureAlgorithm.name, name);
    certificate.checkSignedBy(certificate);
  }
});

test("a signature by another key is refused, also after a good one was seen", () => {
  const [issuer, other] = [authority(root()), authority(root(), "other")];
  const { certificate } = signer(issuer);
  certificate.checkSignedBy(issuer.certificate);
  certificate.checkSignedBy(issuer.certificate);
  refuses(() => certificate.checkSignedBy(other.certificate), "CERT_INVALID", /not signed by/);
});

test("the key is read when asked for: a bad one is refused then, not at decoding", () => {
  const badKey = der.sequence(der.sequence(der.oid("1.2.3")), der.bits(Uint8Array.of(1)));
  const certificate = decodeCertificate(crafted({ spki: badKey }));
  refuses(() => certificate.publicKey, "KEY_INVALID");
  refuses(() => decodeCertificate(crafted({})).checkSignedBy(certificate), "CERT_INVALID");
});

test("refuses other versions than 3", () => {
  refuses(() => decodeCertificate(crafted({ version: new Uint8Array() })), "CERT_INVALID", /version/);
  for (const version of [0, 1, 3])
    refuses(() => decodeCertificate(crafted({ version: der.context(0, der.integer(version)) })), "CERT_INVALID", /version/);
});

test("refuses an algorithm that differs inside and outside, or is not in the table", () => {
  const sha384 = der.sequence(der.oid("1.2.840.10045.4.3.3"));
  refuses(() => decodeCertificate(crafted({ outer: sha384 })), "CERT_INVALID", /inside and outside/);
  refuses(() => decodeCertificate(crafted({ inner: sha384 })), "CERT_INVALID", /inside and outside/);
  const sha1 = der.sequence(der.oid("1.2.840.10045.4.1"));
  refuses(() => decodeCertificate(crafted({ inner: sha1, outer: sha1 })), "ALGORITHM_UNKNOWN");
  const withNull = der.sequence(der.oid("1.2.840.10045.4.3.2"), der.nil());
  refuses(() => decodeCertificate(crafted({ inner: withNull, outer: withNull })), "ALGORITHM_UNKNOWN");
});

test("refuses serial numbers that are negative or longer than 20 octets", () => {
  refuses(() => decodeCertificate(crafted({ serial: der.der(der.TAG.integer, Uint8Array.of(0x80)) })), "CERT_INVALID", /serial/);
  refuses(() => decodeCertificate(crafted({ serial: der.integer(new Uint8Array(21).fill(0x7f)) })), "CERT_INVALID", /serial/);
  assert.equal(decodeCertificate(crafted({ serial: der.integer(new Uint8Array(20).fill(0xff)) })).serial.length, 21);
});

test("refuses an extension that stands twice", () => {
  const twice = encodeExtension(subjectKeyId(Uint8Array.of(1)));
  refuses(() => decodeCertificate(crafted({ extensions: [twice, twice] })), "CERT_INVALID", /twice/);
});

test("refuses unique identifiers, an issuer without a name, a malformed name", () => {
  refuses(
    () => decodeCertificate(crafted({ afterSpki: der.contextPrimitive(1, Uint8Array.of(0, 1)) })),
    "CERT_INVALID",
    /unique/,
  );
  refuses(
    () => decodeCertificate(crafted({ afterSpki: der.contextPrimitive(2, Uint8Array.of(0, 1)) })),
    "CERT_INVALID",
    /unique/,
  );
  refuses(() => decodeCertificate(crafted({ issuer: EMPTY_NAME })), "CERT_INVALID", /issuer/);
  for (const name of [
    der.sequence(der.sequence()),
    der.sequence(der.setOf()),
    der.sequence(der.setOf(der.sequence(der.oid("2.5.4.3")))),
  ]) {
    refuses(() => decodeCertificate(crafted({ issuer: name })), "BAD_DER");
    refuses(() => decodeCertificate(crafted({ subject: name })), "BAD_DER");
  }
});

test("refuses times with fractions, and times that are not", () => {
  const times = (value: Uint8Array): Uint8Array => der.sequence(value, der.time(NOW));
  refuses(
    () => decodeCertificate(crafted({ validity: times(der.der(der.TAG.generalizedTime, utf8("20260301120000.5Z"))) })),
    "BAD_DER",
  );
  refuses(() => decodeCertificate(crafted({ validity: times(der.der(der.TAG.utcTime, utf8("260230120000Z"))) })), "BAD_DER");
  refuses(() => decodeCertificate(crafted({ validity: der.sequence(der.time(NOW)) })), "BAD_DER");
});

test("refuses default values that are written out", () => {
  const oid = der.oid("1.2.3.4");
  refuses(
    () => decodeCertificate(crafted({ extensions: [der.sequence(oid, der.boolean(false), der.octets())] })),
    "BAD_DER",
    /default/,
  );
  const constraints = { oid: EXTENSION.basicConstraints, critical: true, value: der.sequence(der.boolean(false)) };
  refuses(() => decodeCertificate(crafted({ extensions: [encodeExtension(constraints)] })), "BAD_DER", /default/);
});

test("refuses malformed values of the extensions it reads", () => {
  const bad: readonly (readonly [string, Uint8Array])[] = [
    [EXTENSION.basicConstraints, der.sequence(der.integer(1))],
    [EXTENSION.basicConstraints, der.sequence(der.boolean(true), der.integer(1), der.nil())],
    [EXTENSION.keyUsage, der.octets(Uint8Array.of(1))],
    [EXTENSION.keyUsage, Uint8Array.of(3, 2, 0, 0x80)],
    [EXTENSION.extendedKeyUsage, der.sequence()],
    [EXTENSION.extendedKeyUsage, der.sequence(der.nil())],
    [EXTENSION.subjectKeyId, der.sequence()],
    [EXTENSION.authorityKeyId, der.octets(Uint8Array.of(1))],
    [EXTENSION.authorityKeyId, der.sequence(der.octets(Uint8Array.of(1)))],
    [EXTENSION.subjectAltName, der.sequence()],
    [EXTENSION.subjectAltName, der.sequence(der.utf8String("a@b"))],
    [EXTENSION.subjectAltName, der.sequence(der.contextPrimitive(1, Uint8Array.of(0xc3, 0xa4)))],
    [EXTENSION.subjectAltName, der.sequence(der.contextPrimitive(7, Uint8Array.of(1, 2, 3)))],
    [
      EXTENSION.subjectAltName,
      der.sequence(der.context(0, der.oid("1.3.6.1.4.1.57264.1.7"), der.context(0, der.printableString("a.b")))),
    ],
    [EXTENSION.subjectAltName, der.sequence(der.context(0, der.oid("1.3.6.1.4.1.57264.1.7"), der.utf8String("a!b")))],
    [EXTENSION.subjectAltName, concat(der.sequence(der.contextPrimitive(1, utf8("a@b"))), Uint8Array.of(0))],
  ];
  for (const [oid, value] of bad) {
    const bytes = crafted({ extensions: [encodeExtension({ oid, critical: false, value })] });
    assert.throws(
      () => decodeCertificate(bytes),
      (error) => error instanceof LacreError && ["BAD_DER", "CERT_INVALID"].includes(error.code),
      `${oid} ${toHex(value)}`,
    );
  }
});

test("names of every kind are read, bytes exact", () => {
  const names = der.sequence(
    der.contextPrimitive(1, utf8("A@Example.com ")),
    der.contextPrimitive(6, utf8("https://x/%2e")),
    der.contextPrimitive(2, utf8("x.example.")),
    der.context(0, der.oid("1.3.6.1.4.1.57264.1.7"), der.context(0, der.utf8String("zoë!example.com"))),
    der.contextPrimitive(7, Uint8Array.of(127, 0, 0, 1)),
    der.contextPrimitive(7, new Uint8Array(16)),
    der.context(4, encodeName({ CN: "x" })),
    der.context(0, der.oid("1.2.3"), der.context(0, der.nil())),
    der.contextPrimitive(8, Uint8Array.of(0x2a)),
  );
  const certificate = decodeCertificate(
    crafted({ extensions: [encodeExtension({ oid: EXTENSION.subjectAltName, critical: false, value: names })] }),
  );
  assert.deepEqual(certificate.subjectAltNames.slice(0, 6), [
    { kind: "email", value: "A@Example.com " },
    { kind: "uri", value: "https://x/%2e" },
    { kind: "dns", value: "x.example." },
    { kind: "other", value: "zoë!example.com" },
    { kind: "ip", value: "127.0.0.1" },
    { kind: "ip", value: "0:0:0:0:0:0:0:0" },
  ]);
  assert.deepEqual(
    certificate.subjectAltNames.slice(6).map(({ kind }) => kind),
    ["unsupported", "unsupported", "unsupported"],
  );
});

test("no damage to a certificate gets past decoding as anything but an answer", () => {
  for (const { certificate } of [signer(authority(root())), clock(root("clock root"))]) {
    for (const bytes of damaged(certificate.der)) {
      answers(() => decodeCertificate(bytes).publicKey, toHex(bytes.subarray(0, 40)));
    }
    refuses(() => decodeCertificate(concat(certificate.der, Uint8Array.of(0))), "BAD_DER");
    refuses(() => decodeCertificate(certificate.der.subarray(0, -1)), "BAD_DER");
  }
});

test("refuses one value too many, wherever it stands", () => {
  const altNames = der.sequence(
    der.context(0, der.oid("1.3.6.1.4.1.57264.1.7"), der.context(0, der.utf8String("ada!x"))),
    der.context(4, encodeName({ CN: "x" })),
  );
  const { certificate } = signer(
    authority(root()),
    withExtensions({ oid: EXTENSION.subjectAltName, critical: true, value: altNames }, basicConstraints(true, 1)),
  );
  let count = 0;
  for (const bytes of stuffed(certificate.der)) {
    count++;
    assert.throws(
      () => decodeCertificate(bytes).publicKey,
      (error) => error instanceof LacreError,
      toHex(bytes),
    );
  }
  assert.ok(count > 30, `${count}`);
});

test("any bytes are an answer", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => answers(() => decodeCertificate(bytes), toHex(bytes))));
});
