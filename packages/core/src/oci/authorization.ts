// SPDX-License-Identifier: Apache-2.0
/**
 * Who we are to one registry: the `Authorization` header of each request.
 *
 * Credentials are those of one registry, chosen by its exact name (host and port). They leave in two directions only: to
 * that registry itself, and to the token service (realm) that it names in answer to a request of ours. The realm must be
 * https where the registry is; it is never taken from an answer of a host that we were redirected to. Nothing secret
 * goes over plain HTTP unless the caller allows that for this registry.
 */
import { toBase64, utf8 } from "../bytes/index.ts";
import { type Fetch, readBounded } from "../client/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import type { Challenge } from "./challenge.ts";

/** What a registry knows somebody by. */
export type RegistryCredential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** A refresh token (`identitytoken` of Docker's configuration), exchanged for access tokens. */
  | { readonly kind: "identity"; readonly token: string }
  /** A bearer token, sent as it is. */
  | { readonly kind: "bearer"; readonly token: string };

/** What a token shall allow. */
export interface Scope {
  readonly repository: string;
  readonly actions: "pull" | "pull,push" | "delete";
  /** A second repository to be read from, for mounts. */
  readonly from?: string;
}

declare const URL: new (url: string) => {
  readonly protocol: string;
  readonly host: string;
  readonly username: string;
  readonly password: string;
};

const MAX_TOKEN_ANSWER = 256 << 10;
const DEFAULT_LIFE_MS = 60_000;
const CLIENT_ID = "lacre";

/** What it takes to speak to one registry. */
export interface AuthorizationOptions {
  readonly registry: string;
  /** Asks the token service; once, and bounded in time. Throws for a connection that fails. */
  readonly fetch: Fetch;
  readonly credential: RegistryCredential | undefined;
  /** Whether the registry is spoken to by https. */
  readonly isSecure: boolean;
  /** Whether secrets may go over plain HTTP. */
  readonly allowsPlain: boolean;
  readonly now: () => number;
}

/** The headers for one registry, with tokens kept while they live. */
export class Authorization {
  readonly #options: AuthorizationOptions;
  readonly #tokens = new Map<string, { readonly token: string; readonly untilMs: number }>();
  #challenge: Challenge | undefined;

  constructor(options: AuthorizationOptions) {
    this.#options = options;
  }

  /** Takes what the registry asked for; tokens of before are forgotten. */
  meet(challenge: Challenge): void {
    this.#challenge = challenge;
    this.#tokens.clear();
  }

  /**
   * The header's value; undefined when none is needed, or none is to be had. Throws REGISTRY_DENIED,
   * REGISTRY_UNAVAILABLE, REGISTRY_ANSWER_INVALID.
   */
  async header(scope: Scope): Promise<string | undefined> {
    const { credential } = this.#options;
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (credential?.kind === "bearer") return this.#secret(`Bearer ${credential.token}`);
    if (challenge.kind === "basic")
      return credential?.kind === "basic" ? this.#secret(basic(credential.username, credential.password)) : undefined;
    const key = `${scope.repository} ${scope.actions} ${scope.from ?? ""}`;
    const kept = this.#tokens.get(key);
    if (kept !== undefined && kept.untilMs > this.#options.now()) return `Bearer ${kept.token}`;
    const fresh = await this.#ask(challenge, scope);
    this.#tokens.set(key, fresh);
    return `Bearer ${fresh.token}`;
  }

  /** Passes a secret on, unless it would travel in the open. */
  #secret(value: string): string {
    const { isSecure, allowsPlain, registry } = this.#options;
    if (isSecure || allowsPlain) return value;
    throw new LacreError("REGISTRY_DENIED", `${registry} is spoken to by plain HTTP, and credentials are not sent so`, {
      expected: "https",
      found: "http",
    });
  }

  async #ask(challenge: Challenge & { kind: "bearer" }, scope: Scope): Promise<{ token: string; untilMs: number }> {
    const { registry, credential, now } = this.#options;
    const realm = this.#realm(challenge.realm);
    const scopes = [`repository:${scope.repository}:${scope.actions}`];
    if (scope.from !== undefined) scopes.push(`repository:${scope.from}:pull`);
    const query = [
      ...(challenge.service === undefined ? [] : [["service", challenge.service]]),
      ...(credential?.kind === "identity" ? [["scope", scopes.join(" ")]] : scopes.map((one) => ["scope", one])),
    ];
    const encode = (pairs: readonly (readonly string[])[]): string =>
      pairs.map(([name, value]) => `${name!}=${encodeURIComponent(value!)}`).join("&");
    const isPost = credential?.kind === "identity";
    const url = isPost ? realm : `${realm}${realm.includes("?") ? "&" : "?"}${encode(query)}`;
    const headers: Record<string, string> = { accept: "application/json" };
    if (credential?.kind === "basic") headers["authorization"] = this.#secret(basic(credential.username, credential.password));
    if (isPost) headers["content-type"] = "application/x-www-form-urlencoded";
    const answer = await this.#options.fetch(url, {
      method: isPost ? "POST" : "GET",
      headers,
      redirect: "manual",
      ...(isPost
        ? {
            body: encode([
              ["grant_type", "refresh_token"],
              ["refresh_token", this.#secret(credential.token)],
              ["client_id", CLIENT_ID],
              ...query,
            ]),
          }
        : {}),
    });
    const body = await readBounded(answer, MAX_TOKEN_ANSWER);
    const host = new URL(realm).host;
    if (answer.status === 429 || answer.status === 408 || answer.status >= 500) {
      throw new LacreError("REGISTRY_UNAVAILABLE", `the token service ${host} of ${registry} gives no token for now`, {
        found: `status ${answer.status}`,
      });
    }
    if (answer.status !== 200) {
      throw new LacreError("REGISTRY_DENIED", `the token service ${host} of ${registry} gives no token`, {
        expected: "status 200",
        found: `status ${answer.status}${credential === undefined ? ", asked without credentials" : ""}`,
      });
    }
    return decodeToken(body, host, now());
  }

  /** The realm, if it is one that secrets may go to. Throws REGISTRY_ANSWER_INVALID. */
  #realm(realm: string): string {
    const { registry, isSecure } = this.#options;
    try {
      const { protocol, username, password } = new URL(realm);
      if ((protocol === "https:" || (protocol === "http:" && !isSecure)) && username === "" && password === "") return realm;
    } catch {
      // Not a URL: refused like one of the wrong kind.
    }
    throw new LacreError("REGISTRY_ANSWER_INVALID", `${registry} names a token service that is not asked`, {
      expected: isSecure ? "an https URL" : "an http URL",
      found: realm.slice(0, 200),
    });
  }
}

function basic(username: string, password: string): string {
  return `Basic ${toBase64(utf8(`${username}:${password}`))}`;
}

function decodeToken(body: Uint8Array | undefined, host: string, nowMs: number): { token: string; untilMs: number } {
  const wrong = (cause?: unknown): LacreError =>
    new LacreError("REGISTRY_ANSWER_INVALID", `the token service ${host} sent something else than a token`, { cause });
  if (body === undefined) throw wrong();
  try {
    const object = new JsonObject(parseJson(body), "token");
    const token = object.optionalString("token") ?? object.optionalString("access_token");
    // What would break out of a header is no token.
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) throw wrong();
    const lives = object.get("expires_in");
    const lifeMs = typeof lives === "number" && lives > 0 ? Math.min(lives, 3600) * 1000 : DEFAULT_LIFE_MS;
    // A tenth is kept in hand for the way there.
    return { token, untilMs: nowMs + lifeMs * 0.9 };
  } catch (cause) {
    if (cause instanceof LacreError && cause.code !== "REGISTRY_ANSWER_INVALID") throw wrong(cause);
    throw cause;
  }
}
