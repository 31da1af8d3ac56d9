// SPDX-License-Identifier: Apache-2.0
/**
 * Descriptors (OCI image specification 1.1, descriptor.md): a piece of content by media type, digest and size.
 *
 * A descriptor is a claim. What is read by it is compared with its digest and size (`content.ts`). `urls` are never
 * followed, and `data` is never used: content comes from the place that was asked for, or not at all.
 */
import { toHex } from "../bytes/index.ts";
import type { Json, JsonObject } from "../codec/index.ts";
import { hash, type HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { isDigest } from "./reference.ts";

/** For which machine an image of an index is. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
}

/** A piece of content: what it is, and which octets it is. */
export interface Descriptor {
  readonly mediaType: string;
  /** As "sha256:" and hexadecimal. */
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
}

/** Media types of the documents of registries. */
export const MEDIA: {
  readonly manifest: string;
  readonly index: string;
  readonly dockerManifest: string;
  readonly dockerList: string;
  readonly config: string;
  readonly empty: string;
} = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  config: "application/vnd.oci.image.config.v1+json",
  empty: "application/vnd.oci.empty.v1+json",
};

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:; ?[\w=.+-]+)*$/;
const MAX_ANNOTATIONS = 1024;

/** Reads a descriptor. Throws BAD_JSON and MANIFEST_INVALID. */
export function decodeDescriptor(object: JsonObject): Descriptor {
  const mediaType = object.string("mediaType");
  if (!MEDIA_TYPE.test(mediaType)) throw invalid(`${object.where} has no media type`, mediaType);
  const digest = object.string("digest");
  if (!isDigest(digest)) throw invalid(`${object.where} has a digest of an unknown kind`, digest);
  const size = object.get("size");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`${object.where} has no size`, JSON.stringify(size ?? null));
  const artifactType = object.optionalString("artifactType");
  const annotations = decodeAnnotations(object);
  const platform = object.optionalObject("platform");
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined || artifactType === "" ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform: decodePlatform(platform) }),
  };
}

/** The annotations of a manifest, an index or a descriptor; undefined when there is no such member. */
export function decodeAnnotations(object: JsonObject): Readonly<Record<string, string>> | undefined {
  const annotations = object.optionalObject("annotations");
  if (annotations === undefined) return undefined;
  const names = annotations.keys();
  if (names.length > MAX_ANNOTATIONS)
    throw new LacreError("TOO_LARGE", `${annotations.where} are too many`, {
      expected: `at most ${MAX_ANNOTATIONS}`,
      found: `${names.length}`,
    });
  // Names are data, `__proto__` among them: an object without a prototype keeps them apart.
  const decoded = Object.create(null) as Record<string, string>;
  for (const name of names) decoded[name] = annotations.string(name);
  return decoded;
}

function decodePlatform(object: JsonObject): Platform {
  const variant = object.optionalString("variant");
  const osVersion = object.optionalString("os.version");
  return {
    os: object.optionalString("os") ?? "",
    architecture: object.optionalString("architecture") ?? "",
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  };
}

function invalid(message: string, found: string): LacreError {
  return new LacreError("MANIFEST_INVALID", message, { found: found.slice(0, 200) });
}

/** The descriptor as JSON, members in the order in which Go's tools write them. */
export function encodeDescriptor(descriptor: Descriptor): Json {
  const { mediaType, size, digest, annotations, platform, artifactType } = descriptor;
  return {
    mediaType,
    size,
    digest,
    ...(annotations === undefined ? {} : { annotations: sorted(annotations) }),
    ...(platform === undefined
      ? {}
      : {
          platform: {
            architecture: platform.architecture,
            os: platform.os,
            ...(platform.osVersion === undefined ? {} : { "os.version": platform.osVersion }),
            ...(platform.variant === undefined ? {} : { variant: platform.variant }),
          },
        }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

/** Annotations sorted by name, as Go writes maps. */
export function sorted(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** The hash of a digest, and its hexadecimal digits. Throws REFERENCE_INVALID. */
export function splitDigest(digest: string): { readonly algorithm: HashName; readonly hex: string } {
  if (!isDigest(digest)) throw new LacreError("REFERENCE_INVALID", "not a digest", { found: digest.slice(0, 150) });
  const colon = digest.indexOf(":");
  return { algorithm: digest.slice(0, colon) as HashName, hex: digest.slice(colon + 1) };
}

/** The digest of these octets. */
export function digestOf(bytes: Uint8Array, algorithm: HashName = "sha256"): string {
  return `${algorithm}:${toHex(hash(algorithm, bytes))}`;
}

/** The descriptor of these octets. */
export function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}
