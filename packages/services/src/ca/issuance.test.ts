// SPDX-License-Identifier: Apache-2.0
// Token and key in, certificate out: whole, with real keys, held against OpenSSL, Node and @sigstore/core.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign as nodeSign, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FulcioSigner } from "@sigstore/sign";
import { ByteStream, X509Certificate as SigstoreCertificate, X509SCTExtension } from "@sigstore/core";
import { createHash, createPublicKey, verify as nodeVerify } from "node:crypto";
import { equalBytes, fromBase64 } from "@lacre/core/bytes";
import { parsePem, parsePemAll } from "@lacre/core/codec";
import { TILE_WIDTH } from "@lacre/core/merkle";
import {
  checkChain,
  checkCodeSigningLeaf,
  checkSct,
  decodeCertificate,
  embeddedScts,
  issuerKeyHash,
  loggedTbs,
  readIdentity,
} from "@lacre/core/x509";
import { createIssuance, ES256, type Issuance } from "../../../../test/issuance.ts";
import { CT_PERSONALITY } from "../ct/index.ts";
import { mintDevelopmentToken } from "../idp/index.ts";
import { signMessage } from "@lacre/core/crypto";

const scratch = mkdtempSync(join(tmpdir(), "lacre-ca-"));
let bed: Issuance;
before(async () => {
  bed = await createIssuance();
});
after(async () => {
  await bed.close();
  rmSync(scratch, { recursive: true });
});

function openssl(...args: string[]): string {
  const run = spawnSync("openssl", args, { encoding: "utf8" });
  return `${run.status === 0 ? "" : `status ${run.status}: `}${run.stdout}${run.stderr}`;
}

let files = 0;
function file(content: string | Uint8Array): string {
  const path = join(scratch, `${files++}`);
  writeFileSync(path, content);
  return path;
}

const pemOf = (key: KeyObject): string =>
  key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }).toString();
const token = (email = "dev@example.com"): string =>
  mintDevelopmentToken({ issuer: bed.issuer, key: bed.identityKey, email, audience: "sigstore", now: Date.now });

function csr(privateKey: KeyObject, digest = "sha256"): string {
  const out = join(scratch, `${files++}.csr`);
  const said = openssl(
    "req",
    "-new",
    "-key",
    file(pemOf(privateKey)),
    "-subj",
    "/CN=ignored.example/emailAddress=other@example.com",
    "-addext",
    "subjectAltName=email:other@example.com",
    `-${digest}`,
    "-out",
    out,
  );
  assert.equal(said.startsWith("status"), false, said);
  return openssl("req", "-in", out);
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  return bed.app.inject({
    method: "POST",
    url: path,
    headers: { "content-type": "application/json", ...headers },
    payload: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Checks a chain as an independent party would; returns the leaf. */
function checkIssued(pems: readonly string[]): X509Certificate {
  assert.equal(pems.length, 3);
  const [leafPem, issuingPem, rootPem] = pems as [string, string, string];
  const said = openssl(
    "verify",
    "-x509_strict",
    "-purpose",
    "any",
    "-trusted",
    file(rootPem),
    "-untrusted",
    file(issuingPem),
    file(leafPem),
  );
  assert.match(said, /: OK\n$/);
  const leaf = decodeCertificate(parsePem(leafPem, "CERTIFICATE"));
  checkCodeSigningLeaf(leaf);
  checkChain({
    leaf,
    intermediates: [decodeCertificate(parsePem(issuingPem, "CERTIFICATE"))],
    anchors: [bed.root],
    timeMs: Date.now(),
    purpose: "codeSigning",
  });

  // The promise: by the library, and by @sigstore/core, which cuts the extension out with an encoder of its own.
  const [sct, ...more] = embeddedScts(leaf);
  assert.equal(more.length, 0, "clients want exactly one promise");
  checkSct({
    sct: sct!,
    logged: { tbs: loggedTbs(leaf.tbs), issuerKeyHash: issuerKeyHash(bed.issuing) },
    log: { logId: bed.ctLogId, key: bed.ctKey.publicKey },
  });
  const theirs = SigstoreCertificate.parse(Buffer.from(leaf.der)).clone();
  const at = theirs.extensions.findIndex((extension) => extension.subs[0]!.toOID() === "1.3.6.1.4.1.11129.2.4.2");
  assert.equal(at, theirs.extensions.length - 1, "the promise is the last extension");
  const [list] = theirs.extensions.splice(at, 1);
  const signed = new ByteStream();
  signed.appendView(createHash("sha256").update(bed.issuing.spki).digest());
  const tbs = theirs.tbsCertificate.toDER();
  signed.appendUint24(tbs.length);
  signed.appendView(tbs);
  const [promise] = new X509SCTExtension(list!).signedCertificateTimestamps;
  assert.ok(
    promise!.verify(signed.buffer, createPublicKey({ key: Buffer.from(bed.ctKey.publicKey.spki), format: "der", type: "spki" })),
  );
  assert.equal(promise!.extensions.length, 0, "old Python clients refuse promises with extensions");
  return new X509Certificate(leafPem);
}

test("v2 with a certification request: 200, JSON, trimmed PEM, leaf to root", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const answer = await post(
    "/api/v2/signingCert",
    { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") },
    { authorization: `Bearer ${token()}`, accept: "application/pem-certificate-chain" },
  );
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(answer.headers["content-type"], "application/json");
  const body = answer.json();
  assert.deepEqual(Object.keys(body), ["signedCertificateEmbeddedSct"]);
  const pems = body.signedCertificateEmbeddedSct.chain.certificates as string[];
  for (const pem of pems) assert.equal(pem, pem.trim());
  const leaf = checkIssued(pems);
  assert.equal(leaf.subjectAltName, "email:dev@example.com", "what the request asked for is ignored");
  assert.ok(leaf.publicKey.equals(publicKey));
  assert.equal(leaf.subject, undefined, "the subject is empty");
  assert.equal(leaf.validToDate.getTime() - leaf.validFromDate.getTime(), 600_000);
  assert.ok(Math.abs(leaf.validFromDate.getTime() - Date.now()) < 5000, "no back-dating");
  const text = openssl("x509", "-noout", "-text", "-in", file(pems[0]!));
  assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature\n/);
  assert.match(text, /X509v3 Extended Key Usage:\s+Code Signing\n/);
  assert.match(text, /X509v3 Subject Alternative Name: critical\s+email:dev@example.com/);
  assert.match(text, /X509v3 Authority Key Identifier/);
  assert.match(text, /X509v3 Subject Key Identifier/);
});

test("v2 with a key and its proof, in both spellings of members and of base64", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const proof = nodeSign("sha256", Buffer.from("dev@example.com"), privateKey);
  const requests = [
    {
      credentials: { oidcIdentityToken: token() },
      publicKeyRequest: {
        publicKey: { algorithm: "ECDSA", content: pemOf(publicKey) },
        proofOfPossession: proof.toString("base64"),
      },
    },
    {
      credentials: { oidc_identity_token: token() },
      public_key_request: {
        public_key: { algorithm: "RSA", content: pemOf(publicKey) },
        proof_of_possession: proof.toString("base64url"),
      },
      unknown: 1,
      certificateSigningRequest: null,
    },
  ];
  for (const request of requests) {
    const answer = await post("/api/v2/signingCert", request);
    assert.equal(answer.statusCode, 200, answer.body);
    assert.ok(checkIssued(answer.json().signedCertificateEmbeddedSct.chain.certificates).publicKey.equals(publicKey));
  }
});

test("a key on one long line in its armour, a PKCS#1 key and raw DER are read", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const proof = nodeSign("sha256", Buffer.from("dev@example.com"), privateKey).toString("base64");
  const contents = [
    `-----BEGIN PUBLIC KEY-----\n${spki.toString("base64")}\n-----END PUBLIC KEY-----\n`,
    publicKey.export({ type: "pkcs1", format: "pem" }).toString(),
    spki.toString("latin1"),
  ];
  for (const content of contents) {
    const answer = await post("/api/v2/signingCert", {
      credentials: { oidcIdentityToken: token() },
      publicKeyRequest: { publicKey: { content }, proofOfPossession: proof },
    });
    assert.equal(answer.statusCode, 200, answer.body);
  }
});

test("the body's token wins over the header's, and an empty one does not", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") };
  const both = await post(
    "/api/v2/signingCert",
    { ...request, credentials: { oidcIdentityToken: token("body@example.com") } },
    { authorization: `Bearer ${token("header@example.com")}` },
  );
  assert.equal(checkIssued(both.json().signedCertificateEmbeddedSct.chain.certificates).subjectAltName, "email:body@example.com");
  const empty = await post(
    "/api/v2/signingCert",
    { ...request, credentials: { oidcIdentityToken: "" } },
    { authorization: `bEARER ${token("header@example.com")}` },
  );
  assert.equal(
    checkIssued(empty.json().signedCertificateEmbeddedSct.chain.certificates).subjectAltName,
    "email:header@example.com",
  );
});

test("v1: 201, PEM chain, both variants, token from the header only", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const proof = nodeSign("sha256", Buffer.from("dev@example.com"), privateKey).toString("base64");
  const requests = [
    {
      publicKey: { content: publicKey.export({ type: "spki", format: "der" }).toString("base64"), algorithm: "ecdsa" },
      signedEmailAddress: proof,
    },
    { publicKey: { content: Buffer.from(pemOf(publicKey)).toString("base64"), algorithm: "ecdsa" }, signedEmailAddress: proof },
    { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") },
  ];
  for (const request of requests) {
    const answer = await post("/api/v1/signingCert", request, { authorization: `Bearer ${token()}` });
    assert.equal(answer.statusCode, 201, answer.body);
    assert.equal(answer.headers["content-type"], "application/pem-certificate-chain");
    assert.ok(answer.body.endsWith("-----END CERTIFICATE-----\n"));
    checkIssued(answer.body.split(/(?<=-----END CERTIFICATE-----\n)/));
    const bare = await post("/api/v1/signingCert", { ...request, credentials: { oidcIdentityToken: token() } });
    assert.equal(bare.statusCode, 400);
  }
});

test("every permitted pair of key and hash is certified, by both kinds of proof", async () => {
  const keys: [string, string, KeyObject][] = [
    ["P-256", "sha256", generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey],
    ["P-384", "sha384", generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey],
    ["P-521", "sha512", generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey],
    ["RSA 3072", "sha256", generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey],
    ["Ed25519", "sha512", generateKeyPairSync("ed25519").privateKey],
  ];
  for (const [name, digest, privateKey] of keys) {
    const byRequest = await post(
      "/api/v2/signingCert",
      { certificateSigningRequest: Buffer.from(csr(privateKey, digest)).toString("base64") },
      { authorization: `Bearer ${token()}` },
    );
    assert.equal(byRequest.statusCode, 200, `${name} ${byRequest.body}`);
    checkIssued(byRequest.json().signedCertificateEmbeddedSct.chain.certificates);
    const publicKey = createPublicKey(privateKey);
    const proof = nodeSign(name === "Ed25519" ? null : digest, Buffer.from("dev@example.com"), privateKey);
    const byKey = await post("/api/v2/signingCert", {
      credentials: { oidcIdentityToken: token() },
      publicKeyRequest: { publicKey: { content: pemOf(publicKey) }, proofOfPossession: proof.toString("base64") },
    });
    assert.equal(byKey.statusCode, 200, `${name} ${byKey.body}`);
  }
});

test("the certificate names issuer and subject as Fulcio does: 1 raw, 8 and 24 as DER, in this order", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const answer = await post(
    "/api/v2/signingCert",
    { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") },
    { authorization: `Bearer ${token()}` },
  );
  const leaf = decodeCertificate(parsePem(answer.json().signedCertificateEmbeddedSct.chain.certificates[0], "CERTIFICATE"));
  assert.deepEqual(
    [...leaf.extensions.keys()],
    [
      "2.5.29.15",
      "2.5.29.37",
      "2.5.29.14",
      "2.5.29.35",
      "2.5.29.17",
      "1.3.6.1.4.1.57264.1.1",
      "1.3.6.1.4.1.57264.1.8",
      "1.3.6.1.4.1.57264.1.24",
      "1.3.6.1.4.1.11129.2.4.2",
    ],
  );
  assert.equal(Buffer.from(leaf.extensions.get("1.3.6.1.4.1.57264.1.1")!.value).toString(), bed.issuer);
  assert.equal(
    Buffer.from(leaf.extensions.get("1.3.6.1.4.1.57264.1.8")!.value).toString("latin1"),
    `\x0c${String.fromCharCode(bed.issuer.length)}${bed.issuer}`,
  );
  const identity = readIdentity(leaf);
  assert.deepEqual(identity.san, { kind: "email", value: "dev@example.com" });
  assert.equal(identity.claims.get("tokenSubject"), "dev@example.com");
});

test("the precertificate in the log is the certificate, but for poison and promise", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const answer = await post(
    "/api/v2/signingCert",
    { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") },
    { authorization: `Bearer ${token()}` },
  );
  const leaf = decodeCertificate(parsePem(answer.json().signedCertificateEmbeddedSct.chain.certificates[0], "CERTIFICATE"));
  const size = bed.ctLog.size;
  const index = Math.floor((size - 1) / TILE_WIDTH);
  const width = size % TILE_WIDTH || TILE_WIDTH;
  const tile = await bed.app.inject(`/ct/tile/data/00${index}${width === TILE_WIDTH ? "" : `.p/${width}`}`);
  const record = CT_PERSONALITY.unframe(tile.rawPayload).at(-1)!;
  // TileLeaf: time, type, issuer key hash, TBS; then extensions and the precertificate as it was submitted.
  const length = record[42]! * 65536 + record[43]! * 256 + record[44]!;
  const tbs = record.subarray(45, 45 + length);
  assert.ok(equalBytes(tbs, loggedTbs(leaf.tbs)));
  const at = 45 + length + 2;
  const precertificate = decodeCertificate(
    record.subarray(at + 3, at + 3 + record[at]! * 65536 + record[at + 1]! * 256 + record[at + 2]!),
  );
  assert.equal(precertificate.extensions.get("1.3.6.1.4.1.11129.2.4.3")!.critical, true);
  assert.ok(equalBytes(precertificate.serial, leaf.serial));
  assert.deepEqual([...precertificate.extensions.keys()].slice(0, -1), [...leaf.extensions.keys()].slice(0, -1));
  assert.equal(embeddedScts(leaf)[0]!.timestampMs, Number(Buffer.from(record.subarray(0, 8)).readBigUInt64BE()));
});

test("serials do not repeat and are positive", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") };
  const serials = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const answer = await post("/api/v2/signingCert", request, { authorization: `Bearer ${token()}` });
      return new X509Certificate(answer.json().signedCertificateEmbeddedSct.chain.certificates[0]).serialNumber;
    }),
  );
  assert.equal(new Set(serials).size, 20);
  for (const serial of serials) assert.match(serial, /^(?!0+$)[0-7]?[0-9A-F]{1,39}$/);
});

test("tells its chain, its configuration and its roots", async () => {
  const bundle = (await bed.app.inject("/api/v2/trustBundle")).json();
  const [issuing, root] = bundle.chains[0].certificates as [string, string];
  assert.ok(issuing.endsWith("-----END CERTIFICATE-----\n"));
  assert.ok(equalBytes(parsePem(root, "CERTIFICATE"), bed.root.der));
  assert.deepEqual((await bed.app.inject("/api/v2/configuration")).json(), {
    issuers: [
      {
        issuerUrl: bed.issuer,
        audience: "sigstore",
        challengeClaim: "email",
        spiffeTrustDomain: "",
        issuerType: "email",
        subjectDomain: "",
        skipEmailVerification: false,
      },
    ],
  });
  const roots = await bed.app.inject("/api/v1/rootCert");
  assert.deepEqual([roots.statusCode, roots.headers["content-type"]], [200, "application/pem-certificate-chain"]);
  assert.equal(roots.body, issuing + root);
  assert.equal(parsePemAll(roots.body, "CERTIFICATE").length, 2);
});

test("the stock JavaScript signer gets its certificate, over a socket", async () => {
  await bed.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = bed.app.server.address() as { port: number };
  const signer = new FulcioSigner({
    fulcioBaseURL: `http://127.0.0.1:${port}`,
    identityProvider: { getToken: async () => token("js@example.com") },
    retry: 0,
    timeout: 5000,
  });
  const message = Buffer.from("artifact");
  const { signature, key } = await signer.sign(message);
  assert.ok(key.$case === "x509Certificate");
  const leaf = new X509Certificate(key.certificate);
  assert.equal(leaf.subjectAltName, "email:js@example.com");
  assert.ok(nodeVerify("sha256", message, leaf.publicKey, signature));
});

test("wrong paths and methods are answered as the gateway does", async () => {
  const get = await bed.app.inject("/api/v2/signingCert");
  assert.deepEqual([get.statusCode, get.json()], [501, { code: 12, message: "Method Not Allowed", details: [] }]);
  const none = await bed.app.inject("/api/v2/nothing");
  assert.deepEqual([none.statusCode, none.json()], [404, { code: 5, message: "Not Found", details: [] }]);
});

test("no certificate leaves when the CT log fails, answers nonsense, or promises with another key", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") };
  const stranger = createPrivateKey(pemOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey));
  const answers: Record<string, (body: Record<string, unknown>) => { status: number; body: unknown }> = {
    down: () => ({ status: 503, body: "Service Unavailable" }),
    nonsense: () => ({ status: 200, body: { sct_version: 0 } }),
    "another key": (sct) => ({
      status: 200,
      body: {
        ...sct,
        signature: Buffer.concat([Buffer.from([4, 3, 0, 0]), nodeSign("sha256", Buffer.from("x"), stranger)]).toString("base64"),
      },
    }),
    "another time": (sct) => ({ status: 200, body: { ...sct, timestamp: (sct.timestamp as number) + 1 } }),
    "another log": (sct) => ({ status: 200, body: { ...sct, id: Buffer.alloc(32).toString("base64") } }),
  };
  for (const [name, change] of Object.entries(answers)) {
    const other = await createIssuance({
      ctFetch: (inner) => async (url, init) => {
        const answer = await inner(url, init);
        const { status, body } = change(JSON.parse(Buffer.from(await answer.arrayBuffer()).toString()));
        const bytes = new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
        return { status, headers: { get: () => null }, arrayBuffer: async () => bytes.buffer as ArrayBuffer };
      },
    });
    try {
      const answer = await other.app.inject({
        method: "POST",
        url: "/api/v2/signingCert",
        payload: JSON.stringify(request),
        headers: {
          authorization: `Bearer ${mintDevelopmentToken({ issuer: other.issuer, key: other.identityKey, email: "dev@example.com", audience: "sigstore", now: Date.now })}`,
        },
      });
      assert.deepEqual(
        [answer.statusCode, answer.json()],
        [500, { code: 13, message: "Error entering certificate in CTL", details: [] }],
        name,
      );
    } finally {
      await other.close();
    }
  }
});

test("a certificate is signed only after its promise is there, and a failing key is said to be one", async () => {
  const order: string[] = [];
  let refuse = false;
  const other: Issuance = await createIssuance({
    sign: (tbs) => {
      if (refuse) throw new Error("token removed");
      order.push(`sign ${tbs.length}`);
      return signMessage(ES256, other.issuingKey, tbs);
    },
    ctFetch: (inner) => async (url, init) => {
      const answer = await inner(url, init);
      // By now a published checkpoint covers the precertificate (I6).
      const { body } = await other.app.inject("/ct/checkpoint");
      order.push(`logged, size ${body.split("\n")[1]}`);
      return answer;
    },
  });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ask = () =>
    other.app.inject({
      method: "POST",
      url: "/api/v2/signingCert",
      payload: JSON.stringify({ certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") }),
      headers: {
        authorization: `Bearer ${mintDevelopmentToken({ issuer: other.issuer, key: other.identityKey, email: "dev@example.com", audience: "sigstore", now: Date.now })}`,
      },
    });
  try {
    assert.equal((await ask()).statusCode, 200);
    assert.deepEqual(
      order.map((step) => step.replace(/sign \d+/, "sign")),
      ["sign", "logged, size 1", "sign"],
    );
    refuse = true;
    const failed = await ask();
    assert.deepEqual(
      [failed.statusCode, failed.json()],
      [500, { code: 13, message: "error communicating with CA backend", details: [] }],
    );
  } finally {
    await other.close();
  }
});

test("base64 in the answer is what PEM readers of other houses read", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const answer = await post(
    "/api/v2/signingCert",
    { certificateSigningRequest: Buffer.from(csr(privateKey)).toString("base64") },
    { authorization: `Bearer ${token()}` },
  );
  for (const pem of answer.json().signedCertificateEmbeddedSct.chain.certificates as string[]) {
    const lines = pem.split("\n");
    assert.ok(lines.slice(1, -2).every((line) => line.length === 64));
    fromBase64(lines.slice(1, -1).join(""));
  }
});
