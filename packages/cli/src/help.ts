// SPDX-License-Identifier: Apache-2.0
/**
 * Help, completion, and what is said of a line that names no verb: the application of the argument parser, with the verb
 * that is asked about in full and the others by name. A line that can be run never comes here.
 */
import {
  buildApplication,
  buildCommand,
  buildRouteMap,
  type Application,
  type Command,
  type CommandContext,
  proposeCompletions,
  type RouteMap,
  run as runApplication,
  text_en,
} from "@stricli/core";
import { HELP } from "./arguments.ts";
import { VERBS, type VerbEntry } from "./commands/index.ts";
import type { Context } from "./context.ts";
import { plain } from "./terminal.ts";
import type { Flag, Verb } from "./verb.ts";

/** Verbs by the words that name them. */
export type Loaded = Readonly<Record<string, Verb>>;

/** Writes help for these words, or that there is no such verb. Returns the exit status. */
export async function showHelp(words: readonly string[], loaded: Loaded, context: Context): Promise<number> {
  if (words.length === 0 || (words.length === 1 && HELP.has(words[0]!))) {
    context.process.stdout.write(formatOverview());
    return 0;
  }
  const parser: {
    readonly stdout: { write(text: string): void };
    readonly stderr: { write(text: string): void };
    readonly env: Readonly<Record<string, string>>;
    exitCode?: number | string | null;
  } = { ...context.process, env: { STRICLI_NO_COLOR: "1" } };
  await runApplication(createApp(loaded), words, { ...context, process: parser } as never);
  // Negative statuses are the parser's own: an unknown verb, a bad value.
  return Number(parser.exitCode ?? 0) < 0 ? 2 : 0;
}

/** What may come next on a line; the last word is being written. */
export async function complete(words: readonly string[], loaded: Loaded, context: Context): Promise<readonly string[]> {
  const proposals = await proposeCompletions(createApp(loaded), words.length === 0 ? [""] : words, context as never);
  return proposals.map(({ completion }) => completion);
}

/** The application with these verbs in full; verbs of a group by both words. */
function createApp(loaded: Loaded): Application<Context> {
  const commandOf = (name: string, { brief }: VerbEntry): Command<Context & CommandContext> =>
    describe(loaded[name]?.about ?? { brief, flags: {} });
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
    docs: { brief: "Seal software and verify seals: who made it, when, from what." },
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

/** A verb as the parser describes it: nothing is ever run by it. */
function describe({ brief, details, flags, operands }: Verb["about"]): Command<Context & CommandContext> {
  const entries = Object.entries(flags);
  const positional =
    operands === undefined
      ? { kind: "tuple", parameters: [] }
      : { kind: "array", parameter: { brief: operands.brief, placeholder: operands.name, parse: String } };
  const parameters = {
    flags: Object.fromEntries(entries.map(([name, flag]) => [name, parameterOf(flag)])),
    aliases: Object.fromEntries(entries.flatMap(([name, flag]) => (flag.alias === undefined ? [] : [[flag.alias, name]]))),
    positional,
  };
  return buildCommand({
    docs: { brief, ...(details === undefined ? {} : { fullDescription: `${brief}\n\n${details}` }) },
    // The table's types are ours; the parser's cannot be computed from a mapped type.
    parameters: parameters as never,
    func: () => undefined,
  }) as unknown as Command<Context & CommandContext>;
}

function parameterOf(flag: Flag): object {
  const { brief, hidden = false } = flag;
  if (flag.kind === "toggle") return { kind: "boolean", optional: true, brief, hidden, withNegated: false };
  const placeholder = flag.placeholder ?? (flag.kind === "choice" ? flag.values.join("|") : "value");
  const completions = flag.kind === "choice" ? { proposeCompletions: (): readonly string[] => flag.values } : {};
  return {
    kind: "parsed",
    optional: true,
    brief,
    placeholder,
    parse: String,
    ...(flag.kind === "list" ? { variadic: true } : { hidden }),
    ...completions,
  };
}

const OVERVIEW = `Seal software and verify seals: who made it, when, from what.

  lacre up                                                 run an installation here
  lacre sign ./FILE --bundle OUT                           seal a file
  lacre verify ./FILE --bundle OUT \\
    --certificate-identity WHO --certificate-oidc-issuer URL   check it
`;

/** The verbs by what they are for, in the order of a first reading. Each stands in one group. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  "Files and images": ["sign", "verify", "explain", "policy"],
  Files: ["sign-blob", "verify-blob", "bundle"],
  Images: ["tree", "copy", "save", "load", "clean", "prune", "attach", "download", "generate", "triangulate"],
  "What uses images": ["dockerfile", "manifest"],
  Registries: ["login", "logout", "upload"],
  Statements: ["attest", "verify-attestation", "attest-blob", "verify-blob-attestation"],
  Git: ["verify-commit", "verify-tag"],
  Keys: ["generate-key-pair", "import-key-pair", "public-key", "pkcs11-tool"],
  Trust: ["initialize", "trust", "trusted-root", "signing-config"],
  Logs: ["log", "monitor"],
  "An installation": ["up", "token"],
  "This command": ["env", "completion", "version"],
};

/** What `lacre --help` says. */
function formatOverview(): string {
  const width = Math.max(...Object.keys(VERBS).map((name) => name.length)) + 2;
  const groups = Object.entries(GROUPS).map(
    ([heading, names]) => `${heading}\n${names.map((name) => `  ${name.padEnd(width)}${VERBS[name]!.brief}\n`).join("")}`,
  );
  const end = `lacre VERB --help says more of each.

Exit status: 0 verified or done, 1 refused, 2 usage, 3 could not look; images: 10 to 13 as cosign has them.\n`;
  return [OVERVIEW, ...groups, end].join("\n");
}

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
