// SPDX-License-Identifier: Apache-2.0
/** In-toto statements: none without a subject, no subject without a digest. */
import { decodeStatement } from "../packages/core/src/bundle/index.ts";
import { utf8 } from "../packages/core/src/bytes/index.ts";

export const name = "statement";

export const seeds: Uint8Array[] = [
  '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"00ff","sha512":"aa"}},{"digest":{"gitCommit":"bb"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"a":[1]}}',
  '{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"a","digest":{"sha256":"00ff"}}],"predicateType":"p"}',
].map(utf8);

export function target(bytes: Uint8Array): void {
  const { subjects, predicateType } = decodeStatement(bytes);
  if (subjects.length === 0 || subjects.some(({ digests }) => digests.size === 0) || predicateType === "")
    throw new Error("accepted a statement about nothing");
}
