// SPDX-License-Identifier: Apache-2.0
/** Files as images: a layer that is the file, so that whatever a registry keeps can be signed like an image. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { createHasher } from "@lacre/core/crypto";
import { toHex } from "@lacre/core/bytes";
import {
  type Descriptor,
  describe,
  encodeConfig,
  encodeIndex,
  encodeManifest,
  formatReference,
  formatRepository,
  MEDIA,
  type Platform,
  type Registry,
  type Repository,
} from "@lacre/core/oci";
import type { Context } from "../context.ts";
import { CliError, fileError } from "../errors.ts";
import { openRegistry, parseImage, type RegistryFlags } from "../registry.ts";
import { plain, type Progress } from "../terminal.ts";
import { parsePairs } from "./images.ts";

interface Named {
  readonly path: string;
  readonly platform: Platform | undefined;
}

/** `FILE` or `FILE:os/architecture`; `:os` alone is taken as cosign takes it. */
function parseFile(given: string): Named {
  const match = /^(.+):([A-Za-z0-9]+)(?:\/([A-Za-z0-9]+)(?:\/([A-Za-z0-9]+))?)?$/.exec(given);
  if (match === null) return { path: given, platform: undefined };
  const [, path, os, architecture, variant] = match;
  return {
    path: path!,
    platform: { os: os!, architecture: architecture ?? "", ...(variant === undefined ? {} : { variant }) },
  };
}

/** Uploads the files of `-f` and prints the image that they make, by digest. */
export async function uploadFiles(
  context: Context,
  flags: RegistryFlags & {
    readonly files?: readonly string[] | undefined;
    readonly ct?: string | undefined;
    readonly annotation?: readonly string[] | undefined;
  },
  name: string,
): Promise<void> {
  const files = (flags.files ?? []).flatMap((one) => one.split(",")).map(parseFile);
  if (files.length === 0) throw new CliError("USAGE", "-f is missing: which file?");
  if (files.length > 1 && files.some(({ platform }) => platform === undefined))
    throw new CliError("USAGE", "several files need a platform each", { hint: "Write -f FILE:os/architecture." });
  if (flags.ct !== undefined && !/^[\w.+-]+\/[\w.+-]+$/.test(flags.ct)) throw new CliError("USAGE", "--ct is no media type");
  const pairs = parsePairs("--annotation", flags.annotation ?? []);
  const annotations = Object.keys(pairs).length === 0 ? {} : { annotations: pairs };
  const reference = parseImage(name);
  if (reference.digest !== undefined) throw new CliError("USAGE", "what is uploaded gets a digest of its own: name a tag");
  const registry = await openRegistry(context, flags, [reference]);
  const images: Descriptor[] = [];
  for (const { path, platform } of files) {
    const layer = await pushFile(context, registry, reference, path, flags.ct);
    const bytes = encodeConfig([layer]);
    const config = describe(MEDIA.config, bytes);
    await registry.pushBlob(reference, config, bytes);
    const manifest = encodeManifest({ mediaType: MEDIA.manifest, config, layers: [layer], ...annotations });
    const to = files.length === 1 ? { tag: reference.tag } : {};
    const { descriptor } = await registry.pushManifest(reference, manifest, MEDIA.manifest, to);
    images.push({ ...descriptor, ...(platform === undefined ? {} : { platform }) });
  }
  let { digest } = images[0]!;
  if (images.length > 1) {
    const index = encodeIndex({ mediaType: MEDIA.index, manifests: images, ...annotations });
    const { descriptor } = await registry.pushManifest(reference, index, MEDIA.index, { tag: reference.tag });
    ({ digest } = descriptor);
  }
  context.terminal.say(
    `Uploaded ${files.length === 1 ? "the file" : `${files.length} files`} to ${plain(formatRepository(reference))}`,
  );
  context.terminal.result(formatReference({ registry: reference.registry, repository: reference.repository, digest }));
}

async function pushFile(
  context: Context,
  registry: Registry,
  place: Repository,
  name: string,
  mediaType: string | undefined,
): Promise<Descriptor> {
  const path = resolve(context.cwd, name);
  try {
    const hasher = createHasher("sha256");
    let size = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      hasher.update(chunk);
      size += chunk.length;
    }
    const layer = { mediaType: mediaType ?? (await sniff(path)), digest: `sha256:${toHex(hasher.digest())}`, size };
    const progress = context.terminal.progress(name, size);
    try {
      await registry.pushBlob(place, layer, () => readTold(path, progress));
    } finally {
      progress.end();
    }
    return layer;
  } catch (cause) {
    if (typeof (cause as NodeJS.ErrnoException).code === "string" && "syscall" in (cause as object))
      throw fileError("FILE_UNREADABLE", plain(name), cause);
    throw cause;
  }
}

// Told as it is read: a listener on the stream would set it flowing before anybody reads, and lose what came first.
async function* readTold(path: string, progress: Progress): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    progress.advance(chunk.length);
    yield chunk;
  }
}

const SIGNS: readonly (readonly [RegExp, string])[] = [
  [/^\x1f\x8b\x08/, "application/x-gzip"],
  [/^PK\x03\x04/, "application/zip"],
  [/^%PDF-/, "application/pdf"],
  [/^\0asm/, "application/wasm"],
];

/** The media type by the beginning of a file: a few that are known, text, or octets. */
async function sniff(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const start = buffer.subarray(0, bytesRead).toString("latin1");
    const known = SIGNS.find(([sign]) => sign.test(start));
    if (known !== undefined) return known[1];
    // oxlint-disable-next-line no-control-regex -- control characters tell binary files from texts
    return /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(start) ? "application/octet-stream" : "text/plain";
  } finally {
    await file.close();
  }
}
