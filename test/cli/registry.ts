// SPDX-License-Identifier: Apache-2.0
/** What tests of the command put into a registry in memory (`../registry.ts`), by descriptor. */
import { TestRegistry } from "../registry.ts";

export const HOST = "registry.test";

interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export function createRegistry({ hasReferrers = true }: { readonly hasReferrers?: boolean } = {}): TestRegistry {
  return new TestRegistry({ host: HOST, referrers: hasReferrers });
}

/** Puts content in. */
export function putBlob(registry: TestRegistry, repository: string, mediaType: string, bytes: Uint8Array): Described {
  return { mediaType, digest: registry.putBlob(repository, bytes), size: bytes.length };
}

/** Puts a manifest in, under its digest and a tag. */
export function putManifest(registry: TestRegistry, repository: string, manifest: object, tag?: string): Described {
  return describe(registry, repository, registry.putManifest(repository, manifest, tag));
}

/** Puts an image of one layer in. */
export function putImage(registry: TestRegistry, repository: string, tag: string | undefined, content: string): Described {
  return describe(registry, repository, registry.putImage(repository, tag, `layer of ${content}`));
}

function describe(registry: TestRegistry, repository: string, digest: string): Described {
  const { mediaType, bytes } = registry.stored(repository, digest)!;
  return { mediaType, digest, size: bytes.length };
}
