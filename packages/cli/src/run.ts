// SPDX-License-Identifier: Apache-2.0
/** From arguments to exit status: the line is normalised, the verb loaded and run, any failure explained. */
import { proposeCompletions, run as runApplication } from "@stricli/core";
import { createApp } from "./app.ts";
import { normalize } from "./arguments.ts";
import { findEntry } from "./commands/index.ts";
import type { Context } from "./context.ts";
import { reportOf } from "./errors.ts";
import { formatReport } from "./report.ts";
import { Terminal } from "./terminal.ts";

interface StricliProcess {
  readonly stdout: { write(text: string): void };
  readonly stderr: { write(text: string): void };
  readonly env: Readonly<Record<string, string>>;
  exitCode?: number | string | null;
}

/** Runs the command line in this process and sets its exit status. */
export async function main(args: readonly string[]): Promise<void> {
  const terminal = new Terminal({
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    now: Date.now,
  });
  // A reader that goes away (`lacre verify … | head`) is no failure of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
  process.exitCode = await runLine(args, {
    process: { stdout: process.stdout, stderr: process.stderr },
    terminal,
    env: process.env,
    cwd: process.cwd(),
    now: Date.now,
    fetch: (url, init) => fetch(url, init),
    stdin: process.stdin,
    async openBrowser(url) {
      const { default: open } = await import("open");
      const child = await open(url);
      child.on("error", () => undefined);
      child.unref();
    },
  });
}

/** Runs a command line in a given world and returns its exit status. */
export async function runLine(args: readonly string[], world: Omit<Context, "end" | "fail" | "propose">): Promise<number> {
  let status: number | undefined;
  let failure: unknown;
  const context: Context = {
    ...world,
    end: (given) => {
      status = given;
    },
    fail: (error) => {
      failure = error ?? new Error("unknown failure");
    },
    propose: (words) => propose(words, context),
  };
  try {
    const words = findVerb(args);
    const found = findEntry(words);
    const verb = found === undefined ? undefined : (await found.entry.load()).verb;
    const names = words.slice(0, found?.words);
    let inputs = words;
    if (verb !== undefined) {
      const line = normalize(words.slice(names.length), verb.shapes, verb.isCosign ? world.env : {});
      for (const warning of line.warnings) world.terminal.warn(warning);
      if (line.operands !== undefined) verb.checkOperands(line.operands);
      inputs = [...names, ...line.inputs];
    }
    const parser: StricliProcess = { ...world.process, env: { STRICLI_NO_COLOR: "1" } };
    await runApplication(createApp(verb === undefined ? {} : { [names.join(" ")]: verb }), inputs, {
      ...context,
      process: parser,
    } as never);
    if (failure !== undefined) throw failure;
    // Negative statuses are the parser's own: an unknown verb, a bad value.
    return status ?? (Number(parser.exitCode ?? 0) < 0 ? 2 : 0);
  } catch (error) {
    return explain(error, context, wantsJson(args));
  }
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
  const found = findEntry(words.slice(0, -1));
  const app = createApp(found === undefined ? {} : { [words.slice(0, found.words).join(" ")]: (await found.entry.load()).verb });
  const proposals = await proposeCompletions(app, words.length === 0 ? [""] : words, context as never);
  return proposals.map(({ completion }) => completion);
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
