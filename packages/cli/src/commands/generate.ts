// SPDX-License-Identifier: Apache-2.0
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { REGISTRY_FLAGS } from "../registry/flags.ts";
import { defineVerb, list, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print the payload of an image signature, to be signed elsewhere",
  details: `  lacre generate -a build=42 registry.example.com/app@sha256:DIGEST > payload.json

See lacre attach signature for what follows.`,
  isCosign: true,
  flags: {
    annotations: list("Also state this, key=value; may be repeated", { alias: "a", placeholder: "key=value" }),
    ...REGISTRY_FLAGS,
    attachmentTagPrefix: text("What tags begin with (there are none here)", { hidden: true }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "The image, best by digest", maximum: 1 },
  async run(given, flags, [name]) {
    const context = applyGlobals(given, flags);
    const { encodeSimpleSigning, formatRepository } = await import("@lacre/core/oci");
    const { parseImages, parsePairs, resolveImage } = await import("../registry/images.ts");
    const { openRegistry } = await import("../registry.ts");
    const optional = parsePairs("--annotations", flags.annotations ?? []);
    const [image] = parseImages([name!]);
    const { reference } = await resolveImage(context, await openRegistry(context, flags, [image!.reference]), image!);
    const payload = encodeSimpleSigning({ dockerReference: formatRepository(reference), digest: reference.digest, optional });
    context.terminal.deliver(Buffer.from(payload).toString("utf8"));
  },
});
