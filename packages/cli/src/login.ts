// SPDX-License-Identifier: Apache-2.0
/**
 * Signing in with an OpenID provider: the authorization code flow in a browser, or the device flow where there is none.
 *
 * Browser (RFC 8252, RFC 7636, OpenID Connect Core 3.1): a listener on loopback takes one answer. `state` must be the one
 * sent, `nonce` must come back in the token, the code is bound by PKCE S256, and the token's signature is checked with the
 * provider's keys. An answer with a wrong or missing state ends the sign-in: it belongs to somebody else's. The listener
 * answers nothing else, and closes.
 *
 * Device (RFC 8628): an address and a code for a browser elsewhere, then polling until it is done.
 *
 * Code: as in a browser, but the provider's page shows a code (redirect address `urn:ietf:wg:oauth:2.0:oob`), and the person
 * pastes it. No answer comes back by itself, so there is no `state` to compare; PKCE and the nonce bind the code to us.
 *
 * Credentials (RFC 6749 4.4): a program signs in with a secret of its own; nobody is asked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as oidc from "openid-client";
import { CliError } from "./errors.ts";
import { isLoopbackHost } from "./loopback.ts";
import { plain, type Terminal } from "./terminal.ts";

export interface LoginOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
  readonly flow: "browser" | "device" | "code" | "credentials";
  /** Reads the code that a person pastes. */
  readonly readCode?: () => Promise<string>;
  /** A fixed address to come back to, on loopback. Default: a free port. */
  readonly redirectUrl?: string | undefined;
  readonly terminal: Terminal;
  /** Opens a browser. Its failure is not the end: the address is printed too. */
  readonly openBrowser: (url: string) => Promise<void>;
  readonly timeoutMs?: number;
}

const SCOPE = "openid email";
const CALLBACK_PATH = "/auth/callback";
const BROWSER_LIMIT_MS = 120_000;

/** An identity token (JWT). Throws LOGIN_FAILED, LOGIN_REFUSED. */
export async function login(options: LoginOptions): Promise<string> {
  const config = await discover(options);
  const flows = { device: deviceFlow, browser: browserFlow, code: codeFlow, credentials: credentialsFlow };
  const tokens = await flows[options.flow](config, options);
  const token = tokens.id_token;
  if (token === undefined) throw new CliError("LOGIN_FAILED", `${options.issuer} gave no identity token`);
  return token;
}

async function discover(options: LoginOptions): Promise<oidc.Configuration> {
  let url;
  try {
    url = new URL(options.issuer);
  } catch {
    throw new CliError("USAGE", `the issuer is not a URL: ${plain(options.issuer)}`);
  }
  const isLoopback = url.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url.protocol !== "https:" && !isLoopback)
    throw new CliError("LOGIN_FAILED", `${options.issuer} is neither https nor on this machine`);
  const authentication =
    options.clientSecret === undefined || options.clientSecret === "" ? oidc.None() : oidc.ClientSecretPost(options.clientSecret);
  try {
    const config = await oidc.discovery(url, options.clientId, undefined, authentication, {
      timeout: 20,
      ...(isLoopback ? { execute: [oidc.allowInsecureRequests] } : {}),
    });
    oidc.enableNonRepudiationChecks(config);
    return config;
  } catch (cause) {
    throw new CliError("LOGIN_FAILED", `the provider ${options.issuer} cannot be used: ${reasonOf(cause)}`, { cause });
  }
}

type Tokens = Awaited<ReturnType<typeof oidc.authorizationCodeGrant>>;

async function browserFlow(config: oidc.Configuration, options: LoginOptions): Promise<Tokens> {
  if (config.serverMetadata().code_challenge_methods_supported?.includes("S256") !== true) {
    throw new CliError("LOGIN_FAILED", `${options.issuer} does not support PKCE with S256, and no sign-in is done without it`);
  }
  const state = oidc.randomState();
  const nonce = oidc.randomNonce();
  const verifier = oidc.randomPKCECodeVerifier();
  const listener = await listen(options.redirectUrl);
  try {
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: listener.redirectUrl,
      scope: SCOPE,
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    options.terminal.say(`Opening a browser to sign in. If none appears, visit:\n  ${url.href}`);
    await options.openBrowser(url.href).catch(() => undefined);
    const answer = await listener.answer(options.timeoutMs ?? BROWSER_LIMIT_MS);
    if (answer.searchParams.get("state") !== state || answer.searchParams.getAll("state").length !== 1) {
      listener.close("This sign-in was refused: the answer does not belong to it.");
      throw new CliError("LOGIN_REFUSED", "the browser's answer carries another state than was sent");
    }
    try {
      const tokens = await oidc.authorizationCodeGrant(config, answer, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      listener.close("You are signed in. This window can be closed.");
      return tokens;
    } catch (cause) {
      listener.close("This sign-in failed. The terminal says why.");
      throw grantError(cause, options.issuer);
    }
  } finally {
    listener.close("This sign-in is over.");
  }
}

const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob";

async function codeFlow(config: oidc.Configuration, options: LoginOptions): Promise<Tokens> {
  const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: OUT_OF_BAND,
    scope: SCOPE,
    state,
    nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  options.terminal.complain(`To sign in, visit\n  ${url.href}\nand paste the code it shows here:`);
  const code = await options.readCode?.();
  if (code === undefined || code === "") throw new CliError("LOGIN_FAILED", "no code was given");
  // The page's answer, as it would have come back to us.
  const answer = new URL(`${OUT_OF_BAND}?${new URLSearchParams({ code, state }).toString()}`);
  try {
    return await oidc.authorizationCodeGrant(config, answer, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    });
  } catch (cause) {
    throw grantError(cause, options.issuer);
  }
}

async function credentialsFlow(config: oidc.Configuration, options: LoginOptions): Promise<Tokens> {
  try {
    return (await oidc.clientCredentialsGrant(config, { scope: SCOPE })) as Tokens;
  } catch (cause) {
    throw grantError(cause, options.issuer);
  }
}

/** The provider's own no is LOGIN_FAILED; an answer that fails a check of ours is LOGIN_REFUSED. */
function grantError(cause: unknown, issuer: string): CliError {
  const isProviders = cause instanceof oidc.ResponseBodyError || cause instanceof oidc.AuthorizationResponseError;
  const isNetwork = cause instanceof TypeError || (cause as { code?: string }).code === "OAUTH_TIMEOUT";
  return new CliError(
    isProviders || isNetwork ? "LOGIN_FAILED" : "LOGIN_REFUSED",
    `signing in at ${issuer} failed: ${reasonOf(cause)}`,
    { cause },
  );
}

function reasonOf(cause: unknown): string {
  const {
    error,
    error_description: description,
    message,
    cause: inner,
  } = cause as { error?: unknown; error_description?: unknown; message?: unknown; cause?: { code?: unknown; message?: unknown } };
  const words = [error, description].filter((word) => typeof word === "string");
  const reason =
    words.length > 0 ? words.join(": ") : [inner?.code, message].filter((word) => typeof word === "string").join(": ");
  return plain(reason || "unknown reason").slice(0, 300);
}

async function deviceFlow(config: oidc.Configuration, options: LoginOptions): Promise<Tokens> {
  const verifier = oidc.randomPKCECodeVerifier();
  try {
    const grant = await oidc.initiateDeviceAuthorization(config, {
      scope: SCOPE,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    options.terminal.complain(
      `To sign in, visit\n  ${plain(grant.verification_uri_complete ?? grant.verification_uri)}\nand check that it shows the code ${plain(grant.user_code)}`,
    );
    const limit = AbortSignal.timeout(Math.min(options.timeoutMs ?? Infinity, grant.expires_in * 1000, 900_000));
    return await oidc.pollDeviceAuthorizationGrant(config, grant, { scope: SCOPE, code_verifier: verifier }, { signal: limit });
  } catch (cause) {
    if ((cause as { name?: string }).name === "TimeoutError" || (cause as { name?: string }).name === "AbortError")
      throw new CliError("LOGIN_FAILED", "nobody signed in in time", { cause });
    throw grantError(cause, options.issuer);
  }
}

interface Listener {
  readonly redirectUrl: string;
  /** The address the browser came back to. Throws LOGIN_FAILED when it does not. */
  answer(limitMs: number): Promise<URL>;
  /** Answers the browser, once, and stops listening. */
  close(words: string): void;
}

/** Listens on both loopbacks of one port, because browsers differ in what `localhost` means. */
async function listen(fixed: string | undefined): Promise<Listener> {
  const wanted = fixed === undefined ? undefined : new URL(fixed);
  if (wanted !== undefined && (wanted.protocol !== "http:" || !isLoopbackHost(wanted.hostname))) {
    throw new CliError("USAGE", `--oidc-redirect-url is not an http address on this machine: ${fixed}`);
  }
  const path = wanted === undefined ? CALLBACK_PATH : wanted.pathname;
  let held: ServerResponse | undefined;
  let arrive: (target: string) => void = () => undefined;
  const arrived = new Promise<string>((resolve) => (arrive = resolve));
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const target = request.url ?? "/";
    if (request.method !== "GET" || target.split("?")[0] !== path || held !== undefined) {
      response.writeHead(404, { "content-type": "text/plain", connection: "close" }).end("Not found\n");
      return;
    }
    held = response;
    arrive(target);
  };
  const servers: Server[] = [createServer(handle)];
  await bind(servers[0]!, Number(wanted?.port ?? 0), "127.0.0.1");
  const { port } = servers[0]!.address() as AddressInfo;
  const second = createServer(handle);
  await bind(second, port, "::1").then(
    () => servers.push(second),
    () => undefined,
  );
  const redirectUrl = fixed ?? `http://localhost:${port}${CALLBACK_PATH}`;
  return {
    redirectUrl,
    async answer(limitMs) {
      const { promise, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => reject(new CliError("LOGIN_FAILED", `nobody signed in within ${Math.round(limitMs / 1000)} seconds`)),
        limitMs,
      );
      try {
        const target = await Promise.race([arrived, promise]);
        return new URL(target, redirectUrl);
      } finally {
        clearTimeout(timer);
      }
    },
    close(words) {
      if (held !== undefined && !held.headersSent) {
        held
          .writeHead(200, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", connection: "close" })
          .end(`${words}\n`);
      }
      for (const server of servers) server.close();
    },
  };
}

function bind(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new CliError("LOGIN_FAILED", `cannot listen on ${host}: ${cause.message}`, { cause })),
    );
    server.listen(port, host, () => resolve());
  });
}
