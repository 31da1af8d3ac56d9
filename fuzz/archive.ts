// SPDX-License-Identifier: Apache-2.0
/** Archives of images: what is read has content under its own digest, and nothing outside of the archive. */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { decodeArchive } from "../packages/cli/src/images/archive.ts";
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { createTar } from "../test/cli/tar.ts";

export const name = "archive";

// The command's own dependency, from where the command has it.
const { Parser } = createRequire(new URL("../packages/cli/src/images/archive.ts", import.meta.url))("tar") as {
  readonly Parser: Parameters<typeof decodeArchive>[2];
};

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const layer = utf8("a layer");
const config = utf8(JSON.stringify({ rootfs: { type: "layers", diff_ids: [`sha256:${digest(layer)}`] } }));
const index = utf8(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: `sha256:${digest(layer)}`, size: layer.length },
    ],
  }),
);

export const seeds: Uint8Array[] = [
  createTar([
    { name: "oci-layout", bytes: utf8('{"imageLayoutVersion":"1.0.0"}') },
    { name: "index.json", bytes: index },
    { name: "blobs/", type: "5" },
    { name: `blobs/sha256/${digest(layer)}`, bytes: layer },
  ]),
  createTar([
    { name: `${digest(config)}.json`, bytes: config },
    { name: "a/layer.tar", bytes: layer },
    { name: "b/layer.tar", type: "2", link: "../a/layer.tar" },
    {
      name: "manifest.json",
      bytes: utf8(JSON.stringify([{ Config: `${digest(config)}.json`, RepoTags: ["a:b"], Layers: ["b/layer.tar"] }])),
    },
  ]),
];

/** Headers with their sums put right: else every change of one would end at its sum. */
function summed(bytes: Uint8Array): Uint8Array {
  const right = Uint8Array.from(bytes);
  for (let at = 0; at + 512 <= right.length; at += 512) {
    const header = right.subarray(at, at + 512);
    if (String.fromCharCode(...header.subarray(257, 262)) !== "ustar") continue;
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, octet) => total + octet, 0);
    header.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  return right;
}

export function target(given: Uint8Array): void {
  const bytes = summed(given);
  // A compressed archive is read later, by streams: not here.
  if (bytes[0] === 0x1f || (bytes[0] === 0x28 && bytes[1] === 0xb5)) return;
  const { store, docker } = decodeArchive("archive", bytes, Parser);
  for (const image of docker)
    if (image.configDigest !== `sha256:${digest(image.config)}`) throw new Error("a configuration under another's digest");
  if (store === undefined && docker.length === 0) throw new Error("an archive of nothing");
}
