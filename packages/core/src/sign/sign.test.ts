// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { generateKeyPairSync, privateEncrypt, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  createWorkshop,
  createLog2,
  IDENTITY,
  ISSUER,
  logOne,
  NOW_MS,
  promiseFor,
  SIGNED_MS,
  stampOne,
  trustedRoot,
  type Workshop,
} from "../../../../test/workshop/workshop.ts";
import { decodeLogEntry } from "../bundle/index.ts";
import { utf8 } from "../bytes/index.ts";
import { hashedRekordRequest, type AuthorityClient, type ClockClient, type LedgerClient } from "../client/index.ts";
import { JsonObject, pae, type Json } from "../codec/index.ts";
import {
  algorithmOf,
  defaultAlgorithm,
  generateKey,
  importPublicKey,
  sha256,
  type PrivateKey,
  type Signed,
} from "../crypto/index.ts";
import { admitRequest } from "../entry/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { decodeTrustedRoot } from "../trust/index.ts";
import {
  checkRequest,
  decodeRequest,
  EXTENSION,
  prepareLoggedCertificate,
  randomSerial,
  decodeCertificate,
  signerFields,
  signUnsigned,
  prepareCertificate,
  type CertificateFields,
  type Sct,
} from "../x509/index.ts";
import {
  createCredentialSource,
  createKeySigner,
  createSealer,
  encodeStatement,
  keyCredential,
  readToken,
  requestCredential,
  type SealerOptions,
  type Signer,
} from "./index.ts";

const workshop = createWorkshop();
const root = decodeTrustedRoot(utf8(JSON.stringify(trustedRoot(workshop))));
const MINUTE = 60_000;
const now = (): number => SIGNED_MS;

const withoutPurpose = (fields: CertificateFields): CertificateFields => ({
  ...fields,
  extensions: fields.extensions.filter(({ oid }) => oid !== EXTENSION.extendedKeyUsage),
});
const STATEMENT = encodeStatement(
  [{ name: "app", digest: { algorithm: "sha256", value: new Uint8Array(32) } }],
  "https://example.com/p",
  {},
);

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: object): string =>
  `${base64url({ alg: "RS256" })}.${base64url({ iss: ISSUER, sub: "me", aud: "sigstore", exp: NOW_MS / 1000, ...claims })}.c2ln`;
const TOKEN = jwt({});

interface Bend {
  readonly workshop?: Workshop;
  readonly fields?: (fields: CertificateFields) => CertificateFields;
  readonly scts?: (good: Sct) => readonly Sct[];
  readonly key?: PrivateKey;
}

/** An authority that follows the rules, save where a test bends one. */
function authority(bend: Bend = {}): AuthorityClient & { asked: number } {
  const { authority: ca, ct } = bend.workshop ?? workshop;
  return {
    url: "http://ca.test",
    asked: 0,
    async signingCertificate(request) {
      this.asked++;
      assert.ok("csr" in request);
      assert.equal(request.token, TOKEN);
      const asked = decodeRequest(request.csr);
      checkRequest(asked);
      const made = signerFields({
        issuer: ca.certificate,
        serial: randomSerial((n) => crypto.getRandomValues(new Uint8Array(n))),
        publicKey: bend.key?.publicKey ?? asked.publicKey,
        notBeforeMs: SIGNED_MS - MINUTE,
        notAfterMs: SIGNED_MS + 9 * MINUTE,
        san: { kind: "uri", value: IDENTITY },
        identityIssuer: ISSUER,
        claims: new Map(),
      });
      const fields = bend.fields?.(made) ?? made;
      const algorithm = defaultAlgorithm(ca.key.publicKey);
      const bare = decodeCertificate(signUnsigned(prepareCertificate(fields, algorithm), ca.key));
      const good = promiseFor(ct, bare, ca.certificate, SIGNED_MS - MINUTE + 250);
      const scts = bend.scts?.(good) ?? [good];
      const final = scts.length === 0 ? prepareCertificate(fields, algorithm) : prepareLoggedCertificate(fields, algorithm, scts);
      return [signUnsigned(final, ca.key), ca.certificate.der, ca.root.der];
    },
  };
}

const clock: ClockClient = { url: "http://clock.test", timestamp: async (signature) => stampOne(workshop, signature) };

function ledger(log = workshop.rekor2): LedgerClient & { requests: object[] } {
  return {
    url: "http://ledger.test",
    requests: [],
    requestFor: ({ digest, signature, verifier }) => hashedRekordRequest(digest.value, signature, verifier),
    async addEntry(request) {
      this.requests.push(request);
      const { body, kind, version } = admitRequest(request as Json);
      const parts = {
        body: Buffer.from(body).toString(),
        kind,
        version,
        integratedTime: 0,
        logIndex: 4,
        hasPromise: false,
        hasProof: true,
      };
      return decodeLogEntry(new JsonObject(logOne(log, parts) as Json, "entry"));
    },
  };
}

const credentials =
  (client = authority(), more: object = {}) =>
  () =>
    requestCredential({ authority: client, token: TOKEN, now, trustedRoot: root, ...more });

function sealer(more: Partial<SealerOptions> = {}) {
  return createSealer({
    credential: createCredentialSource(credentials(), now),
    clocks: [clock],
    ledgers: [ledger()],
    trustedRoot: root,
    now,
    ...more,
  });
}

async function refusedWith(code: LacreCode, work: Promise<unknown>): Promise<LacreError> {
  const error = await work.then(
    () => assert.fail("accepted"),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof LacreError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

test("an artifact is sealed and the seal verifies", async () => {
  const sealed = await sealer().sealArtifact([utf8("what was "), utf8("built\n")]);
  assert.equal(sealed.verdict?.outcome, "verified");
  assert.equal(sealed.identity?.san.value, IDENTITY);
  assert.deepEqual(Buffer.from(sealed.digest.value), Buffer.from(sha256(utf8("what was built\n"))));
  assert.equal(JSON.parse(sealed.json).mediaType, "application/vnd.dev.sigstore.bundle.v0.3+json");
  assert.equal(sealed.bundle.logEntries.length, 1);
  assert.equal(sealed.bundle.timestamps.length, 1);
});

test("how an artifact arrives does not matter, and it is read once", async () => {
  const source = createCredentialSource(credentials(), now);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), async (chunks) => {
      let reads = 0;
      async function* stream() {
        reads++;
        yield* chunks;
      }
      const sealed = await sealer({ credential: source }).sealArtifact(stream());
      assert.equal(reads, 1);
      assert.deepEqual(Buffer.from(sealed.digest.value), Buffer.from(sha256(Buffer.concat(chunks))));
      assert.equal(sealed.verdict?.outcome, "verified");
    }),
    { numRuns: 10 },
  );
});

test("a payload is sealed octet for octet, and its encoding's digest is what is logged", async () => {
  const log = ledger();
  const payload = utf8(`${Buffer.from(STATEMENT).toString().replace("{", "{ ")}\n`);
  const sealed = await sealer({ ledgers: [log] }).sealEnvelope(payload, "application/vnd.in-toto+json");
  assert.equal(sealed.verdict?.outcome, "verified");
  assert.deepEqual(sealed.bundle.content.kind === "dsse" && Buffer.from(sealed.bundle.content.payload), Buffer.from(payload));
  const digest = (log.requests[0] as { hashedRekordRequestV002: { digest: string } }).hashedRekordRequestV002.digest;
  assert.equal(digest, Buffer.from(sha256(pae("application/vnd.in-toto+json", payload))).toString("base64"));
});

test("what is called a statement and is none is not signed, and other payloads are", async () => {
  const log = ledger();
  await refusedWith("BAD_JSON", sealer({ ledgers: [log] }).sealEnvelope(utf8("{}"), "application/vnd.in-toto+json"));
  assert.equal(log.requests.length, 0);
  assert.equal((await sealer().sealEnvelope(utf8("anything"), "text/plain")).verdict?.outcome, "verified");
});

test("what cannot be dated is never logged", async () => {
  const log = ledger();
  const broken: ClockClient = {
    url: "http://clock.test",
    timestamp: async () => Promise.reject(new LacreError("SERVICE_UNREACHABLE", "no clock")),
  };
  await refusedWith("SERVICE_UNREACHABLE", sealer({ clocks: [broken], ledgers: [log] }).sealArtifact([utf8("x")]));
  assert.equal(log.requests.length, 0);
});

test("nothing is signed under a certificate that verifiers would refuse", async () => {
  const other = createWorkshop();
  const cases: [string, Bend][] = [
    ["for another key", { key: generateKey("P-256") }],
    ["by another authority", { workshop: other }],
    ["without a promise", { scts: () => [] }],
    ["with another log's promise", { scts: (sct) => [{ ...sct, logId: other.ct.logId }] }],
    ["with a false promise", { scts: (sct) => [{ ...sct, timestampMs: sct.timestampMs + 1 }] }],
    ["of an authority's kind", { fields: withoutPurpose }],
  ];
  for (const [name, bend] of cases) {
    const log = ledger();
    const source = createCredentialSource(credentials(authority(bend)), now);
    const error = await refusedWith(
      "CREDENTIAL_INVALID",
      sealer({ credential: source, ledgers: [log] }).sealArtifact([utf8("x")]),
    );
    assert.equal(log.requests.length, 0, name);
    assert.ok(!error.message.includes(TOKEN));
  }
});

test("without a trusted root a certificate must still be for our key and for signing", async () => {
  const bare = (bend: Bend) => credentials(authority(bend), { trustedRoot: undefined })();
  await bare({ scts: () => [] });
  await refusedWith("CREDENTIAL_INVALID", bare({ key: generateKey("P-256") }));
  await refusedWith("CREDENTIAL_INVALID", bare({ fields: withoutPurpose }));
});

test("a token that has expired is not sent", async () => {
  const client = authority();
  await refusedWith("TOKEN_INVALID", requestCredential({ authority: client, token: jwt({ exp: SIGNED_MS / 1000 }), now }));
  assert.equal(client.asked, 0);
});

test("one certificate seals many artifacts, until its last minute", async () => {
  const client = authority();
  let atMs = SIGNED_MS;
  const source = createCredentialSource(credentials(client, { now: () => atMs }), () => atMs);
  const [first, second] = await Promise.all([source(), source()]);
  assert.equal(first, second);
  atMs = SIGNED_MS + 8 * MINUTE;
  assert.equal(await source(), first);
  assert.equal(client.asked, 1);
  atMs = SIGNED_MS + 9 * MINUTE;
  const renewed = await Promise.all([source(), source(), source()]);
  assert.ok(renewed.every((one) => one === renewed[0] && one !== first));
  assert.equal(client.asked, 2);
});

test("a request that failed is told, and made again by the next caller", async () => {
  let count = 0;
  const good = await credentials()();
  const source = createCredentialSource(
    async () => (++count === 1 ? Promise.reject(new LacreError("SERVICE_UNREACHABLE", "gone")) : good),
    now,
  );
  await refusedWith("SERVICE_UNREACHABLE", source());
  assert.equal(await source(), good);
});

test("a service that answers with something else is found out before the seal is returned", async () => {
  const foreign = createLog2("other.workshop.test");
  await refusedWith("SELF_CHECK_FAILED", sealer({ ledgers: [ledger(foreign)] }).sealArtifact([utf8("x")]));
  const lying: ClockClient = { url: "http://clock.test", timestamp: async () => stampOne(workshop, utf8("another signature")) };
  await refusedWith("SELF_CHECK_FAILED", sealer({ clocks: [lying] }).sealArtifact([utf8("x")]));
  const log = ledger();
  const first = await log.addEntry({ hashedRekordRequestV002: JSON.parse(JSON.stringify(await requestFor(utf8("another")))) });
  const stale: LedgerClient = { url: "http://ledger.test", requestFor: () => ({}), addEntry: async () => first };
  const error = await refusedWith("SELF_CHECK_FAILED", sealer({ ledgers: [stale] }).sealArtifact([utf8("x")]));
  assert.match(error.message, /G2/);
  const late: ClockClient = {
    url: "http://clock.test",
    timestamp: async (signature) =>
      stampOne(workshop, signature, (parts) => void (parts.fields = { ...parts.fields, timeMs: SIGNED_MS + 11 * MINUTE })),
  };
  await refusedWith(
    "SELF_CHECK_FAILED",
    sealer({ clocks: [late], now: () => SIGNED_MS + 12 * MINUTE }).sealArtifact([utf8("x")]),
  );
});

/** A request as our own sealer makes it, for another artifact. */
async function requestFor(content: Uint8Array): Promise<object> {
  const log = ledger();
  await sealer({ ledgers: [log] }).sealArtifact([content]);
  return (log.requests[0] as { hashedRekordRequestV002: object }).hashedRekordRequestV002;
}

test("keys of one's own seal: P-256, P-384, P-521, RSA", async () => {
  for (const type of ["P-256", "P-384", "P-521", "RSA"] as const) {
    const credential = keyCredential(createKeySigner(generateKey(type)));
    const sealed = await sealer({ credential: async () => credential }).sealArtifact([utf8("x")]);
    assert.equal(sealed.verdict?.outcome, "verified", type);
    assert.equal(sealed.identity, undefined);
    assert.equal(sealed.bundle.key.kind === "publicKey" && sealed.bundle.key.hint, credential.hint);
    assert.equal(
      (await sealer({ credential: async () => credential }).sealEnvelope(STATEMENT, "application/vnd.in-toto+json")).verdict
        ?.outcome,
      "verified",
      type,
    );
  }
});

test("a key that signs no digest cannot be logged, and is refused before anything is signed", async () => {
  const log = ledger();
  const credential = keyCredential(createKeySigner(generateKey("Ed25519")));
  await refusedWith(
    "ALGORITHM_UNKNOWN",
    sealer({ credential: async () => credential, ledgers: [log] }).sealArtifact([utf8("x")]),
  );
  assert.equal(log.requests.length, 0);
  assert.throws(
    () => createKeySigner(generateKey("P-256"), algorithmOf("PKIX_ECDSA_P384_SHA_384")),
    (error) => error instanceof LacreError && error.code === "KEY_INVALID",
  );
});

test("pure schemes seal a message from any number of chunks, and an envelope, without a ledger", async () => {
  for (const type of ["Ed25519", "ML-DSA-65", "ML-DSA-87"] as const) {
    const credential = keyCredential(createKeySigner(generateKey(type)));
    const buffer = utf8("one");
    function* reusing() {
      yield buffer;
      buffer.set(utf8("two"));
      yield buffer;
    }
    const sealed = await sealer({ credential: async () => credential, ledgers: [] }).sealArtifact(reusing());
    assert.equal(sealed.verdict?.outcome, "verified", type);
    assert.deepEqual(
      Buffer.from(sealed.digest.value),
      Buffer.from(new Uint8Array(await crypto.subtle.digest("SHA-512", utf8("onetwo")))),
    );
    const said = await sealer({ credential: async () => credential, ledgers: [] }).sealEnvelope(STATEMENT, "application/x");
    assert.equal(said.verdict?.outcome, "verified", type);
  }
});

test("a signer elsewhere is given the digest of a stream, and the message of an envelope", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 3072 });
  const given: Signed[] = [];
  const remote: Signer = {
    publicKey: importPublicKey(publicKey.export({ format: "der", type: "spki" })),
    algorithm: algorithmOf("PKIX_RSA_PKCS1V15_3072_SHA256"),
    sign: async (signed) => {
      given.push(signed);
      if ("message" in signed) return sign("sha256", signed.message, privateKey);
      const prefix = Buffer.from("3031300d060960864801650304020105000420", "hex");
      return privateEncrypt(privateKey, Buffer.concat([prefix, signed.digest]));
    },
  };
  const credential = keyCredential(remote);
  const sealed = await sealer({ credential: async () => credential }).sealArtifact([utf8("o"), utf8("ne")]);
  assert.equal(sealed.verdict?.outcome, "verified");
  await sealer({ credential: async () => credential }).sealEnvelope(STATEMENT, "application/vnd.in-toto+json");
  assert.deepEqual(
    given.map((signed) => Object.keys(signed)[0]),
    ["digest", "message"],
  );
  const lying: Signer = { ...remote, sign: async () => new Uint8Array(384).fill(1) };
  await refusedWith(
    "SELF_CHECK_FAILED",
    sealer({ credential: async () => keyCredential(lying), ledgers: [] }).sealArtifact([utf8("x")]),
  );
});

test("without a ledger the seal is not logged, and without a root it is not judged", async () => {
  const sealed = await sealer({ ledgers: [] }).sealArtifact([utf8("x")]);
  assert.equal(sealed.bundle.logEntries.length, 0);
  assert.equal(sealed.verdict?.outcome, "verified");
  assert.equal((await sealer({ trustedRoot: undefined }).sealArtifact([utf8("x")])).verdict, undefined);
});

test("a source that breaks off while reading ends the sealing before a service is asked", async () => {
  const log = ledger();
  async function* broken() {
    yield utf8("half");
    throw new Error("disk");
  }
  await assert.rejects(sealer({ ledgers: [log] }).sealArtifact(broken()), /disk/);
  assert.equal(log.requests.length, 0);
});

test("a token's challenge is its verified address, or its subject", () => {
  assert.equal(readToken(jwt({})).challenge, "me");
  assert.equal(readToken(jwt({ email: "me@example.com", email_verified: true })).challenge, "me@example.com");
  assert.equal(readToken(jwt({ email: "me@example.com", email_verified: "true" })).challenge, "me@example.com");
  assert.deepEqual(readToken(jwt({ aud: ["a", "b"] })).audience, ["a", "b"]);
  assert.equal(readToken(jwt({ name: "Ünïcode ~~~???" })).subject, "me");
});

test("what is no usable token is refused, and never quoted", () => {
  const bad = [
    "",
    "x",
    "a.b",
    "a.b.c.d",
    "..",
    "eyJ.%%%.x",
    `${base64url({})}.${base64url([])}.x`,
    `${base64url({})}.${base64url("text")}.x`,
    jwt({ email: "me@example.com", email_verified: false }),
    jwt({ email: "me@example.com" }),
    jwt({ iss: undefined }),
    jwt({ sub: undefined }),
    jwt({ exp: undefined }),
    jwt({ exp: "1" }),
  ];
  for (const token of bad) {
    assert.throws(
      () => readToken(token),
      (error) => {
        assert.ok(error instanceof LacreError && error.code === "TOKEN_INVALID", token);
        if (token.length > 20) assert.ok(!`${error.message}${error.found ?? ""}`.includes(token.split(".")[1]!));
        return true;
      },
    );
  }
});

test("a statement has the shape of in-toto v1", () => {
  const payload = encodeStatement(
    [{ name: "app", digest: { algorithm: "sha256", value: Uint8Array.of(0xab) } }],
    "https://example.com/p",
    { a: [1, null] },
  );
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "app", digest: { sha256: "ab" } }],
    predicateType: "https://example.com/p",
    predicate: { a: [1, null] },
  });
});
