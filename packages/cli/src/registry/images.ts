// SPDX-License-Identifier: Apache-2.0
/**
 * The images that a verb is about: each resolved once, from then on known by its digest, and where asked for together
 * with the images of an index.
 */
import {
  decodeManifest,
  type Descriptor,
  formatReference,
  isManifestType,
  MEDIA,
  type Reference,
  type Registry,
} from "@lacre/core/oci";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";
import { parseImage } from "../registry.ts";

/** One image, by digest. */
export interface Image {
  /** As it was written, or for an image of an index by its digest. */
  readonly name: string;
  readonly reference: Reference & { readonly digest: string };
  readonly descriptor: Descriptor;
}

/** Images of indexes within indexes that are looked at. */
const MAX_IMAGES = 1000;

/** Reads references, without asking anybody. Throws USAGE. */
export function parseImages(names: readonly string[]): readonly { readonly name: string; readonly reference: Reference }[] {
  return names.map((name) => ({ name, reference: parseImage(name) }));
}

/** Resolves an image, and says so where a tag was all there was to go by: a tag can lead elsewhere a moment later. */
export async function resolveImage(
  context: Context,
  registry: Registry,
  { name, reference }: { readonly name: string; readonly reference: Reference },
): Promise<Image> {
  const descriptor = await registry.resolve(reference);
  if (reference.digest === undefined) {
    context.terminal.warn(
      `${plain(name)} is a tag, which can lead to another image at any time; now it leads to ${descriptor.digest}. Name images by digest: ${plain(formatReference({ ...reference, digest: descriptor.digest }))}`,
    );
  }
  return { name, reference: { ...reference, digest: descriptor.digest }, descriptor };
}

/** The image itself and, of an index, every image in it: each once, the index first. Throws TOO_LARGE as CliError USAGE. */
export async function* walkImages(registry: Registry, image: Image): AsyncGenerator<Image> {
  const seen = new Set<string>([image.reference.digest]);
  const waiting: Image[] = [image];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    yield next;
    if (next.descriptor.mediaType !== MEDIA.index && next.descriptor.mediaType !== MEDIA.dockerList) continue;
    const { bytes, descriptor } = await registry.manifest(next.reference);
    const index = decodeManifest(bytes, descriptor.mediaType);
    if (index.kind !== "index") continue;
    for (const child of index.manifests) {
      if (!isManifestType(child.mediaType) || seen.has(child.digest)) continue;
      seen.add(child.digest);
      if (seen.size > MAX_IMAGES) {
        throw new CliError("USAGE", `${plain(image.name)} holds more than ${MAX_IMAGES} images`, {
          hint: "Sign them one by one.",
        });
      }
      const reference = { registry: image.reference.registry, repository: image.reference.repository, digest: child.digest };
      waiting.push({
        name: formatReference(reference),
        reference,
        descriptor: { mediaType: child.mediaType, digest: child.digest, size: child.size },
      });
    }
  }
}

/** `key=value` pairs. Throws USAGE. */
export function parsePairs(flag: string, given: readonly string[]): Readonly<Record<string, string>> {
  const pairs = Object.create(null) as Record<string, string>;
  // cosign takes several in one flag, parted by commas, as its flag library does.
  for (const pair of given.flatMap((one) => one.split(","))) {
    const equals = pair.indexOf("=");
    if (equals <= 0) throw new CliError("USAGE", `${flag} is key=value, not ${JSON.stringify(pair.slice(0, 60))}`);
    pairs[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return pairs;
}
