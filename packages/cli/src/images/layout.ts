// SPDX-License-Identifier: Apache-2.0
/**
 * An OCI image layout in a directory (OCI image specification 1.1, image-layout.md):
 *
 *     oci-layout          {"imageLayoutVersion": "1.0.0"}
 *     index.json          what is here
 *     blobs/sha256/<hex>  content, named by its digest
 *
 * Names of files are made from digests that were checked to be digests, never from text in the layout.
 */
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { checkContent, isDigest, splitDigest } from "@lacre/core/oci";
import { fileError } from "../errors.ts";
import { type BlobStore, decodeLayoutIndex, MAX_SMALL_BYTES } from "./local.ts";

const MAX_INDEX_BYTES = 4 << 20;
const MAX_BLOBS = 100_000;

/** Whether a directory is a layout. */
export async function isLayout(path: string): Promise<boolean> {
  return (await sizeOf(join(path, "oci-layout"))) !== undefined;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const facts = await stat(path);
    return facts.isFile() ? facts.size : undefined;
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw fileError("FILE_UNREADABLE", path, cause);
  }
}

async function readSmall(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_INDEX_BYTES) throw new LacreError("TOO_LARGE", `${path} is larger than 4 MiB`);
    return await readFile(path);
  } catch (cause) {
    throw cause instanceof LacreError ? cause : fileError("FILE_UNREADABLE", path, cause);
  }
}

/** Opens a layout. Throws FILE_UNREADABLE, MANIFEST_INVALID, BAD_JSON, TOO_LARGE. */
export async function openLayout(path: string): Promise<BlobStore> {
  checkLayoutVersion(path, await readSmall(join(path, "oci-layout")));
  const index = decodeLayoutIndex(path, await readSmall(join(path, "index.json")));
  const fileOf = (digest: string): string => {
    const { algorithm, hex } = splitDigest(digest);
    return join(path, "blobs", algorithm, hex);
  };
  const open = (digest: string): AsyncIterable<Uint8Array> => createReadStream(fileOf(digest), { highWaterMark: 1 << 20 });
  return {
    name: path,
    index,
    size: (digest) => sizeOf(fileOf(digest)),
    open,
    async prove(descriptor) {
      if ((await sizeOf(fileOf(descriptor.digest))) === undefined)
        throw new LacreError("CONTENT_MISMATCH", `${path} lacks content`, { expected: descriptor.digest, found: "nothing" });
      try {
        for await (const _chunk of checkContent(() => open(descriptor.digest), descriptor, Infinity)) {
          // Read for its digest alone.
        }
      } catch (cause) {
        if (!(cause instanceof LacreError)) throw fileError("FILE_UNREADABLE", fileOf(descriptor.digest), cause);
        throw new LacreError("CONTENT_MISMATCH", `${descriptor.digest} in ${path}: ${cause.message}`, {
          expected: cause.expected ?? descriptor.digest,
          found: cause.found ?? "other content",
          cause,
        });
      }
    },
    async *small() {
      const folder = join(path, "blobs", "sha256");
      const names = await readdir(folder).catch((cause: unknown) => {
        throw fileError("FILE_UNREADABLE", folder, cause);
      });
      if (names.length > MAX_BLOBS) throw new LacreError("TOO_LARGE", `${path} holds more than ${MAX_BLOBS} blobs`);
      for (const name of names) {
        const digest = `sha256:${name}`;
        if (!isDigest(digest)) continue;
        const size = await sizeOf(join(folder, name));
        if (size !== undefined && size <= MAX_SMALL_BYTES) yield { digest, bytes: await readFile(join(folder, name)) };
      }
    },
  };
}

/** The version of a layout. Throws MANIFEST_INVALID. */
export function checkLayoutVersion(name: string, bytes: Uint8Array): void {
  const version = new JsonObject(parseJson(bytes), "oci-layout").string("imageLayoutVersion");
  if (/^1\.\d+\.\d+$/.test(version)) return;
  throw new LacreError("MANIFEST_INVALID", `${name} is a layout of an unknown version`, {
    expected: "1.0.0",
    found: version.slice(0, 40),
  });
}
