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
 * - Log lines carry the route's pattern, never the address (queries hold codes and tokens), headers or bodies.
 * - Limits: headers within 15 s, whole request within 60 s, idle connections closed after 65 s, headers of 32 KiB.
 *
 * Closing: new connections are refused, requests under way end, and after `closeTimeoutMs` the rest is cut.
 */
import { randomBytes } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import Fastify, { LogController, type FastifyBaseLogger, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { ServiceError, type ServiceCode } from "../errors.ts";
import { normalTarget, pathOf, RouteTable } from "./path.ts";
import { renderRefusal, type ErrorShape } from "./shape.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The dialect of this route's error bodies; `gateway` unless set. */
    errors?: ErrorShape;
  }
}

/** Default limit of a request body. */
export const BODY_LIMIT: number = 4 * 1024 * 1024;

/** What an edge is made of. */
export interface EdgeOptions {
  /** A pino logger, or undefined for silence. */
  readonly log?: FastifyBaseLogger | undefined;
  /** Whether a proxy in front sets X-Forwarded-*; false unless an operator says so. */
  readonly trustProxy?: boolean;
  /** How long requests under way may take after close() began. */
  readonly closeTimeoutMs?: number;
  /** More members for /healthz; `ready: false` makes it 503. */
  readonly health?: () => { readonly ready: boolean; readonly [name: string]: unknown };
}

const ALLOWED_HEADERS = "authorization, content-type, accept";
const EXPOSED_HEADERS = "location, etag, retry-after, x-request-id, x-log-index";

/** A fastify instance with the rules above, `/healthz` and `/ping`. Register routes, then `ready()`, `listen()` or `inject()`. */
export function createEdge(options: EdgeOptions = {}): FastifyInstance {
  const routes = new RouteTable<ErrorShape>();
  const prefix = randomBytes(6).toString("hex");
  let requests = 0;
  let closing = false;

  const app = Fastify({
    ...(options.log === undefined ? { logger: false } : { loggerInstance: options.log }),
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: options.trustProxy ?? false,
    bodyLimit: BODY_LIMIT,
    connectionTimeout: 65_000,
    keepAliveTimeout: 65_000,
    requestTimeout: 60_000,
    forceCloseConnections: "idle",
    http: { maxHeaderSize: 32 * 1024, headersTimeout: 15_000 },
    requestIdHeader: false,
    genReqId: () => `${prefix}-${(requests++).toString(36)}`,
    rewriteUrl: (request) => normalTarget(request.url ?? "/"),
    routerOptions: { maxParamLength: 2048 },
    frameworkErrors: (error, request, reply) => {
      setHouseHeaders(reply); // hooks do not run for a request that the router could not read
      refuse(fromFramework(error), request, reply);
    },
    clientErrorHandler: answerBrokenClient,
  }) as unknown as FastifyInstance;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  app.addHook("onRoute", (route) => {
    const methods = typeof route.method === "string" ? [route.method] : route.method;
    routes.add(route.url, methods, route.config?.errors ?? "gateway");
  });

  app.addHook("onSend", async (_request, reply, payload) => {
    setHouseHeaders(reply);
    // An answer under way when the edge closes ends its connection; kept alive, it would hold up the close.
    if (closing) reply.header("connection", "close");
    if (reply.getHeader("content-type") === "application/json; charset=utf-8") reply.header("content-type", "application/json");
    // A stream would be sent in chunks, and gitsign crashes on an answer without Content-Length.
    if (typeof payload === "object" && payload !== null && !(payload instanceof Uint8Array) && reply.getHeader("content-length") === undefined) {
      throw new TypeError("an answer must be a string or bytes, or state its content-length");
    }
    return payload;
  });

  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unmatched";
    request.log.debug({ method: request.method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime * 100) / 100 }, "answered");
  });

  app.setErrorHandler((error: FastifyError, request, reply) => {
    refuse(error instanceof ServiceError ? error : fromFramework(error), request, reply);
  });

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url);
    const methods = routes.methods(path);
    if (methods.length === 0) return refuse(new ServiceError("NOT_FOUND"), request, reply, routes.nearest(path));
    if (request.method === "OPTIONS") {
      return reply.code(204).headers({
        "access-control-allow-methods": methods.join(", "),
        "access-control-allow-headers": ALLOWED_HEADERS,
        "access-control-max-age": "86400",
      }).send();
    }
    refuse(new ServiceError("METHOD_NOT_ALLOWED", undefined, { headers: { allow: methods.join(", ") } }), request, reply, routes.nearest(path));
  });

  app.get("/healthz", { config: { errors: "text" } }, (_request, reply) => {
    const state = options.health?.() ?? { ready: true };
    const { ready, ...rest } = state;
    return reply.code(ready ? 200 : 503).send({ status: ready ? "SERVING" : "NOT_SERVING", ...rest });
  });

  // What Rekor v1 and timestamp authorities are probed with.
  app.get("/ping", { config: { errors: "text" } }, (_request, reply) => reply.type("text/plain").send("."));

  app.addHook("preClose", async () => {
    closing = true;
    setTimeout(() => app.server.closeAllConnections(), options.closeTimeoutMs ?? 10_000).unref();
  });
  return app;
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

/** Sends a refusal and writes the log line that explains it. */
function refuse(error: ServiceError, request: FastifyRequest, reply: FastifyReply, shape?: ErrorShape): void {
  const dialect = shape ?? request.routeOptions?.config?.errors ?? "gateway";
  const refusal = renderRefusal(dialect, error, { method: request.method, path: pathOf(request.url) });
  const route = request.routeOptions?.url ?? "unmatched";
  const facts = { code: error.code, status: refusal.status, route, detail: error.detail, cause: causeOf(error.cause) };
  if (refusal.status < 500) request.log.info(facts, "refused");
  else request.log.error({ ...facts, err: error.cause ?? error }, "failed");
  reply.code(refusal.status).header("content-type", refusal.contentType).headers(error.headers).send(refusal.body);
}

/** A cause in one line for the log: its code and its sentence. Messages of the library quote at most short pieces of input. */
function causeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  const code = (cause as { code?: unknown }).code;
  return typeof code === "string" ? `${code}: ${cause.message}` : cause.message;
}

const FRAMEWORK_CODES: Readonly<Record<string, ServiceCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "BODY_TOO_LARGE",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "MEDIA_TYPE_UNSUPPORTED",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "BAD_REQUEST",
  FST_ERR_BAD_URL: "BAD_REQUEST",
  FST_ERR_MAX_PARAM_LENGTH: "BAD_REQUEST",
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: "BAD_REQUEST",
};

/** The framework's own refusals keep their kind; everything else that escapes a handler is our fault. */
function fromFramework(error: Error & { code?: unknown }): ServiceError {
  const code = typeof error.code === "string" && Object.hasOwn(FRAMEWORK_CODES, error.code) ? FRAMEWORK_CODES[error.code] : undefined;
  return code === undefined ? new ServiceError("INTERNAL", undefined, { cause: error }) : new ServiceError(code, undefined, { cause: error });
}

/** What never became a request (a broken header, a header of megabytes, a timeout): a bare status, and the connection ends. */
function answerBrokenClient(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  const body = `${STATUS_CODES[status]}\n`;
  if (socket.writable) {
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
  }
  socket.destroySoon();
}
