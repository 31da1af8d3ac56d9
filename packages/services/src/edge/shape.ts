// SPDX-License-Identifier: Apache-2.0
/**
 * How each API words a refusal. Four dialects exist in the field, and clients know only their own:
 *
 * - `gateway` (Fulcio v1 and v2, Rekor v2): `{"code": <gRPC code>, "message", "details": []}`; a wrong method is 501.
 * - `rekor` (Rekor v1): `{"code": <HTTP status, or the validation's number>, "message"}`; a wrong method is 405.
 * - `tsa` (RFC 3161 over HTTP): as `rekor`.
 * - `text` (CT, tiles, TUF, everything else): the status text, a newline, the message, a newline.
 */
import { STATUS_CODES } from "node:http";
import type { ServiceError } from "../errors.ts";

/** The dialect of an API's error bodies. */
export type ErrorShape = "gateway" | "rekor" | "tsa" | "text";

/** A refusal, ready to be sent. */
export interface Refusal {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const JSON_TYPE = "application/json";

/** gRPC code to HTTP status as grpc-gateway maps them; 500 for a code that does not exist. */
export function httpStatusOf(grpc: number): number {
  return GATEWAY_STATUS[grpc] ?? 500;
}

const GATEWAY_STATUS: Readonly<Record<number, number>> = {
  0: 200,
  1: 499,
  2: 500,
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 400,
  10: 409,
  11: 400,
  12: 501,
  13: 500,
  14: 503,
  15: 500,
  16: 401,
};

/** The status and body of a refusal in one dialect; `path` and `method` are those of the request. */
export function renderRefusal(
  shape: ErrorShape,
  error: ServiceError,
  request: { readonly method: string; readonly path: string },
): Refusal {
  switch (shape) {
    case "gateway": {
      const status = error.code === "METHOD_NOT_ALLOWED" ? 501 : error.status;
      return { status, contentType: JSON_TYPE, body: JSON.stringify({ code: error.grpc, message: error.message, details: [] }) };
    }
    case "rekor":
    case "tsa":
      return {
        status: error.status,
        contentType: JSON_TYPE,
        body: JSON.stringify({ code: error.number ?? error.status, message: routeMessage(error, request) }),
      };
    case "text":
      return {
        status: error.status,
        contentType: "text/plain; charset=utf-8",
        body: `${STATUS_CODES[error.status] ?? error.status}\n${error.message}\n`,
      };
  }
}

/** Routes that do not exist are named in the go-openapi dialect; long paths are cut. */
function routeMessage(error: ServiceError, request: { readonly method: string; readonly path: string }): string {
  if (error.code === "NOT_FOUND") return `path ${request.path.slice(0, 200)} was not found`;
  if (error.code === "METHOD_NOT_ALLOWED") return `method ${request.method} is not allowed`;
  return error.message;
}
