// SPDX-License-Identifier: Apache-2.0
// Images signed, attested and attached to, on a registry in memory and with a whole installation in this process: what is
// stored, what is said, and with which status. Real registries and cosign's verdict are the interop run's.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Running, up } from "@lacre/services";
import type { Fetch } from "@lacre/core/client";
import { runLine } from "../../packages/cli/src/run.ts";
import { homeEnv, scratch } from "../harness.ts";
import { type RegistryTraits, sha256, TestRegistry } from "../registry.ts";
import { makeTlsFiles } from "./tls.ts";
import { createWorld } from "./world.ts";

const work = scratch("images");
const home = join(work.path, "home");
const folder = join(work.path, "work");
const HOST = "registry.example.com";
let server: Running;
let dir: string[];
let who: string[];

interface Told {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function lacre(registry: TestRegistry | Fetch, args: readonly string[], env: Record<string, string> = {}): Promise<Told> {
  const ask: Fetch = (url, init) => {
    const { host } = new URL(url);
    const isLocal = host.startsWith("localhost:") && registry instanceof TestRegistry && registry.host !== host;
    return isLocal ? fetch(url, init) : (registry instanceof TestRegistry ? registry.fetch : registry)(url, init);
  };
  const world = createWorld({ cwd: folder, fetch: ask, env: { HOME: home, ...env } });
  const status = await runLine(args, world.context);
  const told = { status, stdout: world.stdout(), stderr: world.stderr() };
  assert.doesNotMatch(told.stdout + told.stderr, /^\s+at .*:\d+:\d+\)?$/m, "a stack trace is shown");
  return told;
}

async function expect(
  registry: TestRegistry | Fetch,
  status: number,
  args: readonly string[],
  words: RegExp = /^/,
  env: Record<string, string> = {},
): Promise<Told> {
  const told = await lacre(registry, args, env);
  assert.equal(told.status, status, `${args.join(" ").replaceAll(/eyJ[\w.-]+/g, "<token>")}\n${told.stdout}${told.stderr}`);
  assert.match(told.stdout + told.stderr, words);
  return told;
}

const token = async (): Promise<string[]> => {
  const nowhere = new TestRegistry();
  const { stdout } = await expect(nowhere, 0, ["token", ...dir, "--email", "you@example.com"]);
  return ["--identity-token", stdout.trim()];
};

/** A registry with an image `app:v1`. */
function withImage(traits: RegistryTraits = {}): {
  readonly registry: TestRegistry;
  readonly digest: string;
  readonly image: string;
} {
  const registry = new TestRegistry(traits);
  const digest = registry.putImage("app", "v1");
  return { registry, digest, image: `${registry.host}/app@${digest}` };
}

before(async () => {
  mkdirSync(folder, { recursive: true });
  Object.assign(process.env, homeEnv(home));
  delete process.env["LACRE_DIR"];
  server = await up({ dir: join(work.path, "one"), listen: { host: "localhost", port: 0 }, stateDir: join(work.path, "state") });
  dir = ["--dir", join(work.path, "one")];
  who = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", `${server.url}/oidc`];
  writeFileSync(join(folder, "predicate.json"), '{"a":1}');
  const openssl = (...args: string[]): unknown => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "k.pem");
  openssl("ec", "-in", "k.pem", "-pubout", "-out", "k.pub");
});

after(async () => {
  await server?.close();
  work.remove();
});

const KEY = ["--key", "k.pem", "--tlog-upload=false"];
const BY_KEY = ["--key", "k.pub", "--insecure-ignore-tlog"];

for (const referrers of [true, false]) {
  test(`a signed image verifies, on a registry ${referrers ? "with" : "without"} the referrers API`, async () => {
    const { registry, digest, image } = withImage({ referrers });
    const sealed = await expect(
      registry,
      0,
      ["sign", ...dir, ...(await token()), "-a", "env=prod", "-a", "n=1", image],
      /Sealed .*: logged as entry \d+/,
    );
    assert.equal(sealed.stdout, "");
    assert.doesNotMatch(sealed.stderr, /is a tag/);
    await expect(registry, 0, ["verify", ...dir, ...who, "-a", "env=prod", image]);
    await expect(registry, 12, ["verify", ...dir, ...who, "-a", "env=test", image]);
    const fallback = registry.read("app", digest.replace(":", "-"));
    assert.equal(fallback === undefined, referrers);
    if (!referrers) {
      const [entry] = fallback.manifests;
      assert.equal(entry.artifactType, "application/vnd.dev.sigstore.bundle.v0.3+json");
      assert.equal(entry.annotations["dev.sigstore.bundle.predicateType"], "https://sigstore.dev/cosign/sign/v1");
    }
  });
}

test("a tag is resolved once, with a warning, and what was resolved is signed", async () => {
  const { registry, digest } = withImage();
  const moved = registry.putImage("app", "other", "other");
  const reads: string[] = [];
  const moving = new TestRegistry({
    instead: (asked) => {
      if (asked.url.pathname.endsWith("/manifests/v1") && asked.method === "GET") {
        reads.push(asked.url.pathname);
        if (reads.length === 2) registry.repo("app").tags.set("v1", moved);
      }
      return registry.handle(asked);
    },
  });
  await expect(
    moving,
    0,
    ["sign", ...KEY, `${HOST}/app:v1`],
    /is a tag, which can lead to another image[^]*registry.example.com\/app@sha256:/,
  );
  assert.equal(reads.length, 1);
  await expect(registry, 0, ["verify", ...BY_KEY, `${HOST}/app@${digest}`]);
  await expect(registry, 10, ["verify", ...BY_KEY, `${HOST}/app@${moved}`]);
});

test("the older format is a layer of cosign's tag, with what vouches for it in annotations", async () => {
  const { registry, digest, image } = withImage();
  await expect(registry, 0, ["sign", "--new-bundle-format=false", ...dir, ...(await token()), "-a", "env=prod", image]);
  const [layer] = registry.read("app", `${digest.replace(":", "-")}.sig`).layers;
  const payload = registry.repo("app").blobs.get(layer.digest)!.toString();
  assert.equal(
    payload,
    `{"critical":{"identity":{"docker-reference":"registry.example.com/app"},"image":{"docker-manifest-digest":"${digest}"},"type":"cosign container image signature"},"optional":{"env":"prod"}}`,
  );
  assert.deepEqual(Object.keys(layer.annotations).sort(), [
    "dev.cosignproject.cosign/signature",
    "dev.sigstore.cosign/bundle",
    "dev.sigstore.cosign/certificate",
    "dev.sigstore.cosign/chain",
    "dev.sigstore.cosign/rfc3161timestamp",
  ]);
  await expect(registry, 0, ["verify", ...dir, ...who, "-a", "env=prod", image]);
  await expect(registry, 0, ["sign", "--registry-referrers-mode", "legacy", "--attachment-tag-prefix", "pre-", ...KEY, image]);
  assert.equal(registry.read("app", `pre-${digest.replace(":", "-")}.sig`).layers.length, 1);
});

test("an index is signed alone, or with every image in it", async () => {
  const registry = new TestRegistry();
  const children = ["amd64", "arm64"].map((one) => registry.putImage("app", one, one));
  const manifests = children.map((digest) => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest,
    size: registry.repo("app").manifests.get(digest)!.bytes.length,
  }));
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const index = registry.putManifest("app", { schemaVersion: 2, mediaType, manifests: [...manifests, manifests[0]!] }, "all");
  await expect(registry, 0, ["sign", ...KEY, `${HOST}/app@${index}`]);
  await expect(registry, 10, ["verify", ...BY_KEY, `${HOST}/app@${children[0]!}`]);
  const { stdout } = await expect(registry, 0, ["sign", "-r", "-o", "json", ...KEY, `${HOST}/app@${index}`]);
  const signed = stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { image: string }).image);
  assert.deepEqual(signed, [index, ...children]);
  for (const child of children) await expect(registry, 0, ["verify", ...BY_KEY, `${HOST}/app@${child}`]);
});

test("what is not stored is printed or written, and nothing is pushed", async () => {
  const { registry, image } = withImage();
  const writes = (): number => registry.asked.filter(({ method }) => method !== "GET").length;
  const bundle = await expect(registry, 0, ["sign", ...KEY, "--upload=false", image]);
  assert.match(bundle.stdout, /^\{"mediaType":"application\/vnd.dev.sigstore.bundle.v0.3\+json"/);
  await expect(registry, 0, ["sign", ...KEY, "--no-upload", "--bundle", "image.json", image]);
  assert.match(readFileSync(join(folder, "image.json"), "utf8"), /dsseEnvelope/);
  const old = await expect(registry, 0, [
    "sign",
    ...KEY,
    "--upload=false",
    "--new-bundle-format=false",
    "--output-payload",
    "pay",
    image,
  ]);
  execFileSync("sh", ["-c", `printf %s "${old.stdout.trim()}" | base64 -d > pay.sig`], { cwd: folder });
  execFileSync("openssl", ["dgst", "-sha256", "-verify", "k.pub", "-signature", "pay.sig", "pay"], { cwd: folder });
  assert.equal(writes(), 0);
});

test("signatures go to the repository that COSIGN_REPOSITORY names", async () => {
  const { registry, digest, image } = withImage({ referrers: false });
  const env = { COSIGN_REPOSITORY: `${HOST}/signatures/all` };
  await expect(registry, 0, ["sign", ...KEY, image], /in registry.example.com\/signatures\/all/, env);
  assert.ok(registry.repo("signatures/all").tags.has(digest.replace(":", "-")));
  assert.deepEqual([...registry.repo("app").tags.keys()], ["v1"]);
  await expect(registry, 10, ["verify", ...BY_KEY, image]);
  await expect(registry, 0, ["verify", ...BY_KEY, image], /^/, env);
  await expect(registry, 2, ["sign", ...KEY, image], /COSIGN_REPOSITORY is no repository/, { COSIGN_REPOSITORY: "Not One" });
});

test("an attestation says what cosign's would, and replaces those of its type alone", async () => {
  const { registry, image } = withImage();
  const attest = async (...flags: string[]): Promise<Told> =>
    expect(registry, 0, ["attest", ...KEY, "--predicate", "predicate.json", ...flags, image], /Stored the attestation/);
  await attest();
  await attest("--type", "https://example.com/x");
  await attest("--replace");
  const bundles = [...registry.repo("app").manifests.values()]
    .map(({ bytes }) => JSON.parse(bytes.toString()))
    .filter(({ subject }) => subject !== undefined);
  assert.deepEqual(bundles.map(({ annotations }) => annotations["dev.sigstore.bundle.predicateType"] as string).toSorted(), [
    "https://cosign.sigstore.dev/attestation/v1",
    "https://example.com/x",
  ]);
  const statements = bundles.map(({ layers }) => {
    const bundle = JSON.parse(registry.repo("app").blobs.get(layers[0].digest)!.toString());
    return JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString());
  });
  const custom = statements.find(({ predicateType }) => predicateType.endsWith("attestation/v1"));
  assert.equal(custom.predicate.Data, '{"a":1}');
  assert.match(custom.predicate.Timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal(custom.subject[0].name, "registry.example.com/app");
  assert.deepEqual(statements.find(({ predicateType }) => predicateType.endsWith("/x")).predicate, { a: 1 });
  await expect(registry, 0, ["verify-attestation", ...BY_KEY, "--type", "custom", image]);
});

test("a registry that forbids to delete keeps what was replaced, and that is said where it can still be found", async () => {
  for (const referrers of [true, false]) {
    const { registry, image } = withImage({
      referrers,
      instead: ({ method }) => (method === "DELETE" ? { status: 405 } : undefined),
    });
    const attest = (...flags: string[]): Promise<Told> =>
      expect(registry, 0, ["attest", ...KEY, "--predicate", "predicate.json", "--type", "openvex", ...flags, image]);
    await attest();
    const told = await attest("--replace");
    assert.equal(/the old one is still there/.test(told.stderr), referrers);
    const { stdout } = await expect(registry, 0, ["verify-attestation", ...BY_KEY, "--type", "openvex", image]);
    assert.equal(stdout.trim().split("\n").length, referrers ? 2 : 1);
  }
});

test("attestations of the older format are layers, replaced by their type", async () => {
  const { registry, digest, image } = withImage();
  const attest = (...flags: string[]): Promise<Told> =>
    expect(registry, 0, ["attest", "--new-bundle-format=false", ...KEY, "--predicate", "predicate.json", ...flags, image]);
  await attest("--type", "openvex");
  await attest("--type", "cyclonedx");
  await attest("--type", "openvex", "--replace");
  const { layers } = registry.read("app", `${digest.replace(":", "-")}.att`);
  assert.deepEqual(
    layers.map((layer: { annotations: { predicateType: string } }) => layer.annotations.predicateType),
    ["https://cyclonedx.org/bom", "https://openvex.dev/ns"],
  );
  await expect(registry, 0, ["verify-attestation", ...BY_KEY, "--type", "openvex", image]);
});

test("a ready-made statement must be about every image that is named, and is signed once", async () => {
  const registry = new TestRegistry();
  const digests = ["one", "two", "three"].map((tag) => registry.putImage("app", tag, tag));
  const subject = digests.slice(0, 2).map((digest) => ({ name: "x", digest: { sha256: digest.slice(7) } }));
  const statement = { _type: "https://in-toto.io/Statement/v1", subject, predicateType: "https://example.com/x", predicate: {} };
  writeFileSync(join(folder, "statement.json"), JSON.stringify(statement));
  const images = digests.map((digest) => `${HOST}/app@${digest}`);
  await expect(
    registry,
    2,
    ["attest", ...KEY, "--statement", "statement.json", ...images],
    /is not about registry.example.com\/app@/,
  );
  assert.ok(registry.asked.every(({ method }) => method === "GET"));
  const told = await expect(registry, 0, [
    "attest",
    ...KEY,
    "-o",
    "json",
    "--statement",
    "statement.json",
    ...images.slice(0, 2),
  ]);
  assert.equal(told.stdout.trim().split("\n").length, 2);
  const layers = [...registry.repo("app").manifests.values()]
    .map(({ bytes }) => JSON.parse(bytes.toString()))
    .filter((manifest) => manifest.subject !== undefined)
    .map((manifest) => manifest.layers[0].digest as string);
  assert.equal(layers.length, 2);
  assert.equal(layers[0], layers[1]);
  await expect(registry, 2, ["attest", ...KEY, images[0]!], /either --predicate or --statement/);
  await expect(
    registry,
    2,
    ["attest", ...KEY, "--predicate", "predicate.json", "--type", "nonsense", images[0]!],
    /no predicate type/,
  );
  writeFileSync(join(folder, "text"), "no JSON");
  await expect(
    registry,
    2,
    ["attest", ...KEY, "--predicate", "text", "--type", "openvex", images[0]!],
    /not what the type openvex asks for/,
  );
});

test("what was signed elsewhere is attached, unless it is about something else", async () => {
  const { registry, digest, image } = withImage();
  const payload = (await expect(registry, 0, ["generate", "-a", "note=<&>", image])).stdout;
  assert.match(payload, /"optional":\{"note":"\\u003c\\u0026\\u003e"\}\}$/);
  writeFileSync(join(folder, "payload"), payload);
  execFileSync("openssl", ["dgst", "-sha256", "-sign", "k.pem", "-out", "payload.sig", "payload"], { cwd: folder });
  await expect(registry, 0, ["attach", "signature", "--payload", "payload", "--signature", "payload.sig", image]);
  await expect(registry, 0, ["verify", ...BY_KEY, image]);
  const other = `${HOST}/app@${registry.putImage("app", "other", "other")}`;
  await expect(
    registry,
    2,
    ["attach", "signature", "--payload", "payload", "--signature", "payload.sig", other],
    /is about sha256:/,
  );
  await expect(
    registry,
    2,
    ["attach", "signature", "--payload", "predicate.json", "--signature", "payload.sig", image],
    /no payload/,
  );
  await expect(registry, 2, ["attach", "signature", "--payload", "payload", image], /--signature is missing/);

  const bundle = (await expect(registry, 0, ["attest", ...KEY, "--no-upload", "--predicate", "predicate.json", image])).stdout;
  writeFileSync(join(folder, "bundle.json"), bundle);
  const old = ["attest", "--new-bundle-format=false", ...KEY, "--no-upload", "--predicate", "predicate.json", image];
  const envelope = (await expect(registry, 0, old)).stdout.trim();
  writeFileSync(join(folder, "envelopes.jsonl"), `${envelope}\n${envelope.replace("}", "} ")}\n`);
  const attach = ["attach", "attestation", "--attestation", "bundle.json", "--attestation", "envelopes.jsonl"];
  await expect(registry, 2, [...attach, other], /no attestation about/);
  await expect(registry, 0, [...attach, image], /Attached the attestation/);
  assert.equal(registry.read("app", `${digest.replace(":", "-")}.att`).layers.length, 2);
  await expect(registry, 2, ["attach", "attestation", image], /--attestation is missing/);

  await expect(registry, 0, ["attach", "sbom", "--sbom", "predicate.json", image], /is not signed/);
  assert.equal(registry.read("app", `${digest.replace(":", "-")}.sbom`).layers[0].mediaType, "text/spdx+json");
  await expect(
    registry,
    2,
    ["attach", "sbom", "--sbom", "predicate.json", "--type", "syft", "--input-format", "xml", image],
    /not written as xml/,
  );
});

test("files are uploaded as an image each, and as an index of their platforms", async () => {
  const registry = new TestRegistry();
  writeFileSync(join(folder, "program"), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1]));
  const one = (await expect(registry, 0, ["upload", "blob", "-f", "predicate.json", `${HOST}/files/one:v1`])).stdout.trim();
  assert.equal(registry.read("files/one", one.split("@")[1]!).layers[0].mediaType, "text/plain");
  assert.equal(registry.repo("files/one").tags.get("v1"), one.split("@")[1]);
  const several = ["-f", "program:linux/amd64", "-f", "program:darwin/arm64/v8", "-a", "k=v"];
  const two = (await expect(registry, 0, ["upload", "blob", ...several, `${HOST}/files/two:v1`])).stdout.trim();
  const index = registry.read("files/two", two.split("@")[1]!);
  assert.deepEqual(
    index.manifests.map((one: { platform: object }) => one.platform),
    [
      { architecture: "amd64", os: "linux" },
      { architecture: "arm64", os: "darwin", variant: "v8" },
    ],
  );
  assert.deepEqual(index.annotations, { k: "v" });
  await expect(
    registry,
    2,
    ["upload", "blob", "-f", "program", "-f", "predicate.json", `${HOST}/files/x`],
    /need a platform each/,
  );
  await expect(registry, 3, ["upload", "blob", "-f", "absent", `${HOST}/files/x`], /there is no such file/);
  assert.equal(
    sha256(readFileSync(join(folder, "program"))),
    registry.read("files/two", index.manifests[0].digest).layers[0].digest,
  );
});

test("credentials: of flags for one registry, of Docker's file, and never in what is said", async () => {
  const traits = { users: { alice: "wonder" }, scheme: "bearer" } as const;
  const { registry, image } = withImage(traits);
  await expect(registry, 3, ["sign", ...KEY, image], /REGISTRY_DENIED[^]*lacre login/);
  const flags = ["--registry-username", "alice", "--registry-password", "wonder"];
  const told = await expect(registry, 0, ["sign", "-d", ...KEY, ...flags, image]);
  assert.doesNotMatch(told.stderr + told.stdout, /wonder|YWxpY2U6|token-\d/);
  await expect(
    registry,
    3,
    ["sign", ...KEY, "--registry-username", "alice", "--registry-password", "wrong", image],
    /REGISTRY_DENIED/,
  );
  const env = { DOCKER_CONFIG: join(work.path, "docker") };
  await expect(registry, 0, ["login", HOST, "-u", "alice", "-p", "wonder"], /Kept the credentials/, env);
  await expect(registry, 0, ["sign", ...KEY, image], /^/, env);
  await expect(registry, 0, ["logout", HOST], /Forgot/, env);
  await expect(registry, 3, ["sign", ...KEY, image], /REGISTRY_DENIED/, env);
  const elsewhere = { COSIGN_REPOSITORY: "other.example.com/signatures" };
  await expect(registry, 2, ["sign", ...KEY, ...flags, image], /one set of credentials, and several registries/, elsewhere);
  for (const half of [
    ["--registry-username", "a"],
    ["--registry-password", "a"],
    ["--registry-token", "t", ...flags],
    ["--registry-client-cert", "k.pem"],
  ])
    await expect(registry, 2, ["sign", ...KEY, ...half, image], /USAGE/);
  await expect(registry, 2, ["sign", ...KEY, "--k8s-keychain", image], /UNSUPPORTED_FLAG[^]*credHelpers/);
});

test("throttling, an image that is not there and one that may not be read end differently, and nothing is signed", async () => {
  const { registry, image } = withImage({
    instead: ({ url }) =>
      url.pathname.includes("/manifests/") ? { status: 429, headers: { "retry-after": "3600" } } : undefined,
  });
  await expect(registry, 3, ["sign", ...KEY, image], /REGISTRY_UNAVAILABLE[^]*status 429/);
  await expect(new TestRegistry(), 3, ["sign", ...KEY, `${HOST}/app:v9`], /REGISTRY_NOT_FOUND/);
  await expect(new TestRegistry(), 2, ["sign", ...KEY, "oci://Not/An Image"], /no image reference/);
});

test("flags that say nothing, or two things, are refused", async () => {
  const { registry, image } = withImage();
  writeFileSync(join(folder, "file"), "x");
  await expect(registry, 2, ["sign", ...KEY, "-a", "a=b", "./file"], /--annotations is for images/);
  await expect(registry, 2, ["sign", ...KEY, "-r", "./file"], /--recursive is for images/);
  await expect(registry, 2, ["sign", ...KEY, "-a", "nonsense", image], /is key=value/);
  await expect(registry, 2, ["sign", ...KEY, "--attachment", "sbom", image], /UNSUPPORTED_FLAG[^]*lacre attest/);
  await expect(
    registry,
    2,
    ["sign", ...KEY, "--new-bundle-format=false", "--registry-referrers-mode", "oci-1-1", image],
    /UNSUPPORTED_FLAG/,
  );
  await expect(registry, 2, ["sign", ...KEY, "--new-bundle-format", "--registry-referrers-mode", "legacy", image], /contradicts/);
  await expect(registry, 2, ["sign", ...KEY, "--bundle", "x.json", "./file", image], /files or for an image/);
  await expect(registry, 0, ["sign", ...KEY, "./file", image], /Sealed \.\/file[^]*/);
});

test("certificates: an authority of one's own, a name of one's own, a client certificate, or none looked at", async () => {
  const tls = join(work.path, "tls");
  makeTlsFiles(tls, "registry.internal");
  const read = (name: string): string => readFileSync(join(tls, name), "utf8");
  const registry = new TestRegistry();
  const digest = registry.putImage("app", "v1");
  const { host, close } = await registry.listen({
    key: read("server.key"),
    cert: read("server.pem"),
    ca: read("ca.pem"),
    requestCert: true,
  });
  try {
    const global: Fetch = (url, init) => fetch(url, init);
    const image = `${host}/app@${digest}`;
    const ca = ["--registry-cacert", join(tls, "ca.pem")];
    const name = ["--registry-server-name", "registry.internal"];
    await expect(global, 3, ["sign", ...KEY, image], /its TLS certificate is not one that is trusted/);
    await expect(
      global,
      3,
      ["sign", ...KEY, ...ca, image],
      /its TLS certificate is not one that is trusted[^]*REGISTRY_UNAVAILABLE/,
    );
    await expect(global, 3, ["sign", ...KEY, ...name, image], /REGISTRY_UNAVAILABLE/);
    await expect(global, 3, ["sign", ...KEY, ...ca, ...name, image], /REGISTRY_UNAVAILABLE/);
    const client = ["--registry-client-cert", join(tls, "client.pem"), "--registry-client-key", join(tls, "client.key")];
    await expect(global, 0, ["sign", ...KEY, ...ca, ...name, ...client, image]);
    await expect(global, 0, ["upload", "blob", "-f", "predicate.json", ...ca, ...name, ...client, `${host}/files:v1`]);
    await expect(
      global,
      0,
      ["sign", ...KEY, "--allow-insecure-registry", ...client, image],
      /it is not checked which registry answers/,
    );
  } finally {
    await close();
  }
});

test("plain HTTP is for this machine, or for whoever asks for it", async () => {
  const { registry, image } = withImage({ isSecure: false });
  await expect(registry, 3, ["sign", ...KEY, image], /REGISTRY_UNAVAILABLE/);
  await expect(registry, 0, ["sign", ...KEY, "--allow-http-registry", image]);
  const local = withImage({ isSecure: false, host: "localhost:5000" });
  await expect(local.registry, 0, ["sign", ...KEY, local.image]);
});
