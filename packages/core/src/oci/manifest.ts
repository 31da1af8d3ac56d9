// SPDX-License-Identifier: Apache-2.0
/**
 * Manifests and indexes: OCI image specification 1.1 (manifest.md, image-index.md) and Docker's schema 2 (manifest and
 * manifest list), read strictly and written as OCI.
 *
 * A document is one thing or the other: members of both kinds are refused (CVE-2021-41190), and so is a `mediaType` inside
 * that differs from what the registry said outside. Docker's schema 1 is refused: its digest does not cover the content.
 */
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { decodeAnnotations, decodeDescriptor, encodeDescriptor, MEDIA, sorted, type Descriptor } from "./descriptor.ts";

/** An image or an artifact. */
export interface Manifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  /** As written; without it, the config's media type says what the artifact is. */
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  /** What this is a referrer of. */
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A list of manifests, such as one image a platform. */
export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Octets of a manifest that are read at most; distribution refuses larger ones too. */
export const MAX_MANIFEST_BYTES: number = 4 << 20;
/** Layers of a manifest, manifests of an index. */
export const MAX_DESCRIPTORS = 4096;

const INDEXES: readonly string[] = [MEDIA.index, MEDIA.dockerList];
const MANIFESTS: readonly string[] = [MEDIA.manifest, MEDIA.dockerManifest];
const OLD = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/** Whether a media type is one of a manifest or an index. */
export function isManifestType(mediaType: string): boolean {
  return MANIFESTS.includes(mediaType) || INDEXES.includes(mediaType);
}

/** Whether a media type is one of an index. */
export function isIndexType(mediaType: string): boolean {
  return INDEXES.includes(mediaType);
}

function invalid(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("MANIFEST_INVALID", message, detail);
}

/**
 * Reads a manifest or an index. `mediaType`: what the descriptor or the registry says it is. Throws TOO_LARGE beyond
 * 4 MiB and 4,096 descriptors, BAD_JSON, BAD_UTF8, MANIFEST_INVALID. That these octets are those that were asked for is
 * for the caller to check.
 */
export function decodeManifest(bytes: Uint8Array, mediaType?: string): Manifest | ImageIndex {
  const object = new JsonObject(parseJson(bytes, { maxBytes: MAX_MANIFEST_BYTES, maxDepth: 16 }), "manifest");
  const own = object.optionalString("mediaType");
  const said = mediaType !== undefined && isManifestType(mediaType) ? mediaType : undefined;
  if (OLD.test(own ?? mediaType ?? "") || object.get("schemaVersion") === 1)
    throw invalid("Docker's schema 1 is not read: its digest does not cover the content", { expected: "schemaVersion 2" });
  if (object.get("schemaVersion") !== 2) throw invalid("the manifest is not of schema 2", { expected: "schemaVersion 2" });
  if (own !== undefined && own !== "" && said !== undefined && own !== said)
    throw invalid("the manifest says it is of another type than it was announced as", {
      expected: said,
      found: own.slice(0, 100),
    });
  refuseLookalikes(object);
  const isIndex = object.has("manifests") || INDEXES.includes(own ?? said ?? "");
  if (isIndex && (object.has("layers") || object.has("config")))
    throw invalid("the manifest is an image and a list of images at once", { expected: "one of the two" });
  const type = own === undefined || own === "" ? (said ?? (isIndex ? MEDIA.index : MEDIA.manifest)) : own;
  if (!(isIndex ? INDEXES : MANIFESTS).includes(type))
    throw invalid("the manifest is of an unknown type", {
      expected: (isIndex ? INDEXES : MANIFESTS).join(" or "),
      found: type.slice(0, 100),
    });
  const artifactType = object.optionalString("artifactType");
  const subject = object.optionalObject("subject");
  const annotations = decodeAnnotations(object);
  const common = {
    mediaType: type,
    ...(artifactType === undefined || artifactType === "" ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject: decodeDescriptor(subject) }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  if (isIndex) return { kind: "index", ...common, manifests: object.objects(MAX_DESCRIPTORS, "manifests").map(decodeDescriptor) };
  return {
    kind: "manifest",
    ...common,
    config: decodeDescriptor(object.object("config")),
    layers: object.objects(MAX_DESCRIPTORS, "layers").map(decodeDescriptor),
  };
}

const MEMBERS = ["schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"];

/** Go reads "Layers" for "layers": what readers could take for two different documents is refused. */
function refuseLookalikes(object: JsonObject): void {
  for (const key of object.keys()) {
    const member = MEMBERS.find((name) => name.toLowerCase() === key.toLowerCase());
    if (member !== undefined && member !== key)
      throw invalid("a member of the manifest is written in other letters", { expected: member, found: key });
  }
}

/** What a manifest is an artifact of: its `artifactType`, or else its config's media type (referrers API, "artifactType"). */
export function artifactTypeOf(manifest: Manifest | ImageIndex): string | undefined {
  return manifest.artifactType ?? (manifest.kind === "manifest" ? manifest.config.mediaType : undefined);
}

/** Writes a manifest, members in the order in which cosign writes them. */
export function encodeManifest(manifest: Omit<Manifest, "kind">): Uint8Array {
  const { mediaType, config, layers, annotations, subject, artifactType } = manifest;
  const json: Json = {
    schemaVersion: 2,
    mediaType,
    config: encodeDescriptor(config),
    layers: layers.map(encodeDescriptor),
    ...tail(annotations, subject, artifactType),
  };
  return utf8(JSON.stringify(json));
}

/** Writes an index. */
export function encodeIndex(index: Omit<ImageIndex, "kind">): Uint8Array {
  const { mediaType, manifests, annotations, subject, artifactType } = index;
  const json: Json = {
    schemaVersion: 2,
    mediaType,
    manifests: manifests.map(encodeDescriptor),
    ...tail(annotations, subject, artifactType),
  };
  return utf8(JSON.stringify(json));
}

function tail(
  annotations: Readonly<Record<string, string>> | undefined,
  subject: Descriptor | undefined,
  artifactType: string | undefined,
): { readonly [key: string]: Json } {
  return {
    ...(annotations === undefined ? {} : { annotations: sorted(annotations) }),
    ...(subject === undefined ? {} : { subject: encodeDescriptor(subject) }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}
