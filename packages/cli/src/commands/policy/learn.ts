// SPDX-License-Identifier: Apache-2.0
import { type Evidence, learnPolicy } from "@lacre/services/gate";
import { describeRefusedSeals } from "../../decision.ts";
import { askAnybody, GATE_FLAGS, gatherOperand } from "../../gating.ts";
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { IMAGE_FLAGS } from "../../images/flags.ts";
import { readPublicKey } from "../../keys.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, list, text, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Write the smallest policy that accepts these artifacts",
  details: `  lacre policy learn ./dist/app ./dist/app.tgz > policy.yaml
  lacre policy learn registry.example/app:v1 --trusted-root trusted_root.json

Every seal is verified first: its certificate, its log entry, its time, by the trusted root. Identities become exact values;
of the claims those that all seals of an identity share, but for what names a single run. Read what comes out before you
rely on it. Exit status: 0 written; 1 an artifact has no good seal; 3 could not look.`,
  flags: {
    ...IMAGE_FLAGS,
    ...GATE_FLAGS,
    key: list("A public key that artifacts are signed with; may be repeated", { placeholder: "file" }),
    name: text("The policy's name", { placeholder: "name" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "ARTIFACT", brief: "A good artifact: ./FILE, or an image" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    if (flags.artifactName !== undefined && operands.length > 1)
      throw new CliError("USAGE", "--artifact-name is for one artifact");
    const keys = [];
    for (const reference of flags.key ?? []) keys.push(await readPublicKey(context, reference, flags));
    const loaded = askAnybody(keys);
    const examples: Evidence[] = [];
    const progress = context.terminal.progress("verifying", operands.length);
    for (const operand of operands) {
      const evidence = await gatherOperand(context, loaded, operand, flags);
      for (const line of describeRefusedSeals(evidence)) context.terminal.warn(plain(line));
      examples.push(evidence);
      progress.advance(1);
    }
    progress.end();
    const learned = learnPolicy(examples, flags.name);
    if (flags.output === "json") context.terminal.result(JSON.stringify(learned.policy));
    else context.terminal.result(learned.text.trimEnd());
  },
});
