// SPDX-License-Identifier: Apache-2.0
/**
 * How signatures and attestations are stored beside images, as cosign stores them.
 *
 * New: a bundle is the one layer of a manifest with the image as its subject, found as a referrer.
 *
 *     artifactType  application/vnd.dev.sigstore.bundle.v0.3+json
 *     config        the empty one, with the same artifact type
 *     annotations   dev.sigstore.bundle.content, dev.sigstore.bundle.predicateType, org.opencontainers.image.created
 *
 * Old: the layers of the manifest at `sha256-<hex>.sig` are simple-signing payloads (`.att`: DSSE envelopes; `.sbom`: one
 * document), and what vouches for a layer stands in its annotations.
 *
 * All of this is a locator and proves nothing. What is listed is bounded: a registry can list what it likes.
 */
import { utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { type Attachment, attachmentTag } from "./attachment.ts";
import { describe, type Descriptor, MEDIA } from "./descriptor.ts";
import { encodeManifest, type Manifest } from "./manifest.ts";
import { listReferrers, pushReferrer } from "./referrers.ts";
import type { Fetched, Registry } from "./registry.ts";
import type { Repository } from "./reference.ts";
import { goJson } from "./simple-signing.ts";
import { changeTag, readTag } from "./tag.ts";

/** Media type and artifact type of stored bundles. */
export const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** Layers of the older scheme. */
export const LAYER: { readonly simpleSigning: string; readonly envelope: string } = {
  simpleSigning: "application/vnd.dev.cosign.simplesigning.v1+json",
  envelope: "application/vnd.dsse.envelope.v1+json",
};
/** Annotations of the older scheme's layers: the first under one prefix, the others under another. */
export const ANNOTATION: {
  readonly signature: string;
  readonly certificate: string;
  readonly chain: string;
  readonly bundle: string;
  readonly timestamp: string;
  readonly predicateType: string;
} = {
  signature: "dev.cosignproject.cosign/signature",
  certificate: "dev.sigstore.cosign/certificate",
  chain: "dev.sigstore.cosign/chain",
  bundle: "dev.sigstore.cosign/bundle",
  timestamp: "dev.sigstore.cosign/rfc3161timestamp",
  predicateType: "predicateType",
};
/** Annotations of stored bundles. */
export const BUNDLE_ANNOTATION: { readonly content: string; readonly predicateType: string; readonly created: string } = {
  content: "dev.sigstore.bundle.content",
  predicateType: "dev.sigstore.bundle.predicateType",
  created: "org.opencontainers.image.created",
};
/** Octets of one attachment that are read at most, unless the caller says otherwise (COSIGN_MAX_ATTACHMENT_SIZE). */
export const MAX_ATTACHMENT_BYTES: number = 128 << 20;
/** Signatures and attestations of one image that are listed at most. */
export const MAX_SIGNATURES = 1000;

const BUNDLE_PREFIX = "application/vnd.dev.sigstore.bundle";
const EMPTY = utf8("{}");

/** A bundle beside an image, not yet read. */
export interface StoredBundle {
  /** The manifest that holds it. */
  readonly manifest: Descriptor;
  readonly layer: Descriptor;
  /** Of the manifest: unproved. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** The bundles that are stored as referrers of an image. Throws as `Registry.manifest`, and TOO_LARGE beyond a thousand. */
export async function listBundles(registry: Registry, place: Repository, digest: string): Promise<readonly StoredBundle[]> {
  const candidates = (await listReferrers(registry, place, digest)).filter(
    ({ mediaType, artifactType }) =>
      mediaType === MEDIA.manifest &&
      // Registries and tools that know the type of the config alone say "empty", or nothing.
      (artifactType === undefined || artifactType === MEDIA.empty || artifactType.startsWith(BUNDLE_PREFIX)),
  );
  refuseFlood(candidates.length);
  const found: StoredBundle[] = [];
  for (const candidate of candidates) {
    const { descriptor, manifest } = await registry.manifest({ ...place, digest: candidate.digest });
    if (manifest.kind !== "manifest" || manifest.subject?.digest !== digest) continue;
    const [layer] = manifest.layers;
    if (layer?.mediaType.startsWith(BUNDLE_PREFIX) === true)
      found.push({ manifest: descriptor, layer, annotations: manifest.annotations ?? {} });
  }
  return found;
}

function refuseFlood(count: number): void {
  if (count <= MAX_SIGNATURES) return;
  throw new LacreError("TOO_LARGE", "the image has more signatures and attestations than are looked at", {
    expected: `at most ${MAX_SIGNATURES}`,
    found: `${count}`,
  });
}

/** A bundle to be stored. */
export interface NewBundle {
  readonly json: Uint8Array;
  readonly content: "dsse-envelope" | "message-signature";
  readonly predicateType: string | undefined;
  readonly createdMs: number;
}

/** Stores a bundle beside an image; what is returned is the manifest that holds it. Throws as `Registry.pushManifest`. */
export async function pushBundle(
  registry: Registry,
  place: Repository,
  subject: Descriptor,
  { json, content, predicateType, createdMs }: NewBundle,
): Promise<Descriptor> {
  const layer = describe(BUNDLE_TYPE, json);
  const config = describe(MEDIA.empty, EMPTY);
  await registry.pushBlob(place, layer, json);
  await registry.pushBlob(place, config, EMPTY);
  return pushReferrer(registry, place, {
    mediaType: MEDIA.manifest,
    artifactType: BUNDLE_TYPE,
    config: { ...config, artifactType: BUNDLE_TYPE },
    layers: [layer],
    annotations: {
      [BUNDLE_ANNOTATION.content]: content,
      ...(predicateType === undefined ? {} : { [BUNDLE_ANNOTATION.predicateType]: predicateType }),
      [BUNDLE_ANNOTATION.created]: formatTime(createdMs),
    },
    subject: { mediaType: subject.mediaType, size: subject.size, digest: subject.digest },
  });
}

/** The layers of an attachment of the older scheme, unread; none when there is no such tag. Throws as `listBundles`. */
export async function listAttached(
  registry: Registry,
  place: Repository,
  digest: string,
  attachment: Attachment,
  prefix = "",
): Promise<readonly Descriptor[]> {
  const held = await readTag(registry, place, attachmentTag(digest, attachment, prefix));
  const layers = held === undefined ? [] : layersOf(held);
  refuseFlood(layers.length);
  return layers;
}

function layersOf({ manifest, descriptor }: Fetched): readonly Descriptor[] {
  if (manifest.kind === "manifest") return manifest.layers;
  throw new LacreError("MANIFEST_INVALID", "the tag of the signatures holds a list of images", {
    expected: MEDIA.manifest,
    found: descriptor.mediaType,
  });
}

/** A layer to be attached. */
export interface NewLayer {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** How an attachment is written. */
export interface AttachOptions {
  readonly prefix?: string;
  /** Layers that the new one stands instead of. Default: none. */
  readonly replaces?: (layer: Descriptor) => boolean;
  /** When the layers were put together, for the configuration; without it the year 1. */
  readonly createdMs?: number | undefined;
  /** Docker's media types for registries that know no other (COSIGN_DOCKER_MEDIA_TYPES). */
  readonly dockerTypes?: boolean;
}

/** Adds a layer to an attachment of the older scheme. The tag that holds it is returned. Throws as `Registry.pushManifest`. */
export async function pushAttached(
  registry: Registry,
  place: Repository,
  digest: string,
  attachment: Attachment,
  { mediaType, bytes, annotations }: NewLayer,
  { prefix = "", replaces = () => false, dockerTypes = false, createdMs }: AttachOptions = {},
): Promise<string> {
  const tag = attachmentTag(digest, attachment, prefix);
  const layer: Descriptor = { ...describe(mediaType, bytes), ...(annotations === undefined ? {} : { annotations }) };
  const isSame = (one: Descriptor): boolean =>
    one.digest === layer.digest && one.annotations?.[ANNOTATION.signature] === annotations?.[ANNOTATION.signature];
  await registry.pushBlob(place, layer, bytes);
  await changeTag(
    registry,
    place,
    tag,
    (held) => held !== undefined && layersOf(held).some(isSame) && !layersOf(held).some((one) => !isSame(one) && replaces(one)),
    async (held) => {
      const layers = [...(held === undefined ? [] : layersOf(held)).filter((one) => !replaces(one) && !isSame(one)), layer];
      refuseFlood(layers.length);
      return encodeAttached(registry, place, layers, dockerTypes, createdMs);
    },
  );
  return tag;
}

async function encodeAttached(
  registry: Registry,
  place: Repository,
  layers: readonly Descriptor[],
  dockerTypes: boolean,
  createdMs: number | undefined,
): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
  const bytes = encodeConfig(layers, createdMs);
  const config = describe(dockerTypes ? "application/vnd.docker.container.image.v1+json" : MEDIA.config, bytes);
  await registry.pushBlob(place, config, bytes);
  const mediaType = dockerTypes ? MEDIA.dockerManifest : MEDIA.manifest;
  const manifest: Omit<Manifest, "kind"> = { mediaType, config, layers };
  return { bytes: encodeManifest(manifest), mediaType };
}

/** The configuration of an image that is none, as go-containerregistry makes it: for registries that look at it. */
export function encodeConfig(layers: readonly Descriptor[], createdMs?: number): Uint8Array {
  const created = createdMs === undefined ? "0001-01-01T00:00:00Z" : formatTime(createdMs);
  return utf8(
    goJson({
      architecture: "",
      created,
      history: layers.map(() => ({ created })),
      os: "",
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
      config: {},
    }),
  );
}

/** A moment in RFC 3339, in whole seconds. */
function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}
