// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBundle } from "../bundle/index.ts";
import { text, toHex } from "../bytes/index.ts";
import { canonicalJson, pae, parseJson, type Json } from "../codec/index.ts";
import { checkSignature, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { hashLeaf } from "../merkle/index.ts";
import { admitProposed, decodeEntry, describeEntry, type Admitted } from "./index.ts";

type Loose = any; // oxlint-disable-line no-explicit-any -- tests break documents on purpose

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes as string).toString("base64");
const hexOf = (hash: string, data: Uint8Array | string): string => createHash(hash).update(data).digest("hex");
interface Signer {
  readonly privateKey: KeyObject;
  readonly pem: string;
}
const signer = ({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Signer => ({
  privateKey,
  pem: publicKey.export({ format: "pem", type: "spki" }) as string,
});
const p256 = signer(generateKeyPairSync("ec", { namedCurve: "P-256" }));
const other = signer(generateKeyPairSync("ec", { namedCurve: "P-256" }));
const p384 = signer(generateKeyPairSync("ec", { namedCurve: "P-384" }));
const p521 = signer(generateKeyPairSync("ec", { namedCurve: "P-521" }));
const rsa = signer(generateKeyPairSync("rsa", { modulusLength: 2048 }));
const ed25519 = signer(generateKeyPairSync("ed25519"));
const DATA = Buffer.from("what was built\n");
const TYPE = "application/vnd.in-toto+json";
const PAYLOAD = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}');

const hashedrekord = (by: Signer, hash: string): Loose => ({
  apiVersion: "0.0.1",
  kind: "hashedrekord",
  spec: {
    data: { hash: { algorithm: hash, value: hexOf(hash, DATA) } },
    signature: { content: base64(sign(hash, DATA, by.privateKey)), publicKey: { content: base64(by.pem) } },
  },
});
const signPae = (by: Signer, hash: string | null): Buffer => sign(hash, pae(TYPE, PAYLOAD), by.privateKey);
const envelopeOf = (...sigs: readonly Uint8Array[]): string =>
  JSON.stringify({
    payloadType: TYPE,
    payload: base64(PAYLOAD),
    signatures: sigs.map((sig) => ({ keyid: "", sig: base64(sig) })),
  });
const dsse = (envelope: string, ...verifiers: readonly Signer[]): Loose => ({
  apiVersion: "0.0.1",
  kind: "dsse",
  spec: { proposedContent: { envelope, verifiers: verifiers.map(({ pem }) => base64(pem)) } },
});
const intoto1 = (envelope: string, by: Signer = p256): Loose => ({
  apiVersion: "0.0.1",
  kind: "intoto",
  spec: { content: { envelope }, publicKey: base64(by.pem) },
});
const intoto2 = (by: Signer = p256, sig: Uint8Array = signPae(p256, "sha256")): Loose => ({
  apiVersion: "0.0.2",
  kind: "intoto",
  spec: {
    content: {
      envelope: {
        payload: base64(base64(PAYLOAD)),
        payloadType: TYPE,
        signatures: [{ sig: base64(base64(sig)), publicKey: base64(by.pem) }],
      },
      hash: { algorithm: "sha256", value: "ab".repeat(32) },
    },
  },
});
const rekord = (by: Signer = p256, hash: string | null = "sha256"): Loose => ({
  apiVersion: "0.0.1",
  kind: "rekord",
  spec: {
    signature: { format: "x509", content: base64(sign(hash, DATA, by.privateKey)), publicKey: { content: base64(by.pem) } },
    data: { content: base64(DATA) },
  },
});

const body = ({ body: bytes }: Admitted): Loose => JSON.parse(text(bytes));
function checkAll({ checks }: Admitted): void {
  for (const { algorithm, key, signed, signature } of checks) checkSignature(algorithm, key, signed, signature);
}
/** Admits a request, makes its checks, and sees that the leaf is canonical and is read back. */
function admitGood(request: Loose): Admitted {
  const admitted = admitProposed(parseJson(JSON.stringify(request)));
  checkAll(admitted);
  const { kind, version } = admitted;
  assert.equal(text(admitted.body), canonicalJson(parseJson(admitted.body)));
  assert.deepEqual(
    [kind, version, body(admitted).kind, body(admitted).apiVersion],
    [request.kind, request.apiVersion, request.kind, request.apiVersion],
  );
  if (kind !== "rfc3161") assert.equal(describeEntry(admitted.body).kind, kind);
  return admitted;
}
function refused(code: LacreCode | readonly LacreCode[], request: Loose, saying = /./): void {
  assert.throws(
    () => checkAll(admitProposed(parseJson(JSON.stringify(request)))),
    (error) =>
      error instanceof LacreError &&
      (typeof code === "string" ? error.code === code : code.includes(error.code)) &&
      saying.test(error.message),
    JSON.stringify(request).slice(0, 200),
  );
}
function changed(request: Loose, change: (spec: Loose, whole: Loose) => void): Loose {
  const copy = structuredClone(request);
  change(copy.spec, copy);
  return copy;
}

test("the vector's request becomes the vector's leaf", () => {
  const spki =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA==";
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----`;
  const request = {
    kind: "hashedrekord",
    apiVersion: "0.0.1",
    spec: {
      signature: {
        publicKey: { content: base64(pem) },
        content: "MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=",
      },
      data: { hash: { value: "6221d61fdb870e48655996ed4278171b093e3d8079dc4b8ab6c6550655ab4231", algorithm: "sha256" } },
    },
  };
  const admitted = admitGood(request);
  assert.equal(toHex(hashLeaf(sha256, admitted.body)), "9fcece0a187dad74cdb653467c95ed9aad37a377741a8495495e0704919349a3");
});

const VECTORS = new URL("../../../../../shared/vectors/bundle-verify/", import.meta.url);
test("bodies of the public log come out of their own requests", { skip: !existsSync(VECTORS) }, () => {
  let seen = 0;
  for (const name of readdirSync(VECTORS)) {
    const file = new URL(`${name}/bundle.sigstore.json`, VECTORS);
    if (!existsSync(file) || name.endsWith("_fail")) continue;
    const bundle = decodeBundle(readFileSync(file));
    for (const { kind, version, canonicalizedBody } of bundle.logEntries) {
      if (version !== "0.0.1" || kind !== "hashedrekord") continue;
      const admitted = admitProposed(parseJson(canonicalizedBody));
      checkAll(admitted);
      assert.equal(text(admitted.body), text(canonicalizedBody), name);
      seen += 1;
    }
  }
  assert.ok(seen > 3, `${seen}`);
});

test("hashedrekord: every permitted pair of key and digest is logged as it was sent", () => {
  for (const [by, hash] of [
    [p256, "sha256"],
    [p384, "sha384"],
    [p521, "sha512"],
    [rsa, "sha256"],
    [p384, "sha256"],
  ] as const) {
    const request = hashedrekord(by, hash);
    const admitted = admitGood(request);
    assert.deepEqual(body(admitted).spec.data.hash, request.spec.data.hash);
    assert.equal(Buffer.from(body(admitted).spec.signature.publicKey.content, "base64").toString(), by.pem);
  }
  for (const [by, hash] of [
    [p256, "sha512"],
    [rsa, "sha512"],
    [p521, "sha384"],
  ] as const)
    refused("ALGORITHM_UNKNOWN", hashedrekord(by, hash));
});

test("hashedrekord: digits of a digest keep their case, and so the leaf", () => {
  const upper = changed(hashedrekord(p256, "sha256"), ({ data }) => (data.hash.value = data.hash.value.toUpperCase()));
  assert.equal(body(admitGood(upper)).spec.data.hash.value, hexOf("sha256", DATA).toUpperCase());
});

test("hashedrekord: PEM is written anew: no final newline, CRLF, one long line, a chain", () => {
  for (const spelled of [
    p256.pem.trimEnd(),
    p256.pem.replaceAll("\n", "\r\n"),
    `comment\n${p256.pem}`,
    p256.pem.replace(/([A-Za-z0-9+/=])\n(?=[A-Za-z0-9])/g, "$1"),
  ]) {
    const request = changed(hashedrekord(p256, "sha256"), ({ signature }) => (signature.publicKey.content = base64(spelled)));
    assert.equal(Buffer.from(body(admitGood(request)).spec.signature.publicKey.content, "base64").toString(), p256.pem);
  }
  const pkcs1 = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const request = hashedrekord(signer(pkcs1), "sha256");
  request.spec.signature.publicKey.content = base64(pkcs1.publicKey.export({ format: "pem", type: "pkcs1" }));
  assert.equal(
    Buffer.from(body(admitGood(request)).spec.signature.publicKey.content, "base64").toString(),
    pkcs1.publicKey.export({ format: "pem", type: "spki" }),
  );
});

test("hashedrekord: a wrong signature, digest, key or length is refused", () => {
  const good = hashedrekord(p256, "sha256");
  refused(
    "SIGNATURE_INVALID",
    changed(good, ({ data }) => (data.hash.value = hexOf("sha256", "other"))),
  );
  refused(
    "SIGNATURE_INVALID",
    changed(good, ({ signature }) => (signature.publicKey.content = base64(other.pem))),
  );
  refused(
    "SIGNATURE_INVALID",
    changed(good, ({ signature }) => (signature.content = base64("no signature"))),
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(good, ({ data }) => (data.hash.value = "ab")),
  );
  refused(
    "BAD_HEX",
    changed(good, ({ data }) => (data.hash.value = "zz".repeat(32))),
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(good, ({ data }) => (data.hash.algorithm = "md5")),
    /is not known/,
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(good, ({ signature }) => (signature.content = "")),
  );
  refused(
    "BAD_JSON",
    changed(good, ({ signature }) => delete signature.publicKey),
  );
  refused(
    "BAD_PEM",
    changed(good, ({ signature }) => (signature.publicKey.content = base64("ssh-ed25519 AAAA"))),
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(good, ({ signature }) => (signature.publicKey.content = base64(p256.pem + other.pem))),
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(
      good,
      ({ signature }) => (signature.publicKey.content = base64(p256.pem.replaceAll("PUBLIC KEY", "PGP PUBLIC KEY BLOCK"))),
    ),
  );
});

test("hashedrekord: pure Ed25519 over a digest cannot pass", () => {
  const request = hashedrekord(p256, "sha512");
  request.spec.signature = { content: base64(sign(null, DATA, ed25519.privateKey)), publicKey: { content: base64(ed25519.pem) } };
  refused(["ALGORITHM_UNKNOWN", "SIGNATURE_INVALID"], request);
  refused(
    "ALGORITHM_UNKNOWN",
    changed(request, ({ data }) => (data.hash = { algorithm: "sha256", value: hexOf("sha256", DATA) })),
  );
});

test("unknown members are left aside and do not reach the leaf", () => {
  const good = hashedrekord(p256, "sha256");
  const more = changed(good, (spec, whole) => {
    whole.comment = "x";
    spec.extra = { a: 1 };
    spec.data.url = "http://169.254.169.254/";
    spec.signature.publicKey.url = "http://localhost/key";
  });
  assert.equal(text(admitGood(more).body), text(admitGood(good).body));
});

test("dsse: hashes, signatures sorted by their text, each with its own verifier", () => {
  const sigs = [signPae(p256, "sha256"), signPae(other, "sha256"), signPae(ed25519, null)];
  const envelope = envelopeOf(...sigs);
  const { spec } = body(admitGood(dsse(envelope, ed25519, p256, other)));
  assert.equal(spec.envelopeHash.value, hexOf("sha256", envelope));
  assert.equal(spec.payloadHash.value, hexOf("sha256", PAYLOAD));
  const expected = sigs.map((sig, i) => ({ signature: base64(sig), verifier: base64([p256, other, ed25519][i]!.pem) }));
  assert.deepEqual(
    spec.signatures,
    expected.toSorted((a, b) => (a.signature < b.signature ? -1 : 1)),
  );
});

test("dsse: SHA-256 whatever the curve, and the curve's own hash too", () => {
  for (const [by, hash] of [
    [p256, "sha256"],
    [p384, "sha256"],
    [p384, "sha384"],
    [p521, "sha256"],
    [p521, "sha512"],
    [rsa, "sha256"],
    [ed25519, null],
  ] as const) {
    admitGood(dsse(envelopeOf(signPae(by, hash)), by));
    if (by !== p256 && by !== ed25519) admitGood(dsse(envelopeOf(signPae(by, hash), signPae(p256, "sha256")), by, p256));
  }
});

test("dsse: a signature keeps its spelling, the envelope its text", () => {
  const sig = signPae(p256, "sha256");
  const spelled = sig.toString("base64url");
  const envelope = envelopeOf(sig).replace(base64(sig), spelled).replace("{", "{ \n");
  const { spec } = body(admitGood({ ...dsse(envelope, p256) }));
  assert.equal(spec.envelopeHash.value, hexOf("sha256", envelope));
  assert.ok(spec.signatures[0].signature === spelled);
});

test("dsse: what nobody signed, what a stranger signed and keys that sign nothing are refused", () => {
  const mine = signPae(p256, "sha256");
  refused("SIGNATURE_INVALID", dsse(envelopeOf(mine), other));
  refused("ENTRY_REQUEST_INVALID", dsse(envelopeOf(mine), other, p256));
  refused("ENTRY_REQUEST_INVALID", dsse(envelopeOf(mine, signPae(ed25519, null)), p256, other));
  refused("SIGNATURE_INVALID", dsse(envelopeOf(mine, signPae(other, "sha256")), p256));
  refused("ENTRY_REQUEST_INVALID", dsse(envelopeOf(mine, mine), p256, other));
  refused("ENTRY_REQUEST_INVALID", dsse(envelopeOf(), p256));
  refused("ENTRY_REQUEST_INVALID", dsse(envelopeOf(mine)));
  refused("SIGNATURE_INVALID", dsse(envelopeOf(mine).replace(TYPE, "text/plain"), p256));
  refused("BAD_JSON", dsse(envelopeOf(mine).replace('"keyid":""', '"keyid":"","keyid":"a"'), p256));
  refused("BAD_JSON", dsse("not json", p256));
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(dsse(envelopeOf(mine), p256), (spec) => (spec.payloadHash = { algorithm: "sha256", value: "00".repeat(32) })),
  );
});

test("envelopes without a type, and signatures without a byte, are refused", () => {
  const untyped = Buffer.from("payload");
  const sig = sign("sha256", pae("", untyped), p256.privateKey);
  const envelope = JSON.stringify({ payloadType: "", payload: base64(untyped), signatures: [{ sig: base64(sig) }] });
  refused("ENTRY_REQUEST_INVALID", dsse(envelope, p256), /no payload type/);
  const old = intoto2(p256, sig);
  old.spec.content.envelope = { ...old.spec.content.envelope, payloadType: "", payload: base64(base64(untyped)) };
  refused("ENTRY_REQUEST_INVALID", old, /no payload type/);
  refused("ENTRY_REQUEST_INVALID", dsse(envelopeOf(signPae(p256, "sha256"), new Uint8Array(0)), p256), /empty signature/);
  refused(
    "BAD_BASE64",
    changed(intoto2(), ({ content }) => (content.envelope.signatures[0].sig = base64("===="))),
  );
});

test("keys that the registry has no size for are refused before anything is verified", () => {
  const odd = signer(generateKeyPairSync("rsa", { modulusLength: 2560 }));
  refused(["ALGORITHM_UNKNOWN", "KEY_INVALID"], dsse(envelopeOf(signPae(odd, "sha256")), odd));
  refused(["ALGORITHM_UNKNOWN", "KEY_INVALID"], rekord(odd, "sha256"));
  refused(["ALGORITHM_UNKNOWN", "KEY_INVALID"], hashedrekord(odd, "sha256"));
});

test("dsse: work is bounded by the number of signatures and verifiers", () => {
  const many = Array.from({ length: 11 }, () => signPae(p256, "sha256"));
  refused("TOO_LARGE", dsse(envelopeOf(...many), p256));
  refused("TOO_LARGE", dsse(envelopeOf(many[0]!), ...Array.from({ length: 11 }, () => p256)));
});

test("intoto 0.0.1: hashes of envelope and payload, and the key that signed", () => {
  const envelope = envelopeOf(signPae(p256, "sha256"));
  const admitted = admitGood(intoto1(envelope));
  assert.deepEqual(body(admitted).spec, {
    content: {
      hash: { algorithm: "sha256", value: hexOf("sha256", envelope) },
      payloadHash: { algorithm: "sha256", value: hexOf("sha256", PAYLOAD) },
    },
    publicKey: base64(p256.pem),
  });
  assert.deepEqual(Buffer.from(admitted.attestation!), PAYLOAD);
  admitGood(intoto1(envelopeOf(signPae(other, "sha256"), signPae(p256, "sha256"))));
  refused("SIGNATURE_INVALID", intoto1(envelope, other));
  refused("ENTRY_REQUEST_INVALID", intoto1(envelopeOf(signPae(p256, "sha256"), signPae(ed25519, null)), other));
});

test("intoto 0.0.2: the payload goes, hash and key ids stay as they were sent", () => {
  const admitted = admitGood(changed(intoto2(), ({ content }) => (content.envelope.signatures[0].keyid = "SHA256:abc")));
  const { envelope, hash, payloadHash } = body(admitted).spec.content;
  assert.deepEqual(Object.keys(envelope), ["payloadType", "signatures"]);
  assert.deepEqual(Object.keys(envelope.signatures[0]), ["keyid", "publicKey", "sig"]);
  assert.deepEqual([hash.value, payloadHash.value], ["ab".repeat(32), hexOf("sha256", PAYLOAD)]);
  assert.deepEqual(Object.keys(body(admitGood(intoto2())).spec.content.envelope.signatures[0]), ["publicKey", "sig"]);
  assert.deepEqual(
    Buffer.from(decodeEntry(admitted.body, "intoto", "0.0.2").signatures[0]!.signature!),
    Buffer.from(Buffer.from(envelope.signatures[0].sig, "base64").toString(), "base64"),
  );
  refused("SIGNATURE_INVALID", intoto2(other));
  refused(
    "BAD_JSON",
    changed(intoto2(), ({ content }) => delete content.hash),
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(intoto2(), ({ content }) => (content.envelope.signatures = [])),
  );
  refused(
    "BAD_BASE64",
    changed(intoto2(), ({ content }) => (content.envelope.payload = base64("{not base64}"))),
  );
});

test("rekord: the artifact is hashed and goes; the signature is over it", () => {
  for (const [by, hash] of [
    [p256, "sha256"],
    [p384, "sha384"],
    [rsa, "sha256"],
    [ed25519, null],
  ] as const) {
    const { spec } = body(admitGood(rekord(by, hash)));
    assert.deepEqual(spec.data, { hash: { algorithm: "sha256", value: hexOf("sha256", DATA) } });
    assert.deepEqual(Object.keys(spec.signature), ["content", "format", "publicKey"]);
  }
  refused(
    "SIGNATURE_INVALID",
    changed(rekord(), ({ data }) => (data.content = base64("other"))),
  );
  refused(
    "ENTRY_REQUEST_INVALID",
    changed(rekord(), ({ data }) => (data.hash = { algorithm: "sha256", value: "00".repeat(32) })),
  );
  refused(
    "BAD_JSON",
    changed(
      rekord(),
      (spec) => (spec.data = { hash: { algorithm: "sha256", value: hexOf("sha256", DATA) }, url: "http://localhost/x" }),
    ),
  );
  for (const format of ["pgp", "minisign", "ssh", "tuf"])
    refused(
      "ENTRY_REQUEST_INVALID",
      changed(rekord(), ({ signature }) => (signature.format = format)),
    );
});

test("rfc3161: a token is logged as it is, a broken one is not", () => {
  const dir = mkdtempSync(join(tmpdir(), "lacre-tsr-"));
  try {
    const openssl = (...args: readonly string[]): Buffer =>
      execFileSync("openssl", args, { cwd: dir, stdio: ["ignore", "pipe", "ignore"] });
    writeFileSync(
      join(dir, "conf"),
      "[req]\ndistinguished_name=dn\n[dn]\n[ext]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n[tsa]\ndefault_tsa=one\n[one]\nserial=serial\ncrypto_device=builtin\nsigner_digest=sha256\ndefault_policy=1.2.3\ndigests=sha256\naccuracy=secs:1\ness_cert_id_alg=sha256\n",
    );
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key");
    openssl(
      "req",
      "-x509",
      "-new",
      "-key",
      "key",
      "-subj",
      "/CN=clock",
      "-days",
      "9",
      "-config",
      "conf",
      "-extensions",
      "ext",
      "-out",
      "cert",
    );
    writeFileSync(join(dir, "data"), DATA);
    const reply = (...more: readonly string[]): Buffer => {
      openssl("ts", "-query", "-data", "data", "-sha256", ...more, "-out", "tsq");
      openssl(
        "ts",
        "-reply",
        "-queryfile",
        "tsq",
        "-config",
        "conf",
        "-section",
        "one",
        "-inkey",
        "key",
        "-signer",
        "cert",
        "-out",
        "tsr",
      );
      return readFileSync(join(dir, "tsr"));
    };
    const rfc3161 = (tsr: Uint8Array): Loose => ({
      apiVersion: "0.0.1",
      kind: "rfc3161",
      spec: { tsr: { content: base64(tsr) } },
    });
    for (const tsr of [reply("-cert"), reply()])
      assert.deepEqual(body(admitGood(rfc3161(tsr))).spec, { tsr: { content: base64(tsr) } });
    const forged = Buffer.from(reply("-cert"));
    forged[forged.length - 1]! ^= 1;
    refused(["TIMESTAMP_INVALID", "BAD_DER"], rfc3161(forged));
    refused(["TIMESTAMP_INVALID", "BAD_DER", "TRUNCATED"], rfc3161(reply().subarray(0, 50)));
    refused("ENTRY_REQUEST_INVALID", rfc3161(new Uint8Array(0)));
    refused("TOO_LARGE", rfc3161(Buffer.alloc(10_241, 0x30)));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("kinds and versions that are not logged here are named", () => {
  for (const [kind, apiVersion] of [
    ["helm", "0.0.1"],
    ["jar", "0.0.1"],
    ["rpm", "0.0.1"],
    ["alpine", "0.0.1"],
    ["tuf", "0.0.1"],
    ["cose", "0.0.1"],
    ["hashedrekord", "0.0.2"],
    ["intoto", "0.0.3"],
  ]) {
    refused("ENTRY_UNSUPPORTED", { kind, apiVersion, spec: {} });
  }
});

test("an entry that no bundle can hold is refused", () => {
  const sig = signPae(p256, "sha256");
  refused(
    "TOO_LARGE",
    changed(intoto2(p256, sig), ({ content }) => (content.envelope.signatures[0].keyid = "k".repeat(66_000))),
  );
});

// The published faults of Rekor's parsers (nil entries, empty messages, huge and deep input): whatever stands in the place
// of any value, the answer is a LacreError.
test("any value in the place of any other is a refusal, never a crash", () => {
  const samples: readonly Loose[] = [
    hashedrekord(p256, "sha256"),
    dsse(envelopeOf(signPae(p256, "sha256")), p256),
    intoto1(envelopeOf(signPae(p256, "sha256"))),
    intoto2(),
    rekord(),
    { apiVersion: "0.0.1", kind: "rfc3161", spec: { tsr: { content: "MAA=" } } },
  ];
  const bad: readonly Json[] = [
    null,
    true,
    0,
    -1,
    1e300,
    "",
    "\u0000",
    "====",
    "MAA=",
    base64("{}"),
    base64("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"),
    "a".repeat(5000),
    [],
    [null],
    [[]],
    {},
    { content: null },
    { "": {} },
  ];
  const paths = (value: Json, path: readonly string[] = []): readonly (readonly string[])[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => [[...path, name], ...paths(inner as Json, [...path, name])])
      : [];
  for (const sample of samples) {
    for (const path of paths(sample)) {
      for (const value of bad) {
        const broken = structuredClone(sample);
        const last = path.at(-1)!;
        const holder = path.slice(0, -1).reduce((at: Loose, name) => at[name], broken);
        if (holder[last] === value) continue;
        holder[last] = value;
        try {
          checkAll(admitProposed(broken));
        } catch (error) {
          assert.ok(error instanceof LacreError, `${path.join(".")}: ${String(error)}`);
        }
      }
    }
  }
});

test("random JSON is refused in words", () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom("hashedrekord", "dsse", "intoto", "rekord", "rfc3161"),
      fc.constantFrom("0.0.1", "0.0.2"),
      (spec, kind, apiVersion) => {
        try {
          admitProposed(JSON.parse(JSON.stringify({ kind, apiVersion, spec })));
          return false;
        } catch (error) {
          return error instanceof LacreError;
        }
      },
    ),
  );
});
