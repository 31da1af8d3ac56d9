// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../bytes/index.ts";
import { checkImageClaims, readPayloadClaims, readStatementClaims } from "./claims.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;
const OTHER = `sha256:${"cd".repeat(32)}`;

const statement = (subject: unknown): Uint8Array =>
  utf8(JSON.stringify({ predicateType: "https://sigstore.dev/cosign/sign/v1", subject }));

test("reads the claims of the subject that is the image, and of no other", () => {
  const subjects = [
    { digest: { sha256: OTHER.slice(7) }, annotations: { env: "dev" } },
    { digest: { sha512: "00", sha256: DIGEST.slice(7).toUpperCase() }, annotations: { env: "prod" } },
  ];
  const claims = readStatementClaims(statement(subjects), DIGEST);
  assert.deepEqual(claims.annotations, { env: "prod" });
  assert.equal(claims.digest, DIGEST);
  assert.throws(() => readStatementClaims(statement(subjects.slice(0, 1)), DIGEST), { code: "CLAIMS_INVALID" });
  assert.throws(() => readStatementClaims(statement([{ digest: { sha1: DIGEST.slice(7) } }]), DIGEST), {
    code: "CLAIMS_INVALID",
  });
  assert.throws(() => readStatementClaims(statement([{ digest: { sha256: DIGEST.slice(7) }, annotations: ["env"] }]), DIGEST), {
    code: "CLAIMS_INVALID",
  });
});

test("an annotation has to be there, as a text, and equal", () => {
  const claims = readStatementClaims(
    statement([{ digest: { sha256: DIGEST.slice(7) }, annotations: { env: "prod", n: 1 } }]),
    DIGEST,
  );
  checkImageClaims(claims, { digest: DIGEST });
  checkImageClaims(claims, { digest: DIGEST, annotations: { env: "prod" } });
  for (const annotations of [{ env: "Prod" }, { env: "" }, { other: "prod" }, { n: "1" }, { toString: "x" }, { constructor: "" }])
    assert.throws(
      () => checkImageClaims(claims, { digest: DIGEST, annotations: annotations as unknown as Record<string, string> }),
      {
        code: "CLAIMS_MISMATCH",
      },
    );
  assert.throws(() => checkImageClaims(claims, { digest: OTHER }), { code: "CLAIMS_MISMATCH" });
});

test("a payload's claims are its own words", () => {
  const payload = utf8(
    JSON.stringify({
      critical: {
        identity: { "docker-reference": "r/app" },
        image: { "docker-manifest-digest": DIGEST },
        type: "cosign container image signature",
      },
      optional: { env: "prod" },
    }),
  );
  assert.deepEqual(
    { ...readPayloadClaims(payload), annotations: { ...readPayloadClaims(payload).annotations } },
    {
      reference: "r/app",
      digest: DIGEST,
      type: "cosign container image signature",
      annotations: { env: "prod" },
    },
  );
});
