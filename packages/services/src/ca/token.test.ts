// SPDX-License-Identifier: Apache-2.0
// Identity tokens from people who wish us ill, and issuers that do not behave.
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject, sign as nodeSign } from "node:crypto";
import { test } from "node:test";
import type { Fetch } from "@lacre/core/client";
import fc from "fast-check";
import { SignJWT } from "jose";
import { ServiceError } from "../errors.ts";
import { createDiscovery } from "./discovery.ts";
import { createIssuerTable, emailIssuer, patternOf } from "./issuers.ts";
import { decodeToken, MAX_TOKEN, verifyToken } from "./token.ts";

const ISSUER = "https://issuer.example";
const NOW = 1_700_000_000_000;
const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ED = generateKeyPairSync("ed25519");
const STRANGER = generateKeyPairSync("rsa", { modulusLength: 2048 });

const encode = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const claims = {
  iss: ISSUER,
  sub: "s",
  aud: "sigstore",
  exp: NOW / 1000 + 60,
  iat: NOW / 1000,
  email: "a@b.c",
  email_verified: true,
};

function jwt(payload: unknown, header: Record<string, unknown> = {}, key: KeyObject = RSA.privateKey): string {
  const whole = { alg: "RS256", kid: "rsa", ...header };
  const signed = `${encode(whole)}.${encode(payload)}`;
  const options = whole.alg === "ES256" ? { key, dsaEncoding: "ieee-p1363" as const } : key;
  return `${signed}.${nodeSign(whole.alg === "EdDSA" ? null : "sha256", Buffer.from(signed), options).toString("base64url")}`;
}

const jwk = (key: KeyObject, more: object): object => ({ ...key.export({ format: "jwk" }), ...more });
const KEYS = {
  keys: [
    jwk(RSA.publicKey, { kid: "rsa", use: "sig", alg: "RS256" }),
    jwk(EC.publicKey, { kid: "ec" }),
    jwk(ED.publicKey, { kid: "ed" }),
    { kty: "oct", k: "c2VjcmV0", kid: "oct" },
  ],
};
const DOCUMENT = {
  issuer: ISSUER,
  jwks_uri: `${ISSUER}/keys`,
  id_token_signing_alg_values_supported: ["RS256", "ES256", "EdDSA", "HS256", "none"],
};

type Reply = { status?: number; body?: unknown; location?: string };

/** An issuer, and how often it was asked. */
function world(pages: Record<string, Reply | (() => Reply)> = {}, now: () => number = () => NOW) {
  const asked: string[] = [];
  const all: Record<string, Reply | (() => Reply)> = {
    [`${ISSUER}/.well-known/openid-configuration`]: { body: DOCUMENT },
    [`${ISSUER}/keys`]: { body: KEYS },
    ...pages,
  };
  const fetch: Fetch = async (url) => {
    asked.push(url);
    const found = all[url];
    const reply = typeof found === "function" ? found() : (found ?? { status: 404 });
    const bytes = typeof reply.body === "string" ? Buffer.from(reply.body) : Buffer.from(JSON.stringify(reply.body ?? {}));
    return {
      status: reply.status ?? 200,
      headers: { get: (name) => (name === "location" ? (reply.location ?? null) : null) },
      arrayBuffer: async () => new Uint8Array(bytes).buffer,
    };
  };
  const issuers = createIssuerTable([emailIssuer(ISSUER)]);
  const discovery = createDiscovery({ fetch, now });
  return {
    asked,
    verify: (token: string) => verifyToken(token, { issuers, discovery, now }),
    discovery,
    entry: issuers.entries[0]!,
  };
}

const refusedAs = (code: string) => (error: unknown) =>
  error instanceof ServiceError &&
  error.code === code &&
  error.status === 400 &&
  error.message === "There was an error processing the identity token";

test("a good token verifies: RS256, ES256, EdDSA, with and without a kid, audience as text and as list", async () => {
  const { verify } = world();
  for (const token of [
    jwt(claims),
    jwt(claims, { kid: undefined }),
    jwt(claims, { alg: "ES256", kid: "ec" }, EC.privateKey),
    jwt(claims, { alg: "EdDSA", kid: "ed" }, ED.privateKey),
    jwt({ ...claims, aud: ["other", "sigstore"] }),
    jwt({ ...claims, nbf: NOW / 1000 + 299 }),
  ]) {
    const verified = await verify(token);
    assert.equal(verified.issuer, ISSUER);
    assert.equal(verified.claims.email, "a@b.c");
  }
});

test("refuses algorithms that prove nothing: none in all spellings, and a public key used as a secret", async () => {
  const { verify } = world();
  for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
    for (const signature of ["", "AAAA"])
      await assert.rejects(
        verify(`${encode({ alg, kid: "rsa" })}.${encode(claims)}.${signature}`),
        refusedAs("TOKEN_INVALID"),
        alg,
      );
  }
  const secrets = [
    RSA.publicKey.export({ type: "spki", format: "pem" }),
    RSA.publicKey.export({ type: "spki", format: "der" }),
    RSA.publicKey.export({ type: "pkcs1", format: "pem" }),
    Buffer.from("secret"),
  ];
  for (const secret of secrets) {
    for (const kid of ["rsa", "oct", undefined]) {
      const signed = `${encode({ alg: "HS256", kid })}.${encode(claims)}`;
      await assert.rejects(
        verify(`${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`),
        refusedAs("TOKEN_INVALID"),
      );
    }
  }
});

test("refuses an algorithm that the issuer does not announce, and one that does not fit the key", async () => {
  const { verify } = world({
    [`${ISSUER}/.well-known/openid-configuration`]: { body: { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` } },
  });
  await verify(jwt(claims));
  await assert.rejects(
    verify(jwt(claims, { alg: "ES256", kid: "ec" }, EC.privateKey)),
    refusedAs("TOKEN_INVALID"),
    "RS256 is all when nothing is announced",
  );
  const all = world();
  await assert.rejects(all.verify(jwt(claims, { alg: "ES256", kid: "rsa" }, EC.privateKey)), refusedAs("TOKEN_INVALID"));
});

test("refuses keys that the token brings along: jwk, jku, x5u, x5c and games with kid", async () => {
  const { verify, asked } = world();
  const own = jwk(STRANGER.publicKey, {});
  for (const header of [
    { jwk: own },
    { jku: "https://evil.example/keys" },
    { x5u: "https://evil.example/cert" },
    { x5c: ["AAAA"] },
    { kid: "../../keys" },
    { kid: "https://evil.example/keys" },
    { kid: "" },
    { kid: "__proto__" },
    { kid: "toString" },
  ]) {
    await assert.rejects(verify(jwt(claims, header, STRANGER.privateKey)), refusedAs("TOKEN_INVALID"), JSON.stringify(header));
  }
  assert.ok(
    asked.every((url) => url.startsWith(`${ISSUER}/`)),
    "nothing in a token starts a request",
  );
  await assert.rejects(verify(jwt(claims, { kid: 7 })), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(jwt(claims, { kid: ["rsa"] })), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(jwt(claims, { crit: ["exp"], exp: 1 })), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(jwt(claims, { b64: false })), refusedAs("TOKEN_INVALID"));
});

test("refuses another audience, another issuer, a wrong time, each with its code", async () => {
  const { verify } = world();
  const cases: [string, object][] = [
    ["TOKEN_AUDIENCE", { aud: "other" }],
    ["TOKEN_AUDIENCE", { aud: ["sigstore2"] }],
    ["TOKEN_AUDIENCE", { aud: undefined }],
    ["TOKEN_AUDIENCE", { aud: { sigstore: 1 } }],
    ["TOKEN_AUDIENCE", { aud: [["sigstore"]] }],
    ["ISSUER_UNKNOWN", { iss: "https://issuer.example/" }],
    ["ISSUER_UNKNOWN", { iss: "https://ISSUER.example" }],
    ["ISSUER_UNKNOWN", { iss: "https://issuer.example.evil.example" }],
    ["ISSUER_UNKNOWN", { iss: `${ISSUER}\n` }],
    ["ISSUER_UNKNOWN", { iss: "a".repeat(5000) }],
    ["TOKEN_INVALID", { iss: undefined }],
    ["TOKEN_INVALID", { iss: [ISSUER] }],
    ["TOKEN_INVALID", { iss: "" }],
    ["TOKEN_EXPIRED", { exp: NOW / 1000 }],
    ["TOKEN_EXPIRED", { exp: NOW / 1000 - 1 }],
    ["TOKEN_EXPIRED", { exp: undefined }],
    ["TOKEN_EXPIRED", { exp: "9999999999" }],
    ["TOKEN_EXPIRED", { exp: null }],
    ["TOKEN_EXPIRED", { nbf: NOW / 1000 + 301 }],
    ["TOKEN_EXPIRED", { nbf: "0" }],
  ];
  for (const [code, change] of cases)
    await assert.rejects(verify(jwt({ ...claims, ...change })), refusedAs(code), JSON.stringify(change).slice(0, 80));
});

test("refuses a signature of another key, of another text, and of none", async () => {
  const { verify } = world();
  const good = jwt(claims).split(".");
  await assert.rejects(verify(jwt(claims, {}, STRANGER.privateKey)), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(`${good[0]}.${encode({ ...claims, email: "evil@b.c" })}.${good[2]}`), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(`${good[0]}.${good[1]}.`), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(`${good[0]}.${good[1]}.${good[2]}=`), refusedAs("TOKEN_INVALID"));
});

test("takes apart nothing that is not three parts of base64url holding one strict object", () => {
  const header = encode({ alg: "RS256" });
  for (const token of [
    "",
    ".",
    "..",
    "...",
    "a",
    "a.b",
    "a.b.c.d",
    `${header}..x`,
    `.${header}.x`,
    `${header}.${header}.`,
    `${header}.${header}`,
    `${header}.${header}.x.y`,
    `${header}.${encode('{"a":1,"a":2}')}.x`,
    `${header}.${encode("[]")}.x`,
    `${header}.${encode("null")}.x`,
    `${header}.${encode("[".repeat(40))}.x`,
    `${header}.${encode(claims)}=.x`,
    `${header}.${encode(claims).slice(0, -2)}!.x`,
    `${header}.${Buffer.from([0xff]).toString("base64url")}.x`,
    `${encode({})}.${encode(claims)}.x`,
    `${encode({ alg: 5 })}.${encode(claims)}.x`,
    ` ${jwt(claims)}`,
    `${jwt(claims)}\n.`,
  ]) {
    assert.throws(() => decodeToken(token), refusedAs("TOKEN_INVALID"), token.slice(0, 60));
  }
});

test("bounds its work before it begins: a token of dots, a token of megabytes (CVE-2025-66506)", async () => {
  for (const token of [".".repeat(MAX_TOKEN), ".".repeat(4 << 20), "a".repeat(4 << 20), "a.".repeat(MAX_TOKEN / 2)])
    assert.throws(() => decodeToken(token), refusedAs("TOKEN_INVALID"));
  const { verify, asked } = world();
  // Good in everything but its length.
  await assert.rejects(verify(jwt({ ...claims, filler: "x".repeat(MAX_TOKEN) })), refusedAs("TOKEN_INVALID"));
  await assert.rejects(verify(`${jwt(claims)}${"A".repeat(MAX_TOKEN)}`), refusedAs("TOKEN_INVALID"));
  assert.deepEqual(asked, [], "refused before its issuer is looked at");
  await verify(jwt({ ...claims, filler: "x".repeat(8000) }));
});

test("whatever the text, the answer is a refusal with a code, and never quotes the text", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.array(fc.string(), { minLength: 3, maxLength: 3 }).map((parts) => parts.map(encode).join(".")),
      ),
      (token) => {
        try {
          decodeToken(token);
        } catch (error) {
          assert.ok(refusedAs("TOKEN_INVALID")(error), String(error));
          if (token.length > 30) assert.ok(!(error as ServiceError).detail?.includes(token.slice(5, 25)));
        }
      },
    ),
  );
});

test("a discovery document about another issuer is refused", async () => {
  for (const issuer of ["https://evil.example", `${ISSUER}/`, undefined]) {
    const { verify } = world({ [`${ISSUER}/.well-known/openid-configuration`]: { body: { ...DOCUMENT, issuer } } });
    await assert.rejects(verify(jwt(claims)), refusedAs("ISSUER_UNREACHABLE"), issuer);
  }
});

test("a redirect to another host is not followed, one within the origin is (CVE-2026-49478)", async () => {
  const evil = {
    [`https://evil.example/.well-known/openid-configuration`]: { body: DOCUMENT },
    "https://evil.example/keys": { body: { keys: [jwk(STRANGER.publicKey, { kid: "rsa" })] } },
  };
  for (const location of [
    "https://evil.example/.well-known/openid-configuration",
    "//evil.example/.well-known/openid-configuration",
    "http://issuer.example/.well-known/openid-configuration",
    "https://issuer.example:8443/x",
    "http://169.254.169.254/",
    "",
  ]) {
    const { verify, asked } = world({ ...evil, [`${ISSUER}/.well-known/openid-configuration`]: { status: 302, location } });
    await assert.rejects(verify(jwt(claims, {}, STRANGER.privateKey)), refusedAs("ISSUER_UNREACHABLE"), location);
    assert.ok(
      asked.every((url) => url.startsWith(`${ISSUER}/`)),
      `${location} was asked`,
    );
  }
  const keys = world({ ...evil, [`${ISSUER}/keys`]: { status: 307, location: "https://evil.example/keys" } });
  await assert.rejects(keys.verify(jwt(claims, {}, STRANGER.privateKey)), refusedAs("ISSUER_UNREACHABLE"));
  const within = world({ [`${ISSUER}/keys`]: { status: 302, location: "/keys2" }, [`${ISSUER}/keys2`]: { body: KEYS } });
  await within.verify(jwt(claims));
  const loop = world({ [`${ISSUER}/keys`]: { status: 302, location: "/keys" } });
  await assert.rejects(loop.verify(jwt(claims)), refusedAs("ISSUER_UNREACHABLE"));
  assert.ok(loop.asked.length < 8);
});

test("documents that are too large, too deep, ambiguous or downgraded are refused", async () => {
  const documents: Reply[] = [
    { body: `{"issuer":"${ISSUER}","jwks_uri":"${ISSUER}/keys","x":"${"a".repeat(300_000)}"}` },
    { body: `{"issuer":"${ISSUER}","issuer":"${ISSUER}","jwks_uri":"${ISSUER}/keys"}` },
    { body: "[".repeat(1000) },
    { body: { ...DOCUMENT, jwks_uri: "http://issuer.example/keys" } },
    { body: { ...DOCUMENT, jwks_uri: "file:///etc/passwd" } },
    { body: { ...DOCUMENT, jwks_uri: "keys" } },
    { body: { ...DOCUMENT, jwks_uri: undefined } },
    { status: 500, body: DOCUMENT },
    { status: 204, body: "" },
    { body: "<html>" },
  ];
  for (const document of documents) {
    const { verify } = world({
      [`${ISSUER}/.well-known/openid-configuration`]: document,
      "http://issuer.example/keys": { body: KEYS },
    });
    await assert.rejects(verify(jwt(claims)), refusedAs("ISSUER_UNREACHABLE"), JSON.stringify(document).slice(0, 80));
  }
});

test("an issuer is asked once for many tokens, again after ten minutes, and once more for an unknown kid", async () => {
  let now = NOW;
  const { verify, asked } = world({}, () => now);
  const live = (header: object = {}) => jwt({ ...claims, exp: NOW / 1000 + 100_000 }, header as Record<string, unknown>);
  await Promise.all(Array.from({ length: 20 }, () => verify(live())));
  assert.equal(asked.length, 2);
  now += 11_000;
  for (let i = 0; i < 20; i++) await assert.rejects(verify(live({ kid: `new${i}` })), refusedAs("TOKEN_INVALID"));
  assert.equal(asked.length, 4, "twenty unknown keys cost one more question");
  now += 11 * 60_000;
  await verify(live());
  assert.equal(asked.length, 6);
});

test("an issuer that is down keeps its keys for an hour, is asked again at intervals, and a new key is found", async () => {
  let now = NOW;
  let down = false;
  let keys: object = KEYS;
  const { verify, asked } = world({ [`${ISSUER}/keys`]: () => (down ? { status: 503 } : { body: keys }) }, () => now);
  const live = (header: object = {}, key: KeyObject = RSA.privateKey) =>
    jwt({ ...claims, exp: NOW / 1000 + 100_000 }, header as Record<string, unknown>, key);
  await verify(live());
  down = true;
  now += 30 * 60_000;
  await verify(live());
  const count = asked.length;
  await verify(live());
  assert.equal(asked.length, count, "the failure is remembered");
  now += 31 * 60_000;
  await assert.rejects(verify(live()), refusedAs("ISSUER_UNREACHABLE"));
  const given = asked.length;
  await assert.rejects(verify(live()), refusedAs("ISSUER_UNREACHABLE"));
  assert.equal(asked.length, given, "without keys too");
  down = false;
  keys = { keys: [jwk(STRANGER.publicKey, { kid: "next" })] };
  now += 11_000;
  await verify(live({ kid: "next" }, STRANGER.privateKey));
  await assert.rejects(verify(live()), refusedAs("TOKEN_INVALID"), "a key that was withdrawn is withdrawn");
});

test("an issuer that never answers is given up, and its silence costs others nothing", async () => {
  const issuers = createIssuerTable([emailIssuer(ISSUER)]);
  const fetch: Fetch = (_url, init) =>
    new Promise((_resolve, reject) =>
      (init!.signal as AbortSignal).addEventListener("abort", () => reject(new Error("aborted"))),
    );
  const discovery = createDiscovery({ fetch, now: () => NOW, timeoutMs: 20 });
  // The limit's timer alone does not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  await assert.rejects(verifyToken(jwt(claims), { issuers, discovery, now: () => NOW }), refusedAs("ISSUER_UNREACHABLE"));
  clearInterval(alive);
});

test("a weak or damaged key of an issuer verifies nothing", async () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  for (const key of [
    jwk(weak.publicKey, { kid: "weak" }),
    { kty: "RSA", n: "AQAB", e: "AQ", kid: "weak" },
    { kty: "RSA", kid: "weak" },
    { kty: "RSA", n: 5, e: {}, kid: "weak" },
    null,
    7,
    { kid: "weak" },
    jwk(weak.publicKey, { kid: "weak", use: "enc" }),
  ]) {
    const { verify } = world({ [`${ISSUER}/keys`]: { body: { keys: [key] } } });
    await assert.rejects(
      verify(jwt(claims, { kid: "weak" }, weak.privateKey)),
      refusedAs("TOKEN_INVALID"),
      JSON.stringify(key)?.slice(0, 60),
    );
  }
  const es = world({
    [`${ISSUER}/keys`]: {
      body: { keys: [{ ...EC.publicKey.export({ format: "jwk" }), x: EC.publicKey.export({ format: "jwk" }).y, kid: "off" }] },
    },
  });
  await assert.rejects(
    es.verify(jwt(claims, { alg: "ES256", kid: "off" }, EC.privateKey)),
    refusedAs("TOKEN_INVALID"),
    "a point off the curve",
  );
});

test("a key is used for nothing but what it says it is for", async () => {
  const announced = { ...DOCUMENT, id_token_signing_alg_values_supported: ["RS256", "RS512"] };
  const sign = (alg: string, hash: string): string => {
    const signed = `${encode({ alg, kid: "rsa" })}.${encode(claims)}`;
    return `${signed}.${nodeSign(hash, Buffer.from(signed), RSA.privateKey).toString("base64url")}`;
  };
  const uses: [object, boolean, boolean][] = [
    [{}, true, true],
    [{ alg: "RS256" }, true, false],
    [{ alg: "RS512" }, false, true],
    [{ alg: "RSA-OAEP" }, false, false],
    [{ use: "sig", key_ops: ["verify"] }, true, true],
    [{ use: "enc" }, false, false],
    [{ key_ops: ["encrypt"] }, false, false],
    [{ key_ops: "verify" }, false, false],
  ];
  for (const [more, short, long] of uses) {
    const { verify } = world({
      [`${ISSUER}/.well-known/openid-configuration`]: { body: announced },
      [`${ISSUER}/keys`]: { body: { keys: [jwk(RSA.publicKey, { kid: "rsa", ...more })] } },
    });
    for (const [token, good] of [
      [sign("RS256", "sha256"), short],
      [sign("RS512", "sha512"), long],
    ] as const) {
      if (good) await verify(token);
      else await assert.rejects(verify(token), refusedAs("TOKEN_INVALID"), JSON.stringify(more));
    }
  }
});

test("RS, PS, ES and EdDSA of all sizes verify as another house signs them", async () => {
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" });
  const keys: Record<string, { privateKey: KeyObject; publicKey: KeyObject }> = {
    RS256: RSA,
    RS384: RSA,
    RS512: RSA,
    PS256: RSA,
    PS384: RSA,
    PS512: RSA,
    ES256: EC,
    ES384: p384,
    ES512: p521,
    EdDSA: ED,
    Ed25519: ED,
  };
  const { verify } = world({
    [`${ISSUER}/.well-known/openid-configuration`]: {
      body: { ...DOCUMENT, id_token_signing_alg_values_supported: Object.keys(keys) },
    },
    [`${ISSUER}/keys`]: { body: { keys: Object.entries(keys).map(([alg, { publicKey }]) => jwk(publicKey, { kid: alg, alg })) } },
  });
  for (const [alg, { privateKey }] of Object.entries(keys)) {
    const token = await new SignJWT(claims).setProtectedHeader({ alg, kid: alg }).sign(privateKey);
    assert.equal((await verify(token)).issuer, ISSUER, alg);
    const [header, , signature] = token.split(".");
    await assert.rejects(
      verify(`${header}.${encode({ ...claims, sub: "other" })}.${signature}`),
      refusedAs("TOKEN_INVALID"),
      alg,
    );
    await assert.rejects(verify(token.slice(0, -4)), refusedAs("TOKEN_INVALID"), `${alg} cut short`);
  }
});

test("a set with private members still yields public keys only", async () => {
  const { verify } = world({ [`${ISSUER}/keys`]: { body: { keys: [jwk(RSA.privateKey, { kid: "rsa" })] } } });
  await verify(jwt(claims));
});

test("a meta-issuer's pattern covers the whole text, label by label, and a dot is a dot (CVE-2026-22772)", () => {
  const pattern = patternOf("https://oidc.eks.*.amazonaws.com/id/*");
  assert.ok(pattern.test("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC_1"));
  for (const hostile of [
    "https://evil.example/https://oidc.eks.a.amazonaws.com/id/A",
    "https://oidc.eks.a.amazonaws.com/id/A.evil.example",
    "https://oidc.eks.a.b.amazonaws.com/id/A",
    "https://oidc.eks.evil.example/.amazonaws.com/id/A",
    "https://oidcxeks.a.amazonaws.com/id/A",
    "https://oidc.eks.aXamazonaws.com/id/A",
    "https://oidc.eks.a.amazonaws.com/id/",
    "https://oidc.eks..amazonaws.com/id/A",
    "https://oidc.eks.a.amazonaws.com/id/A\n",
    "\nhttps://oidc.eks.a.amazonaws.com/id/A",
    "https://oidc.eks.a.amazonaws.com/id/A/b",
    "https://oidc.eks.a@evil.amazonaws.com/id/A",
    "https://oidc.eks.a#.amazonaws.com/id/A",
  ])
    assert.ok(!pattern.test(hostile), hostile);
  const table = createIssuerTable([
    { ...emailIssuer("https://*.example"), isPattern: true, type: "uri" },
    emailIssuer("https://one.example"),
  ]);
  assert.equal(table.find("https://one.example")!.type, "email", "an exact entry comes first");
  assert.equal(table.find("https://two.example")!.type, "uri");
  assert.equal(table.find(`https://${"a".repeat(3000)}.example`), undefined);
});

test("the memory of issuers is bounded", async () => {
  const now = () => NOW;
  let count = 0;
  const fetch: Fetch = async (url) => {
    count++;
    const origin = new URL(url).origin;
    const body = url.endsWith("/keys") ? KEYS : { issuer: origin, jwks_uri: `${origin}/keys` };
    return {
      status: 200,
      headers: { get: () => null },
      arrayBuffer: async () => new Uint8Array(Buffer.from(JSON.stringify(body))).buffer,
    };
  };
  const discovery = createDiscovery({ fetch, now });
  const entry = emailIssuer("https://*.example");
  for (let i = 0; i < 150; i++) await discovery.keysOf(`https://i${i}.example`, entry);
  assert.equal(count, 300);
  await discovery.keysOf("https://i149.example", entry);
  assert.equal(count, 300, "the latest are remembered");
  await discovery.keysOf("https://i0.example", entry);
  assert.equal(count, 302, "the oldest were forgotten");
});

test("only so many issuers are asked at once", async () => {
  const discovery = createDiscovery({ fetch: () => new Promise(() => {}), now: () => NOW, timeoutMs: 1_000_000 });
  const entry = emailIssuer("https://*.example");
  for (let i = 0; i < 20; i++) void discovery.keysOf(`https://i${i}.example`, entry).catch(() => {});
  await assert.rejects(discovery.keysOf("https://i20.example", entry), refusedAs("ISSUER_UNREACHABLE"));
});

test("an issuer with a ca-cert is asked through a fetch that trusts it, and only through that", async () => {
  const entry = { ...emailIssuer(ISSUER), caCert: "PEM" };
  const never: Fetch = async () => {
    throw new Error("must not be used");
  };
  const discovery = createDiscovery({ fetch: never, now: () => NOW });
  await assert.rejects(discovery.keysOf(ISSUER, entry), refusedAs("ISSUER_UNREACHABLE"));
  const trusted: string[] = [];
  const other = createDiscovery({
    fetch: never,
    fetchTrusting: (caCert) => async (url) => {
      trusted.push(caCert);
      const body = url.endsWith("/keys") ? KEYS : DOCUMENT;
      return {
        status: 200,
        headers: { get: () => null },
        arrayBuffer: async () => new Uint8Array(Buffer.from(JSON.stringify(body))).buffer,
      };
    },
    now: () => NOW,
  });
  assert.ok((await other.keysOf(ISSUER, entry)).keys.length > 0);
  assert.deepEqual(trusted, ["PEM", "PEM"]);
});
