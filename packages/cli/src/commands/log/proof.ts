// SPDX-License-Identifier: Apache-2.0
import { toBase64, toHex } from "@lacre/core/bytes";
import { formatNote } from "@lacre/core/codec";
import type { TreeState } from "@lacre/core/log";
import { applyGlobals } from "../../globals.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";
import { LOG_FLAGS, openLog, readIndex } from "./reading.ts";

export const verb: Verb = defineVerb({
  brief: "Print the inclusion proof of an entry, checked",
  details: `  lacre log proof 42
  lacre log proof 42 --size 100

With --size the proof is for the tree as it was when it had so many entries; that tree is proved to be the beginning of the
one that the log has signed now.`,
  flags: { size: text("The size of the tree (default: that of the checkpoint)", { placeholder: "count" }), ...LOG_FLAGS },
  operands: { name: "INDEX", brief: "The entry's index", maximum: 1 },
  async run(given, flags, [index]) {
    const context = applyGlobals(given, flags);
    const at = readIndex(index!, "INDEX");
    const { log, reader } = await openLog(context, flags);
    const checkpoint = await reader.log.checkpoint();
    const size = flags.size === undefined ? Number(checkpoint.size) : readIndex(flags.size, "--size");
    const { root, proof: growth } = await reader.log.rootAt(size, checkpoint);
    const tree: TreeState = { size: BigInt(size), root };
    const { leafHash, proof } = await reader.log.entry(at, tree);
    if (flags.output === "json") {
      context.terminal.result(
        JSON.stringify({
          log: log.origin,
          index: at,
          leafHash: toHex(leafHash),
          size,
          root: toHex(root),
          inclusion: proof.map(toBase64),
          consistency: growth.map(toBase64),
          checkpoint: formatNote(checkpoint.note),
        }),
      );
      return;
    }
    context.terminal.result(
      [
        `index ${at}`,
        `size  ${size}`,
        `root  ${toHex(root)}`,
        `leaf  ${toHex(leafHash)}`,
        ...proof.map((hash) => `      ${toHex(hash)}`),
      ].join("\n"),
    );
    context.terminal.say(
      `Entry ${at} is in the tree of ${size} entries, which ${size === Number(checkpoint.size) ? "the log has signed" : `is the beginning of the tree of ${checkpoint.size} that the log has signed`}.`,
    );
  },
});
