// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { X509Certificate as SigstoreCertificate } from "@sigstore/core";
import fc from "fast-check";
import { utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { decodeCertificate } from "./certificate.ts";
import { EXTENSION, type Extension } from "./extensions.ts";
import {
  authority,
  cases,
  haveVectors,
  refuses,
  root,
  signer,
  withExtensions,
  withoutExtension,
  type Change,
} from "./fixture.test.ts";
import { CLAIMS, identityExtensions, readIdentity, readNamedClaim, type Identity } from "./identity.ts";

const issuing = authority(root());
const ARC = "1.3.6.1.4.1.57264.1";

function identity(...changes: readonly Change[]): Identity {
  return readIdentity(signer(issuing, (fields) => changes.reduce((changed, change) => change(changed), fields)).certificate);
}

function names(...encoded: readonly Uint8Array[]): Change {
  return withExtensions({ oid: EXTENSION.subjectAltName, critical: true, value: der.sequence(...encoded) });
}

const email = (text: string): Uint8Array => der.contextPrimitive(1, utf8(text));
const claim = (last: number, value: Uint8Array): Change => withExtensions({ oid: `${ARC}.${last}`, critical: false, value });

test("reads who published certificates were given to", { skip: !haveVectors }, () => {
  const seen = new Set<string | undefined>();
  for (const { leaf, name } of cases()) {
    if (leaf === undefined) continue;
    const { san, issuer, claims } = readIdentity(decodeCertificate(leaf));
    const theirs = SigstoreCertificate.parse(Buffer.from(leaf));
    assert.equal(san.value, theirs.subjectAltName, name);
    assert.equal(
      issuer,
      theirs.extension(`${ARC}.8`)?.valueObj.subs[0]?.value.toString() ?? theirs.extension(`${ARC}.1`)?.value.toString(),
      name,
    );
    for (const { oid, name: called, raw } of CLAIMS.values()) {
      const value = theirs.extension(oid);
      assert.equal(
        claims.get(called),
        raw ? value?.value.toString() : value?.valueObj.subs[0]?.value.toString(),
        `${name} ${called}`,
      );
    }
    seen.add(issuer);
  }
  assert.ok(seen.has("https://token.actions.githubusercontent.com"));
});

test("email, URI and user name are identities, bytes exact (T36)", () => {
  const values = ["Ada@Example.com", "ada@example.com.", "ada+x@example.com", " ada@example.com", "a%40b@example.com"];
  for (const value of values) assert.deepEqual(identity(names(email(value))).san, { kind: "email", value });
  assert.deepEqual(identity(names(der.contextPrimitive(6, utf8("https://x/y@z")))).san, { kind: "uri", value: "https://x/y@z" });
  const userName = der.context(0, der.oid(`${ARC}.7`), der.context(0, der.utf8String("аda!example.com")));
  assert.deepEqual(identity(names(userName)).san, { kind: "other", value: "аda!example.com" });
});

test("refuses no name, two names, and names of other kinds (T34)", () => {
  refuses(() => identity(withoutExtension(EXTENSION.subjectAltName)), "IDENTITY_INVALID", /exactly one/);
  refuses(() => identity(names(email("a@b"), email("a@b"))), "IDENTITY_INVALID", /exactly one/);
  const other = der.context(0, der.oid("1.3.6.1.5.5.7.8.9"), der.context(0, der.utf8String("ada@example.com")));
  for (const name of [der.contextPrimitive(2, utf8("example.com")), der.contextPrimitive(7, Uint8Array.of(1, 2, 3, 4)), other]) {
    refuses(() => identity(names(name)), "IDENTITY_INVALID", /no identity/);
  }
});

test("refuses a name that is empty or has control characters (T36)", () => {
  for (const value of ["", "ada@example.com\n", "ada@example.com\0", "\x1b[31mada@example.com"])
    refuses(() => identity(names(email(value))), "IDENTITY_INVALID", /control/);
});

test("the issuer is extension 8, else 1; two that differ are refused", () => {
  const idp = "https://idp.example.com";
  assert.equal(identity().issuer, idp);
  assert.equal(identity(withoutExtension(`${ARC}.1`)).issuer, idp);
  assert.equal(identity(withoutExtension(`${ARC}.8`)).issuer, idp);
  assert.equal(identity(withoutExtension(`${ARC}.1`), withoutExtension(`${ARC}.8`)).issuer, undefined);
  refuses(() => identity(claim(1, utf8("https://evil.example.com"))), "IDENTITY_INVALID", /two issuers/);
  refuses(() => identity(claim(8, der.utf8String("https://evil.example.com"))), "IDENTITY_INVALID", /two issuers/);
  refuses(() => identity(claim(1, utf8(`${idp}/`))), "IDENTITY_INVALID", /two issuers/);
});

test("a malformed claim is refused, whichever it is", () => {
  const ia5 = der.der(der.TAG.ia5String, utf8("x"));
  for (const { oid, raw, name } of [
    ...CLAIMS.values(),
    { oid: `${ARC}.1`, raw: true, name: "issuer" },
    { oid: `${ARC}.8`, raw: false, name: "issuer" },
  ]) {
    const notText = Uint8Array.of(0xff, 0xfe);
    for (const value of raw
      ? [notText]
      : [
          notText,
          new Uint8Array(),
          utf8("x"),
          ia5,
          Uint8Array.of(0x0c, 1, 0xff),
          Uint8Array.of(0x0c, 1, 0x61, 0),
          Uint8Array.of(0x0c, 0x81, 1, 0x61),
        ]) {
      refuses(() => identity(withExtensions({ oid, critical: false, value })), "IDENTITY_INVALID", /malformed/);
      assert.ok(name.length > 0);
    }
  }
});

test("whatever an authority writes about an identity is what a verifier reads", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 60 }).filter((value) => value.isWellFormed());
  const claims = fc.dictionary(fc.constantFrom(...CLAIMS.keys()), text, { noNullPrototype: true });
  fc.assert(
    fc.property(
      text.filter((value) => value !== ""),
      claims,
      (issuer, given) => {
        const extensions = identityExtensions(issuer, new Map(Object.entries(given)));
        const change: Change = (fields) => ({
          ...fields,
          extensions: [...fields.extensions.filter(({ oid }) => !oid.startsWith(`${ARC}.`)), ...extensions],
        });
        const read = identity(change);
        assert.equal(read.issuer, issuer);
        assert.deepEqual(
          Object.fromEntries(read.claims),
          Object.fromEntries(Object.entries(given).filter(([, value]) => value !== "")),
        );
      },
    ),
    { numRuns: 40 },
  );
});

test("one claim is read by its name; a name that no claim has is misuse", () => {
  const { certificate } = signer(
    issuing,
    withExtensions(...identityExtensions("https://x", new Map([["buildTrigger", "push"]]))),
  );
  assert.equal(readNamedClaim(certificate, "buildTrigger"), "push");
  assert.equal(readNamedClaim(certificate, "runInvocationURI"), undefined);
  assert.throws(() => readNamedClaim(certificate, "buildtrigger"), TypeError);
});

test("extensions are written in Fulcio's order: 1 to 6, 8, then 9 to 24", () => {
  const all = new Map([...CLAIMS.keys()].toReversed().map((name) => [name, name]));
  const order = identityExtensions("https://x", all).map(({ oid }: Extension) => Number(oid.slice(ARC.length + 1)));
  assert.deepEqual(order, [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
  assert.deepEqual(identityExtensions("https://x", new Map([["buildTrigger", ""]])).length, 2);
  assert.throws(() => identityExtensions("https://x", new Map([["buildtrigger", "x"]])), TypeError);
});
