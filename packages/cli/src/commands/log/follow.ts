// SPDX-License-Identifier: Apache-2.0
import type { Checkpoint } from "@lacre/core/bundle";
import { LacreError } from "@lacre/core/errors";
import { keysOfCertificateEntry, keysOfEntry, mayHavePayload, payloadPath } from "@lacre/core/search";
import type { ProvenEntry } from "@lacre/core/log";
import { CliError } from "../../errors.ts";
import { applyGlobals } from "../../globals.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";
import { QUERY_FLAGS, readQuery } from "./query.ts";
import { formatJson, formatLine, LOG_FLAGS, openLog, type OpenLog, readIndex } from "./reading.ts";

export const verb: Verb = defineVerb({
  brief: "Print new entries as they come, each proved",
  details: `  lacre log follow
  lacre log follow --from 0 --domain example.com --output json

Every checkpoint is proved to continue the one before. Ends with SIGINT, exit 0; a log that contradicts itself ends it with 1.
A log that does not answer is asked again.`,
  flags: {
    ...QUERY_FLAGS,
    from: text("The first entry to print (default: the next one that comes)", { placeholder: "index" }),
    interval: text("Seconds between two looks (default 2)", { placeholder: "seconds" }),
    ...LOG_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    const criteria = await readQuery(context, flags);
    const intervalMs = 1000 * Number(flags.interval ?? "2");
    if (!(intervalMs >= 50 && intervalMs <= 86_400_000))
      throw new CliError("USAGE", "--interval is a number of seconds, from 0.05 to 86400");
    const from = flags.from === undefined ? undefined : readIndex(flags.from, "--from");
    const opened = await openLog(context, flags);
    const { log, reader } = opened;
    const ended = awaitEnd();
    let last: Checkpoint = await reader.log.checkpoint();
    let next = from ?? Number(last.size);
    context.terminal.say(`Following ${plain(log.origin)} from entry ${next}; end with Ctrl-C.`);
    for (let seen = last; ;) {
      try {
        if (seen.size !== last.size) await reader.log.proveConsistency(last, seen);
        last = seen;
        for await (const proven of reader.log.entries(next, Number(last.size), last)) {
          if (ended.isNow) return 0;
          if (await isWanted(opened, proven, criteria, flags.any === true)) {
            context.terminal.result(
              flags.output === "json" ? JSON.stringify(formatJson(proven, log.kind)) : formatLine(proven, log.kind),
            );
          }
          next = proven.index + 1;
        }
      } catch (cause) {
        if (!isPassing(cause)) throw cause;
        context.terminal.warn(`${plain((cause as Error).message)}; asking again`);
      }
      if (await ended.within(intervalMs)) return 0;
      seen = await reader.log.checkpoint().catch((cause: unknown) => {
        if (!isPassing(cause)) throw cause;
        context.terminal.warn(`${plain((cause as Error).message)}; asking again`);
        return last;
      });
    }
  },
});

/** The log could not be asked: it says nothing about the log. */
function isPassing(cause: unknown): boolean {
  return cause instanceof LacreError && (cause.code === "SERVICE_UNREACHABLE" || cause.code === "LOG_INCOMPLETE");
}

async function isWanted(
  { log, source }: OpenLog,
  { entry, leafHash }: ProvenEntry,
  criteria: readonly (readonly string[])[],
  any: boolean,
): Promise<boolean> {
  if (criteria.length === 0) return true;
  const payload = log.kind === "artifacts" && mayHavePayload(entry) ? await source.file(payloadPath(leafHash)) : undefined;
  const own = new Set(
    log.kind === "certificates" ? keysOfCertificateEntry(entry, leafHash) : keysOfEntry(entry, leafHash, payload),
  );
  const isMet = (keys: readonly string[]): boolean => keys.some((key) => own.has(key));
  return any ? criteria.some(isMet) : criteria.every(isMet);
}

/** Whether the person has had enough. */
function awaitEnd(): { readonly isNow: boolean; within(ms: number): Promise<boolean> } {
  let isNow = false;
  let wake = (): void => {};
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () => {
      isNow = true;
      wake();
    });
  }
  return {
    get isNow() {
      return isNow;
    },
    within: (ms) =>
      new Promise((resolve) => {
        if (isNow) return resolve(true);
        const timer = setTimeout(() => resolve(false), ms);
        wake = () => {
          clearTimeout(timer);
          resolve(true);
        };
      }),
  };
}
