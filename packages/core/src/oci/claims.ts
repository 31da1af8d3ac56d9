// SPDX-License-Identifier: Apache-2.0
/**
 * What a verified signature says about an image. Called after verification: the octets here are those that were signed.
 *
 * Simple signing (containers/image, "signature format"; cosign's old signatures sign this document):
 *
 *     {"critical": {"identity": {"docker-reference": text},
 *                   "image": {"docker-manifest-digest": digest},
 *                   "type": "cosign container image signature"},
 *      "optional": null, or an object: annotations by name}
 *
 * What is in `critical` must be understood or refused, so that no member there is passed over. The reference is who the
 * signer says the image is; it is told and not compared, because images are copied.
 *
 * Statements (in-toto): the digest is among the subjects, annotations are those of that subject.
 */
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { isDigest } from "./reference.ts";
import { splitDigest } from "./descriptor.ts";

/** The type that cosign writes. */
export const SIMPLE_SIGNING_TYPE = "cosign container image signature";
/** The predicate type of statements that stand for a signature of an image. */
export const SIGNATURE_PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1";

/** What a signature says about an image. */
export interface ImageClaims {
  /** Empty for statements: they name no reference that could be compared. */
  readonly reference: string;
  readonly digest: string;
  readonly type: string;
  readonly annotations: Readonly<Record<string, Json>>;
}

const MAX_DOCUMENT = 1 << 20;

function invalid(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("CLAIMS_INVALID", message, detail);
}

/** Reads a simple signing document. Throws BAD_JSON, TOO_LARGE, CLAIMS_INVALID. */
export function decodeSimpleSigning(payload: Uint8Array): ImageClaims {
  const document = new JsonObject(parseJson(payload, { maxBytes: MAX_DOCUMENT, maxDepth: 16 }), "claims");
  const critical = document.object("critical");
  refuseUnknown(critical, ["identity", "image", "type"]);
  const identity = critical.object("identity");
  refuseUnknown(identity, ["docker-reference"]);
  const image = critical.object("image");
  refuseUnknown(image, ["docker-manifest-digest"]);
  const type = critical.string("type");
  if (type !== SIMPLE_SIGNING_TYPE)
    throw invalid("the signed document is not an image signature", { expected: SIMPLE_SIGNING_TYPE, found: type.slice(0, 100) });
  const digest = image.string("docker-manifest-digest");
  if (!isDigest(digest)) throw invalid("the signed document has no digest of an image", { found: digest.slice(0, 150) });
  return { reference: identity.string("docker-reference"), digest, type, annotations: readObject(document.get("optional")) };
}

/** Go's reader would take a name in other letters for the same: no two readers may differ about what is critical. */
function refuseUnknown(object: JsonObject, known: readonly string[]): void {
  for (const key of object.keys()) {
    if (!known.includes(key)) throw invalid(`${object.where} has a member that is not understood`, { found: key.slice(0, 80) });
  }
}

function readObject(value: Json | undefined): Readonly<Record<string, Json>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw invalid("annotations of the signed document are no object");
  return value as Readonly<Record<string, Json>>;
}

/**
 * What a verified statement says about the image of this digest. Throws CLAIMS_INVALID when no subject has the digest,
 * and as `decodeStatement` for what is no statement.
 */
export function readStatementClaims(payload: Uint8Array, digest: string): ImageClaims {
  const statement = new JsonObject(parseJson(payload), "statement");
  const { algorithm, hex } = splitDigest(digest);
  for (const subject of statement.objects(1024, "subject")) {
    if (subject.object("digest").optionalString(algorithm)?.toLowerCase() !== hex) continue;
    return {
      reference: subject.optionalString("name") ?? "",
      digest,
      type: statement.string("predicateType"),
      annotations: readObject(subject.get("annotations")),
    };
  }
  throw invalid("the statement is not about this image", { expected: digest });
}

/** Proves that a signature is about this image, with these annotations. Throws CLAIMS_MISMATCH. */
export function checkImageClaims(
  claims: ImageClaims,
  wanted: { readonly digest: string; readonly annotations?: Readonly<Record<string, string>> },
): void {
  if (claims.digest !== wanted.digest) {
    throw new LacreError("CLAIMS_MISMATCH", "the signature is about another image", {
      expected: wanted.digest,
      found: claims.digest,
    });
  }
  for (const [name, value] of Object.entries(wanted.annotations ?? {})) {
    const found = Object.hasOwn(claims.annotations, name) ? claims.annotations[name] : undefined;
    if (found === value) continue;
    throw new LacreError("CLAIMS_MISMATCH", `annotation ${name} is not as required`, {
      expected: value,
      found: found === undefined ? "absent" : JSON.stringify(found).slice(0, 200),
    });
  }
}
