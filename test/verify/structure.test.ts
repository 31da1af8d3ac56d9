// SPDX-License-Identifier: Apache-2.0
/** Bundles of the wrong shape (blocks A and B), root and policy, keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeBundle } from "@lacre/core/bundle";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { generateKey } from "@lacre/core/crypto";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier, keyHint, type CheckId, type Policy, type Thresholds, type TrustedKey } from "@lacre/core/verify";
import type { LacreCode } from "@lacre/core/errors";
import {
  bytesOf,
  IDENTITY,
  ISSUER,
  NOW_MS,
  seal,
  SIGNED_MS,
  type Mutable,
  type Recipe,
  type Sealed,
} from "../workshop/workshop.ts";
import { accepts, assertRefused, assertVerified, judge, POLICY, refuses, workshop, type Trial } from "./trial.ts";

const V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const V02 = "application/vnd.dev.sigstore.bundle+json;version=0.2";
const material = (bundle: Mutable): Mutable => bundle["verificationMaterial"];
const entry = (bundle: Mutable): Mutable => material(bundle)["tlogEntries"][0];
const changed = (change: (bundle: Mutable) => void, recipe: Recipe = {}): Trial => ({ recipe: { ...recipe, bundle: change } });

// A2 to A4.

const TEXTS: Readonly<Record<string, readonly [(text: string) => string | Uint8Array, CheckId, LacreCode]>> = {
  "is empty": [() => "", "A2", "BAD_JSON"],
  "is cut off": [(json) => json.slice(0, -1), "A2", "BAD_JSON"],
  "has text behind it": [(json) => `${json}x`, "A2", "BAD_JSON"],
  "has a byte order mark": [(json) => `\uFEFF${json}`, "A2", "BAD_JSON"],
  "is not UTF-8": [() => Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), "A2", "BAD_UTF8"],
  "has a member twice": [(json) => json.replace("{", '{"mediaType":"x",'), "A2", "BAD_JSON"],
  "has a member twice, once escaped": [(json) => json.replace("{", '{"media\\u0054ype":"x",'), "A2", "BAD_JSON"],
  "is deeper than any bundle": [(json) => json.replace("{", `{"x":${"[".repeat(70)}${"]".repeat(70)},`), "A2", "TOO_LARGE"],
  "is larger than 16 MiB": [(json) => json + " ".repeat(16 << 20), "A2", "TOO_LARGE"],
  "is a list": [(json) => `[${json}]`, "A4", "BAD_JSON"],
  "is null": [() => "null", "A4", "BAD_JSON"],
  "has a number as a fraction": [(json) => json.replace(/"logIndex":"4"/, '"logIndex":4.5'), "A4", "BAD_JSON"],
  "has a number beyond doubles": [(json) => json.replace(/"logIndex":"4"/, '"logIndex":9007199254740993'), "A4", "BAD_JSON"],
  "has a number with an exponent in a string": [(json) => json.replace(/"logIndex":"4"/, '"logIndex":"4e0"'), "A4", "BAD_JSON"],
  "has a negative number": [(json) => json.replace(/"treeSize":"7"/, '"treeSize":"-7"'), "A4", "BAD_JSON"],
  "has a number with leading zeros": [(json) => json.replace(/"treeSize":"7"/, '"treeSize":"07"'), "A4", "BAD_JSON"],
  "has a member under both of its names": [
    (json) => json.replace('"mediaType":', '"media_type":"x","mediaType":'),
    "B2",
    "BAD_JSON",
  ],
  "has a lone surrogate": [(json) => json.replace('"kind":"', '"kind":"\\ud800'), "B2", "BAD_JSON"],
};
for (const [what, [change, id, code]] of Object.entries(TEXTS)) {
  test(`refuses a bundle whose text ${what}`, () => {
    const bytes: Trial["bytes"] = ({ bundle }) => {
      const made = change(JSON.stringify(bundle));
      return typeof made === "string" ? utf8(made) : made;
    };
    assertRefused(judge({ bytes }), id, code);
    assertVerified(judge({}));
  });
}
const BASE64: Readonly<Record<string, (encoded: string) => string>> = {
  "URL-safe letters": (encoded) => encoded.replaceAll("+", "-").replaceAll("/", "_").replace(/^./, "_"),
  "no padding": (encoded) => encoded.replace(/=*$/, ""),
  "a line break": (encoded) => `${encoded.slice(0, 8)}\n${encoded.slice(8)}`,
  "junk behind": (encoded) => `${encoded}====`,
  "bits left over": (encoded) =>
    encoded.replace(/(.)=$/, (_, digit: string) => `${String.fromCharCode(digit.charCodeAt(0) + 1)}=`),
};
for (const [what, change] of Object.entries(BASE64)) {
  refuses(
    `base64 with ${what}`,
    changed((bundle) => void (entry(bundle)["logId"].keyId = change(entry(bundle)["logId"].keyId))),
    "A4",
    "BAD_BASE64",
  );
}

// A3: each limit at n and n + 1.

const repeat = <T>(item: T, count: number): T[] => Array.from({ length: count }, () => structuredClone(item));
const LIMITS: Readonly<Record<string, readonly [number, (count: number) => Trial, CheckId, LacreCode]>> = {
  "log entries": [
    32,
    (count) => changed((bundle) => void (material(bundle)["tlogEntries"] = repeat(entry(bundle), count))),
    "A3",
    "TOO_LARGE",
  ],
  timestamps: [
    32,
    (count) =>
      changed(
        (bundle) =>
          void (material(bundle)["timestampVerificationData"].rfc3161Timestamps = repeat(
            material(bundle)["timestampVerificationData"].rfc3161Timestamps[0],
            count,
          )),
        { dialect: "v2" },
      ),
    "A3",
    "TOO_LARGE",
  ],
  "signature lines of a checkpoint": [
    20,
    (count) => ({
      recipe: { dialect: "v2", checkpoint: (note) => note + `— w ${toBase64(new Uint8Array(68))}\n`.repeat(count - 1) },
    }),
    "F5",
    "TOO_LARGE",
  ],
  subjects: [
    1024,
    (count) => ({
      recipe: {
        content: "dsse",
        statement: (statement) => ({ ...statement, subject: repeat((statement["subject"] as Mutable[])[0]!, count) }),
      },
    }),
    "J6",
    "TOO_LARGE",
  ],
  "digests of a subject": [
    32,
    (count) => ({
      recipe: {
        content: "dsse",
        statement: (statement) => {
          const [subject] = statement["subject"] as Mutable[];
          for (let i = 1; i < count; i++) subject!["digest"][`x${i}`] = "00";
          return statement as never;
        },
      },
    }),
    "J6",
    "TOO_LARGE",
  ],
};
for (const [what, [limit, make, id, code]] of Object.entries(LIMITS)) {
  accepts(`${limit} ${what}`, make(limit));
  refuses(`${limit + 1} ${what}`, make(limit + 1), id, code, make(limit));
}
for (const [count, id, code] of [
  [64, "F4", "PROOF_MISMATCH"],
  [65, "A3", "TOO_LARGE"],
] as const) {
  refuses(
    `a proof of ${count} hashes`,
    changed((bundle) => void (entry(bundle)["inclusionProof"].hashes = repeat(entry(bundle)["inclusionProof"].hashes[0], count))),
    id,
    code,
  );
}
for (const [count, id, code] of [
  [10, "H1", "CHAIN_INVALID"],
  [11, "A3", "TOO_LARGE"],
] as const) {
  // Ten copies of the leaf are no path, and no harm either: the authority is in the root. Eleven are too many.
  test(`a chain of ${count} certificates`, () => {
    const trial = changed(
      (bundle) =>
        void (material(bundle)["x509CertificateChain"].certificates = repeat(
          material(bundle)["x509CertificateChain"].certificates[0],
          count,
        )),
      { mediaType: V02 },
    );
    if (count === 10) assertVerified(judge(trial));
    else assertRefused(judge(trial), id, code);
  });
}
refuses(
  "a checkpoint larger than 64 KiB",
  { recipe: { checkpoint: (note) => `${"x".repeat(65 << 10)}${note}` } },
  "A3",
  "TOO_LARGE",
);

// B1.

for (const mediaType of [
  "application/vnd.dev.sigstore.bundle.v0.4+json",
  "application/vnd.dev.sigstore.bundle.v1.0+json",
  "application/vnd.dev.sigstore.bundle.v0.3+jsonXYZ",
  "application/vnd.dev.sigstore.bundle+json;version=0.4",
  "application/vnd.dev.sigstore.bundle+json",
  "application/vnd.dev.sigstore.bundle+json; version=0.3",
  "application/vnd.dev.sigstore.bundle.v0.3+JSON",
  "application/json",
  "x",
])
  refuses(
    `media type ${mediaType}`,
    changed((bundle) => void (bundle["mediaType"] = mediaType)),
    "B1",
    "BUNDLE_VERSION",
  );
for (const mediaType of ["application/vnd.dev.sigstore.bundle+json;version=0.3", "application/vnd.dev.sigstore.bundle.v0.3+json"])
  accepts(`media type ${mediaType}`, { recipe: { mediaType } });
for (const mediaType of ["application/vnd.dev.sigstore.bundle.v0.1+json", "application/vnd.dev.sigstore.bundle.v0.2+json"]) {
  accepts(
    `media type ${mediaType}`,
    changed((bundle) => {
      bundle["mediaType"] = mediaType;
      material(bundle)["x509CertificateChain"] = { certificates: [material(bundle)["certificate"]] };
      delete material(bundle)["certificate"];
    }),
  );
}

// B2: exactly one of each.

const envelope = seal(workshop, { content: "dsse" }).bundle["dsseEnvelope"] as Mutable;
const message = seal(workshop).bundle["messageSignature"] as Mutable;
refuses(
  "a message and an envelope",
  changed((bundle) => void (bundle["dsseEnvelope"] = envelope)),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "an envelope and a message",
  changed((bundle) => void (bundle["messageSignature"] = message), { content: "dsse" }),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "neither message nor envelope",
  changed((bundle) => void delete bundle["messageSignature"]),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "a content that is not known",
  changed((bundle) => {
    bundle["newSignature"] = bundle["messageSignature"];
    delete bundle["messageSignature"];
  }),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "a certificate and a key",
  changed((bundle) => void (material(bundle)["publicKey"] = { hint: "x" })),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "a certificate and a chain",
  changed((bundle) => void (material(bundle)["x509CertificateChain"] = { certificates: [material(bundle)["certificate"]] })),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "neither certificate nor key",
  changed((bundle) => void delete material(bundle)["certificate"]),
  "B2",
  "BUNDLE_SHAPE",
);
refuses(
  "a raw key where a certificate belongs",
  changed((bundle) => void (material(bundle)["certificate"].rawBytes = toBase64(generateKey("P-256").publicKey.spki))),
  "B6",
  "BAD_DER",
);
refuses(
  "a PEM key where a certificate belongs",
  changed((bundle) => void (material(bundle)["certificate"].rawBytes = toBase64(utf8("-----BEGIN PUBLIC KEY-----")))),
  "B6",
  "BAD_DER",
);
refuses(
  "bytes behind a certificate",
  changed(
    (bundle) =>
      void (material(bundle)["certificate"].rawBytes = toBase64(
        Uint8Array.of(...Buffer.from(material(bundle)["certificate"].rawBytes, "base64"), 0),
      )),
  ),
  "B6",
  "BAD_DER",
);

// B3 to B8.

refuses(
  "version 0.1 without a promise",
  { recipe: { mediaType: V01, entry: (parts) => void (parts.hasPromise = false) } },
  "B3",
  "BUNDLE_NO_PROMISE",
);
refuses(
  "version 0.2 without a proof",
  { recipe: { mediaType: V02, entry: (parts) => void (parts.hasProof = false) } },
  "B3",
  "BUNDLE_NO_PROOF",
);
refuses("version 0.3 without a proof", { recipe: { entry: (parts) => void (parts.hasProof = false) } }, "B3", "BUNDLE_NO_PROOF");
refuses(
  "version 0.3 with a proof without checkpoint",
  changed((bundle) => void delete entry(bundle)["inclusionProof"].checkpoint),
  "B3",
  "BUNDLE_NO_PROOF",
);
accepts(
  "version 0.1 with a proof without checkpoint, by its promise",
  changed((bundle) => void delete entry(bundle)["inclusionProof"].checkpoint, { mediaType: V01 }),
);
refuses(
  "version 0.3 with a chain",
  changed((bundle) => {
    material(bundle)["x509CertificateChain"] = { certificates: [material(bundle)["certificate"]] };
    delete material(bundle)["certificate"];
  }),
  "B4",
  "BUNDLE_SHAPE",
);
refuses(
  "an empty chain",
  changed((bundle) => void (material(bundle)["x509CertificateChain"].certificates = []), { mediaType: V02 }),
  "B5",
  "BUNDLE_SHAPE",
);
refuses(
  "a chain with a root",
  changed(
    (bundle) =>
      void material(bundle)["x509CertificateChain"].certificates.push({ rawBytes: toBase64(workshop.authority.root.der) }),
    { mediaType: V02 },
  ),
  "B5",
  "BUNDLE_SHAPE",
);
refuses(
  "a chain with something else in it",
  changed((bundle) => void material(bundle)["x509CertificateChain"].certificates.push({ rawBytes: "MAA=" }), { mediaType: V02 }),
  "B6",
  "BAD_DER",
);
refuses(
  "an empty signature",
  changed((bundle) => void (bundle["messageSignature"].signature = "")),
  "B7",
  "BUNDLE_SHAPE",
);
refuses(
  "a stated digest of an unknown algorithm",
  changed((bundle) => void (bundle["messageSignature"].messageDigest.algorithm = "SHA1")),
  "B7",
  "BUNDLE_SHAPE",
);
refuses(
  "a stated digest of the wrong length",
  changed((bundle) => void (bundle["messageSignature"].messageDigest.digest = "AAAA")),
  "B7",
  "BUNDLE_SHAPE",
);
const DSSE: Recipe = { content: "dsse" };
refuses(
  "an envelope without signature",
  changed((bundle) => void (bundle["dsseEnvelope"].signatures = []), DSSE),
  "B8",
  "BUNDLE_SHAPE",
);
refuses(
  "an envelope with two signatures",
  changed((bundle) => void bundle["dsseEnvelope"].signatures.push(bundle["dsseEnvelope"].signatures[0]), DSSE),
  "B8",
  "BUNDLE_SHAPE",
);
refuses(
  "an envelope with an empty signature",
  changed((bundle) => void (bundle["dsseEnvelope"].signatures[0].sig = ""), DSSE),
  "B8",
  "BUNDLE_SHAPE",
);
refuses(
  "an envelope without payload",
  changed((bundle) => void (bundle["dsseEnvelope"].payload = ""), DSSE),
  "B8",
  "BUNDLE_SHAPE",
);
refuses(
  "an envelope without payload type",
  changed((bundle) => void (bundle["dsseEnvelope"].payloadType = ""), DSSE),
  "B8",
  "BUNDLE_SHAPE",
);
refuses(
  "an envelope that names another key than the bundle",
  changed((bundle) => void (bundle["dsseEnvelope"].signatures[0].keyid = "other"), { ...DSSE, signer: "key" }),
  "B8",
  "BUNDLE_SHAPE",
);
refuses(
  "an empty timestamp",
  changed((bundle) => void (material(bundle)["timestampVerificationData"].rfc3161Timestamps[0].signedTimestamp = ""), {
    dialect: "v2",
  }),
  "A4",
  "BUNDLE_SHAPE",
);
test("members that no version defines are reported and change nothing", () => {
  const verdict = judge(changed((bundle) => void Object.assign(entry(bundle), { extra: 1 })));
  assertVerified(verdict);
  assert.match(verdict.checks.find((check) => check.id === "B9")?.evidence ?? "", /extra/);
  assert.equal(verdict.warnings.length, 1);
});

// A1 and I: the policy.

refuses("everything, for a policy that is empty", { policy: {} }, "A1", "POLICY_MISSING", {});
refuses("everything, for a policy without identities", { policy: { identities: [] } }, "A1", "POLICY_MISSING", {});
refuses("a key bundle without a key", { recipe: { signer: "key" }, key: "none" }, "A1", "POLICY_MISMATCH", {
  recipe: { signer: "key" },
});
refuses(
  "a certificate bundle with a key",
  { key: (sealed) => [{ publicKey: sealed.key.publicKey }] },
  "A1",
  "POLICY_MISMATCH",
  {},
);
refuses("a key bundle with an empty list of keys", { recipe: { signer: "key" }, key: [] }, "A1", "POLICY_MISSING", {
  recipe: { signer: "key" },
});
refuses("a certificate without a trusted root", { withoutRoot: true }, "C7", "ROOT_MISSING", {});

const USAGE: Readonly<Record<string, readonly [Policy, boolean]>> = {
  "a misspelt member": [{ ...POLICY, ignoreTLog: true } as Policy, false],
  "a misspelt claim": [{ ...POLICY, claims: { sourceRepositoryUri: { exact: "x" } } }, false],
  "a misspelt claim of a rule": [{ identities: [{ ...POLICY.identities![0]!, claims: { trigger: { exact: "x" } } }] }, false],
  "a misspelt member of a rule": [{ identities: [{ ...POLICY.identities![0]!, subject: { exact: "x" } } as never] }, false],
  "a rule without issuer": [{ identities: [{ identity: { exact: IDENTITY } } as never] }, false],
  "a rule without identity": [{ identities: [{ issuer: { exact: ISSUER } } as never] }, false],
  "an empty identity": [{ identities: [{ identity: { exact: "" }, issuer: { exact: ISSUER } }] }, false],
  "a string as identity": [{ identities: [{ identity: IDENTITY as never, issuer: { exact: ISSUER } }] }, false],
  "a pattern without test": [
    { identities: [{ identity: { pattern: { source: "x" } as never }, issuer: { exact: ISSUER } }] },
    false,
  ],
  "a pattern with a memory": [{ identities: [{ identity: { pattern: /x/g }, issuer: { exact: ISSUER } }] }, false],
  "a pattern that sticks": [{ identities: [{ identity: { pattern: /x/y }, issuer: { exact: ISSUER } }] }, false],
  "identities and any identity": [{ ...POLICY, anyIdentity: true }, false],
  "a flag that is no boolean": [{ ...POLICY, ignoreSct: "false" as never }, false],
  "an empty predicate type": [{ ...POLICY, predicateType: "" }, false],
  "an empty payload type": [{ ...POLICY, payloadTypes: [""] }, false],
  "the current time for certificates": [{ ...POLICY, allowCurrentTime: true }, false],
  "identities with a key": [POLICY, true],
  "any identity with a key": [{ anyIdentity: true }, true],
  "claims with a key": [{ claims: {} }, true],
  "certificate logs with a key": [{ ignoreSct: true }, true],
};
for (const [what, [policy, withKey]] of Object.entries(USAGE)) {
  test(`${what} is the programmer's mistake`, () => {
    assert.throws(() => judge({ policy, recipe: { signer: withKey ? "key" : "certificate" } }), TypeError);
  });
}
for (const thresholds of [
  { logEntries: 0 },
  { times: 0 },
  { scts: 0 },
  { logEntries: -1 },
  { times: 1.5 },
  { timestamps: -1 },
  { scts: Number.NaN },
] satisfies Thresholds[]) {
  test(`thresholds that switch a check off are a mistake: ${JSON.stringify(thresholds)}`, () => {
    assert.throws(() => createVerifier(thresholds), TypeError);
  });
}
test("a policy that does without the log says so in the verdict, and proves no promised time", () => {
  const verdict = judge({ recipe: { dialect: "v2" }, also: { ignoreTlog: true } });
  assertVerified(verdict);
  for (const id of ["F1", "F4", "F6", "G2"]) assert.equal(verdict.checks.find((check) => check.id === id)?.status, "assumed");
  assert.deepEqual(verdict.logEntries, []);
  assert.equal(verdict.warnings.length, 1);
  assertRefused(judge({ also: { ignoreTlog: true } }), "D3", "TIME_MISSING");
});

// Keys.

const KEY: Recipe = { signer: "key" };
const windowed =
  (startMs?: number, endMs?: number) =>
  (sealed: Sealed): readonly TrustedKey[] => [
    {
      publicKey: sealed.key.publicKey,
      ...(startMs === undefined ? {} : { startMs }),
      ...(endMs === undefined ? {} : { endMs }),
    },
  ];
const another = generateKey("P-256").publicKey;
refuses("another key", { recipe: KEY, key: () => [{ publicKey: another }] }, "G1", "ENTRY_MISMATCH", { recipe: KEY });
refuses(
  "another key, without a log",
  { recipe: KEY, key: () => [{ publicKey: another }], also: { ignoreTlog: true } },
  "J4",
  "SIGNATURE_INVALID",
  { recipe: KEY, also: { ignoreTlog: true } },
);
accepts("a key within its window", { recipe: KEY, key: windowed(SIGNED_MS - 1, SIGNED_MS + 1) });
accepts("a key at the first moment of its window", { recipe: KEY, key: windowed(SIGNED_MS) });
accepts("a key at the last moment of its window", { recipe: KEY, key: windowed(undefined, SIGNED_MS) });
refuses("a key before its window", { recipe: KEY, key: windowed(SIGNED_MS + 1) }, "H2", "OUTSIDE_WINDOW", { recipe: KEY });
refuses("a key after its window", { recipe: KEY, key: windowed(undefined, SIGNED_MS - 1) }, "H2", "OUTSIDE_WINDOW", {
  recipe: KEY,
});
const UNDATED: Recipe = { ...KEY, dialect: "v2", timestamp: false };
accepts("a key without window where nothing proves a time", { recipe: UNDATED });
refuses("a key with a window where nothing proves a time", { recipe: UNDATED, key: windowed(SIGNED_MS) }, "D3", "TIME_MISSING", {
  recipe: UNDATED,
});
accepts("a key with a window now, if the policy says so", {
  recipe: UNDATED,
  key: windowed(SIGNED_MS),
  also: { allowCurrentTime: true },
});
refuses(
  "a key whose window is over now",
  { recipe: UNDATED, key: windowed(undefined, NOW_MS - 1), also: { allowCurrentTime: true } },
  "H2",
  "OUTSIDE_WINDOW",
  { recipe: UNDATED },
);
refuses(
  "a key with a window at an unknown time",
  { recipe: UNDATED, key: windowed(SIGNED_MS), also: { allowCurrentTime: true }, nowMs: "none" },
  "H2",
  "TIME_MISSING",
  { recipe: UNDATED },
);
refuses(
  "one good time and one after the key's window",
  {
    recipe: { ...KEY, timestamp: true, token: ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS + 2000 }) },
    key: windowed(undefined, SIGNED_MS + 1000),
  },
  "H2",
  "OUTSIDE_WINDOW",
);
accepts("the key that the hint names among several", {
  recipe: KEY,
  key: (sealed) => [{ publicKey: another }, { publicKey: sealed.key.publicKey }],
});
accepts("a key by the caller's own name for it", {
  recipe: { ...KEY, bundle: (bundle) => void (material(bundle)["publicKey"].hint = "mine") },
  key: (sealed): readonly TrustedKey[] => [{ publicKey: another }, { publicKey: sealed.key.publicKey, hint: "mine" }],
});
refuses(
  "a hint that names none of several keys",
  {
    recipe: { ...KEY, bundle: (bundle) => void (material(bundle)["publicKey"].hint = "other") },
    key: (sealed) => [{ publicKey: another }, { publicKey: sealed.key.publicKey }],
  },
  "A1",
  "KEY_HINT_UNKNOWN",
  { recipe: KEY },
);
refuses(
  "no hint where several keys are given",
  {
    recipe: { ...KEY, bundle: (bundle) => void delete material(bundle)["publicKey"].hint },
    key: (sealed) => [{ publicKey: another }, { publicKey: sealed.key.publicKey }],
  },
  "A1",
  "KEY_HINT_UNKNOWN",
  { recipe: KEY },
);
test("a strange hint for the only key is reported", () => {
  const verdict = judge({ recipe: { ...KEY, bundle: (bundle) => void (material(bundle)["publicKey"].hint = "other") } });
  assertVerified(verdict);
  assert.ok(verdict.warnings.some((warning) => warning.includes("other")));
  assert.deepEqual(judge({ recipe: KEY }).warnings, []);
});
test("a key's hint is what clients use", () => {
  const sealed = seal(workshop, KEY);
  assert.equal(material(sealed.bundle)["publicKey"].hint, keyHint(sealed.key.publicKey));
});
test("a key without trusted root and without log: only the signature counts", () => {
  for (const recipe of [KEY, { ...KEY, content: "dsse" as const }]) {
    const verdict = judge({ recipe, withoutRoot: true, also: { ignoreTlog: true } });
    assertVerified(verdict);
    assert.equal(verdict.trustedRoot, undefined);
    assert.deepEqual(verdict.times, []);
  }
});
refuses("a key without trusted root, where a log entry is required", { recipe: KEY, withoutRoot: true }, "F1", "ROOT_MISSING", {
  recipe: KEY,
});
refuses(
  "a key bundle without log entry",
  { recipe: { ...KEY, bundle: (bundle) => void (material(bundle)["tlogEntries"] = []) } },
  "F1",
  "LOG_ENTRY_MISSING",
);
test("timestamps in a bundle that is judged without a root are reported as not looked at", () => {
  const recipe: Recipe = { ...KEY, dialect: "v2", imprint: () => utf8("other") };
  const verdict = judge({ recipe, withoutRoot: true, also: { ignoreTlog: true } });
  assertVerified(verdict);
  assert.ok(verdict.warnings.some((warning) => warning.includes("timestamps")));
  assertRefused(judge({ recipe, also: { ignoreTlog: true } }), "E3", "TIMESTAMP_MISMATCH");
});

// C: what the verdict says of the root.

test("the verdict names the trusted root and why it was chosen", () => {
  const sealed = seal(workshop);
  const root = { source: "trusted_root.json", reason: "--trusted-root", digest: "sha256:00" };
  const verdict = createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(sealed.root)), rootSource: root }).verify({
    bundle: bytesOf(sealed.bundle),
    artifact: { digests: new Map(), message: sealed.artifact },
    policy: POLICY,
    nowMs: NOW_MS,
  });
  assertVerified(verdict);
  assert.deepEqual(verdict.trustedRoot, root);
  assert.equal(verdict.checks.find((check) => check.id === "C7")?.status, "pass");
  assert.equal(judge({}).checks.find((check) => check.id === "C7")?.status, "assumed");
});
test("what a root leaves out is a warning of every verdict", () => {
  const verdict = judge({
    recipe: {
      root: (root) =>
        void root["tlogs"].push({
          ...structuredClone(root["tlogs"][0]),
          publicKey: { ...root["tlogs"][0].publicKey, keyDetails: "NEW_ALGORITHM" },
        }),
    },
  });
  assertVerified(verdict);
  assert.equal(verdict.warnings.length, 1);
});
test("a bundle that the caller decoded is the caller's word for its structure", () => {
  const verdict = judge({ bytes: (sealed) => decodeBundle(bytesOf(sealed.bundle)) as never });
  assertVerified(verdict);
  for (const id of ["A2", "B1", "B3"]) assert.equal(verdict.checks.find((check) => check.id === id)?.status, "assumed");
});
test("a bundle that the caller decoded, and emptied", () => {
  const emptied: Trial["bytes"] = (sealed) =>
    ({ ...decodeBundle(bytesOf(sealed.bundle)), key: { kind: "certificate", chain: [] } }) as never;
  assertRefused(judge({ bytes: emptied }), "B5", "BUNDLE_SHAPE");
});
test("an authority without certificates is the programmer's mistake", () => {
  const root = decodeTrustedRoot(bytesOf(seal(workshop).root));
  assert.throws(
    () =>
      createVerifier({ trustedRoot: { ...root, certificateAuthorities: [{ ...root.certificateAuthorities[0]!, chain: [] }] } }),
    TypeError,
  );
});
test("a thing that is no bundle, handed in as a decoded one, is a refusal", () => {
  for (const thing of [
    {},
    { key: {} },
    { key: { kind: "certificate", chain: [] }, content: { kind: "message" }, logEntries: [], timestamps: [], unknownFields: [] },
  ]) {
    assert.equal(judge({ bytes: () => thing as never }).outcome, "refused");
  }
});
