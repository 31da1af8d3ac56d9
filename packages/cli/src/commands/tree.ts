// SPDX-License-Identifier: Apache-2.0
import { openImage } from "../images/open.ts";
import { listTree, type Leaf } from "../images/tree.ts";
import { REGISTRY_FLAGS } from "../registry.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Show what is stored beside an image: signatures, attestations, SBOMs, referrers",
  details: "Nothing of it is verified: this is what is there, not what holds.\n\n  lacre tree registry.example/app:v1",
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    localImage: toggle("The image is an OCI layout (a folder) or an archive"),
    experimentalOci11: toggle("Whether referrers are looked for: they always are", { hidden: true }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag, …@sha256:DIGEST, oci-layout:DIR, oci-archive:FILE", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const image = await openImage(context, flags, operands[0]!);
    const { digest } = image.root.descriptor;
    const leaves = await listTree(image.registry, image.storage, digest, flags.attachmentTagPrefix);
    if (flags.output === "json") {
      context.terminal.result(JSON.stringify({ image: image.reference, digest, attached: leaves }));
      return;
    }
    const lines = [`📦 Supply Chain Security Related artifacts for an image: ${plain(image.reference)}`];
    for (const leaf of leaves) describe(leaf, "", lines);
    if (leaves.length === 0) lines[0] = `No Supply Chain Security Related Artifacts found for image ${plain(image.reference)}`;
    context.terminal.result(lines.join("\n"));
  },
});

const TITLES = {
  attestations: "💾 Attestations for an image tag",
  signatures: "🔐 Signatures for an image tag",
  sbom: "📦 SBOMs for an image tag",
} as const;

function describe(leaf: Leaf, indent: string, lines: string[]): void {
  const title = leaf.kind === "referrer" ? `🔗 ${leaf.type} artifacts via OCI referrer` : TITLES[leaf.kind];
  lines.push(`${indent}└── ${plain(title)}: ${plain(leaf.where)}`);
  for (const layer of leaf.layers) lines.push(`${indent}   └── 🍒 ${layer.digest}`);
  for (const inner of leaf.referrers) describe(inner, `${indent}   `, lines);
}
