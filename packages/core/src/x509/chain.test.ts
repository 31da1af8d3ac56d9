// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { der } from "../codec/index.ts";
import { decodeCertificate, type Certificate } from "./certificate.ts";
import { checkChain, checkCodeSigningLeaf, checkIssuedBy, checkValidAt, type ChainOptions } from "./chain.ts";
import {
  basicConstraints,
  EXTENSION,
  extendedKeyUsage,
  keyUsage,
  PURPOSE,
  subjectAltName,
  type Extension,
} from "./extensions.ts";
import {
  authority,
  cases,
  clock,
  file,
  haveVectors,
  HOUR,
  issue,
  keyOf,
  NOW,
  openssl,
  pem,
  raw,
  refuses,
  root,
  serial,
  signer,
  withExtensions,
  withoutExtension,
  type Change,
  type Holder,
} from "./fixture.test.ts";
import { rootFields } from "./issue.ts";
import { encodeName } from "./name.ts";

const anchor = root();
const issuing = authority(anchor);
const leaf = signer(issuing).certificate;

function chain(changes: Partial<ChainOptions> = {}): readonly Certificate[] {
  return checkChain({
    leaf,
    intermediates: [issuing.certificate],
    anchors: [anchor.certificate],
    timeMs: NOW,
    purpose: "codeSigning",
    ...changes,
  });
}

/** Whether OpenSSL, in its strict mode, accepts the leaf at NOW. */
function opensslAccepts(
  certificate: Certificate,
  helpers: readonly Certificate[],
  anchors: readonly Certificate[],
  purpose = "any",
): boolean {
  const [leafPath, helperPath, anchorPath] = [[certificate], helpers, anchors].map((list) =>
    file(pem(...list.map(({ der: bytes }) => bytes)), ".pem"),
  ) as [string, string, string];
  try {
    openssl(
      "verify",
      "-x509_strict",
      "-purpose",
      purpose,
      "-attime",
      `${NOW / 1000}`,
      "-CAfile",
      anchorPath,
      ...(helpers.length === 0 ? [] : ["-untrusted", helperPath]),
      leafPath,
    );
    return true;
  } catch (error) {
    assert.match(String(error), /verification failed/);
    return false;
  }
}

const critical: Extension = { oid: "1.2.3.4.5", critical: true, value: der.nil() };
const constraints: Extension = {
  oid: EXTENSION.nameConstraints,
  critical: true,
  value: der.sequence(der.context(0, der.sequence(der.contextPrimitive(1, new Uint8Array())))),
};

test("proves a path from leaf to anchor, and so does OpenSSL in strict mode", () => {
  assert.deepEqual(chain(), [leaf, issuing.certificate, anchor.certificate]);
  assert.ok(opensslAccepts(leaf, [issuing.certificate], [anchor.certificate]));
  const direct = signer(anchor).certificate;
  assert.equal(
    checkChain({ leaf: direct, intermediates: [], anchors: [anchor.certificate], timeMs: NOW, purpose: "codeSigning" }).length,
    2,
  );
  const tsaRoot = root("clock root");
  const tsa = clock(authority(tsaRoot, "clock issuing", undefined, "timeStamping")).certificate;
  assert.ok(
    opensslAccepts(
      tsa,
      [authority(tsaRoot, "clock issuing", undefined, "timeStamping").certificate],
      [tsaRoot.certificate],
      "timestampsign",
    ),
  );
});

test("proves the paths of published certificates", { skip: !haveVectors }, () => {
  let proven = 0;
  for (const { name, leaf: bytes, root: trusted } of cases()) {
    if (bytes === undefined) continue;
    const signed = decodeCertificate(bytes);
    checkCodeSigningLeaf(signed);
    const chains = trusted.certificateAuthorities.map(({ certChain }) =>
      certChain.certificates.map((certificate) => decodeCertificate(raw(certificate))),
    );
    const attempts = chains.map(
      (certificates) => () =>
        checkChain({
          leaf: signed,
          intermediates: certificates.slice(0, -1),
          anchors: certificates.slice(-1),
          timeMs: signed.notBeforeMs + 1000,
          purpose: "codeSigning",
        }),
    );
    if (name === "intoto-expired-certificate_fail") refuses(attempts[0]!, "CERT_EXPIRED");
    else {
      assert.ok(
        attempts.some((attempt) => {
          try {
            return attempt().length >= 2;
          } catch {
            return false;
          }
        }),
        name,
      );
      proven++;
    }
    for (const { certChain } of trusted.timestampAuthorities ?? []) {
      const certificates = certChain.certificates.map((certificate) => decodeCertificate(raw(certificate)));
      for (let i = 1; i < certificates.length; i++) checkIssuedBy(certificates[i - 1]!, certificates[i]!);
    }
  }
  assert.ok(proven >= 25, `${proven}`);
});

test("intermediates may be in any order, useless or missing from use", () => {
  const upper = authority(anchor, "upper", withExtensions(basicConstraints(true)));
  const lower = authority(upper, "lower");
  const deep = signer(lower).certificate;
  const found = chain({ leaf: deep, intermediates: [issuing.certificate, leaf, lower.certificate, upper.certificate] });
  assert.deepEqual(found, [deep, lower.certificate, upper.certificate, anchor.certificate]);
});

test("of two authorities with one name, the one that signed is found", () => {
  const twin: Holder = {
    key: keyOf("twin"),
    certificate: authority(anchor, "twin", (fields) => ({ ...fields, subject: issuing.certificate.subject })).certificate,
  };
  assert.equal(chain({ intermediates: [twin.certificate, issuing.certificate] })[1], issuing.certificate);
  const noHint = signer(issuing, withoutExtension(EXTENSION.authorityKeyId)).certificate;
  assert.equal(chain({ leaf: noHint, intermediates: [twin.certificate, issuing.certificate] })[1], issuing.certificate);
  refuses(() => chain({ intermediates: [twin.certificate] }), "CERT_INVALID", /not signed/);
});

test("an older certificate of the same authority does not hide the valid one", () => {
  const expired = authority(anchor, "issuing", (fields) => ({ ...fields, notAfterMs: NOW - HOUR })).certificate;
  assert.equal(chain({ intermediates: [expired, issuing.certificate] })[1], issuing.certificate);
});

test("refuses a path to no anchor, and never takes an intermediate for one", () => {
  refuses(() => chain({ anchors: [] }), "CHAIN_INVALID", /no path/);
  refuses(() => chain({ anchors: [root("stranger").certificate] }), "CHAIN_INVALID");
  refuses(() => chain({ intermediates: [issuing.certificate, anchor.certificate], anchors: [] }), "CHAIN_INVALID");
  refuses(() => chain({ intermediates: [], anchors: [anchor.certificate] }), "CHAIN_INVALID", /no path/);
  refuses(() => chain({ anchors: [leaf], intermediates: [] }), "CHAIN_INVALID");
});

test("an anchor of the same name with another key is no anchor", () => {
  const impostor = root("impostor", (fields) => ({
    ...fields,
    subject: anchor.certificate.subject,
    issuer: anchor.certificate.subject,
  }));
  refuses(() => chain({ anchors: [impostor.certificate] }), "CERT_INVALID", /not signed/);
});

test("every certificate of the path must be valid at the time, ends included", () => {
  assert.equal(chain({ timeMs: leaf.notBeforeMs }).length, 3);
  assert.equal(chain({ timeMs: leaf.notAfterMs + 999 }).length, 3);
  refuses(() => chain({ timeMs: leaf.notBeforeMs - 1 }), "CERT_NOT_YET_VALID");
  refuses(() => chain({ timeMs: leaf.notAfterMs + 1000 }), "CERT_EXPIRED");
  refuses(() => chain({ timeMs: Number.NaN }), "CERT_EXPIRED");
  refuses(() => checkValidAt(leaf, Number.POSITIVE_INFINITY), "CERT_EXPIRED");
});

test("an intermediate or anchor that is expired or not yet valid at the time refuses (T08)", () => {
  const expired = authority(anchor, "issuing", (fields) => ({ ...fields, notAfterMs: NOW - 1000 })).certificate;
  refuses(() => chain({ intermediates: [expired] }), "CERT_EXPIRED");
  const early = authority(anchor, "issuing", (fields) => ({ ...fields, notBeforeMs: NOW + 1000 })).certificate;
  refuses(() => chain({ intermediates: [early] }), "CERT_NOT_YET_VALID");
  const oldAnchor = root("root", (fields) => ({ ...fields, notAfterMs: NOW - 1000 })).certificate;
  refuses(() => chain({ anchors: [oldAnchor] }), "CERT_EXPIRED");
});

// One thing wrong with the issuing authority; OpenSSL's strict mode refuses each as well.
const badAuthorities: readonly (readonly [what: string, change: Change, words: RegExp])[] = [
  ["no authority", withExtensions(basicConstraints(false)), /not an authority/],
  ["without basicConstraints", withoutExtension(EXTENSION.basicConstraints), /not an authority/],
  ["without keyCertSign", withExtensions(keyUsage("digitalSignature", "crlSign")), /may not sign/],
  ["without keyUsage", withoutExtension(EXTENSION.keyUsage), /may not sign/],
  ["with an unknown critical extension", withExtensions(critical), /critical extension/],
];

for (const [what, change, words] of badAuthorities) {
  test(`refuses an issuer ${what}, as OpenSSL does`, () => {
    const bad = authority(anchor, "issuing", change).certificate;
    refuses(() => chain({ intermediates: [bad] }), "CHAIN_INVALID", words);
    assert.equal(opensslAccepts(leaf, [bad], [anchor.certificate]), false);
  });
}

test("the anchor too must be an authority that may sign", () => {
  for (const [, change, words] of badAuthorities)
    refuses(() => chain({ anchors: [root("root", change).certificate] }), "CHAIN_INVALID", words);
});

test("name constraints hold for authorities alone: a leaf that has them is refused", () => {
  refuses(() => chain({ leaf: signer(issuing, withExtensions(constraints)).certificate }), "CHAIN_INVALID", /critical/);
});

test("path lengths are kept, as OpenSSL keeps them", () => {
  const short = root("short", withExtensions(basicConstraints(true, 0)));
  const under = authority(short, "under");
  const deep = signer(under).certificate;
  refuses(
    () => chain({ leaf: deep, intermediates: [under.certificate], anchors: [short.certificate] }),
    "CHAIN_INVALID",
    /longer/,
  );
  assert.equal(opensslAccepts(deep, [under.certificate], [short.certificate]), false);
  const enough = root("short", withExtensions(basicConstraints(true, 1)));
  assert.equal(chain({ leaf: deep, intermediates: [under.certificate], anchors: [enough.certificate] }).length, 3);
});

test("an authority that names purposes must name this one or any (nested purposes)", () => {
  const wrong = authority(anchor, "issuing", withExtensions(extendedKeyUsage([PURPOSE.timeStamping], false))).certificate;
  refuses(() => chain({ intermediates: [wrong] }), "CHAIN_INVALID", /purpose/);
  for (const purposes of [[PURPOSE.any], [PURPOSE.timeStamping, PURPOSE.codeSigning]]) {
    const good = authority(anchor, "issuing", withExtensions(extendedKeyUsage(purposes, false))).certificate;
    assert.equal(chain({ intermediates: [good] }).length, 3);
  }
  const unrestricted = authority(anchor, "issuing", withoutExtension(EXTENSION.extendedKeyUsage)).certificate;
  assert.equal(chain({ intermediates: [unrestricted] }).length, 3);
  const wrongAnchor = root("root", withExtensions(extendedKeyUsage([PURPOSE.timeStamping], false))).certificate;
  refuses(() => chain({ anchors: [wrongAnchor] }), "CHAIN_INVALID", /purpose/);
});

test("a leaf must name the purpose itself: any is not enough", () => {
  for (const change of [
    withoutExtension(EXTENSION.extendedKeyUsage),
    withExtensions(extendedKeyUsage([PURPOSE.any], false)),
    withExtensions(extendedKeyUsage([PURPOSE.timeStamping], false)),
  ]) {
    refuses(() => chain({ leaf: signer(issuing, change).certificate }), "CHAIN_INVALID", /leaf is not for this purpose/);
  }
  refuses(() => chain({ purpose: "timeStamping" }), "CHAIN_INVALID", /purpose/);
});

test("a leaf with an unknown critical extension is refused, a precertificate among them", () => {
  refuses(() => chain({ leaf: signer(issuing, withExtensions(critical)).certificate }), "CHAIN_INVALID", /critical/);
  const poisoned = signer(issuing, withExtensions({ oid: EXTENSION.poison, critical: true, value: der.nil() })).certificate;
  refuses(() => chain({ leaf: poisoned }), "CHAIN_INVALID", /critical/);
});

test("a forged signature is refused wherever it stands", () => {
  const stranger = keyOf("stranger");
  const forgedAuthority = authority({ certificate: anchor.certificate, key: stranger }).certificate;
  refuses(() => chain({ intermediates: [forgedAuthority] }), "CERT_INVALID", /not signed/);
  const forgedLeaf = signer({ certificate: issuing.certificate, key: stranger }).certificate;
  refuses(() => chain({ leaf: forgedLeaf }), "CERT_INVALID", /not signed/);
});

test("circles end, and so do mazes", () => {
  // Two authorities that issued one another.
  const a = encodeName({ CN: "a" });
  const b = encodeName({ CN: "b" });
  const make = (name: string, subject: Uint8Array, issuer: Uint8Array, key: string): Certificate =>
    issue(
      {
        ...rootFields({
          subject,
          serial: serial(),
          publicKey: keyOf(name).publicKey,
          notBeforeMs: NOW - HOUR,
          notAfterMs: NOW + HOUR,
        }),
        issuer,
      },
      keyOf(key),
    );
  const circle = [make("a", a, b, "b"), make("b", b, a, "a")];
  const inCircle = signer({ certificate: circle[0]!, key: keyOf("a") }).certificate;
  refuses(() => chain({ leaf: inCircle, intermediates: circle }), "CHAIN_INVALID", /returns/);
  // Each of twelve keys certified the eleven others under one name: 11! paths, none of which leads anywhere.
  const names = Array.from({ length: 12 }, (_, index) => `maze ${index}`);
  const maze = names.flatMap((child) => names.filter((parent) => parent !== child).map((parent) => make(child, a, a, parent)));
  const lost = signer({ certificate: maze[0]!, key: keyOf("maze 0") }).certificate;
  refuses(() => chain({ leaf: lost, intermediates: maze }), "TOO_LARGE");
});

test("a path has at most ten certificates", () => {
  const line = (length: number): { leaf: Certificate; helpers: Certificate[] } => {
    let issuer = anchor;
    const helpers: Certificate[] = [];
    for (let i = 0; i < length - 2; i++) {
      issuer = authority(issuer, `line ${i}`, withExtensions(basicConstraints(true)));
      helpers.push(issuer.certificate);
    }
    return { leaf: signer(issuer).certificate, helpers };
  };
  const ten = line(10);
  assert.equal(chain({ leaf: ten.leaf, intermediates: ten.helpers }).length, 10);
  const eleven = line(11);
  refuses(() => chain({ leaf: eleven.leaf, intermediates: eleven.helpers }), "CHAIN_INVALID", /too long/);
});

test("checkIssuedBy compares names as DER", () => {
  checkIssuedBy(leaf, issuing.certificate);
  refuses(() => checkIssuedBy(leaf, anchor.certificate), "CHAIN_INVALID", /another name/);
  // The same words in another string type are another name.
  const printable = der.sequence(
    der.setOf(der.sequence(der.oid("2.5.4.10"), der.printableString("lacre test"))),
    der.setOf(der.sequence(der.oid("2.5.4.3"), der.printableString("issuing"))),
  );
  refuses(
    () => checkIssuedBy(signer(issuing, (fields) => ({ ...fields, issuer: printable })).certificate, issuing.certificate),
    "CHAIN_INVALID",
    /another name/,
  );
});

test("a signer's certificate is no authority, for signatures, for code, and has one name (T34)", () => {
  checkCodeSigningLeaf(leaf);
  const bad: readonly (readonly [Change, RegExp])[] = [
    [withExtensions(basicConstraints(true)), /is an authority/],
    [withExtensions(keyUsage("keyCertSign")), /digital signatures/],
    [withoutExtension(EXTENSION.keyUsage), /digital signatures/],
    [withExtensions(extendedKeyUsage([PURPOSE.timeStamping], false)), /code signing/],
    [withoutExtension(EXTENSION.subjectAltName), /one name/],
    [
      withExtensions({
        ...subjectAltName({ kind: "email", value: "x" }, true),
        value: der.sequence(der.contextPrimitive(1, new Uint8Array(1)), der.contextPrimitive(1, new Uint8Array(1))),
      }),
      /one name/,
    ],
  ];
  for (const [change, words] of bad)
    refuses(() => checkCodeSigningLeaf(signer(issuing, change).certificate), "CERT_INVALID", words);
  checkCodeSigningLeaf(signer(issuing, withExtensions(basicConstraints(false))).certificate);
});
