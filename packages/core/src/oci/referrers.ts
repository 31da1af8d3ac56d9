// SPDX-License-Identifier: Apache-2.0
/**
 * Referrers of an image (distribution specification 1.1, "listing referrers"): by the registry's API, or where it has
 * none by the fallback tag `sha256-<hex>`, an index that clients keep themselves.
 *
 * An entry of the fallback index repeats the artifact type and the annotations of its manifest, so that a reader can
 * choose without reading every manifest. Older tools left both out: readers look into the manifest then.
 *
 * Two clients that update one fallback tag at once can lose an entry: registries know no compare-and-swap. The update is
 * conditional where the registry keeps to `If-Match`, and is read back until the entry is seen there.
 */
import { LacreError } from "../errors.ts";
import { type Descriptor, MEDIA } from "./descriptor.ts";
import { artifactTypeOf, decodeManifest, encodeIndex, encodeManifest, type ImageIndex, type Manifest } from "./manifest.ts";
import type { Fetched, Registry } from "./registry.ts";
import type { Reference, Repository } from "./reference.ts";
import { attachmentTag } from "./attachment.ts";

const ATTEMPTS = 5;

/** The referrers of a digest, whatever they are; none where there is neither answer nor tag. Throws as `Registry.manifest`. */
export async function listReferrers(registry: Registry, place: Repository, digest: string): Promise<readonly Descriptor[]> {
  return (await registry.referrers(place, digest)) ?? (await readFallback(registry, place, digest))?.index.manifests ?? [];
}

async function readFallback(
  registry: Registry,
  place: Repository,
  digest: string,
): Promise<{ readonly index: ImageIndex; readonly etag: string | undefined } | undefined> {
  let fetched: Fetched;
  try {
    fetched = await registry.manifest({ ...place, tag: attachmentTag(digest) });
  } catch (error) {
    if (error instanceof LacreError && error.code === "REGISTRY_NOT_FOUND") return undefined;
    throw error;
  }
  if (fetched.manifest.kind === "index") return { index: fetched.manifest, etag: fetched.etag };
  throw new LacreError("MANIFEST_INVALID", `the tag ${attachmentTag(digest)} holds no list of referrers`, {
    expected: MEDIA.index,
    found: fetched.manifest.mediaType,
  });
}

/**
 * Pushes a manifest that refers to a subject, and sees to it that the subject's referrers list it. Throws as
 * `Registry.pushManifest`, and REGISTRY_UNAVAILABLE when others changed the fallback tag again and again.
 */
export async function pushReferrer(
  registry: Registry,
  place: Repository,
  manifest: Omit<Manifest, "kind"> & { readonly subject: Descriptor },
): Promise<Descriptor> {
  const bytes = encodeManifest(manifest);
  const { descriptor, hasSubject } = await registry.pushManifest(place, bytes, manifest.mediaType);
  if (hasSubject || (await registry.referrers(place, manifest.subject.digest)) !== undefined) return descriptor;
  await addToFallback(registry, place, manifest.subject.digest, listed(descriptor, bytes));
  return descriptor;
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

async function addToFallback(registry: Registry, place: Repository, digest: string, entry: Descriptor): Promise<void> {
  await changeFallback(
    registry,
    place,
    digest,
    (entries) => [...entries.filter((one) => one.digest !== entry.digest), entry],
    (entries) => entries.some((one) => one.digest === entry.digest && one.artifactType === entry.artifactType),
  );
}

/** Takes referrers off the fallback tag, where there is one; the tag goes with the last of them. */
export async function removeReferrers(
  registry: Registry,
  place: Repository,
  digest: string,
  removed: readonly string[],
): Promise<void> {
  if ((await registry.referrers(place, digest)) !== undefined) return;
  if ((await readFallback(registry, place, digest)) === undefined) return;
  await changeFallback(
    registry,
    place,
    digest,
    (entries) => entries.filter((one) => !removed.includes(one.digest)),
    (entries) => !entries.some((one) => removed.includes(one.digest)),
  );
}

async function changeFallback(
  registry: Registry,
  place: Repository,
  digest: string,
  change: (entries: readonly Descriptor[]) => readonly Descriptor[],
  isDone: (entries: readonly Descriptor[]) => boolean,
): Promise<void> {
  const tag = attachmentTag(digest);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await readFallback(registry, place, digest);
    if (before !== undefined && isDone(before.index.manifests)) return;
    const manifests = change(before?.index.manifests ?? []);
    const bytes = encodeIndex({ ...before?.index, mediaType: MEDIA.index, manifests });
    try {
      await registry.pushManifest(place, bytes, MEDIA.index, before === undefined ? { tag } : { tag, ifMatch: before.etag });
    } catch (error) {
      // The tag moved between reading and writing, says a registry that keeps to conditions: read again.
      if (error instanceof LacreError && error.code === "REGISTRY_REFUSED" && error.found?.startsWith("status 412") === true)
        continue;
      throw error;
    }
    const after = await readFallback(registry, place, digest);
    if (after !== undefined && isDone(after.index.manifests)) return;
  }
  throw new LacreError("REGISTRY_UNAVAILABLE", `the tag ${tag} is changed by others all the time`, {
    expected: "our entry in the list of referrers",
    found: `not there after ${ATTEMPTS} attempts`,
  });
}

/** The reference of one of an image's referrers. */
export function referrerReference(place: Repository, descriptor: Pick<Descriptor, "digest">): Reference {
  return { registry: place.registry, repository: place.repository, digest: descriptor.digest };
}
