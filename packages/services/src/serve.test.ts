// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import {
  createAuthorityClient,
  createClockClient,
  createLedgerClient,
  createLedgerV1Client,
  hashedRekordRequest,
  type Fetch,
} from "@lacre/core/client";
import { formatPem } from "@lacre/core/codec";
import { defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { checkInclusion, hashLeaf } from "@lacre/core/merkle";
import { createSealer, requestCredential } from "@lacre/core/sign";
import { decodeSigningConfig, decodeTrustedRoot, type TrustedRoot } from "@lacre/core/trust";
import { createVerifier } from "@lacre/core/verify";
import { decodeCertificate, encodeName, prepareRequest, readIdentity, signUnsigned } from "@lacre/core/x509";
import { importIdentityKey, mintDevelopmentToken } from "./idp/index.ts";
import { readKey } from "./installation/index.ts";
import { ServiceError, up, type Running, type ServiceCode, type UpOptions } from "./serve.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-serve-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => join(scratch, String(folders++));
const stateDir = join(scratch, "state");
const start = (dir: string, o: Partial<UpOptions> = {}): Promise<Running> =>
  up({ dir, listen: { host: "127.0.0.1", port: 0 }, stateDir, ...o });
async function running(t: TestContext, o: Partial<UpOptions> = {}): Promise<{ readonly dir: string; readonly url: string }> {
  const dir = folder();
  const started = await start(dir, o);
  t.after(() => started.close());
  return { dir, url: started.url };
}
const refuses = (code: ServiceCode, work: Promise<unknown>, saying = /./): Promise<void> =>
  assert.rejects(work, (error) => {
    if (!(error instanceof ServiceError)) throw error;
    assert.equal(error.code, code);
    assert.match(`${error.message} ${error.detail ?? ""}`, saying);
    return true;
  });
const rootOf = (dir: string): TrustedRoot => decodeTrustedRoot(readFileSync(join(dir, "trust", "trusted_root.json")));
const clientOf = (url: string) => ({ url, fetch: globalThis.fetch as unknown as Fetch });
const tokenOf = (dir: string, url: string, email: string): string =>
  mintDevelopmentToken({
    issuer: `${url}/oidc`,
    key: importIdentityKey(readKey(dir, "idp").pkcs8),
    email,
    audience: "sigstore",
    now: Date.now,
  });

/** What a signer does, step by step. */
async function seal(dir: string, url: string, content: Uint8Array) {
  const key = generateKey("P-256");
  const algorithm = defaultAlgorithm(key.publicKey);
  const csr = signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm, subject: encodeName({}) }), key);
  const chain = await createAuthorityClient(clientOf(url)).signingCertificate({
    token: tokenOf(dir, url, "ada@example.com"),
    csr,
  });
  const signature = signMessage(algorithm, key, content);
  const timestamp = await createClockClient(clientOf(`${url}/api/v1/timestamp`)).timestamp(signature);
  const request = hashedRekordRequest(sha256(content), signature, {
    kind: "certificate",
    der: chain[0]!,
    keyDetails: algorithm.keyDetails,
  });
  const entry = await createLedgerClient(clientOf(url)).addEntry(request);
  return { chain, signature, timestamp, entry, request };
}

test("an artifact goes all the way: identity, certificate, signature, time, ledger", async (t) => {
  const { dir, url } = await running(t);
  const { chain, signature, timestamp, entry } = await seal(dir, url, Buffer.from("lacre\n"));
  const work = folder();
  execFileSync("mkdir", [work]);
  const file = (name: string, bytes: string | Uint8Array): string => (writeFileSync(join(work, name), bytes), name);
  const openssl = (...args: string[]): string =>
    execFileSync("openssl", args, { cwd: work, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  // The certificate: chained by OpenSSL, strictly, to the root of the directory.
  file("leaf.pem", formatPem("CERTIFICATE", chain[0]!));
  openssl(
    "verify",
    "-x509_strict",
    "-purpose",
    "any",
    "-CAfile",
    join(dir, "certs", "ca-root.pem"),
    "-untrusted",
    join(dir, "certs", "ca-issuing.pem"),
    "leaf.pem",
  );
  const identity = readIdentity(decodeCertificate(chain[0]!));
  assert.deepEqual([identity.san.value, identity.issuer], ["ada@example.com", `${url}/oidc`]);
  assert.match(openssl("x509", "-in", "leaf.pem", "-noout", "-text"), /CT Precertificate SCTs/);
  // The time: verified by OpenSSL over the signature.
  file("signature", signature);
  file("reply.tsr", timestamp);
  assert.match(
    openssl(
      "ts",
      "-verify",
      "-data",
      "signature",
      "-in",
      "reply.tsr",
      "-CAfile",
      join(dir, "certs", "tsa-root.pem"),
      "-untrusted",
      join(dir, "certs", "tsa.pem"),
    ),
    /Verification: OK/,
  );
  // The ledger: the proof leads to the signed root.
  const proof = entry.inclusionProof!;
  checkInclusion(sha256, {
    index: entry.logIndex,
    size: proof.treeSize,
    leafHash: hashLeaf(sha256, entry.canonicalizedBody),
    proof: proof.hashes,
    root: proof.rootHash,
  });
  const root = JSON.parse(readFileSync(join(dir, "trust", "trusted_root.json"), "utf8"));
  assert.equal(Buffer.from(entry.logId).toString("base64"), root.tlogs[0].logId.keyId);
  assert.equal(proof.checkpoint.split("\n")[0], new URL(root.tlogs[0].baseUrl).host);
});

test("a seal made with the library verifies with the directory's trust files, and not with another installation's", async (t) => {
  const { dir, url } = await running(t);
  const other = await running(t);
  const trustedRoot = rootOf(dir);
  const config = decodeSigningConfig(readFileSync(join(dir, "trust", "signing_config.v0.2.json")));
  const authority = createAuthorityClient(clientOf(config.caUrls[0]!.url));
  const sealer = createSealer({
    credential: () => requestCredential({ authority, token: tokenOf(dir, url, "ada@example.com"), now: Date.now, trustedRoot }),
    clocks: config.tsaUrls.map((service) => createClockClient(clientOf(service.url))),
    ledgers: config.rekorTlogUrls.map(({ url: address, majorApiVersion }) =>
      (majorApiVersion === 1 ? createLedgerV1Client : createLedgerClient)(clientOf(address)),
    ),
    now: Date.now,
  });
  const content = Buffer.from("lacre\n");
  const { json, digest } = await sealer.sealArtifact([content]);
  const verdict = (root: TrustedRoot, email: string, value = digest.value) =>
    createVerifier({ trustedRoot: root }).verify({
      bundle: Buffer.from(json),
      artifact: { digests: new Map([[digest.algorithm, value]]) },
      policy: { identities: [{ identity: { exact: email }, issuer: { exact: `${url}/oidc` } }] },
    });
  const good = verdict(trustedRoot, "ada@example.com");
  assert.equal(good.outcome, "verified", JSON.stringify(good.checks.filter(({ status }) => status === "fail")));
  assert.equal(verdict(trustedRoot, "eve@example.com").outcome, "refused");
  assert.equal(verdict(trustedRoot, "ada@example.com", sha256(Buffer.from("other"))).outcome, "refused");
  assert.equal(verdict(rootOf(other.dir), "ada@example.com").outcome, "refused");
});

test("after a restart the entry is still there, and the same request gives it back", async () => {
  const dir = folder();
  const first = await start(dir);
  assert.equal(first.installation.created, true);
  const { entry, request } = await seal(dir, first.url, Buffer.from("kept"));
  await first.close();
  const second = await start(dir);
  assert.equal(second.installation.created, false);
  const again = await createLedgerClient(clientOf(second.url)).addEntry(request);
  assert.deepEqual([again.logIndex, again.canonicalizedBody], [entry.logIndex, entry.canonicalizedBody]);
  await second.close();
});

test("a directory of a version without a v1 log is served with one, listed in the trusted root before it signs", async () => {
  const dir = folder();
  const content = Buffer.from("sealed long ago");
  const first = await start(dir);
  const sealed = await seal(dir, first.url, content);
  await first.close();
  const path = join(dir, "lacre.json");
  const file = JSON.parse(readFileSync(path, "utf8"));
  delete file.installation.ledgerV1;
  writeFileSync(path, JSON.stringify(file));
  for (const part of ["keys/ledger-v1.pem", "logs/ledger-v1"]) rmSync(join(dir, part), { recursive: true });
  const before = rootOf(dir);
  const second = await start(dir);
  const { facts, keys } = second.installation;
  const [v2, v1] = rootOf(dir).tlogs;
  assert.deepEqual(
    [v2, v1!.name, Buffer.from(v1!.key.spki)],
    [before.tlogs[0], facts.ledgerV1.name, Buffer.from(keys["ledger-v1"].publicKey.spki)],
  );
  assert.notDeepEqual(v1!.logId, before.tlogs[1]!.logId);
  const { signed } = (await (await fetch(`${second.url}/tuf/timestamp.json`)).json()) as { signed: { version: number } };
  assert.ok(signed.version > 1, "published anew");
  const verifier = { kind: "certificate", der: sealed.chain[0]!, keyDetails: "PKIX_ECDSA_P256_SHA_256" } as const;
  const client = createLedgerV1Client(clientOf(second.url));
  const request = client.requestFor({
    digest: { algorithm: "sha256", value: sha256(content) },
    signature: sealed.signature,
    verifier,
    envelope: undefined,
  });
  const entry = await client.addEntry(request);
  assert.deepEqual([entry.logIndex, Buffer.from(entry.logId)], [0n, Buffer.from(v1!.logId)]);
  assert.ok(Number(entry.integratedTime) * 1000 >= v1!.startMs);
  assert.deepEqual(
    (await createLedgerClient(clientOf(second.url)).addEntry(sealed.request)).logIndex,
    sealed.entry.logIndex,
    "the old log goes on",
  );
  await second.close();
  const third = await start(dir);
  assert.deepEqual(third.installation.facts, facts);
  const again = await createLedgerV1Client(clientOf(third.url)).addEntry(request);
  assert.deepEqual(
    [again.logIndex, again.integratedTime, again.canonicalizedBody],
    [entry.logIndex, entry.integratedTime, entry.canonicalizedBody],
  );
  await third.close();
});

test("ready means that every door answers", async (t) => {
  const { url } = await running(t);
  const paths = [
    "/",
    "/healthz",
    "/api/v2/configuration",
    "/api/v2/trustBundle",
    "/api/v1/rootCert",
    "/ct/v1/get-roots",
    "/ct/checkpoint",
    "/api/v2/checkpoint",
    "/api/v1/log",
    "/api/v1/log/publicKey",
    "/ping",
    "/api/v1/timestamp/certchain",
    "/tuf/timestamp.json",
    "/tuf/root.json",
    "/oidc/.well-known/openid-configuration",
  ];
  for (const path of paths) assert.equal((await fetch(url + path)).status, 200, path);
  const health = (await (await fetch(`${url}/healthz`)).json()) as {
    status: string;
    ledger: { status: string; checkpointAgeSeconds: number };
  };
  assert.deepEqual(
    [health.status, health.ledger.status, typeof health.ledger.checkpointAgeSeconds],
    ["SERVING", "serving", "number"],
  );
});

test("the trust files in the directory are those that the repository serves", async (t) => {
  const { dir, url } = await running(t);
  const { signed } = (await (await fetch(`${url}/tuf/1.targets.json`)).json()) as {
    signed: { targets: Record<string, { hashes: { sha256: string } }> };
  };
  for (const name of ["trusted_root.json", "signing_config.v0.2.json"]) {
    const served = await (await fetch(`${url}/tuf/targets/${signed.targets[name]!.hashes.sha256}.${name}`)).text();
    assert.equal(readFileSync(join(dir, "trust", name), "utf8"), served);
  }
  assert.equal(readFileSync(join(dir, "trust", "root.json"), "utf8"), await (await fetch(`${url}/tuf/1.root.json`)).text());
  const config = JSON.parse(readFileSync(join(dir, "trust", "signing_config.v0.2.json"), "utf8"));
  assert.equal(config.rekorTlogUrls[0].url, url);
});

test("serves only what it is told to", async (t) => {
  const { dir, url } = await running(t, { only: new Set(["ledger"] as const) });
  assert.equal((await fetch(`${url}/api/v2/checkpoint`)).status, 200);
  for (const path of [
    "/api/v2/configuration",
    "/ct/checkpoint",
    "/api/v1/timestamp/certchain",
    "/tuf/timestamp.json",
    "/oidc/.well-known/openid-configuration",
  ]) {
    assert.equal((await fetch(url + path)).status, 404, path);
  }
  const config = JSON.parse(readFileSync(join(dir, "trust", "signing_config.v0.2.json"), "utf8"));
  assert.deepEqual(Object.keys(config), ["mediaType", "rekorTlogUrls", "rekorTlogConfig"]);
});

test("a taken port is refused before the directory is touched", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const { port } = other.address() as { port: number };
  const dir = folder();
  await refuses("ADDRESS_TAKEN", start(dir, { listen: { host: "127.0.0.1", port } }), /lsof -i/);
  assert.throws(() => readFileSync(join(dir, "lacre.json")));
  other.close();
});

test("a second start on one directory is refused, and the first serves on", async (t) => {
  const { dir, url } = await running(t);
  await refuses("DIRECTORY_LOCKED", start(dir), new RegExp(`process ${process.pid}`));
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
});

test("a start that fails late gives everything back", async () => {
  const dir = folder();
  await (await start(dir)).close();
  rmSync(join(dir, "tuf"), { recursive: true });
  writeFileSync(join(dir, "tuf"), "in the way");
  await refuses("STORE_FAILED", start(dir), /tuf/);
  rmSync(join(dir, "tuf"));
  await (await start(dir)).close();
});

test("yesterday's copy of the directory refuses to sign a second history, until its operator insists", async () => {
  const dir = folder();
  const first = await start(dir);
  await seal(dir, first.url, Buffer.from("one"));
  await first.close();
  const copy = folder();
  cpSync(dir, copy, { recursive: true });
  const second = await start(dir);
  await seal(dir, second.url, Buffer.from("two"));
  await second.close();
  // Each log says where this directory is; both have to be accepted by name.
  const accept: { size: number; root: Uint8Array }[] = [];
  for (const name of ["ledger", "ct"]) {
    await assert.rejects(start(copy, { accept }), (error) => {
      assert.ok(error instanceof ServiceError && error.code === "LOG_FORKED", `${name}: ${String(error)}`);
      const [, size, root] = /this directory is at (\d+):(\S{44})/.exec(error.detail ?? "") ?? [];
      accept.push({ size: Number(size), root: Buffer.from(root ?? "", "base64") });
      return true;
    });
  }
  // Nothing was lost: the newer directory still starts.
  const third = await start(dir);
  const [, size, root] = (await (await fetch(`${third.url}/api/v2/checkpoint`)).text()).split("\n");
  assert.equal(size, "2");
  assert.equal(Buffer.from(root!, "base64").length, 32);
  await third.close();
  // The operator insists: the copy goes on, and its trust metadata passes the versions that clients have seen.
  const insisted = await start(copy, { accept });
  const { signed } = (await (await fetch(`${insisted.url}/tuf/timestamp.json`)).json()) as { signed: { version: number } };
  assert.ok(signed.version > 1_000_000);
  await seal(copy, insisted.url, Buffer.from("three"));
  await insisted.close();
});

test("requests under way end well when it is told to stop, and then nothing answers", async () => {
  const dir = folder();
  const started = await start(dir);
  const key = generateKey("P-256");
  const algorithm = defaultAlgorithm(key.publicKey);
  const post = (content: string): Promise<Response> => {
    const signature = signMessage(algorithm, key, Buffer.from(content));
    const request = hashedRekordRequest(sha256(Buffer.from(content)), signature, {
      kind: "publicKey",
      der: key.publicKey.spki,
      keyDetails: algorithm.keyDetails,
    });
    return fetch(`${started.url}/api/v2/log/entries`, { method: "POST", body: JSON.stringify(request) });
  };
  await post("first");
  const under = Array.from({ length: 16 }, (_, i) => post(`${i}`));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const closed = started.close();
  const answers = await Promise.allSettled(under);
  await closed;
  assert.equal(started.close(), closed, "closing again is the same closing");
  // Each was either answered in full or never taken in.
  for (const answer of answers)
    if (answer.status === "fulfilled") assert.ok([201, 503].includes(answer.value.status), String(answer.value.status));
  await assert.rejects(fetch(`${started.url}/healthz`));
  const again = await start(dir);
  const health = (await (await fetch(`${again.url}/healthz`)).json()) as { ledger: { committed: number } };
  const acknowledged = answers.filter((answer) => answer.status === "fulfilled" && answer.value.status === 201).length;
  assert.ok(health.ledger.committed >= acknowledged + 1);
  await again.close();
});

test("the front page says what this is", async (t) => {
  const { url } = await running(t);
  const answer = await fetch(url);
  assert.match(answer.headers.get("content-type")!, /^text\/html/);
  assert.match(await answer.text(), /Development installation/);
});
