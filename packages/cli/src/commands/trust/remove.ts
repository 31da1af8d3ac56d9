// SPDX-License-Identifier: Apache-2.0
import { findHome, forget, placeOf, recall, recallNamed } from "../../home.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Forget a remembered installation",
  details: "What was cached of it is removed. A data directory on this machine is not touched.",
  flags: {},
  operands: { name: "NAME", brief: "Its name, address or path", maximum: 1 },
  async run({ env, terminal }, _flags, [name]) {
    const home = findHome(env);
    const installation = await recallNamed(home, name!);
    await forget(home, installation);
    terminal.say(`Forgot ${plain(placeOf(installation))}.`);
    if ((await recall(home)) === undefined)
      terminal.say("Nothing is trusted by default now: lacre trust use NAME chooses another.");
  },
});
