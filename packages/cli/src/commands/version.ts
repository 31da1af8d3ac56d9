// SPDX-License-Identifier: Apache-2.0
import { readVersion } from "../release.ts";
import { choice, defineVerb, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print the version",
  flags: {
    output: choice(["text", "json"], "How to print it", { alias: "o" }),
    json: toggle("As JSON, with cosign's members too", { hidden: true }),
  },
  async run({ terminal }, flags) {
    const version = readVersion();
    const facts = { version, node: process.versions.node, platform: `${process.platform}-${process.arch}` };
    if (flags.json === true) {
      const platform = `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`;
      // What cosign prints, so that a script that reads it finds its members.
      terminal.result(JSON.stringify({ gitVersion: `v${version}`, compiler: "node", ...facts, platform }, null, 2));
      return;
    }
    terminal.result(flags.output === "json" ? JSON.stringify(facts) : `lacre ${version} (Node ${facts.node}, ${facts.platform})`);
  },
});
