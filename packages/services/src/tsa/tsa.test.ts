// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { der } from "@lacre/core/codec";
import { importPrivateKey } from "@lacre/core/crypto";
import { decodeCertificate } from "@lacre/core/x509";
import { createEdge } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { createClockService, decodeTimestampQuery, parseTimestampQuery, registerTsa, TSA_DEFAULTS } from "./index.ts";

const dir = mkdtempSync(join(tmpdir(), "lacre-tsa-"));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, content?: string | Uint8Array): string => {
  const path = join(dir, name);
  if (content !== undefined) writeFileSync(path, content);
  return path;
};
const openssl = (...args: string[]): string =>
  execFileSync("openssl", args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

// Certificates made by OpenSSL, so that nothing of ours vouches for itself.
file(
  "tsa.cnf",
  "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n[tsa]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n[req]\ndistinguished_name=dn\n[dn]\n",
);
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-config", "tsa.cnf"];
openssl(
  "req",
  "-x509",
  ...EC,
  "-extensions",
  "ca",
  "-keyout",
  "root.key",
  "-out",
  "root.pem",
  "-days",
  "30",
  "-subj",
  "/O=lacre/CN=clock root",
);
openssl(
  "req",
  "-x509",
  ...EC,
  "-extensions",
  "tsa",
  "-CA",
  "root.pem",
  "-CAkey",
  "root.key",
  "-keyout",
  "tsa.key",
  "-out",
  "tsa.pem",
  "-days",
  "30",
  "-subj",
  "/O=lacre/CN=clock",
);
openssl("pkcs8", "-topk8", "-nocrypt", "-in", "tsa.key", "-outform", "DER", "-out", "tsa.der");
const certificate = decodeCertificate(new X509Certificate(readFileSync(file("tsa.pem"))).raw);
const root = new X509Certificate(readFileSync(file("root.pem"))).raw;

const NOW = Date.now();
const clock = createClockService({
  signer: { certificate, intermediates: [], key: importPrivateKey(readFileSync(file("tsa.der"))) },
  root,
  config: TSA_DEFAULTS,
  now: () => NOW,
  random: (length) => randomBytes(length),
});
const app = createEdge();
registerTsa(app, clock);
after(() => app.close());

const DER_TYPE = "application/timestamp-query";
const JSON_TYPE = "application/json";
const post = (payload: string | Uint8Array, type = DER_TYPE) =>
  app.inject({ method: "POST", url: "/api/v1/timestamp", payload: Buffer.from(payload), headers: { "content-type": type } });

file("data", "signed bytes");
const query = (...args: string[]): Buffer => {
  openssl("ts", "-query", "-data", "data", ...args, "-out", "query.tsq");
  return readFileSync(file("query.tsq"));
};
const text = (reply: Uint8Array): string => {
  file("reply.tsr", reply);
  return openssl("ts", "-reply", "-in", "reply.tsr", "-text");
};

test("OpenSSL verifies the token for each hash, with and without certificate and nonce", async () => {
  for (const hash of ["-sha256", "-sha384", "-sha512"]) {
    for (const args of [[], ["-no_nonce"], ["-cert"], ["-cert", "-no_nonce"]]) {
      const sent = query(hash, ...args);
      const answer = await post(sent);
      assert.equal(answer.statusCode, 200);
      file("reply.tsr", answer.rawPayload);
      const untrusted = args.includes("-cert") ? [] : ["-untrusted", "tsa.pem"];
      const verdict = openssl(
        "ts",
        "-verify",
        "-queryfile",
        "query.tsq",
        "-in",
        "reply.tsr",
        "-CAfile",
        "root.pem",
        ...untrusted,
      );
      assert.match(verdict, /Verification: OK/, `${hash} ${args.join(" ")}`);
    }
  }
});

test("OpenSSL reads the fields as every client needs them", async () => {
  const out = text((await post(query("-sha256"))).rawPayload);
  assert.match(out, /Status: Granted\./);
  assert.match(out, /Policy OID: 1\.3\.6\.1\.4\.1\.57264\.2\n/);
  assert.match(out, /Serial number: 0x[4-7][0-9A-F]{39}\n/);
  assert.match(out, /Time stamp: [A-Z][a-z]{2} [ 0-9]{2} \d\d:\d\d:\d\d \d{4} GMT\n/, "whole seconds");
  assert.match(out, /Accuracy: 0x01 seconds, unspecified millis, unspecified micros\n/);
  assert.match(out, /Ordering: no\n/);
  assert.match(out, /TSA: DirName:\/O=lacre\/CN=clock\n/);
});

test("the token is CMS version 3 with one signer, named by issuer and serial, and the four attributes", async () => {
  const reply = (await post(query("-cert"))).rawPayload;
  const token = der.openDer(reply);
  token.next();
  file("token.der", token.next().whole);
  const out = openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", "token.der");
  assert.match(out, /version: 3\s+digestAlgorithms:\s+algorithm: sha256/);
  assert.equal(out.match(/d\.issuerAndSerialNumber/g)?.length, 1);
  for (const name of ["contentType", "signingTime", "messageDigest", "signingCertificateV2"])
    assert.match(out, new RegExp(`object: (id-smime-aa-)?${name}`, "i"));
  assert.match(out, /unsignedAttrs:\s+<ABSENT>/);
  assert.match(out, /crls:\s+<ABSENT>/);
});

test("a certificate is sent only when it is asked for", async () => {
  const bare = (await post(query())).rawPayload;
  const full = (await post(query("-cert"))).rawPayload;
  assert.equal(bare.includes(Buffer.from(certificate.der)), false);
  assert.equal(full.includes(Buffer.from(certificate.der)), true);
  assert.ok(full.length - bare.length >= certificate.der.length);
});

test("the reply states its type exactly and its length", async () => {
  const { headers, rawPayload } = await post(query());
  assert.deepEqual(
    [headers["content-type"], headers["content-length"]],
    ["application/timestamp-reply", String(rawPayload.length)],
  );
});

test("the JSON form gives what the DER form gives, and a nonce keeps every digit", async () => {
  const digest = createHash("sha256").update("signed bytes").digest();
  const nonce = "123456789012345678901234567890123456789012345678901234567890";
  const body = `{"artifactHash":"${digest.toString("base64")}","hashAlgorithm":"SHA256","certificates":true,"nonce":${nonce},"tsaPolicyOID":"1.3.6.1.4.1.57264.2","extra":1}`;
  const answer = await post(body, "application/json; charset=utf-8");
  assert.equal(answer.statusCode, 200);
  assert.match(text(answer.rawPayload), new RegExp(`Nonce: 0x0*${BigInt(nonce).toString(16)}\n`, "i"));
  assert.match(openssl("ts", "-verify", "-data", "data", "-in", "reply.tsr", "-CAfile", "root.pem"), /Verification: OK/);
  const minimal = await post(JSON.stringify({ artifactHash: digest.toString("base64"), hashAlgorithm: "sha256" }), JSON_TYPE);
  assert.equal(minimal.statusCode, 200);
  assert.doesNotMatch(text(minimal.rawPayload), /Nonce: 0x/);
});

test("both forms read any integer nonce alike", () => {
  const digest = Buffer.alloc(32);
  const imprint = der.sequence(der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.nil()), der.octets(digest));
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 300n), max: 1n << 300n }), (nonce) => {
      const parsed = parseTimestampQuery(
        Buffer.from(`{"artifactHash":"${digest.toString("base64")}","hashAlgorithm":"sha256","nonce":${nonce}}`),
      );
      const whole = der.der(der.TAG.integer, parsed.nonce!);
      assert.equal(BigInt.asIntN(parsed.nonce!.length * 8, BigInt(`0x${Buffer.from(parsed.nonce!).toString("hex")}`)), nonce);
      assert.deepEqual(decodeTimestampQuery(der.sequence(der.integer(1), imprint, whole)), parsed);
    }),
  );
});

test("the certificate chain goes from the clock to its root", async () => {
  const answer = await app.inject({ url: "/api/v1/timestamp/certchain" });
  assert.deepEqual([answer.statusCode, answer.headers["content-type"]], [200, "application/pem-certificate-chain"]);
  const blocks = answer.body.split(/(?<=-----END CERTIFICATE-----\n)/);
  assert.deepEqual(
    blocks.map((block) => new X509Certificate(block).subject),
    ["O=lacre\nCN=clock", "O=lacre\nCN=clock root"],
  );
  assert.equal((await app.inject({ url: "/ping" })).body, ".");
});

const digest = Buffer.alloc(32, 7);
const imprint = (oid: string, bytes: Uint8Array): Uint8Array =>
  der.sequence(der.sequence(der.oid(oid), der.nil()), der.octets(bytes));
const SHA256 = "2.16.840.1.101.3.4.2.1";
const good = imprint(SHA256, digest);
const json = (o: object): string => JSON.stringify({ artifactHash: digest.toString("base64"), hashAlgorithm: "sha256", ...o });

test("hostile and wrong requests are refused in the words that clients know", async () => {
  const unreadable = "Error generating timestamp response";
  const policy = "unaccepted policy: requested TSA policy is not supported by the TSA";
  const cases: [string, string | Uint8Array, string, number, string][] = [
    ["empty", "", DER_TYPE, 400, unreadable],
    ["no DER", "hello", DER_TYPE, 400, unreadable],
    ["cut off", query().subarray(0, 20), DER_TYPE, 400, unreadable],
    ["bytes behind", Buffer.concat([query(), Buffer.of(0)]), DER_TYPE, 400, unreadable],
    ["indefinite length", Buffer.from("30800201010000", "hex"), DER_TYPE, 400, unreadable],
    ["version 2", der.sequence(der.integer(2), good), DER_TYPE, 400, unreadable],
    ["unknown hash", der.sequence(der.integer(1), imprint("1.2.3.4", digest)), DER_TYPE, 400, unreadable],
    [
      "SHA-1",
      der.sequence(der.integer(1), imprint("1.3.14.3.2.26", Buffer.alloc(20))),
      DER_TYPE,
      400,
      "Weak hash algorithm in timestamp request",
    ],
    [
      "31 bytes",
      der.sequence(der.integer(1), imprint(SHA256, digest.subarray(1))),
      DER_TYPE,
      400,
      "Message digest has incorrect length for specified algorithm",
    ],
    ["another policy", der.sequence(der.integer(1), good, der.oid("1.2.3.4.5")), DER_TYPE, 400, policy],
    [
      "extensions",
      der.sequence(der.integer(1), good, der.context(0, der.sequence(der.oid("1.2.3"), der.octets()))),
      DER_TYPE,
      400,
      "unaccepted extension: requested extensions are not supported by the TSA",
    ],
    [
      "huge nonce",
      der.sequence(der.integer(1), good, der.integer(Buffer.alloc(1000, 1))),
      DER_TYPE,
      400,
      "timestamp request is too large",
    ],
    ["over 1 MiB", Buffer.alloc(1024 * 1024 + 1), DER_TYPE, 400, "timestamp request is too large"],
    ["far over 1 MiB", Buffer.alloc(3 * 1024 * 1024), DER_TYPE, 400, "timestamp request is too large"],
    ["JSON over 1 KiB", json({ pad: "x".repeat(1000) }), JSON_TYPE, 400, "timestamp request is too large"],
    ["no JSON", "{", JSON_TYPE, 400, unreadable],
    ["JSON array", "[]", JSON_TYPE, 400, unreadable],
    ["nested", json({ a: [[[[]]]] }), JSON_TYPE, 400, unreadable],
    ["duplicate key", `{"nonce":1,"nonce":2,${json({}).slice(1)}`, JSON_TYPE, 400, unreadable],
    ["fraction nonce", json({ nonce: 1.5 }), JSON_TYPE, 400, unreadable],
    ["string nonce", json({ nonce: "12" }), JSON_TYPE, 400, unreadable],
    ["exponent nonce", `{"nonce":1e30,${json({}).slice(1)}`, JSON_TYPE, 400, unreadable],
    ["URL-safe base64", json({ artifactHash: "__________________________________________8=" }), JSON_TYPE, 400, unreadable],
    ["sha1", json({ hashAlgorithm: "sha1" }), JSON_TYPE, 400, "Weak hash algorithm in timestamp request"],
    ["prototype", json({ hashAlgorithm: "constructor" }), JSON_TYPE, 400, unreadable],
    [
      "sha512 of 32 bytes",
      json({ hashAlgorithm: "sha512" }),
      JSON_TYPE,
      400,
      "Message digest has incorrect length for specified algorithm",
    ],
    ["JSON policy", json({ tsaPolicyOID: "1.2.3" }), JSON_TYPE, 400, policy],
    [
      "policy of 129 arcs",
      json({ tsaPolicyOID: Array(129).fill("1").join(".") }),
      JSON_TYPE,
      400,
      "OID should be comprised of at most 128 components",
    ],
    ["policy no OID", json({ tsaPolicyOID: "1.2.x" }), JSON_TYPE, 400, unreadable],
    ["text/plain", query(), "text/plain", 415, "send application/timestamp-query or application/json"],
    [
      "another application type",
      query(),
      "application/octet-stream",
      415,
      "send application/timestamp-query or application/json",
    ],
  ];
  for (const [name, body, type, status, message] of cases) {
    const answer = await post(body, type);
    assert.deepEqual([answer.statusCode, answer.body], [status, JSON.stringify({ code: status, message })], name);
  }
});

test("the decoders have limits of their own", () => {
  const tooLarge = (error: unknown): boolean =>
    error instanceof ServiceError && error.message === "timestamp request is too large";
  assert.throws(() => decodeTimestampQuery(Buffer.alloc(1024 * 1024 + 1)), tooLarge);
  assert.throws(() => parseTimestampQuery(Buffer.alloc(1025, " ")), tooLarge);
});

test("any bytes are answered by a request or a refusal of ours", () => {
  const only = (work: () => unknown): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  };
  const seed = query("-cert");
  fc.assert(
    fc.property(fc.nat(seed.length - 1), fc.nat(255), fc.nat(seed.length), (at, value, cut) => {
      const mutated = Buffer.from(seed);
      mutated[at] = value;
      only(() => decodeTimestampQuery(mutated.subarray(0, cut || mutated.length)));
      only(() => decodeTimestampQuery(mutated));
    }),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.json(), (text) => only(() => parseTimestampQuery(Buffer.from(text)))));
});
