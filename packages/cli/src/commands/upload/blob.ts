// SPDX-License-Identifier: Apache-2.0
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { REGISTRY_FLAGS } from "../../registry/flags.ts";
import { defineVerb, list, text, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Store files in a registry, as an image of one layer each",
  details: `  lacre upload blob -f app registry.example.com/files/app:v1
  lacre upload blob -f app-linux:linux/amd64 -f app-mac:darwin/arm64 registry.example.com/files/app:v1

Prints the image by digest, to be signed next. Several files make an index, one image a platform.`,
  isCosign: true,
  flags: {
    files: list("FILE, or FILE:os/architecture; may be repeated", { alias: "f", placeholder: "file[:platform]" }),
    ct: text("Media type of the content (default: as it looks)", { placeholder: "type" }),
    annotation: list("Annotation of the image, key=value; may be repeated", { alias: "a", placeholder: "key=value" }),
    ...REGISTRY_FLAGS,
    attachmentTagPrefix: text("What tags begin with (there are none here)", { hidden: true }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "Where to: a repository and a tag", maximum: 1 },
  async run(given, flags, [name]) {
    const context = applyGlobals(given, flags);
    const { uploadFiles } = await import("../../registry/uploading.ts");
    await uploadFiles(context, flags, name!);
  },
});
