// SPDX-License-Identifier: Apache-2.0
/**
 * `lacre up`: serves an installation until it is told to stop.
 *
 * stdout is one line, `lacre ready <url>`, printed when requests succeed; programs wait for it. Everything for people is on
 * stderr. SIGINT, SIGTERM and SIGHUP end it gracefully: what was taken in is answered first. A second signal, later than
 * the echo that a terminal and a launcher make of the first, ends it at once. Started by the launcher, it also ends when
 * the launcher is gone (LACRE_LAUNCHER): npm may be killed without passing a signal on.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fromBase64, fromHex } from "@lacre/core/bytes";
import type { Running, ServiceName } from "@lacre/services";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { digestOf, findHome, remember, trustFolder } from "../home.ts";
import { readNamed } from "../trust.ts";
import { readVersion } from "../release.ts";
import { defineVerb, text, toggle, type FlagValues, type Verb } from "../verb.ts";

const FLAGS = {
  dir: text("Data directory (default LACRE_DIR, else ./.lacre)", { placeholder: "dir" }),
  listen: text("Where to listen (default LACRE_LISTEN, else localhost:7800)", { placeholder: "host:port" }),
  config: text("Configuration file, instead of lacre.json in the directory", { placeholder: "file" }),
  check: toggle("Read the configuration, say whether it is valid, and end"),
  only: text("Serve only these parts, as ca,ledger", { placeholder: "parts" }),
  accept: text("Go on from this tree although the record of the last one is missing or ahead", { placeholder: "size:root,…" }),
  verbose: toggle("Log every request", { alias: "d" }),
  quiet: toggle("Say nothing but errors", { alias: "q" }),
} as const;

export const verb: Verb = defineVerb({
  brief: "Run a whole installation: authority, ledger, clock, trust, identity",
  details: `One process, one directory, one listener. The directory is made when it is missing, and is the installation: keep it,
and keep it to yourself. stdout is one line, "lacre ready URL", when requests succeed.`,
  flags: FLAGS,
  async run(context, flags) {
    if (flags.quiet === true) context.terminal.quieten();
    const dir = resolve(context.cwd, flags.dir ?? (context.env["LACRE_DIR"] || ".lacre"));
    if (flags.check === true) return checkConfiguration(context, dir, flags.config);
    const { parseListen, SERVICE_NAMES, up } = await import("@lacre/services");
    const only = flags.only?.split(",").map((name) => name.trim());
    const unknown = only?.find((name) => !(SERVICE_NAMES as readonly string[]).includes(name));
    if (unknown !== undefined)
      throw new CliError("USAGE", `--only: there is no part ${JSON.stringify(unknown.slice(0, 40))}`, {
        hint: `Parts: ${SERVICE_NAMES.join(", ")}.`,
      });
    const { pino } = await import("pino");
    const log = pino({ level: flags.verbose === true ? "info" : "warn", base: null }, pino.destination({ fd: 2, sync: true }));
    const listen = parseListen(flags.listen ?? (context.env["LACRE_LISTEN"] || "localhost:7800"));
    const stop = awaitSignal(context);
    const running = await up({
      dir,
      listen,
      config: flags.config === undefined ? undefined : resolve(context.cwd, flags.config),
      only: only === undefined ? undefined : new Set(only as ServiceName[]),
      accept: flags.accept === undefined ? undefined : readAccept(flags.accept),
      log: log as never,
    });
    const isCurrent = await rememberOwn(context, dir);
    announce(context, running, dir, isCurrent, flags);
    context.terminal.result(`lacre ready ${running.url}`);
    const reason = await Promise.race([stop, running.failed]);
    if (reason instanceof Error) context.terminal.complain(`lacre: ${reason.message}`);
    await running.close();
    if (reason instanceof Error) throw reason;
  },
});

async function checkConfiguration(context: Context, dir: string, config: string | undefined): Promise<number> {
  const { parseConfig } = await import("@lacre/services");
  const path = config === undefined ? join(dir, "lacre.json") : resolve(context.cwd, config);
  if (config === undefined && !existsSync(path)) {
    context.terminal.say(`There is no installation in ${dir} yet; lacre up creates one with the defaults.`);
    return 0;
  }
  parseConfig(await readNamed(context, path), path);
  context.terminal.say(`${path} is valid.`);
  return 0;
}

/** `size:root`, the root in hexadecimal or base64; one for each log that needs it, separated by commas. */
function readAccept(given: string): { readonly size: number; readonly root: Uint8Array }[] {
  return given.split(",").map(readTree);
}

function readTree(given: string): { readonly size: number; readonly root: Uint8Array } {
  const [, size, root] = /^(\d{1,15}):([\w+/=]+)$/.exec(given) ?? [];
  if (size !== undefined && root !== undefined) {
    const bytes = /^[0-9a-fA-F]{64}$/.test(root) ? fromHex(root) : root.length === 44 ? fromBase64(root) : undefined;
    if (bytes?.length === 32) return { size: Number(size), root: bytes };
  }
  throw new CliError("USAGE", "--accept is SIZE:ROOT, the root in hexadecimal or base64");
}

/** Resolves with the first signal, or when the launcher that started us is gone. */
function awaitSignal(context: Context): Promise<string> {
  return new Promise((end) => {
    let firstMs: number | undefined;
    const take = (name: string): void => {
      if (firstMs !== undefined && context.now() - firstMs > 2000) process.exit(130);
      firstMs ??= context.now();
      end(name);
    };
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, take);
    const launcher = context.env["LACRE_LAUNCHER"];
    if (launcher !== undefined && Number(launcher) === process.ppid) {
      const watch = setInterval(() => {
        if (process.ppid !== Number(launcher)) {
          clearInterval(watch);
          end("the launcher is gone");
        }
      }, 250);
      watch.unref();
    }
  });
}

/** Remembers this installation for the user. That is a convenience: failing to do so stops nothing. */
async function rememberOwn(context: Context, dir: string): Promise<boolean> {
  try {
    const root = await readFile(join(trustFolder(dir), "root.json"));
    return await remember(findHome(), { kind: "directory", path: dir, rootDigest: digestOf(root) }, { current: "if-free" });
  } catch (error) {
    context.terminal.warn(`this installation is not remembered: ${(error as Error).message}`);
    return false;
  }
}

function announce(context: Context, running: Running, dir: string, isCurrent: boolean, flags: FlagValues<typeof FLAGS>): void {
  const { terminal } = context;
  const { facts, created } = running.installation;
  const bold = (words: string): string => terminal.style("stderr", "bold", words);
  const trust = trustFolder(dir);
  terminal.say("");
  terminal.say(
    `${bold(`lacre ${readVersion()}`)} serves installation ${facts.id} at ${bold(running.url)}${created ? ", created just now" : ""}`,
  );
  if (facts.mode === "development") {
    terminal.say(
      `${terminal.style("stderr", ["yellow", "bold"], "DEVELOPMENT INSTALLATION:")} it gives an identity to anybody who asks. Prove nothing to others with it.`,
    );
  }
  terminal.say(`  data    ${dir} (keys inside: keep it to yourself)`);
  terminal.say(`  trust   ${trust}/  trusted_root.json, signing_config.v0.2.json, trust_config.json, root.json`);
  terminal.say(`  TUF     ${running.url}/tuf`);
  if (facts.mode !== "development" || flags.only !== undefined) {
    terminal.say("");
    return;
  }
  // Named where something else is trusted by default, or where another default is asked for by name.
  const here = isCurrent ? "" : ` --dir ${quote(relative(context.cwd, dir) || ".")}`;
  const file = ["README.md", "package.json"].find((name) => existsSync(resolve(context.cwd, name)));
  const artifact = file === undefined ? quote(join(trust, "root.json")) : `./${file}`;
  const bundle = quote(`${file ?? "root.json"}.sigstore.json`);
  terminal.say("");
  terminal.say("Next, in another terminal in this folder:");
  terminal.say(`  npx lacre token${here} --email you@example.com > token`);
  terminal.say(`  npx lacre sign ${artifact} --identity-token token --bundle ${bundle}${here}`);
  terminal.say(
    `  npx lacre verify ${artifact} --bundle ${bundle}${here} --certificate-identity you@example.com --certificate-oidc-issuer ${running.url}/oidc`,
  );
  terminal.say("");
}

/** A word for the shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
