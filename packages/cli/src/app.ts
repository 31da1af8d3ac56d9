// SPDX-License-Identifier: Apache-2.0
/** The application of the argument parser: the verb that is asked for in full, the others by name. */
import {
  buildApplication,
  buildCommand,
  buildRouteMap,
  type Application,
  type Command,
  type CommandContext,
  type RouteMap,
  text_en,
} from "@stricli/core";
import { VERBS, type VerbEntry } from "./commands/index.ts";
import type { Context } from "./context.ts";
import { plain } from "./terminal.ts";
import type { Verb } from "./verb.ts";

/** Builds the application with these verbs in full; verbs of a group by both words. */
export function createApp(loaded: Readonly<Record<string, Verb>>): Application<Context> {
  const commandOf = (name: string, { brief }: VerbEntry): Command<Context & CommandContext> =>
    loaded[name]?.command ?? buildCommand({ docs: { brief }, parameters: { flags: {} }, func: () => undefined });
  const routes: Record<string, Command<Context & CommandContext> | RouteMap<Context & CommandContext>> = {};
  for (const [name, entry] of Object.entries(VERBS)) {
    if ("load" in entry) routes[name] = commandOf(name, entry);
    else
      routes[name] = buildRouteMap({
        routes: Object.fromEntries(
          Object.entries(entry.verbs).map(([second, one]) => [second, commandOf(`${name} ${second}`, one)]),
        ),
        docs: { brief: entry.brief },
      });
  }
  const root = buildRouteMap<string, Context>({
    routes,
    docs: { brief: "Seal software and verify seals: who made it, when, from what.", fullDescription: OVERVIEW },
  });
  const text = {
    ...text_en,
    exceptionWhileParsingArguments: messageOf,
    noCommandRegisteredForInput: ({ input, corrections }: { input: string; corrections: readonly string[] }) =>
      noVerb(input, corrections),
  };
  return buildApplication<Context>(root, {
    name: "lacre",
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { caseStyle: "convert-camel-to-kebab", onlyRequiredInUsageLine: true, disableAnsiColor: true },
    localization: { text },
  });
}

const OVERVIEW = `Seal software and verify seals: who made it, when, from what.

  lacre up                                                 run an installation here
  lacre sign ./FILE --bundle OUT                           seal a file
  lacre verify ./FILE --bundle OUT \\
    --certificate-identity WHO --certificate-oidc-issuer URL   check it

Exit status: 0 verified or done, 1 refused, 2 usage, 3 could not look.`;

function messageOf(error: unknown): string {
  return `error: ${error instanceof Error ? plain(error.message) : "the command line could not be read"}`;
}

function noVerb(input: string, corrections: readonly string[]): string {
  const near =
    corrections.length === 0
      ? "See lacre --help."
      : `Did you mean ${corrections.map((word) => word.replaceAll("`", "")).join(" or ")}?`;
  return `error: there is no command ${plain(input)} [USAGE]\n  hint:     ${near}`;
}
