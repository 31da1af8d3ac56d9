// SPDX-License-Identifier: Apache-2.0
/**
 * A log's own files for readers (C2SP tlog-tiles, static-ct-api): the checkpoint, hash tiles, entry bundles.
 *
 * Tiles never change and may be cached for ever, the checkpoint never, and nobody shall remember that something was not
 * there: it may be there in a second. The same headers as a web server in front sends (`deploy/nginx/lacre.conf`): open to
 * every page, no guessing of types, one range of octets at a time. Full bundles go out compressed to whoever takes that.
 */
import { LacreError } from "@lacre/core/errors";
import { parseTilePath, TILE_WIDTH, type TileCoordinate } from "@lacre/core/merkle";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { sendBytes, type ErrorShape } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";

/** What is read of a log. */
export interface ReadableLog {
  checkpoint(): string;
  /** The bytes of a tile or bundle; undefined beyond the published size. */
  readTile(tile: TileCoordinate): Promise<Uint8Array | undefined>;
}

export interface ReadingOptions {
  /** What this log's bundles are called. */
  readonly bundles: "entries" | "data";
  /** Dialect of refusals; `gateway` unless set. */
  readonly errors?: ErrorShape;
  /** A full bundle as gzip, where it is at hand. */
  readonly packed?: ((index: number) => Promise<Uint8Array | undefined>) | undefined;
}

const FOREVER = "public, max-age=31536000, immutable";
const ANEW = "no-cache";
const OCTETS = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";

/** Mounts `<prefix>/checkpoint` and `<prefix>/tile/`. */
export function registerReading(
  app: FastifyInstance,
  prefix: string,
  log: ReadableLog,
  { bundles, errors = "gateway", packed }: ReadingOptions,
): void {
  const config = { errors };
  const underWay = new Map<string, Promise<Uint8Array | undefined>>();
  /** Reads behind the gate; whoever wants the same meanwhile gets the same. */
  function read(path: string, work: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    const first = underWay.get(path);
    if (first !== undefined) return first;
    const reading = app.fileGate(work).finally(() => underWay.delete(path));
    underWay.set(path, reading);
    return reading;
  }
  app.get(`${prefix}/checkpoint`, { config }, (_request, reply) =>
    reply.headers({ "content-type": TEXT, "cache-control": ANEW }).send(log.checkpoint()),
  );
  app.get(`${prefix}/tile/*`, { config }, async (request, reply) => {
    const path = (request.params as { "*": string })["*"];
    const tile = coordinate(path, bundles);
    const bytes = await read(path, () => log.readTile(tile));
    if (bytes === undefined) throw new ServiceError("NOT_FOUND", "no such tile", { headers: { "cache-control": ANEW } });
    reply.headers({ "content-type": OCTETS, "cache-control": FOREVER });
    return tile.level === bundles
      ? sendBundle(request, reply, tile, bytes, packed && ((index) => read(`${path}.gz`, () => packed(index))))
      : sendBytes(request, reply, bytes);
  });
}

async function sendBundle(
  request: FastifyRequest,
  reply: FastifyReply,
  { index, width }: TileCoordinate,
  bytes: Uint8Array,
  packed: ReadingOptions["packed"],
): Promise<FastifyReply> {
  reply.header("vary", "Accept-Encoding");
  const isWanted = width === TILE_WIDTH && request.headers.range === undefined && takesGzip(request.headers["accept-encoding"]);
  const small = isWanted ? await packed?.(index) : undefined;
  return small === undefined ? sendBytes(request, reply, bytes) : reply.header("content-encoding", "gzip").send(small);
}

/** Whether an Accept-Encoding header names gzip and does not refuse it (RFC 9110 section 12.5.3). */
function takesGzip(header: string | string[] | undefined): boolean {
  return String(header ?? "")
    .split(",")
    .some((coding) => {
      const [name, ...parameters] = coding.split(";").map((part) => part.trim().toLowerCase());
      return (name === "gzip" || name === "*") && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
    });
}

function coordinate(path: string, bundles: "entries" | "data"): TileCoordinate {
  try {
    const tile = parseTilePath(path);
    // The other name is that of the bundles of other logs.
    if (typeof tile.level === "number" || tile.level === bundles) return tile;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new ServiceError("BAD_REQUEST", "not a tile path", { cause });
  }
  throw new ServiceError("BAD_REQUEST", "not a tile path");
}
