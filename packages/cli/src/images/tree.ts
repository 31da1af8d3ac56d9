// SPDX-License-Identifier: Apache-2.0
/**
 * What is stored beside an image, as a tree: older attachments with their layers, referrers with theirs, and what refers
 * to those. Nothing of it is verified; it is a list of what is there.
 */
import {
  type Attachment,
  artifactTypeOf,
  attachmentTag,
  BUNDLE_ANNOTATION,
  type Descriptor,
  formatRepository,
  listReferrers,
  readTag,
  type Registry,
  type Repository,
} from "@lacre/core/oci";

/** One thing beside an image. */
export interface Leaf {
  readonly kind: "signatures" | "attestations" | "sbom" | "referrer";
  /** Where it is: tag or digest. */
  readonly where: string;
  /** What it says it is: a predicate type, or an artifact type. */
  readonly type: string;
  readonly digest: string;
  readonly layers: readonly { readonly digest: string; readonly mediaType: string; readonly size: number }[];
  /** What refers to this in turn. */
  readonly referrers: readonly Leaf[];
}

const OLD: readonly (readonly [Attachment, Leaf["kind"]])[] = [
  ["att", "attestations"],
  ["sig", "signatures"],
  ["sbom", "sbom"],
];
const MAX_DEPTH = 4;

/** Lists what is beside a digest. Throws as `Registry.manifest`. */
export async function listTree(
  registry: Registry,
  place: Repository,
  digest: string,
  prefix?: string,
  depth = 0,
): Promise<readonly Leaf[]> {
  const leaves: Leaf[] = [];
  for (const [attachment, kind] of OLD) {
    const tag = attachmentTag(digest, attachment, prefix);
    const held = await readTag(registry, place, tag);
    if (held?.manifest.kind !== "manifest") continue;
    leaves.push({
      kind,
      where: `${formatRepository(place)}:${tag}`,
      type: kind,
      digest: held.descriptor.digest,
      layers: held.manifest.layers.map(describe),
      referrers: [],
    });
  }
  for (const { digest: referrer } of await listReferrers(registry, place, digest)) {
    const { manifest } = await registry.manifest({ ...place, digest: referrer });
    if (manifest.subject?.digest !== digest) continue;
    leaves.push({
      kind: "referrer",
      where: `${formatRepository(place)}@${referrer}`,
      type: manifest.annotations?.[BUNDLE_ANNOTATION.predicateType] ?? artifactTypeOf(manifest) ?? "unknown",
      digest: referrer,
      layers: (manifest.kind === "manifest" ? manifest.layers : manifest.manifests).map(describe),
      referrers: depth >= MAX_DEPTH ? [] : await listTree(registry, place, referrer, prefix, depth + 1),
    });
  }
  return leaves;
}

function describe({ digest, mediaType, size }: Descriptor): Leaf["layers"][number] {
  return { digest, mediaType, size };
}
