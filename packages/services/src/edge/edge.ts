// SPDX-License-Identifier: Apache-2.0
/**
 * The door of every service: one fastify instance with the house rules of HTTP.
 *
 * - A body is bytes. No parser of the framework runs; a handler reads `bodyOf` or `readJson`, so that size, depth and
 *   duplicate keys are decided by the library. 4 MiB unless the route sets `bodyLimit` (413 above it).
 * - Paths are normalised (see path.ts); nothing redirects. Every answer carries Content-Length, `access-control-allow-origin: *`
 *   and `x-request-id` (made here, never taken from the client).
 * - A handler throws ServiceError; it is rendered here, in the dialect that the route names in `config.errors`
 *   (`gateway` unless it says otherwise). Any other exception is an INTERNAL: logged whole, answered without a word of it.
 * - One log line a request, at level info; a second one, at level error, where we failed. Lines carry the route's pattern,
 *   never the address (queries hold codes and tokens), headers or bodies. The client's address is in them only where it
 *   was refused for asking too often.
 * - Limits: headers within 15 s, whole request within 60 s, connections without traffic closed after 65 s, headers of
 *   32 KiB; connections (connections.ts), octets held for slow clients (budget.ts), writes a minute (limiter.ts).
 *
 * Closing: new connections are refused, requests under way end, and after `closeTimeoutMs` the rest is cut.
 */
import { randomBytes } from "node:crypto";
import { STATUS_CODES, type IncomingMessage, type ServerOptions } from "node:http";
import type { Socket } from "node:net";
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { ServiceError, type ServiceCode } from "../errors.ts";
import { collectBody } from "./body.ts";
import { Budget } from "./budget.ts";
import { checkProxies } from "./config.ts";
import { createLimitedServer, type LimitedServer } from "./connections.ts";
import { createGate, type Gate } from "./gate.ts";
import { Limiter } from "./limiter.ts";
import { normalTarget, pathOf, RouteTable } from "./path.ts";
import { renderRefusal, type ErrorShape } from "./shape.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The dialect of this route's error bodies; `gateway` unless set. */
    errors?: ErrorShape;
  }
  interface FastifyInstance {
    /** Connections that are open. */
    openConnections(): number;
    /** Octets that are held for slow clients at the moment. */
    heldOctets(): number;
    /** For handlers that read files: a few at a time, so that commits find a thread. */
    readonly fileGate: Gate;
  }
  interface FastifyRequest {
    /** Why it was refused, for the log line. */
    refusal: object | undefined;
    /** Octets of the body, and of the answer, that are held in memory. */
    bodyOctets: number;
    answerOctets: number;
    /** It was answered, or its client is gone: it has been counted. */
    isCounted: boolean;
  }
}

/** What happens at the door, for those who count. Calls must not fail. Nothing in them is taken from a request as it is. */
export interface EdgeObserver {
  /** A route exists: the pattern that `answered` will name. */
  route(pattern: string): void;
  /** A request has ended. `status` is 499 where the client was gone before the answer was. */
  answered(answer: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
    readonly bodyOctets: number;
  }): void;
  /** A request was refused, or failed. */
  refused(code: ServiceCode): void;
  /** A connection ended without a request that could be read (400, 408, 431), or was cut to protect the others. */
  broken(reason: BrokenReason): void;
}

/** Why a connection was ended. */
export type BrokenReason = "malformed" | "timeout" | "headers too large" | "full" | "pipelining" | "held too much";

/** Default limit of a request body. */
export const BODY_LIMIT: number = 4 * 1024 * 1024;

/** What an edge is made of. */
export interface EdgeOptions {
  /** A pino logger, or undefined for silence. */
  readonly log?: FastifyBaseLogger | undefined;
  /** Addresses of proxies in front, whose X-Forwarded-For is believed. */
  readonly proxies?: readonly string[];
  readonly maxConnections?: number;
  /** Writes a minute from one client address; 0: no limit. */
  readonly writesPerMinute?: number;
  /** Octets held for slow clients: bodies on their way in, and answers on their way out. */
  readonly heldOctets?: number;
  readonly now?: () => number;
  readonly observer?: EdgeObserver | undefined;
  /** How long requests under way may take after close() began. */
  readonly closeTimeoutMs?: number;
  /** More members for /healthz; `ready: false` makes it 503. */
  readonly health?: () => { readonly ready: boolean; readonly [name: string]: unknown };
}

const ALLOWED_HEADERS = "authorization, content-type, accept, range";
const EXPOSED_HEADERS = "location, etag, retry-after, x-request-id, x-log-index, accept-ranges, content-range";
const HELD_OCTETS = 64 * 1024 * 1024;
const MAX_PIPELINED = 16;
const MANY_REQUESTS = 2048;
/** Of the four threads that file operations have. */
const FILES_AT_ONCE = 2;
const IDLE_MS = 65_000;
const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: 32 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  keepAliveTimeout: IDLE_MS,
  connectionsCheckingInterval: 5_000,
};
/** Parts of a streamed file that may wait together; longer than any answer that is not streamed. */
const STREAM_OCTETS = 32 * 1024 * 1024;

/** A fastify instance with the rules above, `/healthz`, `/livez` and `/ping`. Register routes, then `ready()`, `listen()` or `inject()`. */
export function createEdge(options: EdgeOptions = {}): FastifyInstance {
  const routes = new RouteTable<ErrorShape>();
  const { observer, now = Date.now } = options;
  const limiter = options.writesPerMinute ? new Limiter(options.writesPerMinute) : undefined;
  const held = new Budget(options.heldOctets ?? HELD_OCTETS, () => observer?.broken("held too much"));
  const prefix = randomBytes(6).toString("hex");
  const limits = { maxConnections: options.maxConnections ?? 16_384, maxPipelined: MAX_PIPELINED, manyRequests: MANY_REQUESTS };
  let limited!: LimitedServer;
  let requests = 0;
  let closing = false;

  const app = Fastify({
    ...(options.log === undefined ? { logger: false } : { loggerInstance: options.log }),
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: options.proxies === undefined || options.proxies.length === 0 ? false : checkProxies(options.proxies),
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: "idle",
    serverFactory: (handle) => {
      limited = createLimitedServer(handle, HTTP_OPTIONS, limits, (reason) => observer?.broken(reason));
      limited.server.setTimeout(IDLE_MS);
      return limited.server;
    },
    requestIdHeader: false,
    genReqId: () => `${prefix}-${(requests++).toString(36)}`,
    rewriteUrl: (request) => normalTarget(request.url ?? "/"),
    routerOptions: { maxParamLength: 2048 },
    frameworkErrors: (error, request, reply) => {
      // Hooks do not run for a request that the router could not read.
      setHouseHeaders(reply);
      reply.raw.once("finish", () => ended(request, reply, reply.statusCode));
      refuse(fromFramework(error), request, reply);
    },
    clientErrorHandler: (error, socket) => answerBrokenClient(error, socket, observer),
  }) as unknown as FastifyInstance;
  app.server.on("connection", (socket: Socket) => socket.once("close", () => held.drop(socket)));

  app.decorate("openConnections", () => limited.open());
  app.decorate("heldOctets", () => held.total);
  app.decorate("fileGate", createGate(FILES_AT_ONCE));
  app.decorateRequest("refusal", undefined);
  app.decorateRequest("bodyOctets", 0);
  app.decorateRequest("answerOctets", 0);
  app.decorateRequest("isCounted", false);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (request: FastifyRequest, payload: IncomingMessage) =>
    collectBody(payload, request.routeOptions.bodyLimit ?? BODY_LIMIT, (octets) => {
      request.bodyOctets += octets;
      hold(request, octets);
    }),
  );

  app.addHook("onRoute", (route) => {
    const methods = typeof route.method === "string" ? [route.method] : route.method;
    routes.add(route.url, methods, route.config?.errors ?? "gateway");
    observer?.route(route.url);
  });

  app.addHook("onSend", async (request, reply, payload) => {
    setHouseHeaders(reply);
    // An answer under way when the edge closes ends its connection; kept alive, it would hold up the close.
    if (closing) reply.header("connection", "close");
    if (reply.getHeader("content-type") === "application/json; charset=utf-8") reply.header("content-type", "application/json");
    // A stream would be sent in chunks, and gitsign crashes on an answer without Content-Length.
    if (
      typeof payload === "object" &&
      payload !== null &&
      !(payload instanceof Uint8Array) &&
      reply.getHeader("content-length") === undefined
    ) {
      throw new TypeError("an answer must be a string or bytes, or state its content-length");
    }
    // Not the first time where making the answer failed after this.
    held.release(request.raw.socket, heldOf(request));
    request.answerOctets =
      typeof payload === "string" || payload instanceof Uint8Array
        ? payload.length
        : Number(reply.getHeader("content-length") ?? 0);
    hold(request, heldOf(request));
    return payload;
  });

  /** Nothing is held for a connection that is gone: nobody would give it back. */
  function hold({ raw: { socket } }: FastifyRequest, octets: number): void {
    if (!socket.destroyed) held.add(socket, octets);
  }

  function ended(request: FastifyRequest, reply: FastifyReply, status: number): void {
    if (request.isCounted) return;
    request.isCounted = true;
    const { method, bodyOctets, answerOctets, refusal } = request;
    const route = request.routeOptions.url ?? "unmatched";
    const seconds = reply.elapsedTime / 1000;
    request.log.info(
      { method, route, status, ms: Math.round(seconds * 100_000) / 100, in: bodyOctets, out: answerOctets, ...refusal },
      "answered",
    );
    observer?.answered({ method, route, status, seconds, bodyOctets });
  }
  app.addHook("onResponse", async (request, reply) => ended(request, reply, reply.statusCode));
  app.addHook("onRequest", async (request, reply) => {
    const { socket } = request.raw;
    reply.raw.once("close", () => {
      held.release(socket, request.bodyOctets + heldOf(request));
      ended(request, reply, CLIENT_GONE);
    });
    if (limiter === undefined || request.method !== "POST") return;
    const wait = limiter.take(request.ip, now());
    if (wait > 0)
      throw new ServiceError("RATE_LIMITED", undefined, {
        headers: { "retry-after": String(wait) },
        detail: `client ${request.ip}`,
      });
  });

  const refuse = (error: ServiceError, request: FastifyRequest, reply: FastifyReply, shape?: ErrorShape): void => {
    observer?.refused(error.code);
    sendRefusal(error, request, reply, shape);
  };
  app.setErrorHandler((error: FastifyError, request, reply) => {
    refuse(error instanceof ServiceError ? error : fromFramework(error), request, reply);
  });

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url);
    const methods = routes.methods(path);
    if (methods.length === 0) return refuse(new ServiceError("NOT_FOUND"), request, reply, routes.nearest(path));
    if (request.method === "OPTIONS") {
      return reply
        .code(204)
        .headers({
          "access-control-allow-methods": methods.join(", "),
          "access-control-allow-headers": ALLOWED_HEADERS,
          "access-control-max-age": "86400",
        })
        .send();
    }
    refuse(
      new ServiceError("METHOD_NOT_ALLOWED", undefined, { headers: { allow: methods.join(", ") } }),
      request,
      reply,
      routes.nearest(path),
    );
  });

  app.get("/healthz", { config: { errors: "text" } }, (_request, reply) => {
    const state = options.health?.() ?? { ready: true };
    const { ready, ...rest } = state;
    return reply.code(ready ? 200 : 503).send({ status: ready ? "SERVING" : "NOT_SERVING", ...rest });
  });

  // Whether starting again could help: a process that answers at all is alive, whatever its disk or its witnesses do.
  app.get("/livez", { config: { errors: "text" } }, (_request, reply) => reply.send({ status: "ALIVE" }));

  // What Rekor v1 and timestamp authorities are probed with.
  app.get("/ping", { config: { errors: "text" } }, (_request, reply) => reply.type("text/plain").send("."));

  app.addHook("preClose", async () => {
    closing = true;
    setTimeout(() => app.server.closeAllConnections(), options.closeTimeoutMs ?? 10_000).unref();
  });
  return app;
}

/** What of an answer may wait in memory: of one that is streamed, some parts. */
function heldOf({ answerOctets }: FastifyRequest): number {
  return Math.min(answerOctets, STREAM_OCTETS);
}

function setHouseHeaders(reply: FastifyReply): void {
  reply.header("access-control-allow-origin", "*");
  reply.header("access-control-expose-headers", EXPOSED_HEADERS);
  reply.header("x-content-type-options", "nosniff");
  reply.header("x-request-id", reply.request.id);
}

/** The bytes of the request body; empty when there was none. */
export function bodyOf(request: FastifyRequest): Uint8Array {
  return request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
}

/** The status under which a request counts whose client did not wait for the answer. */
const CLIENT_GONE = 499;

/** Sends a refusal and says in the log why. */
function sendRefusal(error: ServiceError, request: FastifyRequest, reply: FastifyReply, shape?: ErrorShape): void {
  const dialect = shape ?? request.routeOptions?.config?.errors ?? "gateway";
  const refusal = renderRefusal(dialect, error, { method: request.method, path: pathOf(request.url) });
  const facts = { code: error.code, detail: error.detail, cause: causeOf(error.cause) };
  request.refusal = facts;
  // 503 is how a service says that it has too much to do; whatever stops it for good has a line of its own.
  if (refusal.status >= 500 && refusal.status !== 503) {
    const route = request.routeOptions?.url ?? "unmatched";
    request.log.error({ ...facts, status: refusal.status, route, err: error.cause ?? error }, "failed");
  }
  reply.code(refusal.status).header("content-type", refusal.contentType).headers(error.headers).send(refusal.body);
}

/** A cause in one line for the log: its code and its sentence. Messages of the library quote at most short pieces of input. */
function causeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  const code = (cause as { code?: unknown }).code;
  return typeof code === "string" ? `${code}: ${cause.message}` : cause.message;
}

const FRAMEWORK_CODES: Readonly<Record<string, ServiceCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "MEDIA_TYPE_UNSUPPORTED",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "BAD_REQUEST",
  FST_ERR_BAD_URL: "BAD_REQUEST",
  FST_ERR_MAX_PARAM_LENGTH: "BAD_REQUEST",
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: "BAD_REQUEST",
};

/** The framework's own refusals keep their kind; everything else that escapes a handler is our fault. */
function fromFramework(error: Error & { code?: unknown }): ServiceError {
  const code =
    typeof error.code === "string" && Object.hasOwn(FRAMEWORK_CODES, error.code) ? FRAMEWORK_CODES[error.code] : undefined;
  return code === undefined
    ? new ServiceError("INTERNAL", undefined, { cause: error })
    : new ServiceError(code, undefined, { cause: error });
}

/** What never became a request (a broken header, a header of megabytes, a timeout): a bare status, and the connection ends. */
function answerBrokenClient(error: Error & { code?: string }, socket: Socket, observer: EdgeObserver | undefined): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  observer?.broken(status === 431 ? "headers too large" : status === 408 ? "timeout" : "malformed");
  const body = `${STATUS_CODES[status]}\n`;
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}
