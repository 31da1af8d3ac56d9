// SPDX-License-Identifier: Apache-2.0
/**
 * Referrers of an image (distribution specification 1.1, "listing referrers"): by the registry's API, or where it has
 * none by the fallback tag `sha256-<hex>`, an index that clients keep themselves.
 *
 * An entry of the fallback index repeats the artifact type and the annotations of its manifest, so that a reader can
 * choose without reading every manifest. Older tools left both out: readers look into the manifest then.
 */
import { LacreError } from "../errors.ts";
import { attachmentTag } from "./attachment.ts";
import { type Descriptor, MEDIA } from "./descriptor.ts";
import { artifactTypeOf, decodeManifest, encodeIndex, encodeManifest, type ImageIndex, type Manifest } from "./manifest.ts";
import type { Fetched, Registry } from "./registry.ts";
import type { Repository } from "./reference.ts";
import { changeTag, readTag } from "./tag.ts";

/** The referrers of a digest, whatever they are; none where there is neither answer nor tag. Throws as `Registry.manifest`. */
export async function listReferrers(registry: Registry, place: Repository, digest: string): Promise<readonly Descriptor[]> {
  const found = await registry.referrers(place, digest);
  if (found !== undefined) return found;
  const held = await readTag(registry, place, attachmentTag(digest));
  return held === undefined ? [] : indexOf(held, digest).manifests;
}

function indexOf(held: Fetched, digest: string): ImageIndex {
  if (held.manifest.kind === "index") return held.manifest;
  throw new LacreError("MANIFEST_INVALID", `the tag ${attachmentTag(digest)} holds no list of referrers`, {
    expected: MEDIA.index,
    found: held.manifest.mediaType,
  });
}

/**
 * Pushes a manifest that refers to a subject, and sees to it that the subject's referrers list it. Throws as
 * `Registry.pushManifest`, and REGISTRY_UNAVAILABLE when others change the fallback tag again and again.
 */
export async function pushReferrer(
  registry: Registry,
  place: Repository,
  manifest: Omit<Manifest, "kind"> & { readonly subject: Descriptor },
): Promise<Descriptor> {
  return pushReferrerBytes(registry, place, encodeManifest(manifest), manifest.mediaType, manifest.subject.digest);
}

/** As `pushReferrer`, for the octets of a manifest that is there already, as when copying. */
export async function pushReferrerBytes(
  registry: Registry,
  place: Repository,
  bytes: Uint8Array,
  mediaType: string,
  subject: string,
): Promise<Descriptor> {
  const { descriptor, hasSubject } = await registry.pushManifest(place, bytes, mediaType);
  if (hasSubject || (await registry.referrers(place, subject)) !== undefined) return descriptor;
  const entry = listed(descriptor, bytes);
  await changeTag(
    registry,
    place,
    attachmentTag(subject),
    (held) =>
      held !== undefined &&
      indexOf(held, subject).manifests.some(
        ({ digest, artifactType }) => digest === entry.digest && artifactType === entry.artifactType,
      ),
    async (held) => {
      const index = held === undefined ? undefined : indexOf(held, subject);
      const others = (index?.manifests ?? []).filter(({ digest }) => digest !== entry.digest);
      return encodeList(index, [...others, entry]);
    },
  );
  return descriptor;
}

function encodeList(
  index: ImageIndex | undefined,
  manifests: readonly Descriptor[],
): { readonly bytes: Uint8Array; readonly mediaType: string } {
  return { bytes: encodeIndex({ ...index, mediaType: MEDIA.index, manifests }), mediaType: MEDIA.index };
}

/** The descriptor of a manifest as it stands in a list of referrers. */
export function listed(descriptor: Descriptor, bytes: Uint8Array): Descriptor {
  const manifest = decodeManifest(bytes, descriptor.mediaType);
  const artifactType = artifactTypeOf(manifest);
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

/**
 * Takes referrers off the fallback tag, where the registry has no list of its own and there is such a tag. Whether that was
 * so is returned: then nobody finds them any more, whether or not the registry lets them be deleted.
 */
export async function removeReferrers(
  registry: Registry,
  place: Repository,
  subject: string,
  removed: readonly string[],
): Promise<boolean> {
  if ((await registry.referrers(place, subject)) !== undefined) return false;
  await changeTag(
    registry,
    place,
    attachmentTag(subject),
    (held) => held === undefined || !indexOf(held, subject).manifests.some(({ digest }) => removed.includes(digest)),
    async (held) => {
      const index = indexOf(held!, subject);
      return encodeList(
        index,
        index.manifests.filter(({ digest }) => !removed.includes(digest)),
      );
    },
  );
  return true;
}
