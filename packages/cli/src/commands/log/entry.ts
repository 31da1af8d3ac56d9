// SPDX-License-Identifier: Apache-2.0
import { toHex } from "@lacre/core/bytes";
import { applyGlobals } from "../../globals.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, type Verb } from "../../verb.ts";
import { formatJson, LOG_FLAGS, openLog, readIndex, tell } from "./reading.ts";

export const verb: Verb = defineVerb({
  brief: "Show an entry, proved to be in the log",
  details: "  lacre log entry 42\n  lacre log entry 42 --output json | jq -r .body | base64 -d",
  flags: LOG_FLAGS,
  operands: { name: "INDEX", brief: "The entry's index", maximum: 1 },
  async run(given, flags, [index]) {
    const context = applyGlobals(given, flags);
    const at = readIndex(index!, "INDEX");
    const { log, reader } = await openLog(context, flags);
    const checkpoint = await reader.log.checkpoint();
    const proven = await reader.log.entry(at, checkpoint);
    if (flags.output === "json") {
      context.terminal.result(
        JSON.stringify({ log: log.origin, size: Number(checkpoint.size), ...formatJson(proven, log.kind) }),
      );
      return;
    }
    const { kind, who, issuer, digests, serial } = tell(proven, log.kind);
    const lines: [string, string][] = [
      ["entry", `${at} of ${checkpoint.size} in ${log.origin}`],
      ["leaf", toHex(proven.leafHash)],
      ["kind", kind],
      ...who.map((name): [string, string] => ["signer", name]),
    ];
    if (issuer !== undefined) lines.push(["issuer", issuer]);
    for (const digest of digests) lines.push(["digest", digest]);
    if (serial !== undefined) lines.push(["serial", serial]);
    for (const [name, value] of lines) context.terminal.result(`${name.padEnd(8)}${plain(value)}`);
    if (log.kind === "artifacts") context.terminal.result(`body    ${plain(Buffer.from(proven.entry).toString())}`);
  },
});
