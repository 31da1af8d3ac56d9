// SPDX-License-Identifier: Apache-2.0
/** The strict parser beside the platform's own: what ours takes is what theirs takes, and its canonical form is stable. */
import { isDeepStrictEqual } from "node:util";
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { canonicalJson, JsonObject, parseJson } from "../packages/core/src/codec/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";

export const name = "json";

export const seeds: Uint8Array[] = [
  '{"a":[1,-2.5e3,"x\\u00e9\\n\\"",true,null,{"b":{}}],"__proto__":{"c":"\\ud83d\\ude00"}}',
  '{"logIndex":"9223372036854775807","treeSize":12,"bytes":"AQID","list":["AA=="],"tree_size":null}',
  "[[[[[[[[]]]]]]]]",
  '"\\\\\\""',
  " 1e999 ",
].map(utf8);

export function target(bytes: Uint8Array): void {
  const value = parseJson(bytes);
  if (!isDeepStrictEqual(value, JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes))))
    throw new Error("not what JSON.parse reads");
  const canonical = canonicalJson(value);
  if (canonicalJson(parseJson(canonical)) !== canonical) throw new Error("the canonical form is not stable");
  const object = new JsonObject(value, "it");
  for (const member of object.keys()) {
    for (const read of [
      "optionalString",
      "optionalBytes",
      "optionalLooseBytes",
      "optionalInt64",
      "optionalArray",
      "optionalBoolean",
      "optionalObject",
      "bytesArray",
    ] as const) {
      try {
        object[read](member);
      } catch (error) {
        if (!(error instanceof LacreError)) throw error;
      }
    }
  }
  if (object.unread().length > 0) throw new Error("a member that was asked for is unread");
}
