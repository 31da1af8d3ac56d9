// SPDX-License-Identifier: Apache-2.0
/**
 * Images that are files: an OCI layout in a directory, or an archive. They answer as a registry does, read only, so that
 * whatever finds and verifies signatures does not know the difference.
 *
 * - Every octet that is given out was compared with its digest, as from a registry.
 * - Tags are the names in `index.json` (`org.opencontainers.image.ref.name`), and cosign's kinds: `save` marks the manifest
 *   of the signatures of the one image with `dev.cosignproject.cosign/sigs`.
 * - Referrers are the manifests whose subject is the image. `save` leaves them among the blobs without a word in the index,
 *   so small blobs are looked into.
 */
import { LacreError } from "@lacre/core/errors";
import {
  attachmentTag,
  decodeManifest,
  type Descriptor,
  digestOf,
  type Fetched,
  gather,
  type ImageIndex,
  checkContent,
  isDigest,
  listed,
  MEDIA,
  type Octets,
  type Reference,
  type Registry,
  type Repository,
} from "@lacre/core/oci";
import { CliError } from "../errors.ts";

/** Where the content of an image that is a file lies. */
export interface BlobStore {
  /** For people. */
  readonly name: string;
  /** The document that lists what is here. */
  readonly index: ImageIndex;
  /** Size of a blob; undefined when it is not here. */
  size(digest: string): Promise<number | undefined>;
  /** The octets of a blob, unchecked. */
  open(digest: string): Octets;
  /** Proves that a blob is here and has this digest and size. Throws CONTENT_MISMATCH. */
  prove(descriptor: Descriptor): Promise<void>;
  /** The blobs that are small enough for manifests, unchecked. Throws TOO_LARGE when there are too many. */
  small(): AsyncIterable<{ readonly digest: string; readonly bytes: Uint8Array }>;
}

/** Blobs larger than this are not looked into for manifests. */
export const MAX_SMALL_BYTES: number = 1 << 20;

/** The place of an image that is a file: it has no registry. */
export const NOWHERE: Repository = { registry: "localhost", repository: "image" };

export const KIND = {
  image: "dev.cosignproject.cosign/image",
  imageIndex: "dev.cosignproject.cosign/imageIndex",
  signatures: "dev.cosignproject.cosign/sigs",
  attestations: "dev.cosignproject.cosign/atts",
} as const;

const REF_NAME = "org.opencontainers.image.ref.name";

/** The images of a store: what is no signature, no attestation and no referrer. */
function listImages(index: ImageIndex): readonly Descriptor[] {
  const marked = index.manifests.filter(({ annotations }) => {
    const kind = annotations?.["kind"];
    return kind === KIND.image || kind === KIND.imageIndex;
  });
  if (marked.length > 0) return marked;
  return index.manifests.filter(
    ({ artifactType, annotations }) =>
      artifactType === undefined &&
      annotations?.["kind"] === undefined &&
      !/^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$/.test(annotations?.[REF_NAME] ?? ""),
  );
}

/**
 * The image that is meant: by tag or digest, or the only one. Throws USAGE when there are several, IMAGE_MISSING when
 * there is none of that name.
 */
export function chooseImage(store: BlobStore, wanted: string | undefined): Descriptor {
  const images = listImages(store.index);
  const names = images.map(({ annotations, digest }) => annotations?.[REF_NAME] ?? digest).slice(0, 10);
  if (wanted !== undefined) {
    const found = images.find(({ digest, annotations }) => digest === wanted || annotations?.[REF_NAME] === wanted);
    if (found !== undefined) return found;
    throw new CliError("IMAGE_MISSING", `${store.name} has no image ${wanted}`, {
      hint: names.length === 0 ? "It holds no image at all." : `It holds ${names.join(", ")}.`,
    });
  }
  // One image under several names is one image.
  const digests = new Set(images.map(({ digest }) => digest));
  const [only] = images;
  if (only !== undefined && digests.size === 1) return only;
  if (only === undefined) throw new CliError("IMAGE_MISSING", `${store.name} holds no image`);
  throw new CliError("USAGE", `${store.name} holds several images`, { hint: `Add :TAG or @DIGEST: ${names.join(", ")}.` });
}

function findTagged(index: ImageIndex, tag: string): Descriptor | undefined {
  const named = index.manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag);
  if (named !== undefined) return named;
  // cosign's layouts hold one image, and mark what belongs to it.
  const images = listImages(index);
  if (new Set(images.map(({ digest }) => digest)).size !== 1) return undefined;
  const { digest } = images[0]!;
  const kind =
    tag === attachmentTag(digest, "sig") ? KIND.signatures : tag === attachmentTag(digest, "att") ? KIND.attestations : undefined;
  return kind === undefined ? undefined : index.manifests.find(({ annotations }) => annotations?.["kind"] === kind);
}

/** The store as a registry that can be read. Writing is a mistake of ours and throws TypeError. */
export function createLocalRegistry(store: BlobStore): Registry {
  const missing = (what: string): LacreError => new LacreError("REGISTRY_NOT_FOUND", `${store.name} does not have ${what}`);
  const noWriting = (): never => {
    throw new TypeError("an image that is a file is only read");
  };
  let subjects: Promise<ReadonlyMap<string, readonly Descriptor[]>> | undefined;

  async function* blob(
    _place: Repository,
    descriptor: Pick<Descriptor, "digest" | "size">,
    limit: number,
  ): AsyncGenerator<Uint8Array> {
    if ((await store.size(descriptor.digest)) === undefined) throw missing(descriptor.digest);
    yield* checkContent(() => store.open(descriptor.digest), descriptor, limit);
  }

  async function manifest(reference: Reference): Promise<Fetched> {
    const tagged = reference.digest === undefined ? findTagged(store.index, reference.tag ?? "latest") : undefined;
    const digest = reference.digest ?? tagged?.digest;
    if (digest === undefined) throw missing(`the tag ${reference.tag ?? "latest"}`);
    const size = await store.size(digest);
    if (size === undefined) throw missing(`the manifest ${digest}`);
    const bytes = await gather(checkContent(() => store.open(digest), { digest, size }, 4 << 20));
    const stated = store.index.manifests.find((one) => one.digest === digest)?.mediaType;
    const decoded = decodeManifest(bytes, stated);
    return { descriptor: { mediaType: decoded.mediaType, digest, size }, bytes, manifest: decoded };
  }

  // Which manifests refer to what: worked out once, in one look at all small blobs.
  async function findSubjects(): Promise<ReadonlyMap<string, readonly Descriptor[]>> {
    const found = new Map<string, Descriptor[]>();
    for await (const { digest, bytes } of store.small()) {
      // Cheap signs first: most small blobs are configurations.
      if (bytes[0] !== 0x7b || !Buffer.from(bytes).includes('"subject"')) continue;
      const algorithm = digest.startsWith("sha512:") ? "sha512" : "sha256";
      if (digestOf(bytes, algorithm) !== digest) continue;
      let decoded;
      try {
        decoded = decodeManifest(bytes);
      } catch (error) {
        if (error instanceof LacreError) continue;
        throw error;
      }
      if (decoded.subject === undefined) continue;
      const entry = listed({ mediaType: decoded.mediaType, digest, size: bytes.length }, bytes);
      const group = found.get(decoded.subject.digest);
      if (group === undefined) found.set(decoded.subject.digest, [entry]);
      else group.push(entry);
    }
    return found;
  }

  return {
    manifest,
    blob,
    resolve: async (reference) => (await manifest(reference)).descriptor,
    readBlob: (place, descriptor, limit) => gather(blob(place, descriptor, limit)),
    hasBlob: async (_place, digest) => isDigest(digest) && (await store.size(digest)) !== undefined,
    referrers: async (_place, digest) => (await (subjects ??= findSubjects())).get(digest) ?? [],
    tags: () => Promise.resolve(store.index.manifests.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? [])),
    pushBlob: noWriting,
    pushManifest: noWriting,
    deleteManifest: noWriting,
  };
}

/** Reads the document that lists what is in a layout. Throws MANIFEST_INVALID. */
export function decodeLayoutIndex(name: string, bytes: Uint8Array): ImageIndex {
  const index = decodeManifest(bytes, MEDIA.index);
  if (index.kind === "index") return index;
  throw new LacreError("MANIFEST_INVALID", `index.json of ${name} is not a list of images`, {
    expected: MEDIA.index,
    found: index.mediaType,
  });
}
