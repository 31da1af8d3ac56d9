// SPDX-License-Identifier: Apache-2.0
/** The cases of sigstore-conformance that lie beside the repository, by artifact and by digest, in this process. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { sha256, importPublicKey } from "@lacre/core/crypto";
import { parsePem } from "@lacre/core/codec";
import type { LacreCode } from "@lacre/core/errors";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier, decidingCheck, type Artifact, type CheckId, type Verdict } from "@lacre/core/verify";
import { assertVerified } from "./trial.ts";

const VECTORS = join(import.meta.dirname, "..", "..", "..", "shared", "vectors");
const CASES = join(VECTORS, "bundle-verify");
const IDENTITY =
  "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER = "https://token.actions.githubusercontent.com";

/** The check that refuses each bad case; the code where its key file is refused before there is anything to verify. */
const REASONS: Readonly<Record<string, CheckId | LacreCode>> = {
  "bundle-empty-certificate-chain_fail": "B5",
  "bundle-malformed-json_fail": "A2",
  "bundle-unknown-version_fail": "B1",
  "checkpoint-bad-keyhint_fail": "F6",
  "dsse-invalid-sig_fail": "G3",
  "dsse-mismatch-envelope_fail": "G3",
  "inclusion-proof-corrupted-hash_fail": "F4",
  "incorrect-public-key_fail": "F3",
  "intoto-expired-certificate_fail": "H2",
  "intoto-log-entry-mismatch_fail": "F2",
  "invalid-ct-key_fail": "H5",
  "managed-key-wrong-key_fail": "BAD_PEM",
  "message-digest-mismatch_fail": "J4",
  "rekor2-checkpoint-missing-origin_fail": "F5",
  "rekor2-dsse-mismatch-sig_fail": "G2",
  "rekor2-no-timestamp_fail": "D3",
  "rekor2-timestamp-outside-tsa-cert-validity_fail": "E7",
  "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": "E5",
  "set-invalid-signature_fail": "F3",
  "signature-mismatch_fail": "G1",
  "wrong-hashedrekord-entry_fail": "G1",
};

function verifyCase(name: string, kind: "artifact" | "digest"): Verdict {
  const file = (part: string): string => join(CASES, name, part);
  const own = existsSync(file("artifact"));
  const message = readFileSync(own ? file("artifact") : join(CASES, "a.txt"));
  const artifact: Artifact =
    kind === "artifact" ? { digests: new Map(), message } : { digests: new Map([["sha256", sha256(message)]]) };
  const root = readFileSync(
    existsSync(file("trusted_root.json")) ? file("trusted_root.json") : join(VECTORS, "public-good-trusted_root.json"),
  );
  const isKey = existsSync(file("key.pub"));
  return createVerifier({ trustedRoot: decodeTrustedRoot(root) }).verify({
    bundle: readFileSync(file("bundle.sigstore.json")),
    artifact,
    policy: isKey ? {} : { identities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] },
    ...(isKey ? { key: importPublicKey(parsePem(readFileSync(file("key.pub"), "utf8"), "PUBLIC KEY")) } : {}),
    nowMs: Date.now(),
  });
}

const names = existsSync(CASES)
  ? readdirSync(CASES, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  : [];
for (const name of names) {
  for (const kind of ["artifact", "digest"] as const) {
    test(`conformance: ${name}, by ${kind}`, () => {
      const reason = REASONS[name];
      if (reason === "BAD_PEM") return assert.throws(() => verifyCase(name, kind), { code: reason });
      const verdict = verifyCase(name, kind);
      if (!name.endsWith("_fail")) return assertVerified(verdict);
      assert.equal(verdict.outcome, "refused");
      const check = decidingCheck(verdict);
      assert.equal(check?.id, reason, `${check?.id} ${check?.code} ${check?.message}`);
    });
  }
}
if (names.length === 0) test("conformance cases are not here", { skip: "no ../shared/vectors beside the repository" }, () => {});
