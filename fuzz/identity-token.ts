// SPDX-License-Identifier: Apache-2.0
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { readToken } from "../packages/core/src/sign/index.ts";

export const name = "identity-token";

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: object): Uint8Array => utf8(`${part({ alg: "RS256" })}.${part(claims)}.c2ln`);

export const seeds: Uint8Array[] = [
  jwt({ iss: "https://issuer.example", sub: "me", aud: "sigstore", exp: 2_000_000_000 }),
  jwt({ iss: "https://issuer.example", sub: "me", aud: ["a", "b"], exp: 1, email: "me@example.com", email_verified: true }),
  utf8("a.b.c"),
  utf8('{"iss":"https://issuer.example","sub":"me","exp":1,"email":"me@example.com","email_verified":true}'),
];

export function target(bytes: Uint8Array): void {
  // The claims alone first, so that mutations reach behind the encoding.
  try {
    readToken(`e30.${Buffer.from(bytes).toString("base64url")}.c2ln`);
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  readToken(Buffer.from(bytes).toString("latin1"), 1_700_000_000_000);
}
