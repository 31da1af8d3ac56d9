// SPDX-License-Identifier: Apache-2.0
// The flags that say which services to sign with, and the parts of a seal in files of their own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { type Running, up } from "@lacre/services";
import type { Context } from "../../packages/cli/src/context.ts";
import { homeEnv, scratch } from "../harness.ts";
import { createLines } from "./lines.ts";
import { makeTlsFiles } from "./tls.ts";

const work = scratch("services");
const folder = join(work.path, "work");
let server: Running;
let trust: string;
let identity: string[];
let config: string;

const { expect, tokenOf } = createLines(folder);

const token = (): Promise<string> => tokenOf(server.installation.layout.dir);
const verifying = (bundle: string): string[] => [
  "verify-blob",
  "app",
  "--bundle",
  bundle,
  ...identity,
  "--trusted-root",
  join(trust, "trusted_root.json"),
];

before(async () => {
  mkdirSync(folder, { recursive: true });
  Object.assign(process.env, homeEnv(join(work.path, "home")));
  delete process.env["LACRE_DIR"];
  server = await up({ dir: join(work.path, "one"), listen: { host: "localhost", port: 0 }, stateDir: join(work.path, "state") });
  trust = join(work.path, "one", "trust");
  config = join(trust, "signing_config.v0.2.json");
  identity = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", `${server.url}/oidc`];
  writeFileSync(join(folder, "app"), "the artifact\n");
  writeFileSync(join(folder, "predicate.json"), "{}");
});

after(async () => {
  await server?.close();
  work.remove();
});

/** Counts what is asked, by path. */
function watch(): { readonly fetch: Context["fetch"]; readonly paths: string[] } {
  const paths: string[] = [];
  return { paths, fetch: (url, init) => (paths.push(new URL(url).pathname), fetch(url, init)) };
}

test("addresses alone name the services, and nothing else is asked", async () => {
  const watched = watch();
  const line = ["sign-blob", "app", "--bundle", "flags.json", "--identity-token", await token(), "--use-signing-config=false"];
  await expect(2, [...line, "--fulcio-url", "ftp://x"], /--fulcio-url is not an http/);
  await expect(3, line, /no certificate authority is named[^]*--fulcio-url/);
  await expect(3, [...line, "--fulcio-url", server.url], /names no ledger/);
  await expect(0, [...line, "--fulcio-url", server.url, "--rekor-url", server.url], /Sealed/, { fetch: watched.fetch });
  assert.deepEqual(watched.paths, ["/api/v2/signingCert", "/api/v1/log/entries"]);
  await expect(0, verifying("flags.json"), /Verified OK/);
});

test("the ledger speaks what is said, else what the config says of its address, else version 1", async () => {
  const line = ["sign-blob", "app", "--bundle", "v.json", "--identity-token", await token(), "--dir", join(work.path, "one")];
  for (const [more, path] of [
    [["--rekor-url", server.url, "--rekor-version", "2"], "/api/v2/log/entries"],
    [["--rekor-url", server.url, "--rekor-version", "1"], "/api/v1/log/entries"],
    [["--rekor-url", `${server.url}/`], "/api/v1/log/entries"],
  ] as const) {
    const watched = watch();
    await expect(0, [...line, ...more], /Sealed/, { fetch: watched.fetch });
    assert.equal(watched.paths.at(-1), path);
    assert.ok(watched.paths.includes("/api/v1/timestamp"), "the config still says which clock");
    await expect(0, verifying("v.json"), /Verified OK/);
  }
  await expect(2, [...line, "--rekor-version", "2"], /--rekor-url speaks, and that is not given/);
});

test("addresses beside a config that was asked for are refused in words", async () => {
  const line = ["sign-blob", "app", "--bundle", "x", "--rekor-url", server.url];
  await expect(2, [...line, "--signing-config", config], /--rekor-url and a signing config say two things/);
  await expect(2, [...line, "--use-signing-config"], /say two things/);
  await expect(
    2,
    ["sign-blob", "app", "--bundle", "x", "--signing-config", config, "--use-signing-config=false"],
    /exclude each other/,
  );
});

test("a key of one's own gets a certificate when it is asked for, or brings one", async () => {
  execFileSync("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-out",
    join(folder, "key.pem"),
  ]);
  const spki = execFileSync("openssl", ["pkey", "-in", join(folder, "key.pem"), "-pubout", "-outform", "DER"]);
  const line = ["sign-blob", "app", "--key", "key.pem", "--dir", join(work.path, "one"), "--bundle"];
  await expect(
    0,
    [...line, "issued.json", "--issue-certificate", "--identity-token", await token()],
    /Signing as you@example.com[^]*Sealed/,
  );
  await expect(0, verifying("issued.json"), /Verified OK/);
  const bundle = JSON.parse(readFileSync(join(folder, "issued.json"), "utf8")) as {
    verificationMaterial: { certificate: { rawBytes: string } };
  };
  const certificate = Buffer.from(bundle.verificationMaterial.certificate.rawBytes, "base64");
  assert.ok(certificate.includes(spki), "the certificate is for another key");
  writeFileSync(join(folder, "own.der"), certificate);
  await expect(0, [...line, "own.json", "--certificate", "own.der"], /Sealed/);
  await expect(0, verifying("own.json"), /Verified OK/);
  execFileSync("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-out",
    join(folder, "key2.pem"),
  ]);
  await expect(
    1,
    ["sign-blob", "app", "--key", "key2.pem", "--dir", join(work.path, "one"), "--bundle", "x", "--certificate", "own.der"],
    /CREDENTIAL_INVALID/,
  );
  await expect(2, ["sign-blob", "app", "--bundle", "x", "--certificate", "own.der"], /it goes with --key/);
  await expect(2, [...line, "x", "--certificate-chain", "own.der"], /goes with --certificate/);
});

test("the parts of a seal go to files of their own", async () => {
  const line = [
    "sign-blob",
    "app",
    "--bundle",
    "parts.json",
    "--identity-token",
    await token(),
    "--dir",
    join(work.path, "one"),
    "--output-signature",
    "app.sig",
    "--output-certificate",
    "app.pem",
    "--rfc3161-timestamp",
    "app.tsr",
  ];
  await expect(0, line, /Sealed/);
  const pem = Buffer.from(readFileSync(join(folder, "app.pem"), "utf8"), "base64").toString();
  const key = createPublicKey(pem);
  const signature = Buffer.from(readFileSync(join(folder, "app.sig"), "utf8"), "base64");
  assert.ok(verify("sha256", readFileSync(join(folder, "app")), key, signature));
  const { SignedRFC3161Timestamp } = JSON.parse(readFileSync(join(folder, "app.tsr"), "utf8")) as {
    SignedRFC3161Timestamp: string;
  };
  const tsr = join(folder, "raw.tsr");
  writeFileSync(tsr, Buffer.from(SignedRFC3161Timestamp, "base64"));
  assert.match(execFileSync("openssl", ["ts", "-reply", "-in", tsr, "-text"]).toString(), /Status: Granted/);
  await expect(0, [...line, "--b64=false"], /Sealed/);
  assert.match(readFileSync(join(folder, "app.pem"), "utf8"), /^-----BEGIN CERTIFICATE/);
  assert.ok(
    !verify("sha256", readFileSync(join(folder, "app")), key, readFileSync(join(folder, "app.sig"))),
    "another certificate's key",
  );
});

test("the old bundle holds what cosign 2 looks for, and refuses what it has no room for", async () => {
  const line = [
    "sign-blob",
    "app",
    "--bundle",
    "old.json",
    "--identity-token",
    await token(),
    "--dir",
    join(work.path, "one"),
    "--new-bundle-format=false",
  ];
  const told = await expect(0, [...line, "--rekor-url", server.url], /Sealed/);
  const old = JSON.parse(readFileSync(join(folder, "old.json"), "utf8")) as {
    base64Signature: string;
    cert: string;
    rekorBundle: { Payload: { logID: string }; SignedEntryTimestamp: string };
  };
  assert.equal(told.stdout, `${old.base64Signature}\n`);
  assert.match(Buffer.from(old.cert, "base64").toString(), /BEGIN CERTIFICATE/);
  assert.match(old.rekorBundle.Payload.logID, /^[0-9a-f]{64}$/);
  await expect(2, line, /no room for this ledger's entry[^]*--rekor-version 1/);
});

test("a statement's parts go to files of their own", async () => {
  const line = [
    "attest-blob",
    "app",
    "--predicate",
    "predicate.json",
    "--identity-token",
    await token(),
    "--dir",
    join(work.path, "one"),
    "--output-signature",
    "app.envelope",
    "--output-attestation",
    "app.statement",
    "--output-certificate",
    "app.pem",
  ];
  await expect(0, line, /Sealed/);
  const envelope = JSON.parse(readFileSync(join(folder, "app.envelope"), "utf8")) as { payload: string };
  assert.deepEqual(Buffer.from(envelope.payload, "base64"), readFileSync(join(folder, "app.statement")));
  assert.match(readFileSync(join(folder, "app.pem"), "utf8"), /^-----BEGIN CERTIFICATE/);
  await expect(2, [...line, "--rekor-entry-type", "intoto"], /Use dsse/);
});

test("without a promise of publication a certificate is used only when that is said", async () => {
  const line = ["sign-blob", "app", "--bundle", "x.json", "--identity-token", await token(), "--dir", join(work.path, "one")];
  const root = JSON.parse(readFileSync(join(trust, "trusted_root.json"), "utf8")) as { ctlogs: unknown[] };
  writeFileSync(join(folder, "no-ct.json"), JSON.stringify({ ...root, ctlogs: [] }));
  await expect(1, [...line, "--trusted-root", "no-ct.json"], /no certificate log of the trusted root has promised/);
  await expect(
    0,
    [...line, "--trusted-root", "no-ct.json", "--insecure-skip-verify"],
    /warning: --insecure-skip-verify[^]*Sealed/,
  );
});

test("the timestamp server is reached with certificates of its own", async (t) => {
  const pki = join(work.path, "pki");
  makeTlsFiles(pki, "clock.internal");
  const seen: string[] = [];
  const clock: Server = createServer(
    {
      key: readFileSync(join(pki, "server.key")),
      cert: readFileSync(join(pki, "server.pem")),
      ca: readFileSync(join(pki, "ca.pem")),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      seen.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string);
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        void fetch(`${server.url}/api/v1/timestamp`, {
          method: "POST",
          headers: { "content-type": "application/timestamp-query" },
          body: Buffer.concat(parts),
        }).then(async (answer) => response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer())));
      });
    },
  );
  await new Promise<void>((resolve) => clock.listen(0, "127.0.0.1", resolve));
  t.after(() => clock.close());
  const url = `https://127.0.0.1:${(clock.address() as AddressInfo).port}/`;
  const line = [
    "sign-blob",
    "app",
    "--bundle",
    "tls.json",
    "--identity-token",
    await token(),
    "--dir",
    join(work.path, "one"),
    "--timestamp-server-url",
    url,
  ];
  const [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map((name) => join(pki, name)) as [string, string, string];
  const full = [
    "--timestamp-client-cacert",
    ca,
    "--timestamp-client-cert",
    cert,
    "--timestamp-client-key",
    key,
    "--timestamp-server-name",
    "clock.internal",
  ];
  await expect(0, [...line, ...full], /Sealed/);
  assert.deepEqual(seen, ["client"]);
  await expect(0, verifying("tls.json"), /Verified OK/);
  await expect(2, [...line, "--timestamp-client-cert", cert], /together or not at all/);
  await expect(
    2,
    [
      "sign-blob",
      "app",
      "--bundle",
      "x",
      "--identity-token",
      await token(),
      "--dir",
      join(work.path, "one"),
      "--timestamp-client-cacert",
      ca,
    ],
    /no https address/,
  );
});
