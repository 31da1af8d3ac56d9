// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createPublicKey, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { noteKeyId } from "@lacre/core/bundle";
import { importPublicKey } from "@lacre/core/crypto";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { ServiceError, type ServiceCode } from "../errors.ts";
import {
  createTrustDocuments,
  openInstallation,
  readKey,
  viewInstallation,
  writeTrustFiles,
  type Installation,
  type Offered,
} from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-installation-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => join(scratch, String(folders++));
const random = (length: number): Uint8Array => randomBytes(length);
const open = (dir: string, config?: string, now = Date.now): Installation => openInstallation({ dir, config, now, random });
const created = (config?: string): string => {
  const dir = folder();
  open(dir, config).release();
  return dir;
};
const refuses = (code: ServiceCode, work: () => unknown, saying?: RegExp): void => {
  assert.throws(work, (error) => {
    if (!(error instanceof ServiceError)) throw error;
    assert.equal(error.code, code);
    if (saying !== undefined) assert.match(`${error.message} ${error.detail ?? ""}`, saying);
    return true;
  });
};

test("is created once and opened as it is afterwards", () => {
  const dir = folder();
  const first = open(dir);
  first.release();
  const again = open(dir);
  again.release();
  assert.deepEqual([first.created, again.created], [true, false]);
  assert.deepEqual(again.facts, first.facts);
  assert.deepEqual(again.keys.ledger.publicKey.spki, first.keys.ledger.publicKey.spki);
  assert.match(first.facts.id, /^[0-9a-f]{8}$/);
  assert.equal(first.facts.ledger.origin, `ledger.${first.facts.id}.lacre.localhost`);
  assert.notEqual(open(folder()).facts.id, first.facts.id);
});

test("private keys are their owner's alone", () => {
  const dir = created();
  assert.equal(statSync(join(dir, "keys")).mode & 0o777, 0o700);
  for (const name of readdirSync(join(dir, "keys"))) assert.equal(statSync(join(dir, "keys", name)).mode & 0o777, 0o600, name);
  assert.equal(readdirSync(join(dir, "keys")).length, 10);
  chmodSync(join(dir, "keys", "ct.pem"), 0o640);
  refuses("DIRECTORY_OWNER", () => open(dir), /chmod 600/);
});

test("OpenSSL reads every key as the kind it should be and verifies both chains strictly", () => {
  const dir = created();
  const openssl = (...args: string[]): string =>
    execFileSync("openssl", args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  for (const name of readdirSync(join(dir, "keys"))) {
    const kind = name === "idp.pem" ? /2048 bit/ : name === "ledger.pem" ? /ED25519/ : /prime256v1/;
    assert.match(openssl("pkey", "-in", join("keys", name), "-noout", "-text"), kind, name);
  }
  openssl("verify", "-x509_strict", "-CAfile", "certs/ca-root.pem", "certs/ca-issuing.pem");
  openssl("verify", "-x509_strict", "-purpose", "timestampsign", "-CAfile", "certs/tsa-root.pem", "certs/tsa.pem");
  assert.match(openssl("x509", "-in", "certs/ca-issuing.pem", "-noout", "-text"), /pathlen:0/);
});

test("a crash at any step of creation leaves nothing half-used", () => {
  // Before the seal: nothing was used; the next start begins again and drops the pieces.
  const early = folder();
  mkdirSync(join(early, "creating", "keys"), { recursive: true });
  writeFileSync(join(early, "creating", "keys", "ct.pem"), "half");
  assert.equal(open(early).created, true);
  assert.equal(existsSync(join(early, "creating")), false);
  // After the seal: the very same installation comes into being, whatever was already moved.
  const moves = [".gitignore", "keys", "certs", "lacre.json"];
  for (let done = 0; done <= moves.length; done++) {
    const dir = created();
    const facts = viewInstallation(dir).facts;
    mkdirSync(join(dir, "creating"));
    writeFileSync(join(dir, "creating", "complete"), "");
    for (const part of moves.slice(done)) renameSync(join(dir, part), join(dir, "creating", part));
    const opened = open(dir);
    assert.deepEqual(opened.facts, facts);
    opened.release();
    open(dir).release();
  }
});

test("refuses a directory that holds something else, and leaves nothing in it", () => {
  const dir = folder();
  mkdirSync(dir);
  writeFileSync(join(dir, "thesis.tex"), "");
  refuses("DIRECTORY_FOREIGN", () => open(dir), /thesis\.tex/);
  assert.deepEqual(readdirSync(dir), ["thesis.tex"]);
  refuses("DIRECTORY_FOREIGN", () => viewInstallation(dir));
});

test("a fresh file system is an empty directory, and the keys in it are kept out of git", () => {
  const dir = folder();
  mkdirSync(join(dir, "lost+found"), { recursive: true });
  open(dir).release();
  execFileSync("git", ["init", "-q", dir]);
  assert.equal(execFileSync("git", ["status", "--porcelain", "--untracked-files=all"], { cwd: dir, encoding: "utf8" }), "");
});

test("keys without lacre.json are no reason to make new ones", () => {
  const dir = created();
  const key = readFileSync(join(dir, "keys", "ledger.pem"));
  unlinkSync(join(dir, "lacre.json"));
  refuses("DIRECTORY_FOREIGN", () => open(dir));
  assert.deepEqual(readFileSync(join(dir, "keys", "ledger.pem")), key);
});

test("refuses a path that is a file, a file in the way, and a directory that cannot be made", () => {
  const file = folder();
  writeFileSync(file, "");
  refuses("DIRECTORY_UNWRITABLE", () => open(file), /is a file/);
  refuses("DIRECTORY_UNWRITABLE", () => open(join(file, "below")), /is a file/);
});

test(
  "refuses a directory that this user cannot write",
  { skip: process.geteuid?.() === 0 && "everything is writable for root" },
  () => {
    const dir = folder();
    mkdirSync(dir, { mode: 0o500 });
    refuses("DIRECTORY_UNWRITABLE", () => open(dir));
  },
);

test("a second process is refused and told who the first is; after it the lock is free", () => {
  const dir = folder();
  const first = open(dir);
  const script = `import { openInstallation } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};
    try { openInstallation({ dir: process.argv[1], now: Date.now, random: (n) => new Uint8Array(n) }); } catch (e) { console.log(e.code, e.detail); }`;
  const second = execFileSync(process.execPath, ["--conditions=source", "--input-type=module", "-e", script, dir], {
    encoding: "utf8",
  });
  assert.match(second, new RegExp(`^DIRECTORY_LOCKED .*process ${process.pid}`));
  first.release();
  open(dir).release();
});

test("names the part that is missing, damaged or of another installation", () => {
  const damage = (work: (dir: string) => void, saying: RegExp): void => {
    const dir = created();
    work(dir);
    refuses("DIRECTORY_DAMAGED", () => open(dir), saying);
  };
  damage((dir) => unlinkSync(join(dir, "keys", "tsa.pem")), /keys\/tsa\.pem is missing/);
  damage(
    (dir) => writeFileSync(join(dir, "keys", "tsa.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    /tsa\.pem: KEY_INVALID/,
  );
  damage((dir) => unlinkSync(join(dir, "certs", "ca-root.pem")), /ca-root\.pem is missing/);
  damage((dir) => writeFileSync(join(dir, "certs", "ca-root.pem"), "not a certificate"), /ca-root\.pem: BAD_PEM/);
  damage(
    (dir) => writeFileSync(join(dir, "certs", "tsa.pem"), readFileSync(join(dir, "certs", "ca-root.pem"))),
    /do not belong together.*tsa\.pem/,
  );
  damage(
    (dir) => writeFileSync(join(dir, "keys", "ct.pem"), readFileSync(join(dir, "keys", "idp.pem"))),
    /ct\.pem: expected P-256, found RSA/,
  );
  damage((dir) => writeFileSync(join(dir, "lacre.json"), "{}"), /no "installation"/);
});

test("a key that cannot be read is not quoted", () => {
  const dir = created();
  const secret = "MC4CAQAwBQYDK2VwBCIEIHNlY3JldHNlY3JldHNlY3JldHNlY3JldHNlY3JldHM=";
  writeFileSync(
    join(dir, "keys", "ledger.pem"),
    `-----BEGIN PRIVATE KEY-----\n${secret.slice(0, -8)}\n-----END PRIVATE KEY-----\n`,
  );
  assert.throws(
    () => readKey(dir, "ledger"),
    (error) =>
      error instanceof ServiceError &&
      !JSON.stringify([error.message, error.detail, String(error.cause)]).includes(secret.slice(20, 40)),
  );
});

test("a configuration is read strictly and with the path to what is wrong", () => {
  const dir = created();
  const config = (content: string): string => {
    const path = folder();
    writeFileSync(path, content);
    return path;
  };
  const opened = open(dir, config('{"tuf":{"timestampLifeSeconds":20}}'));
  opened.release();
  assert.deepEqual(
    [opened.settings.tuf.timestampLifeSeconds, opened.settings.tuf.rootLifeSeconds, opened.settings.tsa.accuracySeconds],
    [20, 31_536_000, 1],
  );
  for (const [content, saying] of [
    ['{"tuf":{"timestampLife":20}}', /tuf\.timestampLife is not a known key/],
    ['{"tuff":{}}', /tuff is not a known key/],
    ['{"tuf":{"timestampLifeSeconds":0}}', /tuf\.timestampLifeSeconds must be >= 1/],
    ['{"tuf":{"timestampLifeSeconds":"20"}}', /tuf\.timestampLifeSeconds must be integer/],
    ['{"ledger":{"keyType":"RSA"}}', /ledger\.keyType/],
    ['{"tuf":{},"tuf":{}}', /twice/],
    ["{", /JSON/],
    ["[]", /must be object/],
    ["null", /must be object/],
  ] as const) {
    refuses("CONFIG_INVALID", () => open(dir, config(content)), saying);
  }
  refuses("CONFIG_INVALID", () => open(dir, folder()), /cannot be read/);
  refuses("DIRECTORY_FOREIGN", () => open(dir, config('{"version":2,"unheard":1}')), /newer version/);
});

test("settings in lacre.json hold until a configuration file takes their place", () => {
  const dir = created();
  const path = join(dir, "lacre.json");
  const file = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...file, tsa: { accuracySeconds: 3 } }));
  const plain = open(dir);
  plain.release();
  writeFileSync(join(scratch, "empty.json"), "{}");
  const other = open(dir, join(scratch, "empty.json"));
  other.release();
  assert.deepEqual([plain.settings.tsa.accuracySeconds, other.settings.tsa.accuracySeconds], [3, 1]);
});

const EVERYTHING: ReadonlySet<Offered> = new Set(["ca", "idp", "ledger", "tsa"]);
const allKeys = (value: unknown): string[] =>
  typeof value === "object" && value !== null ? Object.entries(value).flatMap(([key, inner]) => [key, ...allKeys(inner)]) : [];

test("the trusted root has the form that every client reads, and does not depend on the address", () => {
  const installation = open(folder());
  const { trustedRoot, python3Config, trustConfig, targets } = createTrustDocuments(
    installation,
    "http://localhost:7800",
    EVERYTHING,
  );
  assert.equal(createTrustDocuments(installation, "http://localhost:1", EVERYTHING).trustedRoot, trustedRoot);
  const root = JSON.parse(trustedRoot);
  assert.equal(root.mediaType, "application/vnd.dev.sigstore.trustedroot+json;version=0.1");
  assert.equal(allKeys(root).includes("operator") || allKeys(root).includes("checkpointKeyId"), false);
  for (const log of [...root.tlogs, ...root.ctlogs]) {
    assert.deepEqual([log.hashAlgorithm, log.publicKey.validFor], ["SHA2_256", { start: installation.facts.createdAt }]);
    assert.equal(
      createPublicKey({ key: Buffer.from(log.publicKey.rawBytes, "base64"), format: "der", type: "spki" }).type,
      "public",
    );
  }
  const [ledger] = root.tlogs;
  const key = importPublicKey(Buffer.from(ledger.publicKey.rawBytes, "base64"));
  assert.deepEqual(
    [new URL(ledger.baseUrl).host, ledger.publicKey.keyDetails, key.spki.length],
    [installation.facts.ledger.origin, "PKIX_ED25519", 44],
  );
  assert.deepEqual(Buffer.from(ledger.logId.keyId, "base64"), Buffer.from(noteKeyId(installation.facts.ledger.origin, key)));
  assert.equal(root.ctlogs[0].publicKey.keyDetails, "PKIX_ECDSA_P256_SHA_256");
  const raw = (authority: { certChain: { certificates: { rawBytes: string }[] } }): string[] =>
    authority.certChain.certificates.map((one) => one.rawBytes);
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const { certificates } = installation;
  assert.deepEqual(raw(root.certificateAuthorities[0]), [
    base64(certificates["ca-issuing"].der),
    base64(certificates["ca-root"].der),
  ]);
  assert.deepEqual(raw(root.timestampAuthorities[0]), [base64(certificates.tsa.der), base64(certificates["tsa-root"].der)]);
  for (const one of [...root.certificateAuthorities, ...root.timestampAuthorities])
    assert.deepEqual([typeof one.subject.organization, typeof one.subject.commonName], ["string", "string"]);
  const both = JSON.parse(trustConfig);
  assert.deepEqual(
    [both.trustedRoot, both.signingConfig.mediaType],
    [root, "application/vnd.dev.sigstore.signingconfig.v0.2+json"],
  );
  assert.deepEqual(JSON.parse(python3Config).signingConfig.tlogUrls, ["http://localhost:7800"]);
  assert.deepEqual(
    [...targets.keys()],
    [
      "trusted_root.json",
      "signing_config.v0.2.json",
      "rekor.pub",
      "ctfe.pub",
      "fulcio_v1.crt.pem",
      "fulcio_intermediate_v1.crt.pem",
      "trusted_root.v1.json",
    ],
  );
  installation.release();
});

test("two logs: v2 first, v1 last and alone where no other key than ECDSA is read", () => {
  const installation = open(folder());
  const { facts, keys } = installation;
  const { trustedRoot, signingConfig, targets } = createTrustDocuments(installation, "http://localhost:7800", EVERYTHING);
  const { tlogs } = decodeTrustedRoot(Buffer.from(trustedRoot));
  const v1 = keys["ledger-v1"].publicKey;
  assert.deepEqual(
    tlogs.map(({ name }) => name),
    [facts.ledger.origin, facts.ledgerV1.name],
  );
  assert.equal(facts.ledgerV1.name, `rekor.${facts.id}.lacre.localhost`);
  assert.ok(BigInt(facts.ledgerV1.treeId) > 0n && BigInt(facts.ledgerV1.treeId) < 1n << 63n);
  assert.deepEqual(
    [tlogs[1]!.keyDetails, tlogs[1]!.startMs, Buffer.from(tlogs[1]!.logId)],
    ["PKIX_ECDSA_P256_SHA_256", Date.parse(facts.createdAt), createHash("sha256").update(v1.spki).digest()],
  );
  const { rekorTlogUrls } = JSON.parse(signingConfig);
  assert.deepEqual(
    rekorTlogUrls.map(({ majorApiVersion, url, validFor }: Record<string, unknown>) => [majorApiVersion, url, validFor]),
    [2, 1].map((version) => [version, "http://localhost:7800", { start: facts.createdAt }]),
  );
  assert.deepEqual(
    decodeTrustedRoot(targets.get("trusted_root.v1.json")!.bytes).tlogs.map(({ name }) => name),
    [facts.ledgerV1.name],
  );
  assert.equal(
    createPublicKey(Buffer.from(targets.get("rekor.pub")!.bytes).toString())
      .export({ format: "der", type: "spki" })
      .toString("hex"),
    Buffer.from(v1.spki).toString("hex"),
  );
  installation.release();
});

test("a directory made before there was a v1 log gets one when it is next served, and keeps it", () => {
  const dir = created();
  const path = join(dir, "lacre.json");
  const file = JSON.parse(readFileSync(path, "utf8"));
  const { ledgerV1: _later, ...older } = file.installation;
  const key = join(dir, "keys", "ledger-v1.pem");
  const forget = (): void => {
    writeFileSync(path, JSON.stringify({ ...file, installation: older, tsa: { accuracySeconds: 3 } }));
  };
  forget();
  rmSync(key);
  assert.equal(viewInstallation(dir).facts.ledgerV1, undefined);
  const nowMs = Date.now() + 90_061_500;
  const first = open(dir, undefined, () => nowMs);
  first.release();
  assert.equal(statSync(key).mode & 0o777, 0o600);
  const { startAt } = first.facts.ledgerV1;
  assert.ok(
    Date.parse(startAt) > Date.parse(first.facts.createdAt) && Date.parse(startAt) <= nowMs && Date.parse(startAt) % 1000 === 0,
  );
  const again = open(dir);
  assert.deepEqual([again.facts, again.settings.tsa.accuracySeconds], [first.facts, 3]);
  assert.deepEqual(again.keys["ledger-v1"].publicKey.spki, first.keys["ledger-v1"].publicKey.spki);
  const { tlogs } = decodeTrustedRoot(Buffer.from(createTrustDocuments(again, "http://localhost:1", EVERYTHING).trustedRoot));
  assert.deepEqual(
    tlogs.map(({ startMs }) => startMs),
    [Date.parse(first.facts.createdAt), Date.parse(startAt)],
  );
  again.release();
  // A crash between the key and the facts: the key that nobody has seen is taken.
  forget();
  const resumed = open(dir);
  assert.deepEqual(resumed.keys["ledger-v1"].publicKey.spki, first.keys["ledger-v1"].publicKey.spki);
  resumed.release();
});

test("the signing config lists what is served, with a selector beside every list and no empty one", () => {
  const installation = open(folder());
  const config = (offered: Offered[]) =>
    JSON.parse(createTrustDocuments(installation, "http://localhost:7800", new Set(offered)).signingConfig);
  const full = config(["ca", "idp", "ledger", "tsa"]);
  const start = installation.facts.createdAt;
  assert.deepEqual(full.caUrls, [{ url: "http://localhost:7800", majorApiVersion: 1, validFor: { start }, operator: "lacre" }]);
  assert.deepEqual(full.oidcUrls[0].url, "http://localhost:7800/oidc");
  assert.deepEqual([full.rekorTlogUrls[0].majorApiVersion, full.rekorTlogConfig], [2, { selector: "ANY" }]);
  assert.deepEqual([full.tsaUrls[0].url, full.tsaConfig], ["http://localhost:7800/api/v1/timestamp", { selector: "ANY" }]);
  assert.deepEqual(Object.keys(config(["ca"])), ["mediaType", "caUrls"]);
  installation.release();
});

test("a P-256 ledger gets the trusted root that policy-controller reads", () => {
  const config = folder();
  writeFileSync(config, '{"ledger":{"keyType":"P-256"}}');
  const dir = created(config);
  const installation = open(dir);
  const { trustedRoot, targets } = createTrustDocuments(installation, "http://localhost:7800", EVERYTHING);
  assert.equal(JSON.parse(trustedRoot).tlogs[0].publicKey.keyDetails, "PKIX_ECDSA_P256_SHA_256");
  assert.equal(Buffer.from(targets.get("trusted_root.v1.json")!.bytes).toString(), trustedRoot);
  installation.release();
});

test("trust files are replaced when they change and left alone otherwise", () => {
  const installation = open(folder());
  const dir = installation.layout.trust;
  const root = Buffer.from("{}");
  const write = (url: string): void => writeTrustFiles(dir, createTrustDocuments(installation, url, EVERYTHING), root);
  write("http://localhost:7800");
  const before = statSync(join(dir, "signing_config.v0.2.json"));
  write("http://localhost:7800");
  assert.equal(statSync(join(dir, "signing_config.v0.2.json")).ino, before.ino);
  write("http://localhost:7801");
  assert.match(readFileSync(join(dir, "signing_config.v0.2.json"), "utf8"), /localhost:7801/);
  assert.deepEqual(readdirSync(dir).toSorted(), [
    "root.json",
    "signing_config.v0.2.json",
    "trust_config.json",
    "trust_config.python3.json",
    "trusted_root.json",
  ]);
  installation.release();
});
