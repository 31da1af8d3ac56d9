// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign, X509Certificate, type KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { decodeBundle, type BundleContent } from "../bundle/index.ts";
import { fromBase64, text, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { canonicalJson, formatPem, pae, parseJson, parsePem, type Json } from "../codec/index.ts";
import { checkSignature, importPublicKey, sha256, type HashName, type PublicKey } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { hashLeaf } from "../merkle/index.ts";
import { decodeCertificate } from "../x509/index.ts";
import { admitRequest, checkEntryMatches, decodeEntry, type EntryEvidence } from "./index.ts";

type Loose = any; // oxlint-disable-line no-explicit-any -- tests break documents on purpose

function refuses(code: LacreCode | readonly LacreCode[], run: () => unknown, message?: string): void {
  const codes = typeof code === "string" ? [code] : code;
  assert.throws(run, (error) => error instanceof LacreError && codes.includes(error.code), message);
}

// The vectors that were made for this project: one signature over "lacre\n", and its bodies in both dialects.
const SPKI = fromBase64(
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA==",
);
const KEY = importPublicKey(SPKI);
const SIGNATURE = fromBase64("MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=");
const BODY_V1 =
  '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"6221d61fdb870e48655996ed4278171b093e3d8079dc4b8ab6c6550655ab4231"}},"signature":{"content":"MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=","publicKey":{"content":"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFQWhmbUYvQzJSRGtvSjQrV21aNXBvanBQTEJVcgozMjFzMzJibHVBS0MxTzBaU24zcnk1ZHhMUzNhUEtoYXFIWmFWdlJmeDFoWmxsTHlpWHhsTUc1WGxBPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}}}}';
const BODY_V2 =
  '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"YiHWH9uHDkhlWZbtQngXGwk+PYB53EuKtsZVBlWrQjE="},"signature":{"content":"MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA=="}}}}}}';
const ARTIFACT = utf8("lacre\n");

const digests = (data: Uint8Array): Map<HashName, Uint8Array> =>
  new Map(
    (["sha256", "sha384", "sha512"] as const).map((name) => [name, new Uint8Array(createHash(name).update(data).digest())]),
  );
const message: BundleContent = { kind: "message", digest: undefined, signature: SIGNATURE };
const good: EntryEvidence = { content: message, artifact: digests(ARTIFACT), certificate: undefined, key: KEY };

function request(): Loose {
  return {
    hashedRekordRequestV002: {
      digest: toBase64(sha256(ARTIFACT)),
      signature: {
        content: toBase64(SIGNATURE),
        verifier: { publicKey: { rawBytes: toBase64(SPKI) }, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
      },
    },
  };
}
function checkAll(admitted: ReturnType<typeof admitRequest>): void {
  for (const { algorithm, key, signed, signature } of admitted.checks) checkSignature(algorithm, key, signed, signature);
}

// A certificate of the public instance, taken from the conformance cases where they are at hand.
const VECTORS = new URL("../../../../../shared/vectors/bundle-verify/", import.meta.url);
function vectorBundle(name: string): ReturnType<typeof decodeBundle> | undefined {
  const file = new URL(`${name}/bundle.sigstore.json`, VECTORS);
  return existsSync(file) ? decodeBundle(readFileSync(file)) : undefined;
}

test("a request becomes the published leaf, with the signature to check", () => {
  const admitted = admitRequest(request());
  assert.equal(text(admitted.body), BODY_V2);
  assert.equal(toHex(hashLeaf(sha256, admitted.body)), "3a64cb9531071b4f27a77567108161e3063bef4799aab5f3c30cb0eda4ab9ae3");
  assert.deepEqual([admitted.kind, admitted.version, admitted.checks.length], ["hashedrekord", "0.0.2", 1]);
  checkAll(admitted);
  assert.equal(toHex(hashLeaf(sha256, utf8(BODY_V1))), "9fcece0a187dad74cdb653467c95ed9aad37a377741a8495495e0704919349a3");
});

test("bodies by template are canonical JSON", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const hashed = admitRequest({
    hashedRekordRequestV002: {
      digest: toBase64(digests(ARTIFACT).get("sha384")!),
      signature: {
        content: toBase64(sign("sha384", ARTIFACT, privateKey)),
        verifier: { publicKey: { rawBytes: toBase64(spki) }, keyDetails: "PKIX_ECDSA_P384_SHA_384" },
      },
    },
  });
  assert.match(text(hashed.body), /SHA2_384/);
  checkAll(hashed);
  for (const { body } of [hashed, admitRequest(request()), admitRequest(envelopeRequest(signers(3)))]) {
    assert.equal(text(body), canonicalJson(parseJson(body)));
  }
});

test("takes both spellings, every base64, and enums by number", () => {
  const spelled = JSON.parse(
    JSON.stringify(request())
      .replaceAll("hashedRekordRequestV002", "hashed_rekord_request_v002")
      .replaceAll("publicKey", "public_key")
      .replaceAll("rawBytes", "raw_bytes")
      .replaceAll("keyDetails", "key_details"),
  ) as Loose;
  assert.equal(text(admitRequest(spelled).body), BODY_V2);
  const inner = spelled.hashed_rekord_request_v002;
  inner.signature.verifier.key_details = 5;
  inner.digest = inner.digest.replace("=", "");
  inner.signature.content = inner.signature.content.replaceAll("+", "-").replaceAll("/", "_");
  assert.equal(text(admitRequest(spelled).body), BODY_V2);
});

test("refuses unknown members at every level", () => {
  for (const at of [
    (r: Loose) => r,
    (r: Loose) => r.hashedRekordRequestV002,
    (r: Loose) => r.hashedRekordRequestV002.signature,
    (r: Loose) => r.hashedRekordRequestV002.signature.verifier,
    (r: Loose) => r.hashedRekordRequestV002.signature.verifier.publicKey,
  ]) {
    const changed = request();
    at(changed).extra = null;
    refuses("BAD_JSON", () => admitRequest(changed));
  }
  for (const at of [
    (r: Loose) => r.dsseRequestV002,
    (r: Loose) => r.dsseRequestV002.envelope,
    (r: Loose) => r.dsseRequestV002.envelope.signatures[0],
    (r: Loose) => r.dsseRequestV002.verifiers[0],
  ]) {
    const changed = envelopeRequest(signers(1));
    at(changed).extra = 1;
    refuses("BAD_JSON", () => admitRequest(changed));
  }
});

test("wants exactly one type of request", () => {
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest({}));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest({ hashedRekordRequestV002: null }));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest({ ...request(), ...envelopeRequest(signers(1)) }));
  refuses("BAD_JSON", () => admitRequest({ ...request(), hashed_rekord_request_v002: {} }));
  for (const other of [null, [], "x", 1] as Json[]) refuses("BAD_JSON", () => admitRequest(other));
});

test("digest, key and algorithm of a request agree", () => {
  const change = (edit: (r: Loose) => unknown): Loose => {
    const changed = request();
    edit(changed.hashedRekordRequestV002);
    return changed;
  };
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.digest = toBase64(new Uint8Array(31))))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.digest = toBase64(new Uint8Array(48))))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.digest = ""))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.signature.content = ""))));
  for (const wrong of ["PKIX_ECDSA_P384_SHA_384", "PKIX_ED25519_PH", "PKIX_RSA_PKCS1V15_2048_SHA256", 12])
    refuses("KEY_INVALID", () => admitRequest(change((r) => (r.signature.verifier.keyDetails = wrong))));
  for (const wrong of [
    "PKIX_ED25519",
    "PKIX_RSA_PSS_2048_SHA256",
    "PKIX_ECDSA_P384_SHA_256",
    "ML_DSA_44",
    "X",
    "",
    7,
    99,
    0.5,
    0,
  ])
    refuses("ALGORITHM_UNKNOWN", () => admitRequest(change((r) => (r.signature.verifier.keyDetails = wrong))));
  refuses("BAD_JSON", () => admitRequest(change((r) => delete r.signature.verifier.keyDetails)));
  refuses("BAD_JSON", () => admitRequest(change((r) => delete r.digest)));
  refuses("BAD_JSON", () => admitRequest(change((r) => delete r.signature)));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => delete r.signature.verifier.publicKey)));
  refuses("ENTRY_REQUEST_INVALID", () =>
    admitRequest(change((r) => (r.signature.verifier.x509Certificate = { rawBytes: toBase64(SPKI) }))),
  );
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.signature.verifier.publicKey.rawBytes = ""))));
  // A key where a certificate belongs, and junk where a key belongs.
  refuses(["BAD_DER", "CERT_INVALID"], () =>
    admitRequest(
      change(
        (r) => (r.signature.verifier = { x509Certificate: { rawBytes: toBase64(SPKI) }, keyDetails: "PKIX_ECDSA_P256_SHA_256" }),
      ),
    ),
  );
  refuses("BAD_DER", () =>
    admitRequest(change((r) => (r.signature.verifier.publicKey.rawBytes = toBase64(Uint8Array.of(...SPKI, 0))))),
  );
});

test("a request with a certificate carries its octets and is checked with its key", (t) => {
  const bundle = vectorBundle("rekor2-happy-path");
  if (bundle === undefined) return t.diagnostic("the conformance cases are not at hand");
  assert.ok(bundle.key.kind === "certificate" && bundle.content.kind === "message");
  const [der] = bundle.key.chain;
  const admitted = admitRequest({
    hashedRekordRequestV002: {
      digest: toBase64(bundle.content.digest!.value),
      signature: {
        content: toBase64(bundle.content.signature),
        verifier: { x509Certificate: { rawBytes: toBase64(der!) }, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
      },
    },
  });
  assert.equal(text(admitted.body), text(bundle.logEntries[0]!.canonicalizedBody));
  checkAll(admitted);
});

test("a body that no tile can hold is refused", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const big = (octets: number): Loose => ({
    hashedRekordRequestV002: {
      digest: toBase64(sha256(ARTIFACT)),
      signature: {
        content: toBase64(new Uint8Array(octets)),
        verifier: {
          publicKey: { rawBytes: toBase64(publicKey.export({ type: "spki", format: "der" })) },
          keyDetails: "PKIX_ECDSA_P256_SHA_256",
        },
      },
    },
  });
  assert.ok(privateKey);
  const room = 65_535 - admitRequest(big(3)).body.length + 4;
  const octets = Math.floor(room / 4) * 3;
  assert.ok(admitRequest(big(octets)).body.length > 65_531);
  refuses("TOO_LARGE", () => admitRequest(big(octets + 3)));
});

// Envelopes

interface Signer {
  readonly key: KeyObject;
  readonly spki: Uint8Array;
  readonly keyDetails: string;
  readonly hash: string | null;
}
function signers(count: number): Signer[] {
  return Array.from({ length: count }, (_, i): Signer => {
    const pair =
      i === 1 ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: i === 2 ? "P-521" : "P-256" });
    return {
      key: pair.privateKey,
      spki: pair.publicKey.export({ type: "spki", format: "der" }),
      keyDetails: i === 1 ? "PKIX_ED25519" : i === 2 ? "PKIX_ECDSA_P521_SHA_512" : "PKIX_ECDSA_P256_SHA_256",
      hash: i === 1 ? null : i === 2 ? "sha512" : "sha256",
    };
  });
}
const PAYLOAD = utf8('{"_type":"x"}');
const TYPE = "application/vnd.in-toto+json";
function envelopeRequest(by: readonly Signer[], type = TYPE): Loose {
  const encoded = Buffer.from(pae(type, PAYLOAD));
  return {
    dsseRequestV002: {
      envelope: {
        payload: toBase64(PAYLOAD),
        payloadType: type,
        signatures: by.map(({ key, hash }) => ({ sig: toBase64(sign(hash, encoded, key)), keyid: "" })),
      },
      verifiers: by.map(({ spki, keyDetails }) => ({ publicKey: { rawBytes: toBase64(spki) }, keyDetails })),
    },
  };
}

test("an envelope becomes a dsse entry, its signature checked over the encoding", () => {
  for (const type of [TYPE, "text/ünicode"]) {
    const admitted = admitRequest(envelopeRequest(signers(1), type));
    assert.deepEqual([admitted.kind, admitted.version], ["dsse", "0.0.2"]);
    assert.equal(admitted.checks.length, 1);
    checkAll(admitted);
    const facts = decodeEntry(admitted.body, "dsse", "0.0.2");
    assert.deepEqual(facts.payloadHash, { algorithm: "sha256", value: sha256(PAYLOAD) });
    assert.equal(facts.signatures.length, 1);
  }
});

test("several verifiers are told apart by what they verify; signatures are sorted by their octets", () => {
  const by = signers(3);
  const sent = envelopeRequest(by);
  sent.dsseRequestV002.verifiers.reverse();
  const admitted = admitRequest(sent);
  const facts = decodeEntry(admitted.body, "dsse", "0.0.2");
  const hexes = facts.signatures.map(({ signature }) => toHex(signature!));
  assert.deepEqual(hexes, hexes.toSorted());
  for (const { signature, verifier, keyDetails } of facts.signatures) {
    const i = sent.dsseRequestV002.envelope.signatures.findIndex(({ sig }: { sig: string }) => sig === toBase64(signature!));
    assert.deepEqual(verifier.der, new Uint8Array(by[i]!.spki));
    assert.equal(keyDetails, by[i]!.keyDetails);
  }
});

test("every signature needs a verifier, every verifier that is tried a signature", () => {
  const by = signers(2);
  const change = (edit: (r: Loose) => unknown): Loose => {
    const changed = envelopeRequest(by);
    edit(changed.dsseRequestV002);
    return changed;
  };
  admitRequest(change(() => undefined));
  // One verifier: its checks are handed out, and fail.
  refuses("SIGNATURE_INVALID", () => checkAll(admitRequest(change((r) => r.verifiers.pop()))));
  const stranger = envelopeRequest(signers(1)).dsseRequestV002.verifiers[0];
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => r.verifiers.unshift(stranger))));
  refuses("ENTRY_REQUEST_INVALID", () =>
    admitRequest(
      change((r) => {
        r.verifiers[1] = stranger;
      }),
    ),
  );
  admitRequest(change((r) => r.verifiers.push(stranger)));
  const three = envelopeRequest(signers(3));
  three.dsseRequestV002.verifiers.pop();
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(three));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => r.envelope.signatures.push(r.envelope.signatures[0]))));
});

test("an envelope's request has its parts and its bounds", () => {
  const change = (edit: (r: Loose) => unknown): Loose => {
    const changed = envelopeRequest(signers(1));
    edit(changed.dsseRequestV002);
    return changed;
  };
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.envelope.payload = ""))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.envelope.payloadType = ""))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.envelope.signatures = []))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => delete r.envelope.signatures)));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.verifiers = []))));
  refuses("ENTRY_REQUEST_INVALID", () => admitRequest(change((r) => (r.envelope.signatures[0].sig = ""))));
  refuses("BAD_JSON", () => admitRequest(change((r) => (r.envelope.signatures[0].keyid = 1))));
  refuses("BAD_JSON", () => admitRequest(change((r) => delete r.envelope)));
  refuses("ALGORITHM_UNKNOWN", () => admitRequest(change((r) => (r.verifiers[0].keyDetails = "PKIX_ED25519_PH"))));
  refuses("TOO_LARGE", () => admitRequest(change((r) => (r.verifiers = Array(11).fill(r.verifiers[0])))));
  refuses("TOO_LARGE", () =>
    admitRequest(
      change((r) => (r.envelope.signatures = Array.from({ length: 11 }, (_, i) => ({ sig: toBase64(Uint8Array.of(i)) })))),
    ),
  );
  assert.equal(
    admitRequest(
      change((r) => (r.envelope.signatures = Array.from({ length: 10 }, (_, i) => ({ sig: toBase64(Uint8Array.of(i)) })))),
    ).checks.length,
    10,
  );
});

// Reading

test("reads both dialects of hashedrekord into the same facts", () => {
  const one = decodeEntry(utf8(BODY_V1), "hashedrekord", "0.0.1");
  const two = decodeEntry(utf8(BODY_V2), "hashedrekord", "0.0.2");
  assert.deepEqual(one.digest, { algorithm: "sha256", value: sha256(ARTIFACT) });
  assert.deepEqual(two.digest, one.digest);
  assert.deepEqual(one.signatures, [{ signature: SIGNATURE, verifier: { kind: "publicKey", der: SPKI }, keyDetails: undefined }]);
  assert.deepEqual(two.signatures, [
    { signature: SIGNATURE, verifier: { kind: "publicKey", der: SPKI }, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
  ]);
  checkEntryMatches(one, good);
  checkEntryMatches(two, good);
});

test("the body must be of the kind and version that the entry states, and these be known", () => {
  refuses("ENTRY_INVALID", () => decodeEntry(utf8(BODY_V1), "hashedrekord", "0.0.2"));
  refuses("ENTRY_INVALID", () => decodeEntry(utf8(BODY_V1), "dsse", "0.0.1"));
  refuses("ENTRY_INVALID", () =>
    decodeEntry(utf8(BODY_V1.replace('"apiVersion":"0.0.1"', '"apiVersion":"0.0.2"')), "hashedrekord", "0.0.1"),
  );
  for (const [kind, version] of [
    ["rekord", "0.0.1"],
    ["hashedrekord", "0.0.3"],
    ["intoto", "0.0.3"],
    ["", ""],
    ["__proto__", "0.0.1"],
  ] as const) {
    refuses("ENTRY_UNSUPPORTED", () => decodeEntry(utf8(BODY_V1), kind, version));
  }
});

interface Case {
  readonly kind: string;
  readonly version: string;
  readonly body: Loose;
  readonly evidence: EntryEvidence;
}

const ENVELOPE: BundleContent = { kind: "dsse", payload: PAYLOAD, payloadType: TYPE, signature: SIGNATURE, keyid: "" };
const PEM = toBase64(utf8(formatPem("PUBLIC KEY", SPKI)));
const twice = (bytes: Uint8Array): string => toBase64(utf8(toBase64(bytes)));
const hex256 = (data: Uint8Array): Loose => ({ algorithm: "sha256", value: toHex(sha256(data)) });
const dsseEvidence: EntryEvidence = { ...good, content: ENVELOPE, artifact: undefined };

/** One good entry of each kind, as fresh objects. */
function cases(): Case[] {
  return [
    { kind: "hashedrekord", version: "0.0.1", body: JSON.parse(BODY_V1), evidence: good },
    { kind: "hashedrekord", version: "0.0.2", body: JSON.parse(BODY_V2), evidence: good },
    {
      kind: "dsse",
      version: "0.0.1",
      evidence: dsseEvidence,
      body: {
        apiVersion: "0.0.1",
        kind: "dsse",
        spec: {
          envelopeHash: hex256(utf8("anything")),
          payloadHash: hex256(PAYLOAD),
          signatures: [{ signature: toBase64(SIGNATURE), verifier: PEM }],
        },
      },
    },
    {
      kind: "dsse",
      version: "0.0.2",
      evidence: dsseEvidence,
      body: {
        apiVersion: "0.0.2",
        kind: "dsse",
        spec: {
          dsseV002: {
            payloadHash: { algorithm: "SHA2_256", digest: toBase64(sha256(PAYLOAD)) },
            signatures: [
              {
                content: toBase64(SIGNATURE),
                verifier: { keyDetails: "PKIX_ECDSA_P256_SHA_256", publicKey: { rawBytes: toBase64(SPKI) } },
              },
            ],
          },
        },
      },
    },
    {
      kind: "intoto",
      version: "0.0.2",
      evidence: dsseEvidence,
      body: {
        apiVersion: "0.0.2",
        kind: "intoto",
        spec: {
          content: {
            envelope: {
              payload: twice(PAYLOAD),
              payloadType: TYPE,
              signatures: [{ keyid: "", publicKey: PEM, sig: twice(SIGNATURE) }],
            },
            hash: hex256(utf8("anything")),
            payloadHash: hex256(PAYLOAD),
          },
        },
      },
    },
  ];
}
const match = ({ kind, version, body, evidence }: Case): void =>
  checkEntryMatches(decodeEntry(utf8(JSON.stringify(body)), kind, version), evidence);

test("an entry of each kind matches its own bundle", () => {
  for (const entry of cases()) match(entry);
  const bare = cases()[4]!;
  delete bare.body.spec.content.envelope.payload;
  delete bare.body.spec.content.envelope.signatures[0].keyid;
  match(bare);
});

test("an entry of each kind is refused for another signature", () => {
  const other = SIGNATURE.with(20, SIGNATURE[20]! ^ 1);
  for (const signature of [other, SIGNATURE.subarray(1), new Uint8Array(0), Uint8Array.of(...SIGNATURE, 0)]) {
    for (const entry of cases()) {
      refuses(
        "ENTRY_MISMATCH",
        () => match({ ...entry, evidence: { ...entry.evidence, content: { ...entry.evidence.content, signature } } }),
        `${entry.kind} ${entry.version}`,
      );
    }
  }
});

test("an entry of each kind is refused for another artifact or payload", () => {
  for (const entry of cases()) {
    const { content } = entry.evidence;
    const evidence: EntryEvidence =
      content.kind === "message"
        ? { ...entry.evidence, artifact: digests(utf8("other")) }
        : { ...entry.evidence, content: { ...content, payload: utf8("{}") } };
    refuses("ENTRY_MISMATCH", () => match({ ...entry, evidence }), `${entry.kind} ${entry.version}`);
  }
});

test("an entry of each kind is refused for another key, and for a certificate in place of a key", () => {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = importPublicKey(pair.publicKey.export({ type: "spki", format: "der" }));
  for (const entry of cases()) {
    refuses("ENTRY_MISMATCH", () => match({ ...entry, evidence: { ...entry.evidence, key } }), `${entry.kind} ${entry.version}`);
    // The same octets, but called a certificate.
    refuses(
      "ENTRY_MISMATCH",
      () => match({ ...entry, evidence: { ...entry.evidence, certificate: SPKI } }),
      `${entry.kind} ${entry.version}`,
    );
  }
});

test("entries with certificates match that certificate alone", () => {
  const certificate = Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x05);
  const pem = toBase64(utf8(formatPem("CERTIFICATE", certificate)));
  const source = (entry: Case): string =>
    JSON.stringify(entry.body)
      .replaceAll(PEM, pem)
      .replace('"publicKey":{"rawBytes"', '"x509Certificate":{"rawBytes"')
      .replace(`"rawBytes":"${toBase64(SPKI)}"`, `"rawBytes":"${toBase64(certificate)}"`);
  for (const entry of cases()) {
    const body = JSON.parse(source(entry)) as Loose;
    match({ ...entry, body, evidence: { ...entry.evidence, certificate } });
    refuses("ENTRY_MISMATCH", () => match({ ...entry, body }));
    refuses("ENTRY_MISMATCH", () =>
      match({ ...entry, body, evidence: { ...entry.evidence, certificate: certificate.with(4, 6) } }),
    );
  }
  // A chain in PEM counts by its first certificate.
  const chain = toBase64(utf8(formatPem("CERTIFICATE", certificate) + formatPem("CERTIFICATE", certificate.with(4, 9))));
  const [first] = cases();
  first!.body.spec.signature.publicKey.content = chain;
  match({ ...first!, evidence: { ...good, certificate } });
  refuses("ENTRY_MISMATCH", () => match({ ...first!, evidence: { ...good, certificate: certificate.with(4, 9) } }));
});

test("kinds that record an envelope do not match a message, and the other way round only by digest", () => {
  for (const entry of cases()) {
    const evidence = entry.evidence.content.kind === "dsse" ? good : { ...dsseEvidence, artifact: good.artifact };
    refuses("ENTRY_MISMATCH", () => match({ ...entry, evidence }), `${entry.kind} ${entry.version}`);
  }
});

test("hashedrekord over an envelope records the digest of its encoding", () => {
  const encoded = pae(TYPE, PAYLOAD);
  const [one, two] = cases();
  one!.body.spec.data.hash.value = toHex(sha256(encoded));
  two!.body.spec.hashedRekordV002.data.digest = toBase64(sha256(encoded));
  for (const entry of [one!, two!]) {
    match({ ...entry, evidence: dsseEvidence });
    refuses("ENTRY_MISMATCH", () =>
      match({ ...entry, evidence: { ...dsseEvidence, content: { ...ENVELOPE, payloadType: "text/plain" } } }),
    );
    // The digest of the payload alone is not what was signed.
    refuses("ENTRY_MISMATCH", () =>
      match({ ...entry, evidence: { ...dsseEvidence, content: { ...ENVELOPE, payload: encoded } } }),
    );
  }
});

test("the stated algorithm fits the key, and its hash is the digest's", () => {
  for (const keyDetails of ["PKIX_ECDSA_P384_SHA_384", "PKIX_ED25519", "PKIX_ED25519_PH", "X", ""]) {
    const [, two, , four] = cases();
    two!.body.spec.hashedRekordV002.signature.verifier.keyDetails = keyDetails;
    four!.body.spec.dsseV002.signatures[0].verifier.keyDetails = keyDetails;
    refuses("ENTRY_MISMATCH", () => match(two!));
    refuses("ENTRY_MISMATCH", () => match(four!));
  }
  const [, two] = cases();
  two!.body.spec.hashedRekordV002.data = { algorithm: "SHA2_512", digest: toBase64(digests(ARTIFACT).get("sha512")!) };
  refuses("ENTRY_MISMATCH", () => match(two!));
  // Pure Ed25519 signs no digest: a hashedrekord entry that says so proves nothing.
  const ed = importPublicKey(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" }));
  const pure = cases()[1]!;
  pure.body.spec.hashedRekordV002.signature.verifier = { keyDetails: "PKIX_ED25519", publicKey: { rawBytes: toBase64(ed.spki) } };
  pure.body.spec.hashedRekordV002.data = { algorithm: "SHA2_512", digest: toBase64(digests(ARTIFACT).get("sha512")!) };
  refuses("ENTRY_MISMATCH", () => match({ ...pure, evidence: { ...good, key: ed } }));
  pure.body.spec.hashedRekordV002.signature.verifier.keyDetails = "PKIX_ED25519_PH";
  match({ ...pure, evidence: { ...good, key: ed } });
});

test("other hashes are compared with the artifact's digest of that hash; a missing one is said to be missing", () => {
  const [one] = cases();
  for (const algorithm of ["sha384", "sha512"] as const) {
    one!.body.spec.data.hash = { algorithm, value: toHex(digests(ARTIFACT).get(algorithm)!) };
    match(one!);
    refuses("ARTIFACT_DIGEST_MISSING", () =>
      match({ ...one!, evidence: { ...good, artifact: new Map([["sha256", sha256(ARTIFACT)]]) } }),
    );
  }
  refuses("ARTIFACT_MISSING", () => match({ ...one!, evidence: { ...good, artifact: undefined } }));
});

test("exactly one signature, as many recorded as compared", () => {
  for (const count of [0, 2]) {
    const [, , dsse1, dsse2, intoto] = cases();
    for (const [entry, list] of [
      [dsse1!, dsse1!.body.spec.signatures],
      [dsse2!, dsse2!.body.spec.dsseV002.signatures],
      [intoto!, intoto!.body.spec.content.envelope.signatures],
    ] as const) {
      list.push(list[0]);
      list.length = count;
      refuses("ENTRY_MISMATCH", () => match(entry));
    }
  }
});

test("intoto 0.0.1 is read, but proves nothing of a signature", () => {
  const read = (spec: Loose): ReturnType<typeof decodeEntry> =>
    decodeEntry(utf8(JSON.stringify({ apiVersion: "0.0.1", kind: "intoto", spec })), "intoto", "0.0.1");
  const content = { hash: hex256(PAYLOAD), payloadHash: hex256(PAYLOAD) };
  refuses("BAD_JSON", () => read({ content, publicKey: PEM, extra: 1 }));
  refuses("BAD_JSON", () => read({ content: { ...content, extra: 1 }, publicKey: PEM }));
  const facts = read({ content, publicKey: PEM });
  assert.deepEqual(facts.payloadHash!.value, sha256(PAYLOAD));
  refuses("ENTRY_UNSUPPORTED", () => checkEntryMatches(facts, dsseEvidence));
});

test("facts that record nothing of what was signed match nothing", () => {
  const facts = { ...decodeEntry(utf8(BODY_V2), "hashedrekord", "0.0.2"), digest: undefined };
  refuses("ENTRY_UNSUPPORTED", () => checkEntryMatches(facts, good));
});

test("intoto: another payload type, and a payload beside another hash, are refused", () => {
  const entry = cases()[4]!;
  refuses("ENTRY_MISMATCH", () =>
    match({ ...entry, evidence: { ...dsseEvidence, content: { ...ENVELOPE, payloadType: "text/plain" } } }),
  );
  entry.body.spec.content.envelope.payload = twice(utf8("{}"));
  refuses("ENTRY_INVALID", () => match(entry));
  entry.body.spec.content.envelope.payload = toBase64(PAYLOAD);
  refuses("BAD_BASE64", () => match(entry));
});

test("bodies are strict: every object refuses an unknown member and misses each of its own", () => {
  const optional = new Set(["payload", "keyid"]);
  const walk = (value: Loose, visit: (object: Loose) => void): void => {
    if (typeof value !== "object" || value === null) return;
    if (!Array.isArray(value)) visit(value);
    Object.values(value).forEach((member) => walk(member, visit));
  };
  const codes: LacreCode[] = ["BAD_JSON", "ENTRY_INVALID", "ENTRY_MISMATCH"];
  for (const entry of cases()) {
    walk(entry.body, (object) => {
      object["extra"] = 1;
      refuses("BAD_JSON", () => match(entry), JSON.stringify(entry.body));
      delete object["extra"];
      for (const name of Object.keys(object)) {
        if (optional.has(name)) continue;
        const kept = object[name];
        for (const wrong of [undefined, null, 1, "\ud800", [], {}]) {
          object[name] = wrong;
          refuses(codes, () => match(entry), `${name} ${JSON.stringify(wrong)} in ${JSON.stringify(entry.body)}`);
        }
        object[name] = kept;
      }
    });
    match(entry);
  }
});

test("digests and verifiers of a body have the forms of their kind", () => {
  const [one, two] = cases();
  const hash = one!.body.spec.data.hash;
  for (const wrong of [
    { algorithm: "sha1", value: "00".repeat(20) },
    { algorithm: "sha256", value: "00".repeat(31) },
    { algorithm: "SHA2_256", value: hash.value },
    { algorithm: "sha512", value: hash.value },
    { algorithm: "toString", value: "" },
  ]) {
    one!.body.spec.data.hash = wrong;
    refuses("ENTRY_INVALID", () => match(one!));
  }
  one!.body.spec.data.hash = { algorithm: "sha256", value: "zz" };
  refuses("BAD_HEX", () => match(one!));
  one!.body.spec.data.hash = hash;
  for (const [code, pem] of [
    ["ENTRY_INVALID", formatPem("EC PRIVATE KEY", SPKI)],
    ["ENTRY_INVALID", formatPem("PUBLIC KEY", SPKI) + formatPem("PUBLIC KEY", SPKI)],
    ["ENTRY_INVALID", formatPem("CERTIFICATE", SPKI) + formatPem("PUBLIC KEY", SPKI)],
    ["ENTRY_INVALID", formatPem("CERTIFICATE", SPKI).repeat(11)],
    ["BAD_PEM", "key"],
  ] as const) {
    one!.body.spec.signature.publicKey.content = toBase64(utf8(pem));
    refuses(code, () => match(one!), pem);
  }
  one!.body.spec.signature.publicKey.content = "/w==";
  refuses("BAD_UTF8", () => match(one!));
  two!.body.spec.hashedRekordV002.data.algorithm = "SHA2_384";
  refuses("ENTRY_INVALID", () => match(two!));
  const [, verifier] = cases();
  verifier!.body.spec.hashedRekordV002.signature.verifier.x509Certificate = { rawBytes: "AA==" };
  refuses("ENTRY_INVALID", () => match(verifier!));
});

test("the conformance cases: entries match where nothing about them is wrong", (t) => {
  if (!existsSync(VECTORS)) return t.diagnostic("the conformance cases are not at hand");
  const mismatched = new Set([
    "wrong-hashedrekord-entry_fail",
    "dsse-mismatch-envelope_fail",
    "rekor2-dsse-mismatch-sig_fail",
    "intoto-log-entry-mismatch_fail",
    "managed-key-wrong-key_fail",
    "dsse-invalid-sig_fail",
    "signature-mismatch_fail",
    "incorrect-public-key_fail",
  ]);
  const artifact = readFileSync(new URL("a.txt", VECTORS));
  const surprises: string[] = [];
  for (const folder of readdirSync(VECTORS)) {
    if (!existsSync(new URL(`${folder}/bundle.sigstore.json`, VECTORS))) continue;
    // Bundles that are refused, and one key file that is no key, are other rooms' cases.
    let bundle;
    let key: PublicKey;
    try {
      bundle = vectorBundle(folder)!;
      const [leaf] = bundle.key.kind === "certificate" ? bundle.key.chain : [];
      key =
        leaf === undefined
          ? importPublicKey(parsePem(readFileSync(new URL(`${folder}/key.pub`, VECTORS), "utf8")))
          : decodeCertificate(leaf).publicKey;
    } catch (error) {
      assert.ok(error instanceof LacreError);
      continue;
    }
    const certificate = bundle.key.kind === "certificate" ? bundle.key.chain[0] : undefined;
    if (certificate !== undefined)
      assert.equal(toHex(key.spki), toHex(new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" })));
    let outcome = "match";
    for (const entry of bundle.logEntries) {
      try {
        const facts = decodeEntry(entry.canonicalizedBody, entry.kind, entry.version);
        checkEntryMatches(facts, { content: bundle.content, artifact: digests(artifact), certificate, key });
      } catch (error) {
        assert.ok(error instanceof LacreError);
        outcome = error.code;
      }
    }
    if ((outcome === "match") === mismatched.has(folder)) surprises.push(`${folder}: ${outcome}`);
  }
  assert.deepEqual(surprises, []);
});
