// SPDX-License-Identifier: Apache-2.0
import {
  type Attachment,
  attachmentTag,
  BUNDLE_ANNOTATION,
  listReferrers,
  readTag,
  removeReferrers,
  SIGNATURE_PREDICATE_TYPE,
} from "@lacre/core/oci";
import { CliError } from "../errors.ts";
import { openImage } from "../images/open.ts";
import { REGISTRY_FLAGS } from "../registry.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

interface Found {
  readonly what: string;
  readonly digest: string;
  readonly isReferrer: boolean;
}

const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle";

export const verb: Verb = defineVerb({
  brief: "Remove signatures, attestations and SBOMs from an image",
  details: "The image stays. Both forms of storage are cleaned; the log and copies elsewhere keep what they have.",
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    type: choice(["signature", "attestation", "sbom", "all"], "What is removed (default all)"),
    force: toggle("Do not ask", { alias: "f" }),
    yes: toggle("Do not ask", { alias: "y" }),
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag or …@sha256:DIGEST", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const { registry, storage, root } = await openImage(context, flags, operands[0]!);
    const { digest } = root.descriptor;
    const type = flags.type ?? "all";
    const found: Found[] = [];
    for (const [attachment, name] of [
      ["sig", "signature"],
      ["att", "attestation"],
      ["sbom", "sbom"],
    ] as const satisfies readonly (readonly [Attachment, string])[]) {
      if (type !== "all" && type !== name) continue;
      const tag = attachmentTag(digest, attachment, flags.attachmentTagPrefix);
      const held = await readTag(registry, storage, tag);
      if (held !== undefined) found.push({ what: tag, digest: held.descriptor.digest, isReferrer: false });
    }
    for (const { digest: referrer } of await listReferrers(registry, storage, digest)) {
      const { manifest } = await registry.manifest({ ...storage, digest: referrer });
      // Only what is ours to remove: bundles. Other tools' referrers stay.
      const isBundle = manifest.kind === "manifest" && manifest.layers.some((layer) => layer.mediaType.startsWith(BUNDLE_TYPE));
      if (manifest.subject?.digest !== digest || !isBundle) continue;
      const predicateType = manifest.annotations?.[BUNDLE_ANNOTATION.predicateType];
      const kind = predicateType === undefined || predicateType === SIGNATURE_PREDICATE_TYPE ? "signature" : "attestation";
      if (type === "all" || type === kind) found.push({ what: `${kind} ${referrer}`, digest: referrer, isReferrer: true });
    }
    if (found.length > 0 && flags.force !== true && flags.yes !== true) {
      for (const { what } of found) context.terminal.say(`  ${plain(what)}`);
      if (!(await context.terminal.confirm(`Remove these ${found.length} from ${plain(operands[0]!)}?`)))
        throw new CliError("CONFIRMATION_MISSING", "nothing was removed, because nobody agreed", { hint: "Add --force." });
    }
    // The list first: a reader must not find in it what is gone.
    const referrers = found.filter(({ isReferrer }) => isReferrer).map((one) => one.digest);
    if (referrers.length > 0) await removeReferrers(registry, storage, digest, referrers);
    for (const one of found) {
      await registry.deleteManifest({ ...storage, digest: one.digest });
      // Where a tag outlives its manifest, it goes too; where it cannot be deleted, it went with the manifest.
      if (!one.isReferrer && (await readTag(registry, storage, one.what)) !== undefined)
        await registry.deleteManifest({ ...storage, tag: one.what });
    }
    if (flags.output === "json")
      context.terminal.result(JSON.stringify({ image: operands[0]!, digest, removed: found.map(({ what }) => what) }));
    else
      context.terminal.say(
        found.length === 0
          ? "There was nothing to remove."
          : `Removed ${found.length}: ${plain(found.map(({ what }) => what).join(", "))}`,
      );
  },
});
