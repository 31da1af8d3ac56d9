// SPDX-License-Identifier: Apache-2.0
/**
 * What a verified signature says about an image, whichever way it says it: a simple-signing payload (`simple-signing.ts`),
 * or an in-toto statement with the image's digest among its subjects, whose annotations are that subject's. Called after
 * verification: the octets here are those that were signed.
 *
 * The reference in a payload is who the signer says the image is. It is told and not compared, because images are copied.
 */
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { splitDigest } from "./descriptor.ts";
import { decodeSimpleSigning, SIMPLE_SIGNING_TYPE } from "./simple-signing.ts";

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

function invalid(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("CLAIMS_INVALID", message, detail);
}

/** What a verified simple-signing payload says. Throws as `decodeSimpleSigning`. */
export function readPayloadClaims(payload: Uint8Array): ImageClaims {
  const { dockerReference, digest, optional } = decodeSimpleSigning(payload);
  return { reference: dockerReference, digest, type: SIMPLE_SIGNING_TYPE, annotations: optional };
}

function readObject(value: Json | undefined): Readonly<Record<string, Json>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw invalid("annotations of the subject are no object");
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
