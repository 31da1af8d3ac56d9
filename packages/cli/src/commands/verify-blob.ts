// SPDX-License-Identifier: Apache-2.0
import { parseBlob } from "../artifact.ts";
import { checkAll } from "../checking.ts";
import { CliError } from "../errors.ts";
import { CHECKING_FLAGS, openPolicy } from "../policy.ts";
import { refuse, refusedFlags, refuseOldBundle, REFUSED_CHECKING } from "../refusals.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify a file, with cosign's flags",
  details: "Flags that cannot be honoured end with status 2 and name what to use instead.",
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    ...refusedFlags(REFUSED_CHECKING),
    bundle: text("The seal", { placeholder: "file" }),
    newBundleFormat: toggle("Read the bundle format (always)", { hidden: true }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "The sealed file; sha256:DIGEST; - for standard input" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_CHECKING, flags);
    refuseOldBundle(flags);
    if (flags.bundle === undefined) throw new CliError("USAGE", "--bundle is missing: where is the seal?");
    const { policy, key } = await openPolicy(context, flags, undefined);
    const artifacts = operands.map((name) => parseBlob(name, context.cwd));
    return checkAll(context, {
      artifacts,
      bundlePath: flags.bundle,
      policy,
      key,
      trust: flags,
      asJson: flags.output === "json",
      stream: "stderr",
    });
  },
});
