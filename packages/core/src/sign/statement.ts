// SPDX-License-Identifier: Apache-2.0
/** In-toto statements (v1), as they are signed. */
import { toHex, utf8 } from "../bytes/index.ts";
import type { Json } from "../codec/index.ts";
import type { HashName } from "../crypto/index.ts";

/** What a statement is about. */
export interface Subject {
  readonly name: string;
  readonly digest: { readonly algorithm: HashName; readonly value: Uint8Array };
}

/** The octets of a statement: what is said (`predicate`, of `predicateType`) about the subjects. */
export function encodeStatement(subjects: readonly Subject[], predicateType: string, predicate: Json): Uint8Array {
  return utf8(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: subjects.map(({ name, digest }) => ({ name, digest: { [digest.algorithm]: toHex(digest.value) } })),
      predicateType,
      predicate,
    }),
  );
}
