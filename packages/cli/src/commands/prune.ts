// SPDX-License-Identifier: Apache-2.0
import { LacreError } from "@lacre/core/errors";
import { formatRepository, parseRepository, readTag, type Registry, type Repository } from "@lacre/core/oci";
import { CliError } from "../errors.ts";
import { openRegistry, REGISTRY_FLAGS } from "../registry.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

/** Tags of what is attached: older attachments, and the lists of referrers of registries without their API. */
const ATTACHED = /^sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/;

interface Orphan {
  readonly tag: string;
  /** The tag's own manifest, and those that a list of referrers names. */
  readonly digests: readonly string[];
}

export const verb: Verb = defineVerb({
  brief: "Remove what is signed about images that are gone",
  details: `Deleting an image leaves its attachments behind: tags of cosign 2, and the lists of referrers of registries without their
API. This removes those whose image is not there any more, and nothing else.

  lacre prune registry.example/app --dry-run
  lacre prune registry.example/signatures --images registry.example/app   where COSIGN_REPOSITORY is in use`,
  flags: {
    ...REGISTRY_FLAGS,
    images: text("The repository of the images (default: the same)", { placeholder: "repository" }),
    dryRun: toggle("Only say what would be removed"),
    force: toggle("Do not ask", { alias: "f" }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "REPOSITORY", brief: "registry/repository", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const place = readRepository(operands[0]!);
    const images = flags.images === undefined ? place : readRepository(flags.images);
    const registry = await openRegistry(context, flags, [place, images]);
    const tags = await registry.tags(place);
    // A repository of signatures alone: its images are elsewhere, and every signature would look like one without.
    if (flags.images === undefined && tags.length > 0 && tags.every((tag) => ATTACHED.test(tag))) {
      throw new CliError("USAGE", `${plain(operands[0]!)} holds no image by name: are they in another repository?`, {
        hint: "Name it with --images REPOSITORY; name this one if its images have no tags.",
      });
    }
    const orphans: Orphan[] = [];
    for (const tag of tags) {
      const hex = ATTACHED.exec(tag)?.[1];
      if (hex === undefined || (await isThere(registry, images, `sha256:${hex}`))) continue;
      // What signs a signature is attached to that, which is here.
      if (images !== place && (await isThere(registry, place, `sha256:${hex}`))) continue;
      const held = await readTag(registry, place, tag);
      if (held === undefined) continue;
      const { manifest, descriptor } = held;
      // Only what says itself that it belongs to the image that is gone.
      const listed = [];
      for (const { digest } of manifest.kind === "index" ? manifest.manifests : []) {
        if ((await subjectOf(registry, place, digest)) === `sha256:${hex}`) listed.push(digest);
      }
      orphans.push({ tag, digests: [...listed, descriptor.digest] });
    }
    const isDry = flags.dryRun === true;
    if (!isDry && orphans.length > 0 && flags.force !== true) {
      for (const { tag } of orphans) context.terminal.say(`  ${plain(tag)}`);
      if (!(await context.terminal.confirm(`Remove these ${orphans.length} from ${plain(formatRepository(place))}?`)))
        throw new CliError("CONFIRMATION_MISSING", "nothing was removed, because nobody agreed", {
          hint: "Add --force, or --dry-run.",
        });
    }
    if (!isDry) {
      for (const { tag, digests } of orphans) {
        for (const digest of digests) await remove(registry, { ...place, digest });
        // Where a tag outlives its manifest, it goes too.
        if ((await readTag(registry, place, tag)) !== undefined) await remove(registry, { ...place, tag });
      }
    }
    const names = orphans.map(({ tag }) => tag);
    if (flags.output === "json")
      context.terminal.result(
        JSON.stringify({ repository: formatRepository(place), removed: isDry ? [] : names, orphans: names }),
      );
    else if (names.length === 0) context.terminal.say("Everything belongs to an image that is there.");
    else context.terminal.say(`${isDry ? "Would remove" : "Removed"} ${names.length}: ${plain(names.join(", "))}`);
  },
});

function readRepository(name: string): Repository {
  try {
    return parseRepository(name);
  } catch (cause) {
    throw new CliError("USAGE", `${plain(name).slice(0, 200)} is no repository`, {
      hint: "Write it as registry/repository, without a tag.",
      cause,
    });
  }
}

// "Not there" is the registry's own word for it; whatever else it says ends the whole, for nothing may be removed by mistake.
async function isThere(registry: Registry, place: Repository, digest: string): Promise<boolean> {
  try {
    await registry.resolve({ ...place, digest });
    return true;
  } catch (error) {
    if (error instanceof LacreError && error.code === "REGISTRY_NOT_FOUND") return false;
    throw error;
  }
}

async function subjectOf(registry: Registry, place: Repository, digest: string): Promise<string | undefined> {
  try {
    return (await registry.manifest({ ...place, digest })).manifest.subject?.digest;
  } catch (error) {
    if (error instanceof LacreError && error.code === "REGISTRY_NOT_FOUND") return undefined;
    throw error;
  }
}

async function remove(registry: Registry, reference: Parameters<Registry["deleteManifest"]>[0]): Promise<void> {
  try {
    await registry.deleteManifest(reference);
  } catch (error) {
    // Gone already: an earlier run, or the same manifest under two tags.
    if (!(error instanceof LacreError) || error.code !== "REGISTRY_NOT_FOUND") throw error;
  }
}
