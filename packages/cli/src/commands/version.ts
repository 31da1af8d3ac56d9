// SPDX-License-Identifier: Apache-2.0
import { readVersion } from "../release.ts";
import { choice, defineVerb, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print the version",
  flags: { output: choice(["text", "json"], "How to print it", { alias: "o" }) },
  async run({ terminal }, flags) {
    const version = readVersion();
    const facts = { version, node: process.versions.node, platform: `${process.platform}-${process.arch}` };
    terminal.result(flags.output === "json" ? JSON.stringify(facts) : `lacre ${version} (Node ${facts.node}, ${facts.platform})`);
  },
});
