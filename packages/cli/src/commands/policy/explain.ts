// SPDX-License-Identifier: Apache-2.0
import { broadSigners, describeRule, describeSelectors, describeSigners, type Policy } from "@lacre/services/gate";
import { describeDecision } from "../../decision.ts";
import { GATE_FLAGS, judgeOperand, loadPolicy } from "../../gating.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { IMAGE_FLAGS } from "../../images/flags.ts";
import { plain } from "../../terminal.ts";
import { defineVerb, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Say in plain words what a policy wants, and of an artifact why it has it or not",
  details: `  lacre policy explain policy.yaml
  lacre policy explain policy.yaml ./dist/app --bundle dist/app.sigstore.json

Exit status: 0 explained, whatever the decision; 2 the policy cannot be used; 3 could not look.`,
  flags: { ...IMAGE_FLAGS, ...GATE_FLAGS, ...GLOBAL_FLAGS },
  operands: { name: "FILE", brief: "The policy, and an artifact to hold it against", maximum: 2 },
  async run(given, flags, [path, artifact]) {
    const context = applyGlobals(given, flags);
    const loaded = await loadPolicy(context, path!, flags);
    if (artifact === undefined) {
      const told = tell(loaded.policy);
      context.terminal.result(flags.output === "json" ? JSON.stringify(told) : plainLines(told));
      return;
    }
    const decision = await judgeOperand(context, loaded, artifact, flags);
    context.terminal.result(
      flags.output === "json" ? JSON.stringify(decision) : describeDecision(context.terminal, "stdout", decision),
    );
  },
});

interface Told {
  readonly policy: string;
  readonly digest: string;
  readonly signers: Readonly<Record<string, string>>;
  readonly rules: readonly {
    readonly rule: string;
    readonly mode: string;
    readonly artifacts: readonly string[];
    readonly wants: readonly string[];
  }[];
  readonly revoked: number;
  readonly warnings: readonly string[];
}

function tell(policy: Policy): Told {
  return {
    policy: policy.name ?? "unnamed",
    digest: policy.digest,
    signers: Object.fromEntries(describeSigners(policy)),
    rules: policy.rules.map((rule) => ({
      rule: rule.name,
      mode: rule.mode,
      artifacts: describeSelectors(rule),
      wants: describeRule(rule),
    })),
    revoked: policy.revoked.length,
    warnings: broadSigners(policy).map((name) => `${name} is anybody: every certificate of the trusted root fits`),
  };
}

function plainLines({ policy, signers, rules, revoked, warnings }: Told): string {
  const lines = [`Policy ${plain(policy)}`, "", "Who is meant:"];
  for (const [name, ways] of Object.entries(signers)) lines.push(`  ${plain(name)}: ${plain(ways)}`);
  for (const { rule, mode, artifacts, wants } of rules) {
    lines.push(
      "",
      `Rule ${plain(rule)}${mode === "warn" ? " (mode warn: said, not enforced)" : ""}, for ${plain(artifacts.join(", "))}:`,
    );
    for (const want of wants) lines.push(`  - ${plain(want)}`);
  }
  lines.push("", "What no rule is for is refused. Where several rules are for an artifact, all have to hold.");
  if (revoked > 0) lines.push(`${revoked} ${revoked === 1 ? "entry is" : "entries are"} revoked, whatever the rules say.`);
  for (const warning of warnings) lines.push(`Warning: ${plain(warning)}.`);
  return lines.join("\n");
}
