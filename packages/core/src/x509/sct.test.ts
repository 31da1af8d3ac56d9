// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { EXTENSION_OID_SCT, X509Certificate as SigstoreCertificate } from "@sigstore/core";
import fc from "fast-check";
import { concat, fromBase64, toHex } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { defaultAlgorithm, importPublicKey, sha256, signMessage, type PrivateKey } from "../crypto/index.ts";
import { decodeCertificate, type Certificate } from "./certificate.ts";
import { checkChain } from "./chain.ts";
import { EXTENSION, type Extension } from "./extensions.ts";
import {
  answers,
  authority,
  cases,
  damaged,
  haveVectors,
  HOUR,
  keyOf,
  NOW,
  openssl,
  file,
  raw,
  refuses,
  root,
  serial,
} from "./fixture.test.ts";
import { prepareLoggedCertificate, preparePrecertificate, signerFields, signUnsigned, type CertificateFields } from "./issue.ts";
import {
  checkSct,
  decodeSct,
  decodeSctList,
  embeddedScts,
  encodeSct,
  issuerKeyHash,
  loggedTbs,
  sctAlgorithmCodes,
  sctListExtension,
  sctSignedData,
  type LoggedCertificate,
  type Sct,
} from "./sct.ts";

const issuing = authority(root());
const logKey = keyOf("log");
const logId = sha256(logKey.publicKey.spki);
const log = { logId, key: logKey.publicKey };

function promise(
  logged: LoggedCertificate,
  key: PrivateKey = logKey,
  extensions: Uint8Array = new Uint8Array(),
  timestampMs: number = NOW,
): Sct {
  const algorithm = defaultAlgorithm(key.publicKey);
  const signature = signMessage(algorithm, key, sctSignedData(logged, timestampMs, extensions));
  return { logId: sha256(key.publicKey.spki), timestampMs, extensions, ...sctAlgorithmCodes(algorithm), signature };
}

const algorithm = defaultAlgorithm(issuing.key.publicKey);

function fields(extra: readonly Extension[] = []): CertificateFields {
  const made = signerFields({
    issuer: issuing.certificate,
    san: { kind: "uri", value: "https://example.com/x" },
    identityIssuer: "https://idp.example.com",
    claims: new Map(),
    serial: serial(),
    publicKey: keyOf("signer").publicKey,
    notBeforeMs: NOW,
    notAfterMs: NOW + HOUR,
  });
  return { ...made, extensions: [...made.extensions, ...extra] };
}

/** The authority's whole way: precertificate, promise, certificate. */
function issueLogged(
  certificate: CertificateFields = fields(),
  extensions?: Uint8Array,
): { precertificate: Uint8Array; certificate: Certificate } {
  const precertificate = signUnsigned(preparePrecertificate(certificate, algorithm), issuing.key);
  const logged = { tbs: loggedTbs(decodeCertificate(precertificate).tbs), issuerKeyHash: issuerKeyHash(issuing.certificate) };
  const sct = promise(logged, logKey, extensions);
  return {
    precertificate,
    certificate: decodeCertificate(signUnsigned(prepareLoggedCertificate(certificate, algorithm, [sct]), issuing.key)),
  };
}

function check(
  certificate: Certificate,
  changes: Partial<LoggedCertificate> = {},
  sct: Sct = embeddedScts(certificate)[0]!,
  by: typeof log = log,
): void {
  checkSct({
    sct,
    logged: { tbs: loggedTbs(certificate.tbs), issuerKeyHash: issuerKeyHash(issuing.certificate), ...changes },
    log: by,
  });
}

test("proves the promises in published certificates", { skip: !haveVectors }, () => {
  let proven = 0;
  let withExtensions = 0;
  for (const { name, leaf, root: trusted } of cases()) {
    if (leaf === undefined || name === "invalid-ct-key_fail" || name === "intoto-expired-certificate_fail") continue;
    const certificate = decodeCertificate(leaf);
    const paths = trusted.certificateAuthorities.flatMap(({ certChain }) => {
      const chain = certChain.certificates.map((one) => decodeCertificate(raw(one)));
      try {
        return [
          checkChain({
            leaf: certificate,
            intermediates: chain.slice(0, -1),
            anchors: chain.slice(-1),
            timeMs: certificate.notBeforeMs,
            purpose: "codeSigning",
          }),
        ];
      } catch {
        return [];
      }
    });
    const issuer = paths[0]![1]!;
    for (const sct of embeddedScts(certificate)) {
      const known = trusted.ctlogs.find(({ logId: { keyId } }) => keyId === Buffer.from(sct.logId).toString("base64"))!;
      const key = importPublicKey(fromBase64(known.publicKey.rawBytes));
      check(certificate, { issuerKeyHash: issuerKeyHash(issuer) }, sct, { logId: sct.logId, key });
      if (sct.extensions.length > 0) withExtensions++;
      proven++;
    }
  }
  assert.ok(proven >= 25 && withExtensions >= 1, `${proven}, ${withExtensions}`);
});

test("sigstore-js and OpenSSL read the promise we embed, and sigstore-js verifies it", () => {
  for (const extensions of [new Uint8Array(), Uint8Array.of(0, 0, 5, 0, 0, 0, 0, 7)]) {
    const { certificate } = issueLogged(fields(), extensions);
    const theirs = SigstoreCertificate.parse(Buffer.from(certificate.der));
    const [sct] = theirs.extSCT!.signedCertificateTimestamps;
    assert.equal(sct!.datetime.getTime(), NOW);
    assert.deepEqual(sct!.logID, Buffer.from(logId));
    // As @sigstore/verify builds it: the certificate without the list, behind the issuer's key hash.
    const clone = theirs.clone();
    const list = clone.extensions;
    list.splice(
      list.findIndex((one) => one.subs[0]!.toOID() === EXTENSION_OID_SCT),
      1,
    );
    const tbs = clone.tbsCertificate.toDER();
    const length = Buffer.alloc(4);
    length.writeUInt32BE(tbs.length);
    const key = createPublicKey({ key: Buffer.from(logKey.publicKey.spki), format: "der", type: "spki" });
    assert.equal(sct!.verify(Buffer.concat([issuerKeyHash(issuing.certificate), length.subarray(1), tbs]), key), true);
  }
  const { certificate, precertificate } = issueLogged();
  const text = openssl("x509", "-inform", "der", "-in", file(certificate.der), "-noout", "-text");
  assert.match(text, /CT Precertificate SCTs: *\s+Signed Certificate Timestamp:\s+Version +: v1/);
  assert.match(text, /Timestamp : Mar  1 12:00:00\.000 2026 GMT/);
  assert.match(
    openssl("x509", "-inform", "der", "-in", file(precertificate), "-noout", "-text"),
    /CT Precertificate Poison: critical\s+NULL/,
  );
});

test("a certificate without its promise is the precertificate without its poison, byte for byte", () => {
  const extension = fc.record({ last: fc.integer({ min: 1, max: 1000 }), value: fc.uint8Array({ maxLength: 400 }) });
  fc.assert(
    fc.property(
      fc.uniqueArray(extension, { selector: ({ last }) => last, maxLength: 8 }),
      fc.uint8Array({ maxLength: 300 }),
      (extra, sctExtensions) => {
        const given = fields(extra.map(({ last, value }) => ({ oid: `1.3.6.1.4.1.99999.${last}`, critical: false, value })));
        const { certificate, precertificate } = issueLogged(given, sctExtensions);
        assert.equal(toHex(loggedTbs(certificate.tbs)), toHex(loggedTbs(decodeCertificate(precertificate).tbs)));
        assert.equal([...certificate.extensions.keys()].at(-1), EXTENSION.sctList);
        check(certificate);
      },
    ),
    { numRuns: 25 },
  );
});

test("cutting extensions leaves the rest as it was, wherever they stand", () => {
  const { certificate } = issueLogged();
  const plain = fields().extensions;
  const sctList = certificate.extensions.get(EXTENSION.sctList)!;
  const unsigned = (extensions: readonly Extension[]): Uint8Array =>
    preparePrecertificateless({ ...fields(), serial: Uint8Array.of(1), extensions });
  for (const at of [0, 3, plain.length]) {
    assert.equal(toHex(loggedTbs(unsigned([...plain.slice(0, at), sctList, ...plain.slice(at)]))), toHex(unsigned(plain)));
  }
  assert.equal(toHex(loggedTbs(unsigned(plain))), toHex(unsigned(plain)));
});

function preparePrecertificateless(given: CertificateFields): Uint8Array {
  return loggedTbs(preparePrecertificate(given, algorithm).toBeSigned);
}

test("a promise for another certificate, issuer, time or with other extensions is refused (T33)", () => {
  const { certificate } = issueLogged();
  check(certificate);
  const [sct] = embeddedScts(certificate) as [Sct];
  refuses(() => check(certificate, { tbs: loggedTbs(issueLogged().certificate.tbs) }), "SCT_INVALID", /did not sign/);
  refuses(() => check(certificate, { issuerKeyHash: issuerKeyHash(root().certificate) }), "SCT_INVALID", /did not sign/);
  refuses(() => check(certificate, {}, { ...sct, timestampMs: sct.timestampMs + 1 }), "SCT_INVALID", /did not sign/);
  refuses(() => check(certificate, {}, { ...sct, extensions: Uint8Array.of(0) }), "SCT_INVALID", /did not sign/);
  refuses(() => check(certificate, {}, { ...sct, signature: sct.signature.subarray(1) }), "SCT_INVALID", /did not sign/);
});

test("another log's promise is of an unknown log; a known log's name over another key's signature is refused", () => {
  const { certificate } = issueLogged();
  const logged = { tbs: loggedTbs(certificate.tbs), issuerKeyHash: issuerKeyHash(issuing.certificate) };
  const foreign = promise(logged, keyOf("other log"));
  refuses(() => check(certificate, {}, foreign), "SCT_UNKNOWN_LOG");
  refuses(() => check(certificate, {}, { ...foreign, logId }), "SCT_INVALID", /did not sign/);
});

test("refuses algorithms that logs do not use, or that do not fit the log's key", () => {
  const { certificate } = issueLogged();
  const [sct] = embeddedScts(certificate) as [Sct];
  for (const codes of [
    { hashCode: 2 },
    { hashCode: 0 },
    { signatureCode: 0 },
    { signatureCode: 2 },
    { hashCode: 8, signatureCode: 7 },
  ]) {
    refuses(() => check(certificate, {}, { ...sct, ...codes }), "SCT_INVALID", /do not use/);
  }
  refuses(() => check(certificate, {}, { ...sct, signatureCode: 1 }), "SCT_INVALID", /did not sign/);
  refuses(() => check(certificate, {}, { ...sct, hashCode: 5 }), "SCT_INVALID", /did not sign/);
});

test("logs with RSA and P-384 keys are understood", () => {
  const { certificate } = issueLogged();
  const logged = { tbs: loggedTbs(certificate.tbs), issuerKeyHash: issuerKeyHash(issuing.certificate) };
  for (const key of [keyOf("rsa log", "RSA", 2048), keyOf("p384 log", "P-384")]) {
    checkSct({ sct: promise(logged, key), logged, log: { logId: sha256(key.publicKey.spki), key: key.publicKey } });
  }
  assert.throws(() => sctAlgorithmCodes(defaultAlgorithm(keyOf("ed", "Ed25519").publicKey)), /no log signs with/);
  assert.throws(() => sctSignedData({ ...logged, issuerKeyHash: new Uint8Array(20) }, NOW), /32 octets/);
  assert.throws(() => encodeSct({ ...promise(logged), logId: new Uint8Array(20) }), /32 octets/);
});

test("SCTs survive a round trip", () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
  const sct = fc.record(
    {
      logId: bytes(32),
      timestampMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      extensions: fc.uint8Array({ maxLength: 70 }),
      hashCode: fc.nat(255),
      signatureCode: fc.nat(255),
      signature: fc.uint8Array({ maxLength: 100 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(sct, { minLength: 1, maxLength: 4 }), (scts) => {
      assert.deepEqual(decodeSct(encodeSct(scts[0]!)), scts[0]);
      assert.deepEqual(decodeSctList(sctListExtension(scts).value), scts);
    }),
  );
});

test("refuses lists that are empty, have something behind them, or do not parse fully", () => {
  const good = encodeSct(promise({ tbs: Uint8Array.of(1), issuerKeyHash: new Uint8Array(32) }));
  const list = (...content: readonly Uint8Array[]): Uint8Array => {
    const inner = concat(...content);
    return der.octets(Uint8Array.of(inner.length >> 8, inner.length & 0xff), inner);
  };
  const sized = (sct: Uint8Array): Uint8Array => concat(Uint8Array.of(sct.length >> 8, sct.length & 0xff), sct);
  assert.equal(decodeSctList(list(sized(good), sized(good))).length, 2);
  const version2 = Uint8Array.from(good);
  version2[0] = 1;
  const bad = [
    list(),
    concat(list(sized(good)), Uint8Array.of(0)),
    der.octets(concat(Uint8Array.of(0, 0), good)),
    list(sized(good), Uint8Array.of(0)),
    der.octets(der.decodeDer(list(sized(good))).content, Uint8Array.of(0)),
    list(sized(concat(good, Uint8Array.of(0)))),
    list(sized(version2)),
    list(sized(good.subarray(0, -1))),
    der.sequence(),
    new Uint8Array(),
    der.octets(new Uint8Array()),
  ];
  for (const value of bad) refuses(() => decodeSctList(value), "SCT_INVALID");
});

test("refuses a time beyond what can be counted", () => {
  const sct = encodeSct(promise({ tbs: Uint8Array.of(1), issuerKeyHash: new Uint8Array(32) }));
  const late = Uint8Array.from(sct);
  late[33] = 0xff;
  refuses(() => decodeSct(late), "SCT_INVALID", /impossible/);
  const last = Uint8Array.from(sct);
  new DataView(last.buffer).setBigUint64(33, BigInt(Number.MAX_SAFE_INTEGER));
  assert.equal(decodeSct(last).timestampMs, Number.MAX_SAFE_INTEGER);
  new DataView(last.buffer).setBigUint64(33, BigInt(Number.MAX_SAFE_INTEGER) + 1n);
  refuses(() => decodeSct(last), "SCT_INVALID", /impossible/);
});

test("no damage to a promise gets past decoding and checking as anything but an answer (T18)", () => {
  const { certificate } = issueLogged();
  const { value } = certificate.extensions.get(EXTENSION.sctList)!;
  let accepted = 0;
  for (const bytes of damaged(value)) {
    answers(
      () => {
        for (const sct of decodeSctList(bytes)) check(certificate, {}, sct);
        accepted++;
      },
      toHex(bytes.subarray(0, 40)),
    );
  }
  assert.equal(accepted, 0);
  const list = der.sequence(der.sequence(der.oid("1.2.3"), der.octets()));
  assert.equal(loggedTbs(der.sequence(der.context(3, list))).length, list.length + 4);
  for (const tbs of [der.sequence(der.context(3, list, der.nil())), der.sequence(der.context(3, list), der.nil())])
    refuses(() => loggedTbs(tbs), "BAD_DER");
  for (const bytes of damaged(certificate.tbs)) answers(() => loggedTbs(bytes), toHex(bytes.subarray(0, 40)));
});
