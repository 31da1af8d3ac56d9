// SPDX-License-Identifier: Apache-2.0
/**
 * The time that a document says it was made at, where nothing rests on it: `SOURCE_DATE_EPOCH` (seconds since 1970,
 * reproducible-builds.org) makes the same document twice. Never the time of a signature, which a timestamp or a log proves.
 */
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";

/** Milliseconds since 1970. Throws USAGE for a variable that is no such number. */
export function documentTime({ env, now }: Pick<Context, "env" | "now">): number {
  const given = env["SOURCE_DATE_EPOCH"] ?? "";
  if (given === "") return now();
  if (!/^\d{1,11}$/.test(given)) throw new CliError("USAGE", "SOURCE_DATE_EPOCH is not a number of seconds since 1970");
  return Number(given) * 1000;
}
