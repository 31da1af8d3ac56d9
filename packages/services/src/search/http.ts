// SPDX-License-Identifier: Apache-2.0
/**
 * Search over HTTP: a query with a cursor, and the index's own files for those who prove answers themselves.
 *
 * Segments never change and may be cached for ever; the root is asked for anew. Parts of files are given out by one range
 * (RFC 9110 section 14): what a reader of pages needs. Where a log has no other door for its files (the v1 dialect), they
 * are served here too.
 */
import { Readable } from "node:stream";
import { toBase64, toHex } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { parseTilePath, TILE_WIDTH } from "@lacre/core/merkle";
import { ROOT_PATH } from "@lacre/core/search";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type Gate, readRange, sendBytes } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { registerReading } from "../reading/index.ts";
import { type Answer, formatRange, type Found, type ProvedAnswer, type Query, type SearchService } from "./service.ts";

const FOREVER = "public, max-age=31536000, immutable";
/** For checkpoint and root, and for what is not there yet. */
const ANEW = "no-cache";
const OCTETS = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";

const MAX_KEYS = 8;
const MAX_LIMIT = 1000;
/** Each entry of an answer with proof is proved on the way. */
const MAX_PROVED = 100;
const DEFAULT_LIMIT = 50;
/** Longer files are sent as they are read. */
const MAX_WHOLE = 4 << 20;

/** Mounts `<prefix>/search` and `<prefix>/index/search/`; with `files` also checkpoint, tiles and what stands beside entries. */
export function registerSearch(
  app: FastifyInstance,
  prefix: string,
  service: SearchService,
  options: { readonly files?: boolean } = {},
): void {
  app.get(`${prefix}/search`, async (request, reply) => {
    const { query, proof } = readQuery(request);
    const answer = await refusingKeys<Answer | ProvedAnswer>(() => (proof ? service.prove(query) : service.search(query)));
    return reply
      .headers({ "content-type": "application/json", "cache-control": ANEW })
      .send(JSON.stringify(format(answer, service.checkpoint())));
  });
  app.get(`${prefix}/index/search/*`, { config: { errors: "text" } }, (request, reply) =>
    sendIndexFile(service, (request.params as { "*": string })["*"], request, reply),
  );
  if (options.files === true) registerFiles(app, prefix, service);
}

function registerFiles(app: FastifyInstance, prefix: string, service: SearchService): void {
  registerReading(app, prefix, service, { bundles: "entries", errors: "text" });
  app.get(`${prefix}/attestation/:head/:tail`, { config: { errors: "text" } }, async (request, reply) => {
    const { head, tail } = request.params as { head: string; tail: string };
    const isName = /^[0-9a-f]{2}$/.test(head) && /^[0-9a-f]{62}$/.test(tail);
    const bytes = isName ? await app.fileGate(() => service.files.file(`attestation/${head}/${tail}`)) : undefined;
    if (bytes === undefined) throw missing();
    return sendBytes(request, reply.headers({ "content-type": OCTETS, "cache-control": FOREVER }), bytes);
  });
}

function missing(): ServiceError {
  return new ServiceError("NOT_FOUND", "no such file", { headers: { "cache-control": ANEW } });
}

// Queries.

function readQuery({ query }: FastifyRequest): { readonly query: Query; readonly proof: boolean } {
  const given = query as Record<string, string | readonly string[] | undefined>;
  const unknown = Object.keys(given).find((name) => !["key", "match", "after", "limit", "proof"].includes(name));
  if (unknown !== undefined)
    throw new ServiceError(
      "BAD_REQUEST",
      `a search has key, match, after, limit and proof, not ${JSON.stringify(unknown.slice(0, 40))}`,
    );
  const keys = [given["key"] ?? []].flat() as string[];
  if (keys.length === 0 || keys.length > MAX_KEYS)
    throw new ServiceError("BAD_REQUEST", `a search has one to ${MAX_KEYS} keys, such as key=email:you@example.com`);
  const match = one(given, "match") ?? "all";
  if (match !== "all" && match !== "any") throw new ServiceError("BAD_REQUEST", "match is all or any");
  const proof = one(given, "proof") ?? "false";
  if (proof !== "true" && proof !== "false") throw new ServiceError("BAD_REQUEST", "proof is true or false");
  const most = proof === "true" ? MAX_PROVED : MAX_LIMIT;
  return {
    query: {
      keys,
      match,
      after: number(given, "after", 0, Number.MAX_SAFE_INTEGER),
      limit: number(given, "limit", 1, most) ?? DEFAULT_LIMIT,
    },
    proof: proof === "true",
  };
}

function one(given: Record<string, string | readonly string[] | undefined>, name: string): string | undefined {
  const value = given[name];
  if (value !== undefined && typeof value !== "string") throw new ServiceError("BAD_REQUEST", `${name} is given once`);
  return value;
}

function number(
  given: Record<string, string | readonly string[] | undefined>,
  name: string,
  least: number,
  most: number,
): number | undefined {
  const value = one(given, name);
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (!/^[0-9]{1,16}$/.test(value) || parsed < least || parsed > most)
    throw new ServiceError("BAD_REQUEST", `${name} is a number from ${least} to ${most}`);
  return parsed;
}

async function refusingKeys<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof LacreError && cause.code === "SEARCH_KEY_INVALID") {
      throw new ServiceError(
        "BAD_REQUEST",
        cause.expected === undefined ? cause.message : `${cause.message}; known are ${cause.expected}`,
        { cause },
      );
    }
    throw cause;
  }
}

function format(answer: Answer | ProvedAnswer, checkpoint: string): object {
  const common = { size: answer.size, next: answer.next ?? null };
  if (!("pages" in answer)) return { ...common, checkpoint, entries: answer.entries.map(formatEntry) };
  return {
    ...common,
    checkpoint: answer.checkpoint,
    entries: answer.entries.map(({ proof, ...found }) => ({ ...formatEntry(found), proof: proof.map(toBase64) })),
    proof: { indexRoot: answer.indexRoot, pages: answer.pages.map(formatRange) },
  };
}

function formatEntry({ index, leafHash, record, keys }: Found): object {
  return { index, leafHash: toHex(leafHash), keys, body: toBase64(record) };
}

// Files.

async function sendIndexFile(
  service: SearchService,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const path = `index/search/${name}`;
  if (path === ROOT_PATH) {
    if (service.index.root === "") throw missing();
    return reply.headers({ "content-type": TEXT, "cache-control": ANEW }).send(service.index.root);
  }
  const length = segmentLengthOf(service, name);
  if (length === undefined) throw missing();
  const range = readRange(request.headers.range, length);
  reply.headers({ "content-type": OCTETS, "cache-control": FOREVER, "accept-ranges": "bytes" });
  if (range === "unsatisfiable")
    return reply
      .code(416)
      .headers({ "content-range": `bytes */${length}`, "cache-control": ANEW })
      .send("");
  if (range !== undefined)
    reply.code(206).header("content-range", `bytes ${range.offset}-${range.offset + range.length - 1}/${length}`);
  const { offset, length: wanted } = range ?? { offset: 0, length };
  if (wanted > MAX_WHOLE)
    return reply
      .header("content-length", wanted)
      .send(Readable.from(inParts(service, path, offset, wanted, request.server.fileGate)));
  const bytes = await request.server.fileGate(() => service.files.range(path, offset, wanted));
  if (bytes?.length !== wanted) throw missing();
  return reply.send(bytes);
}

/** Length of a segment's file: of one that the root lists, or did a moment ago. */
function segmentLengthOf({ index }: SearchService, name: string): number | undefined {
  try {
    const { level, index: place, width } = parseTilePath(name);
    return typeof level === "number" && width === TILE_WIDTH ? index.lengthOf(level, place) : undefined;
  } catch (cause) {
    if (cause instanceof LacreError) return undefined;
    throw cause;
  }
}

async function* inParts(
  { files }: SearchService,
  path: string,
  offset: number,
  length: number,
  gate: Gate,
): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < offset + length; at += MAX_WHOLE) {
    const part = Math.min(MAX_WHOLE, offset + length - at);
    const bytes = await gate(() => files.range(path, at, part));
    if (bytes?.length !== part) throw new ServiceError("LOG_DAMAGED", undefined, { detail: `${path} is shorter than it was` });
    yield bytes;
  }
}
