// SPDX-License-Identifier: Apache-2.0
import { choose, findHome, placeOf, recallNamed } from "../../home.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Make a remembered installation the one that is meant when nothing says otherwise",
  flags: {},
  operands: { name: "NAME", brief: "Its name, address or path", maximum: 1 },
  async run({ env, terminal }, _flags, [name]) {
    const home = findHome(env);
    const installation = await recallNamed(home, name!);
    await choose(home, installation);
    terminal.say(`${plain(placeOf(installation))} (root ${installation.rootDigest}) is trusted where nothing else is named.`);
  },
});
