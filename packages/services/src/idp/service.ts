// SPDX-License-Identifier: Apache-2.0
/**
 * The development identity provider: the protocol engine, and around it what official clients need and the engine does
 * not do. Each wrap is at the level of HTTP, so that it holds whatever the engine's insides become:
 *
 * 1. The address is the configured issuer's, whatever host a request names.
 * 2. `Authorization: Basic <client>:` with an empty password (sigstore-python, cosign's first try) is the public client's
 *    name; an empty `client_secret` is none.
 * 3. `access_token` is the identity token itself, because sigstore-python takes that one, and the token is signed again in
 *    the spelling of token.ts. (An `at_hash` could only be wrong then; the engine writes none.)
 * 4. A code for `urn:ietf:wg:oauth:2.0:oob` is shown on a page instead of redirected to.
 * 5. Device flow with PKCE, an extension that cosign uses: the challenge travels inside the device code, under a MAC, and is
 *    held against the verifier when the token is fetched. A code without its MAC is none, so nobody can take the challenge
 *    off, and nothing has to be remembered. A wrong verifier does not use up the code.
 * 6. Sessions are not kept: who signs in is asked every time, and may be somebody else at the same browser. (With one, the
 *    engine would first log the other person out, by a page that needs a script.)
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import Fastify, { type FastifyBaseLogger } from "fastify";
import { ServiceError } from "../errors.ts";
import { codePage, loginPage, messagePage, PAGE_HEADERS } from "./page.ts";
import { createProvider, PREFILL } from "./provider.ts";
import { OUT_OF_BAND } from "./redirect.ts";
import { checkEmail, type IdentityKey, signIdentityToken } from "./token.ts";

/** What an identity provider is made of. */
export interface IdentityProviderOptions {
  /** Byte for byte what tokens carry as `iss`: `http://localhost:7800/oidc`. Fixed while it runs. */
  readonly issuer: string;
  readonly key: IdentityKey;
  /** The one client, which is also the tokens' audience. Default `sigstore`. */
  readonly clientId?: string;
  readonly now?: () => number;
  readonly log?: FastifyBaseLogger | undefined;
}

/** A request, its target relative to the issuer. */
export interface Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** An answer, ready to be sent. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  readonly body: Uint8Array | string;
}

/** The provider, without HTTP. */
export interface IdentityProvider {
  readonly issuer: string;
  /** Path of the issuer, where routes are mounted: `/oidc`. */
  readonly mount: string;
  exchange(request: Exchange): Promise<Answer>;
  close(): Promise<void>;
}

/** Largest body: forms of a few short fields. */
export const IDP_BODY_LIMIT: number = 16 * 1024;
/** Longest target; what a request carries is remembered until the person has signed in. */
const TARGET_LIMIT = 8 * 1024;
const PASSED_HEADERS = [
  "accept",
  "accept-language",
  "content-type",
  "cookie",
  "origin",
  "authorization",
  "access-control-request-method",
  "access-control-request-headers",
];
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** A provider for `issuer`. */
export function createIdentityProvider(options: IdentityProviderOptions): IdentityProvider {
  const { issuer, key } = options;
  const address = new URL(issuer);
  const mount = address.pathname.replace(/\/$/, "");
  const clientId = options.clientId ?? "sigstore";
  const now = options.now ?? Date.now;
  const onFailure = (error: unknown): void => options.log?.error({ err: error }, "identity provider failed");
  const provider = createProvider({ issuer, clientId, key, now, onFailure, cookieKey: randomBytes(32).toString("hex") });
  const engine = provider.callback();
  const deviceKey = randomBytes(32);

  // A fastify without listeners: its inject() runs node's request and response through the engine, in memory.
  const inner = Fastify({ logger: false, bodyLimit: IDP_BODY_LIMIT, exposeHeadRoutes: false });
  inner.removeAllContentTypeParsers();
  inner.addContentTypeParser("*", (_request, _payload, done) => done(null));
  inner.all("/*", async (request, reply) => {
    const raw = request.raw as typeof request.raw & { originalUrl?: string; [PREFILL]?: string };
    const at = new URL(raw.url!, issuer);
    if (at.pathname === "/device" && raw.method === "GET" && at.searchParams.has("user_code")) {
      // The engine would answer with a script that submits itself; our page shows the code and waits for the person.
      raw[PREFILL] = at.searchParams.get("user_code")!.slice(0, 20);
      raw.url = "/device";
    }
    raw.originalUrl = mount + raw.url;
    reply.hijack();
    await engine(raw, reply.raw);
  });
  inner.get<{ Params: { uid: string } }>("/interaction/:uid", async (request, reply) => {
    const interaction = await findInteraction(request.raw, reply.raw, request.params.uid);
    if (interaction === undefined) return reply.code(400).headers(PAGE_HEADERS).send(gone());
    const hint = interaction.params.login_hint;
    return reply.headers(PAGE_HEADERS).send(
      loginPage({
        action: `${mount}/interaction/${interaction.uid}`,
        email: typeof hint === "string" ? hint.slice(0, 254) : "",
      }),
    );
  });
  inner.post<{ Params: { uid: string } }>("/interaction/:uid", async (request, reply) => {
    const interaction = await findInteraction(request.raw, reply.raw, request.params.uid);
    if (interaction === undefined) return reply.code(400).headers(PAGE_HEADERS).send(gone());
    const form = new URLSearchParams(await readAll(request.raw));
    if (form.has("cancel")) {
      reply.hijack();
      return provider.interactionFinished(
        request.raw,
        reply.raw,
        { error: "access_denied", error_description: "sign-in was cancelled" },
        { mergeWithLastSubmission: false },
      );
    }
    let email: string;
    try {
      email = checkEmail(form.get("email") ?? "");
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const again = loginPage({
        action: `${mount}/interaction/${interaction.uid}`,
        email: (form.get("email") ?? "").slice(0, 254),
        wrong: error.message,
      });
      return reply.code(400).headers(PAGE_HEADERS).send(again);
    }
    reply.hijack();
    await provider.interactionFinished(
      request.raw,
      reply.raw,
      { login: { accountId: email, remember: false } },
      { mergeWithLastSubmission: false },
    );
  });
  inner.setErrorHandler((error, _request, reply) => {
    onFailure(error);
    return reply.code(500).headers(PAGE_HEADERS).send(messagePage("Something broke here", "The log of the server says what."));
  });

  async function findInteraction(
    request: import("node:http").IncomingMessage,
    response: import("node:http").ServerResponse,
    uid: string,
  ) {
    try {
      const interaction = await provider.interactionDetails(request, response);
      return interaction.uid === uid ? interaction : undefined;
    } catch {
      return undefined;
    }
  }

  /** Wrap 2 on a form; returns the headers to go with it. */
  function nameClient(form: URLSearchParams, headers: Record<string, string>): void {
    if (form.get("client_secret") === "") form.delete("client_secret");
    const basic = /^basic ([A-Za-z0-9+/]+=*)$/i.exec(headers.authorization ?? "")?.[1];
    if (basic === undefined) return;
    const text = Buffer.from(basic, "base64").toString();
    if (!text.endsWith(":") || text.indexOf(":") !== text.length - 1) return;
    delete headers.authorization;
    if (!form.has("client_id")) form.set("client_id", decodeURIComponentOr(text.slice(0, -1)));
  }

  /** Wrap 5: a device code as the client sees it, bound to its challenge ("-" for none). */
  function sealDeviceCode(code: string, challenge: string): string {
    return `${code}.${challenge}.${createHmac("sha256", deviceKey).update(`${code}.${challenge}`).digest("base64url")}`;
  }

  /** Wrap 5, at the end of the flow: puts the engine's own code back into the form, or says what is wrong. */
  function openDeviceCode(form: URLSearchParams): string | undefined {
    const sealed = form.get("device_code") ?? "";
    const [code = "", challenge = ""] = sealed.split(".", 2);
    if (!sameText(sealed, sealDeviceCode(code, challenge))) return "device code not found";
    if (challenge !== "-" && !sameText(challenge, digest(form.get("code_verifier") ?? "")))
      return "code_verifier does not match the challenge";
    form.set("device_code", code);
    form.delete("code_verifier");
    return undefined;
  }

  /** Wrap 3. */
  function sealTokens(body: Buffer): string {
    const answer = JSON.parse(body.toString()) as Record<string, unknown>;
    if (typeof answer.id_token !== "string") return body.toString();
    const claims = JSON.parse(Buffer.from(answer.id_token.split(".")[1]!, "base64url").toString()) as Record<string, unknown>;
    const { jti: _jti, ...kept } = claims;
    const token = signIdentityToken(key, kept);
    return JSON.stringify({ ...answer, id_token: token, access_token: token });
  }

  async function exchange(request: Exchange): Promise<Answer> {
    if (request.target.length > TARGET_LIMIT) throw new ServiceError("BAD_REQUEST", "The address is too long");
    const path = request.target.split("?", 1)[0]!;
    const headers: Record<string, string> = { host: address.host, "x-forwarded-proto": address.protocol.slice(0, -1) };
    for (const name of PASSED_HEADERS) {
      const value = request.headers[name];
      if (value !== undefined) headers[name] = String(value);
    }
    const isSignIn = request.method === "GET" && /^\/(?:auth|device)(?:\/|$)/.test(path);
    if (isSignIn && headers.cookie !== undefined) headers.cookie = withoutSession(headers.cookie);
    let body: Uint8Array = request.body;
    let challenge: string | undefined;
    const isForm = request.method === "POST" && (path === "/token" || path === "/device/code");
    if (isForm && /^application\/x-www-form-urlencoded\b/i.test(headers["content-type"] ?? "")) {
      const form = new URLSearchParams(Buffer.from(body).toString());
      nameClient(form, headers);
      if (path === "/device/code") {
        challenge = form.get("code_challenge") ?? undefined;
        if (challenge !== undefined && (form.get("code_challenge_method") !== "S256" || !/^[A-Za-z0-9_-]{43}$/.test(challenge))) {
          return oauthError("invalid_request", "code_challenge must be of method S256");
        }
        form.delete("code_challenge");
        form.delete("code_challenge_method");
      } else {
        const wrong = form.get("grant_type") === DEVICE_GRANT ? openDeviceCode(form) : undefined;
        if (wrong !== undefined) return oauthError("invalid_grant", wrong);
      }
      body = Buffer.from(form.toString());
    }

    const answer = await inner.inject({
      method: request.method as "GET",
      url: request.target,
      headers,
      ...(body.length === 0 ? {} : { payload: Buffer.from(body) }),
    });
    const out = { ...answer.headers } as Record<string, string | string[] | number | undefined>;
    for (const name of ["connection", "date", "keep-alive", "transfer-encoding", "content-length"]) delete out[name];
    const location = String(out.location ?? "");
    if (location.startsWith(OUT_OF_BAND)) return outOfBand(location, out);
    if (isForm && answer.statusCode === 200) {
      out["cache-control"] = "no-store";
      if (path === "/token") return { status: 200, headers: out, body: sealTokens(answer.rawPayload) };
      const begun = JSON.parse(answer.body) as { readonly device_code: string };
      return {
        status: 200,
        headers: out,
        body: JSON.stringify({ ...begun, device_code: sealDeviceCode(begun.device_code, challenge ?? "-") }),
      };
    }
    return { status: answer.statusCode, headers: out, body: answer.rawPayload };
  }

  return { issuer, mount, exchange, close: () => inner.close() };
}

/** Wrap 4. Cookies of the answer are kept, the address is not. */
function outOfBand(location: string, headers: Record<string, string | string[] | number | undefined>): Answer {
  const { searchParams } = new URL(location);
  const code = searchParams.get("code");
  const page =
    code === null
      ? messagePage(
          "That did not work",
          searchParams.get("error_description") ?? searchParams.get("error") ?? "Start again in the terminal.",
        )
      : codePage(code);
  const { location: _location, ...rest } = headers;
  return { status: code === null ? 400 : 200, headers: { ...rest, ...PAGE_HEADERS }, body: page };
}

/** Wrap 6. */
function withoutSession(cookies: string): string {
  return cookies
    .split(";")
    .filter((cookie) => !cookie.trimStart().startsWith("_session"))
    .join(";");
}

function oauthError(error: string, description: string): Answer {
  return {
    status: 400,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
    body: JSON.stringify({ error, error_description: description }),
  };
}

function gone(): string {
  return messagePage(
    "This sign-in is over",
    "It has expired, or was started in another browser. Start again from your terminal.",
  );
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
