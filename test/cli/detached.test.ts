// SPDX-License-Identifier: Apache-2.0
// Detached signatures and cosign's old bundle document on the command line: one source for each part, and never a second try
// (T03, T04, T05). The files are cosign's own.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fromBase64 } from "@lacre/core/bytes";
import { runLine } from "../../packages/cli/src/run.ts";
import { createWorld } from "./world.ts";

const vectors = join(import.meta.dirname, "..", "..", "vectors", "legacy");
const made = JSON.parse(readFileSync(join(vectors, "cosign-2.6.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "lacre-detached-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, content: string | Uint8Array): void => writeFileSync(join(folder, name), content);
write("blob", fromBase64(made.blob));
write("other", "another file\n");
write("old.json", made.bundle);
write("key.json", made.keyBundle);
write("sig", made.signature);
write("sig.raw", fromBase64(made.signature));
write("key.sig", made.keySignature);
write("pem", made.certificate);
write("pem.plain", fromBase64(made.certificate));
write("ts", made.timestamp);
write("key.pub", made.publicKey);
// The same document, its promise of another time: an invalid bundle.
write("false.json", made.bundle.replace(/"integratedTime":1/, '"integratedTime":2'));
// An attestation of cosign 2 as it stood beside an image: the envelope is the detached signature of a statement.
const attestation = made.layers.find(({ name }: { name: string }) => name === "c2 att");
write("att", fromBase64(attestation.layer));
write(
  "att.json",
  JSON.stringify({
    base64Signature: attestation.layer,
    cert: Buffer.from(attestation.annotations["dev.sigstore.cosign/certificate"]).toString("base64"),
    rekorBundle: JSON.parse(attestation.annotations["dev.sigstore.cosign/bundle"]),
  }),
);

const WHO = ["--certificate-identity", made.identity, "--certificate-oidc-issuer", made.issuer];
const OTHER = ["--certificate-identity", "someone@example.com", "--certificate-oidc-issuer", made.issuer];

async function say(...args: string[]): Promise<{ status: number; stderr: string }> {
  const { context, stderr } = createWorld({ cwd: folder, now: () => made.nowMs });
  const status = await runLine([...args, "--trusted-root", join(vectors, "trusted_root.json")], context);
  return { status, stderr: stderr() };
}

async function ends(status: number, ...args: string[]): Promise<string> {
  const said = await say(...args);
  assert.equal(said.status, status, `${args.join(" ")}\n${said.stderr}`);
  return said.stderr;
}

test("reads the old bundle document, with or without the same parts in files beside it", async () => {
  await ends(0, "verify-blob", "--bundle", "old.json", ...WHO, "blob");
  await ends(0, "verify-blob", "--bundle", "old.json", "--new-bundle-format=false", ...WHO, "blob");
  await ends(0, "verify-blob", "--bundle", "key.json", "--key", "key.pub", "blob");
  for (const signature of ["sig", "sig.raw"])
    for (const certificate of ["pem", "pem.plain"])
      await ends(
        0,
        "verify-blob",
        "--bundle",
        "old.json",
        "--signature",
        signature,
        "--certificate",
        certificate,
        "--rfc3161-timestamp",
        "ts",
        ...WHO,
        "blob",
      );
});

test("reads detached files where a timestamp stands in for the log, or a key needs neither", async () => {
  const detached = ["--signature", "sig.raw", "--certificate", "pem.plain"];
  await ends(0, "verify-blob", ...detached, "--rfc3161-timestamp", "ts", "--insecure-ignore-tlog", ...WHO, "blob");
  await ends(0, "verify-blob", "--signature", "key.sig", "--key", "key.pub", "--insecure-ignore-tlog", "blob");
  assert.match(await ends(1, "verify-blob", ...detached, "--insecure-ignore-tlog", ...WHO, "blob"), /TIME_MISSING/);
  assert.match(await ends(1, "verify-blob", ...detached, ...WHO, "blob"), /LOG_ENTRY_MISSING/);
});

test("T03: another identity, another file, another key refuse in every form", async () => {
  for (const form of [
    ["--bundle", "old.json"],
    ["--signature", "sig", "--certificate", "pem", "--bundle", "old.json"],
    ["--signature", "sig", "--certificate", "pem", "--rfc3161-timestamp", "ts", "--insecure-ignore-tlog"],
  ]) {
    assert.match(await ends(1, "verify-blob", ...form, ...OTHER, "blob"), /IDENTITY_MISMATCH/);
    await ends(1, "verify-blob", ...form, ...WHO, "other");
    await ends(1, "verify-blob", ...form, "--key", "key.pub", "blob");
    await ends(2, "verify-blob", ...form, "blob");
  }
  await ends(1, "verify-blob", "--bundle", "key.json", "--key", "key.pub", "other");
  await ends(1, "verify-blob", "--bundle", "key.json", ...WHO, "blob");
});

test("T04: a false promise is not saved by a good signature beside it, and two signatures are not one", async () => {
  assert.match(await ends(1, "verify-blob", "--bundle", "false.json", ...WHO, "blob"), /PROMISE_INVALID/);
  assert.match(
    await ends(1, "verify-blob", "--bundle", "false.json", "--signature", "sig", "--certificate", "pem", ...WHO, "blob"),
    /PROMISE_INVALID/,
  );
  await ends(2, "verify-blob", "--bundle", "old.json", "--signature", "key.sig", ...WHO, "blob");
  await ends(2, "verify-blob", "--bundle", "old.json", "--certificate", "key.pub", ...WHO, "blob");
  await ends(2, "verify-blob", "--certificate", "pem", ...WHO, "blob");
  await ends(2, "verify-blob", ...WHO, "blob");
  // A bundle of today has a signature of its own.
  write("new.json", '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}');
  await ends(2, "verify-blob", "--bundle", "new.json", "--signature", "sig", "--certificate", "pem", ...WHO, "blob");
});

test("T10: a key where the certificate belongs refuses, the trusted one too", async () => {
  const form = ["--signature", "key.sig", "--certificate", "key.pub", "--insecure-ignore-tlog"];
  assert.match(await ends(1, "verify-blob", ...form, "--key", "key.pub", "blob"), /BUNDLE_SHAPE/);
  assert.match(await ends(1, "verify-blob", ...form, ...WHO, "blob"), /BUNDLE_SHAPE/);
});

test("T02, T09: an old attestation is of its type, and about its subject", async () => {
  const subject = attestation.image.slice("sha256:".length);
  const about = ["--digest", subject, "--digestAlg", "sha256"];
  await ends(0, "verify-blob-attestation", "--bundle", "att.json", ...WHO, "--type", "custom", ...about);
  await ends(0, "verify-blob-attestation", "--bundle", "att.json", "--signature", "att", ...WHO, "--type", "custom", ...about);
  assert.match(
    await ends(1, "verify-blob-attestation", "--bundle", "att.json", ...WHO, "--type", "spdxjson", ...about),
    /PREDICATE_MISMATCH/,
  );
  assert.match(
    await ends(1, "verify-blob-attestation", "--bundle", "att.json", ...WHO, "--type", "custom", "blob"),
    /ARTIFACT_MISMATCH/,
  );
  await ends(1, "verify-blob-attestation", "--bundle", "old.json", ...WHO, "--type", "custom", "blob");
});
