// SPDX-License-Identifier: Apache-2.0
/**
 * The ledger over HTTP, in the dialect of Rekor v2: one write call, and the log's own files for readers.
 *
 * Where a request becomes a leaf: here its body arrives, `entry/<kind>.ts` of the library makes the leaf of it (and says
 * which signatures have to hold), `engine/log.ts` gives it its place.
 */
import type { FastifyInstance } from "fastify";
import { bodyOf } from "../edge/index.ts";
import { registerReading, type ReadingOptions } from "../reading/index.ts";
import type { LedgerService } from "./service.ts";

/** Mounts `/api/v2/log/entries`, `/api/v2/checkpoint` and `/api/v2/tile/`. */
export function registerLedger(app: FastifyInstance, service: LedgerService, options: Pick<ReadingOptions, "packed"> = {}): void {
  // The media type is not looked at: clients differ.
  app.post("/api/v2/log/entries", async (request, reply) => {
    const entry = await service.add(bodyOf(request));
    if (entry.duplicate) reply.header("x-log-index", entry.index);
    return reply.code(201).header("content-type", "application/json").send(entry.answer);
  });
  registerReading(app, "/api/v2", service, { bundles: "entries", ...options });
}
