// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { decodeBundle, encodeBundle, type LogEntry } from "@lacre/core/bundle";
import { equalBytes } from "@lacre/core/bytes";
import { findEntriesV1 } from "@lacre/core/client";
import { sha256 } from "@lacre/core/crypto";
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { writeWhole } from "../../home.ts";
import { readNamed } from "../../trust.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Write a bundle again in the present version of the format",
  details: `A bundle of version 0.1 may have a ledger's promise alone; the present version needs the proof, and the ledger of --rekor-url
is asked for it. Certificates beside the signer's are left out: verifiers have their own. Nothing is verified here.`,
  isCosign: true,
  flags: {
    out: text("Where it goes (default standard output)", { placeholder: "file" }),
    rekorUrl: text("The ledger to ask for a missing proof", { placeholder: "url" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "BUNDLE", brief: "The bundle", maximum: 1 },
  async run(given, flags, [path]) {
    const context = applyGlobals(given, flags);
    const bundle = decodeBundle(await readNamed(context, path!));
    const prove = async (entry: LogEntry): Promise<LogEntry> => {
      if (entry.inclusionProof !== undefined && entry.inclusionProof.checkpoint !== "") return entry;
      const digest = bundle.content.kind === "dsse" ? sha256(bundle.content.payload) : bundle.content.digest?.value;
      if (flags.rekorUrl === undefined || digest === undefined) {
        throw new CliError("USAGE", "an entry of the bundle has no proof, and no ledger is named to ask for it", {
          hint: "Give --rekor-url URL.",
        });
      }
      const found = await findEntriesV1({ url: flags.rekorUrl, fetch: context.fetch }, { algorithm: "sha256", value: digest });
      const same = found.find(
        (one) => one.logIndex === entry.logIndex && equalBytes(one.canonicalizedBody, entry.canonicalizedBody),
      );
      if (same === undefined) throw new CliError("FILE_UNREADABLE", `the ledger at ${flags.rekorUrl} gives out no such entry`);
      // The promise that was verified once stays: it is what the signature's time rests on.
      return { ...entry, inclusionProof: same.inclusionProof };
    };
    const json = encodeBundle({ ...bundle, logEntries: await Promise.all(bundle.logEntries.map(prove)) });
    if (flags.out === undefined) context.terminal.result(json);
    else await writeWhole(resolve(context.cwd, flags.out), json, 0o644);
  },
});
