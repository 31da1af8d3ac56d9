// SPDX-License-Identifier: Apache-2.0
/** Reading request bodies with the library's rules, and turning its refusals into a service's. */
import { parseJson, type Json, type JsonLimits } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import type { FastifyRequest } from "fastify";
import { ServiceError, type ServiceCode } from "../errors.ts";
import { bodyOf } from "./edge.ts";

/** Depth and size of a request body unless a service says otherwise; the route's `bodyLimit` is met first. */
const LIMITS: JsonLimits = { maxBytes: 4 * 1024 * 1024, maxDepth: 32 };

/**
 * The JSON of a request body: strict UTF-8, no duplicate keys, bounded depth. Throws ServiceError `code` (BAD_REQUEST
 * unless given) with the parser's sentence as message.
 */
export function readJson(request: FastifyRequest, limits: Partial<JsonLimits> = {}, code: ServiceCode = "BAD_REQUEST"): Json {
  return refusing(code, undefined, () => parseJson(bodyOf(request), { ...LIMITS, ...limits }));
}

/**
 * Runs a decoder or check of the library and turns its LacreError into this ServiceError: `message` as given, or (when
 * undefined) the library's own sentence. The LacreError stays the cause, so the log says what exactly was wrong. Other
 * exceptions pass: they are faults of ours.
 */
export function refusing<T>(code: ServiceCode, message: string | undefined, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof LacreError) throw new ServiceError(code, message ?? cause.message, { cause });
    throw cause;
  }
}
