// SPDX-License-Identifier: Apache-2.0
/**
 * How a policy's texts fit: exact values, patterns, and globs for names of artifacts. All in linear time (RE2).
 *
 * A pattern has to fit the whole value, whether or not its author wrote `^…$`: `example\.com` does not fit
 * `example.com.evil.org`. Who wants less says `anchored: false`. Nothing trims, folds case or decodes.
 *
 * Globs: `*` is any run of characters but `/`, `**` any run at all, `?` one character but `/`; everything else is itself.
 */
import { RE2JS } from "re2js";
import type { Json } from "@lacre/core/codec";
import { wrong } from "./document.ts";
import { asText, Section } from "./section.ts";

/** A text as it is, or a pattern. */
export interface TextMatcher {
  /** As people read it: the text, or `/pattern/`. */
  readonly shown: string;
  /** The text, when nothing else fits. */
  readonly exact: string | undefined;
  test(value: string): boolean;
}

const MAX_PATTERN = 1000;

/** Reads `text`, or `{pattern, anchored}`. Throws POLICY_INVALID. */
export function readMatcher(value: Json | undefined, where: string): TextMatcher {
  if (typeof value === "string" || value === undefined || value === null) {
    const exact = asText(value, where);
    return exactly(exact);
  }
  const section = new Section(value, where, ["pattern", "anchored"]);
  const source = section.text("pattern");
  const isAnchored = !section.has("anchored") || section.flag("anchored");
  const compiled = compilePattern(source, section.at("pattern"));
  return {
    shown: isAnchored ? `/${source}/` : `/${source}/ anywhere in it`,
    exact: undefined,
    test: (given) => (isAnchored ? compiled.matches(given) : compiled.test(given)),
  };
}

/** A matcher of this text alone. */
export function exactly(exact: string): TextMatcher {
  return { shown: exact, exact, test: (given) => given === exact };
}

/** A glob as a matcher. Throws POLICY_INVALID. */
export function readGlob(value: Json | undefined, where: string): TextMatcher {
  const glob = asText(value, where);
  if (glob.length > MAX_PATTERN) throw wrong(where, "is too long for a glob", { expected: `at most ${MAX_PATTERN} characters` });
  const parts = glob.split(/(\*+|\?)/);
  const pattern = parts.map((part) => {
    if (part === "?") return "[^/]";
    if (part === "*") return "[^/]*";
    if (part.startsWith("*")) return ".*";
    return RE2JS.quote(part);
  });
  if (parts.length === 1) return exactly(glob);
  const compiled = RE2JS.compile(pattern.join(""), RE2JS.DOTALL);
  return { shown: glob, exact: undefined, test: (name) => compiled.matches(name) };
}

/** Compiles an RE2 pattern. Throws POLICY_INVALID. */
export function compilePattern(source: string, where: string): RE2JS {
  if (source.length > MAX_PATTERN)
    throw wrong(where, "is too long for a pattern", { expected: `at most ${MAX_PATTERN} characters` });
  try {
    return RE2JS.compile(source);
  } catch (cause) {
    throw wrong(where, "is not an RE2 pattern", { found: (cause as Error).message.slice(0, 120), cause });
  }
}
