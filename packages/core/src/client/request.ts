// SPDX-License-Identifier: Apache-2.0
/**
 * One exchange with a service: bounded in time and size, retried where that is safe, never redirected.
 *
 * The rules, the same for every client of this room:
 * - The address comes from the caller's configuration; nothing an answer says causes another request. Redirects are
 *   refused, because a redirected POST turns into a GET in most stacks, and because it could carry a token elsewhere.
 * - 408, 429 and 5xx are tried again, after `Retry-After` or an exponential delay with full jitter, and so is a
 *   connection that breaks. All calls of this room may be repeated: a certificate or a timestamp more does no harm, and
 *   the ledger answers a repeated entry with the first one.
 * - An answer is read up to a limit and no further.
 * - Errors carry the host and the service's own message, stripped of control characters and of anything that looks like
 *   an identity token. A token never enters an error.
 */
import { concat, text } from "../bytes/index.ts";
import { parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";

/** The part of a fetch answer that is used. */
export interface FetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** Preferred: lets an endless answer be cut off. */
  readonly body?: { getReader(): BodyReader } | null;
  arrayBuffer(): Promise<ArrayBuffer>;
}

interface BodyReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** `fetch` as the clients call it; the global one of Node, browsers, Deno and Bun fits. */
export type Fetch = (
  url: string,
  init?: {
    method?: string;
    headers?: Record<string, string>;
    body?: Uint8Array<ArrayBuffer> | string;
    // The platform's AbortSignal: this library has no types of its own for it.
    // eslint-disable-next-line typescript/no-explicit-any
    signal?: any;
    redirect?: "manual";
  },
) => Promise<FetchAnswer>;

/** What every client of a service is created with. */
export interface ClientOptions {
  /** Address of the service, with or without a trailing slash. */
  readonly url: string;
  readonly fetch: Fetch;
  /** Limit for one attempt. Default 30,000 (a ledger may hold an answer back for 20 s). */
  readonly timeoutMs?: number;
  /** Largest answer accepted, in octets. */
  readonly maxBytes?: number;
  /** Attempts after the first. Default 3. */
  readonly retries?: number;
  /** Aborts everything under way when it fires: an AbortSignal of the platform. */
  readonly signal?: unknown;
  /** For tests: waits between attempts. */
  readonly sleep?: (ms: number) => Promise<void>;
}

interface Exchange {
  readonly path: string;
  readonly method: "GET" | "POST";
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array | string;
  /** The statuses that mean success; any other is a refusal. */
  readonly success: readonly number[];
  /** For messages: "the authority". */
  readonly service: string;
}

interface Signal {
  readonly aborted: boolean;
}

// Present on every platform we run on; declared here because the library has neither DOM nor Node types.
declare const AbortSignal: { timeout(ms: number): Signal; any(signals: readonly unknown[]): Signal };
declare const setTimeout: (run: () => void, ms: number) => unknown;
declare const URL: new (url: string) => { readonly protocol: string; readonly host: string };

const RETRIED = new Set([408, 429, 500, 502, 503, 504]);
const BASE_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;
const MAX_BYTES = 1 << 20;
const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g;

const sleepFor = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Joins a service's address and a path of its API with exactly one slash. Throws TypeError for what is no http(s) URL. */
function joinUrl(base: string, path: string): string {
  let parsed;
  try {
    parsed = new URL(base);
  } catch {
    throw new TypeError(`not a URL: ${base.slice(0, 100)}`);
  }
  if (parsed.protocol !== "https:" && parsed.protocol !== "http:") throw new TypeError(`not an http URL: ${base.slice(0, 100)}`);
  return path === "" ? base : `${base.replace(/\/+$/, "")}/${path}`;
}

/**
 * Makes the exchange and returns the body of a successful answer. Throws SERVICE_REFUSED for a definite no,
 * SERVICE_UNREACHABLE when there was no answer or only passing failures, SERVICE_ANSWER_INVALID for an answer too large.
 */
export async function exchange(options: ClientOptions, call: Exchange): Promise<Uint8Array> {
  return (await ask(options, call)).body;
}

/** As `exchange`, for a call that has more than one good answer: with its status and media type. */
export async function ask(
  options: ClientOptions,
  call: Exchange,
): Promise<{ readonly status: number; readonly contentType: string; readonly body: Uint8Array }> {
  const outcome = await perform(options, call);
  if (outcome.kind === "refused") throw refused(call, hostOf(options), outcome);
  return outcome;
}

/** Reads a resource by GET; undefined when there is none (404). Throws as `exchange`. */
export async function readResource(options: ClientOptions, path: string, service: string): Promise<Uint8Array | undefined> {
  const call: Exchange = { path, method: "GET", headers: {}, success: [200], service };
  const outcome = await perform(options, call);
  if (outcome.kind === "answer") return outcome.body;
  if (outcome.status === 404) return undefined;
  throw refused(call, hostOf(options), outcome);
}

/**
 * Reads part of a resource by a range request; undefined when there is none (404). A server that does not know ranges
 * sends the whole, of which the part is cut. Fewer octets than asked for come back where the resource ends. Throws as
 * `exchange`.
 */
export async function readRange(
  options: ClientOptions,
  path: string,
  range: { readonly offset: number; readonly length: number },
  service: string,
): Promise<Uint8Array | undefined> {
  const { offset, length } = range;
  const call: Exchange = {
    path,
    method: "GET",
    headers: { range: `bytes=${offset}-${offset + length - 1}` },
    success: [200, 206],
    service,
  };
  const outcome = await perform(options, call);
  if (outcome.kind === "answer") return outcome.status === 206 ? outcome.body : outcome.body.subarray(offset, offset + length);
  if (outcome.status === 404) return undefined;
  throw refused(call, hostOf(options), outcome);
}

function hostOf(options: ClientOptions): string {
  return new URL(options.url).host;
}

/** Attempts until there is an answer or a definite no. Throws SERVICE_UNREACHABLE. */
async function perform(options: ClientOptions, call: Exchange): Promise<Outcome & { kind: "answer" | "refused" }> {
  const url = joinUrl(options.url, call.path);
  const retries = options.retries ?? 3;
  const sleep = options.sleep ?? sleepFor;
  for (let attempt = 0; ; attempt++) {
    const outcome = await attemptOnce(url, options, call);
    if (outcome.kind !== "failed") return outcome;
    const delayMs = outcome.retryAfterMs ?? Math.random() * Math.min(LONGEST_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
    const isGivenUp =
      attempt >= retries || delayMs > LONGEST_DELAY_MS || (options.signal as Signal | undefined)?.aborted === true;
    if (isGivenUp) throw unreachable(call, hostOf(options), outcome, attempt + 1);
    await sleep(delayMs);
  }
}

type Outcome =
  | { readonly kind: "answer"; readonly status: number; readonly contentType: string; readonly body: Uint8Array }
  | { readonly kind: "refused"; readonly status: number; readonly message: string }
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfterMs?: number; readonly cause?: unknown };

async function attemptOnce(url: string, options: ClientOptions, call: Exchange): Promise<Outcome> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  try {
    const init = { method: call.method, headers: call.headers, signal, redirect: "manual" as const };
    const answer = await options.fetch(
      url,
      call.body === undefined ? init : { ...init, body: call.body as Uint8Array<ArrayBuffer> | string },
    );
    const isSuccess = call.success.includes(answer.status);
    const body = await readBounded(answer, isSuccess ? maxBytes : Math.min(maxBytes, 64 << 10));
    if (isSuccess) {
      if (body === undefined) {
        throw new LacreError("SERVICE_ANSWER_INVALID", `the answer of ${call.service} is too large`, {
          expected: `at most ${maxBytes} octets`,
        });
      }
      return { kind: "answer", status: answer.status, contentType: answer.headers.get("content-type") ?? "", body };
    }
    const message = messageOf(body);
    if (!RETRIED.has(answer.status)) return { kind: "refused", status: answer.status, message };
    const retryAfterMs = parseRetryAfter(answer.headers.get("retry-after"));
    const reason = `status ${answer.status}${message === "" ? "" : `: ${message}`}`;
    return retryAfterMs === undefined ? { kind: "failed", reason } : { kind: "failed", reason, retryAfterMs };
  } catch (cause) {
    if (cause instanceof LacreError) throw cause;
    if (limit.aborted) return { kind: "failed", reason: `no answer within ${timeoutMs} ms`, cause };
    return { kind: "failed", reason: reasonOf(cause), cause };
  }
}

/** The whole body, or undefined when it is longer than `maxBytes`. */
export async function readBounded(answer: FetchAnswer, maxBytes: number): Promise<Uint8Array | undefined> {
  const reader = answer.body?.getReader();
  if (reader === undefined) {
    if (Number(answer.headers.get("content-length") ?? 0) > maxBytes) return undefined;
    const whole = new Uint8Array(await answer.arrayBuffer());
    return whole.length > maxBytes ? undefined : whole;
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (value !== undefined) {
      length += value.length;
      if (length > maxBytes) {
        await reader.cancel().catch(() => undefined);
        return undefined;
      }
      parts.push(value);
    }
    if (done) return concat(...parts);
  }
}

/** Milliseconds of a Retry-After header (seconds or a date, RFC 9110 section 10.2.3). */
export function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** The service's own words: `message` of a JSON body, else the start of a text. */
function messageOf(body: Uint8Array | undefined): string {
  if (body === undefined || body.length === 0) return "";
  let message = "";
  try {
    message = text(body);
    const json = parseJson(body);
    if (json !== null && typeof json === "object" && "message" in json && typeof json.message === "string")
      message = json.message;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
  }
  return cleanMessage(message);
}

/** Text from outside made fit for one line of an error. */
export function cleanMessage(message: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed
  return message
    .replace(TOKEN, "<token>")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .trim()
    .slice(0, 300);
}

/** undici says "fetch failed" and keeps the reason in `cause`; the reason is what helps. */
export function reasonOf(cause: unknown): string {
  const inner = (cause as { cause?: { code?: unknown; message?: unknown } }).cause;
  for (const candidate of [inner?.code, inner?.message, (cause as { message?: unknown }).message]) {
    if (typeof candidate === "string" && candidate !== "") return cleanMessage(candidate);
  }
  return "connection failed";
}

function refused(call: Exchange, host: string, outcome: { status: number; message: string }): LacreError {
  const isRedirect = outcome.status === 0 || (outcome.status >= 300 && outcome.status < 400);
  const why = isRedirect
    ? "it answers with a redirect, which is never followed"
    : outcome.message === ""
      ? `status ${outcome.status}`
      : outcome.message;
  return new LacreError("SERVICE_REFUSED", `${call.service} at ${host} refused: ${why}`, {
    expected: `status ${call.success.join(" or ")}`,
    found: `status ${outcome.status}`,
  });
}

function unreachable(call: Exchange, host: string, outcome: { reason: string; cause?: unknown }, attempts: number): LacreError {
  return new LacreError("SERVICE_UNREACHABLE", `${call.service} at ${host} could not be asked: ${outcome.reason}`, {
    found: `${outcome.reason}, ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`,
    ...(outcome.cause === undefined ? {} : { cause: outcome.cause }),
  });
}

/** Runs a strict decoder over an answer; what it refuses is SERVICE_ANSWER_INVALID, with the decoder's reason inside. */
export function decodeAnswer<T>(service: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new LacreError("SERVICE_ANSWER_INVALID", `the answer of ${service} is not what its API promises: ${cause.message}`, {
      ...(cause.expected === undefined ? {} : { expected: cause.expected }),
      ...(cause.found === undefined ? {} : { found: cause.found }),
      cause,
    });
  }
}
