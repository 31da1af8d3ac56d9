// SPDX-License-Identifier: Apache-2.0
/** The flags of every verb that verifies, and the policy and key they make. */
import type { PublicKey } from "@lacre/core/crypto";
import type { Policy } from "@lacre/core/verify";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readPublicKey } from "./keys.ts";
import { predicateType } from "./predicates.ts";
import { type pairSigners, readAnySigner, readSigners, refuseSigners, SIGNER_FLAGS } from "./signers.ts";
import { PACK_FLAGS, PIECE_FLAGS } from "./trust.ts";
import { type FlagTable, type FlagValues, text, toggle } from "./verb.ts";

export const CHECKING_FLAGS = {
  ...SIGNER_FLAGS,
  key: text("Verify with this public key instead of an identity: file, env://, https://, or where the key is kept", {
    placeholder: "uri",
  }),
  trustedRoot: text("Whom to trust", { placeholder: "file" }),
  ...PIECE_FLAGS,
  ...PACK_FLAGS,
  dir: text("Data directory of the installation to trust", { placeholder: "dir" }),
  offline: toggle("Open no connection at all"),
  insecureIgnoreTlog: toggle("Do without the log"),
  insecureIgnoreSct: toggle("Do without the certificate log's promise"),
  insecureLegacyHashes: toggle("Also take P-384 and P-521 keys with SHA-256, as old clients signed"),
  privateInfrastructure: toggle("Do without the log", { hidden: true }),
  useSignedTimestamps: toggle("Use signed timestamps (always)", { hidden: true }),
  checkClaims: toggle("Whether a statement must be about the artifact (default true)"),
} as const satisfies FlagTable;

export type CheckingFlags = FlagValues<typeof CHECKING_FLAGS>;

/** The policy and the key of the flags. Throws POLICY_MISSING, USAGE, and what reading the key throws. */
export async function openPolicy(
  context: Context,
  flags: CheckingFlags,
  type: string | undefined,
  several?: ReturnType<typeof pairSigners>,
): Promise<{ readonly policy: Policy; readonly key: PublicKey | undefined }> {
  const ignoreTlog = flags.insecureIgnoreTlog === true || flags.privateInfrastructure === true;
  if (flags.insecureIgnoreTlog === true)
    context.terminal.warn("--insecure-ignore-tlog: nobody can see that this signature was made");
  const common: Policy = {
    ...(ignoreTlog ? { ignoreTlog } : {}),
    ...(flags.checkClaims === false ? { checkClaims: false } : {}),
    ...(flags.insecureLegacyHashes === true ? { legacyHashes: true } : {}),
    ...(type === undefined ? {} : { predicateType: predicateType(type) }),
  };
  if (flags.key === undefined) {
    const signers = several === undefined ? await readSigners(context, flags) : await readAnySigner(context, flags, several);
    return {
      policy: { ...common, ...signers, ...(flags.insecureIgnoreSct === true ? { ignoreSct: true } : {}) },
      key: undefined,
    };
  }
  refuseSigners(flags);
  if (flags.insecureIgnoreSct === true) throw new CliError("USAGE", "--insecure-ignore-sct says nothing about a key");
  return {
    policy: { ...common, allowCurrentTime: true },
    key: await readPublicKey(context, flags.key, { offline: flags.offline }),
  };
}
