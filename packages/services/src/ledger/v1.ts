// SPDX-License-Identifier: Apache-2.0
/**
 * The ledger over HTTP, in the dialect of Rekor v1: the paths, statuses, headers and texts of upstream's server, as far as
 * a client depends on them.
 *
 * Particular to it: `ETag` is the UUID without quotes, `Location` is relative, on 201 and on 409; what is not there is a
 * 404 with nothing in it; a single entry is compact JSON and one newline, which sigstore-rs cuts at fixed offsets.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { bodyOf } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { BODY_LIMIT_V1, FAULT, unprocessable } from "./v1-request.ts";
import type { EntryV1, LedgerV1Service } from "./v1-service.ts";

const JSON_TYPE = "application/json";
const PEM_TYPE = "application/x-pem-file";
const ENTRIES = "/api/v1/log/entries";

/** Mounts `/api/v1/log…` and `/api/v1/index/retrieve`; the `/ping` of the dialect is the edge's. */
export function registerLedgerV1(app: FastifyInstance, service: LedgerV1Service): void {
  const config = { errors: "rekor" } as const;
  const errorHandler = (error: Error & { code?: string }): never => {
    throw error.code === "BODY_TOO_LARGE"
      ? new ServiceError("BODY_TOO_LARGE", `Request Entity Too Large. Limit set to ${BODY_LIMIT_V1}`)
      : error;
  };
  const posted = { config, bodyLimit: BODY_LIMIT_V1, preValidation: negotiate(JSON_TYPE, true), errorHandler };
  const read = { config, preValidation: negotiate(JSON_TYPE, false) };

  app.post(ENTRIES, posted, async (request, reply) => {
    const entry = await service.add(bodyOf(request));
    return sendEntry(reply.code(201).header("location", `${ENTRIES}/${entry.uuid}`), entry);
  });
  app.get(ENTRIES, read, async (request, reply) =>
    sendEntry(reply, await service.byIndex(numberOf(request, "logIndex", 0) ?? missing("logIndex"))),
  );
  app.get(`${ENTRIES}/:uuid`, read, async (request, reply) =>
    sendEntry(reply, await service.byId((request.params as { uuid: string }).uuid)),
  );
  app.post(`${ENTRIES}/retrieve`, posted, async (request, reply) => {
    const entries = await service.retrieve(bodyOf(request));
    return sendJson(reply, `[${entries.map(({ member }) => `{${member}}`).join(",")}]`);
  });
  app.post("/api/v1/index/retrieve", posted, async (request, reply) =>
    sendJson(reply, JSON.stringify(await service.search(bodyOf(request)))),
  );
  app.get("/api/v1/log", read, async (_request, reply) => sendJson(reply, JSON.stringify(service.info())));
  app.get("/api/v1/log/proof", read, async (request, reply) => {
    const last = numberOf(request, "lastSize", 1) ?? missing("lastSize");
    return sendJson(reply, JSON.stringify(await service.growth(numberOf(request, "firstSize", 1) ?? 1, last, treeOf(request))));
  });
  app.get("/api/v1/log/publicKey", { config, preValidation: negotiate(PEM_TYPE, false) }, async (request, reply) =>
    reply.header("content-type", PEM_TYPE).send(service.publicKey(treeOf(request))),
  );
}

function sendJson(reply: FastifyReply, json: string): FastifyReply {
  return reply.headers({ "content-type": JSON_TYPE, "cache-control": "no-cache" }).send(`${json}\n`);
}

function sendEntry(reply: FastifyReply, entry: EntryV1 | undefined): FastifyReply {
  if (entry === undefined) return reply.code(404).header("cache-control", "no-cache").send();
  return sendJson(reply.header("etag", entry.uuid), `{${entry.member}}`);
}

/** Refuses requests that bring or want what this endpoint does not speak. */
function negotiate(offered: string, hasBody: boolean): (request: FastifyRequest) => Promise<void> {
  return async ({ headers }) => {
    const type = headers["content-type"] ?? "";
    if (hasBody && type.split(";", 1)[0]!.trim().toLowerCase() !== JSON_TYPE) {
      throw new ServiceError(
        "MEDIA_TYPE_UNSUPPORTED",
        `unsupported media type ${JSON.stringify(type.slice(0, 100))}, only [${JSON_TYPE}] are allowed`,
      );
    }
    if (!accepts(headers.accept, offered))
      throw new ServiceError("NOT_ACCEPTABLE", `unsupported media type requested, only [${offered}] are available`);
  };
}

/** Whether an Accept header leaves room for a media type (RFC 9110, section 12.5.1); an absent one leaves all. */
function accepts(accept: string | undefined, offered: string): boolean {
  if (accept === undefined || accept.trim() === "") return true;
  const family = `${offered.split("/", 1)[0]!}/*`;
  return accept.split(",").some((range) => {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
    return !refused && (type === "*/*" || type === family || type === offered);
  });
}

function missing(name: string): never {
  throw unprocessable(FAULT.required, `${name} in query is required`);
}

function numberOf(request: FastifyRequest, name: string, least: number): number | undefined {
  const text = (request.query as Record<string, unknown>)[name];
  if (text === undefined || text === "") return undefined;
  if (typeof text !== "string" || !/^-?[0-9]{1,19}$/.test(text))
    throw unprocessable(FAULT.type, `${name} in query must be of type int64`);
  const number = Number(text);
  if (number < least) throw unprocessable(FAULT.below, `${name} in query should be greater than or equal to ${least}`);
  return number;
}

function treeOf(request: FastifyRequest): string | undefined {
  const text = (request.query as Record<string, unknown>)["treeID"];
  if (text === undefined || text === "") return undefined;
  if (typeof text !== "string" || !/^[0-9]{1,19}$/.test(text))
    throw unprocessable(FAULT.pattern, "treeID in query should match '^[0-9]+$'");
  return text;
}
