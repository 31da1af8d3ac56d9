// SPDX-License-Identifier: Apache-2.0
import { text as decodeText } from "@lacre/core/bytes";
import { CliError } from "../../errors.ts";
import { IMAGE_FLAGS, readAnnotations } from "../../images/flags.ts";
import { listManifestImages } from "../../images/manifests.ts";
import { checkImages } from "../../images/verification.ts";
import { CHECKING_FLAGS, openPolicy } from "../../policy.ts";
import { refuse, refusedFlags, REFUSED_CHECKING } from "../../refusals.ts";
import { readNamed } from "../../trust.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { choice, defineVerb, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify the images that a Kubernetes manifest runs",
  details: "All containers of all documents in the file.\n\n  lacre manifest verify deployment.yaml --key cosign.pub",
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    ...refusedFlags(REFUSED_CHECKING),
    ...IMAGE_FLAGS,
    output: choice(["json", "text", "verdict"], "How to report, as for verify", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "MANIFEST", brief: "Path of the YAML file", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_CHECKING, flags);
    const { policy, key } = await openPolicy(context, flags, undefined);
    const images = listManifestImages(decodeText(await readNamed(context, operands[0]!)), operands[0]!);
    if (images.length === 0) throw new CliError("USAGE", "the manifest runs no image", { hint: "Is it a file of workloads?" });
    context.terminal.say(`Images: ${images.join(", ")}`);
    const annotations = readAnnotations(flags.annotations);
    return checkImages(context, images, { kind: "signature", policy, key, annotations, output: flags.output ?? "json", flags });
  },
});
