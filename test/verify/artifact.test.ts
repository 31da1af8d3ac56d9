// SPDX-License-Identifier: Apache-2.0
/** The artifact and what is said about it: signatures, digests, statements (A5 and block J). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { der, pae } from "@lacre/core/codec";
import { hash, sha256, signMessage, algorithmOf, generateKey } from "@lacre/core/crypto";
import { ARTIFACT, flip, PREDICATE_TYPE, seal, type Mutable, type Recipe } from "../workshop/workshop.ts";
import { accepts, ask, assertRefused, assertVerified, judge, refuses, workshop, type Trial } from "./trial.ts";

const OTHER = utf8("something else\n");
const other: Trial["artifact"] = () => ({ digests: new Map(), message: OTHER });
const DSSE: Recipe = { content: "dsse" };

// A5.

refuses("a message without an artifact", { artifact: "none" }, "A5", "ARTIFACT_MISSING", {});
refuses(
  "a message without an artifact, also without claims",
  { artifact: "none", also: { checkClaims: false } },
  "A5",
  "ARTIFACT_MISSING",
  {},
);
refuses("a statement without an artifact", { recipe: DSSE, artifact: "none" }, "A5", "ARTIFACT_MISSING", { recipe: DSSE });
refuses("an artifact with no digest", { artifact: () => ({ digests: new Map() }) }, "A5", "ARTIFACT_MISSING");
refuses(
  "a digest of the wrong length",
  { artifact: () => ({ digests: new Map([["sha256", new Uint8Array(31)]]) }) },
  "A5",
  "ARTIFACT_DIGEST_MISSING",
);
refuses(
  "a digest of an unknown algorithm",
  { artifact: () => ({ digests: new Map([["sha1" as "sha256", new Uint8Array(20)]]) }) },
  "A5",
  "ARTIFACT_DIGEST_MISSING",
);
refuses(
  "a digest that Object's own members would name",
  { artifact: () => ({ digests: new Map([["constructor" as "sha256", new Uint8Array(1)]]) }) },
  "A5",
  "ARTIFACT_DIGEST_MISSING",
);
test("a statement without an artifact is verified if the policy says so, and says so", () => {
  const verdict = judge({ recipe: DSSE, artifact: "none", also: { checkClaims: false } });
  assertVerified(verdict);
  for (const id of ["A5", "J6"]) assert.equal(verdict.checks.find((check) => check.id === id)?.status, "assumed");
  assert.equal(verdict.artifact, undefined);
  assert.equal(verdict.predicateType, PREDICATE_TYPE);
});
test("an artifact that was not compared is not told", () => {
  const verdict = judge({ recipe: DSSE, artifact: other, also: { checkClaims: false } });
  assertVerified(verdict);
  assert.deepEqual(verdict.artifact, {});
});

// J4: the message.

const FLIPPED: Trial["artifact"] = (sealed) => ({ digests: new Map(), message: flip(sealed.artifact, 3) });
refuses("an artifact with one bit changed", { artifact: FLIPPED }, "J4", "ARTIFACT_MISMATCH");
refuses("another digest", { artifact: () => ({ digests: new Map([["sha256", sha256(OTHER)]]) }) }, "J4", "ARTIFACT_MISMATCH");
const WITHOUT_DIGEST: Recipe = { bundle: (bundle) => void delete bundle["messageSignature"]["messageDigest"] };
refuses(
  "another artifact, where the bundle states no digest",
  { recipe: WITHOUT_DIGEST, artifact: other },
  "G1",
  "ENTRY_MISMATCH",
  { recipe: WITHOUT_DIGEST },
);
refuses(
  "a signature over something else, logged and dated as this artifact's",
  { recipe: { signed: () => OTHER } },
  "J4",
  "SIGNATURE_INVALID",
);
refuses(
  "a signature over something else, by digest",
  { recipe: { signed: () => OTHER }, artifact: "digest" },
  "J4",
  "SIGNATURE_INVALID",
  { artifact: "digest" },
);
refuses(
  "a signature over the digest in place of the artifact",
  { recipe: { signed: (message) => sha256(message) } },
  "J4",
  "SIGNATURE_INVALID",
);
refuses(
  "a stated digest of another artifact",
  { recipe: { bundle: (bundle) => void (bundle["messageSignature"].messageDigest.digest = toBase64(sha256(OTHER))) } },
  "J4",
  "ARTIFACT_MISMATCH",
);
test("a stated digest of another artifact is never what is verified", () => {
  const verdict = judge({
    recipe: { bundle: (bundle) => void (bundle["messageSignature"].messageDigest.digest = toBase64(sha256(OTHER))) },
    artifact: other,
  });
  assertRefused(verdict, "G1", "ENTRY_MISMATCH");
});
accepts("a stated digest by another hash", {
  recipe: {
    bundle: (bundle) =>
      void (bundle["messageSignature"].messageDigest = { algorithm: "SHA2_512", digest: toBase64(hash("sha512", ARTIFACT)) }),
  },
});
refuses(
  "a stated digest by a hash that the given digests lack",
  {
    artifact: "digest",
    recipe: {
      bundle: (bundle) =>
        void (bundle["messageSignature"].messageDigest = { algorithm: "SHA2_512", digest: toBase64(hash("sha512", ARTIFACT)) }),
    },
  },
  "J4",
  "ARTIFACT_DIGEST_MISSING",
);
refuses(
  "a P-384 signature where only the SHA-256 digest is known",
  { recipe: { keyType: "P-384", dialect: "v2", ...WITHOUT_DIGEST }, artifact: "digest" },
  "G2",
  "ARTIFACT_DIGEST_MISSING",
  { recipe: { keyType: "P-384", dialect: "v2" } },
);

// J3: encodings of signatures. The log took whatever it was given.

interface Numbers {
  readonly r: bigint;
  readonly s: bigint;
}
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
function numbers(signature: Uint8Array): Numbers {
  const fields = der.openDer(signature);
  return { r: der.readUnsigned(fields.next()), s: der.readUnsigned(fields.next()) };
}
function encode({ r, s }: Numbers): Uint8Array {
  return der.sequence(der.integer(r), der.integer(s));
}
function raw({ r, s }: Numbers): Uint8Array {
  return Buffer.from([r, s].map((number) => number.toString(16).padStart(64, "0")).join(""), "hex");
}
const ENCODINGS: Readonly<Record<string, (signature: Uint8Array) => Uint8Array>> = {
  "as r and s without DER": (signature) => raw(numbers(signature)),
  "with a superfluous zero": (signature) => {
    const { s } = numbers(signature);
    const r = Uint8Array.of(0, 0, ...der.readIntegerBytes(der.openDer(signature).next()));
    return der.sequence(der.der(der.TAG.integer, r), der.integer(s));
  },
  "with a long length": (signature) => Uint8Array.of(0x30, 0x81, ...signature.subarray(1)),
  "with bytes behind": (signature) => Uint8Array.of(...signature, 0),
  "with r of zero": (signature) => encode({ ...numbers(signature), r: 0n }),
  "with s of zero": (signature) => encode({ ...numbers(signature), s: 0n }),
  "with s beyond the order": (signature) => encode({ ...numbers(signature), s: numbers(signature).s + ORDER }),
  "with r beyond the order": (signature) => encode({ ...numbers(signature), r: numbers(signature).r + ORDER }),
  "with a third number": (signature) =>
    der.sequence(der.integer(numbers(signature).r), der.integer(numbers(signature).s), der.integer(1)),
  "cut off": (signature) => signature.subarray(0, -1),
};
for (const [what, signature] of Object.entries(ENCODINGS)) {
  // Only a first-generation log writes down what is no DER: the other one reads it first.
  refuses(`a signature ${what}`, { recipe: { signature } }, "J3", "SIGNATURE_INVALID");
}
accepts("a signature with the other s", {
  recipe: { signature: (signature) => encode({ ...numbers(signature), s: ORDER - numbers(signature).s }) },
});
refuses("a P-384 signature with SHA-256", { recipe: legacy("P-384") }, "J2", "ALGORITHM_REFUSED", {
  recipe: { keyType: "P-384" },
});
for (const keyType of ["P-384", "P-521"] as const)
  accepts(`a ${keyType} signature with SHA-256 where the policy takes outdated pairings`, {
    recipe: legacy(keyType),
    also: { legacyHashes: true },
  });
accepts("a P-384 signature with its own hash where the policy takes outdated pairings", {
  recipe: { keyType: "P-384" },
  also: { legacyHashes: true },
});

/** As old clients signed: a large key, SHA-256, logged so. */
function legacy(keyType: "P-384" | "P-521"): Recipe {
  const key = generateKey(keyType);
  const algorithm = algorithmOf(`PKIX_ECDSA_${keyType.replace("-", "")}_SHA_256`);
  const signature = signMessage(algorithm, key, ARTIFACT);
  return {
    key,
    keyType,
    signature: () => signature,
    entry: (parts) => {
      const body = JSON.parse(parts.body) as Mutable;
      body["spec"].data.hash = { algorithm: "sha256", value: toHex(sha256(ARTIFACT)) };
      parts.body = JSON.stringify(body);
    },
  };
}

refuses(
  "a pure Ed25519 signature that the log records as one over a digest",
  { recipe: { keyType: "Ed25519", entry: prehashed } },
  "J4",
  "SIGNATURE_INVALID",
  { recipe: overDigest() },
);

test("a pure Ed25519 signature, where only the digest is at hand, is unknown and not passed", () => {
  const verdict = judge({
    recipe: { keyType: "Ed25519", timestamp: true, bundle: (bundle) => void (bundle["verificationMaterial"].tlogEntries = []) },
    artifact: () => ({ digests: new Map((["sha256", "sha512"] as const).map((name) => [name, hash(name, ARTIFACT)])) }),
    also: { ignoreTlog: true },
  });
  assertRefused(verdict, "J4", "ALGORITHM_UNKNOWN");
  assert.equal(verdict.checks.find((check) => check.id === "J4")?.status, "unknown");
});

/** Ed25519ph, as it is logged; the platform does not sign so. */
function overDigest(): Recipe {
  const key = generateKey("Ed25519");
  const signature = ed25519ph.sign(ARTIFACT, key.pkcs8.subarray(16, 48));
  return { key, keyType: "Ed25519", signature: () => signature, entry: prehashed };
}

refuses(
  "a logged Ed25519 signature over a digest by another hash",
  {
    recipe: {
      keyType: "Ed25519",
      entry: (parts) => {
        const body = JSON.parse(parts.body) as Mutable;
        body["spec"].data.hash = { algorithm: "sha256", value: toHex(sha256(ARTIFACT)) };
        parts.body = JSON.stringify(body);
      },
    },
  },
  "J1",
  "KEY_INVALID",
  "none",
);

function prehashed(parts: { body: string }): void {
  const body = JSON.parse(parts.body) as Mutable;
  body["spec"].data.hash = { algorithm: "sha512", value: toHex(hash("sha512", ARTIFACT)) };
  parts.body = JSON.stringify(body);
}

// J5: the envelope.

refuses("an envelope signed as its payload alone", { recipe: { ...DSSE, signed: () => utf8("{}") } }, "J5", "SIGNATURE_INVALID");
refuses(
  "an envelope signed under another payload type",
  { recipe: { ...DSSE, signed: () => pae("text/plain", utf8("{}")) } },
  "J5",
  "SIGNATURE_INVALID",
);
const WIDE = "application/vnd.in-tötö+json";
accepts("a payload type beyond ASCII", {
  recipe: { ...DSSE, payloadType: WIDE },
  also: { payloadTypes: [WIDE], checkClaims: false },
});
accepts("a long payload type", {
  recipe: { ...DSSE, payloadType: `application/${"x".repeat(5000)}` },
  also: { payloadTypes: [`application/${"x".repeat(5000)}`], checkClaims: false },
});
for (const [what, truncated] of Object.entries({
  "its characters counted": (type: string, payload: Uint8Array) =>
    Buffer.concat([utf8(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]),
  "its characters cut to bytes": (type: string, payload: Uint8Array) =>
    Buffer.concat([utf8(`DSSEv1 ${type.length} `), Buffer.from(type, "latin1"), utf8(` ${payload.length} `), payload]),
})) {
  refuses(
    `an envelope whose payload type was signed with ${what}`,
    {
      recipe: { ...DSSE, payloadType: WIDE, signed: (message) => truncated(WIDE, message.subarray(message.indexOf(0x7b))) },
      also: { payloadTypes: [WIDE], checkClaims: false },
    },
    "J5",
    "SIGNATURE_INVALID",
  );
}
refuses(
  "a payload type that is not accepted",
  { recipe: { ...DSSE, payloadType: "text/plain" } },
  "B8",
  "PAYLOAD_TYPE_MISMATCH",
  { recipe: DSSE },
);
refuses(
  "a payload type that only begins like an accepted one",
  { recipe: { ...DSSE, payloadType: "application/vnd.in-toto+json; x=1" } },
  "B8",
  "PAYLOAD_TYPE_MISMATCH",
  { recipe: DSSE },
);
const TEXT: Recipe = { ...DSSE, payloadType: "text/plain", payload: () => utf8("hello") };
accepts("a payload of another type without claims", { recipe: TEXT, also: { payloadTypes: ["text/plain"], checkClaims: false } });
refuses(
  "a payload of another type that should be about an artifact",
  { recipe: TEXT, also: { payloadTypes: ["text/plain"] } },
  "J6",
  "STATEMENT_INVALID",
  "none",
);
refuses(
  "a payload of another type that should be a statement",
  { recipe: TEXT, also: { payloadTypes: ["text/plain"], checkClaims: false, predicateType: PREDICATE_TYPE } },
  "J6",
  "PREDICATE_MISMATCH",
  "none",
);

// J6.

const subjects = (...list: readonly Mutable[]): Recipe => ({
  ...DSSE,
  statement: (statement) => ({ ...statement, subject: list }),
});
const sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
accepts("the required predicate type", { recipe: DSSE, also: { predicateType: PREDICATE_TYPE } });
for (const type of [
  "https://slsa.dev/provenance/v0.2",
  `${PREDICATE_TYPE}/`,
  PREDICATE_TYPE.toUpperCase(),
  PREDICATE_TYPE.slice(0, -1),
  ".*",
]) {
  refuses(
    `the predicate type where ${type} is required`,
    { recipe: DSSE, also: { predicateType: type } },
    "J6",
    "PREDICATE_MISMATCH",
    { recipe: DSSE },
  );
}
refuses(
  "a message where a predicate type is required",
  { also: { predicateType: PREDICATE_TYPE } },
  "J6",
  "PREDICATE_MISMATCH",
  {},
);
refuses("a payload that is no JSON", { recipe: { ...DSSE, payload: () => utf8("no JSON") } }, "J6", "BAD_JSON");
refuses(
  "a payload that is no JSON, also without claims",
  { recipe: { ...DSSE, payload: () => utf8("no JSON") }, also: { checkClaims: false } },
  "J6",
  "BAD_JSON",
);
refuses(
  "a payload with a duplicate member",
  { recipe: { ...DSSE, payload: (payload) => utf8(new TextDecoder().decode(payload).replace("{", '{"_type":"x",')) } },
  "J6",
  "BAD_JSON",
);
refuses(
  "a payload that is no statement",
  { recipe: { ...DSSE, statement: () => ({ predicateType: PREDICATE_TYPE }) } },
  "J6",
  "BAD_JSON",
);
refuses(
  "a statement of an unknown type",
  { recipe: { ...DSSE, statement: (statement) => ({ ...statement, _type: "https://in-toto.io/Statement/v9" }) } },
  "J6",
  "STATEMENT_INVALID",
);
refuses("a statement without subjects", { recipe: subjects() }, "J6", "STATEMENT_INVALID");
refuses("a statement about another artifact", { recipe: DSSE, artifact: other }, "J6", "ARTIFACT_MISMATCH");
refuses(
  "a statement about another digest",
  { recipe: DSSE, artifact: () => ({ digests: new Map([["sha256", sha256(OTHER)]]) }) },
  "J6",
  "ARTIFACT_MISMATCH",
);
refuses("a subject by SHA-1 alone", { recipe: subjects({ name: "a", digest: { sha1 } }) }, "J6", "ARTIFACT_DIGEST_MISSING");
refuses(
  "a subject by the right digest under another hash's name",
  { recipe: subjects({ name: "a", digest: { sha1: toHex(sha256(ARTIFACT)), gitCommit: toHex(sha256(ARTIFACT)) } }) },
  "J6",
  "ARTIFACT_DIGEST_MISSING",
);
refuses(
  "a subject whose digest is cut",
  { recipe: subjects({ name: "a", digest: { sha256: toHex(sha256(ARTIFACT)).slice(0, -2) } }) },
  "J6",
  "ARTIFACT_MISMATCH",
);
refuses(
  "a subject whose digest is no hexadecimal",
  { recipe: subjects({ name: "a", digest: { sha256: "z".repeat(64) } }) },
  "J6",
  "ARTIFACT_MISMATCH",
);
refuses(
  "a subject whose digests contradict one another",
  { recipe: subjects({ name: "a", digest: { sha256: toHex(sha256(ARTIFACT)), sha512: "00".repeat(64) } }) },
  "J6",
  "ARTIFACT_MISMATCH",
);
refuses(
  "a subject by SHA-512 where only the SHA-256 digest is known",
  { recipe: subjects({ name: "a", digest: { sha512: toHex(hash("sha512", ARTIFACT)) } }), artifact: "digest" },
  "J6",
  "ARTIFACT_DIGEST_MISSING",
);
accepts("a subject by SHA-512", { recipe: subjects({ name: "a", digest: { sha512: toHex(hash("sha512", ARTIFACT)) } }) });
accepts("a subject by SHA-384, and SHA-1 beside it", {
  recipe: subjects({ name: "a", digest: { sha384: toHex(hash("sha384", ARTIFACT)), sha1 } }),
});
accepts("the second of two subjects", {
  recipe: subjects(
    { name: "a", digest: { sha256: toHex(sha256(OTHER)) } },
    { name: "b", digest: { sha256: toHex(sha256(ARTIFACT)) } },
  ),
});
accepts("a subject without a name", { recipe: subjects({ digest: { sha256: toHex(sha256(ARTIFACT)) } }) });
accepts("a statement of version 0.1", {
  recipe: { ...DSSE, statement: (statement) => ({ ...statement, _type: "https://in-toto.io/Statement/v0.1" }) },
});

test("what is told of a payload is the payload that was verified", () => {
  const sealed = seal(workshop, DSSE);
  const verdict = ask({ recipe: DSSE }, sealed);
  assertVerified(verdict);
  assert.equal(verdict.payload, sealed.bundle["dsseEnvelope"].payload);
});
