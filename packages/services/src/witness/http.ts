// SPDX-License-Identifier: Apache-2.0
/**
 * The witness over HTTP (C2SP tlog-witness), at the root of the listener: submission and monitoring prefix are both the
 * address itself.
 */
import type { FastifyInstance } from "fastify";
import { bodyOf } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import type { WitnessService } from "./service.ts";

/** 63 hashes and a note of 64 KiB. */
const BODY_LIMIT = 96 * 1024;
const config = { errors: "text" } as const;
const PLAIN = "text/plain; charset=utf-8";

/** Mounts `POST /add-checkpoint` and `GET /<SHA-256 of an origin>/checkpoint`. */
export function registerWitness(app: FastifyInstance, service: WitnessService): void {
  app.post("/add-checkpoint", { config, bodyLimit: BODY_LIMIT }, (request, reply) => {
    const answer = service.addCheckpoint(bodyOf(request));
    // The media type of a conflict is part of the protocol, to the letter: readers compare it whole.
    if (answer.kind === "conflict") return reply.code(409).header("content-type", "text/x.tlog.size").send(`${answer.size}\n`);
    return reply.header("content-type", PLAIN).send(answer.lines);
  });
  app.get("/:origin(^[0-9a-f]{64}$)/checkpoint", { config }, (request, reply) => {
    const note = service.latest((request.params as { origin: string }).origin);
    if (note === undefined)
      throw new ServiceError("NOT_FOUND", "no checkpoint of this log was cosigned", { headers: { "cache-control": "no-cache" } });
    return reply.headers({ "content-type": PLAIN, "cache-control": "no-cache" }).send(note);
  });
  app.addHook("onClose", async () => service.close());
}
