// SPDX-License-Identifier: Apache-2.0
/**
 * Services as cosign's `trusted-root create` and `signing-config create` describe them: one flag a service, its facts as
 * `key=value` with commas between.
 *
 *     url=https://rekor.example,public-key=rekor.pub,start-time=2026-01-01T00:00:00Z
 *
 * A key that is not known, given twice or missing is refused: what is passed over here would be missed in a verification,
 * years later.
 */
import { parseTime } from "@lacre/core/trust";
import { LacreError } from "@lacre/core/errors";
import { CliError } from "./errors.ts";
import { plain } from "./terminal.ts";

/** What a service's description may hold, and what it must. */
export interface SpecShape {
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

/** The facts of one description. Throws USAGE. */
export function parseSpec(flag: string, given: string, { required, optional }: SpecShape): Readonly<Record<string, string>> {
  const facts: Record<string, string> = {};
  for (const pair of given.split(",")) {
    const cut = pair.indexOf("=");
    const [key, value] = cut < 0 ? [pair.trim(), ""] : [pair.slice(0, cut).trim(), pair.slice(cut + 1).trim()];
    const wrong = (words: string): CliError =>
      new CliError("USAGE", `--${flag}: ${plain(key).slice(0, 60)} ${words}`, {
        hint: `Needed: ${required.join(", ")}. Possible: ${optional.join(", ")}.`,
      });
    if (cut < 0) throw wrong("is no key=value");
    if (![...required, ...optional].includes(key)) throw wrong("is not known");
    if (Object.hasOwn(facts, key)) throw wrong("is given twice");
    if (value === "") throw wrong("is empty");
    facts[key] = value;
  }
  const missing = required.filter((key) => !Object.hasOwn(facts, key));
  if (missing.length > 0)
    throw new CliError("USAGE", `--${flag}: ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing`);
  const { url } = facts;
  if (url !== undefined && (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)))
    throw new CliError("USAGE", `--${flag}: url is not an http or https address: ${plain(url).slice(0, 100)}`);
  return facts;
}

/** The window of a description. Throws USAGE. */
export function readSpecWindow(
  flag: string,
  facts: Readonly<Record<string, string>>,
  defaultStartMs?: number,
): { readonly startMs: number; readonly endMs: number | undefined } {
  const read = (key: string): number | undefined => {
    const text = facts[key];
    if (text === undefined) return undefined;
    try {
      return parseTime(text);
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      throw new CliError("USAGE", `--${flag}: ${key} is no time like 2026-01-31T12:00:00Z: ${plain(text).slice(0, 60)}`);
    }
  };
  const startMs = read("start-time") ?? defaultStartMs;
  const endMs = read("end-time");
  if (startMs === undefined) throw new CliError("USAGE", `--${flag}: start-time is missing`);
  if (endMs !== undefined && endMs < startMs) throw new CliError("USAGE", `--${flag}: end-time is before start-time`);
  return { startMs, endMs };
}
