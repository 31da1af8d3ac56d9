// SPDX-License-Identifier: Apache-2.0
/**
 * The image that an operand names, wherever it is:
 *
 *     registry/repository[:tag][@digest], oci://…   in a registry
 *     oci-layout:DIR[:tag|@digest]                  an OCI layout in a directory
 *     oci-archive:FILE, docker-archive:FILE         a tar, of either kind
 *     DIR or FILE with --local-image                whichever of these it is
 *
 * A tag is resolved once; from then on the image is its digest, so that a tag that moves meanwhile moves nothing here.
 * Images in files are held against their manifest, layers included, before anything is said of their signatures.
 */
import { stat } from "node:fs/promises";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { LacreError } from "@lacre/core/errors";
import { type Fetched, formatReference, formatRepository, type Registry, type Repository } from "@lacre/core/oci";
import type { Context } from "../context.ts";
import { CliError, fileError } from "../errors.ts";
import { openRegistry, parseImage, type RegistryFlags, storagePlace } from "../registry.ts";
import { plain } from "../terminal.ts";
import { type Archive, checkDockerImage, type DockerImage, openArchive } from "./archive.ts";
import type { ContentRecord } from "./judgement.ts";
import { isLayout, openLayout } from "./layout.ts";
import { type BlobStore, chooseImage, createLocalRegistry, NOWHERE } from "./local.ts";

export interface OpenFlags extends RegistryFlags {
  readonly offline?: boolean | undefined;
  readonly localImage?: boolean | undefined;
  /** The image in its registry, for archives that do not carry manifest or signatures. */
  readonly reference?: string | undefined;
}

/** An image, resolved. */
export interface OpenImage {
  /** As it was asked for. */
  readonly name: string;
  /** What scripts know it by: for a registry, the reference as written. */
  readonly reference: string;
  readonly registry: Registry;
  readonly place: Repository;
  /** Where signatures are kept. */
  readonly storage: Repository;
  readonly root: Fetched;
  /** What was proved of its content; undefined for registries, which were not asked for it. */
  readonly content: ContentRecord | undefined;
}

const LOCAL = /^(oci-layout|oci-archive|docker-archive):/;

/** Opens an image. Throws IMAGE_MISSING, IMAGE_INCOMPLETE, OFFLINE, USAGE, CONTENT_MISMATCH and what registries throw. */
export async function openImage(context: Context, flags: OpenFlags, name: string): Promise<OpenImage> {
  const kind = LOCAL.exec(name)?.[1];
  if (kind === undefined && flags.localImage !== true) {
    if (flags.reference !== undefined)
      throw new CliError("USAGE", "--reference is for images in files", { hint: `${plain(name)} is in a registry.` });
    return openRemote(context, flags, name);
  }
  const given = kind === undefined ? name : name.slice(kind.length + 1);
  const { path, wanted } = splitPath(context, given);
  let isDirectory: boolean;
  try {
    isDirectory = (await stat(path)).isDirectory();
  } catch (cause) {
    throw fileError("FILE_UNREADABLE", given, cause);
  }
  if (isDirectory) {
    if (kind === "oci-archive" || kind === "docker-archive")
      throw new CliError("USAGE", `${plain(given)} is a folder, not an archive`);
    if (!(await isLayout(path))) {
      throw new CliError("FILE_UNREADABLE", `${plain(given)} is not an OCI layout: it has no file oci-layout`, {
        hint: "lacre save IMAGE --dir DIR makes one.",
      });
    }
    return openStore(context, flags, name, await openLayout(path), wanted, undefined);
  }
  if (kind === "oci-layout")
    throw new CliError("USAGE", `${plain(given)} is a file, not a folder`, { hint: `Write oci-archive:${given}.` });
  const progress = context.terminal.progress(plain(given), (await stat(path)).size);
  let archive: Archive;
  try {
    archive = await openArchive(path, (octets) => progress.advance(octets));
  } finally {
    progress.end();
  }
  return archive.store === undefined
    ? openDocker(context, flags, name, archive, wanted)
    : openStore(context, flags, name, archive.store, wanted, archive);
}

/** A path, and the tag or digest behind it: what exists as a whole is a path alone. */
function splitPath(context: Context, given: string): { readonly path: string; readonly wanted: string | undefined } {
  const whole = resolve(context.cwd, given);
  if (existsSync(whole)) return { path: whole, wanted: undefined };
  const at = given.indexOf("@sha");
  const cut = at > 0 ? at : given.lastIndexOf(":");
  if (cut <= 0) return { path: whole, wanted: undefined };
  return { path: resolve(context.cwd, given.slice(0, cut)), wanted: given.slice(cut + 1) };
}

async function openRemote(context: Context, flags: OpenFlags, name: string): Promise<OpenImage> {
  const reference = parseImage(name);
  if (flags.offline === true) {
    throw new CliError("OFFLINE", `${plain(name)} is in a registry, and --offline forbids asking it`, {
      hint: "Take the image along as a file: lacre save IMAGE --dir DIR, then lacre verify oci-layout:DIR.",
    });
  }
  const place = { registry: reference.registry, repository: reference.repository };
  const storage = storagePlace(context, place);
  const registry = await openRegistry(context, flags, [place, storage]);
  const root = await resolveRoot(registry, reference, name);
  // As cosign prints it: the tag where one was given, else the digest.
  const written = reference.digest === undefined ? formatReference(reference) : `${formatRepository(place)}@${reference.digest}`;
  return { name, reference: written, registry, place, storage, root, content: undefined };
}

/** The manifest of a reference. Throws IMAGE_MISSING where the registry says that there is none. */
export async function resolveRoot(registry: Registry, reference: ReturnType<typeof parseImage>, name: string): Promise<Fetched> {
  try {
    return await registry.manifest(reference);
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code !== "REGISTRY_NOT_FOUND") throw cause;
    throw new CliError("IMAGE_MISSING", `there is no image ${plain(name)}`, {
      cause,
      hint: cause.found === undefined ? cause.hint : `The registry says: ${plain(cause.found)}. ${cause.hint}`,
    });
  }
}

async function openStore(
  context: Context,
  flags: OpenFlags,
  name: string,
  store: BlobStore,
  wanted: string | undefined,
  archive: Archive | undefined,
): Promise<OpenImage> {
  const local = createLocalRegistry(store);
  if (flags.reference !== undefined) {
    // The signatures are those of the registry; the content is that of the file.
    const remote = await openRemote(context, flags, flags.reference);
    if ((await store.size(remote.root.descriptor.digest)) !== undefined)
      return { ...remote, name, content: await proveContent(store, local, remote.root.descriptor.digest) };
    return { ...remote, name, content: await proveDocker(remote, archive, wanted, name) };
  }
  const descriptor = chooseImage(store, wanted);
  const root = await local.manifest({ ...NOWHERE, digest: descriptor.digest });
  const content = await proveContent(store, local, descriptor.digest);
  return { name, reference: name, registry: local, place: NOWHERE, storage: NOWHERE, root, content };
}

async function openDocker(
  context: Context,
  flags: OpenFlags,
  name: string,
  archive: Archive,
  wanted: string | undefined,
): Promise<OpenImage> {
  if (flags.reference === undefined) {
    throw new CliError("IMAGE_INCOMPLETE", `${plain(name)} has no manifest, and signatures are about manifests`, {
      hint: "Name the signed image in its registry with --reference IMAGE: its manifest is read there, and the layers are compared. Or save it as an OCI layout.",
    });
  }
  const remote = await openRemote(context, flags, flags.reference);
  return { ...remote, name, content: await proveDocker(remote, archive, wanted, name) };
}

/** Walks an image that is a file: every manifest, configuration and layer is there and is what it should be. */
async function proveContent(store: BlobStore, local: Registry, digest: string): Promise<ContentRecord> {
  const proved = new Set<string>();
  const absent: string[] = [];
  let layers = 0;
  let octets = 0;
  const walk = async (at: string, depth: number): Promise<void> => {
    if (proved.has(at)) return;
    proved.add(at);
    if (depth > 4) throw new CliError("IMAGE_INCOMPLETE", `${plain(store.name)} nests lists of images too deeply`);
    const { manifest } = await local.manifest({ ...NOWHERE, digest: at });
    if (manifest.kind === "index") {
      for (const child of manifest.manifests) {
        if ((await store.size(child.digest)) === undefined) absent.push(child.digest);
        else await walk(child.digest, depth + 1);
      }
      if (manifest.manifests.length > 0 && manifest.manifests.every((child) => absent.includes(child.digest))) {
        throw new CliError("IMAGE_INCOMPLETE", `${plain(store.name)} has a list of images and none of the images`);
      }
      return;
    }
    for (const descriptor of [manifest.config, ...manifest.layers]) {
      if (proved.has(descriptor.digest)) continue;
      await store.prove(descriptor);
      proved.add(descriptor.digest);
      octets += descriptor.size;
    }
    layers += manifest.layers.length;
  };
  await walk(digest, 0);
  return { layers, octets, absent };
}

// Docker's form against the signed manifest: of a list of images the one with the same configuration.
async function proveDocker(
  remote: OpenImage,
  archive: Archive | undefined,
  wanted: string | undefined,
  name: string,
): Promise<ContentRecord> {
  const image = chooseDocker(archive, wanted, name);
  const { registry, place, root } = remote;
  const children = root.manifest.kind === "manifest" ? [root.descriptor] : root.manifest.manifests;
  for (const child of children) {
    const { manifest } = await registry.manifest({ ...place, digest: child.digest });
    if (manifest.kind !== "manifest" || (children.length > 1 && manifest.config.digest !== image.configDigest)) continue;
    checkDockerImage(image, manifest);
    const octets = image.layers.reduce((sum, { size }) => sum + size, image.config.length);
    return {
      layers: image.layers.length,
      octets,
      absent: children.filter(({ digest }) => digest !== child.digest).map(({ digest }) => digest),
    };
  }
  throw new LacreError("CONTENT_MISMATCH", `${plain(name)} holds none of the images of ${plain(remote.reference)}`, {
    expected: children
      .map(({ digest }) => digest)
      .join(", ")
      .slice(0, 300),
    found: `the configuration ${image.configDigest}`,
  });
}

function chooseDocker(archive: Archive | undefined, wanted: string | undefined, name: string): DockerImage {
  const images = archive?.docker ?? [];
  const fitting =
    wanted === undefined ? images : images.filter(({ tags, configDigest }) => tags.includes(wanted) || configDigest === wanted);
  const [only] = fitting;
  if (only === undefined) throw new CliError("IMAGE_MISSING", `${plain(name)} does not hold that image`);
  if (fitting.length > 1) {
    throw new CliError("USAGE", `${plain(name)} holds several images`, {
      hint: `Add :NAME, one of ${plain(
        images
          .flatMap(({ tags }) => tags)
          .slice(0, 10)
          .join(", "),
      )}.`,
    });
  }
  return only;
}
