// SPDX-License-Identifier: Apache-2.0
/**
 * One exchange with a registry (distribution specification 1.1): authorised, retried where that is safe, bounded.
 *
 * - https, and plain HTTP only where the caller allows it for that registry or the host can only be near: this machine,
 *   a private address, a `.local` name. Then https is tried first, and a wrong certificate is the end of it. Secrets go over plain HTTP only to this machine, or
 *   when the caller allows it.
 * - Redirects are followed for reading content alone: five at most, never from https to http, and with credentials only
 *   while scheme, host and port stay the same.
 * - 408, 429 and 5xx are tried again after `Retry-After` or a growing delay; when that does not help the answer is
 *   REGISTRY_UNAVAILABLE: could not look. 401 and 403 are REGISTRY_DENIED, 404 is REGISTRY_NOT_FOUND. These four are
 *   never taken for one another, because "not signed" may follow from the last alone.
 * - No answer is read further than its limit.
 */
import { cleanMessage, type Fetch, type FetchAnswer, parseRetryAfter, readBounded, reasonOf } from "../client/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { Authorization, type RegistryCredential, type Scope } from "./authorization.ts";
import { parseChallenge } from "./challenge.ts";
import type { Octets } from "./content.ts";
import type { Repository } from "./reference.ts";

/** What a client of registries is made of. */
export interface RegistryOptions {
  /** Makes every request: the global one fits. */
  readonly fetch: Fetch;
  /** The credential of a registry, by its exact name: host and, where the reference has one, port. Asked once. */
  readonly credentials?: (registry: string) => Promise<RegistryCredential | undefined>;
  /** Whether plain HTTP may be spoken with a registry, and secrets sent so. Default: with this machine only. */
  readonly allowHttp?: boolean;
  /** Limit for one attempt, beside the time that the size of content takes. Default 60,000. */
  readonly timeoutMs?: number;
  /** Attempts after the first. Default 3. */
  readonly retries?: number;
  /** Aborts everything under way: an AbortSignal of the platform. */
  readonly signal?: unknown;
  readonly now: () => number;
  /** For tests: waits between attempts. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** A request. */
export interface Call {
  readonly place: Repository;
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** Below `/v2/<repository>/`, or a whole URL that the registry gave for this purpose. */
  readonly path: string;
  readonly scope: Omit<Scope, "repository">;
  readonly headers?: Readonly<Record<string, string>>;
  /** A function makes the octets anew for each attempt. */
  readonly body?: Uint8Array | { readonly size: number; readonly open: () => Octets };
  /** Statuses that are an answer. */
  readonly success: readonly number[];
  /** Whether redirects are followed: for content only, which is checked against its digest. */
  readonly follows?: boolean;
  /** Octets that will be read, for the time they take. */
  readonly expectedBytes?: number;
  /** For messages: "the manifest of …". */
  readonly what: string;
}

/** An answer whose body is still to be read: by exactly one of the three. */
export interface Answer {
  readonly status: number;
  readonly headers: FetchAnswer["headers"];
  /** Where the answer came from: relative addresses in it are read against this. */
  readonly url: string;
  /** The whole body. Throws REGISTRY_ANSWER_INVALID when it is longer than the limit. */
  read(maxBytes: number): Promise<Uint8Array>;
  /** The body in pieces, as they come. */
  stream(): AsyncGenerator<Uint8Array>;
  /** Lets the body go. */
  discard(): Promise<void>;
}

interface Signal {
  readonly aborted: boolean;
}
interface Url {
  readonly protocol: string;
  readonly origin: string;
  readonly hostname: string;
  readonly username: string;
  readonly href: string;
}

// Present on every platform we run on; declared here because the library has neither DOM nor Node types.
declare const AbortSignal: { timeout(ms: number): Signal; any(signals: readonly unknown[]): Signal };
declare const setTimeout: (run: () => void, ms: number) => unknown;
declare const URL: new (url: string, base?: string) => Url;

const RETRIED = new Set([408, 429, 500, 502, 503, 504]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 5;
const BASE_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;
/** Slower than this and content is given up: 64 kB a second. */
const OCTETS_PER_MS = 64;
const MAX_ERROR_BYTES = 64 << 10;
/** In the words of the platforms: it is the certificate that is not taken. */
const CERTIFICATE = /cert|self.?signed|unable_to_(?:get|verify)|altname/i;

/** A registry as it was found: how it is spoken to, and as whom. */
interface Contact {
  readonly base: string;
  readonly authorization: Authorization;
}

const sleepFor = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Exchanges with registries; each is greeted once, and remembered with how it is spoken to and as whom. */
export class Transport {
  readonly #options: RegistryOptions;
  readonly #contacts = new Map<string, Promise<Contact>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Makes the exchange. Throws REGISTRY_NOT_FOUND, REGISTRY_DENIED, REGISTRY_REFUSED, REGISTRY_UNAVAILABLE, REGISTRY_ANSWER_INVALID. */
  async ask(call: Call): Promise<Answer> {
    const { retries = 3, sleep = sleepFor, signal } = this.#options;
    for (let attempt = 0; ; attempt++) {
      let failure: { readonly reason: string; readonly delayMs?: number | undefined; readonly cause?: unknown };
      try {
        const answer = await this.#attempt(call);
        if (call.success.includes(answer.status)) return answer;
        const reason = await this.#reason(answer);
        if (!RETRIED.has(answer.status)) throw refusal(call, answer, reason);
        failure = { reason, delayMs: parseRetryAfter(answer.headers.get("retry-after")) };
      } catch (cause) {
        if (cause instanceof LacreError) throw cause;
        failure = { reason: reasonOf(cause), cause };
      }
      const delayMs = failure.delayMs ?? Math.random() * Math.min(LONGEST_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
      const isAborted = (signal as Signal | undefined)?.aborted === true;
      if (failure.cause !== undefined && CERTIFICATE.test(failure.reason))
        throw unavailable(call.place.registry, "its TLS certificate is not one that is trusted", failure);
      if (attempt >= retries || delayMs > LONGEST_DELAY_MS || isAborted)
        throw unavailable(call.place.registry, `${call.what} could not be asked for`, failure);
      await sleep(delayMs);
    }
  }

  async #attempt(call: Call): Promise<Answer> {
    const contact = await this.#contact(call.place.registry);
    const first = await this.#send(contact, call);
    if (first.status !== 401) return first;
    // The token was for something else, or has ended; or the registry lets everybody say hello. Once more, with a new one.
    const challenge = parseChallenge(first.headers.get("www-authenticate"));
    if (challenge === undefined) return first;
    await first.discard();
    contact.authorization.meet(challenge);
    return this.#send(contact, call);
  }

  /** Sends the request, and follows redirects where they are allowed. */
  async #send(contact: Contact, call: Call): Promise<Answer> {
    let url = /^https?:\/\//.test(call.path) ? call.path : `${contact.base}/v2/${call.place.repository}/${call.path}`;
    for (let redirects = 0; ; redirects++) {
      const isOwn = new URL(url).origin === new URL(contact.base).origin;
      const authorization = isOwn
        ? await contact.authorization.header({ repository: call.place.repository, ...call.scope })
        : undefined;
      const headers = { ...call.headers, ...(authorization === undefined ? {} : { authorization }) };
      const answer = await this.#fetch(url, call, headers);
      // A challenge by another host than the registry is nobody's business.
      if (answer.status === 401 && !isOwn) throw refusal(call, answer, await this.#reason(answer));
      if (call.follows !== true || !REDIRECTS.has(answer.status)) return answer;
      await answer.discard();
      if (redirects >= MAX_REDIRECTS) throw odd(call, "redirects without end", `at most ${MAX_REDIRECTS} redirects`);
      url = resolveUrl(answer.headers.get("location") ?? "", url, call);
    }
  }

  async #fetch(url: string, call: Call, headers: Record<string, string>): Promise<Answer> {
    const { fetch, timeoutMs = 60_000, signal } = this.#options;
    const { body } = call;
    const octets = (call.expectedBytes ?? 0) + (body === undefined ? 0 : body instanceof Uint8Array ? body.length : body.size);
    const limit = AbortSignal.timeout(timeoutMs + Math.ceil(octets / OCTETS_PER_MS));
    const init: Parameters<Fetch>[1] & object = {
      method: call.method,
      headers,
      redirect: "manual",
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    };
    if (body instanceof Uint8Array) init.body = body as Uint8Array<ArrayBuffer>;
    else if (body !== undefined) {
      headers["content-length"] = `${body.size}`;
      // Every fetch that runs on a server takes an iterable; the type of ours is the smaller one of all platforms. Node's keeps
      // a second copy of the whole body, in case it is asked for again, unless both a window and redirects are ruled out.
      Object.assign(init, { body: body.open(), duplex: "half", redirect: "error", window: null });
    }
    return wrap(await fetch(url, init), url, call);
  }

  /** The registry's own words. */
  async #reason(answer: Answer): Promise<string> {
    let said = "";
    try {
      said = describeErrors(await answer.read(MAX_ERROR_BYTES));
    } catch {
      // What it says does not matter then: the status decides.
    }
    const meaning = answer.status === 429 ? " (too many requests)" : "";
    return `status ${answer.status}${meaning}${said === "" ? "" : `: ${said}`}`;
  }

  /** Finds out how to speak to a registry; once. */
  #contact(registry: string): Promise<Contact> {
    const known = this.#contacts.get(registry);
    if (known !== undefined) return known;
    const contact = this.#greet(registry);
    this.#contacts.set(registry, contact);
    // What failed is tried anew next time.
    contact.catch(() => this.#contacts.delete(registry));
    return contact;
  }

  async #greet(registry: string): Promise<Contact> {
    const { allowHttp = false, credentials, fetch, now, timeoutMs = 60_000, signal } = this.#options;
    const nearness = nearnessOf(registry);
    const schemes = allowHttp || nearness !== "far" ? ["https", "http"] : ["https"];
    const bounded: Fetch = (url, init) => {
      const limit = AbortSignal.timeout(timeoutMs);
      return fetch(url, { ...init, signal: signal === undefined ? limit : AbortSignal.any([limit, signal]) });
    };
    const failures: unknown[] = [];
    for (const scheme of schemes) {
      const base = `${scheme}://${registry}`;
      let answer: FetchAnswer;
      try {
        answer = await bounded(`${base}/v2/`, { method: "GET", headers: {}, redirect: "manual" });
      } catch (cause) {
        failures.push(cause);
        // Who answers with a wrong certificate is there and speaks https: plain HTTP would be a way around the check.
        if (CERTIFICATE.test(reasonOf(cause))) break;
        continue;
      }
      // What a server that speaks https says to plain HTTP.
      if (scheme === "http" && answer.status === 400) {
        await readBounded(answer, MAX_ERROR_BYTES).catch(() => undefined);
        break;
      }
      await readBounded(answer, MAX_ERROR_BYTES).catch(() => undefined);
      const authorization = new Authorization({
        registry,
        fetch: bounded,
        credential: await credentials?.(registry),
        isSecure: scheme === "https",
        allowsPlain: allowHttp || nearness === "here",
        now,
      });
      const challenge = answer.status === 401 ? parseChallenge(answer.headers.get("www-authenticate")) : undefined;
      if (challenge !== undefined) authorization.meet(challenge);
      return { base, authorization };
    }
    throw failures[0] ?? new Error("no answer");
  }
}

/** How near a registry is by its name: this machine, a network of one's own, or anywhere. */
export function nearnessOf(registry: string): "here" | "near" | "far" {
  const host = registry.replace(/:\d+$/, "");
  if (host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host))
    return "here";
  const isPrivate = /^(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})$/.test(host);
  return isPrivate || host.endsWith(".local") ? "near" : "far";
}

/** An address that a registry gave, read against where it gave it. Throws REGISTRY_ANSWER_INVALID. */
export function resolveUrl(location: string, from: string, call: Pick<Call, "place" | "what">): string {
  try {
    const url = new URL(location, from);
    const isDowngrade = url.protocol !== "https:" && (url.protocol !== "http:" || new URL(from).protocol === "https:");
    if (location !== "" && !isDowngrade && url.username === "") return url.href;
  } catch {
    // Not a URL: refused like one of the wrong kind.
  }
  throw odd(call, "sends us to an address that is not followed", "an https URL", location.slice(0, 200));
}

function wrap(answer: FetchAnswer, url: string, call: Call): Answer {
  const { status, headers } = answer;
  return {
    status,
    headers,
    url,
    async read(maxBytes) {
      const bytes = await readBounded(answer, maxBytes);
      if (bytes === undefined) throw odd(call, "sends more than its API allows", `at most ${maxBytes} octets`);
      return bytes;
    },
    async *stream() {
      const reader = answer.body?.getReader();
      if (reader === undefined) {
        yield new Uint8Array(await answer.arrayBuffer());
        return;
      }
      let isDone = false;
      try {
        for (;;) {
          const { done, value } = await reader.read().catch((cause: unknown) => {
            throw unavailable(call.place.registry, `${call.what} broke off`, { reason: reasonOf(cause), cause });
          });
          if (value !== undefined) yield value;
          if (done) {
            isDone = true;
            return;
          }
        }
      } finally {
        if (!isDone) await reader.cancel().catch(() => undefined);
      }
    },
    async discard() {
      const reader = answer.body?.getReader();
      if (reader !== undefined) await reader.cancel().catch(() => undefined);
    },
  };
}

/** Codes and messages of an error body (distribution specification, "error codes"), or nothing. */
function describeErrors(body: Uint8Array): string {
  try {
    const errors = new JsonObject(parseJson(body), "errors").objects(100, "errors");
    return cleanMessage(
      errors
        .map((error) => [error.optionalString("code"), error.optionalString("message")].filter((part) => part).join(" "))
        .join("; "),
    );
  } catch {
    return "";
  }
}

function odd(call: Pick<Call, "place" | "what">, message: string, expected: string, found?: string): LacreError {
  return new LacreError("REGISTRY_ANSWER_INVALID", `${call.place.registry}, asked for ${call.what}, ${message}`, {
    expected,
    ...(found === undefined ? {} : { found }),
  });
}

function refusal(call: Call, answer: Answer, reason: string): LacreError {
  const { registry } = call.place;
  const detail = { found: reason };
  switch (answer.status) {
    case 401:
    case 403:
      return new LacreError("REGISTRY_DENIED", `${registry} does not give ${call.what} to us`, detail);
    case 404:
      return new LacreError("REGISTRY_NOT_FOUND", `${registry} does not have ${call.what}`, detail);
    default:
      return answer.status >= 300 && answer.status < 400
        ? odd(call, "answers with a redirect, which is not followed here", `status ${call.success.join(" or ")}`, reason)
        : answer.status >= 500
          ? new LacreError("REGISTRY_UNAVAILABLE", `${registry} could not give ${call.what}`, detail)
          : new LacreError("REGISTRY_REFUSED", `${registry} refuses ${call.what}`, detail);
  }
}

function unavailable(registry: string, what: string, failure: { readonly reason: string; readonly cause?: unknown }): LacreError {
  return new LacreError("REGISTRY_UNAVAILABLE", `${registry}: ${what}`, {
    found: failure.reason,
    ...(failure.cause === undefined ? {} : { cause: failure.cause }),
  });
}
