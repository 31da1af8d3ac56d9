// SPDX-License-Identifier: Apache-2.0
/**
 * The authority over HTTP, in the dialects of Fulcio v1 (201, PEM) and v2 (200, JSON). What a client accepts is not
 * negotiated: sigstore-python asks the JSON endpoint for PEM and reads JSON.
 */
import { formatPem } from "@lacre/core/codec";
import type { FastifyInstance } from "fastify";
import { readJson } from "../edge/index.ts";
import { decodeSigningRequest, decodeSigningRequestV1 } from "./request.ts";
import type { AuthorityService } from "./service.ts";

const PEM_TYPE = "application/pem-certificate-chain";

/** Mounts `/api/v2/{signingCert,trustBundle,configuration}` and `/api/v1/{signingCert,rootCert}`. */
export function registerAuthority(app: FastifyInstance, service: AuthorityService): void {
  const chain = service.chain.map(({ der }) => formatPem("CERTIFICATE", der));
  const configuration = { issuers: service.issuers.entries.map(publish) };

  app.post("/api/v2/signingCert", async (request, reply) => {
    const asked = decodeSigningRequest(readJson(request));
    const certificates = await service.issue(asked.token ?? bearer(request.headers.authorization), asked);
    return reply.send({
      signedCertificateEmbeddedSct: {
        chain: { certificates: certificates.map((der) => formatPem("CERTIFICATE", der).trimEnd()) },
      },
    });
  });
  app.post("/api/v1/signingCert", async (request, reply) => {
    const asked = decodeSigningRequestV1(readJson(request));
    const certificates = await service.issue(bearer(request.headers.authorization), asked);
    return reply
      .code(201)
      .type(PEM_TYPE)
      .send(certificates.map((der) => formatPem("CERTIFICATE", der)).join(""));
  });
  app.get("/api/v2/trustBundle", (_request, reply) => reply.send({ chains: [{ certificates: chain }] }));
  app.get("/api/v2/configuration", (_request, reply) => reply.send(configuration));
  app.get("/api/v1/rootCert", (_request, reply) => reply.type(PEM_TYPE).send(chain.join("")));
}

/** The token of an Authorization header; its scheme is compared without case. */
function bearer(header: string | undefined): string | undefined {
  return header !== undefined && /^bearer /i.test(header) ? header.slice(7).trim() : undefined;
}

/** One issuer as `/api/v2/configuration` lists it; empty fields are there. */
function publish(entry: AuthorityService["issuers"]["entries"][number]): object {
  return {
    [entry.isPattern ? "wildcardIssuerUrl" : "issuerUrl"]: entry.issuerUrl,
    audience: entry.clientId,
    challengeClaim: entry.challengeClaim,
    spiffeTrustDomain: entry.spiffeTrustDomain,
    issuerType: entry.type,
    subjectDomain: entry.subjectDomain,
    skipEmailVerification: entry.skipEmailVerification,
  };
}
