// SPDX-License-Identifier: Apache-2.0
import type { Attachment } from "@lacre/core/oci";
import { formatRepository } from "@lacre/core/oci";
import { CliError } from "../errors.ts";
import { resolveRoot } from "../images/open.ts";
import {
  checkTagFree,
  choosePlatform,
  collect,
  createRegistryDestination,
  nameImage,
  putAll,
  sizeOf,
} from "../images/transfer.ts";
import { openRegistry, parseImage, REGISTRY_FLAGS, storagePlace } from "../registry.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, list, text, toggle, type Verb } from "../verb.ts";

const KINDS: readonly string[] = ["sig", "att", "sbom"];

export const verb: Verb = defineVerb({
  brief: "Copy an image with all its signatures and attestations",
  details: `Images of a list, their signatures, attestations, SBOMs and other referrers go along, in both forms of storage. The name
is given last, so that the copy is never there without them.

  lacre copy registry.example/app:v1 mirror.example/app:v1`,
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    force: toggle("Put the image in another's place, where the destination's tag is taken", { alias: "f" }),
    only: list("Copy these alone beside the image: sig, att, sbom", { placeholder: "kind" }),
    sigOnly: toggle("Copy signatures alone beside the image", { hidden: true }),
    platform: text("Of a list of images copy this one: os/arch[/variant]", { placeholder: "platform" }),
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "SOURCE DESTINATION", minimum: 2, maximum: 2 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const [from, to] = [parseImage(operands[0]!), parseImage(operands[1]!)];
    const only = (flags.only ?? []).flatMap((one) => one.split(",")).concat(flags.sigOnly === true ? ["sig"] : []);
    const strange = only.find((one) => !KINDS.includes(one));
    if (strange !== undefined)
      throw new CliError("USAGE", `--only knows sig, att and sbom, not ${JSON.stringify(strange.slice(0, 40))}`);
    const storage = storagePlace(context, from);
    const registry = await openRegistry(context, flags, [from, storage, to]);
    const origin = { registry, place: from, storage };
    const found = await resolveRoot(registry, from, operands[0]!);
    const root = flags.platform === undefined ? found : await choosePlatform(origin, found, flags.platform);
    await checkTagFree(registry, to, root.descriptor.digest, flags.force === true);
    const pieces = await collect(origin, root, {
      ...(only.length === 0 ? {} : { only: new Set(only as Attachment[]) }),
      prefix: flags.attachmentTagPrefix,
    });
    const progress = context.terminal.progress(plain(operands[1]!), sizeOf(pieces));
    try {
      await putAll(origin, pieces, createRegistryDestination(registry, to), (octets) => progress.advance(octets));
    } finally {
      progress.end();
    }
    await nameImage(registry, to, root, flags.force === true);
    const { digest } = root.descriptor;
    if (flags.output === "json")
      context.terminal.result(JSON.stringify({ image: operands[1]!, digest, manifests: pieces.length }));
    else
      context.terminal.say(
        `Copied ${plain(operands[0]!)} to ${plain(formatRepository(to))}@${digest}, ${pieces.length} manifests`,
      );
  },
});
