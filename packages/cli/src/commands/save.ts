// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { CliError } from "../errors.ts";
import { createLayoutWriter } from "../images/layout-writer.ts";
import { resolveRoot } from "../images/open.ts";
import { choosePlatform, collect, putAll, sizeOf } from "../images/transfer.ts";
import { openRegistry, parseImage, REGISTRY_FLAGS, storagePlace } from "../registry.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Save an image with its signatures into a folder (OCI layout)",
  details: `cosign reads what is saved, and lacre verifies it without a network:

  lacre save registry.example/app:v1 --dir app
  lacre verify oci-layout:app --key cosign.pub --trusted-root trusted_root.json --offline`,
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    dir: text("Folder to save into", { placeholder: "dir" }),
    platform: text("Of a list of images save this one: os/arch[/variant]", { placeholder: "platform" }),
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag or …@sha256:DIGEST", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    if (flags.dir === undefined) throw new CliError("USAGE", "--dir is missing: where shall the image go?");
    const from = parseImage(operands[0]!);
    const storage = storagePlace(context, from);
    const registry = await openRegistry(context, flags, [from, storage]);
    const origin = { registry, place: from, storage };
    const found = await resolveRoot(registry, from, operands[0]!);
    const root = flags.platform === undefined ? found : await choosePlatform(origin, found, flags.platform);
    const pieces = await collect(origin, root, { prefix: flags.attachmentTagPrefix });
    const writer = await createLayoutWriter(resolve(context.cwd, flags.dir));
    const progress = context.terminal.progress(plain(operands[0]!), sizeOf(pieces));
    try {
      await putAll(origin, pieces, writer, (octets) => progress.advance(octets));
    } finally {
      progress.end();
    }
    await writer.finish(root, pieces);
    context.terminal.say(
      `Saved ${plain(operands[0]!)} (${root.descriptor.digest}) to ${plain(flags.dir)}, ${pieces.length} manifests`,
    );
  },
});
