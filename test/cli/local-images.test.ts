// SPDX-License-Identifier: Apache-2.0
// Images in files: layouts and archives of either kind, their layers held against what was signed; and images moved with all
// that is signed about them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { utf8 } from "@lacre/core/bytes";
import { runLine } from "../../packages/cli/src/run.ts";
import { bytesOf, createWorkshop, IDENTITY, ISSUER, NOW_MS, seal } from "../workshop/workshop.ts";
import type { TestRegistry } from "../registry.ts";
import { createRegistry, HOST, putBlob, putImage, putManifest } from "./registry.ts";
import { createTar, type Entry } from "./tar.ts";
import { createWorld } from "./world.ts";

const workshop = createWorkshop();
const folder = mkdtempSync(join(tmpdir(), "lacre-local-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "root.json"), JSON.stringify(seal(workshop).root));

const SIGN = "https://sigstore.dev/cosign/sign/v1";
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const WHO = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER];
const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

async function say(
  fetch: TestRegistry["fetch"] | undefined,
  args: readonly string[],
): Promise<{ status: number; stdout: string; stderr: string }> {
  const { context, stdout, stderr } = createWorld({ cwd: folder, now: () => NOW_MS, ...(fetch === undefined ? {} : { fetch }) });
  const status = await runLine(args, context);
  return { status, stdout: stdout(), stderr: stderr() };
}

const verify = (fetch: TestRegistry["fetch"] | undefined, ...args: string[]): ReturnType<typeof say> =>
  say(fetch, ["verify", ...WHO, "--trusted-root", "root.json", ...args]);

interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Signs an image in a registry; the bundle is its referrer. */
function sign(registry: TestRegistry, repository: string, subject: Described): Described {
  const sealed = seal(workshop, {
    content: "dsse",
    statement: (statement) => ({ ...statement, predicateType: SIGN, subject: [{ digest: { sha256: subject.digest.slice(7) } }] }),
  });
  return putManifest(registry, repository, {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: BUNDLE,
    config: putBlob(registry, "app", "application/vnd.oci.empty.v1+json", utf8("{}")),
    layers: [putBlob(registry, "app", BUNDLE, bytesOf(sealed.bundle))],
    annotations: { "dev.sigstore.bundle.predicateType": SIGN },
    subject,
  });
}

/** A list of two images, the list and the first of them signed; the first signature signed in turn. */
function createSigned(hasReferrers = true): {
  readonly registry: TestRegistry;
  readonly index: Described;
  readonly children: readonly Described[];
} {
  const registry = createRegistry({ hasReferrers });
  const children = ["amd64", "arm64"].map((architecture) => ({
    ...putImage(registry, "app", undefined, architecture),
    platform: { os: "linux", architecture },
  }));
  const index = putManifest(registry, "app", { schemaVersion: 2, mediaType: INDEX, manifests: children }, "v1");
  const { platform: _platform, ...first } = children[0]!;
  const found: [Described, Described][] = [];
  for (const subject of [index, first]) found.push([subject, sign(registry, "app", subject)]);
  found.push([found[0]![1], sign(registry, "app", found[0]![1])]);
  if (!hasReferrers)
    for (const [subject, entry] of found)
      putManifest(registry, "app", { schemaVersion: 2, mediaType: INDEX, manifests: [entry] }, subject.digest.replace(":", "-"));
  const old = putManifest(
    registry,
    "app",
    {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: putBlob(registry, "app", "application/vnd.oci.image.config.v1+json", utf8("{}")),
      layers: [putBlob(registry, "app", "application/vnd.dsse.envelope.v1+json", utf8('{"an":"attestation"}'))],
    },
    `${first.digest.replace(":", "-")}.att`,
  );
  assert.equal(old.mediaType, MANIFEST);
  return { registry, index, children };
}

test("what is saved verifies from the folder without any network, layers included", async () => {
  const { registry, index } = createSigned();
  const saved = await say(registry.fetch, ["save", `${HOST}/app:v1`, "--dir", "saved"]);
  assert.equal(saved.status, 0, saved.stderr);
  const listed = JSON.parse(readFileSync(join(folder, "saved", "index.json"), "utf8"));
  assert.deepEqual(listed.manifests[0].annotations, { kind: "dev.cosignproject.cosign/imageIndex" });
  for (const args of [["oci-layout:saved"], ["--local-image", "saved"], [`oci-layout:saved@${index.digest}`]]) {
    const said = await verify(undefined, ...args);
    assert.equal(said.status, 0, said.stderr);
    assert.match(said.stderr, /2 layers .* were compared with the signed manifest/);
  }
  const verdict = JSON.parse((await verify(undefined, "-o", "verdict", "oci-layout:saved")).stdout);
  assert.deepEqual(verdict.content, { layers: 2, octets: verdict.content.octets, absent: [] });
});

/** A copy of the saved layout with one file changed. */
function damaged(name: string, change: (path: string, manifest: { layers: { digest: string }[] }) => void): string {
  cpSync(join(folder, "saved"), join(folder, name), { recursive: true });
  const blob = (digest: string): string => join(folder, name, "blobs", "sha256", digest.slice(7));
  const { manifests } = JSON.parse(readFileSync(join(folder, name, "index.json"), "utf8"));
  const index = JSON.parse(readFileSync(blob(manifests[0].digest), "utf8"));
  const manifest = JSON.parse(readFileSync(blob(index.manifests[1].digest), "utf8"));
  change(blob(manifest.layers[0].digest), manifest);
  return `oci-layout:${name}`;
}

test("refuses a layout whose layers, configuration or manifests are other than what was signed", async () => {
  const changes: Readonly<Record<string, (path: string) => void>> = {
    changed: (path) =>
      writeFileSync(
        path,
        readFileSync(path).map((octet, at) => (at === 3 ? octet ^ 1 : octet)),
      ),
    longer: (path) => writeFileSync(path, `${readFileSync(path, "utf8")}x`),
    cut: (path) => writeFileSync(path, readFileSync(path).subarray(1)),
    gone: (path) => rmSync(path),
  };
  for (const [name, change] of Object.entries(changes)) {
    const said = await verify(undefined, damaged(name, change));
    assert.equal(said.status, 1, `${name}: ${said.stderr}`);
    assert.match(said.stderr, /CONTENT_MISMATCH/);
    assert.equal(said.stdout, "");
  }
  const other = join(folder, "changed", "index.json");
  writeFileSync(other, readFileSync(other, "utf8").replace(/sha256:[0-9a-f]{64}/, `sha256:${"0".repeat(64)}`));
  assert.equal((await verify(undefined, "oci-layout:changed")).status, 3);
  writeFileSync(join(folder, "changed", "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
  assert.match((await verify(undefined, "oci-layout:changed")).stderr, /MANIFEST_INVALID/);
  assert.equal((await verify(undefined, "oci-layout:nowhere")).status, 3);
});

/** The entries of a folder, as a tar has them. */
function entriesOf(path: string, under = ""): Entry[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((one): Entry[] =>
    one.isDirectory()
      ? [{ name: `${under}${one.name}/`, type: "5" }, ...entriesOf(join(path, one.name), `${under}${one.name}/`)]
      : [{ name: `${under}${one.name}`, bytes: readFileSync(join(path, one.name)) }],
  );
}

test("an archive is read like a layout, compressed or not, and never trusted by the names of its entries", async () => {
  const entries = entriesOf(join(folder, "saved"));
  const write = (name: string, list: readonly Entry[]): string => {
    writeFileSync(join(folder, name), createTar(list));
    return `oci-archive:${name}`;
  };
  assert.equal((await verify(undefined, write("good.tar", entries))).status, 0);
  assert.equal(
    (
      await verify(
        undefined,
        write(
          "dotted.tar",
          entries.map((one) => ({ ...one, name: `./${one.name}` })),
        ),
      )
    ).status,
    0,
  );
  writeFileSync(join(folder, "good.tgz"), gzipSync(createTar(entries)));
  assert.equal((await verify(undefined, "--local-image", "good.tgz")).status, 0);
  const blobs = entries.filter(({ name }) => /^blobs\/sha256\/./.test(name));
  const layer = blobs.find(({ bytes }) => new TextDecoder().decode(bytes) === "layer of arm64")!;
  const wrong = await verify(
    undefined,
    write(
      "swapped.tar",
      entries.map((one) => (one === layer ? { ...one, bytes: utf8("layer of evil!") } : one)),
    ),
  );
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /CONTENT_MISMATCH/);
  for (const [name, list] of Object.entries({
    twice: [...entries, { ...layer }],
    climbing: [...entries, { name: "../evil", bytes: utf8("x") }],
    absolute: [...entries, { name: "/evil", bytes: utf8("x") }],
    device: [...entries, { name: "dev", type: "3" }],
    "climbing-link": [...entries, { name: "link", type: "2", link: "../../etc/passwd" }],
    "no-image": [{ name: "readme", bytes: utf8("x") }],
  } satisfies Record<string, Entry[]>)) {
    const said = await verify(undefined, write(`${name}.tar`, list));
    assert.equal(said.status, 1, `${name}: ${said.stderr}`);
    assert.match(said.stderr, /MANIFEST_INVALID/, name);
  }
  writeFileSync(join(folder, "noise.tar"), createHash("sha512").update("noise").digest());
  assert.equal((await verify(undefined, "oci-archive:noise.tar")).status, 1);
  const whole = readFileSync(join(folder, "good.tar"));
  writeFileSync(join(folder, "half.tar"), whole.subarray(0, 2000));
  assert.equal((await verify(undefined, "oci-archive:half.tar")).status, 1);
});

test("docker save without a manifest proves nothing alone, and does against the signed manifest in its registry", async () => {
  const { registry, children } = createSigned();
  const layer = utf8("layer of amd64");
  const hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const config = utf8(
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [`sha256:${hex(layer)}`] } }),
  );
  const archive = (
    name: string,
    parts: { layer?: Uint8Array; config?: Uint8Array; layers?: string[]; more?: Entry[] },
  ): string => {
    const list = [{ Config: `${hex(config)}.json`, RepoTags: ["app:v1"], Layers: parts.layers ?? ["a/layer.tar"] }];
    const entries: Entry[] = [
      { name: `${hex(config)}.json`, bytes: parts.config ?? config },
      { name: "a/", type: "5" },
      { name: "a/layer.tar", bytes: parts.layer ?? layer },
      { name: "b/layer.tar", type: "2", link: "../a/layer.tar" },
      { name: "manifest.json", bytes: utf8(JSON.stringify(list)) },
      ...(parts.more ?? []),
    ];
    writeFileSync(join(folder, name), createTar(entries));
    return `docker-archive:${name}`;
  };
  const good = archive("docker.tar", {});
  const alone = await verify(undefined, good);
  assert.equal(alone.status, 1);
  assert.match(alone.stderr, /IMAGE_INCOMPLETE/);
  for (const reference of [`${HOST}/app:v1`, `${HOST}/app@${children[0]!.digest}`]) {
    const said = await verify(registry.fetch, good, "--reference", reference);
    assert.equal(said.status, 0, said.stderr);
    assert.match(said.stderr, /1 layer .* compared with the signed manifest/);
  }
  assert.equal(
    (await verify(registry.fetch, archive("linked.tar", { layers: ["b/layer.tar"] }), "--reference", `${HOST}/app:v1`)).status,
    0,
  );
  for (const [name, parts] of Object.entries({
    layer: { layer: utf8("layer of evil!") },
    config: { config: utf8(new TextDecoder().decode(config).replace("amd64", "evil!")) },
    more: { layers: ["a/layer.tar", "a/layer.tar"] },
  })) {
    const said = await verify(registry.fetch, archive(`${name}.tar`, parts), "--reference", `${HOST}/app:v1`);
    assert.equal(said.status, 1, `${name}: ${said.stderr}`);
    assert.match(said.stderr, /CONTENT_MISMATCH/);
  }
  // Named by digest there is one manifest to compare with, and its configuration is compared all the same.
  const strange = archive("strange.tar", { config: utf8(new TextDecoder().decode(config).replace("amd64", "amd65")) });
  const named = await verify(registry.fetch, strange, "--reference", `${HOST}/app@${children[0]!.digest}`);
  assert.equal(named.status, 1);
  assert.match(named.stderr, /configuration .*CONTENT_MISMATCH/);
  assert.equal(
    (await verify(registry.fetch, archive("lost.tar", { layers: ["c/layer.tar"] }), "--reference", `${HOST}/app:v1`)).status,
    1,
  );
});

for (const hasReferrers of [true, false]) {
  test(`a copy has all that is signed about an image and its parts, and its name last (${hasReferrers ? "referrers API" : "fallback tags"})`, async () => {
    const { registry, index } = createSigned(hasReferrers);
    const copied = await say(registry.fetch, ["copy", `${HOST}/app:v1`, `${HOST}/mirror/app:v1`]);
    assert.equal(copied.status, 0, copied.stderr);
    const from = registry.repo("app");
    for (const name of [...from.manifests.keys(), ...from.tags.keys()]) {
      const { bytes } = registry.stored("app", name)!;
      // Fallback lists are written anew, and say more than the old ones did.
      if (
        /^sha256-[0-9a-f]{64}$/.test(name) ||
        (registry.read("app", name).mediaType === INDEX && name !== index.digest && name !== "v1")
      )
        continue;
      assert.deepEqual(registry.stored("mirror/app", name)?.bytes, bytes, `${name} is left behind`);
    }
    assert.equal((await verify(registry.fetch, `${HOST}/mirror/app:v1`)).status, 0);
    const pushes = registry.asked.filter(
      ({ method, url }) => method === "PUT" && url.pathname.startsWith("/v2/mirror/app/manifests/"),
    );
    assert.equal(pushes.at(-1)!.url.pathname, "/v2/mirror/app/manifests/v1");
    // Over another image only by force.
    putImage(registry, "mirror/app", "taken", "other");
    assert.equal((await say(registry.fetch, ["copy", `${HOST}/app:v1`, `${HOST}/mirror/app:taken`])).status, 2);
    assert.equal((await say(registry.fetch, ["copy", "-f", `${HOST}/app:v1`, `${HOST}/mirror/app:taken`])).status, 0);
    const one = await say(registry.fetch, ["copy", "--platform", "linux/arm64", `${HOST}/app:v1`, `${HOST}/arm/app:v1`]);
    assert.equal(one.status, 0, one.stderr);
    assert.equal(
      (await say(registry.fetch, ["copy", "--platform", "linux/s390x", `${HOST}/app:v1`, `${HOST}/arm/app:v1`])).status,
      2,
    );
  });
}

test("what was saved is loaded whole, and damaged content is not loaded", async () => {
  const { registry } = createSigned();
  assert.equal((await say(registry.fetch, ["save", `${HOST}/app:v1`, "--dir", "again"])).status, 0);
  const other = createRegistry({ hasReferrers: false });
  const loaded = await say(other.fetch, ["load", `${HOST}/new:v1`, "--dir", "again"]);
  assert.equal(loaded.status, 0, loaded.stderr);
  assert.equal((await verify(other.fetch, `${HOST}/new:v1`)).status, 0);
  const [name] = readdirSync(join(folder, "again", "blobs", "sha256")).filter(
    (one) => readFileSync(join(folder, "again", "blobs", "sha256", one), "utf8") === "layer of arm64",
  );
  writeFileSync(join(folder, "again", "blobs", "sha256", name!), "layer of evil!");
  const refused = createRegistry();
  assert.equal((await say(refused.fetch, ["load", `${HOST}/new:v1`, "--dir", "again"])).status, 1);
  assert.equal(refused.repo("new").tags.has("v1"), false);
  // Saving anew puts it right.
  assert.equal((await say(registry.fetch, ["save", `${HOST}/app:v1`, "--dir", "again"])).status, 0);
  assert.equal((await verify(undefined, "oci-layout:again")).status, 0);
  mkdirSync(join(folder, "mine"));
  writeFileSync(join(folder, "mine", "thesis.txt"), "x");
  assert.equal((await say(registry.fetch, ["save", `${HOST}/app:v1`, "--dir", "mine"])).status, 2);
});

test("clean removes what is ours, asks first, and leaves the image", async () => {
  const { registry, index } = createSigned();
  const foreign = putManifest(registry, "app", {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: "application/vnd.example",
    config: putBlob(registry, "app", "application/vnd.oci.empty.v1+json", utf8("{}")),
    layers: [],
    subject: index,
  });
  const unasked = await say(registry.fetch, ["clean", `${HOST}/app:v1`]);
  assert.equal(unasked.status, 2);
  assert.equal((await verify(registry.fetch, `${HOST}/app:v1`)).status, 0);
  assert.equal((await say(registry.fetch, ["clean", "-f", "--type", "attestation", `${HOST}/app:v1`])).status, 0);
  assert.equal((await verify(registry.fetch, `${HOST}/app:v1`)).status, 0);
  assert.equal((await say(registry.fetch, ["clean", "-f", `${HOST}/app:v1`])).status, 0);
  assert.equal((await verify(registry.fetch, `${HOST}/app:v1`)).status, 10);
  assert.ok(registry.repo("app").manifests.has(foreign.digest));
  assert.ok(registry.repo("app").tags.has("v1"));
});

test("tree, triangulate and download tell what is there, verified or not", async () => {
  const { registry, index, children } = createSigned();
  const tree = JSON.parse((await say(registry.fetch, ["tree", "-o", "json", `${HOST}/app:v1`])).stdout);
  assert.equal(tree.attached[0].type, SIGN);
  assert.equal(tree.attached[0].referrers.length, 1);
  const child = `${HOST}/app@${children[0]!.digest}`;
  assert.match((await say(registry.fetch, ["tree", child])).stdout, /Attestations for an image tag/);
  assert.equal(
    (await say(registry.fetch, ["triangulate", `${HOST}/app:v1`])).stdout,
    `${HOST}/app:${index.digest.replace(":", "-")}.sig\n`,
  );
  assert.equal((await say(registry.fetch, ["download", "attestation", child])).stdout, '{"an":"attestation"}\n');
  assert.equal(JSON.parse((await say(registry.fetch, ["download", "signature", child])).stdout).mediaType, BUNDLE);
  assert.equal((await say(registry.fetch, ["download", "sbom", child])).status, 10);
});

test("prune removes what belongs to images that are gone, and stops where it cannot know", async () => {
  const { registry, index, children } = createSigned(false);
  const repository = `${HOST}/app`;
  const { blobs, manifests, tags } = registry.repo("app");
  const listed = (): readonly string[] => [...manifests.keys(), ...tags.keys()];
  const before = listed();
  assert.equal((await say(registry.fetch, ["prune", "-f", repository])).status, 0);
  assert.deepEqual(listed(), before);
  manifests.delete(children[0]!.digest);
  const attachment = `${children[0]!.digest.replace(":", "-")}.att`;
  const dry = await say(registry.fetch, ["prune", "--dry-run", repository]);
  assert.match(dry.stderr, new RegExp(attachment.replace(".", "\\.")));
  assert.ok(tags.has(attachment));
  assert.equal((await say(registry.fetch, ["prune", repository])).status, 2);
  // A registry that does not answer well is not one without the image.
  registry.instead = ({ method, url }) =>
    url.pathname.endsWith(children[0]!.digest) && method === "GET" ? { status: 403, body: "{}" } : undefined;
  assert.equal((await say(registry.fetch, ["prune", "-f", repository])).status, 3);
  assert.ok(tags.has(attachment));
  registry.instead = undefined;
  assert.equal((await say(registry.fetch, ["prune", "-f", repository])).status, 0);
  assert.ok(!tags.has(attachment));
  assert.ok(!tags.has(children[0]!.digest.replace(":", "-")));
  assert.equal((await verify(registry.fetch, `${HOST}/app:v1`)).status, 0);
  // Signatures apart from their images: nothing is taken for gone before it is said where the images are.
  const signature = `${index.digest.replace(":", "-")}.sig`;
  registry.repos.set("signatures", {
    blobs,
    manifests: new Map([[index.digest, manifests.get(index.digest)!]]),
    tags: new Map([[signature, index.digest]]),
  });
  assert.equal((await say(registry.fetch, ["prune", "-f", `${HOST}/signatures`])).status, 2);
  assert.equal((await say(registry.fetch, ["prune", "-f", "--images", repository, `${HOST}/signatures`])).status, 0);
  assert.equal(registry.repo("signatures").tags.size, 1);
});
