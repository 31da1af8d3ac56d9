// SPDX-License-Identifier: Apache-2.0
/**
 * The payload of cosign's older image signatures, "simple signing":
 *
 *     {"critical":{"identity":{"docker-reference":"registry/repository"},
 *                  "image":{"docker-manifest-digest":"sha256:…"},
 *                  "type":"cosign container image signature"},
 *      "optional":{"key":"value"}}
 *
 * Written as Go writes it, octet for octet. The identity is what the signer called the image; what is proved is the
 * digest. Annotations stand under `optional`, which is null when there are none.
 */
import { utf8 } from "../bytes/index.ts";
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { sorted } from "./descriptor.ts";
import { isDigest } from "./reference.ts";

/** What a simple-signing payload says. */
export interface SimpleSigning {
  /** What the signer called the image: registry and repository. */
  readonly dockerReference: string;
  /** The image, as "sha256:" and hexadecimal. */
  readonly digest: string;
  /** What else the signer said, by name. */
  readonly optional: Readonly<Record<string, Json>>;
}

/** The type that cosign writes, and the only one that is read. */
export const SIMPLE_SIGNING_TYPE = "cosign container image signature";
const MAX_BYTES = 1 << 20;

/** The octets of a payload. */
export function encodeSimpleSigning({ dockerReference, digest, optional }: SimpleSigning): Uint8Array {
  return utf8(
    goJson({
      critical: {
        identity: { "docker-reference": dockerReference },
        image: { "docker-manifest-digest": digest },
        type: SIMPLE_SIGNING_TYPE,
      },
      optional: Object.keys(optional).length === 0 ? null : sorted(optional as Readonly<Record<string, string>>),
    }),
  );
}

/** Reads a payload. Throws TOO_LARGE, BAD_JSON, BAD_UTF8, and MANIFEST_INVALID for one of another type. */
export function decodeSimpleSigning(bytes: Uint8Array): SimpleSigning {
  const payload = new JsonObject(parseJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 32 }), "payload");
  const critical = payload.object("critical");
  refuseUnknown(critical, ["identity", "image", "type"]);
  refuseUnknown(critical.object("identity"), ["docker-reference"]);
  refuseUnknown(critical.object("image"), ["docker-manifest-digest"]);
  const type = critical.string("type");
  if (type !== SIMPLE_SIGNING_TYPE)
    throw new LacreError("MANIFEST_INVALID", "the payload is no image signature", {
      expected: SIMPLE_SIGNING_TYPE,
      found: type.slice(0, 100),
    });
  const digest = critical.object("image").string("docker-manifest-digest");
  if (!isDigest(digest))
    throw new LacreError("MANIFEST_INVALID", "the payload names no digest of an image", { found: digest.slice(0, 150) });
  const optional = payload.optionalObject("optional");
  const values = Object.create(null) as Record<string, Json>;
  for (const name of optional?.keys() ?? []) values[name] = optional?.get(name) ?? null;
  return { dockerReference: critical.object("identity").optionalString("docker-reference") ?? "", digest, optional: values };
}

// What is critical is understood or refused; Go would also take a name in other letters for the same.
function refuseUnknown(object: JsonObject, known: readonly string[]): void {
  const strange = object.keys().find((key) => !known.includes(key));
  if (strange === undefined) return;
  throw new LacreError("MANIFEST_INVALID", `${object.where} has a member that is not understood`, {
    found: strange.slice(0, 80),
  });
}

const ESCAPED: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** JSON with the escapes of Go's encoder. */
export function goJson(value: Json): string {
  return JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, (character) => ESCAPED[character]!);
}
