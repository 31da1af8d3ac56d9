// SPDX-License-Identifier: Apache-2.0
import { attachmentTag, readTag } from "@lacre/core/oci";
import { CliError } from "../../errors.ts";
import { openImage } from "../../images/open.ts";
import { choosePlatform } from "../../images/transfer.ts";
import { attachmentLimit, REGISTRY_FLAGS } from "../../registry.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print the SBOM that is attached to an image, unverified",
  details:
    "Attached SBOMs are signed by nobody. One that was attested can be verified: lacre verify-attestation --type spdxjson.",
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    platform: text("Of a list of images, that of this one: os/arch[/variant]", { placeholder: "platform" }),
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag or …@sha256:DIGEST", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const image = await openImage(context, flags, operands[0]!);
    const root = flags.platform === undefined ? image.root : await choosePlatform(image, image.root, flags.platform);
    const tag = attachmentTag(root.descriptor.digest, "sbom", flags.attachmentTagPrefix);
    const held = await readTag(image.registry, image.storage, tag);
    const [layer] = held?.manifest.kind === "manifest" ? held.manifest.layers : [];
    if (layer === undefined) throw new CliError("IMAGE_UNSIGNED", `${operands[0]!} has no SBOM attached`);
    context.terminal.warn("this SBOM is signed by nobody");
    const bytes = await image.registry.readBlob(image.storage, layer, attachmentLimit(context));
    context.terminal.deliver(Buffer.from(bytes).toString("utf8"));
  },
});
