// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { LacreError } from "@lacre/core/errors";
import { createWorld } from "../../../../test/cli/world.ts";
import { CliError } from "../errors.ts";
import { changeDockerConfig, decodeDockerConfig } from "./config.ts";
import { fileCredentials } from "./credentials.ts";
import { forgetLogin, parseServer, readPassword, rememberLogin } from "./logins.ts";

const root = mkdtempSync(join(tmpdir(), "lacre-credentials-"));
after(() => rmSync(root, { recursive: true, force: true }));

const bytes = (document: object | string): Uint8Array =>
  Buffer.from(typeof document === "string" ? document : JSON.stringify(document));
const auth = (pair: string): { auth: string } => ({ auth: Buffer.from(pair).toString("base64") });

let count = 0;
/** A folder with a configuration in it. */
function configured(document: object | string): string {
  const folder = join(root, `config-${++count}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "config.json"), bytes(document));
  return folder;
}

/** A helper program that answers so; what it was told is in `told`. */
function helper(name: string, script: string): { readonly path: string; told(): string } {
  const folder = join(root, `bin-${++count}`);
  mkdirSync(folder);
  const file = join(folder, `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\n{ echo "$1"; cat; } > ${folder}/told\n${script}\n`);
  chmodSync(file, 0o755);
  return { path: `${folder}:${process.env["PATH"] ?? ""}`, told: () => readFileSync(join(folder, "told"), "utf8") };
}

test("T16: a registry is found by its exact name, port included", async () => {
  const { context } = createWorld({
    env: { DOCKER_CONFIG: configured({ auths: { "example.com": auth("me:pw"), "example.com:5000": auth("five:pw") } }) },
  });
  const find = fileCredentials(context);
  assert.deepEqual(await find("example.com"), { kind: "basic", username: "me", password: "pw" });
  assert.deepEqual(await find("example.com:5000"), { kind: "basic", username: "five", password: "pw" });
  for (const other of [
    "example.com.evil",
    "evil-example.com",
    "example.com:5001",
    "example.co",
    "xexample.com",
    "Example.com",
    "com",
  ])
    assert.equal(await find(other), undefined, other);
});

test("keys of older files count by their host, and keys of a part of a registry not at all", () => {
  const { auths } = decodeDockerConfig(
    bytes({
      auths: {
        "https://old.example.com/v1/": auth("old:pw"),
        "http://older.example.com/v2/": auth("older:pw"),
        "quay.io/team": auth("team:pw"),
        "https://quay.io/team/": auth("team:pw"),
        "https://index.docker.io/v1/": auth("hub:pw"),
        "https://new.example.com/": auth("address:pw"),
        "new.example.com": auth("name:pw"),
        "empty.example.com": {},
      },
    }),
  );
  const users = [...auths].map(([registry, one]) => [registry, one.kind === "basic" ? one.username : ""]);
  assert.deepEqual(Object.fromEntries(users), {
    "old.example.com": "old",
    "older.example.com": "older",
    "index.docker.io": "hub",
    "new.example.com": "name",
  });
});

test("every form of a credential is read, and a damaged one is said without showing it", () => {
  const { auths } = decodeDockerConfig(
    bytes({
      auths: {
        a: { auth: Buffer.from("me:p:w\0\0").toString("base64") },
        b: { ...auth("me:pw"), identitytoken: "refresh" },
        c: { registrytoken: "bearer" },
        d: { username: "me", password: "pw" },
      },
    }),
  );
  assert.deepEqual(auths.get("a"), { kind: "basic", username: "me", password: "p:w" });
  assert.deepEqual(auths.get("b"), { kind: "identity", token: "refresh" });
  assert.deepEqual(auths.get("c"), { kind: "bearer", token: "bearer" });
  assert.deepEqual(auths.get("d"), { kind: "basic", username: "me", password: "pw" });
  for (const wrong of [auth("no-colon-secret"), auth(":secret"), { auth: Buffer.from([0xff, 0xfe]).toString("base64") }]) {
    assert.throws(
      () => decodeDockerConfig(bytes({ auths: { a: wrong } })),
      (error) =>
        error instanceof LacreError && error.code === "BAD_JSON" && !`${error.message}${error.found ?? ""}`.includes("secret"),
    );
  }
});

test("a helper is a program's name and never a path", () => {
  for (const name of ["../evil", "/bin/sh", "a b", "a;b", "", ".hidden", "-x"]) {
    const document = { credsStore: name, credHelpers: { a: name } };
    if (name === "") assert.equal(decodeDockerConfig(bytes(document)).store, undefined);
    else assert.throws(() => decodeDockerConfig(bytes(document)), LacreError, name);
  }
});

test("a helper gets the registry on its standard input and answers there", async () => {
  const good = helper("good", `echo '{"ServerURL":"x","Username":"me","Secret":"pw"}'`);
  const DOCKER_CONFIG = configured({ credHelpers: { "example.com": "good" } });
  const { context } = createWorld({ env: { DOCKER_CONFIG, PATH: good.path } });
  assert.deepEqual(await fileCredentials(context)("example.com"), { kind: "basic", username: "me", password: "pw" });
  assert.equal(good.told(), "get\nexample.com");
  assert.equal(await fileCredentials(context)("other.example.com"), undefined);
  const token = helper("token", `echo '{"Username":"<token>","Secret":"refresh"}'`);
  const world = createWorld({ env: { DOCKER_CONFIG: configured({ credsStore: "token" }), PATH: token.path } });
  assert.deepEqual(await fileCredentials(world.context)("index.docker.io"), { kind: "identity", token: "refresh" });
  assert.equal(token.told(), "get\nhttps://index.docker.io/v1/");
});

test("a helper without the credential leaves it to the file; one that fails is a failure", async () => {
  const none = helper("none", `echo "credentials not found in native keychain"; exit 1`);
  const document = { credsStore: "none", auths: { "example.com": auth("file:pw") } };
  const { context } = createWorld({ env: { DOCKER_CONFIG: configured(document), PATH: none.path } });
  assert.deepEqual(await fileCredentials(context)("example.com"), { kind: "basic", username: "file", password: "pw" });
  for (const script of ["echo locked; exit 1", "echo not-json", `echo '{"Username":"me"}'`, "head -c 2000000 /dev/zero"]) {
    const bad = helper("bad", script);
    const world = createWorld({ env: { DOCKER_CONFIG: configured({ credsStore: "bad" }), PATH: bad.path } });
    await assert.rejects(
      fileCredentials(world.context)("example.com"),
      (error) => error instanceof CliError && error.status === 3,
    );
  }
  const absent = createWorld({ env: { DOCKER_CONFIG: configured({ credsStore: "absent" }), PATH: "/nowhere" } });
  await assert.rejects(fileCredentials(absent.context)("example.com"), /docker-credential-absent is not installed/);
});

test("podman's file counts where Docker has none, and a damaged file is not passed over", async () => {
  const empty = join(root, `home-${++count}`);
  mkdirSync(empty);
  const podman = join(root, "auth.json");
  writeFileSync(podman, bytes({ auths: { "example.com": auth("podman:pw") } }));
  const find = (env: Record<string, string>): ReturnType<ReturnType<typeof fileCredentials>> =>
    fileCredentials(createWorld({ env: { HOME: empty, ...env } }).context)("example.com");
  assert.deepEqual(await find({ REGISTRY_AUTH_FILE: podman }), { kind: "basic", username: "podman", password: "pw" });
  mkdirSync(join(root, "run", "containers"), { recursive: true });
  writeFileSync(join(root, "run", "containers", "auth.json"), bytes({ auths: { "example.com": auth("run:pw") } }));
  assert.deepEqual(await find({ XDG_RUNTIME_DIR: join(root, "run") }), { kind: "basic", username: "run", password: "pw" });
  const docker = configured({ auths: { "example.com": auth("docker:pw") } });
  assert.deepEqual(await find({ DOCKER_CONFIG: docker, REGISTRY_AUTH_FILE: podman }), {
    kind: "basic",
    username: "docker",
    password: "pw",
  });
  assert.equal(await find({}), undefined);
  await assert.rejects(
    find({ DOCKER_CONFIG: configured("{") }),
    (error) => error instanceof CliError && error.code === "CREDENTIALS_UNREADABLE",
  );
});

test("login keeps what else is in the file, and logout takes out that registry alone", async () => {
  const folder = configured({
    HttpHeaders: { a: "b" },
    auths: { "https://example.com/v1/": auth("old:pw"), other: auth("o:pw") },
  });
  const { context, stderr } = createWorld({ env: { DOCKER_CONFIG: folder } });
  await rememberLogin(context, "example.com", { username: "me", password: "pw" });
  const file = join(folder, "config.json");
  const read = (): unknown => JSON.parse(readFileSync(file, "utf8"));
  assert.deepEqual(read(), { HttpHeaders: { a: "b" }, auths: { other: auth("o:pw"), "example.com": auth("me:pw") } });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await forgetLogin(context, "example.com");
  assert.deepEqual(read(), { HttpHeaders: { a: "b" }, auths: { other: auth("o:pw") } });
  assert.ok(!stderr().includes("pw"));
  const fresh = createWorld({ env: { DOCKER_CONFIG: join(root, "new", "folder") } });
  await rememberLogin(fresh.context, "index.docker.io", { username: "me", password: "pw" });
  const made = readFileSync(join(root, "new", "folder", "config.json"), "utf8");
  assert.deepEqual(JSON.parse(made), { auths: { "https://index.docker.io/v1/": auth("me:pw") } });
});

test("login hands the secret to the helper where there is one, by its standard input", async () => {
  const keep = helper("keep", "");
  const folder = configured({ credsStore: "keep", auths: { "example.com": auth("old:pw") } });
  const { context } = createWorld({ env: { DOCKER_CONFIG: folder, PATH: keep.path } });
  await rememberLogin(context, "example.com", { username: "me", password: "pw" });
  assert.equal(keep.told(), 'store\n{"ServerURL":"example.com","Username":"me","Secret":"pw"}');
  await forgetLogin(context, "example.com");
  assert.equal(keep.told(), "erase\nexample.com");
});

test("a file that is no configuration is not written over", async () => {
  const folder = configured("not json");
  const { context } = createWorld({ env: { DOCKER_CONFIG: folder } });
  await assert.rejects(rememberLogin(context, "example.com", { username: "me", password: "pw" }), CliError);
  assert.equal(readFileSync(join(folder, "config.json"), "utf8"), "not json");
  assert.throws(() => changeDockerConfig(bytes("[]"), "a", undefined), LacreError);
  assert.throws(() => changeDockerConfig(bytes({ auths: [] }), "a", undefined), LacreError);
  assert.ok(existsSync(folder));
});

test("a server is a host, and a password is asked for only where somebody can answer", async () => {
  assert.equal(parseServer(undefined), "index.docker.io");
  assert.equal(parseServer("https://example.com/v2/"), "example.com");
  assert.equal(parseServer("localhost:5000"), "localhost:5000");
  for (const wrong of ["example.com/team", "user@example.com", "a b", "example.com:99999", "ftp://example.com"])
    assert.throws(() => parseServer(wrong), CliError, wrong);
  const { context } = createWorld();
  await assert.rejects(readPassword(context, {}), (error) => error instanceof CliError && error.status === 2);
  const piped = createWorld({
    stdin: (async function* () {
      yield Buffer.from("secret\n");
    })(),
  });
  assert.equal(await readPassword(piped.context, { passwordStdin: true }), "secret");
});
