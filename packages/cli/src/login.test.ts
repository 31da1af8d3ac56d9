// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { CliError } from "./errors.ts";
import { login, type LoginOptions } from "./login.ts";
import { createWorld } from "../../../test/cli/world.ts";

const KEYS = generateKeyPairSync("rsa", { modulusLength: 2048 });
const FOREIGN = generateKeyPairSync("rsa", { modulusLength: 2048 });
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function jwt(claims: object, key = KEYS.privateKey): string {
  const signed = `${base64url({ alg: "RS256", kid: "1" })}.${base64url(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
}

interface Provider {
  readonly issuer: string;
  readonly tokenRequests: URLSearchParams[];
  readonly authorizations: URL[];
}

/** A provider that follows the rules, save where a test bends one. */
async function provide(
  t: TestContext,
  bend: {
    metadata?: object;
    claims?: object;
    foreignKey?: boolean;
    tokens?: (form: URLSearchParams, count: number) => { status: number; body: object } | undefined;
  } = {},
): Promise<Provider> {
  const tokenRequests: URLSearchParams[] = [];
  const authorizations: URL[] = [];
  let challenge = "";
  let nonce: string | null = null;
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}/oidc`;
  const send = (response: ServerResponse, status: number, body: object): void =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, issuer);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const at = (path: string): string => `${issuer}/${path}`;
    switch (url.pathname) {
      case "/oidc/.well-known/openid-configuration":
        return send(response, 200, {
          issuer,
          authorization_endpoint: at("auth"),
          token_endpoint: at("token"),
          jwks_uri: at("keys"),
          device_authorization_endpoint: at("device"),
          code_challenge_methods_supported: ["S256"],
          id_token_signing_alg_values_supported: ["RS256"],
          response_types_supported: ["code"],
          ...bend.metadata,
        });
      case "/oidc/keys":
        return send(response, 200, {
          keys: [{ ...KEYS.publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }],
        });
      case "/oidc/auth":
        authorizations.push(url);
        challenge = url.searchParams.get("code_challenge")!;
        nonce = url.searchParams.get("nonce");
        return send(response, 200, {});
      case "/oidc/device":
        challenge = form.get("code_challenge")!;
        return send(response, 200, {
          device_code: "dev",
          user_code: "ABCD-1234",
          verification_uri: at("activate"),
          expires_in: 60,
          interval: 0.01,
        });
      case "/oidc/token": {
        tokenRequests.push(form);
        const bent = bend.tokens?.(form, tokenRequests.length);
        if (bent !== undefined) return send(response, bent.status, bent.body);
        const verifier = form.get("code_verifier") ?? "";
        if (createHash("sha256").update(verifier).digest("base64url") !== challenge)
          return send(response, 400, { error: "invalid_grant" });
        const now = Math.floor(Date.now() / 1000);
        const claims = {
          iss: issuer,
          aud: "sigstore",
          sub: "me",
          iat: now,
          exp: now + 600,
          ...(nonce === null ? {} : { nonce }),
          email: "me@example.com",
          email_verified: true,
          ...bend.claims,
        };
        return send(response, 200, {
          access_token: "a",
          token_type: "Bearer",
          expires_in: 600,
          id_token: jwt(claims, bend.foreignKey === true ? FOREIGN.privateKey : KEYS.privateKey),
        });
      }
      default:
        return send(response, 404, {});
    }
  }
  return { issuer, tokenRequests, authorizations };
}

/** A browser: asks the provider, then goes to the redirect address with what `edit` makes of the answer. */
function browser(edit: (answer: URL, asked: URL) => URL | undefined = (answer) => answer): (url: string) => Promise<void> {
  return async (url) => {
    await fetch(url);
    const asked = new URL(url);
    const answer = new URL(asked.searchParams.get("redirect_uri")!);
    answer.searchParams.set("code", "code");
    answer.searchParams.set("state", asked.searchParams.get("state")!);
    const target = edit(answer, asked);
    if (target !== undefined) void fetch(target).catch(() => undefined);
  };
}

const options = (issuer: string, more: Partial<LoginOptions> = {}): LoginOptions => ({
  issuer,
  clientId: "sigstore",
  flow: "browser",
  terminal: createWorld().context.terminal,
  openBrowser: browser(),
  timeoutMs: 2000,
  ...more,
});

async function failsWith(code: string, work: Promise<unknown>): Promise<CliError> {
  const error = await work.then(
    () => assert.fail("signed in"),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof CliError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

test("a browser sign-in sends state, nonce and an S256 challenge, and returns the token", async (t) => {
  const provider = await provide(t);
  const token = await login(options(provider.issuer));
  assert.equal(JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()).email, "me@example.com");
  const asked = provider.authorizations[0]!.searchParams;
  assert.equal(asked.get("code_challenge_method"), "S256");
  assert.equal(asked.get("scope"), "openid email");
  assert.match(asked.get("redirect_uri")!, /^http:\/\/localhost:\d+\/auth\/callback$/);
  for (const name of ["state", "nonce", "code_challenge"]) assert.ok(asked.get(name)!.length >= 32, name);
  assert.ok(provider.tokenRequests[0]!.get("code_verifier")!.length >= 43);
});

test("every sign-in has a state, a nonce and a verifier of its own", async (t) => {
  const provider = await provide(t);
  await login(options(provider.issuer));
  await login(options(provider.issuer));
  for (const name of ["state", "nonce", "code_challenge"])
    assert.notEqual(provider.authorizations[0]!.searchParams.get(name), provider.authorizations[1]!.searchParams.get(name));
});

test("an answer with a wrong, missing or doubled state is refused before the code is used", async (t) => {
  const edits: ((answer: URL) => URL)[] = [
    (answer) => (answer.searchParams.set("state", "other"), answer),
    (answer) => (answer.searchParams.delete("state"), answer),
    (answer) => (answer.searchParams.append("state", "other"), answer),
    (answer) => (answer.searchParams.set("state", ""), answer),
  ];
  for (const edit of edits) {
    const provider = await provide(t);
    await failsWith("LOGIN_REFUSED", login(options(provider.issuer, { openBrowser: browser(edit) })));
    assert.equal(provider.tokenRequests.length, 0);
  }
});

test("a token with another nonce, or none, is refused", async (t) => {
  for (const claims of [{ nonce: "other" }, { nonce: undefined }]) {
    const provider = await provide(t, { claims });
    await failsWith("LOGIN_REFUSED", login(options(provider.issuer)));
  }
});

test("a token for another audience, by another issuer, expired, or by another key is refused", async (t) => {
  for (const claims of [{ aud: "other" }, { iss: "http://evil.example" }, { exp: 1 }]) {
    const provider = await provide(t, { claims });
    await failsWith("LOGIN_REFUSED", login(options(provider.issuer)));
  }
  const provider = await provide(t, { foreignKey: true });
  await failsWith("LOGIN_REFUSED", login(options(provider.issuer)));
});

test("a provider without S256 is not used", async (t) => {
  for (const methods of [["plain"], [], undefined]) {
    const provider = await provide(t, { metadata: { code_challenge_methods_supported: methods } });
    await failsWith("LOGIN_FAILED", login(options(provider.issuer)));
    assert.equal(provider.authorizations.length, 0);
  }
});

test("a provider that names itself otherwise is not used", async (t) => {
  const provider = await provide(t, { metadata: { issuer: "http://localhost:1/other" } });
  await failsWith("LOGIN_FAILED", login(options(provider.issuer)));
});

test("plain http is for this machine alone", async () => {
  await failsWith("LOGIN_FAILED", login(options("http://issuer.example/oidc")));
});

test("an answer at another port or another path is not heard", async (t) => {
  const provider = await provide(t);
  const elsewhere = (answer: URL): URL => {
    answer.pathname = "/other";
    return answer;
  };
  await failsWith("LOGIN_FAILED", login(options(provider.issuer, { openBrowser: browser(elsewhere), timeoutMs: 200 })));
});

test("the provider's own no is told", async (t) => {
  const provider = await provide(t);
  const deny = (answer: URL): URL => {
    answer.searchParams.delete("code");
    answer.searchParams.set("error", "access_denied");
    return answer;
  };
  assert.match(
    (await failsWith("LOGIN_FAILED", login(options(provider.issuer, { openBrowser: browser(deny) })))).message,
    /access_denied/,
  );
});

test("a browser that cannot be opened is no failure: the address is printed", async (t) => {
  const provider = await provide(t);
  const world = createWorld();
  const signing = login(
    options(provider.issuer, {
      terminal: world.context.terminal,
      openBrowser: async () => Promise.reject(new Error("no browser")),
    }),
  );
  while (!/http:\S+/.test(world.stderr())) await new Promise((resolve) => setImmediate(resolve));
  await browser()(/http:\S+/.exec(world.stderr())![0]);
  await signing;
});

test("nobody comes back: the sign-in ends", async (t) => {
  const provider = await provide(t);
  await failsWith("LOGIN_FAILED", login(options(provider.issuer, { openBrowser: async () => undefined, timeoutMs: 50 })));
});

test("the device flow polls until somebody has signed in, bound by S256", async (t) => {
  const provider = await provide(t, {
    tokens: (_, count) => (count < 3 ? { status: 400, body: { error: "authorization_pending" } } : undefined),
  });
  const world = createWorld();
  await login(options(provider.issuer, { flow: "device", terminal: world.context.terminal }));
  assert.match(world.stderr(), /activate[^]*ABCD-1234/);
  assert.equal(provider.tokenRequests.length, 3);
});

test("a device sign-in that is denied or never done ends", async (t) => {
  const denied = await provide(t, { tokens: () => ({ status: 400, body: { error: "access_denied" } }) });
  assert.match((await failsWith("LOGIN_FAILED", login(options(denied.issuer, { flow: "device" })))).message, /access_denied/);
  const waiting = await provide(t, { tokens: () => ({ status: 400, body: { error: "authorization_pending" } }) });
  await failsWith("LOGIN_FAILED", login(options(waiting.issuer, { flow: "device", timeoutMs: 100 })));
});

test("a code that is pasted signs in, bound by PKCE and the nonce", async (t) => {
  const provider = await provide(t);
  const world = createWorld();
  const paste = async (): Promise<string> => {
    // The person's browser, anywhere: the address is on the terminal.
    const address = new URL(/http\S+auth\S+/.exec(world.stderr())![0]);
    assert.equal(address.searchParams.get("redirect_uri"), "urn:ietf:wg:oauth:2.0:oob");
    await fetch(address);
    return "code";
  };
  const token = await login(options(provider.issuer, { flow: "code", terminal: world.context.terminal, readCode: paste }));
  assert.match(token, /^eyJ/);
  assert.deepEqual(
    ["code", "redirect_uri"].map((name) => provider.tokenRequests[0]!.get(name)),
    ["code", "urn:ietf:wg:oauth:2.0:oob"],
  );
  await failsWith("LOGIN_FAILED", login(options(provider.issuer, { flow: "code", readCode: async () => "" })));
  const forged = await provide(t, { claims: { nonce: "another" } });
  const second = createWorld();
  const read = async (): Promise<string> => {
    await fetch(/http\S+auth\S+/.exec(second.stderr())![0]);
    return "code";
  };
  await failsWith(
    "LOGIN_REFUSED",
    login(options(forged.issuer, { flow: "code", terminal: second.context.terminal, readCode: read })),
  );
});

test("a program signs in with its secret", async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const provider = await provide(t, {
    tokens: (form) =>
      form.get("grant_type") === "client_credentials" && form.get("client_secret") === "secret"
        ? {
            status: 200,
            body: {
              access_token: "a",
              token_type: "Bearer",
              id_token: jwt({ iss: provider.issuer, aud: "sigstore", sub: "program", iat: now, exp: now + 600 }),
            },
          }
        : { status: 401, body: { error: "invalid_client" } },
  });
  assert.match(await login(options(provider.issuer, { flow: "credentials", clientSecret: "secret" })), /^eyJ/);
  await failsWith("LOGIN_FAILED", login(options(provider.issuer, { flow: "credentials", clientSecret: "wrong" })));
});
