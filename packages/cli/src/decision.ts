// SPDX-License-Identifier: Apache-2.0
/**
 * A decision in words: what the policy wanted, what was found, what would help; and the exit status it is.
 */
import { decidingCheck } from "@lacre/core/verify";
import type { Decision, Evidence } from "@lacre/services/gate";
import type { Context } from "./context.ts";
import { plain, type Terminal } from "./terminal.ts";

/** A decision in words. */
export function describeDecision(terminal: Terminal, stream: "stdout" | "stderr", decision: Decision): string {
  const { outcome, artifact, policy } = decision;
  const title = { verified: "Verified OK", warned: "NOT VERIFIED", refused: "REFUSED" }[outcome];
  const style =
    outcome === "verified" ? ("green" as const) : outcome === "warned" ? ("yellow" as const) : (["red", "bold"] as const);
  const lines = [`${terminal.style(stream, style as never, title)}  ${plain(artifact.name)}`];
  const row = (label: string, value: string | undefined): void => {
    if (value !== undefined) lines.push(`  ${label.padEnd(11)} ${plain(value)}`);
  };
  row("policy", `${policy.name ?? "unnamed"} (${policy.digest.slice(0, 19)}…)`);
  row("reason", decision.reason === undefined ? undefined : `${decision.reason} [${decision.code ?? "REFUSED"}]`);
  row("to do", decision.fix);
  if (outcome === "warned") row("let through", "by rules in mode warn; this is no verification");
  for (const rule of decision.rules) {
    row("rule", `${rule.rule}: ${rule.outcome}${rule.mode === "warn" ? " (mode warn)" : ""}`);
    for (const demand of rule.demands) {
      row("", `${demand.outcome === "holds" ? "✓" : "✗"} ${demand.wanted}`);
      row("", `  found: ${demand.found}`);
    }
  }
  for (const seal of decision.seals) {
    row(
      "seal",
      `${seal.source}: ${seal.outcome}${seal.signer === undefined ? "" : `, by ${seal.signer}`}${seal.signedAt === undefined ? "" : `, ${seal.signedAt}`}`,
    );
    row("", seal.reason === undefined ? undefined : `  ${seal.reason}`);
  }
  for (const [hash, value] of Object.entries(artifact.digests)) row("artifact", `${hash}:${value}`);
  for (const warning of decision.warnings) row("warning", warning);
  return lines.join("\n");
}

/** Says a decision, and what exit status it is: 0 verified, 1 refused; 1 also for warned, unless that is accepted. */
export function report(
  context: Context,
  decision: Decision,
  options: { readonly asJson: boolean; readonly acceptWarned: boolean },
): number {
  const isGood = decision.outcome === "verified" || (decision.outcome === "warned" && options.acceptWarned);
  if (options.asJson) context.terminal.result(JSON.stringify(decision));
  else {
    const account = describeDecision(context.terminal, "stdout", decision);
    if (!isGood) context.terminal.complain(account);
    else if (!context.terminal.isQuiet) context.terminal.result(account);
  }
  for (const warning of decision.outcome === "verified" ? decision.warnings : []) context.terminal.warn(plain(warning));
  if (decision.outcome === "warned" && !options.acceptWarned)
    context.terminal.say("  hint:       --accept-warned ends with status 0 where only rules in mode warn are broken.");
  return isGood ? 0 : 1;
}

/** Seals that nothing could be learned from, in a line each. */
export function describeRefusedSeals({ artifact, seals }: Evidence): readonly string[] {
  return seals.flatMap(({ source, verdict }) => {
    if (verdict.outcome === "verified") return [];
    const check = decidingCheck(verdict);
    return [
      `${source} is not counted for ${artifact.name}: ${check?.message ?? "not verified"}${check?.code === undefined ? "" : ` [${check.code}]`}`,
    ];
  });
}
