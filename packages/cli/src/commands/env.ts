// SPDX-License-Identifier: Apache-2.0
import { ENVIRONMENT } from "../environment.ts";
import { plain } from "../terminal.ts";
import { choice, defineVerb, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "List the environment variables that count, and which are set",
  details: "Values of secrets are never shown: a variable that is set says so.",
  isCosign: true,
  flags: {
    showDescriptions: toggle("Show what each is for (default true)"),
    showSensitiveValues: toggle("Not honoured: secrets are not shown", { hidden: true }),
    output: choice(["text", "json"], "How to list them", { alias: "o" }),
  },
  async run({ env, terminal }, flags) {
    if (flags.showSensitiveValues === true)
      terminal.warn("--show-sensitive-values is not honoured: a secret on a terminal ends in a log");
    const rows = ENVIRONMENT.map(({ name, brief, isSecret = false }) => {
      const value = env[name] ?? "";
      return { name, brief, isSet: value !== "", isSecret, value: value === "" || isSecret ? undefined : value };
    });
    if (flags.output === "json") {
      terminal.result(JSON.stringify(rows));
      return;
    }
    const lines = rows.flatMap(({ name, brief, isSet, isSecret, value = "" }) => [
      ...(flags.showDescriptions === false ? [] : [`# ${brief}`]),
      `${name}=${isSet && isSecret ? "(set, not shown)" : plain(value)}`,
    ]);
    terminal.result(lines.join("\n"));
  },
});
