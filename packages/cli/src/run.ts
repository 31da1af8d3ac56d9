// SPDX-License-Identifier: Apache-2.0
/** From arguments to exit status: the verb is loaded, the line read and run, any failure explained. */
import { readLine } from "./arguments.ts";
import { findEntry } from "./commands/index.ts";
import type { Context } from "./context.ts";
import { reportOf } from "./errors.ts";
import { formatReport } from "./report.ts";
import { openOutput, standardInput } from "./standard.ts";
import { Terminal } from "./terminal.ts";
import type { Verb } from "./verb.ts";

/** Runs the command line in this process and sets its exit status. */
export async function main(args: readonly string[]): Promise<void> {
  const stdout = openOutput(1);
  const stderr = openOutput(2);
  process.exitCode = await runLine(args, {
    process: { stdout, stderr },
    terminal: new Terminal({ stdout, stderr, stdin: standardInput, env: process.env, now: Date.now }),
    env: process.env,
    cwd: process.cwd(),
    now: Date.now,
    fetch: async (url, init) => {
      await prepareNetwork();
      return fetch(url, init);
    },
    stdin: standardInput,
    async openBrowser(url) {
      const { default: open } = await import("open");
      const child = await open(url);
      child.on("error", () => undefined);
      child.unref();
    },
  });
}

/** Proxies and certificates of the environment count from the first request on; without one, nothing of it is read. */
async function prepareNetwork(): Promise<void> {
  if (
    ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SSL_CERT_FILE"].every((name) => (process.env[name] ?? "") === "")
  )
    return;
  (await import("./transport.ts")).prepareNetwork(process.env);
}

/** Runs a command line in a given world and returns its exit status. */
export async function runLine(args: readonly string[], world: Omit<Context, "propose">): Promise<number> {
  const context: Context = { ...world, propose: (words) => propose(words, context) };
  try {
    const words = findVerb(args);
    const { name, verb, rest } = await load(words);
    if (verb === undefined) return await help(words, {}, context);
    const line = readLine(rest, verb.shapes, verb.isCosign ? world.env : {});
    if (typeof line === "string") return await help([...name, line], { [name.join(" ")]: verb }, context);
    for (const warning of line.warnings) world.terminal.warn(warning);
    return await verb.run(context, line);
  } catch (error) {
    return explain(error, context, wantsJson(args));
  }
}

async function help(words: readonly string[], loaded: Readonly<Record<string, Verb>>, context: Context): Promise<number> {
  const { showHelp } = await import("./help.ts");
  return showHelp(words, loaded, context);
}

/** The verb that the words begin with, and what follows its name. */
async function load(
  words: readonly string[],
): Promise<{ readonly name: readonly string[]; readonly verb: Verb | undefined; readonly rest: readonly string[] }> {
  const found = findEntry(words);
  const count = found?.words ?? 0;
  return { name: words.slice(0, count), verb: found && (await found.entry.load()).verb, rest: words.slice(count) };
}

/** Flags that may stand before the verb, and whether they take a value. */
const LEADING: Readonly<Record<string, boolean>> = {
  "-t": true,
  "--timeout": true,
  "--output-file": true,
  "-d": false,
  "--verbose": false,
};

/** The line with its verb in front: cosign's scripts have global flags before it, and people ask `help VERB`. */
function findVerb(args: readonly string[]): readonly string[] {
  if (args[0] === "help") return [...args.slice(1), "--help"];
  let at = 0;
  while (at < args.length && args[at]!.startsWith("-")) {
    const takesValue = LEADING[args[at]!.split("=")[0]!];
    if (takesValue === undefined) return args;
    at += takesValue && !args[at]!.includes("=") ? 2 : 1;
  }
  return at === 0 || at >= args.length ? args : [args[at]!, ...args.slice(0, at), ...args.slice(at + 1)];
}

/** What may follow these words: verbs, flags, values. */
async function propose(words: readonly string[], context: Context): Promise<readonly string[]> {
  // The last word is being written.
  const { name, verb } = await load(words.slice(0, -1));
  const { complete } = await import("./help.ts");
  return complete(words, verb === undefined ? {} : { [name.join(" ")]: verb }, context);
}

/** Writes what went wrong and what to do, for people on stderr and, where JSON was asked for, as JSON on stdout. */
function explain(error: unknown, context: Context, asJson: boolean): number {
  const report = reportOf(error);
  if (asJson) context.terminal.result(JSON.stringify({ error: { ...report } }));
  context.terminal.complain(formatReport(report, (text) => context.terminal.style("stderr", "red", text)));
  if (context.env["LACRE_DEBUG"] === "1") {
    for (let cause = error; cause instanceof Error; cause = cause.cause) context.terminal.complain(cause.stack ?? cause.message);
  }
  return report.status;
}

function wantsJson(args: readonly string[]): boolean {
  return args.some(
    (argument, i) =>
      argument === "--output=json" ||
      argument === "-o=json" ||
      argument === "-ojson" ||
      (argument === "json" && ["--output", "-o", "-output"].includes(args[i - 1] ?? "")),
  );
}
