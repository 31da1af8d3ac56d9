// SPDX-License-Identifier: Apache-2.0
import { parseBlob, parseDigest } from "../artifact.ts";
import { checkAll } from "../checking.ts";
import { DETACHED_FLAGS, openDetached } from "../detached.ts";
import { CliError } from "../errors.ts";
import { BLOB_FLAGS, checkBlobFlags } from "../blob-flags.ts";
import { CONDITION_FLAGS, openConditions } from "../conditions.ts";
import { CHECKING_FLAGS, openPolicy } from "../policy.ts";
import { refuse, refusedFlags, REFUSED_CHECKING } from "../refusals.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify a statement about a file, with cosign's flags",
  details:
    "The file's digest must be among the statement's subjects, unless --check-claims=false.\n\n  lacre verify-blob-attestation ./FILE --bundle B --type slsaprovenance1 … --condition 'predicate.runDetails.builder.id == \"…\"'\n  lacre verify-blob-attestation ./FILE --bundle B … --policy allow.rego",
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    ...refusedFlags(REFUSED_CHECKING),
    ...BLOB_FLAGS,
    ...DETACHED_FLAGS,
    ...CONDITION_FLAGS,
    type: text("The predicate type that the statement must have (default custom)", { placeholder: "type" }),
    digest: text("The file's digest, instead of the file", { placeholder: "hex" }),
    digestAlg: text("Its algorithm (default sha256)", { placeholder: "name" }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "The file that the statement is about", minimum: 0, maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_CHECKING, flags);
    const conditions = await openConditions(context, flags);
    const detached = await openDetached(context, flags, "envelope");
    const [file] = operands;
    if (file !== undefined && flags.digest !== undefined) throw new CliError("USAGE", "give the file or its --digest, not both");
    let artifact = file === undefined ? undefined : parseBlob(file, context.cwd);
    if (flags.digest !== undefined) {
      artifact = parseDigest(`${flags.digestAlg ?? "sha256"}:${flags.digest}`);
      if (artifact === undefined)
        throw new CliError("USAGE", "--digest is not hexadecimal, or --digestAlg is not sha256, sha384 or sha512");
    }
    if (artifact === undefined && flags.checkClaims !== false)
      throw new CliError("USAGE", "the file is missing", { hint: "Give it, or its --digest, or --check-claims=false." });
    const { policy, key } = await openPolicy(context, flags, flags.type ?? "custom");
    checkBlobFlags(flags, key, detached?.seal.rekorBundle !== undefined || detached === undefined);
    return checkAll(context, {
      artifacts: [artifact],
      conditions,
      bundlePath: detached?.name ?? flags.bundle!,
      seal: detached?.seal,
      ledgerUrl: policy.ignoreTlog === true ? undefined : flags.rekorUrl,
      policy,
      key,
      trust: flags,
      asJson: flags.output === "json",
      stream: "stderr",
    });
  },
});
