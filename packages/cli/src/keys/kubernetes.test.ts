// SPDX-License-Identifier: Apache-2.0
// A stand-in for the API server, which knows secrets, tokens and client certificates.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { after, before, beforeEach, test } from "node:test";
import { stringify } from "yaml";
import { checkSignature } from "@lacre/core/crypto";
import { createWorld } from "../../../../test/cli/world.ts";
import { CliError } from "../errors.ts";
import { generateKeyAt, openSigner, readPublicKey } from "../keys.ts";
import { findCluster } from "./kubernetes.ts";

// oxlint-disable-next-line no-explicit-any -- objects of the API
type Loose = any;

const TOKEN = "s3cret-token";
const work = mkdtempSync(join(tmpdir(), "lacre-k8s-"));
const path = (name: string): string => join(work, name);
const read = (name: string): string => readFileSync(path(name), "utf8");
const secrets = new Map<string, Loose>();
const asked: string[] = [];

const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: work, stdio: "ignore" });
openssl(
  "req",
  "-x509",
  "-newkey",
  "ec",
  "-pkeyopt",
  "ec_paramgen_curve:P-256",
  "-nodes",
  "-keyout",
  "ca.key",
  "-out",
  "ca.crt",
  "-subj",
  "/CN=ca",
  "-days",
  "2",
);
for (const name of ["server", "client"]) {
  writeFileSync(path(`${name}.ext`), name === "server" ? "subjectAltName=IP:127.0.0.1\n" : "extendedKeyUsage=clientAuth\n");
  openssl(
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
    "-subj",
    `/CN=${name}`,
  );
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-out",
    `${name}.crt`,
    "-days",
    "2",
    "-extfile",
    `${name}.ext`,
  );
}

const server = createServer(
  { key: read("server.key"), cert: read("server.crt"), ca: read("ca.crt"), requestCert: true, rejectUnauthorized: false },
  (request, response) => void serve(request, response),
);

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  asked.push(`${request.method} ${request.url}`);
  const send = (status: number, body: object): void =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const isKnown = request.headers.authorization === `Bearer ${TOKEN}` || (request.socket as TLSSocket).authorized;
  if (!isKnown) return send(401, { kind: "Status", message: "Unauthorized" });
  const [, namespace, name] = /^\/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^/]+))?$/.exec(request.url!) ?? [];
  if (namespace === undefined) return send(404, { kind: "Status" });
  if (request.method === "POST") {
    const body = JSON.parse(Buffer.concat(parts).toString()) as Loose;
    secrets.set(`${namespace}/${body.metadata.name}`, body);
    return send(201, body);
  }
  const secret = secrets.get(`${namespace}/${name}`);
  return secret === undefined ? send(404, { kind: "Status", message: `secrets "${name}" not found` }) : send(200, secret);
}

interface Config {
  readonly cluster?: object;
  readonly user?: object;
}

function kubeconfig(
  name: string,
  { cluster = { "certificate-authority": "ca.crt" }, user = { token: TOKEN } }: Config,
): Record<string, string> {
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(
    path(name),
    stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "here",
      contexts: [{ name: "here", context: { cluster: "one", user: "me" } }],
      clusters: [{ name: "one", cluster: { server: address, ...cluster } }],
      users: [{ name: "me", user }],
    }),
  );
  return { KUBECONFIG: path(name), HOME: work, COSIGN_PASSWORD: "pw" };
}

before(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(work, { recursive: true });
});
beforeEach(() => {
  secrets.clear();
  asked.length = 0;
});

async function refusedWith(code: string, job: Promise<unknown>): Promise<CliError> {
  try {
    await job;
  } catch (error) {
    assert.ok(error instanceof CliError && error.code === code, String(error));
    assert.doesNotMatch(error.message + error.hint, /s3cret/);
    return error;
  }
  assert.fail(`not refused: ${code}`);
}

test("a key pair is made as cosign makes it, signs, verifies, and is not made twice", async () => {
  const { context } = createWorld({ env: kubeconfig("config", {}) });
  const made = await generateKeyAt(context, "k8s://team/seal", undefined);
  const secret = secrets.get("team/seal");
  assert.equal(secret.immutable, true);
  assert.equal(secret.type, "Opaque");
  assert.deepEqual(Object.keys(secret.data).sort(), ["cosign.key", "cosign.password", "cosign.pub"]);
  assert.equal(Buffer.from(secret.data["cosign.password"], "base64").toString(), "pw");
  assert.match(Buffer.from(secret.data["cosign.key"], "base64").toString(), /^-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----/);
  // The password is the secret's own, not the environment's.
  const signer = await openSigner(
    createWorld({ env: { ...kubeconfig("config", {}), COSIGN_PASSWORD: "other" } }).context,
    "k8s://team/seal",
  );
  const message = Buffer.from("x");
  const publicKey = await readPublicKey(context, "k8s://team/seal");
  assert.deepEqual(publicKey.spki, made.spki);
  checkSignature(signer.algorithm, publicKey, { message }, await signer.sign({ message }));
  await refusedWith("FILE_EXISTS", generateKeyAt(context, "k8s://team/seal", undefined));
});

test("every way in that is known works: token, token file, client certificate, inside or beside the file", async () => {
  const data = (name: string): string => Buffer.from(read(name)).toString("base64");
  writeFileSync(path("token"), `${TOKEN}\n`);
  const ways: Config[] = [
    { user: { token: TOKEN } },
    { user: { tokenFile: "token" } },
    { user: { "client-certificate": "client.crt", "client-key": "client.key" } },
    {
      user: { "client-certificate-data": data("client.crt"), "client-key-data": data("client.key") },
      cluster: { "certificate-authority-data": data("ca.crt") },
    },
  ];
  for (const way of ways) {
    const { context } = createWorld({ env: kubeconfig("way", way) });
    assert.match(
      (await refusedWith("KEY_UNREACHABLE", readPublicKey(context, "k8s://team/absent"))).message,
      /no secret team\/absent/,
    );
  }
});

test("inside a cluster the service account is used", async () => {
  mkdirSync(path("account"));
  writeFileSync(path("account/ca.crt"), read("ca.crt"));
  writeFileSync(path("account/token"), TOKEN);
  const env = { HOME: path("nowhere"), KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "6443" };
  const cluster = await findCluster(createWorld({ env }).context, path("account"));
  assert.equal(cluster.server, "https://10.0.0.1:6443");
  assert.equal(cluster.token, TOKEN);
  assert.equal(
    (await findCluster(createWorld({ env: { ...env, KUBERNETES_SERVICE_HOST: "fd00::1" } }).context, path("account"))).server,
    "https://[fd00::1]:6443",
  );
  await refusedWith("USAGE", findCluster(createWorld({ env: { HOME: path("nowhere") } }).context));
});

test("a cluster that cannot be known, and ways in that are not known, are refused", async () => {
  const authority = { "certificate-authority": "ca.crt" };
  const refusals: Config[] = [
    { cluster: { "insecure-skip-tls-verify": true } },
    { cluster: { ...authority, "proxy-url": "http://127.0.0.1:1" } },
    { user: { exec: { command: "aws" } } },
    { user: { "auth-provider": { name: "gcp" } } },
    { user: { username: "me", password: "s3cret" } },
  ];
  for (const refused of refusals)
    await refusedWith("UNSUPPORTED_FLAG", readPublicKey(createWorld({ env: kubeconfig("bad", refused) }).context, "k8s://a/b"));
  assert.equal(asked.length, 0);
  await refusedWith(
    "KEY_UNREACHABLE",
    readPublicKey(createWorld({ env: kubeconfig("bad", { cluster: {} }) }).context, "k8s://a/b"),
  );
  assert.equal(asked.length, 0);
  await refusedWith(
    "KEY_UNREACHABLE",
    readPublicKey(createWorld({ env: kubeconfig("bad", { user: { token: "s3cret-other" } }) }).context, "k8s://a/b"),
  );
  writeFileSync(path("broken"), "token: s3cret\n\t- {");
  await refusedWith("FILE_UNREADABLE", readPublicKey(createWorld({ env: { KUBECONFIG: path("broken") } }).context, "k8s://a/b"));
});

test("what names no secret is refused before anything is asked", async () => {
  const { context } = createWorld({ env: kubeconfig("config", {}) });
  for (const reference of ["k8s://", "k8s://a", "k8s://a/b/c", "k8s://a/../b", "k8s://A/b", "k8s:///b"])
    await refusedWith("USAGE", openSigner(context, reference));
  await refusedWith("OFFLINE", readPublicKey(context, "k8s://a/b", { offline: true }));
  assert.equal(asked.length, 0);
});

test("a secret that is not a key's is refused, and not shown", async () => {
  const { context } = createWorld({ env: kubeconfig("config", {}) });
  const cases: Loose[] = [
    {},
    { data: {} },
    { data: { "cosign.pub": "%%%" } },
    { data: { "cosign.pub": Buffer.from([0xff]).toString("base64") } },
  ];
  for (const secret of cases) {
    secrets.set("a/b", secret);
    await refusedWith("KEY_UNREACHABLE", readPublicKey(context, "k8s://a/b"));
  }
  await refusedWith("KEY_UNREACHABLE", openSigner(context, "k8s://a/b"));
});
