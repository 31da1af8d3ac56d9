// SPDX-License-Identifier: Apache-2.0
/**
 * The payload of cosign's older image signatures ("simple signing", read in `claims.ts`), written as Go writes it, octet
 * for octet. The reference is what the signer calls the image; what is proved is the digest. Annotations stand under
 * `optional`, sorted by name, which is null when there are none.
 */
import { utf8 } from "../bytes/index.ts";
import type { Json } from "../codec/index.ts";
import { SIMPLE_SIGNING_TYPE } from "./claims.ts";
import { sorted } from "./descriptor.ts";
import { formatRepository, type Repository } from "./reference.ts";

/** The octets of a payload about an image. */
export function encodeSimpleSigning(
  place: Repository,
  digest: string,
  annotations: Readonly<Record<string, string>> = {},
): Uint8Array {
  return utf8(
    goJson({
      critical: {
        identity: { "docker-reference": formatRepository(place) },
        image: { "docker-manifest-digest": digest },
        type: SIMPLE_SIGNING_TYPE,
      },
      optional: Object.keys(annotations).length === 0 ? null : sorted(annotations),
    }),
  );
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
