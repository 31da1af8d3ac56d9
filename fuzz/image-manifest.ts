// SPDX-License-Identifier: Apache-2.0
/** Manifests and indexes: one thing or the other, and written again as what they are. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { decodeManifest, encodeIndex, encodeManifest, isDigest } from "../packages/core/src/oci/index.ts";

export const name = "image-manifest";

const DIGEST = `sha256:${"ab".repeat(32)}`;
const DESCRIPTOR = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"digest":"${DIGEST}","annotations":{"a":"b"},"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"artifactType":"a/b"}`;

export const seeds: Uint8Array[] = [
  `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"${DIGEST}"},"layers":[{"mediaType":"a/b","size":1,"digest":"${DIGEST}"}],"annotations":{"k":"v"},"subject":${DESCRIPTOR},"artifactType":"a/b"}`,
  `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[${DESCRIPTOR}]}`,
  `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[${DESCRIPTOR},${DESCRIPTOR}]}`,
].map(utf8);

export function target(bytes: Uint8Array): void {
  const document = decodeManifest(bytes);
  const parts = document.kind === "index" ? document.manifests : [document.config, ...document.layers];
  if (parts.some(({ digest, size }) => !isDigest(digest) || !Number.isSafeInteger(size) || size < 0))
    throw new Error("a part without a name");
  const again = decodeManifest(document.kind === "index" ? encodeIndex(document) : encodeManifest(document), document.mediaType);
  if (JSON.stringify(again) !== JSON.stringify(document)) throw new Error("written as something else");
}
