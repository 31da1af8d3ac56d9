// SPDX-License-Identifier: Apache-2.0
/**
 * The ledger over HTTP, in the dialect of Rekor v2: one write call, and the log's own files for readers.
 *
 * Where a request becomes a leaf: here its body arrives, `entry/<kind>.ts` of the library makes the leaf of it (and says
 * which signatures have to hold), `engine/log.ts` gives it its place. Tiles never change and may be cached for ever, the
 * checkpoint never.
 */
import { LacreError } from "@lacre/core/errors";
import { parseTilePath, type TileCoordinate } from "@lacre/core/merkle";
import type { FastifyInstance } from "fastify";
import { bodyOf } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import type { LedgerService } from "./service.ts";

/** Mounts `/api/v2/log/entries`, `/api/v2/checkpoint` and `/api/v2/tile/`. */
export function registerLedger(app: FastifyInstance, service: LedgerService): void {
  // The media type is not looked at: clients differ.
  app.post("/api/v2/log/entries", async (request, reply) => {
    const entry = await service.add(bodyOf(request));
    if (entry.duplicate) reply.header("x-log-index", entry.index);
    return reply.code(201).header("content-type", "application/json").send(entry.answer);
  });
  app.get("/api/v2/checkpoint", (_request, reply) =>
    reply.headers({ "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache" }).send(service.checkpoint()),
  );
  app.get("/api/v2/tile/*", async (request, reply) => {
    const tile = await service.readTile(coordinate((request.params as { "*": string })["*"]));
    if (tile === undefined) throw new ServiceError("NOT_FOUND", "no such tile", { headers: { "cache-control": "no-cache" } });
    return reply.headers({ "content-type": "application/octet-stream", "cache-control": "public, max-age=31536000, immutable" }).send(tile);
  });
}

function coordinate(path: string): TileCoordinate {
  let tile: TileCoordinate;
  try {
    tile = parseTilePath(path);
  } catch (cause) {
    if (cause instanceof LacreError) throw new ServiceError("BAD_REQUEST", "not a tile path", { cause });
    throw cause;
  }
  // "data" names the bundles of a CT log.
  if (tile.level === "data") throw new ServiceError("BAD_REQUEST", "not a tile path");
  return tile;
}
