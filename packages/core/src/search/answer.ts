// SPDX-License-Identifier: Apache-2.0
/**
 * Answers of a log's search service, with proof: not believed, but read as a source of the files that a reader needs.
 *
 *     { "checkpoint": note, "proof": { "indexRoot": note, "pages": [{ "path", "offset", "bytes": base64 }, …] }, … }
 *
 * A reader that is given this source asks the log itself only for tiles and bundles: one answer in place of some thirty
 * range requests. What the service says was found is not even looked at; the reader finds it again, and proves it.
 */
import { utf8 } from "../bytes/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { ROOT_PATH } from "./root.ts";
import type { SearchSource } from "./source.ts";

/** An answer has up to a hundred entries and some pages for each segment. */
const MAX_BYTES = 32 << 20;
const MAX_PAGES = 20_000;

/** The files that an answer brings; others come from `rest`. Throws BAD_JSON, BAD_BASE64, TOO_LARGE. */
export function answerSource(answer: Uint8Array, rest: SearchSource): SearchSource {
  const object = new JsonObject(parseJson(answer, { maxBytes: MAX_BYTES }), "answer");
  const proof = object.object("proof");
  const files = new Map([
    ["checkpoint", utf8(object.string("checkpoint"))],
    [ROOT_PATH, utf8(proof.string("indexRoot"))],
  ]);
  const pages = new Map<string, Uint8Array>();
  for (const page of proof.objects(MAX_PAGES, "pages"))
    pages.set(`${page.string("path")} ${page.int64("offset")}`, page.bytes("bytes"));
  return {
    file: async (path) => files.get(path) ?? rest.file(path),
    range: async (path, offset, length) => {
      const bytes = pages.get(`${path} ${offset}`);
      return bytes?.length === length ? bytes : rest.range(path, offset, length);
    },
  };
}
