// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../errors.ts";
import { openImage } from "../images/open.ts";
import { collect, createRegistryDestination, nameImage, putAll, sizeOf } from "../images/transfer.ts";
import { openRegistry, parseImage, REGISTRY_FLAGS } from "../registry.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Load a saved image with its signatures into a registry",
  details: `The folder is one of lacre save or cosign save. All content is compared with the manifest first.

  lacre load registry.example/app:v1 --dir app`,
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    dir: text("Folder of the layout", { placeholder: "dir" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag to load into", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    if (flags.dir === undefined) throw new CliError("USAGE", "--dir is missing: where is the image?");
    const to = parseImage(operands[0]!);
    const image = await openImage(context, { ...flags, localImage: true }, flags.dir);
    const registry = await openRegistry(context, flags, [to]);
    const { root } = image;
    const origin = { registry: image.registry, place: image.place, storage: image.storage };
    const pieces = await collect(origin, root);
    const progress = context.terminal.progress(plain(operands[0]!), sizeOf(pieces));
    try {
      await putAll(origin, pieces, createRegistryDestination(registry, to), (octets) => progress.advance(octets));
    } finally {
      progress.end();
    }
    // cosign's load takes the tag without asking; scripts load again and again under one name.
    await nameImage(registry, to, root, true);
    context.terminal.say(
      `Loaded ${plain(flags.dir)} to ${plain(operands[0]!)} (${root.descriptor.digest}), ${pieces.length} manifests`,
    );
  },
});
