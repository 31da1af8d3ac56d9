// SPDX-License-Identifier: Apache-2.0
/** Certificates and identities that are not good enough (blocks H and I). */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { equalBytes, toBase64, utf8 } from "@lacre/core/bytes";
import { der } from "@lacre/core/codec";
import { generateKey, type PublicKey } from "@lacre/core/crypto";
import {
  authorityFields,
  encodeName,
  PURPOSE,
  rootFields,
  type Certificate,
  type CertificateFields,
  type Extension,
  type Sct,
} from "@lacre/core/x509";
import type { Matcher, Policy } from "@lacre/core/verify";
import {
  authorityInstance,
  createWorkshop,
  flip,
  IDENTITY,
  issue,
  ISSUER,
  logInstance,
  promiseFor,
  seal,
  SIGNED_MS,
  type Authority,
  type Mutable,
  type Recipe,
} from "../workshop/workshop.ts";
import { accepts, assertRefused, assertVerified, judge, POLICY, refuses, workshop } from "./trial.ts";

const MINUTE = 60_000;
const stranger = createWorkshop();
const inCa = (change: (authority: Mutable) => void): Recipe => ({ root: (root) => change(root["certificateAuthorities"][0]) });

// H1, H2: the path, at every proved time, in the authority's window.

refuses(
  "a certificate of an unknown authority",
  { recipe: { authority: { ...stranger.authority, certificate: renamed(stranger.authority, "stranger") } } },
  "H1",
  "CHAIN_INVALID",
);
refuses(
  "a certificate of another authority with the same name",
  { recipe: { authority: stranger.authority } },
  "H1",
  "CERT_INVALID",
);
refuses(
  "a root without authorities",
  { recipe: { root: (root) => void (root["certificateAuthorities"] = []) } },
  "H1",
  "CHAIN_INVALID",
);
refuses(
  "a certificate that had ended when it signed",
  { recipe: { leaf: (fields) => ({ ...fields, notAfterMs: SIGNED_MS - 1000 }) } },
  "H2",
  "CERT_EXPIRED",
);
refuses(
  "a certificate that had not begun when it signed",
  { recipe: { leaf: (fields) => ({ ...fields, notBeforeMs: SIGNED_MS + 1000 }) } },
  "H2",
  "CERT_NOT_YET_VALID",
);
accepts("a signature in the last second of the certificate", {
  recipe: { leaf: (fields) => ({ ...fields, notAfterMs: SIGNED_MS }) },
});
accepts("a signature in the first second of the certificate", {
  recipe: { leaf: (fields) => ({ ...fields, notBeforeMs: SIGNED_MS }) },
});
refuses(
  "a signature after the authority's window",
  { recipe: inCa((authority) => void (authority["validFor"].end = new Date(SIGNED_MS - 1).toISOString())) },
  "H2",
  "OUTSIDE_WINDOW",
);
refuses(
  "a signature before the authority's window",
  { recipe: inCa((authority) => void (authority["validFor"].start = new Date(SIGNED_MS + 1).toISOString())) },
  "H2",
  "OUTSIDE_WINDOW",
);
accepts("a signature at the last moment of the authority's window", {
  recipe: inCa((authority) => void (authority["validFor"].end = new Date(SIGNED_MS).toISOString())),
});
accepts("an authority whose chain is listed for several windows", {
  recipe: {
    root: (root) => {
      const [authority] = root["certificateAuthorities"] as Mutable[];
      root["certificateAuthorities"] = [
        { ...authority, validFor: { start: "2020-01-01T00:00:00Z", end: "2021-01-01T00:00:00Z" } },
        authority,
      ];
    },
  },
});

// The window of one chain does not serve another.

const issuing = (change: (fields: CertificateFields) => CertificateFields): Pick<Authority, "key" | "certificate"> => {
  const key = generateKey("P-256");
  const fields = authorityFields({
    serial: Uint8Array.of(7),
    publicKey: key.publicKey,
    issuer: workshop.authority.root,
    subject: encodeName({ O: "workshop", CN: "second" }),
    purpose: "codeSigning",
    notBeforeMs: SIGNED_MS - 3600_000,
    notAfterMs: SIGNED_MS + 3600_000,
  });
  return { key, certificate: issue(change(fields), workshop.authority.rootKey) };
};
/** A leaf under another issuing authority, which the root lists. */
function under(authority: Pick<Authority, "key" | "certificate">): Recipe {
  return {
    authority,
    root: (root) =>
      void root["certificateAuthorities"].push(
        authorityInstance("https://ca2.workshop.test", "workshop", [authority.certificate, workshop.authority.root]),
      ),
  };
}
const SECOND = { recipe: under(issuing((fields) => fields)) };
accepts("a certificate of a second issuing authority", SECOND);
const short = issuing((fields) => ({ ...fields, notAfterMs: SIGNED_MS + 3 * MINUTE }));
refuses(
  "an intermediate that had ended when its leaf signed",
  {
    recipe: {
      ...under(short),
      authority: { key: short.key, certificate: outliving(short.certificate) },
      dialect: "v2",
      token: ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS + 4 * MINUTE }),
    },
  },
  "H2",
  "CERT_EXPIRED",
  SECOND,
);
const ended = issuing((fields) => ({ ...fields, notAfterMs: SIGNED_MS - MINUTE }));
for (const ignoreTlog of [false, true]) {
  refuses(
    `an expired intermediate under a longer-lived leaf, ${ignoreTlog ? "without" : "with"} a log`,
    {
      recipe: {
        ...under(ended),
        dialect: "v2",
        leaf: (fields) => fields,
        authority: { key: ended.key, certificate: outliving(ended.certificate) },
      },
      also: { ignoreTlog },
    },
    "H2",
    "CERT_EXPIRED",
    { recipe: { dialect: "v2" }, also: { ignoreTlog } },
  );
}
refuses(
  "an intermediate that is for timestamps",
  {
    recipe: under(
      issuing((fields) =>
        swap(fields, "2.5.29.37", { oid: "2.5.29.37", critical: false, value: der.sequence(der.oid(PURPOSE.timeStamping)) }),
      ),
    ),
  },
  "H3",
  "CHAIN_INVALID",
  SECOND,
);
refuses(
  "an intermediate with a critical extension that is not known",
  {
    recipe: under(
      issuing((fields) => ({
        ...fields,
        extensions: [...fields.extensions, { oid: "1.2.3.4", critical: true, value: der.nil() }],
      })),
    ),
  },
  "H3",
  "CHAIN_INVALID",
  SECOND,
);
/** An intermediate that permits URIs of one host. */
const onlyFor = (host: string): Recipe =>
  under(
    issuing((fields) => ({
      ...fields,
      extensions: [
        ...fields.extensions,
        {
          oid: "2.5.29.30",
          critical: true,
          value: der.sequence(der.context(0, der.sequence(der.contextPrimitive(6, utf8(host))))),
        },
      ],
    })),
  );
accepts("an identity that the intermediate's name constraints permit", { recipe: onlyFor("ci.example") });
for (const host of ["example", ".ci.example", "ci.example.org"])
  refuses(
    `an identity that the intermediate's name constraints do not permit: ${host}`,
    { recipe: onlyFor(host) },
    "H3",
    "CHAIN_INVALID",
    SECOND,
  );
test("an intermediate in the bundle helps to find a path, and its own root does not", () => {
  const helper = issuing((fields) => fields);
  const shipped = (...extra: readonly Certificate[]): Recipe => ({
    authority: helper,
    mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2",
    bundle: (bundle) =>
      void bundle["verificationMaterial"].x509CertificateChain.certificates.push(
        ...extra.map((certificate) => ({ rawBytes: toBase64(certificate.der) })),
      ),
    root: (root) =>
      void (root["certificateAuthorities"] = [
        authorityInstance("https://ca.workshop.test", "workshop", [workshop.authority.root]),
      ]),
  });
  assertVerified(judge({ recipe: shipped(helper.certificate) }));
  assertRefused(judge({ recipe: shipped() }), "H1", "CHAIN_INVALID");
  assertRefused(judge({ recipe: shipped(helper.certificate, workshop.authority.root) }), "B5", "BUNDLE_SHAPE");
  // A whole foreign chain, its root left out: no anchor of ours signed it.
  assertRefused(
    judge({ recipe: { ...shipped(stranger.authority.certificate), authority: stranger.authority } }),
    "H1",
    "CERT_INVALID",
  );
});
test("an anchor that signs leaves itself", () => {
  const { rootKey, root } = workshop.authority;
  assertVerified(judge({ recipe: { authority: { key: rootKey, certificate: root } } }));
});

function swap(fields: CertificateFields, oid: string, extension?: Extension): CertificateFields {
  return {
    ...fields,
    extensions: fields.extensions.flatMap((found) => (found.oid !== oid ? [found] : extension === undefined ? [] : [extension])),
  };
}

function renamed({ key }: Pick<Authority, "key">, name: string): Certificate {
  return issue(
    rootFields({
      serial: Uint8Array.of(1),
      publicKey: key.publicKey,
      subject: encodeName({ O: name, CN: name }),
      notBeforeMs: SIGNED_MS - 3600_000,
      notAfterMs: SIGNED_MS + 3600_000,
    }),
    key,
  );
}

/** The same certificate as seen by an authority that does not mind issuing leaves that outlive it. */
function outliving(certificate: Certificate): Certificate {
  return new Proxy(certificate, {
    get: (target, name) => (name === "notAfterMs" ? SIGNED_MS + 3600_000 : Reflect.get(target, name, target)) as unknown,
  });
}

// H4.

const LEAVES: Readonly<
  Record<
    string,
    readonly [
      (fields: CertificateFields) => CertificateFields,
      "H3" | "H4" | "I2",
      "CERT_INVALID" | "CHAIN_INVALID" | "IDENTITY_INVALID",
    ]
  >
> = {
  "that is an authority": [
    (fields) => ({
      ...fields,
      extensions: [...fields.extensions, { oid: "2.5.29.19", critical: true, value: der.sequence(der.boolean(true)) }],
    }),
    "H4",
    "CERT_INVALID",
  ],
  "that is not for signatures": [
    (fields) => swap(fields, "2.5.29.15", { oid: "2.5.29.15", critical: true, value: der.flags(2) }),
    "H4",
    "CERT_INVALID",
  ],
  "without key usage": [(fields) => swap(fields, "2.5.29.15"), "H4", "CERT_INVALID"],
  "that is for another purpose": [
    (fields) =>
      swap(fields, "2.5.29.37", { oid: "2.5.29.37", critical: false, value: der.sequence(der.oid(PURPOSE.timeStamping)) }),
    "H4",
    "CERT_INVALID",
  ],
  "without a purpose": [(fields) => swap(fields, "2.5.29.37"), "H4", "CERT_INVALID"],
  "for any purpose": [
    (fields) => swap(fields, "2.5.29.37", { oid: "2.5.29.37", critical: false, value: der.sequence(der.oid(PURPOSE.any)) }),
    "H4",
    "CERT_INVALID",
  ],
  "without a name": [(fields) => swap(fields, "2.5.29.17"), "H4", "CERT_INVALID"],
  "with two names": [
    (fields) => swap(fields, "2.5.29.17", names(uri(IDENTITY), uri("https://other.example"))),
    "H4",
    "CERT_INVALID",
  ],
  "with the same name twice": [(fields) => swap(fields, "2.5.29.17", names(uri(IDENTITY), uri(IDENTITY))), "H4", "CERT_INVALID"],
  "with a host name": [
    (fields) => swap(fields, "2.5.29.17", names(der.contextPrimitive(2, utf8("ci.example")))),
    "I2",
    "IDENTITY_INVALID",
  ],
  "with a critical extension that is not known": [
    (fields) => ({ ...fields, extensions: [...fields.extensions, { oid: "1.2.3.4", critical: true, value: der.nil() }] }),
    "H3",
    "CHAIN_INVALID",
  ],
};
for (const [what, [leaf, id, code]] of Object.entries(LEAVES)) refuses(`a certificate ${what}`, { recipe: { leaf } }, id, code);

function uri(value: string): Uint8Array {
  return der.contextPrimitive(6, utf8(value));
}

function names(...list: readonly Uint8Array[]): Extension {
  return { oid: "2.5.29.17", critical: true, value: der.sequence(...list) };
}

// J1: keys that nobody should sign with, certified all the same.

const weak = (name: string, options: object): PublicKey => {
  const { publicKey } = generateKeyPairSync(name as "rsa", options as { modulusLength: number });
  return { spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })), raw: new Uint8Array(1) } as PublicKey;
};
for (const [what, publicKey] of Object.entries({
  "an RSA key of 1024 bits": weak("rsa", { modulusLength: 1024 }),
  "an RSA key with exponent 1": weakExponent(weak("rsa", { modulusLength: 2048, publicExponent: 3 })),
  "a key on an unusual curve": weak("ec", { namedCurve: "secp256k1" }),
  "a key for X25519": weak("x25519", {}),
})) {
  refuses(`a certificate for ${what}`, { recipe: { leaf: (fields) => ({ ...fields, publicKey }) } }, "J1", "KEY_INVALID");
}

/** The same key with 1 in the place of 3: the last octet of an RSA key is that of its exponent. */
function weakExponent({ spki, raw }: PublicKey): PublicKey {
  return { spki: Uint8Array.of(...spki.subarray(0, -1), 1), raw } as PublicKey;
}

// H5 to H7.

const otherCt = { ...stranger.ct };
const ctListed = (root: Mutable): void => void root["ctlogs"].push(logInstance(otherCt, "PKIX_ECDSA_P256_SHA_256"));
/** A promise for a leaf by any log: the leaf is made again without promises to see what is signed. */
function alsoPromise(change: (sct: Sct) => Sct = (sct) => sct, log = workshop.ct): (scts: readonly Sct[]) => readonly Sct[] {
  return ([first]) => [first!, change({ ...first!, logId: log.logId })];
}
refuses("a certificate without promise", { recipe: { scts: () => [] } }, "H5", "SCT_MISSING");
refuses("a promise by an unknown log", { recipe: { scts: ([sct]) => [{ ...sct!, logId: otherCt.logId }] } }, "H5", "SCT_MISSING");
refuses(
  "a promise with a changed signature",
  { recipe: { scts: ([sct]) => [{ ...sct!, signature: flip(sct!.signature) }] } },
  "H6",
  "SCT_INVALID",
);
refuses(
  "a promise with a changed time",
  { recipe: { scts: ([sct]) => [{ ...sct!, timestampMs: sct!.timestampMs + 1 }] } },
  "H6",
  "SCT_INVALID",
);
refuses(
  "a promise with extensions that were not signed",
  { recipe: { scts: ([sct]) => [{ ...sct!, extensions: Uint8Array.of(0, 0, 5, 0, 0, 0, 0, 7) }] } },
  "H6",
  "SCT_INVALID",
);
refuses(
  "a promise of a known log whose key is another's",
  { recipe: { scts: ([sct]) => [{ ...sct!, logId: otherCt.logId }], root: ctListed } },
  "H6",
  "SCT_INVALID",
);
refuses(
  "a good promise beside a false one of a known log",
  { recipe: { scts: alsoPromise((sct) => ({ ...sct, signature: flip(sct.signature) })) } },
  "H6",
  "SCT_INVALID",
);
accepts("a good promise beside one of an unknown log", { recipe: { scts: alsoPromise(undefined, otherCt) } });
refuses(
  "the same promise twice where two are required",
  { recipe: { scts: alsoPromise() }, options: { scts: 2 } },
  "H5",
  "SCT_MISSING",
  { recipe: { scts: alsoPromise() } },
);
refuses(
  "a promise about a certificate of another issuer",
  {
    // The right leaf, signed by the log under the issuer key hash of a stranger.
    recipe: {
      scts: (scts) =>
        scts.map((sct) => ({
          ...sct,
          ...promiseFor(workshop.ct, seal(workshop).leaf!, stranger.authority.certificate, sct.timestampMs),
        })),
    },
  },
  "H6",
  "SCT_INVALID",
);
refuses("a promise long before the certificate", { recipe: { sctMs: SIGNED_MS - 3600_000 } }, "H6", "SCT_INVALID");
refuses("a promise long after the certificate", { recipe: { sctMs: SIGNED_MS + 3600_000 } }, "H6", "SCT_INVALID");
const inCt = (change: (log: Mutable) => void): Recipe => ({ root: (root) => change(root["ctlogs"][0]) });
refuses(
  "a promise after the certificate log's window",
  { recipe: inCt((log) => void (log["publicKey"].validFor.end = new Date(SIGNED_MS - 5 * MINUTE).toISOString())) },
  "H5",
  "OUTSIDE_WINDOW",
);
refuses(
  "a promise before the certificate log's window",
  { recipe: inCt((log) => void (log["publicKey"].validFor.start = new Date(SIGNED_MS).toISOString())) },
  "H5",
  "OUTSIDE_WINDOW",
);
refuses("a root without certificate logs", { recipe: { root: (root) => void (root["ctlogs"] = []) } }, "H7", "SCT_MISSING");
for (const recipe of [{ root: (root: Mutable) => void (root["ctlogs"] = []) }, { scts: () => [] }] satisfies Recipe[]) {
  test("a policy that does without certificate logs says so in the verdict", () => {
    const verdict = judge({ recipe, also: { ignoreSct: true } });
    assertVerified(verdict);
    for (const id of ["H5", "H6", "H7"]) assert.equal(verdict.checks.find((check) => check.id === id)?.status, "assumed");
    assert.equal(verdict.warnings.length, 1);
  });
}
refuses(
  "an SCT list with bytes behind it",
  { recipe: { leaf: (fields) => fields, scts: ([sct]) => [{ ...sct!, signature: Uint8Array.of(...sct!.signature, 0) }] } },
  "H6",
  "SCT_INVALID",
);

// I1, I2.

const ISSUER_V1 = "1.3.6.1.4.1.57264.1.1";
const ISSUER_V2 = "1.3.6.1.4.1.57264.1.8";
refuses(
  "a certificate that names two issuers",
  {
    recipe: {
      leaf: (fields) => swap(fields, ISSUER_V1, { oid: ISSUER_V1, critical: false, value: utf8("https://else.example") }),
    },
  },
  "I1",
  "IDENTITY_INVALID",
);
refuses(
  "a certificate that names no issuer",
  { recipe: { leaf: (fields) => swap(swap(fields, ISSUER_V1), ISSUER_V2) } },
  "I1",
  "IDENTITY_INVALID",
);
accepts("a certificate that names its issuer in the old way only", { recipe: { leaf: (fields) => swap(fields, ISSUER_V2) } });
accepts("a certificate that names its issuer in the new way only", { recipe: { leaf: (fields) => swap(fields, ISSUER_V1) } });
refuses(
  "an issuer that is not DER",
  { recipe: { leaf: (fields) => swap(fields, ISSUER_V2, { oid: ISSUER_V2, critical: false, value: utf8(ISSUER) }) } },
  "I2",
  "IDENTITY_INVALID",
);

// I3: whole values, byte for byte.

const only = (identity: Matcher, issuer: Matcher = { exact: ISSUER }): Policy => ({ identities: [{ identity, issuer }] });
const ALMOST: Readonly<Record<string, string>> = {
  "another identity": "https://other.example",
  "a prefix": IDENTITY.slice(0, -1),
  "a longer one": `${IDENTITY}x`,
  "other case": IDENTITY.toUpperCase(),
  "a space before": ` ${IDENTITY}`,
  "a newline behind": `${IDENTITY}\n`,
  "a NUL behind": `${IDENTITY}\0`,
  "a dot behind": `${IDENTITY}.`,
  "percent-encoding": IDENTITY.replace("@", "%40"),
  "a look-alike": IDENTITY.replace("ci", "сi"),
  "a pattern as text": ".*",
};
for (const [what, exact] of Object.entries(ALMOST)) {
  refuses(`an identity where ${what} is expected`, { policy: only({ exact }) }, "I3", "IDENTITY_MISMATCH", {});
}
for (const recipe of [
  {},
  { dialect: "v2" },
  { content: "dsse" },
  { content: "dsse", kind: "intoto" },
  { mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1", entry: (parts) => void (parts.hasProof = false) },
] satisfies Recipe[]) {
  refuses(
    `the wrong identity in every form: ${JSON.stringify(recipe)}`,
    { recipe, policy: only({ exact: "https://other.example" }) },
    "I3",
    "IDENTITY_MISMATCH",
    { recipe },
  );
  refuses(
    `the wrong issuer in every form: ${JSON.stringify(recipe)}`,
    { recipe, policy: only({ exact: IDENTITY }, { exact: `${ISSUER}/` }) },
    "I3",
    "IDENTITY_MISMATCH",
    { recipe },
  );
}
test("a dot in an exact identity is a dot, a plus a plus", () => {
  const plus = "https://ci.example/a+b";
  assertVerified(judge({ recipe: { san: { kind: "uri", value: plus } }, policy: only({ exact: plus }) }));
  assertRefused(
    judge({ recipe: { san: { kind: "uri", value: "https://ci.example/aab" } }, policy: only({ exact: plus }) }),
    "I3",
    "IDENTITY_MISMATCH",
  );
  assertRefused(
    judge({ recipe: { san: { kind: "uri", value: "https://cixexample/a" } }, policy: only({ exact: "https://ci.example/a" }) }),
    "I3",
    "IDENTITY_MISMATCH",
  );
});
test("patterns are the caller's: whatever answers true matches, and nothing else does", () => {
  assertVerified(judge({ policy: only({ pattern: /^https:\/\/ci\.example\// }) }));
  assertRefused(judge({ policy: only({ pattern: /^https:\/\/ci\.example\/$/ }) }), "I3", "IDENTITY_MISMATCH");
  assertRefused(judge({ policy: only({ exact: IDENTITY }, { pattern: /nowhere/ }) }), "I3", "IDENTITY_MISMATCH");
  assertRefused(
    judge({ policy: only({ pattern: { source: "odd", test: () => "yes" as unknown as boolean } }) }),
    "I3",
    "IDENTITY_MISMATCH",
  );
});
test("a pattern that throws is a refusal, not an exception", () => {
  const test = (): boolean => {
    throw new TypeError("out of luck");
  };
  assertRefused(judge({ policy: only({ pattern: { source: "x", test } }) }), "K4", "INTERNAL");
});
accepts("any one of several identities", {
  policy: { identities: [{ identity: { exact: "https://other.example" }, issuer: { exact: ISSUER } }, ...POLICY.identities!] },
});
refuses(
  "an identity of one rule with the issuer of another",
  {
    policy: {
      identities: [
        { identity: { exact: IDENTITY }, issuer: { exact: "https://a.example" } },
        { identity: { exact: "https://other.example" }, issuer: { exact: ISSUER } },
      ],
    },
  },
  "I3",
  "IDENTITY_MISMATCH",
  {},
);
test("any identity is accepted only by saying so, and loudly", () => {
  const verdict = judge({ policy: { anyIdentity: true } });
  assertVerified(verdict);
  assert.equal(verdict.checks.find((check) => check.id === "I3")?.status, "assumed");
  assert.ok(verdict.warnings.some((warning) => warning.includes("any identity")));
});

// I4.

const CLAIM = "sourceRepositoryURI";
accepts("a required claim", { also: { claims: { [CLAIM]: { exact: "https://ci.example/project" } } } });
accepts("a required claim by pattern", { also: { claims: { [CLAIM]: { pattern: /\/project$/ } } } });
refuses(
  "a claim with another value",
  { also: { claims: { [CLAIM]: { exact: "https://ci.example/other" } } } },
  "I4",
  "CLAIM_MISMATCH",
  {},
);
refuses("a claim that is absent", { also: { claims: { buildTrigger: { exact: "push" } } } }, "I4", "CLAIM_MISMATCH", {});
refuses(
  "a claim that is absent, also for any identity",
  { policy: { anyIdentity: true, claims: { buildTrigger: { exact: "push" } } } },
  "I4",
  "CLAIM_MISMATCH",
  { policy: { anyIdentity: true } },
);
refuses(
  "a claim of a rule with another value",
  { policy: { identities: [{ ...POLICY.identities![0]!, claims: { githubWorkflowTrigger: { exact: "schedule" } } }] } },
  "I4",
  "CLAIM_MISMATCH",
  {},
);
accepts("one of two rules for one identity, by its claims", {
  policy: {
    identities: ["schedule", "push"].map((trigger) => ({
      ...POLICY.identities![0]!,
      claims: { githubWorkflowTrigger: { exact: trigger } },
    })),
  },
});

test("the tests' own certificates differ where they should", () => {
  assert.ok(!equalBytes(stranger.authority.certificate.spki, workshop.authority.certificate.spki));
  assert.ok(equalBytes(stranger.authority.certificate.subject, workshop.authority.certificate.subject));
});
