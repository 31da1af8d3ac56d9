// SPDX-License-Identifier: Apache-2.0
/** Identity tokens, as far as they are read before anything is verified. */
import { LacreError } from "../packages/core/src/errors.ts";
import { decodeToken } from "../packages/services/src/ca/token.ts";
import { ServiceError } from "../packages/services/src/errors.ts";

export const name = "token";

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = {
  iss: "https://issuer.example",
  sub: "s",
  aud: ["sigstore"],
  exp: 2_000_000_000,
  nbf: 1,
  email: "a@b.c",
  email_verified: true,
  federated_claims: { connector_id: "x" },
};

export const seeds: Uint8Array[] = [
  Buffer.from(`${encode({ alg: "RS256", kid: "k", typ: "JWT" })}.${encode(claims)}.${"A".repeat(342)}`),
  Buffer.from(`${encode({ alg: "none" })}.${encode({})}.`),
  Buffer.from(`${encode({ alg: "ES256", crit: ["b64"], b64: false })}.${encode([])}.AA`),
];

export function target(bytes: Uint8Array): void {
  try {
    decodeToken(Buffer.from(bytes).toString("latin1"));
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new LacreError("BAD_JSON", error.detail ?? error.code);
  }
}
