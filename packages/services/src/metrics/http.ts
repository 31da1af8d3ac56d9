// SPDX-License-Identifier: Apache-2.0
/** `/metrics`, for a scraper. */
import type { FastifyInstance } from "fastify";
import type { Metrics } from "./registry.ts";

/** Mounts `/metrics`. */
export function registerMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.get("/metrics", { config: { errors: "text" } }, async (_request, reply) =>
    reply.headers({ "content-type": metrics.contentType, "cache-control": "no-store" }).send(await metrics.text()),
  );
}
