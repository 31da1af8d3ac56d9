// SPDX-License-Identifier: Apache-2.0
// Whom to trust, by every way to say it: loose certificates and keys, cosign's variables, several installations.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { type Running, up } from "@lacre/services";
import type { Context } from "../../packages/cli/src/context.ts";
import { homeEnv, scratch } from "../harness.ts";
import { createLines } from "./lines.ts";

const work = scratch("trust");
const folder = join(work.path, "work");
let server: Running;
let other: Running;
let trust: string;
let identity: string[];

const { lacre, expect, tokenOf } = createLines(folder);

const token = (): Promise<string> => tokenOf(server.installation.layout.dir);
const noNetwork = { fetch: () => Promise.reject(new Error("the network is used")) };
const verifying = (): string[] => ["verify-blob", "app", "--bundle", "app.json", ...identity];

interface Root {
  readonly tlogs: { publicKey: { rawBytes: string; keyDetails: string } }[];
  readonly ctlogs: { publicKey: { rawBytes: string } }[];
  readonly certificateAuthorities: { certChain: { certificates: { rawBytes: string }[] } }[];
  readonly timestampAuthorities: { certChain: { certificates: { rawBytes: string }[] } }[];
}
const pem = (label: string, base64: string): string =>
  `-----BEGIN ${label}-----\n${base64.replaceAll(/.{64}/g, "$&\n")}\n-----END ${label}-----\n`;

before(async () => {
  mkdirSync(folder, { recursive: true });
  Object.assign(process.env, homeEnv(join(work.path, "home")));
  delete process.env["LACRE_DIR"];
  const start = (name: string): Promise<Running> =>
    up({ dir: join(work.path, name), listen: { host: "localhost", port: 0 }, stateDir: join(work.path, `${name}-state`) });
  [server, other] = await Promise.all([start("one"), start("two")]);
  trust = join(work.path, "one", "trust");
  identity = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", `${server.url}/oidc`];
  writeFileSync(join(folder, "app"), "the artifact\n");
  await expect(
    0,
    [
      "sign-blob",
      "app",
      "--bundle",
      "app.json",
      "--dir",
      join(work.path, "one"),
      "--rekor-url",
      server.url,
      "--identity-token",
      await token(),
    ],
    /Sealed/,
  );
  const root = JSON.parse(readFileSync(join(trust, "trusted_root.json"), "utf8")) as Root;
  const chain = (list: Root["timestampAuthorities"]): string[] =>
    list[0]!.certChain.certificates.map(({ rawBytes }) => pem("CERTIFICATE", rawBytes));
  const ca = chain(root.certificateAuthorities);
  writeFileSync(join(folder, "ca.pem"), ca.join(""));
  // In the other order: who signed whom decides, not the place.
  writeFileSync(join(folder, "ca-mixed.pem"), ca.toReversed().join(""));
  writeFileSync(join(folder, "ca-root.pem"), ca.at(-1)!);
  writeFileSync(join(folder, "ca-between.pem"), ca.slice(0, -1).join(""));
  writeFileSync(join(folder, "tsa.pem"), chain(root.timestampAuthorities).join(""));
  const v1 = root.tlogs.filter(({ publicKey }) => publicKey.keyDetails.includes("ECDSA"));
  writeFileSync(join(folder, "rekor.pub"), v1.map(({ publicKey }) => pem("PUBLIC KEY", publicKey.rawBytes)).join(""));
  writeFileSync(join(folder, "ct.pub"), root.ctlogs.map(({ publicKey }) => pem("PUBLIC KEY", publicKey.rawBytes)).join(""));
  const foreign = JSON.parse(readFileSync(join(work.path, "two", "trust", "trusted_root.json"), "utf8")) as Root;
  writeFileSync(join(folder, "foreign-ca.pem"), chain(foreign.certificateAuthorities).join(""));
  writeFileSync(
    join(folder, "foreign-rekor.pub"),
    pem("PUBLIC KEY", foreign.tlogs.find(({ publicKey }) => publicKey.keyDetails.includes("ECDSA"))!.publicKey.rawBytes),
  );
});

after(async () => {
  await Promise.all([server?.close(), other?.close()]);
  work.remove();
});

const full = (): Record<string, string> => ({
  SIGSTORE_ROOT_FILE: "ca-mixed.pem",
  SIGSTORE_REKOR_PUBLIC_KEY: "rekor.pub",
  SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: "ct.pub",
  SIGSTORE_TSA_CERTIFICATE_FILE: "tsa.pem",
});

test("cosign's four variables are a whole root: nothing else is asked, and the verdict names each", async () => {
  const told = await expect(0, verifying(), /Verified OK/, { env: full(), ...noNetwork });
  assert.match(
    told.stderr,
    /trusting +SIGSTORE_ROOT_FILE ca-mixed\.pem; SIGSTORE_TSA_CERTIFICATE_FILE tsa\.pem; SIGSTORE_REKOR_PUBLIC_KEY rekor\.pub; SIGSTORE_CT_LOG_PUBLIC_KEY_FILE ct\.pub \(put together\)/,
  );
});

test("a variable stands instead of what the root says of its kind, and is nobody else's", async () => {
  const dir = { LACRE_DIR: join(work.path, "one") };
  await expect(1, verifying(), /CHAIN_INVALID/, { env: { ...dir, SIGSTORE_ROOT_FILE: "foreign-ca.pem" } });
  await expect(1, verifying(), /LOG_UNKNOWN/, { env: { ...dir, SIGSTORE_REKOR_PUBLIC_KEY: "foreign-rekor.pub" } });
  await expect(0, verifying(), /the rest from .*trusted_root\.json/, { env: { ...dir, SIGSTORE_ROOT_FILE: "ca.pem" } });
  const without = full();
  delete without["SIGSTORE_CT_LOG_PUBLIC_KEY_FILE"];
  await expect(1, verifying(), /SCT_MISSING/, { env: without });
  await expect(0, [...verifying(), "--insecure-ignore-sct"], /Verified OK/, { env: without });
  const file = ["--trusted-root", join(trust, "trusted_root.json")];
  await expect(0, [...verifying(), ...file], /trusting .*trusted_root\.json \(--trusted-root\)/, {
    env: { SIGSTORE_ROOT_FILE: "foreign-ca.pem" },
  });
});

test("what the variables name has to be what they are for", async () => {
  for (const [env, words] of [
    [{ SIGSTORE_ROOT_FILE: "missing.pem" }, /cannot read missing\.pem/],
    [{ SIGSTORE_ROOT_FILE: "rekor.pub" }, /BAD_PEM/],
    [{ SIGSTORE_ROOT_FILE: "ca-between.pem" }, /without a root certificate/],
    [{ SIGSTORE_REKOR_PUBLIC_KEY: "ca.pem" }, /BAD_PEM/],
    [{ SIGSTORE_TSA_CERTIFICATE_FILE: "ca-mixed.pem" }, /TRUSTED_ROOT_INVALID/],
  ] as const) {
    const told = await lacre(verifying(), { env: { LACRE_DIR: join(work.path, "one"), ...env } });
    assert.notEqual(told.status, 0);
    assert.match(told.stderr, words);
  }
});

test("authorities by flags: a chain, or roots and what is between", async () => {
  const dir = ["--dir", join(work.path, "one")];
  await expect(
    0,
    [...verifying(), ...dir, "--certificate-chain", "ca.pem"],
    /trusting +--certificate-chain ca\.pem; the rest from/,
  );
  await expect(
    0,
    [...verifying(), ...dir, "--ca-roots", "ca-root.pem", "--ca-intermediates", "ca-between.pem"],
    /--ca-roots ca-root\.pem/,
  );
  await expect(1, [...verifying(), ...dir, "--certificate-chain", "foreign-ca.pem"], /CHAIN_INVALID/);
  await expect(1, [...verifying(), ...dir, "--ca-roots", "foreign-ca.pem"], /CHAIN_INVALID/);
  await expect(0, [...verifying(), ...dir, "--timestamp-certificate-chain", "tsa.pem"], /Verified OK/);
  await expect(1, [...verifying(), ...dir, "--timestamp-certificate-chain", "ca.pem"], /refused|REFUSED|INVALID/);
  await expect(2, [...verifying(), ...dir, "--certificate-chain", "ca.pem", "--ca-roots", "ca.pem"], /two ways to say the same/);
  await expect(2, [...verifying(), ...dir, "--ca-intermediates", "ca.pem"], /goes with --ca-roots/);
});

test("TUF_MIRROR and TUF_ROOT_JSON are an installation for one command; TUF_ROOT is where it is remembered", async () => {
  const place = join(work.path, "tuf-root");
  const env = { TUF_MIRROR: `${server.url}/tuf/`, TUF_ROOT_JSON: join(trust, "root.json"), TUF_ROOT: place };
  await expect(0, verifying(), /trusting .*tuf\/targets\/trusted_root\.json \(TUF_MIRROR\)/, { env });
  await expect(0, [...verifying(), "--offline"], /Verified OK/, { env, ...noNetwork });
  await expect(1, verifying(), /MIRROR_REFUSED/, {
    env: { ...env, TUF_ROOT_JSON: join(work.path, "two", "trust", "root.json") },
  });
  await expect(3, verifying(), /TUF_ROOT_JSON is set and TUF_MIRROR is not/, {
    env: { TUF_ROOT_JSON: env.TUF_ROOT_JSON, TUF_ROOT: place },
  });
  await expect(3, verifying(), /was not initialised/, { env: { TUF_MIRROR: env.TUF_MIRROR, TUF_ROOT: place } });
  const there = { TUF_ROOT: place };
  await expect(0, ["initialize", "--mirror", env.TUF_MIRROR, "--root", env.TUF_ROOT_JSON], /Remembered/, { env: there });
  await expect(0, verifying(), /remembered by lacre initialize/, { env: there });
  // An initialisation that fails leaves what was remembered as it was.
  const wrong = ["initialize", "--mirror", env.TUF_MIRROR, "--root"];
  await expect(1, [...wrong, "app"], /MIRROR_REFUSED/, { env: there });
  await expect(1, [...wrong, join(work.path, "two", "trust", "root.json")], /MIRROR_REFUSED/, { env: there });
  await expect(0, verifying(), /remembered by lacre initialize/, { env: there });
  assert.deepEqual(
    readdirSync(join(place, "lacre", "installations")).filter((name) => name.endsWith(".new")),
    [],
  );
  await expect(0, verifying(), /\(TUF_MIRROR\)/, { env: { TUF_MIRROR: env.TUF_MIRROR, ...there } });
  await expect(3, verifying(), /TRUST_MISSING/);
});

test("a mirror may be a folder on this machine", async () => {
  const copy = join(work.path, "mirror");
  const names = ["timestamp.json", "1.root.json", "1.snapshot.json", "1.targets.json"];
  mkdirSync(join(copy, "targets"), { recursive: true });
  for (const name of names)
    writeFileSync(join(copy, name), Buffer.from(await (await fetch(`${server.url}/tuf/${name}`)).arrayBuffer()));
  const targets = JSON.parse(readFileSync(join(copy, "1.targets.json"), "utf8")) as {
    signed: { targets: Record<string, { hashes: { sha256: string } }> };
  };
  for (const name of ["trusted_root.json", "signing_config.v0.2.json"]) {
    const file = `${targets.signed.targets[name]!.hashes.sha256}.${name}`;
    writeFileSync(
      join(copy, "targets", file),
      Buffer.from(await (await fetch(`${server.url}/tuf/targets/${file}`)).arrayBuffer()),
    );
  }
  const url = pathToFileURL(copy).href;
  const env = { TUF_ROOT: join(work.path, "by-folder") };
  await expect(0, ["initialize", "--mirror", url, "--root", join(trust, "root.json")], /Remembered file:/, { env, ...noNetwork });
  cpSync(copy, `${copy}-moved`, { recursive: true });
  rmSync(copy, { recursive: true });
  await expect(0, [...verifying(), "--offline"], /Verified OK/, { env, ...noNetwork });
});

test("a ledger is asked for a detached signature's entry when it is named, and believed in nothing", async () => {
  await expect(
    0,
    [
      "sign-blob",
      "app",
      "--bundle",
      "x.json",
      "--output-signature",
      "app.sig",
      "--output-certificate",
      "app.crt",
      "--dir",
      join(work.path, "one"),
      "--rekor-url",
      server.url,
      "--identity-token",
      await token(),
    ],
    /Sealed/,
  );
  const dir = ["--dir", join(work.path, "one")];
  const line = ["verify-blob", "app", "--signature", "app.sig", "--certificate", "app.crt", ...identity, ...dir];
  await expect(1, line, /LOG_ENTRY_MISSING|TIME_MISSING/, noNetwork);
  await expect(0, [...line, "--rekor-url", server.url], /Verified OK/);
  await expect(1, [...line, "--rekor-url", other.url], /REFUSED/);
  await expect(3, [...line, "--rekor-url", server.url, "--offline"], /--offline forbids/);
  await expect(2, [...line, "--rekor-url", "rekor.example"], /no(t an)? http/);
  // The entry of another signature over the same file, by the same person: valid, logged, and not about this.
  await expect(
    0,
    ["sign-blob", "app", "--bundle", "y.json", ...dir, "--rekor-url", server.url, "--identity-token", await token()],
    /Sealed/,
  );
  const asked: string[] = [];
  const forged = {
    fetch: (async (url, init) => {
      asked.push(new URL(url).pathname);
      if (url.endsWith("index/retrieve")) return fetch(url, init);
      // Whatever entry is asked for, the last one that was logged comes back.
      return fetch(`${server.url}/api/v1/log/entries?logIndex=2`);
    }) as Context["fetch"],
  };
  await expect(1, [...line, "--rekor-url", server.url], /REFUSED[^]*check +G/, forged);
  assert.ok(asked.length >= 2);
});

test("flags that follow from the key, and those that say nothing here, are not passed over", async () => {
  await expect(
    0,
    [...verifying(), "--dir", join(work.path, "one"), "--max-workers", "4", "--signature-digest-algorithm", "sha256"],
    /Verified OK/,
  );
  await expect(2, [...verifying(), "--max-workers", "many"], /no number/);
  await expect(2, [...verifying(), "--signature-digest-algorithm", "sha224"], /cannot be honoured/);
  await expect(2, [...verifying(), "--sct", "x"], /read from the certificate/);
});
