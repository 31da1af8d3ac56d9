// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { refuse, refusedFlags, REFUSED_SIGNING } from "../refusals.ts";
import { ATTEST_FLAGS } from "../registry/flags.ts";
import { openWorkshop, SEALING_FLAGS } from "../sealing.ts";
import { choice, defineVerb, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Seal a statement about an image and store it beside the image",
  details: `The statement says --predicate, of --type, about IMAGE; or it is ready-made in --statement.

  lacre attest --predicate sbom.json --type spdxjson registry.example.com/app@sha256:DIGEST
  lacre attest --key cosign.key --statement statement.json registry.example.com/app@sha256:DIGEST`,
  isCosign: true,
  flags: {
    ...SEALING_FLAGS,
    ...refusedFlags(REFUSED_SIGNING),
    ...ATTEST_FLAGS,
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "The image, best by digest" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_SIGNING, flags);
    if (flags.rekorEntryType === "intoto") {
      throw new CliError("UNSUPPORTED_FLAG", "--rekor-entry-type intoto cannot be honoured: it is the ledgers' old kind", {
        hint: "Use dsse, which every verifier of the last years reads.",
      });
    }
    const { attestImages } = await import("../registry/attesting.ts");
    await attestImages(
      context,
      flags,
      operands,
      async (legacy) => (await openWorkshop(context, flags, legacy ? { ledgerVersions: [1] } : {})).sealer,
    );
  },
});
