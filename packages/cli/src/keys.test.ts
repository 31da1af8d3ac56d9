// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { checkSignature, type KeyType } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { createWorld, type World } from "../../../test/cli/world.ts";
import { algorithmByFlag } from "./algorithms.ts";
import { CliError } from "./errors.ts";
import { openSigner, readPublicKey } from "./keys.ts";
import { runLine } from "./run.ts";

const vectors = join(import.meta.dirname, "../../../vectors/cosign-keys");
const vector = (name: string): string => readFileSync(join(vectors, name), "utf8");

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "lacre-keys-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function refusedWith(code: string, work: Promise<unknown>): Promise<Error & { readonly hint: string }> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof CliError || error instanceof LacreError, String(error));
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail(`not refused: ${code}`);
}

const line = (world: World, ...args: string[]): Promise<number> => runLine(args, world.context);
const openssl = (cwd: string, ...args: string[]): Buffer =>
  execFileSync("openssl", args, { cwd, stdio: ["ignore", "pipe", "ignore"] });

test("an encrypted key signs with COSIGN_PASSWORD, or with all of standard input", async () => {
  const reference = join(vectors, "p256.key");
  const message = Buffer.from("x");
  const publicKey = await readPublicKey(createWorld().context, join(vectors, "p256.pub"));
  const worlds = [
    createWorld({ env: { COSIGN_PASSWORD: "correct horse" } }),
    createWorld({
      stdin: (async function* () {
        yield Buffer.from("correct ");
        yield Buffer.from("horse");
      })(),
    }),
  ];
  for (const { context } of worlds) {
    const signer = await openSigner(context, reference);
    checkSignature(signer.algorithm, publicKey, { message }, await signer.sign({ message }));
  }
});

test("a wrong password is said to be wrong, with where it came from, and is not shown", async () => {
  const reference = join(vectors, "p256.key");
  const wrong = await refusedWith(
    "KEY_LOCKED",
    openSigner(createWorld({ env: { COSIGN_PASSWORD: "guess-me" } }).context, reference),
  );
  assert.match(wrong.message, /COSIGN_PASSWORD/);
  assert.doesNotMatch(wrong.message + wrong.hint, /guess-me/);
  const empty = await refusedWith("KEY_LOCKED", openSigner(createWorld().context, reference));
  assert.match(empty.message, /standard input, which is empty/);
});

test("standard input is a password or an artifact, not both", async (t) => {
  const cwd = folder(t);
  const world = createWorld({
    cwd,
    stdin: (async function* () {
      yield Buffer.from("correct horse");
    })(),
  });
  const flags = ["--key", join(vectors, "p256.key"), "--tlog-upload=false", "--bundle", "out.json", "-"];
  assert.equal(await line(world, "sign-blob", ...flags), 2);
  assert.match(world.stderr(), /standard input was read for a password/);
});

test("private keys are read in every form that OpenSSL writes", async (t) => {
  const cwd = folder(t);
  openssl(cwd, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "pkcs8.pem");
  openssl(cwd, "ec", "-in", "pkcs8.pem", "-out", "sec1.pem");
  openssl(cwd, "pkcs8", "-topk8", "-in", "pkcs8.pem", "-passout", "pass:pw", "-out", "locked.pem");
  openssl(cwd, "ec", "-in", "pkcs8.pem", "-aes256", "-passout", "pass:pw", "-out", "old.pem");
  openssl(cwd, "genrsa", "-traditional", "-out", "pkcs1.pem", "3072");
  const { context } = createWorld({ cwd, env: { COSIGN_PASSWORD: "pw", KEY: readFileSync(join(cwd, "pkcs8.pem"), "utf8") } });
  const types: Record<string, KeyType> = {
    "pkcs8.pem": "P-384",
    "sec1.pem": "P-384",
    "locked.pem": "P-384",
    "old.pem": "P-384",
    "env://KEY": "P-384",
    "pkcs1.pem": "RSA",
  };
  for (const [reference, type] of Object.entries(types))
    assert.equal((await openSigner(context, reference)).publicKey.type, type);
  const wrong = createWorld({ cwd, env: { COSIGN_PASSWORD: "no" } }).context;
  for (const name of ["locked.pem", "old.pem"]) await refusedWith("KEY_LOCKED", openSigner(wrong, name));
});

test("a key signs by another algorithm of its own, and by no other key's", async () => {
  const { context } = createWorld({ env: { COSIGN_PASSWORD: "correct horse" } });
  const algorithm = algorithmByFlag("ecdsa-sha2-384-nistp384");
  assert.equal((await openSigner(context, join(vectors, "p384.key"), { algorithm })).algorithm, algorithm);
  await refusedWith("KEY_INVALID", openSigner(context, join(vectors, "p256.key"), { algorithm }));
});

test("what is no key of its kind is refused by name", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "binary"), Uint8Array.of(0xff, 0xfe));
  writeFileSync(join(cwd, "text"), "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n");
  writeFileSync(join(cwd, "certificate"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const { context } = createWorld({ cwd });
  await refusedWith("FILE_UNREADABLE", readPublicKey(context, "binary"));
  await refusedWith("FILE_UNREADABLE", readPublicKey(context, "absent"));
  await refusedWith("FILE_UNREADABLE", readPublicKey(context, "env://ABSENT"));
  await refusedWith("KEY_INVALID", readPublicKey(context, "text"));
  await refusedWith("KEY_INVALID", openSigner(context, "text"));
  await refusedWith("USAGE", readPublicKey(context, "certificate"));
  await refusedWith("USAGE", readPublicKey(context, ""));
  assert.match((await refusedWith("USAGE", readPublicKey(context, join(vectors, "p256.key")))).message, /private key/);
  for (const scheme of ["gcpkms", "azurekms", "gitlab", "github"]) {
    assert.match((await refusedWith("UNSUPPORTED_FLAG", openSigner(context, `${scheme}://x/y`))).hint, /env:\/\//);
  }
  await refusedWith("UNSUPPORTED_FLAG", openSigner(context, "plugin://x"));
});

test("a public key is fetched where the user says so, and never offline, redirected, or over plain http", async (t) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url === "/moved") return void response.writeHead(302, { location: "/key.pub" }).end();
    if (request.url === "/key.pub") return void response.end(vector("p256.pub"));
    return void response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => void server.close());
  const base = `http://localhost:${(server.address() as AddressInfo).port}`;
  const { context } = createWorld({ fetch: (url, init) => fetch(url, init) });
  assert.equal((await readPublicKey(context, `${base}/key.pub`)).type, "P-256");
  await refusedWith("FILE_UNREADABLE", readPublicKey(context, `${base}/absent`));
  await assert.rejects(readPublicKey(context, `${base}/moved`));
  const before = asked.length;
  await refusedWith("OFFLINE", readPublicKey(context, `${base}/key.pub`, { offline: true }));
  await refusedWith("USAGE", readPublicKey(context, "http://example.com/key.pub"));
  await refusedWith("USAGE", readPublicKey(context, "https://user:secret@example.com/key.pub"));
  await refusedWith("USAGE", openSigner(context, `${base}/key.pub`));
  assert.equal(asked.length, before);
});

test("a key pair is made for its owner alone, and not over another", async (t) => {
  const cwd = folder(t);
  const world = createWorld({ cwd, env: { COSIGN_PASSWORD: "pw" } });
  assert.equal(await line(world, "generate-key-pair"), 0);
  assert.equal(statSync(join(cwd, "cosign.key")).mode & 0o777, 0o600);
  const made = readFileSync(join(cwd, "cosign.key"), "utf8");
  assert.equal(await line(world, "generate-key-pair"), 2);
  assert.equal(readFileSync(join(cwd, "cosign.key"), "utf8"), made);
  for (const place of [["github://a/b"], ["gitlab://1"], ["--kms", "gcpkms://x"], ["--kms", "env://X"], ["elsewhere"]])
    assert.equal(await line(world, "generate-key-pair", ...place), 2, place.join(" "));
  assert.match(world.stderr(), /github: is no kind of key/);
  assert.equal(await line(world, "generate-key-pair", "--yes"), 0);
  assert.notEqual(readFileSync(join(cwd, "cosign.key"), "utf8"), made);
  assert.match(openssl(cwd, "pkey", "-pubin", "-in", "cosign.pub", "-text", "-noout").toString(), /P-256/);
});

test("a pair is made for every algorithm of the registry that has a name, save RSA of 2048 bits", async (t) => {
  const cwd = folder(t);
  const env = { COSIGN_PASSWORD: "pw" };
  for (const name of [
    "ecdsa-sha2-384-nistp384",
    "ecdsa-sha2-512-nistp521",
    "rsa-sign-pkcs1-3072-sha256",
    "ed25519",
    "ml-dsa-65",
    "ml-dsa-87",
  ]) {
    assert.equal(
      await line(createWorld({ cwd, env }), "generate-key-pair", "--signing-algorithm", name, "--output-key-prefix", name),
      0,
    );
    const { context } = createWorld({ cwd, env });
    const algorithm = algorithmByFlag(name);
    const signer = await openSigner(context, `${name}.key`);
    assert.equal(signer.algorithm.keyType, algorithm.keyType);
    const message = Buffer.from("x");
    checkSignature(algorithm, await readPublicKey(context, `${name}.pub`), { message }, await signer.sign({ message }));
  }
  assert.equal(
    await line(createWorld({ cwd, env }), "generate-key-pair", "--signing-algorithm", "rsa-sign-pkcs1-2048-sha256"),
    2,
  );
  assert.equal(await line(createWorld({ cwd, env }), "generate-key-pair", "--signing-algorithm", "dsa"), 2);
});

test("an imported key is the same key, encrypted", async (t) => {
  const cwd = folder(t);
  openssl(cwd, "genpkey", "-algorithm", "ed25519", "-out", "own.pem");
  openssl(cwd, "pkcs8", "-topk8", "-in", "own.pem", "-passout", "pass:old", "-out", "locked.pem");
  const expected = openssl(cwd, "pkey", "-in", "own.pem", "-pubout").toString();
  const world = createWorld({ cwd, env: { COSIGN_PASSWORD: "new", LACRE_IMPORT_PASSWORD: "old" } });
  assert.equal(await line(world, "import-key-pair", "--key", "own.pem"), 0);
  assert.equal(readFileSync(join(cwd, "import-cosign.pub"), "utf8"), expected);
  assert.match(readFileSync(join(cwd, "import-cosign.key"), "utf8"), /ENCRYPTED SIGSTORE/);
  assert.equal(await line(world, "import-key-pair", "--key", "locked.pem", "-o", "second"), 0);
  const printed = createWorld({ cwd, env: { COSIGN_PASSWORD: "new" } });
  assert.equal(await line(printed, "public-key", "--key", "second.key"), 0);
  assert.equal(printed.stdout(), expected);
  assert.equal(await line(printed, "public-key", "--key", "second.key", "--outfile", "out.pub"), 0);
  assert.equal(readFileSync(join(cwd, "out.pub"), "utf8"), expected);
  assert.equal(await line(createWorld({ cwd }), "public-key", "--sk"), 2);
});

test("P-384 with SHA-256, as old clients signed, verifies where it is asked for", async (t) => {
  const cwd = folder(t);
  openssl(cwd, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "k.pem");
  openssl(cwd, "pkey", "-in", "k.pem", "-pubout", "-out", "k.pub");
  writeFileSync(join(cwd, "app"), "x");
  openssl(cwd, "dgst", "-sha256", "-sign", "k.pem", "-out", "signature", "app");
  const digest = openssl(cwd, "dgst", "-sha256", "-binary", "app").toString("base64");
  const bundle = {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { publicKey: { hint: "" } },
    messageSignature: {
      messageDigest: { algorithm: "SHA2_256", digest },
      signature: readFileSync(join(cwd, "signature")).toString("base64"),
    },
  };
  writeFileSync(join(cwd, "app.json"), JSON.stringify(bundle));
  const flags = ["--key", "k.pub", "--bundle", "app.json", "--insecure-ignore-tlog", "app"];
  const strict = createWorld({ cwd });
  assert.equal(await line(strict, "verify-blob", ...flags), 1);
  assert.match(strict.stderr() + strict.stdout(), /ALGORITHM_REFUSED|SIGNATURE_INVALID/);
  assert.equal(await line(createWorld({ cwd }), "verify-blob", "--insecure-legacy-hashes", ...flags), 0);
});

test("what says something about certificates is refused beside a key", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "app"), "x");
  writeFileSync(join(cwd, "app.json"), "{}");
  const flags = ["--key", join(vectors, "p256.pub"), "--bundle", "app.json", "app"];
  for (const beside of [
    ["--certificate-identity", "a"],
    ["--certificate-oidc-issuer", "b"],
    ["--insecure-ignore-sct"],
    ["--certificate-identity-regexp", "a"],
  ])
    assert.equal(await line(createWorld({ cwd }), "verify-blob", ...beside, ...flags), 2, beside[0]);
});

test("signatures that cannot be logged are refused before anything is asked for", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "app"), "x");
  const world = createWorld({ cwd, env: { COSIGN_PASSWORD: "correct horse" } });
  const config = {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    rekorTlogUrls: [
      { url: "http://127.0.0.1:1", majorApiVersion: 2, validFor: { start: "2020-01-01T00:00:00Z" }, operator: "x" },
    ],
    rekorTlogConfig: { selector: "ANY" },
  };
  writeFileSync(join(cwd, "config.json"), JSON.stringify(config));
  assert.equal(
    await line(
      world,
      "sign-blob",
      "--key",
      join(vectors, "ed25519.key"),
      "--signing-config",
      "config.json",
      "--bundle",
      "b.json",
      "app",
    ),
    2,
  );
  assert.match(world.stderr(), /cannot be logged/);
});
