// SPDX-License-Identifier: Apache-2.0
/**
 * The repository at `/tuf/`. The request that ends a client's walk along the roots must be answered 404, and cheaply:
 * every signing command of cosign asks for the root after the newest one twice.
 */
import type { FastifyInstance } from "fastify";
import { ServiceError } from "../errors.ts";
import type { TrustService } from "./service.ts";

/** Mounts the repository's files below `/tuf/`. */
export function registerTuf(app: FastifyInstance, service: TrustService): void {
  app.get("/tuf/*", { config: { errors: "text" } }, async (request, reply) => {
    const file = await app.fileGate(() => service.read((request.params as { "*": string })["*"]));
    if (file === undefined) throw new ServiceError("NOT_FOUND", undefined, { headers: { "cache-control": "no-cache" } });
    return reply
      .headers({
        "content-type": "application/json",
        "cache-control": file.immutable ? "public, max-age=31536000, immutable" : "no-cache",
      })
      .send(file.bytes);
  });
}
