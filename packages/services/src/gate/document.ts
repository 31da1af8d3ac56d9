// SPDX-License-Identifier: Apache-2.0
/**
 * A policy's text, YAML or JSON, as plain data.
 *
 * What makes two readers of YAML disagree, or a small file large, is refused and not merely bounded: anchors and aliases,
 * merge keys, tags, directives, several documents, duplicate keys, keys that are no strings, a byte order mark. Size is
 * checked before anything is parsed, depth before anything is built. Numbers are whole and exact. A text that begins with
 * `{` is JSON, by the library's strict reader.
 */
import { isAlias, isMap, isPair, isScalar, isSeq, parseDocument, visit } from "yaml";
import { text } from "@lacre/core/bytes";
import { type Json, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";

const MAX_BYTES = 256 << 10;
const MAX_DEPTH = 24;
const MAX_NODES = 20_000;

/** The data of a text. `where` names it in refusals. Throws POLICY_INVALID, TOO_LARGE. */
export function readDocument(bytes: Uint8Array, where: string): Json {
  if (bytes.length > MAX_BYTES)
    throw new LacreError("TOO_LARGE", `${where} is too large`, {
      expected: `at most ${MAX_BYTES} octets`,
      found: `${bytes.length}`,
    });
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) throw wrong(where, "begins with a byte order mark");
  let source: string;
  try {
    source = text(bytes);
  } catch (cause) {
    throw wrong(where, "is not UTF-8", { cause });
  }
  checkNesting(source, where);
  if (/^\s*\{/.test(source)) {
    try {
      return parseJson(source, { maxBytes: MAX_BYTES, maxDepth: MAX_DEPTH });
    } catch (cause) {
      if (cause instanceof LacreError && cause.code === "TOO_LARGE") throw cause;
      throw wrong(where, "begins with { and is not JSON", { cause, found: (cause as Error).message });
    }
  }
  return readYaml(source, where);
}

/** A refusal of a policy: one sentence that begins with the place. */
export function wrong(
  where: string,
  sentence: string,
  detail: { readonly expected?: string; readonly found?: string; readonly cause?: unknown } = {},
): LacreError {
  return new LacreError("POLICY_INVALID", `${where} ${sentence}`, detail);
}

// YAML's composer calls itself once a level. An upper bound that needs no grammar: brackets that are open at once, and
// collections begun on one line (`- - - x`, `? ? x`). Indentation cannot nest deeper than lines are long.
function checkNesting(source: string, where: string): void {
  let open = 0;
  let deepest = 0;
  for (const letter of source) {
    if (letter === "[" || letter === "{") deepest = Math.max(deepest, ++open);
    else if ((letter === "]" || letter === "}") && open > 0) open--;
  }
  const begun = Math.max(0, ...[...source.matchAll(/^[ \t]*(?:[-?:][ \t]+)+/gm)].map(([match]) => match.length));
  if (deepest > 10 * MAX_DEPTH || begun > 10 * MAX_DEPTH)
    throw new LacreError("TOO_LARGE", `${where} is nested too deep`, { expected: `at most ${MAX_DEPTH} levels` });
}

// Both cost the square of the text: keys are compared below, and one error is enough.
const QUICK = { uniqueKeys: false, prettyErrors: false } as const;

function readYaml(source: string, where: string): Json {
  let document;
  try {
    document = parseDocument(source, { version: "1.2", schema: "core", merge: false, stringKeys: true, ...QUICK });
  } catch (cause) {
    // A stack that runs out is a text that is too deep.
    throw new LacreError("TOO_LARGE", `${where} cannot be read`, { cause });
  }
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined)
    throw wrong(where, "is not YAML as it is read here", { found: problem.message.split("\n")[0]!, cause: problem });
  const { yaml, tags } = document.directives;
  if (yaml.explicit === true || Object.keys(tags).length > 1) throw wrong(where, "has a directive (%), which is not read");
  let nodes = 0;
  visit(document, (_, node) => {
    if (++nodes > MAX_NODES)
      throw new LacreError("TOO_LARGE", `${where} has too many values`, { expected: `at most ${MAX_NODES}` });
    if (isAlias(node)) throw wrong(where, "has an alias, which is not read", { found: `*${node.source}` });
    if (isPair(node)) {
      if (!isScalar(node.key) || typeof node.key.value !== "string") throw wrong(where, "has a key that is no text");
      if (node.key.value === "<<") throw wrong(where, "has a merge key (<<), which is not read");
      return undefined;
    }
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) return undefined;
    if (node.anchor !== undefined) throw wrong(where, "has an anchor, which is not read", { found: `&${node.anchor}` });
    if (node.tag !== undefined) throw wrong(where, "has a tag, which is not read", { found: node.tag });
    return undefined;
  });
  return plain(document.contents, where, 0);
}

function plain(node: unknown, where: string, depth: number): Json {
  if (depth > MAX_DEPTH)
    throw new LacreError("TOO_LARGE", `${where} is nested too deep`, { expected: `at most ${MAX_DEPTH} levels` });
  if (node === null || node === undefined) return null;
  if (isSeq(node)) return node.items.map((item) => plain(item, where, depth + 1));
  if (isMap(node)) {
    // Keys are data: `__proto__` is one like another.
    const members = new Map<string, Json>();
    for (const pair of node.items) {
      const name = (pair.key as { readonly value: string }).value;
      if (members.has(name)) throw wrong(where, "has a name twice in one mapping", { found: name.slice(0, 60) });
      members.set(name, plain(pair.value, where, depth + 1));
    }
    return Object.fromEntries(members);
  }
  if (!isScalar(node)) throw wrong(where, "has a value that is not read");
  const { value } = node;
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw wrong(where, "has a number that is not whole and exact", { found: (node.source ?? typeof value).slice(0, 40) });
}
