// SPDX-License-Identifier: Apache-2.0
/** What cosign's verbs that verify files know beside whom to trust: each is honoured, or refused in words. */
import { defaultAlgorithm, type PublicKey } from "@lacre/core/crypto";
import { CliError } from "./errors.ts";
import { plain } from "./terminal.ts";
import { choice, type FlagTable, type FlagValues, text, toggle } from "./verb.ts";

/** Flags of cosign's verbs for files that are about how it works, not about whom it trusts. */
export const BLOB_FLAGS = {
  rekorUrl: text("For a detached signature: the ledger to ask for its entry", { placeholder: "url" }),
  maxWorkers: text("Understood; how many at a time is ours to choose", { hidden: true, placeholder: "n" }),
  signatureDigestAlgorithm: choice(["sha224", "sha256", "sha384", "sha512"], "Digest of the signature (follows from the key)", {
    hidden: true,
  }),
  experimentalOci11: toggle("About registries; says nothing of files", { hidden: true }),
} as const satisfies FlagTable;

export type BlobFlags = FlagValues<typeof BLOB_FLAGS> & { readonly offline?: boolean | undefined };

/** Refuses what cannot be meant. Throws USAGE, UNSUPPORTED_FLAG, OFFLINE. */
export function checkBlobFlags(flags: BlobFlags, key: PublicKey | undefined, hasEntry: boolean): void {
  const { rekorUrl, maxWorkers, signatureDigestAlgorithm: digest = "sha256" } = flags;
  if (maxWorkers !== undefined && !/^\d{1,6}$/.test(maxWorkers)) throw new CliError("USAGE", "--max-workers is no number");
  const own = key === undefined ? undefined : defaultAlgorithm(key).hash;
  // Without a key it is the certificate's that decides, and the default says nothing.
  if (flags.signatureDigestAlgorithm !== undefined && own !== undefined && digest !== own) {
    throw new CliError("UNSUPPORTED_FLAG", `--signature-digest-algorithm ${digest} cannot be honoured: this key signs ${own}`, {
      hint: "Leave it out: the digest follows from the key.",
    });
  }
  if (digest === "sha224")
    throw new CliError("UNSUPPORTED_FLAG", "--signature-digest-algorithm sha224 cannot be honoured", {
      hint: "No signature in use has it.",
    });
  if (rekorUrl === undefined) return;
  if (!URL.canParse(rekorUrl) || !/^https?:$/.test(new URL(rekorUrl).protocol))
    throw new CliError("USAGE", `--rekor-url is not an http or https address: ${plain(rekorUrl).slice(0, 100)}`);
  if (flags.offline === true && !hasEntry) throw new CliError("OFFLINE", "--rekor-url asks a ledger, and --offline forbids it");
}
