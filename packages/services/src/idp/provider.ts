// SPDX-License-Identifier: Apache-2.0
/**
 * The protocol engine: oidc-provider, configured to the few flows that signers use. One public client, PKCE with S256
 * always, a sign-in page at every request (no silent codes for a page that happens to be open), no consent page, nothing
 * refreshed, nothing kept longer than minutes.
 */
import type { IncomingMessage } from "node:http";
import { type Engine, EngineClass, interactionPolicy } from "./engine.ts";
import { createMemory } from "./memory.ts";
import { confirmPage, messagePage, PAGE_HEADERS, userCodePage } from "./page.ts";
import { isAllowedRedirect } from "./redirect.ts";
import { CONNECTOR, type IdentityKey, TOKEN_LIFE_MS } from "./token.ts";

/** Records of one kind that are held at once. */
const MEMORY_LIMIT = 2000;
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const TOKEN_LIFE_S = TOKEN_LIFE_MS / 1000;

/** Set on a request for the device page whose address carries the code (`verification_uri_complete`). */
export const PREFILL: unique symbol = Symbol("user code from the address");

/** A koa context, as far as pages need it. */
interface Context {
  readonly req: IncomingMessage & { [PREFILL]?: string };
  readonly oidc: {
    urlFor(name: string): string;
    readonly client: { readonly clientId: string };
    readonly account?: { readonly accountId: string };
    readonly params?: { readonly scope?: string };
    readonly session: { readonly accountId?: string; readonly state?: { readonly secret?: string } };
  };
  status: number;
  body: unknown;
  set(headers: Readonly<Record<string, string>>): void;
}

/** What the engine is made of. */
export interface ProviderOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly key: IdentityKey;
  readonly cookieKey: string;
  readonly now: () => number;
  /** Told of failures that are ours. */
  readonly onFailure: (error: unknown) => void;
}

/** The engine. Its sign-in page is ours: `<issuer>/interaction/<uid>`. */
export function createProvider(options: ProviderOptions): Engine {
  const { issuer, clientId } = options;
  const policy = interactionPolicy.base();
  const { Check } = interactionPolicy;
  policy.remove("consent");
  policy
    .get("login")!
    .checks.add(
      new Check("always_ask", "sign-in is asked for every time", (context) =>
        context.oidc.result?.login === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    );

  const provider: Engine = new EngineClass(issuer, {
    adapter: () => createMemory(MEMORY_LIMIT, options.now),
    clients: [
      {
        client_id: clientId,
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", DEVICE_GRANT],
        response_types: ["code"],
        id_token_signed_response_alg: "RS256",
        redirect_uris: ["http://localhost/auth/callback"],
      },
    ],
    jwks: { keys: [options.key.privateJwk()] },
    enabledJWA: { idTokenSigningAlgValues: ["RS256"] },
    cookies: { keys: [options.cookieKey] },
    routes: {
      authorization: "/auth",
      token: "/token",
      jwks: "/keys",
      device_authorization: "/device/code",
      code_verification: "/device",
    },
    responseTypes: ["code"],
    scopes: ["openid", "email", "profile"],
    claims: { openid: ["sub", "federated_claims"], email: ["email", "email_verified"], profile: [] },
    conformIdTokenClaims: false,
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post"],
    pkce: { required: () => true },
    clientBasedCORS: () => true,
    issueRefreshToken: () => false,
    ttl: {
      AccessToken: TOKEN_LIFE_S,
      AuthorizationCode: 120,
      DeviceCode: 600,
      Grant: 900,
      IdToken: TOKEN_LIFE_S,
      Interaction: 600,
      Session: 900,
    },
    interactions: {
      policy,
      url: (_context: unknown, interaction: { uid: string }) => `${new URL(issuer).pathname}/interaction/${interaction.uid}`,
    },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email: id, email_verified: true, federated_claims: { connector_id: CONNECTOR, user_id: id } }),
    }),
    async loadExistingGrant(context: Context) {
      const grant = new provider.Grant({ accountId: context.oidc.session.accountId!, clientId: context.oidc.client.clientId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
    renderError(context: Context, out: { error: string; error_description?: string }) {
      show(context, messagePage("That did not work", out.error_description ?? out.error));
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      resourceIndicators: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource(
          context: Context,
          form: string,
          _out: unknown,
          error?: { readonly name?: string; readonly userCode?: string; readonly message?: string },
        ) {
          const given = {
            action: context.oidc.urlFor("code_verification"),
            xsrf: secretOf(context, form),
            userCode: context.req[PREFILL] ?? error?.userCode ?? "",
          };
          show(context, userCodePage(error === undefined ? given : { ...given, wrong: explain(error.name) }));
        },
        userCodeConfirmSource(context: Context, form: string, _client: unknown, _device: unknown, userCode: string) {
          show(
            context,
            confirmPage({ action: context.oidc.urlFor("code_verification"), xsrf: secretOf(context, form), userCode }),
          );
        },
        successSource(context: Context) {
          show(context, messagePage("Signed in", "Your terminal has the token. You may close this page."));
        },
      },
    },
  });
  provider.proxy = true;
  provider.Client.prototype.redirectUriAllowed = isAllowedRedirect;
  provider.on("error", options.onFailure);
  provider.on("server_error", (_context, error) => options.onFailure(error));
  return provider;
}

function show(context: Context, page: string): void {
  context.set(PAGE_HEADERS);
  context.body = page;
}

/** The engine binds its forms to the session by a secret that it hands over inside a form of its own. */
function secretOf(context: Context, form: string): string {
  return context.oidc.session.state?.secret ?? /name="xsrf" value="([^"]*)"/.exec(form)?.[1] ?? "";
}

function explain(name: string | undefined): string {
  switch (name) {
    case "NoCodeError":
    case "NotFoundError":
      return "No terminal waits with this code. Check it, or start again in the terminal.";
    case "AbortedError":
      return "Refused. The terminal has been told.";
    default:
      return "This code is used up or too old. Start again in the terminal.";
  }
}
