// SPDX-License-Identifier: Apache-2.0
/** The provider's routes: everything under the issuer's path. */
import type { FastifyInstance } from "fastify";
import { bodyOf } from "../edge/index.ts";
import { IDP_BODY_LIMIT, type IdentityProvider } from "./service.ts";

/** Mounts the provider at the path of its issuer. */
export function registerIdp(app: FastifyInstance, provider: IdentityProvider): void {
  app.route({
    method: ["GET", "POST", "OPTIONS"],
    url: `${provider.mount}/*`,
    bodyLimit: IDP_BODY_LIMIT,
    config: { errors: "text" },
    async handler(request, reply) {
      const target = request.raw.url!.slice(provider.mount.length);
      const answer = await provider.exchange({ method: request.method, target, headers: request.headers, body: bodyOf(request) });
      return reply.code(answer.status).headers(answer.headers).send(answer.body);
    },
  });
  app.addHook("onClose", () => provider.close());
}
