// SPDX-License-Identifier: Apache-2.0
/**
 * Where the keys of issuers come from: OpenID Connect Discovery, asked of configured issuers only, and remembered.
 *
 * A token is a stranger's text, so nothing in it starts a request that the configuration does not allow, and no stranger
 * can make many: answers are kept for ten minutes, an unknown key asks again at most every ten seconds, a failure is
 * remembered for as long, and few requests run at once. A redirect is followed within the same origin only: to another
 * host it would hand the choice of keys to whoever controls the redirect. While an issuer is down, keys that were fetched
 * within the hour stay good.
 */
import type { Fetch } from "@lacre/core/client";
import { type Json, JsonObject, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { ServiceError } from "../errors.ts";
import type { IssuerEntry } from "./issuers.ts";
import { importIssuerKey, isKnownAlgorithm, type IssuerKey } from "./jws.ts";

/** What an issuer signs with. */
export interface IssuerKeys {
  readonly algorithms: readonly string[];
  readonly keys: readonly IssuerKey[];
}

/** The keys of issuers. */
export interface Discovery {
  /**
   * The keys of an issuer. With `unknownKid`, asks again if the last answer is older than ten seconds. Throws
   * ISSUER_UNREACHABLE.
   */
  keysOf(issuer: string, entry: IssuerEntry, unknownKid?: boolean): Promise<IssuerKeys>;
}

export interface DiscoveryOptions {
  readonly fetch: Fetch;
  /** A fetch that trusts this PEM certificate, for issuers with a `ca-cert`. */
  readonly fetchTrusting?: (caCert: string) => Fetch;
  readonly now: () => number;
  /** Limit of one request. Default ten seconds. */
  readonly timeoutMs?: number;
}

/** Issuers remembered; a meta-issuer's pattern may fit any number of them. */
const MAX_ISSUERS = 100;
const MAX_IN_FLIGHT = 20;
const FRESH_MS = 10 * 60 * 1000;
const STALE_MS = 60 * 60 * 1000;
const PAUSE_MS = 10 * 1000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 50;
const MAX_REDIRECTS = 3;

interface Known {
  readonly keys: IssuerKeys | undefined;
  /** When `keys` were fetched. */
  readonly fetchedMs: number;
  /** When an issuer was last asked, with or without success. */
  readonly askedMs: number;
}

/** A memory of issuers' keys over a fetch. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const known = new Map<string, Known>();
  const underWay = new Map<string, Promise<IssuerKeys>>();

  function remember(issuer: string, value: Known): void {
    known.delete(issuer);
    if (known.size >= MAX_ISSUERS) known.delete(known.keys().next().value!);
    known.set(issuer, value);
  }

  async function ask(issuer: string, entry: IssuerEntry): Promise<IssuerKeys> {
    const askedMs = options.now();
    try {
      const keys = await fetchKeys(issuer, entry, options);
      remember(issuer, { keys, fetchedMs: askedMs, askedMs });
      return keys;
    } catch (cause) {
      const last = known.get(issuer);
      remember(issuer, { keys: last?.keys, fetchedMs: last?.fetchedMs ?? 0, askedMs });
      throw cause;
    } finally {
      underWay.delete(issuer);
    }
  }

  return {
    async keysOf(issuer, entry, unknownKid = false) {
      const now = options.now();
      const last = known.get(issuer);
      const isFresh = last?.keys !== undefined && now - last.fetchedMs < FRESH_MS;
      const isPaused = last !== undefined && now - last.askedMs < PAUSE_MS;
      const usable = last?.keys !== undefined && now - last.fetchedMs < STALE_MS ? last.keys : undefined;
      if (usable !== undefined && ((isFresh && !unknownKid) || isPaused)) return usable;
      if (isPaused) throw unreachable(issuer, "it was asked a moment ago without success");
      let request = underWay.get(issuer);
      if (request === undefined) {
        if (underWay.size >= MAX_IN_FLIGHT) throw unreachable(issuer, "too many issuers are being asked");
        request = ask(issuer, entry);
        underWay.set(issuer, request);
      }
      try {
        return await request;
      } catch (cause) {
        if (usable !== undefined) return usable;
        throw cause;
      }
    },
  };
}

function unreachable(issuer: string, why: string, cause?: unknown): ServiceError {
  return new ServiceError("ISSUER_UNREACHABLE", undefined, { detail: `${issuer.slice(0, 200)}: ${why}`, cause });
}

async function fetchKeys(issuer: string, entry: IssuerEntry, options: DiscoveryOptions): Promise<IssuerKeys> {
  const fetch = entry.caCert === undefined ? options.fetch : options.fetchTrusting?.(entry.caCert);
  if (fetch === undefined) throw unreachable(issuer, "its ca-cert cannot be used here");
  const get = async (url: string): Promise<JsonObject> =>
    new JsonObject(await fetchJson(url, fetch, options.timeoutMs ?? 10_000), url.slice(0, 200));
  try {
    const document = await get(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    // Mix-up defence of OpenID Connect Discovery, section 4.3: the document must be about the issuer it was asked for.
    if (document.string("issuer") !== issuer) throw unreachable(issuer, "its discovery document names another issuer");
    const jwksUri = document.string("jwks_uri");
    if (!URL.canParse(jwksUri)) throw unreachable(issuer, "its jwks_uri is not a URL");
    const isDowngrade = new URL(issuer).protocol === "https:" && new URL(jwksUri).protocol !== "https:";
    if (isDowngrade || !/^https?:$/.test(new URL(jwksUri).protocol)) throw unreachable(issuer, "its jwks_uri is not https");
    const announced = document.optionalArray("id_token_signing_alg_values_supported") ?? ["RS256"];
    const algorithms = announced.filter((name): name is string => typeof name === "string" && isKnownAlgorithm(name));
    const keys = (await get(jwksUri))
      .array("keys")
      .slice(0, MAX_KEYS)
      .map(importIssuerKey)
      .filter((key) => key !== undefined);
    return { algorithms, keys };
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    throw unreachable(issuer, cause instanceof LacreError ? cause.message : "no answer", cause);
  }
}

async function fetchJson(address: string, fetch: Fetch, timeoutMs: number): Promise<Json> {
  const signal = AbortSignal.timeout(timeoutMs);
  let url = address;
  for (let hop = 0; ; hop++) {
    const answer = await fetch(url, { headers: { accept: "application/json" }, redirect: "manual", signal });
    if (answer.status >= 300 && answer.status < 400) {
      const location = answer.headers.get("location") ?? "";
      if (hop >= MAX_REDIRECTS || !URL.canParse(location, url))
        throw new LacreError("SERVICE_REFUSED", "too many redirects, or one to nowhere");
      const next = new URL(location, url);
      if (next.origin !== new URL(url).origin)
        throw new LacreError("SERVICE_REFUSED", "a redirect to another host is not followed");
      url = next.href;
      continue;
    }
    if (answer.status !== 200) throw new LacreError("SERVICE_REFUSED", `status ${answer.status}`);
    return parseJson(await readBounded(answer), { maxBytes: MAX_BYTES, maxDepth: 16 });
  }
}

async function readBounded(answer: Awaited<ReturnType<Fetch>>): Promise<Uint8Array> {
  const reader = answer.body?.getReader();
  if (reader === undefined) {
    const whole = new Uint8Array(await answer.arrayBuffer());
    if (whole.length > MAX_BYTES) throw new LacreError("TOO_LARGE", "the answer is too large");
    return whole;
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(parts);
    parts.push(value!);
    length += value!.length;
    if (length > MAX_BYTES) {
      await reader.cancel();
      throw new LacreError("TOO_LARGE", "the answer is too large");
    }
  }
}
