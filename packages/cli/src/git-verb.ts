// SPDX-License-Identifier: Apache-2.0
/** The verbs for signed commits and tags differ in a word: both are made here. */
import { createVerifier } from "@lacre/core/verify";
import { describeVerdict } from "./account.ts";
import { reportOf } from "./errors.ts";
import { verifyObject } from "./git.ts";
import { applyGlobals, GLOBAL_FLAGS } from "./globals.ts";
import { CHECKING_FLAGS, openPolicy } from "./policy.ts";
import { formatReport } from "./report.ts";
import { findTrustedRoot } from "./trust.ts";
import { choice, defineVerb, text, type Verb } from "./verb.ts";

/** A verb that verifies objects of this kind in the repository of the working directory. */
export function defineGitVerb(
  kind: "commit" | "tag",
  words: { readonly brief: string; readonly operand: string; readonly example: string },
): Verb {
  const { key: _, checkClaims: __, ...checking } = CHECKING_FLAGS;
  return defineVerb({
    brief: words.brief,
    details: `The octets of the ${kind} are held to its signature; what Git itself says of it is not used. Where the signature does not
carry its log entry, the ledger is asked for it: the one of --rekor-url, or of the installation that is trusted.

Example: ${words.example}`,
    flags: {
      ...checking,
      rekorUrl: text("The ledger to ask for an entry that does not travel along", { placeholder: "url" }),
      output: choice(["text", "json"], "How to report", { alias: "o" }),
      ...GLOBAL_FLAGS,
    },
    operands: { name: kind.toUpperCase(), brief: words.operand, minimum: kind === "commit" ? 0 : 1 },
    async run(given, flags, operands) {
      const context = applyGlobals(given, flags);
      const { policy } = await openPolicy(context, { ...flags, key: undefined, checkClaims: undefined }, undefined);
      const { value, source } = await findTrustedRoot(context, flags);
      const verifier = createVerifier({ trustedRoot: value, rootSource: source });
      const revisions = operands.length === 0 ? ["HEAD"] : operands;
      let worst = 0;
      for (const revision of revisions) {
        try {
          const question = { kind, revision, verifier, policy, trust: flags, rekorUrl: flags.rekorUrl };
          const { name, verdict } = await verifyObject(context, question);
          const account = describeVerdict(context.terminal, "stdout", `${kind} ${name}`, "in the object", verdict);
          if (flags.output === "json") context.terminal.result(JSON.stringify({ [kind]: name, verdict }));
          else if (verdict.outcome === "refused") context.terminal.complain(account);
          else if (!context.terminal.isQuiet) context.terminal.result(account);
          if (verdict.outcome === "refused") worst = 1;
        } catch (error) {
          if (revisions.length === 1) throw error;
          const report = reportOf(error);
          if (flags.output === "json") context.terminal.result(JSON.stringify({ revision, error: report }));
          context.terminal.complain(formatReport(report, (part) => context.terminal.style("stderr", "red", part)));
          if (worst === 0 || report.status === 1) worst = report.status;
        }
      }
      return worst;
    },
  });
}
