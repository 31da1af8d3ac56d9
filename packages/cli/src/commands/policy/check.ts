// SPDX-License-Identifier: Apache-2.0
import { broadSigners } from "@lacre/services/gate";
import { loadPolicy } from "../../gating.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { plain } from "../../terminal.ts";
import { choice, defineVerb, toggle, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Read a policy and the keys it names, and say what is wrong with it",
  details: `  lacre policy check policy.yaml

Exit status: 0 it can be used; 2 it breaks a rule of the format; 3 a file or key it names could not be read.`,
  flags: {
    offline: toggle("Open no connection at all"),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "The policy", maximum: 1 },
  async run(given, flags, [path]) {
    const context = applyGlobals(given, flags);
    const { policy, keys } = await loadPolicy(context, path!, flags);
    const warnings = broadSigners(policy).map((name) => `${name} is anybody: every certificate of the trusted root fits`);
    const { name, digest, rules, signers, revoked } = policy;
    if (flags.output === "json") {
      const counts = { rules: rules.length, signers: signers.length, keys: keys.size, revoked: revoked.length };
      context.terminal.result(JSON.stringify({ policy: name ?? null, digest, ...counts, warnings }));
      return 0;
    }
    for (const warning of warnings) context.terminal.warn(plain(warning));
    context.terminal.result(
      `${plain(name ?? path!)}: ${rules.length} rules, ${signers.length} signers, ${revoked.length} revocations; ${digest}`,
    );
    return 0;
  },
});
