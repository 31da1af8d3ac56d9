// SPDX-License-Identifier: Apache-2.0
/**
 * Tokens that somebody puts into a file and renews there: Kubernetes (a projected service account token), EKS
 * (`AWS_WEB_IDENTITY_TOKEN_FILE`), Azure workload identity (`AZURE_FEDERATED_TOKEN_FILE`). The file is read anew for every
 * use. Clouds make these for their own audience: project a second one for the audience `sigstore`.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import type { Context } from "../context.ts";
import { cannot, checkAudience, type Provider, variable } from "./provider.ts";

/** Where cosign looks. */
const FILE = "/var/run/sigstore/cosign/oidc-token";
const MAX_BYTES = 1 << 16;

function createFileProvider(name: string, find: (context: Context) => string | undefined): Provider {
  return {
    name,
    isPresent(context) {
      const path = find(context);
      return path !== undefined && existsSync(path);
    },
    async token(context, audience) {
      const path = find(context);
      if (path === undefined) throw cannot(name, "the environment names no token file");
      let token: string;
      try {
        if (statSync(path).size > MAX_BYTES) throw new Error("too large");
        token = readFileSync(path, "utf8");
      } catch {
        throw cannot(name, `${path} cannot be read, or holds no token`);
      }
      return checkAudience(name, token, audience);
    },
  };
}

export const filesystem: Provider = createFileProvider(
  "filesystem",
  (context) => variable(context, "LACRE_ID_TOKEN_FILE") ?? FILE,
);
export const aws: Provider = createFileProvider("aws", (context) => variable(context, "AWS_WEB_IDENTITY_TOKEN_FILE"));
export const azure: Provider = createFileProvider("azure", (context) => variable(context, "AZURE_FEDERATED_TOKEN_FILE"));
