// SPDX-License-Identifier: Apache-2.0
/**
 * The templates of `ci-issuer-metadata`: the little of Go's text/template that published
 * configurations use, parsed once, when the configuration is read.
 *
 *     text {{ .claim }} text {{ index . "dotted/claim" }} {{ if eq A B }} … {{ else }} … {{ end }}
 *
 * A and B are a claim, `(index . "name")` or a quoted string; `{{-` and `-}}` trim white space. A template without `{{` is the name
 * of a claim. A claim that the token and the defaults lack is an error, never an empty text.
 */
import { ServiceError } from "../errors.ts";

/** The claims a template reads, already as text. */
export type Values = ReadonlyMap<string, string>;

/** A parsed template. Throws TOKEN_CLAIMS when a claim is missing. */
export type Template = (values: Values) => string;

const MAX_LENGTH = 4096;
const MAX_DEPTH = 8;

type Token = { readonly kind: "text"; readonly text: string } | { readonly kind: "action"; readonly words: readonly string[] };

/** Parses a template or a bare claim name. Throws CONFIG_INVALID; `where` names the place in the configuration. */
export function parseTemplate(source: string, where: string): Template {
  if (source.length > MAX_LENGTH) throw bad(where, "is too long");
  if (!source.includes("{{")) return (values) => read(values, source);
  const tokens = tokenize(source, where);
  let at = 0;

  function block(depth: number): Template {
    if (depth > MAX_DEPTH) throw bad(where, "is nested too deeply");
    const parts: Template[] = [];
    for (; at < tokens.length; at++) {
      const token = tokens[at]!;
      if (token.kind === "text") {
        parts.push(() => token.text);
        continue;
      }
      const [first] = token.words;
      if (first === "else" || first === "end") break;
      parts.push(first === "if" ? branch(token.words.slice(1), depth) : operand(token.words, where));
    }
    return (values) => parts.map((part) => part(values)).join("");
  }

  function branch(words: readonly string[], depth: number): Template {
    const [operator, ...rest] = words;
    if (operator !== "eq" && operator !== "ne") throw bad(where, "has a condition that is not `eq` or `ne`");
    const [left, right] = split(rest, where);
    at++;
    const then = block(depth + 1);
    let otherwise: Template = () => "";
    if (word(tokens[at]) === "else") {
      at++;
      otherwise = block(depth + 1);
    }
    if (word(tokens[at]) !== "end") throw bad(where, "has an `if` without `end`");
    return (values) => ((left(values) === right(values)) === (operator === "eq") ? then(values) : otherwise(values));
  }

  const whole = block(0);
  if (at < tokens.length) throw bad(where, "has an `else` or `end` without `if`");
  return whole;
}

function bad(where: string, what: string): ServiceError {
  return new ServiceError("CONFIG_INVALID", `template ${where} ${what}`);
}

function word(token: Token | undefined): string | undefined {
  return token?.kind === "action" && token.words.length === 1 ? token.words[0] : undefined;
}

function read(values: Values, name: string): string {
  const value = values.get(name);
  if (value === undefined)
    throw new ServiceError("TOKEN_CLAIMS", undefined, { detail: `the token has no claim ${JSON.stringify(name.slice(0, 80))}` });
  return value;
}

function tokenize(source: string, where: string): Token[] {
  const tokens: Token[] = [];
  let from = 0;
  let trimNext = false;
  for (;;) {
    const open = source.indexOf("{{", from);
    const close = open < 0 ? -1 : source.indexOf("}}", open);
    if (open >= 0 && close < 0) throw bad(where, "has `{{` without `}}`");
    let text = open < 0 ? source.slice(from) : source.slice(from, open);
    if (trimNext) text = text.trimStart();
    let action = open < 0 ? "" : source.slice(open + 2, close);
    if (/^-\s/.test(action)) {
      text = text.trimEnd();
      action = action.slice(1);
    }
    trimNext = /\s-$/.test(action);
    if (trimNext) action = action.slice(0, -1);
    if (text !== "") tokens.push({ kind: "text", text });
    if (open < 0) return tokens;
    tokens.push({ kind: "action", words: words(action, where) });
    from = close + 2;
  }
}

/** Words of an action: names, `.x`, quoted strings, parentheses. */
function words(action: string, where: string): string[] {
  const found = action.match(/"[^"\\]*"|[()]|[^\s()"]+/g) ?? [];
  if (
    found.length === 0 ||
    found.length > 32 ||
    found.join("").length !== action.replace(/\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/g, "").length
  )
    throw bad(where, "has an action that is not understood");
  return found;
}

/** One operand that is the whole action. */
function operand(given: readonly string[], where: string): Template {
  const [value, rest] = take(given, where);
  if (rest.length > 0) throw bad(where, "has an action that is not understood");
  return value;
}

/** The two operands of a comparison. */
function split(given: readonly string[], where: string): [Template, Template] {
  const [left, rest] = take(given, where);
  return [left, operand(rest, where)];
}

function take(given: readonly string[], where: string): [Template, readonly string[]] {
  const [first, second, third, fourth] = given;
  if (first === "(") {
    const close = given.indexOf(")");
    if (close > 1) return [operand(given.slice(1, close), where), given.slice(close + 1)];
  }
  if (first === "index" && second === "." && third?.startsWith('"') === true) {
    const name = third.slice(1, -1);
    return [(values) => read(values, name), given.slice(3)];
  }
  if (first?.startsWith('"') === true) {
    const literal = first.slice(1, -1);
    return [() => literal, given.slice(1)];
  }
  if (first !== undefined && /^\.[A-Za-z_][A-Za-z0-9_]*$/.test(first)) {
    const name = first.slice(1);
    return [(values) => read(values, name), given.slice(1)];
  }
  throw bad(
    where,
    `has an action that is not understood: ${[first, second, third, fourth]
      .filter((part) => part !== undefined)
      .join(" ")
      .slice(0, 80)}`,
  );
}
