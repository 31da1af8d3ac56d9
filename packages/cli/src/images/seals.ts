// SPDX-License-Identifier: Apache-2.0
/**
 * The signatures and attestations that are stored beside an image: bundles among its referrers, and cosign's older tags.
 *
 * What is found here is told apart by what it says of itself, which decides nothing but which list it is in: each is
 * verified on its own afterwards. What cannot be read at all is in both lists, so that it is seen to be refused rather
 * than passed over.
 */
import { decodeBundle, decodeStatement, STATEMENT_PAYLOAD_TYPE, type LegacySignature } from "@lacre/core/bundle";
import { LacreError } from "@lacre/core/errors";
import {
  ANNOTATION,
  type Descriptor,
  digestOf,
  LAYER,
  listAttached,
  listBundles,
  type Registry,
  type Repository,
  SIGNATURE_PREDICATE_TYPE,
} from "@lacre/core/oci";

/** One signature or attestation, as stored. */
export interface StoredSeal {
  /** The manifest or the layer that holds it. */
  readonly digest: string;
  readonly store: "referrer" | "tag" | "file";
  readonly seal: Uint8Array | LegacySignature;
  /** The simple signing document that an older signature is over. */
  readonly payload?: Uint8Array;
  /** The envelope of an older attestation, as stored. */
  readonly envelope?: Uint8Array;
  /** What it says it holds: not proved. */
  readonly content: "message" | "dsse" | "unreadable";
  readonly predicateType?: string;
  /** Annotations of the layer or the manifest: not proved. */
  readonly annotations: Readonly<Record<string, string>>;
}

export type SealKind = "signature" | "attestation";

export interface SealOptions {
  readonly maxBytes: number;
  /** cosign's --attachment-tag-prefix. */
  readonly prefix?: string | undefined;
}

/** Where an image's signatures are looked for. */
export interface SealPlace {
  readonly registry: Registry;
  readonly place: Repository;
  readonly digest: string;
}

/** All that is stored of a kind, new form first. Throws as `listBundles` and `Registry.readBlob`. */
export async function findSeals(where: SealPlace, kind: SealKind, options: SealOptions): Promise<readonly StoredSeal[]> {
  const { registry, place, digest } = where;
  const bundles: StoredSeal[] = [];
  for (const { manifest, layer, annotations } of await listBundles(registry, place, digest)) {
    const seal = await registry.readBlob(place, layer, options.maxBytes);
    bundles.push({ digest: manifest.digest, store: "referrer", seal, annotations, ...peek(seal) });
  }
  const layers = await listAttached(registry, place, digest, kind === "signature" ? "sig" : "att", options.prefix);
  const attached: StoredSeal[] = [];
  for (const layer of layers) {
    const wanted = kind === "signature" ? LAYER.simpleSigning : LAYER.envelope;
    if (layer.mediaType !== wanted) continue;
    attached.push(readAttached(layer, await registry.readBlob(place, layer, options.maxBytes), kind));
  }
  return [...bundles.filter((one) => isOf(one, kind)), ...attached];
}

function isOf({ content, predicateType }: StoredSeal, kind: SealKind): boolean {
  if (content === "unreadable") return true;
  const isSignature = content === "message" || predicateType === SIGNATURE_PREDICATE_TYPE;
  return isSignature === (kind === "signature");
}

/** A bundle from a file, as if it had been stored beside the image. */
export function readBundle(bytes: Uint8Array): StoredSeal {
  return { digest: digestOf(bytes), store: "file", seal: bytes, annotations: {}, ...peek(bytes) };
}

/** What a bundle says of itself. */
function peek(bytes: Uint8Array): Pick<StoredSeal, "content" | "predicateType"> {
  try {
    const { content } = decodeBundle(bytes);
    return content.kind === "message" ? { content: "message" } : { content: "dsse", ...peekPayload(content) };
  } catch (error) {
    if (error instanceof LacreError) return { content: "unreadable" };
    throw error;
  }
}

function peekPayload(content: { readonly payloadType: string; readonly payload: Uint8Array }): {
  readonly predicateType?: string;
} {
  if (content.payloadType !== STATEMENT_PAYLOAD_TYPE) return {};
  try {
    return { predicateType: decodeStatement(content.payload).predicateType };
  } catch (error) {
    if (error instanceof LacreError) return {};
    throw error;
  }
}

function readAttached(layer: Descriptor, bytes: Uint8Array, kind: SealKind): StoredSeal {
  const annotations = layer.annotations ?? {};
  const part = (name: string): string | undefined => ((annotations[name] ?? "") === "" ? undefined : annotations[name]);
  const predicateType = part(ANNOTATION.predicateType);
  return {
    digest: layer.digest,
    store: "tag",
    annotations,
    content: kind === "signature" ? "message" : "dsse",
    ...(predicateType === undefined ? {} : { predicateType }),
    ...(kind === "signature" ? { payload: bytes } : { envelope: bytes }),
    seal: {
      mediaType: layer.mediaType,
      content:
        kind === "signature"
          ? { kind: "message", signature: annotations[ANNOTATION.signature] ?? "" }
          : { kind: "envelope", envelope: bytes },
      certificate: part(ANNOTATION.certificate),
      chain: part(ANNOTATION.chain),
      rekorBundle: part(ANNOTATION.bundle),
      timestamp: part(ANNOTATION.timestamp),
    },
  };
}
