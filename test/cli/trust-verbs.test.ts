// SPDX-License-Identifier: Apache-2.0
// The verbs about trust: installations side by side, roots and configs from parts, packs, bundles from parts.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Running, up } from "@lacre/services";
import { homeEnv, scratch } from "../harness.ts";
import { createLines } from "./lines.ts";

const work = scratch("trust-verbs");
const folder = join(work.path, "work");
let server: Running;
let other: Running;
let trust: string;
let identity: string[];

const { lacre, expect, tokenOf } = createLines(folder);

const token = (): Promise<string> => tokenOf(server.installation.layout.dir);
const noNetwork = { fetch: () => Promise.reject(new Error("the network is used")) };
// What a test reads is what the command has just written.
// oxlint-disable-next-line typescript/no-explicit-any
const json = (name: string): any => JSON.parse(readFileSync(join(folder, name), "utf8"));

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
  const dir = ["--dir", join(work.path, "one")];
  await expect(0, ["sign-blob", "app", "--bundle", "app.json", ...dir, "--identity-token", await token()], /Sealed/);
  execFileSync("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-out",
    join(folder, "key.pem"),
  ]);
  execFileSync("openssl", ["pkey", "-in", join(folder, "key.pem"), "-pubout", "-out", join(folder, "key.pub")]);
  await expect(0, ["sign-blob", "app", "--key", "key.pem", "--bundle", "keyed.json", ...dir], /Sealed/);
});

after(async () => {
  await Promise.all([server?.close(), other?.close()]);
  work.remove();
});

test("several installations lie side by side, by name", async () => {
  await expect(0, ["trust", "list"], /No installation is remembered/);
  const remember = (name: string, of: Running): string[] => [
    "initialize",
    "--name",
    name,
    "--mirror",
    `${of.url}/tuf`,
    "--root",
    join(work.path, name, "trust", "root.json"),
  ];
  await expect(0, remember("one", server), /Remembered/);
  await expect(0, remember("two", other), /Remembered/);
  await expect(
    2,
    ["initialize", "--name", "one", "--mirror", `${other.url}/tuf`, "--root", join(work.path, "two", "trust", "root.json")],
    /another installation is called one/,
  );
  await expect(0, ["trust", "list"], /^ {2}one .*\n\* two /);
  const line = ["verify-blob", "app", "--bundle", "app.json", ...identity];
  await expect(1, line, new RegExp(`REFUSED[^]*trusting +${other.url}`));
  await expect(0, ["trust", "use", "one"], /is trusted where nothing else is named/);
  await expect(0, line, new RegExp(`Verified OK[^]*trusting +${server.url}`));
  await expect(0, ["trust", "remove", `${server.url}/tuf/`], /Forgot http[^]*Nothing is trusted by default now/);
  await expect(3, line, /TRUST_MISSING/);
  await expect(3, ["trust", "use", "one"], /no installation called "one"/);
  const [row] = JSON.parse((await lacre(["trust", "list", "-o", "json"])).stdout) as { name: string; isCurrent: boolean }[];
  assert.deepEqual([row!.name, row!.isCurrent], ["two", false]);
});

test("without flags the public instance is meant, and only then", async () => {
  const asked: string[] = [];
  const refuse = {
    fetch: (url: string) => {
      asked.push(url);
      return Promise.reject(new Error("no network"));
    },
  };
  await expect(3, ["initialize"], /MIRROR_UNREACHABLE/, refuse);
  assert.match(asked[0]!, /^https:\/\/tuf-repo-cdn\.sigstore\.dev\/\d+\.root\.json$/);
  await expect(2, ["initialize", "--mirror", `${server.url}/tuf`], /--root is missing/);
  await expect(2, ["initialize", "--staging"], /UNSUPPORTED_FLAG/);
});

test("a root from parts verifies what the installation's own root verifies", async () => {
  const root = JSON.parse(readFileSync(join(trust, "trusted_root.json"), "utf8")) as {
    tlogs: { baseUrl: string; publicKey: { rawBytes: string } }[];
    ctlogs: { baseUrl: string; publicKey: { rawBytes: string } }[];
    certificateAuthorities: { uri: string; certChain: { certificates: { rawBytes: string }[] } }[];
    timestampAuthorities: { uri: string; certChain: { certificates: { rawBytes: string }[] } }[];
  };
  const put = (name: string, label: string, blocks: readonly string[]): string => {
    writeFileSync(
      join(folder, name),
      blocks.map((block) => `-----BEGIN ${label}-----\n${block}\n-----END ${label}-----\n`).join(""),
    );
    return name;
  };
  const logs = root.tlogs.map(
    ({ baseUrl, publicKey }, at) =>
      `url=${baseUrl},public-key=${put(`log${at}.pub`, "PUBLIC KEY", [publicKey.rawBytes])},start-time=2020-01-01T00:00:00Z,origin=${new URL(baseUrl).hostname}`,
  );
  const [ct] = root.ctlogs;
  const chain = (one: { certChain: { certificates: { rawBytes: string }[] } }, name: string): string =>
    put(
      name,
      "CERTIFICATE",
      one.certChain.certificates.map(({ rawBytes }) => rawBytes),
    );
  const line = [
    "trusted-root",
    "create",
    "--out",
    "made.json",
    "--fulcio",
    `url=${root.certificateAuthorities[0]!.uri},certificate-chain=${chain(root.certificateAuthorities[0]!, "ca.pem")}`,
    "--tsa",
    `url=${root.timestampAuthorities[0]!.uri},certificate-chain=${chain(root.timestampAuthorities[0]!, "tsa.pem")}`,
    "--ctfe",
    `url=${ct!.baseUrl},public-key=${put("ct.pub", "PUBLIC KEY", [ct!.publicKey.rawBytes])},start-time=2020-01-01T00:00:00Z`,
    ...logs.flatMap((log) => ["--rekor", log]),
  ];
  await expect(0, line, /^$/);
  await expect(0, ["verify-blob", "app", "--bundle", "app.json", ...identity, "--trusted-root", "made.json"], /Verified OK/);
  const made = json("made.json");
  const own = JSON.parse(readFileSync(join(trust, "trusted_root.json"), "utf8")) as typeof made;
  assert.deepEqual(
    made.tlogs.map(({ logId }: { logId: unknown }) => logId),
    own.tlogs.map(({ logId }: { logId: unknown }) => logId),
  );
  for (const [spec, words] of [
    ["--fulcio=url=https://x", /certificate-chain is missing/],
    ["--fulcio=url=ftp://x,certificate-chain=ca.pem", /no(t an)? http/],
    ["--fulcio=url=https://x,certificate-chain=ca.pem,bogus=1", /bogus is not known/],
    ["--fulcio=url=https://x,url=https://y,certificate-chain=ca.pem", /url is given twice/],
    ["--rekor=url=https://x,public-key=ct.pub", /start-time is missing/],
    ["--rekor=url=https://x,public-key=ct.pub,start-time=yesterday", /no time like/],
    [
      "--rekor=url=https://x,public-key=ct.pub,start-time=2026-01-02T00:00:00Z,end-time=2026-01-01T00:00:00Z",
      /before start-time/,
    ],
    ["--rekor=url=https://x,public-key=ct.pub,start-time=2026-01-02T00:00:00Z,origin=y", /origin y is not the host/],
    ["--tsa=url=https://x,certificate-chain=ca.pem", /begins with an authority/],
    ["--tsa=nonsense", /no key=value/],
  ] as const)
    await expect(2, ["trusted-root", "create", spec], words);
  // Over the installation's own: what is named instead of its kind, what is left out.
  await expect(
    0,
    [
      "trusted-root",
      "create",
      "--with-default-services",
      "--no-default-tsa",
      "--dir",
      join(work.path, "one"),
      "--out",
      "less.json",
    ],
    /^$/,
  );
  assert.equal(json("less.json").timestampAuthorities?.length ?? 0, 0);
  await expect(1, ["verify-blob", "app", "--bundle", "app.json", ...identity, "--trusted-root", "less.json"], /REFUSED/);
});

test("a signing config from parts signs", async () => {
  const facts = "start-time=2020-01-01T00:00:00Z,operator=me";
  const line = [
    "signing-config",
    "create",
    "--out",
    "made-config.json",
    "--fulcio",
    `url=${server.url},api-version=1,${facts}`,
    "--rekor",
    `url=${server.url},api-version=2,${facts}`,
    "--rekor-config",
    "EXACT:1",
    "--tsa",
    `url=${server.url}/api/v1/timestamp,api-version=1,${facts}`,
    "--tsa-config",
    "ANY",
    "--oidc-provider",
    `url=${server.url}/oidc,api-version=1,${facts}`,
  ];
  await expect(0, line, /^$/);
  await expect(
    0,
    ["sign-blob", "app", "--bundle", "c.json", "--signing-config", "made-config.json", "--identity-token", await token()],
    /Sealed/,
  );
  for (const [more, words] of [
    [["--rekor", `url=${server.url},api-version=1,${facts}`], /--rekor-config is missing/],
    [["--rekor", `url=${server.url},api-version=one,${facts}`, "--rekor-config", "ANY"], /no version/],
    [["--rekor", `url=${server.url},api-version=1,${facts}`, "--rekor-config", "SOME"], /ANY, ALL or EXACT/],
    [["--rekor", `url=${server.url},api-version=1,${facts}`, "--rekor-config", "EXACT:0"], /ANY, ALL or EXACT/],
    [["--fulcio", `url=${server.url},api-version=1,start-time=2020-01-01T00:00:00Z`], /operator is missing/],
  ] as const)
    await expect(2, ["signing-config", "create", ...more], words);
  const told = await expect(
    0,
    ["signing-config", "create", "--with-default-rekor-v2", "--no-default-oidc", "--dir", join(work.path, "one")],
    /rekorTlogUrls/,
  );
  const made = JSON.parse(told.stdout) as { rekorTlogUrls: { majorApiVersion: number }[]; oidcUrls?: unknown };
  assert.deepEqual([made.rekorTlogUrls.map(({ majorApiVersion }) => majorApiVersion), made.oidcUrls], [[2], undefined]);
});

test("a trust pack verifies without a network, until it expires, for whoever trusts its key", async () => {
  const pack = [
    "trust",
    "pack",
    "--out",
    "trust.pack",
    "--key",
    "key.pem",
    "--tlog-upload=false",
    "--dir",
    join(work.path, "one"),
    "--name",
    "site",
  ];
  await expect(0, [...pack, "--expires", "30d"], /Sealed the trust pack/);
  const use = ["--trust-pack", "trust.pack", "--trust-pack-key", "key.pub", "--offline"];
  const line = ["verify-blob", "app", "--bundle", "app.json", ...identity, ...use];
  await expect(0, line, /trusting +trust\.pack \(site, until \d{4}-[^)]*\) \(--trust-pack\)/, noNetwork);
  await expect(0, ["verify", "./app", "--bundle", "app.json", ...identity, ...use], /Verified OK/, noNetwork);
  await expect(1, line, /PACK_EXPIRED/, { ...noNetwork, now: () => Date.now() + 31 * 86_400_000 });
  await expect(1, line, /clock[^]*PACK_REFUSED/, { ...noNetwork, now: () => Date.now() - 3 * 86_400_000 });
  await expect(
    2,
    ["verify-blob", "app", "--bundle", "app.json", ...identity, "--trust-pack", "trust.pack"],
    /who must have sealed/,
  );
  await expect(
    2,
    ["verify-blob", "app", "--bundle", "app.json", ...identity, "--trust-pack-key", "key.pub"],
    /that is not given/,
  );
  await expect(2, [...line, "--trusted-root", join(trust, "trusted_root.json")], /two ways/);
  execFileSync("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-out",
    join(folder, "foreign.pem"),
  ]);
  execFileSync("openssl", ["pkey", "-in", join(folder, "foreign.pem"), "-pubout", "-out", join(folder, "foreign.pub")]);
  await expect(1, [...line.slice(0, -3), "--trust-pack-key", "foreign.pub"], /PACK_REFUSED/);
  const sealed = json("trust.pack");
  const payload = Buffer.from(sealed.dsseEnvelope.payload, "base64").toString();
  writeFileSync(
    join(folder, "forged.pack"),
    JSON.stringify({
      ...sealed,
      dsseEnvelope: { ...sealed.dsseEnvelope, payload: Buffer.from(payload.replace("site", "cite")).toString("base64") },
    }),
  );
  await expect(1, [...line.slice(0, -5), "--trust-pack", "forged.pack", "--trust-pack-key", "key.pub"], /PACK_REFUSED/);
  // A bundle that the same key sealed over something else is no pack.
  await expect(1, [...line.slice(0, -5), "--trust-pack", "keyed.json", "--trust-pack-key", "key.pub"], /PACK_REFUSED/);
});

test("a trust pack is sealed by an identity as well, under trust that one has", async () => {
  await expect(
    0,
    ["trust", "pack", "--out", "id.pack", "--dir", join(work.path, "one"), "--identity-token", await token()],
    /Sealed/,
  );
  const line = [
    "verify-blob",
    "app",
    "--bundle",
    "app.json",
    ...identity,
    "--trust-pack",
    "id.pack",
    "--dir",
    join(work.path, "one"),
    "--trust-pack-issuer",
    `${server.url}/oidc`,
  ];
  await expect(0, [...line, "--trust-pack-identity", "you@example.com"], /Verified OK/, noNetwork);
  await expect(1, [...line, "--trust-pack-identity", "other@example.com"], /PACK_REFUSED/);
});

test("what a trust pack revokes is refused: certificate, identity, key, entry", async () => {
  const bundle = json("app.json");
  const der = join(folder, "leaf.der");
  writeFileSync(der, Buffer.from(bundle.verificationMaterial.certificate.rawBytes, "base64"));
  const serial = execFileSync("openssl", ["x509", "-inform", "DER", "-in", der, "-noout", "-serial"])
    .toString()
    .trim()
    .replace("serial=", "");
  const [entry] = bundle.verificationMaterial.tlogEntries;
  const logId = Buffer.from(entry!.logId.keyId, "base64").toString("hex");
  const pack = async (...more: string[]): Promise<void> =>
    void (await expect(
      0,
      ["trust", "pack", "--out", "r.pack", "--key", "key.pem", "--tlog-upload=false", "--dir", join(work.path, "one"), ...more],
      /Sealed/,
    ));
  const use = ["--trust-pack", "r.pack", "--trust-pack-key", "key.pub"];
  const byIdentity = ["verify-blob", "app", "--bundle", "app.json", ...identity, ...use];
  const byKey = ["verify-blob", "app", "--bundle", "keyed.json", "--key", "key.pub", ...use];
  for (const [more, line] of [
    [["--revoke-certificate", serial], byIdentity],
    [["--revoke-identity", "you@example.com"], byIdentity],
    [["--revoke-identity", `you@example.com,issuer=${server.url}/oidc`], byIdentity],
    [["--revoke-entry", `${logId}:${entry!.inclusionProof.logIndex}`], byIdentity],
    [["--revoke-key", "key.pub"], byKey],
    [
      ["--revoke-key", "key.pub"],
      [...byKey, "--insecure-ignore-tlog"],
    ],
  ] as const) {
    await pack(...more);
    await expect(1, line, /REFUSED[^]*REVOKED/);
    await expect(0, line === byIdentity ? byKey : byIdentity, /Verified OK/);
  }
  await pack(
    "--revoke-identity",
    "you@example.com,issuer=https://elsewhere.example",
    "--revoke-certificate",
    "01",
    "--revoke-entry",
    `${logId}:999`,
  );
  await expect(0, byIdentity, /Verified OK/);
  for (const more of [
    ["--revoke-certificate", "xyz"],
    ["--revoke-entry", "1"],
    ["--expires", "soon"],
  ])
    await expect(
      2,
      ["trust", "pack", "--out", "x", "--key", "key.pem", "--tlog-upload=false", "--dir", join(work.path, "one"), ...more],
      /USAGE/,
    );
});

test("loose parts become a bundle that verifies, and bundles say what they hold", async () => {
  const dir = ["--dir", join(work.path, "one")];
  await expect(
    0,
    [
      "sign-blob",
      "app",
      "--bundle",
      "old.json",
      "--output-signature",
      "app.sig",
      "--output-certificate",
      "app.pem",
      "--b64=false",
      "--new-bundle-format=false",
      "--rekor-url",
      server.url,
      ...dir,
      "--identity-token",
      await token(),
    ],
    /Sealed/,
  );
  const verify = (name: string): string[] => ["verify-blob", "app", "--bundle", name, ...identity, ...dir];
  await expect(
    0,
    ["bundle", "create", "--artifact", "app", "--bundle", "old.json", "--rekor-url", server.url, "--out", "made.bundle"],
    /^$/,
  );
  await expect(0, verify("made.bundle"), /Verified OK|TIME_MISSING/);
  await expect(
    0,
    [
      "bundle",
      "create",
      "--artifact",
      "app",
      "--signature",
      "app.sig",
      "--certificate",
      "app.pem",
      "--rekor-url",
      server.url,
      "--out",
      "loose.bundle",
    ],
    /^$/,
  );
  await expect(0, verify("loose.bundle"), /Verified OK/);
  await expect(
    0,
    ["bundle", "create", "--artifact", "app", "--signature", "app.sig", "--certificate", "app.pem", "--ignore-tlog"],
    /"mediaType"/,
  );
  await expect(
    2,
    ["bundle", "create", "--artifact", "app", "--signature", "app.sig", "--certificate", "app.pem"],
    /--rekor-url URL, or --ignore-tlog/,
  );
  await expect(2, ["bundle", "create", "--artifact", "app", "--signature", "app.sig", "--ignore-tlog"], /who signed/);
  await expect(2, ["bundle", "create", "--signature", "app.sig"], /--artifact is missing/);
  // As `base64` writes it: in lines.
  const wrapped = readFileSync(join(folder, "app.sig")).toString("base64").replaceAll(/.{60}/g, "$&\n");
  writeFileSync(join(folder, "wrapped.sig"), `${wrapped}\n`);
  const parts = ["--certificate", "app.pem", "--rekor-url", server.url];
  await expect(0, ["bundle", "create", "--artifact", "app", "--signature", "wrapped.sig", ...parts, "--out", "w.bundle"], /^$/);
  await expect(0, verify("w.bundle"), /Verified OK/);
  await expect(0, ["verify-blob", "app", "--signature", "wrapped.sig", ...parts, ...identity, ...dir], /Verified OK/);
  await expect(0, ["bundle", "inspect", "app.json"], /nothing of it is verified[^]*identity +you@example\.com/);
  const facts = JSON.parse((await lacre(["bundle", "inspect", "keyed.json", "-o", "json"])).stdout) as {
    verified: boolean;
    signer: { kind: string };
  };
  assert.deepEqual([facts.verified, facts.signer.kind], [false, "key"]);
  const old = json("loose.bundle");
  writeFileSync(
    join(folder, "v02.json"),
    JSON.stringify({
      ...old,
      mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2",
      verificationMaterial: {
        ...old.verificationMaterial,
        certificate: undefined,
        x509CertificateChain: { certificates: [old.verificationMaterial["certificate"]] },
      },
    }),
  );
  await expect(0, ["bundle", "upgrade", "v02.json", "--out", "v03.json"], /^$/);
  await expect(0, verify("v03.json"), /Verified OK/);
});

test("the environment is listed, and no secret with it", async () => {
  const told = await expect(0, ["env"], /SIGSTORE_ID_TOKEN=\(set, not shown\)/, {
    env: { SIGSTORE_ID_TOKEN: "s3cret", TUF_MIRROR: "https://m.example" },
  });
  assert.match(told.stdout, /TUF_MIRROR=https:\/\/m\.example\n/);
  assert.doesNotMatch(
    (await lacre(["env", "--show-sensitive-values", "-o", "json"], { env: { SIGSTORE_ID_TOKEN: "s3cret" } })).stdout,
    /s3cret/,
  );
  await expect(0, ["env", "--show-descriptions=false"], /^LACRE_DIR=\n/);
  await expect(0, ["version", "--json"], /"gitVersion": "v\d/);
});
