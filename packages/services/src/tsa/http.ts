// SPDX-License-Identifier: Apache-2.0
/**
 * The clock over HTTP. The reply's type is exactly `application/timestamp-reply` and its length is stated: gitsign
 * compares the one and allocates by the other. Refusals are plain JSON, never an RFC 3161 rejection.
 */
import type { FastifyInstance } from "fastify";
import { bodyOf } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { decodeTimestampQuery, DER_LIMIT, parseTimestampQuery, TOO_LARGE, type TimestampRequest } from "./request.ts";
import type { ClockService } from "./service.ts";

/** Mounts `/api/v1/timestamp` and its certificate chain. */
export function registerTsa(app: FastifyInstance, service: ClockService): void {
  // An over-size body is 400 here, as clients know it, not 413.
  const errorHandler = (error: Error & { code?: string }): never => {
    throw error.code === "BODY_TOO_LARGE" ? new ServiceError("BAD_REQUEST", TOO_LARGE) : error;
  };
  app.post("/api/v1/timestamp", { bodyLimit: DER_LIMIT, config: { errors: "tsa" }, errorHandler }, (request, reply) => {
    const reading = decode(request.headers["content-type"], bodyOf(request));
    return reply
      .headers({ "content-type": "application/timestamp-reply", "cache-control": "no-store" })
      .send(service.grant(reading));
  });
  app.get("/api/v1/timestamp/certchain", { config: { errors: "tsa" } }, (_request, reply) =>
    reply
      .headers({ "content-type": "application/pem-certificate-chain", "cache-control": "max-age=86400, immutable" })
      .send(service.certificateChain),
  );
}

function decode(mediaType: string | undefined, body: Uint8Array): TimestampRequest {
  const type = (mediaType ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/timestamp-query") return decodeTimestampQuery(body);
  if (type === "application/json") return parseTimestampQuery(body);
  throw new ServiceError("MEDIA_TYPE_UNSUPPORTED", "send application/timestamp-query or application/json");
}
