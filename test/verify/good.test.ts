// SPDX-License-Identifier: Apache-2.0
/** Good bundles of every kind: accepted here and by @sigstore/verify, and told about truthfully. */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { decodeBundle } from "@lacre/core/bundle";
import { toHex } from "@lacre/core/bytes";
import { hash, sha256 } from "@lacre/core/crypto";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier } from "@lacre/core/verify";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import {
  ARTIFACT,
  bytesOf,
  createWorkshop,
  IDENTITY,
  ISSUER,
  NOW_MS,
  PREDICATE_TYPE,
  seal,
  SIGNED_MS,
  type Recipe,
  type Sealed,
} from "../workshop/workshop.ts";
import { accepts, ask, assertVerified, judge, POLICY, workshop } from "./trial.ts";

const V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const V02 = "application/vnd.dev.sigstore.bundle+json;version=0.2";

/** Every kind of bundle that clients make. */
const KINDS: Readonly<Record<string, Recipe>> = {
  "a message in a log with promises": {},
  "a message in a log with promises, version 0.1": { mediaType: V01 },
  "a message in a log with promises, version 0.2": { mediaType: V02 },
  "a message in a log with promises, and a timestamp": { timestamp: true },
  "an attestation in a log with promises (dsse)": { content: "dsse" },
  "an attestation in a log with promises (intoto)": { content: "dsse", kind: "intoto" },
  "a message in a log of tiles": { dialect: "v2" },
  "an attestation in a log of tiles (hashedrekord)": { dialect: "v2", content: "dsse" },
  "an attestation in a log of tiles (dsse)": { dialect: "v2", content: "dsse", kind: "dsse" },
  "a message by a key": { signer: "key" },
  "a message by a key in a log of tiles": { signer: "key", dialect: "v2" },
  "an attestation by a key": { signer: "key", content: "dsse" },
  "an attestation by a key in a log of tiles": { signer: "key", dialect: "v2", content: "dsse" },
};

/** What sigstore-js makes of the same thing. Throws when it refuses. */
function verifyWithSigstore(sealed: Sealed): void {
  const key = createPublicKey({ key: Buffer.from(sealed.key.publicKey.spki), format: "der", type: "spki" });
  const material = toTrustMaterial(TrustedRoot.fromJSON(sealed.root), () => ({ publicKey: key, validFor: () => true }));
  // An artifact belongs to a message only: the peer does not compare it with statements.
  const entity = toSignedEntity(
    bundleFromJSON(sealed.bundle),
    sealed.bundle["messageSignature"] === undefined ? undefined : Buffer.from(sealed.artifact),
  );
  new Verifier(material).verify(
    entity,
    sealed.leaf === undefined ? undefined : { subjectAlternativeName: IDENTITY, extensions: { issuer: ISSUER } },
  );
}

for (const [name, recipe] of Object.entries(KINDS)) {
  accepts(name, { recipe });
  accepts(`${name}, by digest`, { recipe, artifact: "digest" });
  test(`sigstore-js accepts ${name}`, () => verifyWithSigstore(seal(workshop, recipe)));
}

test("accepts authorities with P-384 keys", () => {
  const large = createWorkshop({ authorityKeys: "P-384" });
  for (const dialect of ["v1", "v2"] as const) assertVerified(judge({ with: large, recipe: { dialect } }));
});

for (const keyType of ["P-384", "P-521"] as const) {
  accepts(`a ${keyType} signer, by artifact`, { recipe: { keyType, dialect: "v2" } });
  accepts(`a ${keyType} signer, by its own digest`, {
    recipe: { keyType, dialect: "v2" },
    artifact: (sealed) => ({
      digests: new Map(
        (["sha256", keyType === "P-384" ? "sha384" : "sha512"] as const).map((name) => [name, hash(name, sealed.artifact)]),
      ),
    }),
  });
  accepts(`an attestation by a ${keyType} signer`, { recipe: { keyType, dialect: "v2", content: "dsse" } });
}

accepts("an RSA signer", { recipe: { keyType: "RSA", dialect: "v2" } });
accepts("an attestation by an Ed25519 signer", { recipe: { keyType: "Ed25519", content: "dsse" } });
accepts("an e-mail address", {
  recipe: { san: { kind: "email", value: "a@example.com" } },
  policy: { identities: [{ identity: { exact: "a@example.com" }, issuer: { exact: ISSUER } }] },
});
accepts("a user name", {
  recipe: { san: { kind: "other", value: "a!example.com" } },
  policy: { identities: [{ identity: { exact: "a!example.com" }, issuer: { exact: ISSUER } }] },
});
accepts("an artifact of no bytes", { recipe: { artifact: new Uint8Array(), dialect: "v2" } });
accepts("a bundle without a message digest", {
  recipe: { bundle: (bundle) => void delete bundle["messageSignature"]["messageDigest"] },
});
accepts("a bundle with members of its own", { recipe: { bundle: (bundle) => void (bundle["x"] = 1) } });
accepts("a bundle without a clock to compare with", { nowMs: "none" });

test("tells what was proved, and only that", () => {
  const sealed = seal(workshop, { dialect: "v2", content: "dsse" });
  const verdict = ask({}, sealed);
  assertVerified(verdict);
  assert.deepEqual(verdict.identity, {
    kind: "uri",
    value: IDENTITY,
    issuer: ISSUER,
    claims: { githubWorkflowTrigger: "push", sourceRepositoryURI: "https://ci.example/project" },
    serial: toHex(sealed.leaf!.serial),
  });
  assert.deepEqual(verdict.times, [
    { timeMs: SIGNED_MS, kind: "timestamp", source: "https://clock.workshop.test/api/v1/timestamp" },
  ]);
  assert.deepEqual(verdict.logEntries, [
    {
      logId: toHex(workshop.rekor2.logId),
      log: "https://log2026.workshop.test",
      logIndex: "4",
      treeIndex: "4",
      treeSize: "7",
      kind: "hashedrekord",
      version: "0.0.2",
    },
  ]);
  assert.deepEqual(verdict.artifact, { sha256: toHex(sha256(ARTIFACT)) });
  assert.deepEqual(verdict.subjects, [{ name: "artifact", digests: { sha256: toHex(sha256(ARTIFACT)) } }]);
  assert.equal(verdict.predicateType, PREDICATE_TYPE);
  assert.equal(verdict.payloadType, "application/vnd.in-toto+json");
  assert.equal(JSON.parse(Buffer.from(verdict.payload!, "base64").toString("utf8")).predicateType, PREDICATE_TYPE);
  assert.equal(verdict.algorithm, "PKIX_ECDSA_P256_SHA_256");
  assert.deepEqual(verdict.warnings, []);
});

test("tells the log's index of a sharded log only where the log promised it", () => {
  const promised = judge({ recipe: {} }).logEntries;
  assert.deepEqual(
    promised?.map(({ logIndex, treeIndex }) => [logIndex, treeIndex]),
    [["79571823", "4"]],
  );
  const proved = judge({ recipe: { timestamp: true, entry: (parts) => void (parts.hasPromise = false) } }).logEntries;
  assert.deepEqual(
    proved?.map(({ logIndex, treeIndex }) => [logIndex, treeIndex]),
    [[undefined, "4"]],
  );
});

test("tells of a digest only if the proof rests on it", () => {
  const verdict = judge({
    artifact: (sealed) => ({
      digests: new Map([
        ["sha256", sha256(sealed.artifact)],
        ["sha512", new Uint8Array(64)],
      ]),
    }),
  });
  assertVerified(verdict);
  assert.deepEqual(verdict.artifact, { sha256: toHex(sha256(ARTIFACT)) });
});

test("the bytes of an artifact count, not what is said about them", () => {
  const verdict = judge({
    artifact: (sealed) => ({ digests: new Map([["sha256", new Uint8Array(32)]]), message: sealed.artifact }),
  });
  assertVerified(verdict);
  assert.deepEqual(verdict.artifact, { sha256: toHex(sha256(ARTIFACT)) });
});

test("a verdict is plain JSON", () => {
  for (const recipe of Object.values(KINDS)) {
    const verdict = judge({ recipe });
    assert.deepEqual(JSON.parse(JSON.stringify(verdict)), verdict);
  }
});

test("one verifier judges many bundles, the same one again, and two under one certificate", () => {
  const trustedRoot = decodeTrustedRoot(bytesOf(seal(workshop).root));
  const verifier = createVerifier({ trustedRoot });
  const sealed = [seal(workshop), seal(workshop, { dialect: "v2" }), seal(workshop, { content: "dsse" })];
  const [first] = sealed;
  for (const { bundle, artifact } of [...sealed, ...sealed, first!]) {
    assertVerified(
      verifier.verify({
        bundle: bytesOf(bundle),
        artifact: { digests: new Map(), message: artifact },
        policy: POLICY,
        nowMs: NOW_MS,
      }),
    );
  }
});

test("a remembered certificate is judged at each bundle's own time", () => {
  const good = seal(workshop, { dialect: "v2" });
  const late = seal(workshop, {
    dialect: "v2",
    token: ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS + 30 * 60_000 }),
  });
  const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(good.root)) });
  const verify = ({ bundle, artifact }: Sealed): string =>
    verifier.verify({
      bundle: bytesOf(bundle),
      artifact: { digests: new Map(), message: artifact },
      policy: POLICY,
      nowMs: NOW_MS,
    }).outcome;
  assert.deepEqual([verify(good), verify(late), verify(good), verify(late)], ["verified", "refused", "verified", "refused"]);
});

test("a bundle that the caller changes afterwards does not change what is remembered", () => {
  const sealed = seal(workshop);
  const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(sealed.root)) });
  const artifact = { digests: new Map(), message: sealed.artifact };
  const decoded = decodeBundle(bytesOf(sealed.bundle));
  assertVerified(verifier.verify({ bundle: decoded, artifact, policy: POLICY, nowMs: NOW_MS }));
  if (decoded.key.kind === "certificate") decoded.key.chain[0]!.fill(0);
  assert.equal(verifier.verify({ bundle: decoded, artifact, policy: POLICY, nowMs: NOW_MS }).outcome, "refused");
  assertVerified(ask({}, sealed));
  assertVerified(verifier.verify({ bundle: bytesOf(sealed.bundle), artifact, policy: POLICY, nowMs: NOW_MS }));
});
