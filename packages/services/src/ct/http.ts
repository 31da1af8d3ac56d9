// SPDX-License-Identifier: Apache-2.0
/**
 * The CT log over HTTP: submissions as RFC 6962 section 4 has them, under `/ct/v1/`; for monitors the log's own files as
 * static-ct-api has them, under `/ct/`.
 */
import { ByteWriter, toBase64 } from "@lacre/core/bytes";
import type { Sct } from "@lacre/core/x509";
import type { FastifyInstance } from "fastify";
import { readJson } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { registerReading, type ReadingOptions } from "../reading/index.ts";
import type { CtService } from "./service.ts";

/** Largest submission. */
const BODY_LIMIT = 512 * 1024;
const FOREVER = "public, max-age=31536000, immutable";
const config = { errors: "text" } as const;

/** Mounts `/ct/v1/{add-pre-chain,add-chain,get-roots}` and, unless switched off, `/ct/{checkpoint,tile,issuer}`. */
export function registerCt(
  app: FastifyInstance,
  service: CtService,
  options: { readonly monitor: boolean } & Pick<ReadingOptions, "packed"> = { monitor: true },
): void {
  for (const [path, kind] of [
    ["add-pre-chain", "precertificate"],
    ["add-chain", "certificate"],
  ] as const) {
    app.post(`/ct/v1/${path}`, { config, bodyLimit: BODY_LIMIT }, async (request, reply) =>
      reply.send(format(await service.add(readJson(request, { maxBytes: BODY_LIMIT, maxDepth: 4 }), kind))),
    );
  }
  app.get("/ct/v1/get-roots", { config }, (_request, reply) =>
    reply.send({ certificates: service.roots.map(({ der }) => toBase64(der)) }),
  );
  if (options.monitor) registerMonitor(app, service, options.packed);
}

function registerMonitor(app: FastifyInstance, service: CtService, packed: ReadingOptions["packed"]): void {
  registerReading(app, "/ct", service, { bundles: "data", ...config, packed });
  app.get("/ct/issuer/:fingerprint", { config }, async (request, reply) => {
    const { fingerprint } = request.params as { fingerprint: string };
    if (!/^[0-9a-f]{64}$/.test(fingerprint)) throw new ServiceError("BAD_REQUEST", "not a SHA-256 in lower-case hexadecimal");
    const issuer = await service.readIssuer(fingerprint);
    if (issuer === undefined) throw notYet("no such issuer");
    return reply.headers({ "content-type": "application/pkix-cert", "cache-control": FOREVER }).send(issuer);
  });
}

/** What is not there may be there in a second; nobody shall remember that it was not. */
function notYet(message: string): ServiceError {
  return new ServiceError("NOT_FOUND", message, { headers: { "cache-control": "no-cache" } });
}

/** An SCT as JSON (RFC 6962 section 4.1). */
function format(sct: Sct): object {
  return {
    sct_version: 0,
    id: toBase64(sct.logId),
    timestamp: sct.timestampMs,
    extensions: toBase64(sct.extensions),
    signature: toBase64(new ByteWriter().uint(1, sct.hashCode).uint(1, sct.signatureCode).vector(2, sct.signature).finish()),
  };
}
