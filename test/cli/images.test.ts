// SPDX-License-Identifier: Apache-2.0
// Images verified from a registry that a test holds in its hand: who signed, what it says, what it does not, and the exit
// statuses that scripts live by (T01–T07 and T30, image rows).
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { decodeBundle, encodeLegacyPromise } from "@lacre/core/bundle";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { runLine } from "../../packages/cli/src/run.ts";
import { bytesOf, createWorkshop, IDENTITY, ISSUER, NOW_MS, seal, type Recipe, type Sealed } from "../workshop/workshop.ts";
import type { TestRegistry } from "../registry.ts";
import { createRegistry, HOST, putBlob, putImage, putManifest } from "./registry.ts";
import { createWorld } from "./world.ts";

const workshop = createWorkshop();
const folder = mkdtempSync(join(tmpdir(), "lacre-images-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const rootPath = join(folder, "trusted_root.json");
writeFileSync(rootPath, JSON.stringify(seal(workshop).root));
const keyPath = join(folder, "key.pub");

const SIGN = "https://sigstore.dev/cosign/sign/v1";
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const WHO = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER];
const REPO = "app";

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function say(registry: TestRegistry, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  // Waiting between attempts is real: one attempt is what these tests are about.
  const { context, stdout, stderr } = createWorld({ cwd: folder, now: () => NOW_MS, env, fetch: registry.fetch });
  const status = await runLine([...args, "--trusted-root", rootPath], context);
  return { status, stdout: stdout(), stderr: stderr() };
}

/** A statement about an image, sealed. */
function sealStatement(
  digest: string,
  predicateType: string,
  more: Recipe = {},
  annotations?: Readonly<Record<string, string>>,
): Sealed {
  return seal(workshop, {
    content: "dsse",
    ...more,
    statement: (statement) => ({
      ...statement,
      predicateType,
      subject: [
        {
          name: "app",
          digest: { sha256: digest.slice("sha256:".length) },
          ...(annotations === undefined ? {} : { annotations }),
        },
      ],
    }),
  });
}

/** Puts a bundle beside an image, as its referrer. */
function attach(
  registry: TestRegistry,
  subject: { digest: string; mediaType: string; size: number },
  sealed: Sealed,
  predicateType: string,
  isListed = true,
): string {
  const layer = putBlob(registry, REPO, BUNDLE, bytesOf(sealed.bundle));
  const config = putBlob(registry, REPO, "application/vnd.oci.empty.v1+json", utf8("{}"));
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    artifactType: BUNDLE,
    config,
    layers: [layer],
    annotations: { "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicateType },
    subject,
  };
  const entry = putManifest(registry, REPO, manifest);
  if (isListed) {
    const tag = subject.digest.replace(":", "-");
    const others = registry.read(REPO, tag)?.manifests ?? [];
    const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [...others, entry] };
    putManifest(registry, REPO, index, tag);
  }
  return entry.digest;
}

/** A signature of the old kind: a layer under `sha256-….sig`, the rest in its annotations. */
function attachOld(
  registry: TestRegistry,
  image: string,
  { payload, sealed, changes = {} }: { payload: Uint8Array; sealed: Sealed; changes?: Readonly<Record<string, string>> },
): void {
  const { content, key, logEntries } = decodeBundle(bytesOf(sealed.bundle));
  const annotations = {
    "dev.cosignproject.cosign/signature": toBase64(content.signature),
    "dev.sigstore.cosign/bundle": encodeLegacyPromise(logEntries[0]!)!,
    ...(key.kind === "certificate" ? { "dev.sigstore.cosign/certificate": formatPem("CERTIFICATE", key.chain[0]!) } : {}),
    ...changes,
  };
  const layer = { ...putBlob(registry, REPO, "application/vnd.dev.cosign.simplesigning.v1+json", payload), annotations };
  const config = putBlob(registry, REPO, "application/vnd.oci.image.config.v1+json", utf8("{}"));
  putManifest(
    registry,
    REPO,
    { schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [layer] },
    `${image.replace(":", "-")}.sig`,
  );
}

function payloadOf(
  digest: string,
  changes: { type?: string; optional?: Readonly<Record<string, string>> | null; critical?: object } = {},
): Uint8Array {
  return utf8(
    JSON.stringify({
      critical: {
        identity: { "docker-reference": `${HOST}/${REPO}` },
        image: { "docker-manifest-digest": digest },
        type: changes.type ?? "cosign container image signature",
        ...changes.critical,
      },
      optional: changes.optional ?? null,
    }),
  );
}

const IMAGE = `${HOST}/${REPO}:v1`;

for (const hasReferrers of [true, false]) {
  test(`accepts a bundle beside an image ${hasReferrers ? "by the referrers API" : "by the fallback tag"}, and prints claims as cosign does`, async () => {
    const registry = createRegistry({ hasReferrers });
    const image = putImage(registry, REPO, "v1", "one");
    attach(registry, image, sealStatement(image.digest, SIGN, {}, { env: "prod" }), SIGN);
    const said = await say(registry, ["verify", ...WHO, "-a", "env=prod", IMAGE]);
    assert.equal(said.status, 0, said.stderr);
    const [claims, ...more] = JSON.parse(said.stdout);
    assert.equal(more.length, 0);
    assert.deepEqual(claims.critical, {
      identity: { "docker-reference": IMAGE },
      image: { "docker-manifest-digest": image.digest },
      type: SIGN,
    });
    assert.equal(claims.optional.env, "prod");
    assert.equal(claims.optional.Subject, IDENTITY);
    assert.match(said.stderr, /The specified annotations were verified\./);
    assert.equal((await say(registry, ["verify", ...WHO, "-a", "env=dev", IMAGE])).status, 12);
    assert.equal((await say(registry, ["verify", ...WHO, "-a", "other=prod", IMAGE])).status, 12);
  });
}

test("accepts a signature of the old kind, and prints one array for each of several images", async () => {
  const registry = createRegistry();
  for (const tag of ["v1", "v2"]) {
    const image = putImage(registry, REPO, tag, tag);
    const payload = payloadOf(image.digest, { optional: { env: "prod" } });
    attachOld(registry, image.digest, { payload, sealed: seal(workshop, { artifact: payload }) });
  }
  const said = await say(registry, ["verify", ...WHO, "-a", "env=prod", IMAGE, `${HOST}/${REPO}:v2`]);
  assert.equal(said.status, 0, said.stderr);
  const lines = said.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, 2);
  assert.equal(lines[0][0].critical.identity["docker-reference"], `${HOST}/${REPO}`);
  assert.equal(typeof lines[0][0].optional.Bundle.Payload.logIndex, "number");
  const text = await say(registry, ["verify", ...WHO, "-o", "text", IMAGE]);
  assert.deepEqual(JSON.parse(text.stdout).optional, { env: "prod" });
  const verdict = JSON.parse((await say(registry, ["verify", ...WHO, "-o", "verdict", IMAGE])).stdout);
  assert.equal(verdict.schema, "urn:lacre:image:1");
  assert.equal(verdict.seals[0].verdict.schema, "urn:lacre:verdict:1");
});

test("tells no signature (10), no image (11), none that fits (12), no certificate (13) and could not look (3) apart", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 10);
  assert.equal((await say(registry, ["verify-attestation", ...WHO, IMAGE])).status, 10);
  assert.equal((await say(registry, ["verify", ...WHO, `${HOST}/${REPO}:v9`])).status, 11);
  const byKey = sealStatement(image.digest, SIGN, { signer: "key" });
  attach(registry, image, byKey, SIGN);
  writeFileSync(keyPath, formatPem("PUBLIC KEY", byKey.key.publicKey.spki));
  assert.equal((await say(registry, ["verify", "--key", keyPath, IMAGE])).status, 0);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 13);
  attach(registry, image, sealStatement(image.digest, SIGN), SIGN);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 0);
  const wrong = ["--certificate-identity", "someone@example.com", "--certificate-oidc-issuer", ISSUER];
  const said = await say(registry, ["verify", ...wrong, IMAGE]);
  assert.equal(said.status, 12);
  assert.match(said.stderr, /IDENTITY_MISMATCH/);
  assert.equal(said.stdout, "");
  for (const [status, code] of [
    [403, "REGISTRY_DENIED"],
    [429, "REGISTRY_UNAVAILABLE"],
  ] as const) {
    // Throttled where the signatures are, not where the image is: that is where "unsigned" would be said wrongly.
    registry.instead = ({ url }) =>
      url.pathname.includes("/referrers/") ? { status, headers: { "retry-after": "3600" }, body: "{}" } : undefined;
    const shut = await say(registry, ["verify", ...WHO, IMAGE]);
    assert.equal(shut.status, 3, shut.stderr);
    assert.match(shut.stderr, new RegExp(code));
  }
  registry.instead = ({ url }) =>
    url.pathname.endsWith(".sig") ? { status: 429, headers: { "retry-after": "3600" }, body: "{}" } : undefined;
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 3);
  registry.instead = undefined;
  assert.equal((await say(registry, ["verify", ...WHO, "--offline", IMAGE])).status, 3);
  assert.equal((await say(registry, ["verify", ...WHO, "elsewhere.test/app:v1"])).status, 3);
  // Of several images all are looked at, and a definite no is told before "could not look".
  assert.equal((await say(registry, ["verify", ...WHO, "elsewhere.test/app:v1", IMAGE, `${HOST}/${REPO}:v9`])).status, 11);
});

test("T02: no attestation stands for a signature, and no predicate type for another", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  const slsa = "https://slsa.dev/provenance/v1";
  attach(registry, image, sealStatement(image.digest, slsa), slsa);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 10);
  assert.equal((await say(registry, ["verify-attestation", ...WHO, "--type", "slsaprovenance1", IMAGE])).status, 0);
  const said = await say(registry, ["verify-attestation", ...WHO, "--type", "spdxjson", IMAGE]);
  assert.equal(said.status, 12);
  assert.match(said.stderr, /PREDICATE_MISMATCH/);
  // Said to be a signature by the registry, which is asked for a place alone.
  const lied = createRegistry();
  putImage(lied, REPO, "v1", "one");
  attach(lied, image, sealStatement(image.digest, slsa), SIGN);
  assert.equal((await say(lied, ["verify", ...WHO, IMAGE])).status, 10);
  attach(registry, image, sealStatement(image.digest, "https://spdx.dev/Document"), "https://spdx.dev/Document");
  const both = await say(registry, ["verify-attestation", ...WHO, "--type", "spdxjson", IMAGE]);
  assert.equal(both.status, 0, both.stderr);
  assert.equal(both.stdout.trim().split("\n").length, 1);
  assert.match(both.stderr, /not counted/);
});

test("T30: a signature of another image, of an index or of one of its children, stands for none but its own", async () => {
  const registry = createRegistry();
  const child = putImage(registry, REPO, undefined, "child");
  const index = putManifest(
    registry,
    REPO,
    {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [{ ...child, platform: { os: "linux", architecture: "amd64" } }],
    },
    "v1",
  );
  // A bundle that is good for the child, hung beside the index.
  attach(registry, index, sealStatement(child.digest, SIGN), SIGN);
  const said = await say(registry, ["verify", ...WHO, IMAGE]);
  assert.equal(said.status, 12);
  assert.match(said.stderr, /J6/);
  // And listed beside the index while it says itself that it belongs to the child.
  const other = createRegistry({ hasReferrers: false });
  for (const [digest, blob] of registry.repo(REPO).blobs) other.repo(REPO).blobs.set(digest, blob);
  const again = putManifest(other, REPO, registry.read(REPO, index.digest), "v1");
  attach(other, child, sealStatement(index.digest, SIGN), SIGN, false);
  const [digest] = [...other.repo(REPO).manifests.keys()].filter((key) => key !== again.digest);
  putManifest(
    other,
    REPO,
    {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest,
          size: other.stored(REPO, digest!)!.bytes.length,
        },
      ],
    },
    index.digest.replace(":", "-"),
  );
  assert.equal((await say(other, ["verify", ...WHO, IMAGE])).status, 10);
  // An old payload about the child, under the tag of the index.
  const payload = payloadOf(child.digest);
  attachOld(registry, index.digest, { payload, sealed: seal(workshop, { artifact: payload }) });
  const old = await say(registry, ["verify", ...WHO, IMAGE]);
  assert.equal(old.status, 12);
  assert.match(old.stderr, /CLAIMS_MISMATCH/);
  assert.equal((await say(registry, ["verify", ...WHO, "--check-claims=false", IMAGE])).status, 0);
});

test("T30: a manifest of another digest than was asked for is refused, and a tag that moves meanwhile moves nothing", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  const evil = putImage(registry, REPO, "evil", "evil");
  attach(registry, image, sealStatement(image.digest, SIGN), SIGN);
  registry.instead = ({ url }) =>
    url.pathname.endsWith(`/manifests/${image.digest}`)
      ? { status: 200, headers: { "content-type": evil.mediaType }, body: registry.stored(REPO, evil.digest)!.bytes }
      : undefined;
  const swapped = await say(registry, ["verify", ...WHO, `${HOST}/${REPO}@${image.digest}`]);
  assert.equal(swapped.status, 1);
  assert.match(swapped.stderr, /CONTENT_MISMATCH/);
  registry.instead = ({ url }) => {
    if (url.pathname.includes("/referrers/")) registry.repo(REPO).tags.set("v1", evil.digest);
    return undefined;
  };
  const moved = await say(registry, ["verify", ...WHO, IMAGE]);
  assert.equal(moved.status, 0, moved.stderr);
  assert.equal(JSON.parse(moved.stdout)[0].critical.image["docker-manifest-digest"], image.digest);
  assert.equal(registry.asked.filter(({ url }) => url.pathname.endsWith("/manifests/v1")).length, 1);
});

test("T01, T03, T10: parts of other signatures in annotations, a key in the certificate's place, other identities", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  const payload = payloadOf(image.digest);
  const sealed = seal(workshop, { artifact: payload });
  const other = seal(workshop, { artifact: payload });
  const promise = encodeLegacyPromise(decodeBundle(bytesOf(other.bundle)).logEntries[0]!)!;
  const refusedWith = async (changes: Readonly<Record<string, string>>, code: RegExp): Promise<void> => {
    attachOld(registry, image.digest, { payload, sealed, changes });
    const said = await say(registry, ["verify", ...WHO, IMAGE]);
    assert.equal(said.status, 12, said.stderr);
    assert.match(said.stderr, code);
  };
  await refusedWith({ "dev.sigstore.cosign/bundle": promise }, /ENTRY_MISMATCH/);
  await refusedWith({ "dev.sigstore.cosign/certificate": formatPem("CERTIFICATE", other.leaf!.der) }, /ENTRY_MISMATCH/);
  await refusedWith({ "dev.sigstore.cosign/certificate": formatPem("PUBLIC KEY", sealed.key.publicKey.spki) }, /BUNDLE_SHAPE/);
  await refusedWith({ "dev.sigstore.cosign/bundle": "" }, /LOG_ENTRY_MISSING/);
  await refusedWith({ "dev.cosignproject.cosign/signature": "" }, /BUNDLE_SHAPE/);
  attachOld(registry, image.digest, { payload, sealed });
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 0);
  const wrong = ["--certificate-identity", "someone@example.com", "--certificate-oidc-issuer", ISSUER];
  assert.equal((await say(registry, ["verify", ...wrong, IMAGE])).status, 12);
});

test("refuses payloads of another type, and critical members that are not understood", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  for (const payload of [
    payloadOf(image.digest, { type: "atomic container signature" }),
    payloadOf(image.digest, { critical: { expires: 1 } }),
  ]) {
    attachOld(registry, image.digest, { payload, sealed: seal(workshop, { artifact: payload }) });
    const said = await say(registry, ["verify", ...WHO, IMAGE]);
    assert.equal(said.status, 12, said.stderr);
    assert.match(said.stderr, /MANIFEST_INVALID/);
  }
});

test("T06, T07: more signatures than are looked at, larger ones than allowed, content of another digest", async () => {
  const registry = createRegistry({ hasReferrers: false });
  const image = putImage(registry, REPO, "v1", "one");
  const digest = attach(registry, image, sealStatement(image.digest, SIGN), SIGN);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 0);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE], { COSIGN_MAX_ATTACHMENT_SIZE: "100" })).status, 1);
  const layer = registry.read(REPO, digest).layers[0].digest;
  const { blobs } = registry.repo(REPO);
  const good = blobs.get(layer)!;
  blobs.set(layer, Buffer.from(good.toString().replace("mediaType", "mediatype")));
  const damaged = await say(registry, ["verify", ...WHO, IMAGE]);
  assert.equal(damaged.status, 1);
  assert.match(damaged.stderr, /CONTENT_MISMATCH/);
  blobs.set(layer, good);
  const held = registry.stored(REPO, digest)!;
  const entry = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: held.bytes.length };
  putManifest(
    registry,
    REPO,
    {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: Array.from({ length: 1001 }, () => entry),
    },
    image.digest.replace(":", "-"),
  );
  const flood = await say(registry, ["verify", ...WHO, IMAGE]);
  assert.equal(flood.status, 1);
  assert.match(flood.stderr, /TOO_LARGE/);
});

test("verifies a signature that is handed in, and what is attached", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  const payload = payloadOf(image.digest);
  const sealed = seal(workshop, { artifact: payload, signer: "key" });
  writeFileSync(keyPath, formatPem("PUBLIC KEY", sealed.key.publicKey.spki));
  writeFileSync(join(folder, "payload.json"), payload);
  const signature = toBase64(sealed.signature);
  writeFileSync(join(folder, "payload.sig"), `${signature}\n`);
  const common = ["verify", "--key", keyPath, "--insecure-ignore-tlog", "--payload", "payload.json"];
  assert.equal((await say(registry, [...common, "--signature", "payload.sig", IMAGE])).status, 0);
  assert.equal((await say(registry, [...common, "--signature", signature, IMAGE])).status, 0);
  assert.equal((await say(registry, ["verify", "--key", keyPath, "--signature", "payload.sig", IMAGE])).status, 2);
  putImage(registry, REPO, "v2", "two");
  assert.equal((await say(registry, [...common, "--signature", "payload.sig", `${HOST}/${REPO}:v2`])).status, 12);
});

test("finds signatures in another repository (COSIGN_REPOSITORY)", async () => {
  const registry = createRegistry({ hasReferrers: false });
  const image = putImage(registry, REPO, "v1", "one");
  const payload = payloadOf(image.digest);
  attachOld(registry, image.digest, { payload, sealed: seal(workshop, { artifact: payload }) });
  const tag = `${image.digest.replace(":", "-")}.sig`;
  const { blobs, manifests, tags } = registry.repo(REPO);
  registry.repos.set("signatures", { blobs, manifests, tags: new Map([[tag, tags.get(tag)!]]) });
  tags.delete(tag);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 10);
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE], { COSIGN_REPOSITORY: `${HOST}/signatures` })).status, 0);
});

test("takes bundles from a file, and a certificate for an old signature that was stored without its own", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  const sealed = sealStatement(image.digest, SIGN);
  writeFileSync(join(folder, "image.sigstore.json"), bytesOf(sealed.bundle));
  assert.equal((await say(registry, ["verify", ...WHO, "--bundle", "image.sigstore.json", `oci://${IMAGE}`])).status, 0);
  const other = sealStatement(image.digest, "https://slsa.dev/provenance/v1");
  writeFileSync(join(folder, "other.sigstore.json"), bytesOf(other.bundle));
  assert.equal((await say(registry, ["verify", ...WHO, "--bundle", "other.sigstore.json", `oci://${IMAGE}`])).status, 12);
  assert.equal(
    (await say(registry, ["verify", ...WHO, "--bundle", "other.sigstore.json", "--type", "slsaprovenance1", `oci://${IMAGE}`]))
      .status,
    0,
  );
  const payload = payloadOf(image.digest);
  const old = seal(workshop, { artifact: payload });
  attachOld(registry, image.digest, { payload, sealed: old, changes: { "dev.sigstore.cosign/certificate": "" } });
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 13);
  writeFileSync(join(folder, "leaf.pem"), formatPem("CERTIFICATE", old.leaf!.der));
  assert.equal((await say(registry, ["verify", ...WHO, "--certificate", "leaf.pem", IMAGE])).status, 0);
  writeFileSync(join(folder, "leaf.pem"), formatPem("CERTIFICATE", seal(workshop).leaf!.der));
  assert.equal((await say(registry, ["verify", ...WHO, "--certificate", "leaf.pem", IMAGE])).status, 12);
  assert.equal((await say(registry, ["verify", ...WHO, "--payload", "leaf.pem", IMAGE])).status, 2);
});

test("verifies the SBOM that is attached, by the signatures beside that and no others", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  attach(registry, image, sealStatement(image.digest, SIGN), SIGN);
  assert.equal((await say(registry, ["verify", ...WHO, "--attachment", "sbom", IMAGE])).status, 11);
  const sbom = putImage(registry, REPO, `${image.digest.replace(":", "-")}.sbom`, "an sbom");
  assert.equal((await say(registry, ["verify", ...WHO, "--attachment", "sbom", IMAGE])).status, 10);
  attach(registry, sbom, sealStatement(sbom.digest, SIGN), SIGN);
  const said = await say(registry, ["verify", ...WHO, "--attachment", "sbom", IMAGE]);
  assert.equal(said.status, 0, said.stderr);
  assert.equal(JSON.parse(said.stdout)[0].critical.image["docker-manifest-digest"], sbom.digest);
});

test("T28: lists with nothing in them are no signature, and nothing crashes", async () => {
  const registry = createRegistry();
  const image = putImage(registry, REPO, "v1", "one");
  const empty = putBlob(registry, REPO, "application/vnd.oci.empty.v1+json", utf8("{}"));
  const manifest = { schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: empty, layers: [] };
  putManifest(registry, REPO, manifest, `${image.digest.replace(":", "-")}.sig`);
  putManifest(registry, REPO, { ...manifest, artifactType: BUNDLE, subject: image });
  assert.equal((await say(registry, ["verify", ...WHO, IMAGE])).status, 10);
  // A bundle of nothing is seen to be refused, and not passed over.
  putManifest(registry, REPO, {
    ...manifest,
    artifactType: BUNDLE,
    layers: [putBlob(registry, REPO, BUNDLE, utf8("{}"))],
    subject: image,
  });
  const said = await say(registry, ["verify", ...WHO, IMAGE]);
  assert.equal(said.status, 12);
  assert.match(said.stderr, /BAD_JSON|BUNDLE_SHAPE|BUNDLE_VERSION/);
  assert.equal((await say(registry, ["verify-attestation", ...WHO, IMAGE])).status, 12);
});
