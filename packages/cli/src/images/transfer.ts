// SPDX-License-Identifier: Apache-2.0
/**
 * Moving images with all that is signed about them: between registries, into a layout, out of one.
 *
 * What belongs to an image is found first: the images of a list, and for each of them its referrers and theirs, and the
 * attachments of cosign's older tags. Then it is put down from the inside out: content, manifests, referrers, attachments,
 * and the image's own name last. A crash on the way leaves content that nothing names; it never leaves an image under its
 * name without its signatures. Running it again goes on where it stopped, for what is there is not sent again.
 */
import { LacreError } from "@lacre/core/errors";
import {
  type Attachment,
  attachmentTag,
  type Descriptor,
  type Fetched,
  formatRepository,
  isManifestType,
  listReferrers,
  type Platform,
  pushReferrerBytes,
  readTag,
  type Registry,
  type Repository,
} from "@lacre/core/oci";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";

/** One manifest to be put down, with where it is from. */
export interface Piece {
  readonly fetched: Fetched;
  readonly place: Repository;
  /** The tag it has to have besides: that of an older attachment. */
  readonly tag?: string;
  /** What it is a referrer of. */
  readonly subject?: string;
  /** Content that goes before it. */
  readonly blobs: readonly Descriptor[];
  readonly attachment?: { readonly of: string; readonly kind: Attachment };
}

export interface Origin {
  readonly registry: Registry;
  readonly place: Repository;
  /** Where signatures are kept. */
  readonly storage: Repository;
}

export interface CollectOptions {
  /** Which attachments and referrers go along. Default: all. */
  readonly only?: ReadonlySet<Attachment> | undefined;
  readonly prefix?: string | undefined;
}

const MAX_DEPTH = 8;
const MAX_PIECES = 10_000;
const ATTACHMENTS: readonly Attachment[] = ["sig", "att", "sbom"];

/** All that belongs to an image, in the order in which it has to be put down; the image is the last piece without a tag. */
export async function collect(origin: Origin, root: Fetched, options: CollectOptions = {}): Promise<readonly Piece[]> {
  const pieces: Piece[] = [];
  const seen = new Set<string>();
  const add = (piece: Piece): void => {
    if (pieces.length >= MAX_PIECES) throw new LacreError("TOO_LARGE", `more than ${MAX_PIECES} manifests belong to the image`);
    pieces.push(piece);
  };
  const walk = async (fetched: Fetched, place: Repository, extra: Partial<Piece>, depth: number): Promise<void> => {
    const { digest } = fetched.descriptor;
    if (seen.has(digest)) return;
    seen.add(digest);
    if (depth > MAX_DEPTH) throw new LacreError("TOO_LARGE", "what belongs to the image is nested too deeply");
    const { manifest } = fetched;
    const parts = manifest.kind === "index" ? manifest.manifests : [manifest.config, ...manifest.layers];
    const nested = manifest.kind === "index" ? parts.filter(({ mediaType }) => isManifestType(mediaType)) : [];
    for (const child of nested) {
      const inner = await origin.registry.manifest({ ...place, digest: child.digest });
      await walk(inner, place, {}, depth + 1);
    }
    add({ fetched, place, blobs: parts.filter((part) => !nested.includes(part)), ...extra });
    await attached(digest, depth);
  };
  const attached = async (digest: string, depth: number): Promise<void> => {
    const { registry, storage } = origin;
    for (const kind of ATTACHMENTS) {
      if (options.only?.has(kind) === false) continue;
      const tag = attachmentTag(digest, kind, options.prefix);
      const held = await readTag(registry, storage, tag);
      if (held !== undefined) await walk(held, storage, { tag, attachment: { of: digest, kind } }, depth + 1);
    }
    for (const { digest: referrer } of await listReferrers(registry, storage, digest)) {
      const held = await registry.manifest({ ...storage, digest: referrer });
      // The list is a claim; what the manifest says counts.
      if (held.manifest.subject?.digest !== digest || !isWanted(held, options.only)) continue;
      await walk(held, storage, { subject: digest }, depth + 1);
    }
  };
  await walk(root, origin.place, {}, 0);
  return pieces;
}

// A bundle is a signature or an attestation by what it says it states; other referrers go along with all.
function isWanted({ manifest }: Fetched, only: ReadonlySet<Attachment> | undefined): boolean {
  if (only === undefined) return true;
  const predicateType = manifest.annotations?.["dev.sigstore.bundle.predicateType"];
  const isSignature = predicateType === undefined || predicateType === "https://sigstore.dev/cosign/sign/v1";
  return only.has(isSignature ? "sig" : "att");
}

/** The image of one platform out of a list. Throws USAGE with what there is. */
export async function choosePlatform(origin: Origin, root: Fetched, platform: string): Promise<Fetched> {
  if (root.manifest.kind !== "index") return root;
  const [os, architecture, variant, ...more] = platform.split("/");
  const fits = (one: Platform | undefined): boolean =>
    one !== undefined && one.os === os && one.architecture === architecture && (variant === undefined || one.variant === variant);
  const fitting = root.manifest.manifests.filter((child) => fits(child.platform));
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1 && more.length === 0)
    return origin.registry.manifest({ ...origin.place, digest: only.digest });
  const known = root.manifest.manifests.flatMap(({ platform: one }) =>
    one === undefined ? [] : [[one.os, one.architecture, one.variant].filter((part) => part !== undefined).join("/")],
  );
  throw new CliError("USAGE", `the image has ${fitting.length === 0 ? "nothing" : "several images"} for ${plain(platform)}`, {
    hint: `It has ${plain(known.slice(0, 20).join(", "))}.`,
  });
}

/** Where pieces are put down. */
export interface Destination {
  blob(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>, from: Repository): Promise<void>;
  manifest(piece: Piece): Promise<void>;
}

/** Puts pieces down, content before what names it. `tell`: octets that were dealt with. */
export async function putAll(
  origin: Origin,
  pieces: readonly Piece[],
  destination: Destination,
  tell: (octets: number) => void = () => undefined,
): Promise<void> {
  const done = new Set<string>();
  for (const piece of pieces) {
    const left = piece.blobs.filter(({ digest }) => !done.has(digest));
    for (const { digest } of left) done.add(digest);
    await inTurn(left, 4, async (descriptor) => {
      await destination.blob(
        descriptor,
        () => origin.registry.blob(piece.place, descriptor, Number.MAX_SAFE_INTEGER),
        piece.place,
      );
      tell(descriptor.size);
    });
    await destination.manifest(piece);
    tell(piece.fetched.descriptor.size);
  }
}

/** Some at a time; the first failure ends it, after those under way. */
async function inTurn<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const run = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: limit }, run));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** The size of all that will be put down. */
export function sizeOf(pieces: readonly Piece[]): number {
  const sizes = new Map<string, number>();
  for (const { fetched, blobs } of pieces) for (const { digest, size } of [fetched.descriptor, ...blobs]) sizes.set(digest, size);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** A repository as destination. Images get no tag here: see `nameImage`. */
export function createRegistryDestination(registry: Registry, place: Repository): Destination {
  return {
    blob: (descriptor, open, from) =>
      registry.pushBlob(
        place,
        descriptor,
        open,
        from.registry === place.registry && from.repository !== place.repository ? from.repository : undefined,
      ),
    async manifest({ fetched: { bytes, descriptor }, tag, subject }) {
      if (subject !== undefined) await pushReferrerBytes(registry, place, bytes, descriptor.mediaType, subject);
      else await registry.pushManifest(place, bytes, descriptor.mediaType, tag === undefined ? {} : { tag });
    },
  };
}

/**
 * Gives the image its name, when all else is there. Throws USAGE when the name has another image and `force` is not set:
 * overwriting is what a person has to mean.
 */
export async function nameImage(
  registry: Registry,
  to: Repository & { readonly tag?: string; readonly digest?: string },
  root: Fetched,
  force: boolean,
): Promise<void> {
  const { bytes, descriptor } = root;
  if (to.digest !== undefined && to.digest !== descriptor.digest) {
    throw new CliError("USAGE", "the destination names another digest than the image has", {
      hint: `The image is ${descriptor.digest}.`,
    });
  }
  if (to.tag === undefined) return;
  await checkTagFree(registry, to, descriptor.digest, force);
  await registry.pushManifest(to, bytes, descriptor.mediaType, { tag: to.tag });
}

/** Refuses to take a tag from another image. Throws USAGE. */
export async function checkTagFree(
  registry: Registry,
  to: Repository & { readonly tag?: string },
  digest: string,
  force: boolean,
): Promise<void> {
  if (to.tag === undefined || force) return;
  const held = await readTag(registry, to, to.tag);
  if (held === undefined || held.descriptor.digest === digest) return;
  throw new CliError("USAGE", `${plain(formatRepository(to))}:${to.tag} is another image already (${held.descriptor.digest})`, {
    hint: "Add --force to put this one in its place.",
  });
}
