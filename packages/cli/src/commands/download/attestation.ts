// SPDX-License-Identifier: Apache-2.0
import { text as decodeText } from "@lacre/core/bytes";
import { CliError } from "../../errors.ts";
import { openImage } from "../../images/open.ts";
import { findSeals } from "../../images/seals.ts";
import { choosePlatform } from "../../images/transfer.ts";
import { predicateType } from "../../predicates.ts";
import { attachmentLimit, REGISTRY_FLAGS } from "../../registry.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { defineVerb, text, toggle, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print an image's attestations, unverified",
  details:
    "One a line: bundles as they are, older attestations as envelopes. Nothing is verified: lacre verify-attestation does that.",
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    predicateType: text("Only those that say they are of this type", { placeholder: "type" }),
    platform: text("Of a list of images, those of this one: os/arch[/variant]", { placeholder: "platform" }),
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    localImage: toggle("The image is an OCI layout (a folder) or an archive"),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag, …@sha256:DIGEST, oci-layout:DIR", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const image = await openImage(context, flags, operands[0]!);
    const root = flags.platform === undefined ? image.root : await choosePlatform(image, image.root, flags.platform);
    const seals = await findSeals(
      { registry: image.registry, place: image.storage, digest: root.descriptor.digest },
      "attestation",
      {
        maxBytes: attachmentLimit(context),
        prefix: flags.attachmentTagPrefix,
      },
    );
    const wanted = flags.predicateType === undefined ? undefined : predicateType(flags.predicateType);
    const chosen = wanted === undefined ? seals : seals.filter((seal) => seal.predicateType === wanted);
    if (chosen.length === 0) {
      throw new CliError(
        "IMAGE_UNSIGNED",
        `${operands[0]!} has no attestations${wanted === undefined ? "" : ` of type ${wanted}`}`,
        seals.length === 0
          ? {}
          : { hint: `It has ${[...new Set(seals.map((seal) => seal.predicateType ?? "unknown"))].join(", ")}.` },
      );
    }
    for (const { seal, envelope } of chosen) {
      const written = decodeText(envelope ?? (seal as Uint8Array)).trim();
      context.terminal.result(written.includes("\n") ? JSON.stringify(JSON.parse(written)) : written);
    }
  },
});
