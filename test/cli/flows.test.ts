// SPDX-License-Identifier: Apache-2.0
// The command's flows against a whole installation in this process: what is said, where, and with which status.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Running, up } from "@lacre/services";
import type { Context } from "../../packages/cli/src/context.ts";
import { runLine } from "../../packages/cli/src/run.ts";
import { homeEnv, scratch } from "../harness.ts";
import { openBrowser } from "./browser.ts";
import { createLines } from "./lines.ts";
import { createWorld } from "./world.ts";

const work = scratch("cli");
const home = join(work.path, "home");
const folder = join(work.path, "work");
let server: Running;
let other: Running;
let identity: string[];
let trust: string;

const { lacre, expect, tokenOf } = createLines(folder);

const token = (email?: string): Promise<string> => tokenOf(server.installation.layout.dir, email);

before(async () => {
  mkdirSync(folder, { recursive: true });
  Object.assign(process.env, homeEnv(home));
  delete process.env["LACRE_DIR"];
  const start = (name: string): Promise<Running> =>
    up({ dir: join(work.path, name), listen: { host: "localhost", port: 0 }, stateDir: join(work.path, `${name}-state`) });
  [server, other] = await Promise.all([start("one"), start("two")]);
  trust = join(work.path, "one", "trust");
  identity = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", `${server.url}/oidc`];
  writeFileSync(join(folder, "app"), "the artifact\n");
  writeFileSync(join(folder, "other"), "another artifact\n");
});

after(async () => {
  await Promise.all([server?.close(), other?.close()]);
  work.remove();
});

test("nothing is trusted that was not named or remembered", async () => {
  mkdirSync(join(folder, ".lacre", "trust"), { recursive: true });
  writeFileSync(join(folder, "app.sigstore.json"), "{}");
  await expect(3, ["verify", "./app", ...identity], /TRUST_MISSING[^]*--trusted-root[^]*LACRE_DIR[^]*lacre initialize/);
  await expect(3, ["sign", "./app", "--identity-token", await token()], /SERVICES_MISSING[^]*--signing-config/);
  await expect(3, ["token", "--email", "you@example.com"], /SERVICES_MISSING/);
  rmSync(join(folder, ".lacre"), { recursive: true });
});

test("sealed with files, verified with files", async () => {
  const files = ["--signing-config", join(trust, "signing_config.v0.2.json"), "--trusted-root", join(trust, "trusted_root.json")];
  const sealed = await expect(
    0,
    ["sign", "./app", "--bundle", "app.json", ...files, "--identity-token", await token()],
    /Sealed \.\/app: logged as entry \d+, bundle in app.json/,
  );
  assert.equal(sealed.stdout, "");
  const told = await expect(
    0,
    ["verify", "./app", "--bundle", "app.json", "--trusted-root", join(trust, "trusted_root.json"), ...identity],
    /^Verified OK {2}\.\/app\n {2}signed by +you@example.com, vouched for by http/,
  );
  assert.match(told.stdout, /trusting +\S+trusted_root.json \(--trusted-root\)/);
  assert.equal(told.stderr, "");
});

test("a signing config with nothing but a v1 ledger is signed with, artifact and attestation", async () => {
  const config = JSON.parse(readFileSync(join(trust, "signing_config.v0.2.json"), "utf8"));
  config.rekorTlogUrls = config.rekorTlogUrls.filter(({ majorApiVersion }: { majorApiVersion: number }) => majorApiVersion === 1);
  writeFileSync(join(folder, "v1.json"), JSON.stringify(config));
  writeFileSync(join(folder, "v1-predicate.json"), "{}");
  const root = ["--trusted-root", join(trust, "trusted_root.json")];
  const files = [...root, "--signing-config", "v1.json", "--identity-token", await token()];
  await expect(0, ["sign", "./app", "--bundle", "app-v1.json", ...files], /logged as entry \d+/);
  await expect(
    0,
    [
      "attest-blob",
      "./app",
      "--predicate",
      "v1-predicate.json",
      "--type",
      "https://example.com/p",
      "--bundle",
      "att-v1.json",
      ...files,
    ],
    /logged as entry \d+/,
  );
  await expect(0, ["verify", "./app", "--bundle", "app-v1.json", ...root, ...identity], /logged +http:\/\/rekor\./);
  await expect(
    0,
    ["verify-blob-attestation", "./app", "--type", "https://example.com/p", "--bundle", "att-v1.json", ...root, ...identity],
    /Verified OK/,
  );
  const kinds = ["app-v1.json", "att-v1.json"].map(
    (name) => JSON.parse(readFileSync(join(folder, name), "utf8")).verificationMaterial.tlogEntries[0],
  );
  assert.deepEqual(
    kinds.map(({ kindVersion, inclusionPromise }) => [kindVersion.kind, kindVersion.version, typeof inclusionPromise]),
    [
      ["hashedrekord", "0.0.1", "object"],
      ["dsse", "0.0.1", "object"],
    ],
  );
});

test("sealed and verified with the directory that LACRE_DIR or --dir names", async () => {
  const env = { LACRE_DIR: join(work.path, "one") };
  await expect(0, ["sign", "./app", "--bundle", "env.json", "--identity-token", await token()], /Sealed/, { env });
  await expect(0, ["verify", "./app", "--bundle", "env.json", ...identity], /trusting .*\(LACRE_DIR\)/, { env });
  await expect(
    0,
    ["verify", "./app", "--bundle", "env.json", "--dir", join(work.path, "one"), ...identity],
    /trusting .*\(--dir\)/,
  );
});

test("a token comes from a flag, a file or the environment, and never into the output", async () => {
  const secret = await token();
  writeFileSync(join(folder, "token.txt"), `${secret}\n`);
  const dir = ["--dir", join(work.path, "one"), "--bundle", "t.json"];
  for (const [args, env] of [
    [["--identity-token", secret], {}],
    [["--identity-token", "token.txt"], {}],
    [[], { SIGSTORE_ID_TOKEN: secret }],
    [["--identity-token=token.txt"], {}],
  ] as const) {
    const told = await expect(0, ["sign-blob", "app", ...dir, ...args], /Sealed app/, { env });
    assert.ok(!(told.stdout + told.stderr).includes(secret));
  }
  await expect(3, ["sign-blob", "app", ...dir, "--identity-token", "no-such-file"], /neither a JWT nor a readable file/);
  const damaged = `${secret.slice(0, -20)}AAAAAAAAAAAAAAAAAAAA`;
  const told = await expect(1, ["sign-blob", "app", ...dir, "--identity-token", damaged], /SERVICE_REFUSED/);
  assert.ok(!(told.stdout + told.stderr).includes(damaged.slice(0, 60)));
  await expect(1, ["sign-blob", "app", ...dir, "--identity-token", secret], /TOKEN_INVALID[^]*expired/, {
    now: () => Date.now() + 3_600_000,
  });
});

test("a person signs in with a browser, at the installation's own provider", async () => {
  let shown: Promise<string> | undefined;
  const world = createWorld({
    cwd: folder,
    fetch: (url, init) => fetch(url, init),
    isTerminal: true,
    env: { NO_COLOR: "1" },
    openBrowser: async (url) => void (shown = openBrowser().signIn(url, "person@example.com")),
  });
  const status = await runLine(["sign", "./app", "--bundle", "browser.json", "--dir", join(work.path, "one")], world.context);
  assert.equal(status, 0, world.stderr());
  assert.match(world.stderr(), /Signing as person@example.com/);
  assert.match(await shown!, /You are signed in/);
  await expect(
    0,
    [
      "verify",
      "./app",
      "--bundle",
      "browser.json",
      "--dir",
      join(work.path, "one"),
      "--certificate-identity",
      "person@example.com",
      "--certificate-oidc-issuer",
      `${server.url}/oidc`,
    ],
    /Verified OK/,
  );
});

test("a person signs in elsewhere where there is no terminal", async () => {
  const world = createWorld({ cwd: folder, fetch: (url, init) => fetch(url, init) });
  const signing = runLine(["sign-blob", "app", "--bundle", "device.json", "--dir", join(work.path, "one")], world.context);
  while (!/To sign in, visit\n/.test(world.stderr())) await new Promise((resolve) => setTimeout(resolve, 10));
  const page = /http:\S+/.exec(world.stderr())![0];
  const browser = openBrowser();
  let body = (await browser.go(page)).body;
  // The code is on the page's form already, or asked for; then the address; then a yes.
  for (let step = 0; step < 4 && /<form/.test(body); step++) {
    const action = /<form[^>]*action="([^"]+)"/.exec(body)![1]!.replaceAll("&amp;", "&");
    const inputs = [...body.matchAll(/<(?:input|button)[^>]*name="([^"]+)"(?:[^>]*value="([^"]*)")?/g)].map(
      ([, name, value]) => [name!, value ?? ""] as const,
    );
    const form = Object.fromEntries(
      inputs
        .filter(([name]) => name !== "abort" && name !== "cancel")
        .map(([name, value]) => [name, name === "email" ? "device@example.com" : value]),
    );
    body = (await browser.go(new URL(action, page).href, form)).body;
  }
  assert.equal(await signing, 0, world.stderr());
  assert.match(world.stderr(), /Signing as device@example.com/);
});

test("every refusal names the check, what was expected, what was found and what to do", async () => {
  const dir = ["--dir", join(work.path, "one")];
  const shape = /REFUSED[^]*check +[A-K]\d+: [^]*reason +.*\[[A-Z_]+\][^]*to do +\S/;
  const cases: [string[], RegExp][] = [
    [
      ["verify", "./other", "--bundle", "app.json", ...identity],
      /J4[^]*ARTIFACT_MISMATCH[^]*expected +sha256:[^]*found +sha256:/,
    ],
    [
      [
        "verify",
        "./app",
        "--bundle",
        "app.json",
        "--certificate-identity",
        "me@example.com",
        "--certificate-oidc-issuer",
        `${server.url}/oidc`,
      ],
      /I3[^]*IDENTITY_MISMATCH[^]*expected +me@[^]*found +you@/,
    ],
    [
      [
        "verify",
        "./app",
        "--bundle",
        "app.json",
        "--certificate-identity",
        "you@example.com",
        "--certificate-oidc-issuer",
        "https://other.example",
      ],
      /IDENTITY_MISMATCH[^]*the identity is right|the identity is right[^]*IDENTITY_MISMATCH/,
    ],
    [["verify", "./app", "--bundle", "app", ...identity], /A2[^]*BAD_JSON/],
  ];
  for (const [args, words] of cases) assert.match((await expect(1, [...args, ...dir], words)).stderr, shape);
  assert.match(
    (await expect(1, ["verify", "./app", "--bundle", "app.json", ...identity, "--dir", join(work.path, "two")], /REFUSED/))
      .stderr,
    shape,
  );
  await expect(
    1,
    ["verify", "./app", "--bundle", "app.json", ...identity, ...dir, "--certificate-github-workflow-ref", "refs/heads/main"],
    /I4[^]*CLAIM_MISMATCH/,
  );
});

test("any of several identities may have signed", async () => {
  const line = [
    "verify",
    "./app",
    "--bundle",
    "app.json",
    "--dir",
    join(work.path, "one"),
    "--certificate-oidc-issuer",
    `${server.url}/oidc`,
  ];
  await expect(
    0,
    [...line, "--certificate-identity", "me@example.com", "--certificate-identity", "you@example.com"],
    /Verified OK/,
  );
  await expect(
    1,
    [...line, "--certificate-identity", "me@example.com", "--certificate-identity", "them@example.com"],
    /me@example.com from \S+ or them@example.com/,
  );
  await expect(
    1,
    [
      ...line,
      "--certificate-oidc-issuer",
      "https://other.example",
      "--certificate-identity",
      "me@example.com",
      "--certificate-identity",
      "you@example.com",
    ],
    /IDENTITY_MISMATCH/,
  );
});

/** Every member and element of a document, as paths. */
function* pathsOf(value: unknown, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  if (path.length > 0) yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) yield* pathsOf(inner, [...path, Array.isArray(value) ? Number(name) : name]);
}

test("a seal with any one part removed is refused by name, or means the same without it", async () => {
  // What a bundle may do without: the specification says so of each.
  const optional =
    /^messageSignature\.messageDigest$|tlogEntries\.0\.(integratedTime|inclusionPromise|logIndex)$|inclusionProof\.(rootHash|logIndex)$/;
  // Not the log's first entry: its proof would be empty, and an empty list may be left out.
  const text = readFileSync(join(folder, "env.json"), "utf8");
  let count = 0;
  for (const path of pathsOf(JSON.parse(text))) {
    const document = JSON.parse(text) as Record<string, unknown>;
    const parent = path.slice(0, -1).reduce((at, name) => (at as Record<string | number, unknown>)[name], document as unknown);
    const last = path.at(-1)!;
    if (Array.isArray(parent)) parent.splice(Number(last), 1);
    else delete (parent as Record<string | number, unknown>)[last];
    writeFileSync(join(folder, "cut.json"), JSON.stringify(document));
    const told = await lacre(["verify", "./app", "--bundle", "cut.json", ...identity, "--dir", join(work.path, "one")]);
    count++;
    if (told.status === 0 && optional.test(path.join("."))) continue;
    assert.equal(told.status, 1, `${path.join(".")}\n${told.stdout}${told.stderr}`);
    assert.match(told.stderr, /REFUSED[^]*check +[A-K]\d+: [^]*\[[A-Z_]+\]/, path.join("."));
  }
  assert.ok(count > 25, `${count}`);
});

test("JSON is one verdict a line, and quiet is silent", async () => {
  const dir = ["--dir", join(work.path, "one")];
  const told = await expect(
    1,
    ["verify", "./app", "./other", "--bundle", "app.json", ...identity, ...dir, "--output", "json"],
    /^\{/,
  );
  const verdicts = told.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { schema: string; outcome: string; checks: { id: string }[] });
  assert.deepEqual(
    verdicts.map(({ outcome }) => outcome),
    ["verified", "refused"],
  );
  assert.ok(verdicts.every(({ schema, checks }) => schema.includes("verdict") && checks.length > 60));
  const quiet = await expect(0, ["verify", "./app", "--bundle", "app.json", ...identity, ...dir, "-q"], /^$/);
  assert.equal(quiet.stdout + quiet.stderr, "");
  const failed = await expect(
    3,
    ["verify", "./missing", "--bundle", "app.json", ...identity, ...dir, "-o", "json"],
    /FILE_UNREADABLE/,
  );
  assert.equal((JSON.parse(failed.stdout) as { error: { code: string } }).error.code, "FILE_UNREADABLE");
});

test("a digest or standard input stands for the artifact", async () => {
  const dir = ["--dir", join(work.path, "one"), "--bundle", "app.json", ...identity];
  const digest = execFileSync("sha256sum", [join(folder, "app")])
    .toString()
    .slice(0, 64);
  await expect(0, ["verify", `sha256:${digest}`, ...dir], /Verified OK/);
  await expect(0, ["verify-blob", `sha256:${digest}`, ...dir], /Verified OK/);
  await expect(1, ["verify", `sha256:${"0".repeat(64)}`, ...dir], /ARTIFACT_MISMATCH/);
  await expect(2, ["verify", "sha256:00", ...dir], /64 hexadecimal digits/);
  const stdin = (async function* () {
    yield Buffer.from("the artifact\n");
  })();
  await expect(0, ["verify", "-", ...dir], /Verified OK/, { stdin });
});

test("several artifacts share one sign-in and one certificate, one bundle a line", async () => {
  const dir = ["--dir", join(work.path, "one")];
  await expect(
    0,
    ["sign", "./app", "./other", "--bundle", "both.jsonl", ...dir, "--identity-token", await token()],
    /Sealed \.\/app[^]*Sealed \.\/other/,
  );
  const lines = readFileSync(join(folder, "both.jsonl"), "utf8").trim().split("\n");
  const [first, second] = lines.map(
    (line) =>
      (JSON.parse(line) as { verificationMaterial: { certificate: { rawBytes: string } } }).verificationMaterial.certificate
        .rawBytes,
  );
  assert.equal(lines.length, 2);
  assert.equal(first, second);
  await expect(
    0,
    ["verify", "./app", "./other", "--bundle", "both.jsonl", ...identity, ...dir],
    /Verified OK {2}\.\/app[^]*Verified OK {2}\.\/other/,
  );
});

test("without --bundle the seal lies beside the file", async () => {
  const dir = ["--dir", join(work.path, "one")];
  await expect(0, ["sign", "./other", ...dir, "--identity-token", await token()], /other.sigstore.json/);
  await expect(0, ["verify", "./other", ...identity, ...dir], /Verified OK/);
});

test("a key of one's own seals and verifies, with the log and without anything", async () => {
  execFileSync("openssl", ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", join(folder, "k.pem")], {
    stdio: "ignore",
  });
  execFileSync("openssl", ["ec", "-in", join(folder, "k.pem"), "-pubout", "-out", join(folder, "k.pub")], { stdio: "ignore" });
  const dir = ["--dir", join(work.path, "one")];
  await expect(
    0,
    ["sign-blob", "app", "--key", "k.pem", "--bundle", "key.json", "--output-signature", "app.sig", ...dir],
    /Sealed app: logged/,
  );
  await expect(0, ["verify-blob", "app", "--key", "k.pub", "--bundle", "key.json", ...dir], /Verified OK/);
  writeFileSync(join(folder, "app.raw"), Buffer.from(readFileSync(join(folder, "app.sig"), "utf8"), "base64"));
  execFileSync("openssl", [
    "dgst",
    "-sha256",
    "-verify",
    join(folder, "k.pub"),
    "-signature",
    join(folder, "app.raw"),
    join(folder, "app"),
  ]);
  await expect(0, ["sign-blob", "app", "--key", "env://MY_KEY", "--tlog-upload=false", "--bundle", "bare.json"], /not logged/, {
    env: { MY_KEY: readFileSync(join(folder, "k.pem"), "utf8") },
  });
  await expect(
    0,
    ["verify-blob", "app", "--key", "k.pub", "--bundle", "bare.json", "--insecure-ignore-tlog", "--offline"],
    /warning[^]*Verified OK/,
  );
  await expect(1, ["verify-blob", "app", "--key", "k.pub", "--bundle", "bare.json", ...dir], /LOG_ENTRY_MISSING/);
  await expect(1, ["verify-blob", "app", "--key", "k.pub", "--bundle", "app.json", ...dir], /POLICY_MISMATCH/);
  await expect(1, ["verify-blob", "app", "--bundle", "key.json", ...identity, ...dir], /POLICY_MISMATCH/);
  await expect(
    2,
    ["verify-blob", "app", "--key", "k.pub", "--bundle", "key.json", ...identity, ...dir],
    /cannot be checked when --key is given/,
  );
  await expect(2, ["verify-blob", "app", "--key", "k.pem", "--bundle", "key.json", ...dir], /private key/);
  await expect(2, ["sign-blob", "app", "--key", "gcpkms://x", "--bundle", "x.json", ...dir], /gcpkms: is no kind of key/);
  await expect(1, ["sign-blob", "app", "--key", "app", "--bundle", "x.json", ...dir], /KEY_INVALID/);
});

test("a statement is sealed, and verifies for its subject and type alone", async () => {
  const dir = ["--dir", join(work.path, "one")];
  writeFileSync(join(folder, "predicate.json"), '{"builder":"x"}');
  await expect(
    0,
    [
      "attest-blob",
      "app",
      "--predicate",
      "predicate.json",
      "--type",
      "slsaprovenance1",
      "--bundle",
      "att.json",
      ...dir,
      "--identity-token",
      await token(),
    ],
    /Sealed app/,
  );
  const verify = ["verify-blob-attestation", "--bundle", "att.json", "--type", "slsaprovenance1", ...identity, ...dir];
  await expect(0, [...verify, "app"], /Verified OK[^]*states +https:\/\/slsa.dev\/provenance\/v1/);
  await expect(1, [...verify, "other"], /J6[^]*ARTIFACT_MISMATCH/);
  await expect(1, [...verify, "app", "--type", "spdx"], /PREDICATE_MISMATCH/);
  await expect(2, verify, /the file is missing/);
  await expect(0, [...verify, "--check-claims=false"], /not checked[^]*J6/);
  const statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "x", digest: { sha256: "00".repeat(32) } }],
    predicateType: "https://example.com/p",
    predicate: {},
  };
  writeFileSync(join(folder, "statement.json"), JSON.stringify(statement));
  await expect(
    0,
    ["attest-blob", "--statement", "statement.json", "--bundle", "ready.json", ...dir, "--identity-token", await token()],
    /Sealed/,
  );
  const sealed = JSON.parse(readFileSync(join(folder, "ready.json"), "utf8")) as { dsseEnvelope: { payload: string } };
  assert.equal(
    Buffer.from(sealed.dsseEnvelope.payload, "base64").toString(),
    JSON.stringify(statement),
    "the statement is signed as it is",
  );
});

test("a bundle may go to a device, and an endless file is not read to its end", async () => {
  const dir = ["--dir", join(work.path, "one")];
  await expect(0, ["sign-blob", "app", "--bundle", "/dev/null", ...dir, "--identity-token", await token()], /Sealed/);
  assert.ok(!statSync("/dev/null").isFile());
  await expect(3, ["verify-blob", "app", "--bundle", "/dev/zero", ...identity, ...dir], /larger than/);
  await expect(3, ["verify-blob", "app", "--bundle", ".", ...identity, ...dir], /it is a folder/);
});

test("a seal that cannot be written is said, and leaves nothing half", async () => {
  const line = ["sign-blob", "app", "--dir", join(work.path, "one"), "--identity-token", await token(), "--bundle"];
  await expect(3, [...line, "missing/x.json"], /FILE_UNWRITABLE|its folder does not exist/);
  const before = readdirSync(folder);
  await expect(3, [...line, "app/x.json"], /cannot write/);
  assert.deepEqual(readdirSync(folder), before);
});

test("what cannot be honoured ends with status 2 and names what to use instead", async () => {
  const cases: [string[], RegExp][] = [
    [["sign-blob", "app", "--bundle", "x", "--sk"], /--sk[^]*--key/],
    [["verify-blob", "app", "--bundle", "x", "--sct", "s", ...identity], /--sct[^]*read from the certificate/],
    [["verify-blob", "app", "--bundle", "x", "--slot", "signature", "--key", "k.pub"], /--slot[^]*pkcs11:/],
  ];
  for (const [args, words] of cases) await expect(2, args, words);
});

test("a wrong line is status 2, with the nearest right one", async () => {
  await expect(2, ["verify-blob", "app"], /--bundle is missing/);
  await expect(2, ["verify", "./app", "--bundle", "app.json"], /POLICY_MISSING/);
  await expect(2, ["verify", "./app", "--bundle", "app.json", "--certificate-identity", "x"], /--certificate-oidc-issuer/);
  await expect(2, ["verify"], /ARTIFACT is missing/);
  await expect(2, ["verfy"], /no command verfy[^]*verify/);
  await expect(2, ["verify", "--bundel", "x"], /Did you mean --bundle/);
  await expect(2, ["sign", "app"], /may be a file or an image[^]*\.\/app[^]*oci:\/\/app/);
  await expect(2, ["version", "extra"], /no operands/);
  await expect(2, ["version", "-o", "yaml"], /one of text, json/);
});

test("cosign's spellings and environment reach the same flags", async () => {
  const line = [
    "verify-blob",
    "-bundle",
    "app.json",
    "-certificate-identity=you@example.com",
    "--cert-oidc-issuer",
    `${server.url}/oidc`,
    "app",
  ];
  await expect(0, line, /-bundle is read as --bundle[^]*Verified OK/, { env: { LACRE_DIR: join(work.path, "one") } });
  await expect(0, ["verify-blob", "app"], /Verified OK/, {
    env: {
      LACRE_DIR: join(work.path, "one"),
      COSIGN_BUNDLE: "app.json",
      COSIGN_CERTIFICATE_IDENTITY: "you@example.com",
      COSIGN_CERTIFICATE_OIDC_ISSUER: `${server.url}/oidc`,
    },
  });
});

test("a ledger on another machine needs a yes", async () => {
  const config = JSON.parse(readFileSync(join(trust, "signing_config.v0.2.json"), "utf8")) as {
    rekorTlogUrls: { url: string }[];
  };
  config.rekorTlogUrls[0]!.url = "https://ledger.example";
  writeFileSync(join(folder, "public.json"), JSON.stringify(config));
  const line = [
    "sign-blob",
    "app",
    "--bundle",
    "p.json",
    "--signing-config",
    "public.json",
    "--trusted-root",
    join(trust, "trusted_root.json"),
    "--identity-token",
    await token(),
  ];
  await expect(2, line, /CONFIRMATION_MISSING[^]*--yes/);
  const refused: Context["fetch"] = async (url, init) => {
    if (url.startsWith("https://ledger.example")) throw new Error("not reachable in a test");
    return fetch(url, init);
  };
  await expect(3, [...line, "--yes"], /the ledger at ledger.example could not be asked[^]*SERVICE_UNREACHABLE/, {
    fetch: refused,
  });
});

test("a certificate of another installation's authority is refused before anything is signed", async () => {
  const asked: string[] = [];
  const watched: Context["fetch"] = (url, init) => {
    asked.push(new URL(url).pathname);
    return fetch(url, init);
  };
  const line = [
    "sign-blob",
    "app",
    "--bundle",
    "x.json",
    "--signing-config",
    join(trust, "signing_config.v0.2.json"),
    "--trusted-root",
    join(work.path, "two", "trust", "trusted_root.json"),
    "--identity-token",
    await token(),
  ];
  await expect(1, line, /CREDENTIAL_INVALID/, { fetch: watched });
  assert.deepEqual(asked, ["/api/v2/signingCert"]);
});

test("initialize remembers a mirror, and everything works without naming it", async () => {
  const root = join(trust, "root.json");
  const checksum = execFileSync("sha256sum", [root]).toString().slice(0, 64);
  await expect(
    1,
    ["initialize", "--mirror", `${server.url}/tuf/`, "--root", root, "--root-checksum", "00".repeat(32)],
    /checksum/,
  );
  await expect(
    1,
    ["initialize", "--mirror", `${server.url}/tuf`, "--root", join(work.path, "two", "trust", "root.json")],
    /MIRROR_REFUSED/,
  );
  await expect(3, ["verify", "./app", "--bundle", "app.json", ...identity], /TRUST_MISSING/);
  await expect(
    0,
    ["initialize", "--mirror", `${server.url}/tuf/`, "--root", root, "--root-checksum", checksum],
    /Remembered http/,
  );
  await expect(
    0,
    ["verify", "./app", "--bundle", "app.json", ...identity],
    /trusting .*tuf\/targets\/trusted_root.json \(remembered by lacre initialize\)/,
  );
  await expect(0, ["verify", "./app", "--bundle", "app.json", ...identity, "--offline"], /Verified OK/);
  await expect(0, ["sign", "./app", "--bundle", "mirror.json", "--identity-token", await token()], /Sealed/);
});

test("a cache that was changed is refused, offline too", async () => {
  const cache = execFileSync("find", [home, "-path", "*/targets/*trusted_root.json"]).toString().trim();
  const metadata = execFileSync("find", [home, "-path", "*/metadata/targets.json"]).toString().trim();
  const good = readFileSync(cache);
  writeFileSync(cache, good.toString().replace('"tlogs"', '"tlogz"'));
  await expect(3, ["verify", "./app", "--bundle", "app.json", ...identity, "--offline"], /OFFLINE/);
  await expect(0, ["verify", "./app", "--bundle", "app.json", ...identity], /Verified OK/);
  const targets = readFileSync(metadata);
  writeFileSync(metadata, targets.toString().replace(/"length":\d+/, '"length":1'));
  await expect(3, ["verify", "./app", "--bundle", "app.json", ...identity, "--offline"], /OFFLINE/);
  await expect(0, ["verify", "./app", "--bundle", "app.json", ...identity], /Verified OK/);
  const pinned = execFileSync("find", [home, "-name", "pinned.root.json"]).toString().trim();
  const rootBytes = readFileSync(pinned);
  writeFileSync(pinned, readFileSync(join(work.path, "two", "trust", "root.json")));
  await expect(3, ["verify", "./app", "--bundle", "app.json", ...identity, "--offline"], /TRUST_CHANGED/);
  writeFileSync(pinned, rootBytes);
});
