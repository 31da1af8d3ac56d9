// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { REGISTRY_FLAGS, STORAGE_FLAGS } from "../../registry/flags.ts";
import { defineVerb, list, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Attach attestations that were made elsewhere",
  details: `  lacre attach attestation --attestation envelope.json IMAGE

Envelopes are attached by cosign's tag, bundles as referrers. A file may hold several, one a line.`,
  isCosign: true,
  flags: {
    attestation: list("An envelope or a bundle; may be repeated", { placeholder: "file" }),
    ...REGISTRY_FLAGS,
    attachmentTagPrefix: STORAGE_FLAGS.attachmentTagPrefix,
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "The image, best by digest", maximum: 1 },
  async run(given, flags, [name]) {
    const context = applyGlobals(given, flags);
    const files = flags.attestation ?? [];
    if (files.length === 0) throw new CliError("USAGE", "--attestation is missing: what shall be attached?");
    const { attachAttestations, openTarget } = await import("../../registry/attaching.ts");
    await attachAttestations(context, await openTarget(context, flags, name!), files, flags);
  },
});
