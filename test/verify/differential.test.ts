// SPDX-License-Identifier: Apache-2.0
/**
 * Bundles that @sigstore/verify, asked the same question, accepts, and this verifier refuses, each with a code of its own.
 * The day the peer refuses one, its test turns red: then the difference is history, and docs/compatibility.md says so.
 */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { sha256 } from "@lacre/core/crypto";
import { toBase64, utf8 } from "@lacre/core/bytes";
import type { LacreCode } from "@lacre/core/errors";
import { decidingCheck, type CheckId } from "@lacre/core/verify";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import { IDENTITY, ISSUER, seal, type Mutable, type Recipe, type Sealed } from "../workshop/workshop.ts";
import { ask, assertRefused, assertVerified, workshop, type Trial } from "./trial.ts";

/** The one question, put to the peer. Throws when it refuses. */
function askSigstore(sealed: Sealed, asked: Case): void {
  const key = createPublicKey({ key: Buffer.from(sealed.key.publicKey.spki), format: "der", type: "spki" });
  const material = toTrustMaterial(TrustedRoot.fromJSON(sealed.root), () => ({ publicKey: key, validFor: () => true }));
  const isMessage = sealed.bundle["messageSignature"] !== undefined;
  const entity = toSignedEntity(bundleFromJSON(sealed.bundle), isMessage ? Buffer.from(sealed.artifact) : undefined);
  const identity = asked.identity === undefined ? IDENTITY : asked.identity;
  new Verifier(material).verify(
    entity,
    identity === "" ? undefined : { subjectAlternativeName: identity, extensions: { issuer: ISSUER } },
  );
}

interface Case {
  readonly recipe?: Recipe;
  /** The bundle, changed after it was made. */
  readonly change?: (bundle: Mutable) => void;
  /** The artifact that is asked about. */
  readonly artifact?: Uint8Array;
  /** The identity asked for; empty: none is. */
  readonly identity?: string;
  readonly check: CheckId;
  readonly code: LacreCode;
}

const entryOf = (bundle: Mutable): Mutable => bundle["verificationMaterial"].tlogEntries[0];

/** The entry as the log would have it if somebody else's certificate had been submitted: proof and promise are good. */
function withAnotherCertificate(parts: { body: string }): void {
  const body = JSON.parse(parts.body);
  const other = seal(workshop).bundle["verificationMaterial"].certificate.rawBytes as string;
  const pem = `-----BEGIN CERTIFICATE-----\n${other.replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
  body.spec.signature.publicKey.content = toBase64(utf8(pem));
  parts.body = JSON.stringify(body);
}

const CASES: Readonly<Record<string, Case>> = {
  "an attestation, whatever the artifact": {
    recipe: { content: "dsse" },
    artifact: utf8("something else entirely\n"),
    check: "J6",
    code: "ARTIFACT_MISMATCH",
  },
  "anybody's signature, when no identity is asked for": { identity: "", check: "A1", code: "POLICY_MISSING" },
  "an identity that merely contains the one asked for": {
    identity: "ci.example/project",
    check: "I3",
    code: "IDENTITY_MISMATCH",
  },
  "an identity in which a dot stands for any character": {
    identity: IDENTITY.replace("/project/", "...........").slice(0, 30),
    check: "I3",
    code: "IDENTITY_MISMATCH",
  },
  "a media type of the future": {
    change: (bundle) => void (bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.9+json"),
    check: "B1",
    code: "BUNDLE_VERSION",
  },
  "a media type with something behind it": {
    change: (bundle) => void (bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3+jsonXYZ"),
    check: "B1",
    code: "BUNDLE_VERSION",
  },
  "base64 with junk in it": {
    change: (bundle) => {
      const signed: string = bundle["messageSignature"].signature;
      bundle["messageSignature"].signature = `${signed.slice(0, 8)}!${signed.slice(8)}`;
    },
    check: "A4",
    code: "BAD_BASE64",
  },
  "a proof that states another root": {
    change: (bundle) => void (entryOf(bundle)["inclusionProof"].rootHash = toBase64(sha256(utf8("another")))),
    check: "F7",
    code: "CHECKPOINT_MISMATCH",
  },
  "a proof that states another size": {
    change: (bundle) => void (entryOf(bundle)["inclusionProof"].treeSize = "8"),
    check: "F7",
    code: "CHECKPOINT_MISMATCH",
  },
  "a log entry with another certificate": { recipe: { entry: withAnotherCertificate }, check: "G1", code: "ENTRY_MISMATCH" },
};

for (const [name, asked] of Object.entries(CASES)) {
  test(`sigstore-js accepts ${name}; here it is ${asked.code}`, () => {
    const sealed = seal(workshop, asked.recipe);
    asked.change?.(sealed.bundle);
    askSigstore(sealed, asked);
    const trial: Trial = {
      artifact: () => ({ digests: new Map(), message: asked.artifact ?? sealed.artifact }),
      ...(asked.identity === undefined
        ? {}
        : {
            policy:
              asked.identity === "" ? {} : { identities: [{ identity: { exact: asked.identity }, issuer: { exact: ISSUER } }] },
          }),
    };
    assertRefused(ask(trial, sealed), asked.check, asked.code);
    const good = seal(workshop, asked.recipe?.content === undefined ? {} : { content: asked.recipe.content });
    assertVerified(ask({}, good));
  });
}

test("each kind of mistake has a code of its own", () => {
  const codes = new Map<LacreCode, Set<CheckId>>();
  for (const { code, check } of Object.values(CASES)) codes.set(code, (codes.get(code) ?? new Set()).add(check));
  assert.equal(codes.size, 7);
  for (const [code, checks] of codes) assert.equal(checks.size, 1, `${code} stands for several checks`);
});

test("the peer refuses what everybody refuses: it was asked properly", () => {
  const sealed = seal(workshop);
  sealed.bundle["messageSignature"].signature = toBase64(seal(workshop).signature);
  assert.throws(() => askSigstore(sealed, CASES["a media type of the future"]!));
  assert.equal(decidingCheck(ask({}, sealed))?.code, "ENTRY_MISMATCH");
  assert.throws(() => askSigstore(seal(workshop), { identity: "somebody@else.example", check: "I3", code: "IDENTITY_MISMATCH" }));
});
