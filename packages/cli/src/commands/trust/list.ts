// SPDX-License-Identifier: Apache-2.0
import { findHome, placeOf, recall, recallAll } from "../../home.ts";
import { plain } from "../../terminal.ts";
import { choice, defineVerb, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "List the installations that are remembered, and which one is meant",
  flags: { output: choice(["text", "json"], "How to list them", { alias: "o" }) },
  async run({ env, terminal }, flags) {
    const home = findHome(env);
    const [installations, current] = [await recallAll(home), await recall(home)];
    const rows = installations.map((one) => ({
      ...(one.name === undefined ? {} : { name: one.name }),
      kind: one.kind,
      place: placeOf(one),
      rootDigest: one.rootDigest,
      isCurrent: current !== undefined && placeOf(one) === placeOf(current),
    }));
    if (flags.output === "json") terminal.result(JSON.stringify(rows));
    else if (rows.length === 0) terminal.say("No installation is remembered. lacre initialize and lacre up remember one.");
    else
      terminal.result(
        rows
          .map(
            ({ isCurrent, name, place, rootDigest }) =>
              `${isCurrent ? "*" : " "} ${plain(name ?? "-").padEnd(12)} ${plain(place)}  ${rootDigest}`,
          )
          .join("\n"),
      );
  },
});
