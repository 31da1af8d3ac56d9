// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { bundleFromJSON, bundleToJSON } from "@sigstore/bundle";
import { toBase64, utf8 } from "../bytes/index.ts";
import { canonicalJson, JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { decodeBundle, encodeBundle } from "./bundle.ts";
import { decodeLogEntry, encodeLogEntry } from "./entry.ts";

const VECTORS = new URL("../../../../../shared/vectors/bundle-verify/", import.meta.url);

type Loose = any; // oxlint-disable-line no-explicit-any -- tests break documents on purpose

const DER = toBase64(Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x05));
const HASH = toBase64(new Uint8Array(32).fill(7));

function entry(): Loose {
  return {
    logIndex: "5",
    logId: { keyId: HASH },
    kindVersion: { kind: "hashedrekord", version: "0.0.2" },
    integratedTime: "1700000000",
    inclusionPromise: { signedEntryTimestamp: "AQID" },
    inclusionProof: { logIndex: "4", rootHash: HASH, treeSize: "6", hashes: [HASH], checkpoint: { envelope: "x\n" } },
    canonicalizedBody: "e30=",
  };
}
function message(): Loose {
  return {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: {
      certificate: { rawBytes: DER },
      tlogEntries: [entry()],
      timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: DER }] },
    },
    messageSignature: { messageDigest: { algorithm: "SHA2_256", digest: HASH }, signature: "AQID" },
  };
}
function envelope(): Loose {
  const { messageSignature: _, ...rest } = message();
  return {
    ...rest,
    dsseEnvelope: { payload: "e30=", payloadType: "application/vnd.in-toto+json", signatures: [{ sig: "AQID", keyid: "" }] },
  };
}
function chained(version: string): Loose {
  const bundle = message();
  bundle.mediaType = `application/vnd.dev.sigstore.bundle+json;version=${version}`;
  bundle.verificationMaterial.x509CertificateChain = { certificates: [{ rawBytes: DER }] };
  delete bundle.verificationMaterial.certificate;
  return bundle;
}
function keyed(base: Loose = message()): Loose {
  delete base.verificationMaterial.certificate;
  base.verificationMaterial.publicKey = { hint: "a key" };
  return base;
}
const decode = (bundle: Loose): ReturnType<typeof decodeBundle> => decodeBundle(utf8(JSON.stringify(bundle)));
function refuses(code: LacreCode, bundle: Loose, change: (bundle: Loose) => unknown = () => undefined): void {
  decode(bundle); // the good twin
  change(bundle);
  assert.throws(
    () => decode(bundle),
    (error) => error instanceof LacreError && error.code === code,
    change.toString(),
  );
}
function accepts(bundle: Loose, change: (bundle: Loose) => unknown = () => undefined): ReturnType<typeof decodeBundle> {
  change(bundle);
  return decode(bundle);
}

test("reads every part of a bundle", () => {
  const bundle = decode(message());
  assert.equal(bundle.version, "0.3");
  assert.deepEqual(bundle.key.kind === "certificate" && bundle.key.chain.length, 1);
  assert.equal(bundle.logEntries[0]!.logIndex, 5n);
  assert.equal(bundle.logEntries[0]!.integratedTime, 1700000000n);
  assert.deepEqual(bundle.logEntries[0]!.signedEntryTimestamp, Uint8Array.of(1, 2, 3));
  assert.equal(bundle.logEntries[0]!.inclusionProof!.treeSize, 6n);
  assert.equal(bundle.timestamps.length, 1);
  assert.ok(
    bundle.content.kind === "message" && bundle.content.digest?.algorithm === "sha256" && bundle.content.signature.length === 3,
  );
  assert.deepEqual(bundle.unknownFields, []);
  const dsse = decode(envelope());
  assert.ok(
    dsse.content.kind === "dsse" && dsse.content.payloadType === "application/vnd.in-toto+json" && dsse.content.keyid === "",
  );
  assert.deepEqual(decode(keyed()).key, { kind: "publicKey", hint: "a key" });
});

test("accepts exactly the media types there are", () => {
  for (const version of ["+json;version=0.3", ".v0.3+json"])
    assert.equal(accepts(message(), (b) => (b.mediaType = `application/vnd.dev.sigstore.bundle${version}`)).version, "0.3");
  for (const version of ["0.1", "0.2"]) {
    assert.equal(decode(chained(version)).version, version);
    assert.equal(
      accepts(chained(version), (b) => (b.mediaType = `application/vnd.dev.sigstore.bundle.v${version}+json`)).version,
      version,
    );
  }
  for (const other of [
    "application/vnd.dev.sigstore.bundle.v0.9+json",
    "application/vnd.dev.sigstore.bundle.v1.0+json",
    "application/vnd.dev.sigstore.bundle.v0.4+json",
    "application/vnd.dev.sigstore.bundle.v0.3+jsonXYZ",
    "application/vnd.dev.sigstore.bundle+json;version=0.4",
    "application/vnd.dev.sigstore.bundle+json; version=0.3",
    "application/vnd.dev.sigstore.bundle+json",
    "APPLICATION/vnd.dev.sigstore.bundle.v0.3+json",
    "xapplication/vnd.dev.sigstore.bundle.v0.3+json",
    "",
    "__proto__",
  ])
    refuses("BUNDLE_VERSION", message(), (b) => (b.mediaType = other));
  refuses("BAD_JSON", message(), (b) => delete b.mediaType);
});

test("wants exactly one content", () => {
  refuses("BUNDLE_SHAPE", message(), (b) => (b.dsseEnvelope = envelope().dsseEnvelope));
  refuses("BUNDLE_SHAPE", message(), (b) => delete b.messageSignature);
  refuses("BUNDLE_SHAPE", message(), (b) => (b.messageSignature = null));
  refuses("BUNDLE_SHAPE", message(), (b) => {
    b.newContent = b.messageSignature;
    delete b.messageSignature;
  });
  refuses("BAD_JSON", message(), (b) => (b.message_signature = b.messageSignature));
  accepts(message(), (b) => (b.dsseEnvelope = null));
});

test("wants exactly one key", () => {
  refuses("BUNDLE_SHAPE", message(), (b) => (b.verificationMaterial.publicKey = { hint: "x" }));
  refuses("BUNDLE_SHAPE", message(), (b) => (b.verificationMaterial.publicKey = {}));
  refuses("BUNDLE_SHAPE", message(), (b) => delete b.verificationMaterial.certificate);
  refuses("BUNDLE_SHAPE", message(), (b) => {
    b.verificationMaterial.newKey = b.verificationMaterial.certificate;
    delete b.verificationMaterial.certificate;
  });
  refuses("BUNDLE_SHAPE", chained("0.2"), (b) => (b.verificationMaterial.certificate = { rawBytes: DER }));
  refuses("BAD_JSON", message(), (b) => delete b.verificationMaterial);
  refuses("BAD_JSON", message(), (b) => (b.verificationMaterial.certificate = {}));
});

test("a chain is not empty, has its bounds, and is not for version 0.3", () => {
  refuses("BUNDLE_SHAPE", chained("0.1"), (b) => (b.verificationMaterial.x509CertificateChain.certificates = []));
  refuses("BUNDLE_SHAPE", chained("0.1"), (b) => (b.verificationMaterial.x509CertificateChain = {}));
  refuses("BUNDLE_SHAPE", chained("0.2"), (b) => (b.mediaType = "application/vnd.dev.sigstore.bundle+json;version=0.3"));
  accepts(chained("0.1"), (b) => (b.verificationMaterial.x509CertificateChain.certificates = Array(10).fill({ rawBytes: DER })));
  refuses(
    "TOO_LARGE",
    chained("0.1"),
    (b) => (b.verificationMaterial.x509CertificateChain.certificates = Array(11).fill({ rawBytes: DER })),
  );
});

test("certificates are one complete DER value", () => {
  for (const bytes of [
    [],
    [0x30, 0x03, 0x02, 0x01],
    [0x30, 0x03, 0x02, 0x01, 0x05, 0x00],
    [0x02, 0x01, 0x05],
    [0x30, 0x80, 0, 0],
  ]) {
    refuses("BAD_DER", message(), (b) => (b.verificationMaterial.certificate.rawBytes = toBase64(Uint8Array.from(bytes))));
    refuses("BAD_DER", chained("0.1"), (b) =>
      b.verificationMaterial.x509CertificateChain.certificates.push({ rawBytes: toBase64(Uint8Array.from(bytes)) }),
    );
  }
});

test("0.1 wants promises, later versions want proofs with checkpoints", () => {
  refuses("BUNDLE_NO_PROMISE", chained("0.1"), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionPromise);
  refuses(
    "BUNDLE_NO_PROMISE",
    chained("0.1"),
    (b) => (b.verificationMaterial.tlogEntries[0].inclusionPromise = { signedEntryTimestamp: "" }),
  );
  accepts(chained("0.1"), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionProof);
  const bare = accepts(chained("0.1"), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint);
  assert.equal(bare.logEntries[0]!.inclusionProof, undefined);
  for (const make of [() => chained("0.2"), message]) {
    accepts(make(), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionPromise);
    refuses("BUNDLE_NO_PROOF", make(), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionProof);
    refuses("BUNDLE_NO_PROOF", make(), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint);
    refuses("BUNDLE_NO_PROOF", make(), (b) => (b.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope = ""));
    refuses("BUNDLE_NO_PROOF", make(), (b) => {
      const second = entry();
      delete second.inclusionProof;
      b.verificationMaterial.tlogEntries.push(second);
    });
  }
});

test("log entries have an id, a kind and a body", () => {
  const change =
    (edit: (e: Loose) => unknown) =>
    (b: Loose): unknown =>
      edit(b.verificationMaterial.tlogEntries[0]);
  refuses(
    "BAD_JSON",
    message(),
    change((e) => delete e.logId),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.logId.keyId = "")),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.logId.keyId = toBase64(new Uint8Array(65)))),
  );
  refuses(
    "BAD_JSON",
    message(),
    change((e) => delete e.kindVersion),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.kindVersion.kind = "")),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.kindVersion.version = "9".repeat(65))),
  );
  refuses(
    "BAD_JSON",
    message(),
    change((e) => delete e.canonicalizedBody),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.canonicalizedBody = "")),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.inclusionProof.hashes = ["AAAA"])),
  );
  refuses(
    "BUNDLE_SHAPE",
    message(),
    change((e) => (e.inclusionProof.rootHash = "AAAA")),
  );
  accepts(
    message(),
    change((e) => (e.inclusionProof.rootHash = "")),
  );
  accepts(
    message(),
    change((e) => delete e.logIndex),
  );
});

test("numbers of the log are exact and not negative", () => {
  for (const wrong of ["-1", -1, 1.5, "1.0", "1e3", 9007199254740992, "18446744073709551616", "", "0x1", true, [], {}]) {
    refuses("BAD_JSON", message(), (b) => (b.verificationMaterial.tlogEntries[0].logIndex = wrong));
    refuses("BAD_JSON", message(), (b) => (b.verificationMaterial.tlogEntries[0].integratedTime = wrong));
    refuses("BAD_JSON", message(), (b) => (b.verificationMaterial.tlogEntries[0].inclusionProof.logIndex = wrong));
    refuses("BAD_JSON", message(), (b) => (b.verificationMaterial.tlogEntries[0].inclusionProof.treeSize = wrong));
  }
  assert.equal(accepts(message(), (b) => (b.verificationMaterial.tlogEntries[0].logIndex = 7)).logEntries[0]!.logIndex, 7n);
});

test("base64 is strict everywhere", () => {
  for (const wrong of ["AQI", "AQ==AQ==", "AQID ", "AQID\n", "AQ-_", "AR==", "*"]) {
    refuses("BAD_BASE64", message(), (b) => (b.messageSignature.signature = wrong));
    refuses("BAD_BASE64", message(), (b) => (b.verificationMaterial.certificate.rawBytes = wrong));
    refuses("BAD_BASE64", message(), (b) => (b.verificationMaterial.tlogEntries[0].canonicalizedBody = wrong));
    refuses("BAD_BASE64", message(), (b) => (b.verificationMaterial.tlogEntries[0].inclusionProof.hashes[0] = wrong));
    refuses("BAD_BASE64", envelope(), (b) => (b.dsseEnvelope.payload = wrong));
    refuses("BAD_BASE64", envelope(), (b) => (b.dsseEnvelope.signatures[0].sig = wrong));
  }
});

test("counts have bounds", () => {
  const entries =
    (n: number) =>
    (b: Loose): unknown =>
      (b.verificationMaterial.tlogEntries = Array.from({ length: n }, entry));
  accepts(message(), entries(32));
  refuses("TOO_LARGE", message(), entries(33));
  const tokens =
    (n: number) =>
    (b: Loose): unknown =>
      (b.verificationMaterial.timestampVerificationData.rfc3161Timestamps = Array(n).fill({ signedTimestamp: DER }));
  accepts(message(), tokens(32));
  refuses("TOO_LARGE", message(), tokens(33));
  const hashes =
    (n: number) =>
    (b: Loose): unknown =>
      (b.verificationMaterial.tlogEntries[0].inclusionProof.hashes = Array(n).fill(HASH));
  accepts(message(), hashes(64));
  refuses("TOO_LARGE", message(), hashes(65));
  const note =
    (n: number) =>
    (b: Loose): unknown =>
      (b.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope = "x".repeat(n));
  accepts(message(), note(64 << 10));
  refuses("TOO_LARGE", message(), note((64 << 10) + 1));
  assert.throws(
    () => decodeBundle(new Uint8Array((16 << 20) + 1)),
    (error) => error instanceof LacreError && error.code === "TOO_LARGE",
  );
});

test("empty lists are allowed where nothing is a possible answer", () => {
  assert.deepEqual(accepts(message(), (b) => (b.verificationMaterial.tlogEntries = [])).logEntries, []);
  assert.deepEqual(accepts(message(), (b) => delete b.verificationMaterial.tlogEntries).logEntries, []);
  assert.deepEqual(accepts(message(), (b) => (b.verificationMaterial.timestampVerificationData = {})).timestamps, []);
  assert.deepEqual(accepts(message(), (b) => delete b.verificationMaterial.timestampVerificationData).timestamps, []);
  refuses(
    "BUNDLE_SHAPE",
    message(),
    (b) => (b.verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp = ""),
  );
});

test("a message has a signature; its digest may be absent, but not wrong", () => {
  refuses("BUNDLE_SHAPE", message(), (b) => (b.messageSignature.signature = ""));
  refuses("BAD_JSON", message(), (b) => delete b.messageSignature.signature);
  const without = accepts(message(), (b) => delete b.messageSignature.messageDigest);
  assert.ok(without.content.kind === "message" && without.content.digest === undefined);
  refuses("BUNDLE_SHAPE", message(), (b) => (b.messageSignature.messageDigest.algorithm = "SHA2_512"));
  for (const name of ["SHA3_256", "HASH_ALGORITHM_UNSPECIFIED", "sha256", "SHA1", ""])
    refuses("BUNDLE_SHAPE", message(), (b) => (b.messageSignature.messageDigest.algorithm = name));
  refuses("BUNDLE_SHAPE", message(), (b) => delete b.messageSignature.messageDigest.algorithm);
  refuses("BUNDLE_SHAPE", message(), (b) => (b.messageSignature.messageDigest.digest = toBase64(new Uint8Array(31))));
  for (const [algorithm, length] of [
    ["SHA2_384", 48],
    ["SHA2_512", 64],
  ] as const) {
    accepts(message(), (b) => (b.messageSignature.messageDigest = { algorithm, digest: toBase64(new Uint8Array(length)) }));
  }
});

test("an envelope has a payload, a type and exactly one signature", () => {
  refuses("BUNDLE_SHAPE", envelope(), (b) => (b.dsseEnvelope.payload = ""));
  refuses("BUNDLE_SHAPE", envelope(), (b) => (b.dsseEnvelope.payloadType = ""));
  refuses("BAD_JSON", envelope(), (b) => (b.dsseEnvelope.payloadType = "\ud800"));
  refuses("BUNDLE_SHAPE", envelope(), (b) => (b.dsseEnvelope.signatures = []));
  refuses("BUNDLE_SHAPE", envelope(), (b) => delete b.dsseEnvelope.signatures);
  refuses("BUNDLE_SHAPE", envelope(), (b) => b.dsseEnvelope.signatures.push({ sig: "AQID" }));
  refuses("BUNDLE_SHAPE", envelope(), (b) => (b.dsseEnvelope.signatures[0].sig = ""));
  const bare = accepts(envelope(), (b) => delete b.dsseEnvelope.signatures[0].keyid);
  assert.ok(bare.content.kind === "dsse" && bare.content.keyid === "");
});

test("key hint and envelope may not name different keys", () => {
  refuses("BUNDLE_SHAPE", keyed(envelope()), (b) => (b.dsseEnvelope.signatures[0].keyid = "another key"));
  accepts(keyed(envelope()), (b) => (b.dsseEnvelope.signatures[0].keyid = "a key"));
  accepts(keyed(envelope()), (b) => {
    b.verificationMaterial.publicKey = {};
    b.dsseEnvelope.signatures[0].keyid = "a key";
  });
});

test("unknown fields are reported, not refused", () => {
  const bundle = accepts(message(), (b) => {
    b.extra = 1;
    b.verificationMaterial.tlogEntries[0].inclusionProof.more = { deep: 1 };
    b.verificationMaterial["__proto__x"] = null;
  });
  assert.deepEqual(bundle.unknownFields, [
    "bundle.extra",
    "bundle.verificationMaterial.__proto__x",
    "bundle.verificationMaterial.tlogEntries[0].inclusionProof.more",
  ]);
  const many = accepts(message(), (b) => {
    for (let i = 0; i < 1000; i++) b[`k${i}`] = 0;
  });
  assert.equal(many.unknownFields.length, 100);
});

test("reads the snake_case spelling of protobuf's original names", () => {
  const snake = JSON.stringify(message())
    .replaceAll(
      /"([a-z0-9]+(?:[A-Z][a-z0-9]*)+)":/g,
      (_, name: string) => `"${name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}":`,
    )
    .replaceAll("rfc3161_timestamps", "rfc3161_timestamps");
  assert.match(snake, /tlog_entries.*signed_entry_timestamp/);
  assert.deepEqual(decodeBundle(utf8(snake)), decode(message()));
});

test("both spellings of one member, and duplicate members, are refused", () => {
  refuses("BAD_JSON", message(), (b) => (b.media_type = b.mediaType));
  refuses("BAD_JSON", message(), (b) => (b.verificationMaterial.tlog_entries = []));
  const twice = JSON.stringify(message()).replace('{"mediaType"', '{"mediaType":"x","mediaType"');
  assert.throws(
    () => decodeBundle(utf8(twice)),
    (error) => error instanceof LacreError && error.code === "BAD_JSON",
  );
});

test("what is written is read back, and is what sigstore-js reads", () => {
  for (const source of [message(), envelope(), keyed(), keyed(envelope()), chained("0.2")]) {
    const bundle = decode(source);
    const written = encodeBundle(bundle);
    const { mediaType: _, version: __, ...rest } = bundle;
    const { mediaType, version, ...again } = decodeBundle(utf8(written));
    assert.equal(mediaType, "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert.equal(version, "0.3");
    assert.deepEqual(again, rest);
    const theirs = bundleToJSON(bundleFromJSON(JSON.parse(written))) as unknown as Json;
    assert.equal(canonicalJson(withoutDefaults(theirs)), canonicalJson(withoutDefaults(parseJson(written))));
  }
});

test("writing refuses what 0.3 does not allow", () => {
  const bundle = accepts(chained("0.1"), (b) => delete b.verificationMaterial.tlogEntries[0].inclusionProof);
  assert.throws(
    () => encodeBundle(bundle),
    (error) => error instanceof LacreError && error.code === "BUNDLE_NO_PROOF",
  );
  assert.throws(() => encodeBundle({ ...bundle, logEntries: [], key: { kind: "certificate", chain: [] } }), TypeError);
});

test("an entry of the ledger survives its own encoding", () => {
  const minimal = decodeLogEntry(
    new JsonObject(
      parseJson('{"logId":{"keyId":"AA=="},"kindVersion":{"kind":"k","version":"1"},"canonicalizedBody":"e30="}'),
      "entry",
    ),
  );
  assert.deepEqual(encodeLogEntry(minimal), {
    logIndex: "0",
    logId: { keyId: "AA==" },
    kindVersion: { kind: "k", version: "1" },
    canonicalizedBody: "e30=",
  });
  assert.deepEqual(decodeLogEntry(new JsonObject(encodeLogEntry(minimal), "entry")), minimal);
});

// Protobuf's JSON may leave out members that hold their type's default value.
function withoutDefaults(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]): [string, Json] => [name, withoutDefaults(member)]);
  return Object.fromEntries(
    members.filter(
      ([, member]) => member !== "" && member !== "0" && member !== null && !(Array.isArray(member) && member.length === 0),
    ),
  );
}

const REFUSED_HERE: Readonly<Record<string, LacreCode>> = {
  "bundle-empty-certificate-chain_fail": "BUNDLE_SHAPE",
  "bundle-malformed-json_fail": "BAD_JSON",
  "bundle-unknown-version_fail": "BUNDLE_VERSION",
};

test("the conformance cases are read, or refused for what is wrong with them", (t) => {
  if (!existsSync(VECTORS)) return t.diagnostic("the conformance cases are not at hand");
  for (const folder of readdirSync(VECTORS)) {
    const file = new URL(`${folder}/bundle.sigstore.json`, VECTORS);
    if (!existsSync(file)) continue;
    const input = readFileSync(file);
    const code = REFUSED_HERE[folder];
    if (code !== undefined) {
      assert.throws(
        () => decodeBundle(input),
        (error) => error instanceof LacreError && error.code === code,
        folder,
      );
      continue;
    }
    const bundle = decodeBundle(input);
    assert.deepEqual(bundle.unknownFields, [], folder);
    if (bundle.version !== "0.3") continue;
    const written = withoutDefaults({ ...(parseJson(encodeBundle(bundle)) as object), mediaType: bundle.mediaType });
    assert.equal(canonicalJson(written), canonicalJson(withoutDefaults(parseJson(input))), folder);
  }
});

test("every truncation and many mutations of a bundle end in a LacreError or a bundle", () => {
  const good = utf8(JSON.stringify(message()));
  const tryIt = (bytes: Uint8Array): void => {
    try {
      decodeBundle(bytes);
    } catch (error) {
      assert.ok(error instanceof LacreError, String(error));
    }
  };
  for (let length = 0; length < good.length; length++) tryIt(good.subarray(0, length));
  for (let at = 0; at < good.length; at++) for (const byte of [0, 0x22, 0x30, 0x7d, 0xff]) tryIt(good.with(at, byte));
});
