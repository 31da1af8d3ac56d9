// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import type { Certificate } from "./certificate.ts";
import { checkChain } from "./chain.ts";
import { readNameConstraints } from "./constraints.ts";
import { basicConstraints, EXTENSION, USER_NAME_TYPE, type Extension } from "./extensions.ts";
import { answers, authority, damaged, file, NOW, openssl, pem, refuses, root, signer, withExtensions } from "./fixture.test.ts";
import { encodeName } from "./name.ts";

const anchor = root();

/** A GeneralName, as a base or as a name. */
type Named = Uint8Array;
const email = (text: string): Named => der.contextPrimitive(1, utf8(text));
const dns = (text: string): Named => der.contextPrimitive(2, utf8(text));
const uri = (text: string): Named => der.contextPrimitive(6, utf8(text));
const ip = (...octets: number[]): Named => der.contextPrimitive(7, Uint8Array.from(octets));
const directory = (name: Uint8Array): Named => der.context(4, name);
const user = (text: string): Named => der.context(0, der.oid(USER_NAME_TYPE), der.context(0, der.utf8String(text)));

function constraints(permitted: readonly Named[], excluded: readonly Named[] = []): Extension {
  const list = (number: number, bases: readonly Named[]): Uint8Array =>
    bases.length === 0 ? new Uint8Array() : der.context(number, concat(...bases.map((base) => der.sequence(base))));
  return { oid: EXTENSION.nameConstraints, critical: true, value: der.sequence(list(0, permitted), list(1, excluded)) };
}

const names = (...list: readonly Named[]): Extension => ({
  oid: EXTENSION.subjectAltName,
  critical: false,
  value: der.sequence(...list),
});

interface Path {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
}

function under(limits: Extension, subject: Uint8Array, ...alternatives: readonly Named[]): Path {
  const issuing = authority(anchor, "constrained", withExtensions(limits));
  const { certificate } = signer(issuing, (fields) => ({
    ...withExtensions(names(...alternatives))(fields),
    subject,
  }));
  return { leaf: certificate, intermediates: [issuing.certificate] };
}

function accepts(path: Path): boolean {
  try {
    checkChain({ ...path, anchors: [anchor.certificate], timeMs: NOW, purpose: "codeSigning" });
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "CHAIN_INVALID", String(error));
    assert.equal((error as { rule?: string }).rule, "H3", String(error));
    return false;
  }
}

function opensslAccepts({ leaf, intermediates }: Path): boolean {
  const [leafFile, helpers, anchors] = [[leaf], intermediates, [anchor.certificate]].map((list) =>
    file(pem(...list.map(({ der: bytes }) => bytes)), ".pem"),
  ) as [string, string, string];
  try {
    openssl("verify", "-purpose", "any", "-attime", `${NOW / 1000}`, "-CAfile", anchors, "-untrusted", helpers, leafFile);
    return true;
  } catch (error) {
    assert.match(String(error), /verification failed/);
    return false;
  }
}

const nobody = encodeName({});
const org = (more: Parameters<typeof encodeName>[0] = {}): Uint8Array => encodeName({ O: "Example", ...more });

/** Base, name, whether the name lies in the base's subtree. */
const LIES: readonly (readonly [what: string, base: Named, name: Named, lies: boolean])[] = [
  ["a host in itself", dns("example.com"), dns("example.com"), true],
  ["a host in its domain", dns("example.com"), dns("a.b.example.com"), true],
  ["a host, whatever its case", dns("EXAMPLE.com"), dns("a.example.COM"), true],
  ["a host that only ends alike", dns("example.com"), dns("notexample.com"), false],
  ["a host below, with a dot in front", dns(".example.com"), dns("a.example.com"), true],
  ["the domain itself, with a dot in front", dns(".example.com"), dns("example.com"), false],
  ["any host in nothing", dns(""), dns("anything.example"), true],
  ["a longer host in a shorter name", dns("a.example.com"), dns("example.com"), false],
  ["a mailbox of a host", email("example.com"), email("me@example.com"), true],
  ["a mailbox of a host, whatever its case", email("Example.com"), email("me@eXample.com"), true],
  ["a mailbox of a host below", email("example.com"), email("me@mail.example.com"), false],
  ["a mailbox of a host below, with a dot in front", email(".example.com"), email("me@mail.example.com"), true],
  ["a mailbox of the domain itself, with a dot in front", email(".example.com"), email("me@example.com"), false],
  ["a mailbox in itself", email("me@example.com"), email("me@example.com"), true],
  ["another mailbox", email("me@example.com"), email("you@example.com"), false],
  ["a mailbox of another case", email("me@example.com"), email("Me@example.com"), false],
  ["a URI of a host", uri("example.com"), uri("https://example.com/a@b"), true],
  ["a URI of a host with a port", uri("example.com"), uri("https://example.com:443/a"), true],
  ["a URI of a host, whatever its case", uri("Example.com"), uri("https://eXample.COM/"), true],
  ["a URI of a host below", uri("example.com"), uri("https://a.example.com/"), false],
  ["a URI of a host below, with a dot in front", uri(".example.com"), uri("https://a.example.com/"), true],
  ["a URI of another host that names it in its path", uri("example.com"), uri("https://evil.example/example.com"), false],
  ["an address in its network", ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 1, 2, 3), true],
  ["an address in another network", ip(10, 0, 0, 0, 255, 0, 0, 0), ip(11, 1, 2, 3), false],
  ["an address of six in a network of four", ip(10, 0, 0, 0, 255, 0, 0, 0), ip(...Array.from({ length: 16 }, () => 10)), false],
  ["a directory name in itself", directory(org()), directory(org()), true],
  ["a directory name that begins so", directory(org()), directory(org({ CN: "x" })), true],
  ["a directory name, whatever case and spaces", directory(encodeName({ O: " EXAMPLE" })), directory(org({ CN: "x" })), true],
  ["a directory name that begins otherwise", directory(org()), directory(encodeName({ O: "Example Two" })), false],
  ["a directory name that is shorter", directory(org({ CN: "x" })), directory(org()), false],
  ["a directory name in other order", directory(org()), directory(encodeName({ CN: "x", O: "Example" })), false],
];

for (const [what, base, name, lies] of LIES) {
  test(`${what} is ${lies ? "" : "not "}in the subtree, and OpenSSL agrees`, () => {
    const permitted = under(constraints([base]), nobody, name);
    assert.equal(accepts(permitted), lies, "permitted");
    assert.equal(opensslAccepts(permitted), lies, "permitted, OpenSSL");
    const excluded = under(constraints([], [base]), nobody, name);
    assert.equal(accepts(excluded), !lies, "excluded");
    assert.equal(opensslAccepts(excluded), !lies, "excluded, OpenSSL");
  });
}

test("every name has to lie in some permitted subtree of its form, and forms that are not constrained are free", () => {
  const limits = constraints([email("example.com"), email(".example.org"), dns("example.net")]);
  for (const [list, expected] of [
    [[email("a@example.com"), email("b@x.example.org")], true],
    [[email("a@example.com"), email("b@example.org")], false],
    [[email("a@example.com"), uri("https://anything.example/")], true],
    [[email("a@example.com"), dns("evil.example")], false],
  ] as const) {
    const path = under(limits, nobody, ...list);
    assert.equal(accepts(path), expected);
    assert.equal(opensslAccepts(path), expected);
  }
});

test("what is excluded is not allowed by being permitted too", () => {
  const path = under(constraints([dns("example.com")], [dns("evil.example.com")]), nobody, dns("x.evil.example.com"));
  assert.equal(accepts(path), false);
  assert.equal(opensslAccepts(path), false);
  assert.ok(accepts(under(constraints([dns("example.com")], [dns("evil.example.com")]), nobody, dns("x.example.com"))));
});

test("the subject is a directory name, and addresses in it are mailboxes", () => {
  const limits = constraints([directory(org())]);
  for (const [subject, expected] of [
    [org({ CN: "x" }), true],
    [encodeName({ O: "Other" }), false],
    [nobody, true],
  ] as const) {
    const path = under(limits, subject, uri("https://example.com/"));
    assert.equal(accepts(path), expected);
    assert.equal(opensslAccepts(path), expected);
  }
  const mailbox = der.setOf(der.sequence(der.oid("1.2.840.113549.1.9.1"), der.der(der.TAG.ia5String, utf8("me@evil.example"))));
  const path = under(constraints([email("example.com")]), der.sequence(mailbox), email("me@example.com"));
  assert.equal(accepts(path), false);
  assert.equal(opensslAccepts(path), false);
});

test("constraints of every authority hold for all below it, the anchor's too; an issuing authority's name as well", () => {
  const strict = root("strict", withExtensions(constraints([email("example.com")])));
  const issuing = authority(strict, "issuing");
  const make = (address: string): Certificate => signer(issuing, withExtensions(names(email(address)))).certificate;
  const chain = (leaf: Certificate): unknown =>
    checkChain({
      leaf,
      intermediates: [issuing.certificate],
      anchors: [strict.certificate],
      timeMs: NOW,
      purpose: "codeSigning",
    });
  chain(make("me@example.com"));
  refuses(() => chain(make("me@evil.example")), "CHAIN_INVALID", /does not permit this name/);
  const houses = root("houses", withExtensions(constraints([directory(org())])));
  const other = authority(houses, "other");
  refuses(
    () =>
      checkChain({
        leaf: signer(other).certificate,
        intermediates: [other.certificate],
        anchors: [houses.certificate],
        timeMs: NOW,
        purpose: "codeSigning",
      }),
    "CHAIN_INVALID",
    /does not permit this name/,
  );
});

test("an authority that certifies itself anew is exempt, a leaf that has its issuer's name is not", () => {
  const limits = withExtensions(constraints([directory(org())]), basicConstraints(true));
  const first = authority(anchor, "constrained", limits);
  // The same name, another key.
  const second = authority(first, "another key", (fields) => ({ ...fields, subject: first.certificate.subject }));
  const path = (leaf: Certificate, ...intermediates: readonly Certificate[]): Path => ({ leaf, intermediates });
  const below = signer(second, (fields) => ({ ...fields, subject: org({ CN: "x" }) })).certificate;
  const renewed = path(below, second.certificate, first.certificate);
  assert.ok(accepts(renewed));
  assert.ok(opensslAccepts(renewed));
  const namesake = signer(first, (fields) => ({ ...fields, subject: first.certificate.subject })).certificate;
  assert.equal(accepts(path(namesake, first.certificate)), false);
  assert.equal(opensslAccepts(path(namesake, first.certificate)), false);
});

test("constraints count whether they are critical or not", () => {
  const limits = { ...constraints([email("example.com")]), critical: false };
  assert.equal(accepts(under(limits, nobody, email("me@evil.example"))), false);
  assert.equal(accepts(under(limits, nobody, email("me@example.com"))), true);
});

test("a name of a constrained form that is not processed refuses the path; another form does not", () => {
  assert.equal(accepts(under(constraints([user("me!example.com")]), nobody, user("me!example.com"))), false);
  assert.equal(accepts(under(constraints([], [user("me!example.com")]), nobody, user("you!example.com"))), false);
  assert.equal(accepts(under(constraints([user("me!example.com")]), nobody, email("me@example.com"))), true);
});

test("a name that cannot be compared refuses the path", () => {
  for (const [base, name] of [
    [uri("example.com"), uri("urn:example:1")],
    [uri("example.com"), uri("https://10.0.0.1/")],
    [uri("example.com"), uri("https://[::1]/")],
    [email("example.com"), email("example.com")],
    [email("example.com"), email("a@b@example.com")],
    [dns("example.com"), dns("a b.example.com")],
  ] as const) {
    assert.equal(accepts(under(constraints([base]), nobody, name)), false);
    assert.equal(accepts(under(constraints([], [base]), nobody, name)), false);
  }
  const teletex = der.sequence(der.setOf(der.sequence(der.oid("2.5.4.10"), der.der(0x14, utf8("Example")))));
  assert.equal(accepts(under(constraints([], [directory(org())]), teletex, email("me@example.com"))), false);
});

test("an extension that is not to be processed is refused", () => {
  const value = (...parts: readonly Uint8Array[]): Uint8Array => der.sequence(...parts);
  const subtree = (...parts: readonly Uint8Array[]): Uint8Array => der.context(0, der.sequence(...parts));
  refuses(() => readNameConstraints(value()), "CHAIN_INVALID", /nothing/);
  refuses(() => readNameConstraints(value(der.context(0))), "BAD_DER");
  refuses(
    () => readNameConstraints(value(subtree(dns("a.example"), der.contextPrimitive(0, Uint8Array.of(1))))),
    "CHAIN_INVALID",
    /distance/,
  );
  refuses(
    () => readNameConstraints(value(subtree(dns("a.example"), der.contextPrimitive(1, Uint8Array.of(1))))),
    "CHAIN_INVALID",
    /distance/,
  );
  refuses(() => readNameConstraints(value(subtree(der.octets()))), "BAD_DER", /GeneralName/);
  refuses(() => readNameConstraints(value(subtree(ip(10, 0, 0, 0)))), "CHAIN_INVALID", /address and mask/);
  refuses(() => readNameConstraints(value(subtree(ip(10, 0, 0, 0, 255, 0, 255, 0)))), "CHAIN_INVALID", /gaps/);
  for (const bad of [email(""), uri(""), email("@example.com"), uri("https://example.com"), dns("*.example.com"), dns("a..b")])
    refuses(() => readNameConstraints(value(subtree(bad))), "CHAIN_INVALID", /no host, domain or mailbox/);
  const many = der.context(0, concat(...Array.from({ length: 257 }, () => der.sequence(dns("a.example")))));
  refuses(() => readNameConstraints(value(many)), "CHAIN_INVALID", /too many/);
});

test("comparing is bounded, however many names and constraints there are", () => {
  const bases = Array.from({ length: 256 }, (_, i) => dns(`a${i}.example`));
  const leafNames = Array.from({ length: 100 }, (_, i) => dns(`x.a${i}.example`));
  refuses(
    () =>
      checkChain({
        ...under(constraints(bases), nobody, ...leafNames),
        anchors: [anchor.certificate],
        timeMs: NOW,
        purpose: "codeSigning",
      }),
    "CHAIN_INVALID",
    /too many names/,
  );
});

test("any bytes are an answer", () => {
  const good = constraints([dns("example.com"), directory(org())], [ip(10, 0, 0, 0, 255, 0, 0, 0)]).value;
  for (const bytes of damaged(good)) answers(() => readNameConstraints(bytes), "constraints");
});
