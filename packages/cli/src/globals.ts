// SPDX-License-Identifier: Apache-2.0
/**
 * Flags that cosign knows before and behind a verb: how long the whole may take, how much is told, and where results go.
 */
import { createWriteStream } from "node:fs";
import { resolve } from "node:path";
import type { Fetch } from "@lacre/core/client";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { plain } from "./terminal.ts";
import { text, toggle, type FlagTable, type FlagValues } from "./verb.ts";

export const GLOBAL_FLAGS = {
  timeout: text("Limit for the whole command, as 90s or 3m (default none; each request has its own)", {
    alias: "t",
    placeholder: "duration",
  }),
  verbose: toggle("Tell every request", { alias: "d" }),
  outputFile: text("Write results to this file instead of standard output", { placeholder: "file" }),
  quiet: toggle("Say nothing but errors; the exit status tells", { alias: "q" }),
} as const satisfies FlagTable;

export type GlobalFlags = FlagValues<typeof GLOBAL_FLAGS>;

/** Puts the global flags into effect: the context to go on with, whose requests end at the limit. */
export function applyGlobals(context: Context, flags: GlobalFlags): Context {
  if (flags.quiet === true) context.terminal.quieten();
  if (flags.outputFile !== undefined) {
    const file = createWriteStream(resolve(context.cwd, flags.outputFile));
    file.on("error", (cause) => context.terminal.complain(`cannot write ${plain(flags.outputFile!)}: ${cause.message}`));
    context.terminal.redirect(file);
  }
  // No limit unless asked for: hashing a very large file is not a fault.
  const limitMs = parseDuration(flags.timeout ?? "0");
  const limit = limitMs === 0 ? undefined : AbortSignal.timeout(limitMs);
  const dress = (fetch: Fetch): Fetch => {
    const limited: Fetch =
      limit === undefined
        ? fetch
        : (url, init) =>
            fetch(url, {
              ...init,
              signal: init?.signal === undefined ? limit : AbortSignal.any([limit, init.signal as AbortSignal]),
            });
    return flags.verbose === true ? tell(context, limited) : limited;
  };
  return { ...context, fetch: dress(context.fetch), dress };
}

/** Says what is asked of whom, and what came back: never a header, never a body, and of a query only that there is one. */
function tell(context: Context, ask: Fetch): Fetch {
  return async (address, init) => {
    const began = context.now();
    // Addresses that a store of content hands out let in whoever has their query.
    const url = address.replace(/\?.*$/s, "?…");
    try {
      const answer = await ask(address, init);
      context.terminal.say(`${init?.method ?? "GET"} ${plain(url)} → ${answer.status} (${context.now() - began} ms)`);
      return answer;
    } catch (error) {
      context.terminal.say(`${init?.method ?? "GET"} ${plain(url)} → no answer (${context.now() - began} ms)`);
      throw error;
    }
  };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as Go writes it: `90s`, `1m30s`, `1.5h`, `0`. Throws USAGE. */
export function parseDuration(given: string): number {
  if (given === "0") return 0;
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== given) {
    throw new CliError("USAGE", `${JSON.stringify(given.slice(0, 40))} is no duration`, {
      hint: "Write it like 90s, 1m30s or 2h.",
    });
  }
  const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
  return Math.min(Math.round(ms), 0x7fffffff);
}
