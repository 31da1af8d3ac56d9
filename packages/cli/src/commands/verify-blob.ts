// SPDX-License-Identifier: Apache-2.0
import { parseBlob } from "../artifact.ts";
import { checkAll } from "../checking.ts";
import { DETACHED_FLAGS, openDetached } from "../detached.ts";
import { BLOB_FLAGS, checkBlobFlags } from "../blob-flags.ts";
import { CHECKING_FLAGS, openPolicy } from "../policy.ts";
import { refuse, refusedFlags, REFUSED_CHECKING } from "../refusals.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify a file, with cosign's flags",
  details: "Flags that cannot be honoured end with status 2 and name what to use instead.",
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    ...refusedFlags(REFUSED_CHECKING),
    ...BLOB_FLAGS,
    ...DETACHED_FLAGS,
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "The sealed file; sha256:DIGEST; - for standard input" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_CHECKING, flags);
    const detached = await openDetached(context, flags, "message");
    const { policy, key } = await openPolicy(context, flags, undefined);
    checkBlobFlags(flags, key, detached?.seal.rekorBundle !== undefined || detached === undefined);
    const artifacts = operands.map((name) => parseBlob(name, context.cwd));
    return checkAll(context, {
      artifacts,
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
