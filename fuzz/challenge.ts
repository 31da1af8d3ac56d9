// SPDX-License-Identifier: Apache-2.0
/** WWW-Authenticate: any text is read without an error, and in little time. */
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { parseChallenge } from "../packages/core/src/oci/challenge.ts";

export const name = "challenge";

export const seeds: Uint8Array[] = [
  'Bearer realm="https://tokens.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push"',
  'Negotiate, Basic realm="a \\"quoted\\" one", Bearer realm=x',
  "Basic",
].map(utf8);

export function target(bytes: Uint8Array): void {
  const challenge = parseChallenge(text(bytes));
  if (challenge?.kind === "bearer" && typeof challenge.realm !== "string") throw new Error("a bearer challenge without a realm");
}
