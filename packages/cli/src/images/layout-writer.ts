// SPDX-License-Identifier: Apache-2.0
/**
 * Writing OCI layouts as cosign's `save` does, so that `cosign load` and `cosign verify --local-image` read them: the image
 * and the manifests of its older attachments stand in `index.json` with their kinds, referrers lie among the blobs.
 * Attachments of the images of a list have their tag as name, for which cosign has no place.
 *
 * Content is written under another name, proved, and renamed; `index.json` is written last. A crash leaves a layout that
 * has no index, or its old one.
 */
import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { LacreError } from "@lacre/core/errors";
import { checkContent, type Descriptor, encodeIndex, type Fetched, MEDIA, splitDigest } from "@lacre/core/oci";
import { CliError, fileError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { plain } from "../terminal.ts";
import { openLayout } from "./layout.ts";
import { KIND } from "./local.ts";
import type { Destination, Piece } from "./transfer.ts";

const REF_NAME = "org.opencontainers.image.ref.name";

/** A layout being written. */
export interface LayoutWriter extends Destination {
  /** Writes the index: from here on the layout is one. */
  finish(root: Fetched, pieces: readonly Piece[]): Promise<void>;
}

/** Prepares a folder. Throws USAGE for one that holds something else, FILE_UNWRITABLE. */
export async function createLayoutWriter(path: string): Promise<LayoutWriter> {
  const isOld = existsSync(join(path, "oci-layout"));
  if (!isOld && existsSync(path) && (await readdir(path).catch(() => ["?"])).length > 0) {
    throw new CliError("USAGE", `${plain(path)} is not empty and not a layout`, {
      hint: "Give --dir a folder that is new or empty.",
    });
  }
  try {
    await mkdir(join(path, "blobs", "sha256"), { recursive: true });
  } catch (cause) {
    throw fileError("FILE_UNWRITABLE", path, cause);
  }
  const put = async (
    descriptor: Pick<Descriptor, "digest" | "size">,
    open: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> => {
    const { algorithm, hex } = splitDigest(descriptor.digest);
    const folder = join(path, "blobs", algorithm);
    const file = join(folder, hex);
    if (existsSync(file) && (await isHeld(path, descriptor))) return;
    const draft = join(folder, `.${randomBytes(8).toString("hex")}`);
    try {
      await mkdir(folder, { recursive: true });
      await pipeline(Readable.from(checkContent(open, descriptor, Number.MAX_SAFE_INTEGER)), createWriteStream(draft));
      await rename(draft, file);
    } catch (cause) {
      await rm(draft, { force: true });
      throw cause instanceof LacreError || cause instanceof CliError ? cause : fileError("FILE_UNWRITABLE", file, cause);
    }
  };
  return {
    blob: (descriptor, open) => put(descriptor, open),
    manifest: ({ fetched }) => put(fetched.descriptor, () => [fetched.bytes]),
    async finish(root, pieces) {
      const index = encodeIndex({ mediaType: MEDIA.index, manifests: listEntries(root, pieces) });
      await writeWhole(join(path, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}', 0o644);
      await writeWhole(join(path, "index.json"), index, 0o644);
    },
  };
}

/** Whether a file from before is what it is called. */
async function isHeld(path: string, descriptor: Pick<Descriptor, "digest" | "size">): Promise<boolean> {
  try {
    await (await openLayout(path)).prove({ ...descriptor, mediaType: MEDIA.empty });
    return true;
  } catch {
    return false;
  }
}

function listEntries(root: Fetched, pieces: readonly Piece[]): readonly Descriptor[] {
  const { digest } = root.descriptor;
  const entries: Descriptor[] = [
    { ...root.descriptor, annotations: { kind: root.manifest.kind === "index" ? KIND.imageIndex : KIND.image } },
  ];
  for (const { fetched, tag, attachment } of pieces) {
    if (attachment === undefined || tag === undefined) continue;
    const kind =
      attachment.of === digest ? { sig: KIND.signatures, att: KIND.attestations, sbom: undefined }[attachment.kind] : undefined;
    entries.push({ ...fetched.descriptor, annotations: { ...(kind === undefined ? {} : { kind }), [REF_NAME]: tag } });
  }
  return entries;
}
