// SPDX-License-Identifier: Apache-2.0
/**
 * `lacre monitor`: watches over a log of anybody's, by its address.
 *
 * Findings go to stdout, a line each, and to the sinks of the rules; everything for people is on stderr. It remembers how
 * far it is, so a second run goes on where the first ended. An alarm stays until `--accept` names the very state that the
 * log is in.
 */
import { dirname, join, resolve } from "node:path";
import { createVerifierKey, logVerifierKey, parseCheckpoint, parseVerifierKey, type VerifierKey } from "@lacre/core/bundle";
import { fromBase64, fromHex, text as decodeText, toBase64 } from "@lacre/core/bytes";
import { createWitnessClient } from "@lacre/core/client";
import { LacreError } from "@lacre/core/errors";
import { fetchTiles } from "@lacre/core/log";
import type { Event, Look, Sink, WatchedLog } from "@lacre/services/monitor";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { findHome } from "../home.ts";
import { readPublicKey } from "../keys.ts";
import { plain } from "../terminal.ts";
import { findTrustedRoot, readNamed } from "../trust.ts";
import { choice, defineVerb, type FlagValues, list, text, toggle, type Verb } from "../verb.ts";

const FLAGS = {
  rules: text("What to look for and whom to tell; without it only the log's consistency is watched", { placeholder: "file" }),
  key: text("The log's key: a verifier key (name+id+base64) or a PEM file; default: from the trusted root", {
    placeholder: "key",
  }),
  origin: text("The first line of the log's checkpoints, where it is not the key's name", { placeholder: "name" }),
  entries: choice(["ledger", "certificates"], "What the log holds; default: certificates for a CT log's key"),
  witness: list("Also compare with the checkpoints that this witness cosigned; may be repeated", { placeholder: "url" }),
  store: text("Where it remembers; default: the user's data folder", { placeholder: "dir" }),
  interval: text("Seconds between two looks (default 10)", { placeholder: "seconds" }),
  once: toggle("One look, then end: 0 all is well, 1 an alarm, 3 could not look"),
  accept: text("End an alarm: the log may go on from this state", { placeholder: "size:root" }),
  trustedRoot: text("Where the log's key is taken from, without --key", { placeholder: "file" }),
  dir: text("Data directory of the installation whose trusted root is meant", { placeholder: "dir" }),
  output: choice(["text", "json"], "How to print findings", { alias: "o" }),
  quiet: toggle("Say nothing but findings and errors", { alias: "q" }),
} as const;

export const verb: Verb = defineVerb({
  brief: "Watch over a log: every checkpoint, every entry, and who signs as you",
  details: `  lacre monitor https://ledger.example/api/v2 --rules rules.json
  lacre monitor https://log.example/tiles --key log.example+1f2e3d4c+AY… --once

Exit status with --once: 0 all is well, 1 an alarm, 2 usage, 3 could not look.`,
  flags: FLAGS,
  operands: { name: "URL", brief: "Where checkpoint and tile/ are", maximum: 1 },
  async run(context, flags, [url]) {
    if (flags.quiet === true) context.terminal.quieten();
    const intervalMs = readSeconds(flags.interval ?? "10") * 1000;
    const watched = await describe(context, flags, url!);
    const { createMonitor, createSinks, NO_RULES, openMonitorStore, parseRules } = await import("@lacre/services/monitor");
    const file = flags.rules === undefined ? NO_RULES : parseRules(await readNamed(context, flags.rules), flags.rules);
    const folder = flags.rules === undefined ? context.cwd : dirname(resolve(context.cwd, flags.rules));
    const store = openMonitorStore(
      join(flags.store === undefined ? join(findHome().data, "monitor") : resolve(context.cwd, flags.store), "monitor.db"),
      "lacre-monitor",
    );
    if (flags.accept !== undefined) {
      const { size, root } = readState(flags.accept);
      store.accept(watched.origin, size, toBase64(root));
    }
    const sinks = [
      stdoutSink(context, flags.output === "json"),
      ...createSinks(file.sinks, { folder, fetch: context.fetch, timeoutMs: 10_000 }),
    ];
    const say = (fields: object, message: string): void => context.terminal.say(`${message}: ${plain(JSON.stringify(fields))}`);
    const monitor = createMonitor({
      logs: [watched],
      rules: file.rules,
      sinks,
      store,
      intervalMs,
      now: context.now,
      log: { info: say, warn: say, error: say },
      heartbeat: file.heartbeat === undefined ? undefined : resolve(folder, file.heartbeat),
    });
    try {
      if (flags.once === true) return report(context, await monitor.round());
      context.terminal.say(`Watching ${watched.origin} every ${intervalMs / 1000} s; end with Ctrl-C.`);
      monitor.start();
      await awaitSignal();
      return 0;
    } finally {
      await monitor.close();
    }
  },
});

function report(context: Context, [look]: readonly Look[]): number {
  const { status, size, read, matches, reason } = look!;
  const said = {
    current: `all is well: ${size} entries, ${read} of them new, ${matches} matches`,
    alarm: `ALARM: ${reason}`,
    unreadable: `could not look: ${reason}`,
  }[status];
  context.terminal.say(plain(said));
  return { current: 0, alarm: 1, unreadable: 3 }[status];
}

function stdoutSink(context: Context, asJson: boolean): Sink {
  return {
    name: "stdout",
    send: async (event) =>
      context.terminal.result(asJson ? JSON.stringify({ id: event.id, kind: event.kind, ...event.body }) : plain(lineOf(event))),
  };
}

function lineOf({ kind, body }: Event): string {
  const facts = body as {
    readonly origin: string;
    readonly rule?: string;
    readonly index?: number;
    readonly identities?: readonly string[];
    readonly digests?: readonly string[];
    readonly reason?: string;
  };
  if (kind === "match")
    return `match ${facts.rule} ${facts.origin} ${facts.index} ${[...(facts.identities ?? []), ...(facts.digests ?? [])].join(" ")}`;
  return kind === "alarm" ? `ALARM ${facts.origin} ${facts.reason}` : `accepted ${facts.origin}`;
}

/** The log that is meant: its key from the command line, or from the trusted root by the name it gives itself. */
async function describe(context: Context, flags: FlagValues<typeof FLAGS>, url: string): Promise<WatchedLog> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new CliError("USAGE", `${JSON.stringify(url.slice(0, 80))} is not an http or https address`);
  const { CERTIFICATE_ENTRIES, LEDGER_ENTRIES } = await import("@lacre/services/monitor");
  const source = fetchTiles({ url, fetch: context.fetch });
  const key = flags.key === undefined ? undefined : await readKey(context, flags.key, flags.origin);
  const { origin, verifier } =
    key === undefined ? await recognise(context, flags, source) : { origin: flags.origin ?? key.name, verifier: key };
  const isCertificates = (flags.entries ?? (verifier.kind === "rfc6962" ? "certificates" : "ledger")) === "certificates";
  const views = (flags.witness ?? []).map((at) => {
    const client = createWitnessClient({ url: at, fetch: context.fetch, retries: 0 });
    return { by: `witness ${new URL(at).host}`, latest: () => client.latest(origin) };
  });
  return { origin, key: verifier, source, entries: isCertificates ? CERTIFICATE_ENTRIES : LEDGER_ENTRIES, views };
}

async function readKey(context: Context, given: string, origin: string | undefined): Promise<VerifierKey> {
  if (/^[^+/\\]+(?:\/[^+]*)?\+[0-9a-f]{8}\+/.test(given)) return parseVerifierKey(given);
  if (origin === undefined) throw new CliError("USAGE", "--origin is missing: a PEM file does not say which log's key it is");
  return logVerifierKey(origin, await readPublicKey(context, given));
}

/** A log by the origin of its checkpoint, which is believed for nothing but finding the key that has to have signed it. */
async function recognise(
  context: Context,
  flags: FlagValues<typeof FLAGS>,
  source: (path: string) => Promise<Uint8Array | undefined>,
): Promise<{ readonly origin: string; readonly verifier: VerifierKey }> {
  const { value: root } = await findTrustedRoot(context, flags);
  const bytes = await source("checkpoint");
  const origin = originOf(bytes);
  const ct = root.ctlogs.find(({ name }) => name === origin);
  if (ct !== undefined) return { origin, verifier: createVerifierKey(origin, "rfc6962", ct.key) };
  // Rekor's v1 logs add the number of their tree.
  const log = root.tlogs.find(
    ({ name }) => origin === name || (origin.startsWith(`${name} - `) && /^\d+$/.test(origin.slice(name.length + 3))),
  );
  if (log === undefined)
    throw new CliError("TRUST_MISSING", `the trusted root does not know the log ${plain(origin.slice(0, 120))}`, {
      hint: "Give its key with --key.",
    });
  return { origin, verifier: logVerifierKey(log.name, log.key) };
}

/** What a checkpoint calls its log. */
function originOf(bytes: Uint8Array | undefined): string {
  try {
    if (bytes !== undefined) return parseCheckpoint(decodeText(bytes)).origin;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new LacreError("SERVICE_ANSWER_INVALID", `what is at this address is no checkpoint: ${cause.message}`, { cause });
  }
  throw new LacreError("SERVICE_ANSWER_INVALID", "there is no checkpoint at this address");
}

function readSeconds(given: string): number {
  const seconds = Number(given);
  if (!/^\d{1,6}(?:\.\d{1,3})?$/.test(given) || seconds < 0.05)
    throw new CliError("USAGE", `--interval is a number of seconds, not ${JSON.stringify(given.slice(0, 40))}`);
  return seconds;
}

/** `size:root`, the root in hexadecimal or base64. */
function readState(given: string): { readonly size: number; readonly root: Uint8Array } {
  const [, size, root] = /^(\d{1,15}):([\w+/=]+)$/.exec(given) ?? [];
  if (size !== undefined && root !== undefined) {
    const bytes = /^[0-9a-fA-F]{64}$/.test(root) ? fromHex(root) : root.length === 44 ? fromBase64(root) : undefined;
    if (bytes?.length === 32) return { size: Number(size), root: bytes };
  }
  throw new CliError("USAGE", "--accept is SIZE:ROOT, the root in hexadecimal or base64");
}

function awaitSignal(): Promise<void> {
  return new Promise((end) => {
    // Timers of the monitor hold nothing open; this does.
    const hold = setInterval(() => undefined, 1 << 30);
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(name, () => {
        clearInterval(hold);
        end();
      });
    }
  });
}
