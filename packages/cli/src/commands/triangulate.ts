// SPDX-License-Identifier: Apache-2.0
import { attachmentTag, formatRepository } from "@lacre/core/oci";
import { openImage } from "../images/open.ts";
import { REGISTRY_FLAGS } from "../registry.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print where an image's older attachments are kept",
  details: "The tag is a place, not a promise that something is there; referrers have no tag: lacre tree lists both.",
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    type: choice(["signature", "attestation", "sbom", "digest"], "What is looked for (default signature)"),
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag or …@sha256:DIGEST", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const { root, place, storage } = await openImage(context, flags, operands[0]!);
    const { digest } = root.descriptor;
    const kind = { signature: "sig", attestation: "att", sbom: "sbom", digest: undefined } as const;
    const attachment = kind[flags.type ?? "signature"];
    context.terminal.result(
      attachment === undefined
        ? `${formatRepository(place)}@${digest}`
        : `${formatRepository(storage)}:${attachmentTag(digest, attachment, flags.attachmentTagPrefix)}`,
    );
  },
});
