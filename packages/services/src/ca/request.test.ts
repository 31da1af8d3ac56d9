// SPDX-License-Identifier: Apache-2.0
// Requests that must not become certificates: status, code, sentence, and what is logged.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject, sign as nodeSign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, before, test } from "node:test";
import { der, formatPem, parsePem } from "@lacre/core/codec";
import { generateKey } from "@lacre/core/crypto";
import fc from "fast-check";
import { pino } from "pino";
import { createIssuance, type Issuance } from "../../../../test/issuance.ts";
import { ServiceError } from "../errors.ts";
import { mintDevelopmentToken } from "../idp/index.ts";
import { decodeSigningRequest, decodeSigningRequestV1 } from "./request.ts";

const EMAIL = "dev@example.com";
const scratch = mkdtempSync(join(tmpdir(), "lacre-request-"));
let lines: { code?: string; route?: string; detail?: string; msg?: string }[] = [];
let raw = "";
let bed: Issuance;
before(async () => {
  const sink = new Writable({
    write(chunk, _encoding, done) {
      raw += chunk;
      lines.push(
        ...String(chunk)
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      );
      done();
    },
  });
  bed = await createIssuance({ log: pino({ level: "trace" }, sink) });
});
after(async () => {
  await bed.close();
  rmSync(scratch, { recursive: true });
});

const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = (key: KeyObject): string => key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }).toString();
const token = (): string =>
  mintDevelopmentToken({ issuer: bed.issuer, key: bed.identityKey, email: EMAIL, audience: "sigstore", now: Date.now });
const proofOf = (key: KeyObject, text = EMAIL, hash: string | null = "sha256"): string =>
  nodeSign(hash, Buffer.from(text), key).toString("base64");

let files = 0;
function openssl(args: readonly string[], input?: string): Buffer {
  const run = spawnSync("openssl", args, { input });
  assert.equal(run.status, 0, run.stderr.toString());
  return run.stdout;
}
function path(content: string): string {
  const name = join(scratch, `${files++}`);
  writeFileSync(name, content);
  return name;
}

/** Posts to v2 with a good token and returns the answer with the code that was logged. */
async function ask(
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; message: string; code: string | undefined }> {
  lines = [];
  const answer = await bed.app.inject({
    method: "POST",
    url: "/api/v2/signingCert",
    payload: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", authorization: `Bearer ${token()}`, ...headers },
  });
  const json = answer.json();
  if (answer.statusCode !== 200) assert.deepEqual([Object.keys(json), json.details], [["code", "message", "details"], []]);
  return { status: answer.statusCode, message: json.message, code: lines.find(({ code }) => code !== undefined)?.code };
}

const withKey = (content: string, proof: string): object => ({
  publicKeyRequest: { publicKey: { algorithm: "ECDSA", content }, proofOfPossession: proof },
});
const withCsr = (csr: Uint8Array | string): object => ({ certificateSigningRequest: Buffer.from(csr).toString("base64") });

async function refused(
  body: unknown,
  code: string,
  message: string | RegExp,
  headers: Record<string, string> = {},
  name = "",
): Promise<void> {
  const answer = await ask(body, headers);
  assert.deepEqual([answer.status, answer.code], [400, code], `${name} ${answer.message}`);
  if (typeof message === "string") assert.equal(answer.message, message, name);
  else assert.match(answer.message, message, name);
}

const UNPARSABLE = "The public key supplied in the request could not be parsed";
const INSECURE = "The public key supplied in the request is insecure";
const CSR = "The certificate signing request could not be parsed";
const UNPROVED = "The signature supplied in the request could not be verified";

test("refuses bodies that are no strict JSON, with the parser's sentence", async () => {
  for (const body of [
    "",
    "{",
    "null",
    "[]",
    '{"a":1,"a":2}',
    "[".repeat(100),
    Buffer.from([0x7b, 0xff, 0x7d]),
    '{"credentials":7}',
    '{"publicKeyRequest":[]}',
    '{"certificateSigningRequest":7}',
    '{"certificateSigningRequest":"%"}',
  ]) {
    await refused(body, "BAD_REQUEST", /./, {}, String(body).slice(0, 40));
  }
  assert.equal((await ask(Buffer.alloc((4 << 20) + 1, 0x20))).status, 413);
});

test("refuses a member given under both of its names", async () => {
  await refused({ credentials: { oidcIdentityToken: "a", oidc_identity_token: "a" } }, "BAD_REQUEST", /two names/);
});

test("refuses a request with neither key nor certification request", async () => {
  for (const body of [
    {},
    { publicKeyRequest: {} },
    { publicKeyRequest: { publicKey: {} } },
    { publicKeyRequest: { publicKey: { content: "" } } },
    { certificateSigningRequest: "" },
    { certificateSigningRequest: null, publicKeyRequest: null },
  ]) {
    await refused(body, "KEY_UNREADABLE", UNPARSABLE, {}, JSON.stringify(body));
  }
});

test("every token problem is a 400 with one sentence, never a 401", async () => {
  const body = withKey(pem(EC.publicKey), proofOf(EC.privateKey));
  for (const [authorization, code] of [
    ["", "TOKEN_MISSING"],
    ["Basic eDp5", "TOKEN_MISSING"],
    ["Bearer", "TOKEN_MISSING"],
    ["Bearer  ", "TOKEN_MISSING"],
    ["Bearer x.y.z", "TOKEN_INVALID"],
  ] as const) {
    await refused(body, code, "There was an error processing the identity token", { authorization }, authorization);
  }
});

test("refuses keys that cannot be read", async () => {
  const spki = EC.publicKey.export({ type: "spki", format: "der" });
  const contents = [
    "garbage",
    "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
    formatPem("PUBLIC KEY", spki.subarray(0, -1)),
    formatPem("PUBLIC KEY", Buffer.concat([spki, Buffer.from([0])])),
    formatPem("CERTIFICATE", spki),
    pem(EC.privateKey),
    pem(EC.publicKey) + pem(EC.publicKey),
    "日本",
    `0${"\x80".repeat(100)}`,
    "0\x84\xff\xff\xff\xff",
    formatPem("RSA PUBLIC KEY", spki),
  ];
  for (const content of contents)
    await refused(
      withKey(content, proofOf(EC.privateKey)),
      "KEY_UNREADABLE",
      UNPARSABLE,
      {},
      JSON.stringify(content.slice(0, 40)),
    );
});

test("refuses weak keys: RSA of 1024 bits, with exponent 1 and even, P-224, secp256k1, compressed and infinite points", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
  await refused(withKey(pem(rsa.publicKey), proofOf(rsa.privateKey)), "KEY_WEAK", INSECURE);
  const { n } = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
  const modulus = Buffer.concat([Buffer.from([0]), Buffer.from(n!, "base64url")]);
  for (const exponent of [1, 2, 65536]) {
    const spki = der.sequence(
      der.sequence(der.oid("1.2.840.113549.1.1.1"), der.nil()),
      der.bits(der.sequence(der.integer(modulus), der.integer(exponent))),
    );
    // With e = 1 the padded message is its own signature.
    await refused(
      withKey(formatPem("PUBLIC KEY", spki), Buffer.alloc(256, 1).toString("base64")),
      "KEY_WEAK",
      INSECURE,
      {},
      `e = ${exponent}`,
    );
  }
  for (const namedCurve of ["secp224r1", "secp256k1"]) {
    const pair = generateKeyPairSync("ec", { namedCurve });
    await refused(withKey(pem(pair.publicKey), proofOf(pair.privateKey)), "KEY_WEAK", INSECURE, {}, namedCurve);
  }
  const compressed = openssl(["ec", "-pubin", "-conv_form", "compressed"], pem(EC.publicKey)).toString();
  await refused(withKey(compressed, proofOf(EC.privateKey)), "KEY_WEAK", INSECURE, {}, "compressed");
  const point = (bytes: Uint8Array): string =>
    formatPem(
      "PUBLIC KEY",
      der.sequence(der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7")), der.bits(bytes)),
    );
  await refused(withKey(point(Uint8Array.of(0)), proofOf(EC.privateKey)), "KEY_WEAK", INSECURE, {}, "infinity");
  await refused(
    withKey(point(Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 7)])), proofOf(EC.privateKey)),
    "KEY_WEAK",
    INSECURE,
    {},
    "off the curve",
  );
  const x25519 = generateKeyPairSync("x25519");
  await refused(withKey(pem(x25519.publicKey), proofOf(EC.privateKey)), "KEY_WEAK", INSECURE, {}, "X25519");
});

test("refuses a key type that no permitted algorithm has, by name", async () => {
  const { publicKey } = generateKey("ML-DSA-44");
  await refused(
    withKey(formatPem("PUBLIC KEY", publicKey.spki), "AAAA"),
    "ALGORITHM_NOT_PERMITTED",
    /^signing algorithm not permitted: ML-DSA-44/,
  );
});

test("refuses a proof over another text, of another key, of another hash, malformed, and none", async () => {
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const good = Buffer.from(proofOf(EC.privateKey), "base64");
  const proofs: Record<string, string> = {
    "another text": proofOf(EC.privateKey, "evil@example.com"),
    "trailing newline": proofOf(EC.privateKey, `${EMAIL}\n`),
    "empty text": proofOf(EC.privateKey, ""),
    "another key": proofOf(stranger.privateKey),
    "another hash": proofOf(EC.privateKey, EMAIL, "sha512"),
    "raw form": nodeSign("sha256", Buffer.from(EMAIL), { key: EC.privateKey, dsaEncoding: "ieee-p1363" }).toString("base64"),
    "trailing bytes": Buffer.concat([good, Buffer.from([0])]).toString("base64"),
    "zero numbers": Buffer.from(der.sequence(der.integer(0), der.integer(0))).toString("base64"),
    none: "",
  };
  for (const [name, proof] of Object.entries(proofs))
    await refused(withKey(pem(EC.publicKey), proof), "PROOF_WRONG", UNPROVED, {}, name);
  const { publicKeyRequest } = withKey(pem(EC.publicKey), "") as { publicKeyRequest: { proofOfPossession?: string } };
  delete publicKeyRequest.proofOfPossession;
  await refused({ publicKeyRequest }, "PROOF_WRONG", UNPROVED, {}, "absent");
});

function csr(key: KeyObject, ...more: string[]): string {
  return openssl(["req", "-new", "-key", path(pem(key)), "-subj", "/CN=x", ...more]).toString();
}

test("refuses certification requests that cannot be read", async () => {
  const good = parsePem(csr(EC.privateKey), "CERTIFICATE REQUEST");
  const bodies: Record<string, Uint8Array | string> = {
    "der without armour": good,
    "another label": formatPem("CERTIFICATE", good),
    "cut off": formatPem("CERTIFICATE REQUEST", good.subarray(0, -3)),
    "bytes behind": formatPem("CERTIFICATE REQUEST", Buffer.concat([good, Buffer.from([0])])),
    "indefinite length": formatPem("CERTIFICATE REQUEST", Buffer.from([0x30, 0x80, 0, 0])),
    "length of 4 GiB": formatPem("CERTIFICATE REQUEST", Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])),
    two: csr(EC.privateKey) + csr(EC.privateKey),
    "not text": Buffer.from([0xff, 0xfe]),
    "empty sequence": formatPem("CERTIFICATE REQUEST", Buffer.from([0x30, 0])),
  };
  for (const [name, body] of Object.entries(bodies)) await refused(withCsr(body), "CSR_UNREADABLE", CSR, {}, name);
});

test("the old label NEW CERTIFICATE REQUEST is read, and a request wins over a key beside it", async () => {
  const body = withCsr(csr(EC.privateKey).replaceAll("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"));
  assert.equal((await ask(body)).status, 200);
  assert.equal((await ask({ ...body, ...withKey("garbage", "") })).status, 200);
});

test("refuses certification requests with a wrong self-signature, a weak key, a hash that is not permitted", async () => {
  const good = Buffer.from(parsePem(csr(EC.privateKey), "CERTIFICATE REQUEST"));
  const changed = Buffer.from(good);
  changed[changed.indexOf("x", 8)]!++; // the subject's name
  await refused(withCsr(formatPem("CERTIFICATE REQUEST", changed)), "PROOF_WRONG", UNPROVED, {}, "changed after signing");
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const swapped = Buffer.from(
    good
      .toString("hex")
      .replace(
        Buffer.from(EC.publicKey.export({ type: "spki", format: "der" })).toString("hex"),
        Buffer.from(other.publicKey.export({ type: "spki", format: "der" })).toString("hex"),
      ),
    "hex",
  );
  await refused(withCsr(formatPem("CERTIFICATE REQUEST", swapped)), "PROOF_WRONG", UNPROVED, {}, "somebody else's key");

  await refused(
    withCsr(csr(EC.privateKey, "-sha384")),
    "ALGORITHM_NOT_PERMITTED",
    "signing algorithm not permitted: P-256, sha384",
  );
  await refused(withCsr(csr(EC.privateKey, "-sha1")), "ALGORITHM_NOT_PERMITTED", /^signing algorithm not permitted/);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await refused(
    withCsr(csr(rsa.privateKey, "-sha512")),
    "ALGORITHM_NOT_PERMITTED",
    "signing algorithm not permitted: RSA, sha512",
  );
  await refused(
    withCsr(csr(rsa.privateKey, "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")),
    "ALGORITHM_NOT_PERMITTED",
    "signing algorithm not permitted: RSA, sha256",
  );
  await refused(withCsr(csr(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey)), "KEY_WEAK", INSECURE);
  await refused(withCsr(csr(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey)), "KEY_WEAK", INSECURE);
});

test("the log says which check refused, and holds neither tokens nor bodies", () => {
  assert.match(raw, /"code":"KEY_WEAK"/);
  assert.match(raw, /"cause":"KEY_INVALID: /);
  assert.doesNotMatch(raw, /eyJ|BEGIN|Bearer|node_modules/);
});

test("an accepted request names its serial and its issuer in the log, not its owner", async () => {
  assert.equal((await ask(withKey(pem(EC.publicKey), proofOf(EC.privateKey)))).status, 200);
  const issued = lines.find(({ msg }) => msg === "issued")!;
  assert.deepEqual(
    Object.keys(issued).filter((name) => !["level", "time", "pid", "hostname"].includes(name)),
    ["serial", "issuer", "key", "loggedMs", "msg"],
  );
  assert.ok(!JSON.stringify(issued).includes(EMAIL));
});

test("any JSON is decoded or refused with a code", () => {
  const good = withKey(pem(EC.publicKey), "AAAA");
  const leaf = fc.oneof(
    fc.string(),
    fc.constant(pem(EC.publicKey)),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.base64String(),
  );
  const names = [
    "credentials",
    "oidcIdentityToken",
    "publicKeyRequest",
    "publicKey",
    "public_key",
    "content",
    "proofOfPossession",
    "certificateSigningRequest",
    "signedEmailAddress",
  ];
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.dictionary(fc.constantFrom(...names), tie("node"), { maxKeys: 5 }),
      fc.array(tie("node"), { maxLength: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(fc.oneof(value, fc.constant(good)), (body) => {
      for (const decode of [decodeSigningRequest, decodeSigningRequestV1]) {
        try {
          decode(body as never);
        } catch (error) {
          assert.ok(error instanceof ServiceError && error.status === 400, String(error));
        }
      }
    }),
  );
});
