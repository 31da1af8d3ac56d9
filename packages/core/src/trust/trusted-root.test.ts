// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { TrustedRoot as PeerRoot } from "@sigstore/protobuf-specs";
import { noteKeyId } from "../bundle/index.ts";
import { toBase64, toHex, utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { encodeSpki, generateKey, importPublicKey, sha256, type PublicKey } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import type { Certificate } from "../x509/index.ts";
import { authority, clock, crafted, root as makeRoot, signer } from "../x509/fixture.test.ts";
import { decodeTrustedRoot, encodeTrustedRoot } from "./index.ts";

const anchor = makeRoot("root");
const issuing = authority(anchor);
const tsa = clock(anchor);
const rekorV1 = generateKey("P-256").publicKey;
const rekorV2 = generateKey("Ed25519").publicKey;
const ct = generateKey("P-256").publicKey;
const rsa = generateKey("RSA", 2048).publicKey;

// Loose on purpose: the tests below break it in every way.
type Loose = ReturnType<typeof JSON.parse>;

const window = { start: "2026-01-01T00:00:00Z" };

function log(baseUrl: string, key: PublicKey, keyDetails: string, keyId: Uint8Array): Loose {
  return {
    baseUrl,
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: toBase64(key.spki), keyDetails, validFor: { ...window } },
    logId: { keyId: toBase64(keyId) },
  };
}

function chainOf(...certificates: readonly Certificate[]): Loose {
  return { certificates: certificates.map(({ der: bytes }) => ({ rawBytes: toBase64(bytes) })) };
}

function good(): Loose {
  return {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [
      log("https://rekor.example.com", rekorV1, "PKIX_ECDSA_P256_SHA_256", sha256(rekorV1.spki)),
      log("https://log.example.com:8443/path", rekorV2, "PKIX_ED25519", noteKeyId("log.example.com", rekorV2)),
    ],
    certificateAuthorities: [
      {
        subject: { organization: "lacre test", commonName: "issuing" },
        uri: "https://fulcio.example.com",
        certChain: chainOf(issuing.certificate, anchor.certificate),
        validFor: { ...window, end: "2027-01-01T00:00:00.999Z" },
      },
    ],
    ctlogs: [log("https://ct.example.com/2026", ct, "PKIX_ECDSA_P256_SHA_256", sha256(ct.spki))],
    timestampAuthorities: [
      {
        subject: { organization: "lacre test", commonName: "clock" },
        uri: "https://tsa.example.com/api/v1/timestamp",
        certChain: chainOf(tsa.certificate, anchor.certificate),
        validFor: { ...window },
      },
    ],
  };
}

function decode(document: Loose): ReturnType<typeof decodeTrustedRoot> {
  return decodeTrustedRoot(utf8(JSON.stringify(document)));
}

/** Decodes the good root after a change. */
function changed(change: (document: Loose) => void): ReturnType<typeof decodeTrustedRoot> {
  const document = good();
  change(document);
  return decode(document);
}

function refuses(
  rule: string | undefined,
  words: RegExp,
  change: (document: Loose) => void,
  code: LacreCode = "TRUSTED_ROOT_INVALID",
): void {
  assert.throws(
    () => changed(change),
    (error: unknown) => {
      assert.ok(error instanceof LacreError, String(error));
      assert.deepEqual([error.code, error.rule], [code, rule], error.message);
      assert.match(error.message, words);
      return true;
    },
  );
}

test("a good root is read whole", () => {
  const root = decode(good());
  assert.deepEqual(root.warnings, []);
  assert.deepEqual(
    root.tlogs.map(({ name, baseUrl }) => [name, baseUrl]),
    [
      ["rekor.example.com", "https://rekor.example.com"],
      ["log.example.com", "https://log.example.com:8443/path"],
    ],
  );
  assert.deepEqual(root.tlogs[1]!.logId, noteKeyId("log.example.com", rekorV2));
  assert.deepEqual(root.tlogs[1]!.key.spki, rekorV2.spki);
  const [ca] = root.certificateAuthorities;
  assert.equal(ca!.startMs, Date.UTC(2026, 0, 1));
  assert.equal(ca!.endMs, Date.UTC(2027, 0, 1) + 999);
  assert.deepEqual(
    ca!.chain.map(({ der: bytes }) => bytes),
    [issuing.certificate.der, anchor.certificate.der],
  );
  assert.equal(root.timestampAuthorities[0]!.endMs, undefined);
  assert.equal(root.ctlogs[0]!.name, "ct.example.com");
});

test("members may go by their snake_case names, enums by their numbers; unknown ones are named and left out", () => {
  const root = changed((document) => {
    document.certificate_authorities = document.certificateAuthorities;
    delete document.certificateAuthorities;
    const [first] = document.tlogs;
    first.public_key = { raw_bytes: first.publicKey.rawBytes, key_details: 5, valid_for: first.publicKey.validFor };
    delete first.publicKey;
    first.hashAlgorithm = 1;
    first.operator = "example.com";
    document.certificate_authorities[0].operator = "example.org";
    document.timestampAuthorities[0].operator = "";
    document.novelty = [1];
  });
  assert.equal(root.certificateAuthorities.length, 1);
  assert.equal(root.tlogs[0]!.keyDetails, "PKIX_ECDSA_P256_SHA_256");
  assert.equal(root.tlogs[0]!.operator, "example.com");
  assert.equal(root.certificateAuthorities[0]!.operator, "example.org");
  assert.equal("operator" in root.timestampAuthorities[0]!, false);
  assert.equal(root.warnings.length, 1);
  assert.match(root.warnings[0]!, /novelty/);
});

test("C1: only the three media types of versions 0.1 and 0.2", () => {
  for (const mediaType of [
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
  ]) {
    assert.equal(changed((document) => (document.mediaType = mediaType)).mediaType, mediaType);
  }
  for (const mediaType of [
    "",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.3",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1 ",
    "application/json",
    null,
    undefined,
  ]) {
    refuses("C1", /version/, (document) => (document.mediaType = mediaType));
  }
  refuses(undefined, /mediaType/, (document) => (document.mediaType = 1), "BAD_JSON");
});

for (const list of ["tlogs", "ctlogs"]) {
  test(`C2: ${list}: a key must be there, readable, and of the type stated`, () => {
    const refusesKey = (words: RegExp, change: (publicKey: Loose) => void, code?: LacreCode): void => {
      refuses(code === undefined ? "C2" : undefined, words, (document) => change(document[list][0].publicKey), code);
    };
    refusesKey(/type of its key/, (key) => delete key.keyDetails);
    refusesKey(/type of its key/, (key) => (key.keyDetails = 0));
    refusesKey(/type of its key/, (key) => (key.keyDetails = "PUBLIC_KEY_DETAILS_UNSPECIFIED"));
    refusesKey(/rawBytes is missing/, (key) => delete key.rawBytes, "BAD_JSON");
    refusesKey(/rawBytes is not base64/, (key) => (key.rawBytes = "!"), "BAD_BASE64");
    refusesKey(/cannot be used/, (key) => (key.rawBytes = toBase64(ct.spki.subarray(1))));
    refusesKey(/cannot be used/, (key) => (key.rawBytes = toBase64(ct.spki.map((octet, at) => (at === 40 ? octet ^ 1 : octet)))));
    refusesKey(/of another type than stated/, (key) => (key.keyDetails = "PKIX_ED25519"));
    refusesKey(/of another type than stated/, (key) => (key.keyDetails = "PKIX_ECDSA_P384_SHA_384"));
    refusesKey(/of another type than stated/, (key) => (key.rawBytes = toBase64(rekorV2.spki)));
    refuses(undefined, /publicKey is missing/, (document) => delete document[list][0].publicKey, "BAD_JSON");
  });

  test(`C2: ${list}: an RSA key has the size stated`, () => {
    const stated = (keyDetails: string) => (document: Loose) =>
      void (document[list][0] = log("https://rsa.example.com", rsa, keyDetails, sha256(rsa.spki)));
    assert.equal(changed(stated("PKIX_RSA_PKCS1V15_2048_SHA256"))[list as "tlogs"][0]!.key.rsaBits, 2048);
    refuses("C2", /of another type than stated/, stated("PKIX_RSA_PKCS1V15_3072_SHA256"));
  });

  test(`C2: ${list}: a window must have a start, and may not end before it`, () => {
    const valid = (change: (publicKey: Loose) => void) => (document: Loose) => change(document[list][0].publicKey);
    refuses(
      "C2",
      /has no start/,
      valid((key) => delete key.validFor),
    );
    refuses(
      "C2",
      /has no start/,
      valid((key) => (key.validFor = {})),
    );
    refuses(
      "C2",
      /has no start/,
      valid((key) => (key.validFor = { end: "2026-01-01T00:00:00Z" })),
    );
    refuses(
      "C2",
      /ends before/,
      valid((key) => (key.validFor.end = "2025-12-31T23:59:59.999999Z")),
    );
    refuses(
      undefined,
      /time/,
      valid((key) => (key.validFor.start = "yesterday")),
      "BAD_JSON",
    );
    // A moment is a window too, and so is one that has not begun.
    changed(valid((key) => (key.validFor.end = key.validFor.start)));
    changed(valid((key) => (key.validFor.start = "2226-01-01T00:00:00Z")));
  });

  test(`C2: ${list}: an unnamed hash algorithm is refused, an unknown one leaves the instance out`, () => {
    refuses("C2", /hash algorithm/, (document) => delete document[list][0].hashAlgorithm);
    refuses("C2", /hash algorithm/, (document) => (document[list][0].hashAlgorithm = "HASH_ALGORITHM_UNSPECIFIED"));
    const root = changed((document) => (document[list][0].hashAlgorithm = "SHA3_512"));
    assert.match(root.warnings.join(), new RegExp(`^${list}\\[0\\] was left out: .*SHA3_512`));
  });

  test(`D-5: ${list}: a key type of the future leaves the instance out, the rest stands`, () => {
    for (const keyDetails of ["PKIX_FALCON_1024", 4711, "LMS_SHA256", "14"]) {
      const root = changed((document) => (document[list][0].publicKey.keyDetails = keyDetails));
      assert.equal(root.tlogs.length + root.ctlogs.length, 2);
      assert.match(root.warnings.join(), new RegExp(`^${list}\\[0\\] was left out: keys of type .* are not known$`));
    }
  });

  test(`C3: ${list}: an id must follow from the key`, () => {
    refuses("C3", /logId does not follow/, (document) => (document[list][0].logId.keyId = toBase64(new Uint8Array(32))));
    refuses(
      "C3",
      /logId does not follow/,
      (document) => (document[list][0].logId.keyId = toBase64(sha256(ct.spki).subarray(0, 31))),
    );
    refuses("C3", /logId does not follow/, (document) => (document[list][0].logId.keyId = ""));
    refuses("C3", /has no log id/, (document) => delete document[list][0].logId);
  });
}

test("C3: a transparency log may have either id, a certificate log only the hash of its key", () => {
  const plain = changed((document) => (document.tlogs[1].logId.keyId = toBase64(sha256(rekorV2.spki))));
  assert.deepEqual(plain.tlogs[1]!.logId, sha256(rekorV2.spki));
  refuses("C3", /ctlogs\[0\].logId/, (document) => {
    document.ctlogs[0] = log("https://log.example.com", rekorV2, "PKIX_ED25519", noteKeyId("log.example.com", rekorV2));
  });
  // The id binds the name: under another host it is another log's.
  refuses("C3", /tlogs\[1\].logId/, (document) => (document.tlogs[1].baseUrl = "https://log.example.org"));
  refuses("C3", /tlogs\[1\].logId/, (document) => delete document.tlogs[1].baseUrl);
});

test("C3: checkpointKeyId, where stated, must follow from the key too; alone it stands for the log id", () => {
  const id = noteKeyId("log.example.com", rekorV2);
  changed((document) => (document.tlogs[1].checkpointKeyId = { keyId: toBase64(id.subarray(0, 4)) }));
  const alone = changed((document) => {
    document.tlogs[1].checkpointKeyId = { keyId: toBase64(id.subarray(0, 4)) };
    delete document.tlogs[1].logId;
  });
  assert.deepEqual(alone.tlogs[1]!.logId, id);
  refuses(
    "C3",
    /checkpointKeyId/,
    (document) => (document.tlogs[1].checkpointKeyId = { keyId: toBase64(Uint8Array.of(1, 2, 3, 4)) }),
  );
  refuses("C3", /checkpointKeyId/, (document) => (document.tlogs[1].checkpointKeyId = { keyId: toBase64(id.subarray(0, 3)) }));
});

test("the host of an address names the log: no port, no user, any case, or no scheme at all", () => {
  for (const [baseUrl, name] of [
    ["HTTPS://Log.Example.com", "log.example.com"],
    ["http://user@log.example.com:80?x#y", "log.example.com"],
    ["log.example.com", "log.example.com"],
    ["log.example.com/path", "log.example.com"],
    ["", ""],
  ] as const) {
    const root = changed((document) => (document.tlogs[0].baseUrl = baseUrl));
    assert.equal(root.tlogs[0]!.name, name);
  }
});

test("retired names of key types are read: bare PKCS#1, RSA of any size, P-256 with derived nonces", () => {
  const root = changed((document) => {
    const entry = (keyDetails: string | number, key: PublicKey, rawBytes: Uint8Array): Loose => {
      const out = log("https://ct.example.com", key, "", sha256(key.spki));
      Object.assign(out.publicKey, { keyDetails, rawBytes: toBase64(rawBytes) });
      return out;
    };
    document.ctlogs = [
      entry("PKCS1_RSA_PKCS1V5", rsa, rsa.raw),
      entry("PKCS1_RSA_PSS", rsa, rsa.raw),
      entry(3, rsa, rsa.spki),
      entry("PKIX_RSA_PSS", rsa, rsa.spki),
      entry("PKIX_ECDSA_P256_HMAC_SHA_256", ct, ct.spki),
    ];
  });
  assert.deepEqual(
    root.ctlogs.map(({ key }) => toHex(key.spki)),
    [rsa, rsa, rsa, rsa, ct].map((key) => toHex(key.spki)),
  );
  refuses("C2", /cannot be used/, (document) =>
    Object.assign(document.ctlogs[0].publicKey, { keyDetails: "PKCS1_RSA_PKCS1V5", rawBytes: toBase64(rsa.spki) }),
  );
});

test("a log key of a registered type without a rule for its note id is left out, unless its id is the plain one", () => {
  const key = importPublicKey(encodeSpki("ML-DSA-44", new Uint8Array(1312).fill(9)));
  const instance = (id: Uint8Array): Loose => log("https://log.example.com", key, "ML_DSA_44", id);
  assert.match(
    changed((document) => document.tlogs.push(instance(new Uint8Array(32)))).warnings.join(),
    /^tlogs\[2\] was left out/,
  );
  assert.equal(changed((document) => document.tlogs.push(instance(sha256(key.spki)))).tlogs.length, 3);
  refuses("C2", /cannot be used/, (document) => {
    const broken = instance(sha256(key.spki));
    broken.publicKey.rawBytes = toBase64(key.spki.subarray(0, 100));
    document.tlogs.push(broken);
  });
});

for (const list of ["certificateAuthorities", "timestampAuthorities"]) {
  test(`C4: ${list}: a chain is not empty, of certificates, in order, each signed by the next`, () => {
    const chain = (change: (certificates: Loose[]) => unknown) => (document: Loose) =>
      void change(document[list][0].certChain.certificates);
    refuses("C4", /has no certificate/, (document) => (document[list][0].certChain.certificates = []));
    refuses("C4", /has no certificate/, (document) => (document[list][0].certChain = {}));
    refuses(undefined, /certChain is missing/, (document) => delete document[list][0].certChain, "BAD_JSON");
    refuses(
      "C4",
      /cannot be read/,
      chain((certificates) => (certificates[0].rawBytes = "AAAA")),
    );
    refuses(
      "C4",
      /cannot be read/,
      chain((certificates) => (certificates[0].rawBytes = toBase64(Uint8Array.of(...issuing.certificate.der, 0)))),
    );
    refuses(
      "C4",
      /not signed by the next/,
      chain((certificates) => certificates.unshift(certificates.pop())),
    );
    const stranger = makeRoot("stranger");
    refuses(
      "C4",
      /certificates\[0\] is not signed by the next/,
      chain((certificates) => (certificates[1].rawBytes = toBase64(stranger.certificate.der))),
    );
    // The right name, another key.
    const namesake = makeRoot("namesake", (fields) => ({
      ...fields,
      subject: anchor.certificate.subject,
      issuer: anchor.certificate.subject,
    }));
    refuses(
      "C4",
      /certificates\[0\] is not signed by the next/,
      chain((certificates) => (certificates[1].rawBytes = toBase64(namesake.certificate.der))),
    );
    // An anchor signs itself, and so a chain of any length.
    const repeated = (length: number) => (document: Loose) =>
      (document[list][0].certChain = chainOf(...Array.from({ length }, () => anchor.certificate)));
    changed(repeated(10));
    refuses("C4", /too long/, repeated(11));
  });

  test(`C4: ${list}: a window must have a start, and may not end before it`, () => {
    refuses("C4", /has no start/, (document) => delete document[list][0].validFor);
    refuses("C4", /ends before/, (document) => (document[list][0].validFor.end = "2025-01-01T00:00:00Z"));
  });

  test(`D-5: ${list}: an algorithm of the future leaves the chain out, a broken key refuses the root`, () => {
    const alone = (bytes: Uint8Array) => (document: Loose) =>
      (document[list][0].certChain = { certificates: [{ rawBytes: toBase64(bytes) }] });
    const novel = der.sequence(der.oid("1.2.3.4"));
    const left = [crafted({ inner: novel, outer: novel }), crafted({ spki: der.sequence(novel, der.bits(new Uint8Array(32))) })];
    for (const bytes of left)
      assert.match(changed(alone(bytes)).warnings.join(), new RegExp(`^${list}\\[0\\] was left out: a certificate .* not known`));
    const spki = issuing.certificate.spki.map((octet, at) => (at === 60 ? octet ^ 1 : octet));
    refuses("C4", /cannot be read/, alone(crafted({ spki })));
  });
}

test("C4: among certificate authorities every certificate is an authority; a clock's signer is none", () => {
  const leaf = signer(issuing).certificate;
  refuses(
    "C4",
    /no authority/,
    (document) => (document.certificateAuthorities[0].certChain = chainOf(leaf, issuing.certificate, anchor.certificate)),
  );
  assert.equal(decode(good()).timestampAuthorities[0]!.chain[0]!.isCa, false);
});

test("lists may be missing or empty, and are lists", () => {
  const empty = decode({ mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1", tlogs: [] });
  assert.deepEqual([empty.tlogs, empty.ctlogs, empty.certificateAuthorities, empty.timestampAuthorities], [[], [], [], []]);
  for (const value of [{}, "x", 7, [7], ["x"], [null]])
    refuses(undefined, /tlogs/, (document) => (document.tlogs = value), "BAD_JSON");
});

test("what is written is read back the same, and holds no member that other clients refuse", () => {
  const root = decode(good());
  const text = encodeTrustedRoot({ ...root, tlogs: root.tlogs.map((entry) => ({ ...entry, operator: "example.com" })) });
  assert.deepEqual(JSON.parse(text), good());
  assert.ok(!text.includes("operator") && !text.includes("checkpointKeyId"));
  assert.ok(text.endsWith("}\n"));
});

test("@sigstore/protobuf-specs reads what is written as we do, and writes what we read", () => {
  const text = encodeTrustedRoot(decode(good()));
  const peer = PeerRoot.fromJSON(JSON.parse(text));
  assert.deepEqual(new Uint8Array(peer.tlogs[1]!.logId!.keyId), new Uint8Array(noteKeyId("log.example.com", rekorV2)));
  assert.equal(peer.certificateAuthorities[0]!.validFor!.end!.getTime(), Date.UTC(2027, 0, 1) + 999);
  assert.equal(encodeTrustedRoot(decode(PeerRoot.toJSON(peer))), text);
});

const SHARED = new URL("../../../../../shared/vectors/", import.meta.url);
const published = existsSync(SHARED)
  ? ["public-good-trusted_root.json", ...globSync("bundle-verify/*/trusted_root.json", { cwd: SHARED })]
  : [];

test(
  "published roots are read without a warning, and agree with @sigstore/protobuf-specs",
  { skip: published.length > 0 ? false : "the published roots are not here" },
  () => {
    for (const file of published) {
      const bytes = readFileSync(new URL(file, SHARED));
      const root = decodeTrustedRoot(bytes);
      assert.deepEqual(root.warnings, [], file);
      const peer = PeerRoot.fromJSON(JSON.parse(bytes.toString()));
      for (const list of ["tlogs", "ctlogs"] as const) {
        assert.deepEqual(
          root[list].map((entry) => [entry.baseUrl, toBase64(entry.logId), entry.startMs, entry.endMs]),
          peer[list].map((entry) => [
            entry.baseUrl,
            toBase64(new Uint8Array(entry.logId!.keyId)),
            entry.publicKey!.validFor!.start!.getTime(),
            entry.publicKey!.validFor!.end?.getTime(),
          ]),
          file,
        );
      }
      for (const list of ["certificateAuthorities", "timestampAuthorities"] as const) {
        assert.deepEqual(
          root[list].map((entry) => [
            entry.uri,
            entry.subject,
            entry.startMs,
            entry.endMs,
            entry.chain.map((certificate) => toBase64(certificate.der)),
          ]),
          peer[list].map((entry) => [
            entry.uri,
            { organization: entry.subject?.organization ?? "", commonName: entry.subject?.commonName ?? "" },
            entry.validFor!.start!.getTime(),
            entry.validFor!.end?.getTime(),
            entry.certChain!.certificates.map((certificate) => toBase64(new Uint8Array(certificate.rawBytes))),
          ]),
          file,
        );
      }
      const again = decodeTrustedRoot(utf8(encodeTrustedRoot(root)));
      assert.equal(encodeTrustedRoot(again), encodeTrustedRoot(root), file);
    }
  },
);
