// SPDX-License-Identifier: Apache-2.0
import { createSearchReader, type SearchResult } from "@lacre/core/search";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { applyGlobals } from "../../globals.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";
import { QUERY_FLAGS, readQuery } from "./query.ts";
import { formatJson, formatLine, LOG_FLAGS, openLog, type OpenLog, readIndex } from "./reading.ts";

const MAX_LIMIT = 100_000;
/** What the search service proves in one answer. */
const PROVED_AT_ONCE = 100;

export const verb: Verb = defineVerb({
  brief: "Find entries: all of them, or a proof that there are none",
  details: `  lacre log search --email you@example.com
  lacre log search --repository https://github.com/org/repo --issuer https://token.actions.githubusercontent.com
  lacre log search --file ./app --output json

Nothing the log says is believed: each entry is proved to be in it, the index is proved to have no others up to the size that
is named, and what is not in the index yet is read entry by entry. Exit status: 0 answered, found or not; 1 the log's answer
does not hold; 3 could not look.`,
  flags: {
    ...QUERY_FLAGS,
    after: text("Only entries behind this index: where the last answer ended", { placeholder: "index" }),
    limit: text("Entries to find at most (default 100)", { placeholder: "count" }),
    ...LOG_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    const criteria = await readQuery(context, flags);
    if (criteria.length === 0)
      throw new CliError("USAGE", "there is nothing to look for", {
        hint: "Give --digest, --file, --email, --identity, --issuer, --domain, --repository, --key or --certificate.",
      });
    const limit = readIndex(flags.limit ?? "100", "--limit");
    if (limit < 1 || limit > MAX_LIMIT) throw new CliError("USAGE", `--limit is from 1 to ${MAX_LIMIT}`);
    const opened = await openLog(context, flags);
    const after = flags.after === undefined ? undefined : readIndex(flags.after, "--after");
    const match = flags.any === true ? "any" : "all";
    const reader = await prefetched(opened, criteria, { match, limit, after });
    report(context, opened, await reader.search({ keys: criteria, match, limit, after }), flags.output === "json");
  },
});

/** A reader whose pages the log's search service sends in one answer, where it has one and the question fits. */
async function prefetched(
  opened: OpenLog,
  criteria: readonly (readonly string[])[],
  { match, limit, after }: { readonly match: string; readonly limit: number; readonly after: number | undefined },
): Promise<OpenLog["reader"]> {
  if (limit > PROVED_AT_ONCE || criteria.length > 8 || criteria.some((keys) => keys.length > 1)) return opened.reader;
  const query = new URLSearchParams(criteria.map(([key]): [string, string] => ["key", key!]));
  for (const [name, value] of Object.entries({ match, limit, after, proof: true }))
    if (value !== undefined) query.set(name, `${value}`);
  const source = await opened.ask(query.toString());
  return source === undefined ? opened.reader : createSearchReader({ source, log: opened.log });
}

function report(
  context: Context,
  { log, where }: OpenLog,
  { hits, size, indexSize, signedBy, next }: SearchResult,
  asJson: boolean,
): void {
  if (asJson) {
    const entries = hits.map((hit) => ({ ...formatJson(hit, log.kind), keys: hit.keys }));
    context.terminal.result(JSON.stringify({ log: log.origin, size, indexSize, signedBy, next: next ?? null, entries }));
    return;
  }
  for (const hit of hits) context.terminal.result(formatLine(hit, log.kind));
  const reach = signedBy === "index" ? `; the files at ${plain(where)} reach no further` : "";
  const rest = next === undefined ? "" : `; more with --after ${next}`;
  context.terminal.say(
    `${hits.length === 0 ? "No entry" : hits.length === 1 ? "1 entry" : `${hits.length} entries`} among the first ${size} of ${plain(log.origin)}, proved${reach}${rest}.`,
  );
}
