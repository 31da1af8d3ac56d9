// SPDX-License-Identifier: Apache-2.0
/**
 * Changing what a tag holds while others may do the same. Registries know no compare-and-swap: the write is conditional
 * where the registry keeps to `If-Match`, and in any case the tag is read back until the change is seen there.
 */
import { LacreError } from "../errors.ts";
import type { Fetched, Registry } from "./registry.ts";
import type { Repository } from "./reference.ts";

const ATTEMPTS = 5;

/** What a tag holds; undefined when there is no such tag. Throws as `Registry.manifest`, but for REGISTRY_NOT_FOUND. */
export async function readTag(registry: Registry, place: Repository, tag: string): Promise<Fetched | undefined> {
  try {
    return await registry.manifest({ ...place, tag });
  } catch (error) {
    if (error instanceof LacreError && error.code === "REGISTRY_NOT_FOUND") return undefined;
    throw error;
  }
}

/**
 * Puts in what `change` makes of it, until `isDone` of what the tag holds. Throws as `Registry.pushManifest`, and
 * REGISTRY_UNAVAILABLE when others change the tag again and again.
 */
export async function changeTag(
  registry: Registry,
  place: Repository,
  tag: string,
  isDone: (held: Fetched | undefined) => boolean,
  change: (held: Fetched | undefined) => Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }>,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await readTag(registry, place, tag);
    if (isDone(before)) return;
    const { bytes, mediaType } = await change(before);
    try {
      await registry.pushManifest(place, bytes, mediaType, { tag, ifMatch: before?.etag });
    } catch (error) {
      // The tag moved between reading and writing, says a registry that keeps to conditions: read again.
      if (error instanceof LacreError && error.code === "REGISTRY_REFUSED" && error.found?.startsWith("status 412") === true)
        continue;
      throw error;
    }
    if (isDone(await readTag(registry, place, tag))) return;
  }
  throw new LacreError("REGISTRY_UNAVAILABLE", `the tag ${tag} is changed by others all the time`, {
    expected: "our change in it",
    found: `not there after ${ATTEMPTS} attempts`,
  });
}
