// SPDX-License-Identifier: Apache-2.0
/**
 * A verdict read back: what `verdict.schema.json` says, checked without a schema engine (a test holds the two against one
 * another). A saved verdict is somebody's word. Reading it proves that it has the form of one, and nothing else.
 */
import { parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { CHECKS, VERDICT_SCHEMA, type Verdict } from "./verdict.ts";

/** Refuses a value that is not as it should be; `where` is its path, for the refusal. */
type Shape = (value: Json, where: string) => void;

function wrong(where: string, expected: string): LacreError {
  return new LacreError("VERDICT_INVALID", `${where} of the verdict is not what a verdict has there`, { expected });
}

const text: Shape = (value, where) => {
  if (typeof value !== "string") throw wrong(where, "text");
};

const matching =
  (pattern: RegExp): Shape =>
  (value, where) => {
    if (typeof value !== "string" || !pattern.test(value)) throw wrong(where, `text like ${pattern.source}`);
  };

const oneOf =
  (...values: readonly string[]): Shape =>
  (value, where) => {
    if (typeof value !== "string" || !values.includes(value)) throw wrong(where, values.slice(0, 6).join(" or "));
  };

const listOf =
  (inner: Shape): Shape =>
  (value, where) => {
    if (!Array.isArray(value)) throw wrong(where, "a list");
    (value as readonly Json[]).forEach((item, at) => inner(item, `${where}[${at}]`));
  };

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object of these members and no others; a `?` behind a name says that it may be absent. */
const object =
  (members: Readonly<Record<string, Shape>>): Shape =>
  (value, where) => {
    if (!isObject(value)) throw wrong(where, "an object");
    for (const [name, inner] of Object.entries(members)) {
      const plainName = name.replace("?", "");
      if (Object.hasOwn(value, plainName)) inner(value[plainName]!, `${where}.${plainName}`);
      else if (plainName === name) throw wrong(`${where}.${plainName}`, "to be there");
    }
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(members, name) && !Object.hasOwn(members, `${name}?`))
        throw wrong(`${where}.${name.slice(0, 40)}`, "not to be there");
    }
  };

const textByName: Shape = (value, where) => {
  if (!isObject(value)) throw wrong(where, "an object");
  for (const [name, item] of Object.entries(value)) text(item, `${where}.${name.slice(0, 40)}`);
};

const anything: Shape = () => undefined;
const decimal = matching(/^(?:0|[1-9][0-9]*)$/);

const number: Shape = (value, where) => {
  if (typeof value !== "number") throw wrong(where, "a number");
};

const PLAIN = { id: text, name: text };
const SAID = object({ ...PLAIN, status: oneOf("pass", "assumed", "skipped"), "evidence?": text });
const DECIDED = object({
  ...PLAIN,
  status: oneOf("fail", "unknown"),
  code: matching(/^[A-Z][A-Z0-9_]*$/),
  message: text,
  hint: text,
  "expected?": text,
  "found?": text,
  "evidence?": text,
});

const IDS = Object.keys(CHECKS);

const checks: Shape = (value, where) => {
  if (!Array.isArray(value) || value.length !== IDS.length) throw wrong(where, `${IDS.length} checks`);
  (value as readonly Json[]).forEach((check, at) => {
    const path = `${where}[${at}]`;
    const status = isObject(check) ? check["status"] : undefined;
    (status === "fail" || status === "unknown" ? DECIDED : SAID)(check, path);
    if ((check as { id: string }).id !== IDS[at]) throw wrong(`${path}.id`, IDS[at]!);
  });
};

const COMMON: Readonly<Record<string, Shape>> = {
  schema: oneOf(VERDICT_SCHEMA),
  outcome: oneOf("verified", "refused"),
  checks,
  warnings: listOf(text),
  "trustedRoot?": object({ "source?": text, "reason?": text, "digest?": text }),
};

const PROVED: Readonly<Record<string, Shape>> = {
  mediaType: text,
  "identity?": object({
    kind: oneOf("email", "uri", "other"),
    value: text,
    "issuer?": text,
    claims: textByName,
    "serial?": matching(/^(?:[0-9a-f]{2})+$/),
  }),
  "key?": matching(/^sha256:[0-9a-f]{64}$/),
  algorithm: text,
  times: listOf(object({ timeMs: number, kind: oneOf("timestamp", "log"), source: text })),
  logEntries: listOf(
    object({
      logId: matching(/^[0-9a-f]{64}$/),
      log: text,
      "logIndex?": decimal,
      "treeIndex?": decimal,
      "treeSize?": decimal,
      kind: text,
      version: text,
    }),
  ),
  "artifact?": object({
    "sha256?": matching(/^[0-9a-f]{64}$/),
    "sha384?": matching(/^[0-9a-f]{96}$/),
    "sha512?": matching(/^[0-9a-f]{128}$/),
  }),
  "payloadType?": text,
  "payload?": text,
  "subjects?": listOf(object({ "name?": text, digests: textByName })),
  "predicateType?": text,
  "predicate?": anything,
};

const REFUSED = object(COMMON);
const VERIFIED = object({ ...COMMON, ...PROVED });

/**
 * Reads a verdict that was saved as JSON. It proves nothing about the artifact: whoever wrote the file may have written
 * anything. Throws BAD_JSON, BAD_UTF8, TOO_LARGE, and VERDICT_INVALID for what is no verdict of this version.
 */
export function decodeVerdict(input: Uint8Array): Verdict {
  const value = parseJson(input);
  if (!isObject(value) || value["schema"] !== VERDICT_SCHEMA) {
    const schema = isObject(value) ? value["schema"] : undefined;
    throw new LacreError("VERDICT_INVALID", "the document is no verdict", {
      expected: `schema ${VERDICT_SCHEMA}`,
      found: typeof schema === "string" ? `schema ${schema.slice(0, 80)}` : "no schema",
    });
  }
  (value["outcome"] === "verified" ? VERIFIED : REFUSED)(value, "verdict");
  return value as unknown as Verdict;
}
