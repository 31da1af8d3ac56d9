// SPDX-License-Identifier: Apache-2.0
/**
 * Content that is compared with its descriptor while it streams: digest and size, never more than the descriptor says and
 * never more than the caller allows. What was yielded before the end is not proved until the iteration ends well.
 */
import { concat, toHex } from "../bytes/index.ts";
import { createHasher } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { type Descriptor, splitDigest } from "./descriptor.ts";

/** A stream of octets. */
export type Octets = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Passes the octets on and proves at the end that they are those of the descriptor. Throws CONTENT_MISMATCH for others,
 * and TOO_LARGE at once where the descriptor says more than `limit`.
 */
export async function* checkContent(
  source: () => Promise<Octets> | Octets,
  descriptor: Pick<Descriptor, "digest" | "size">,
  limit: number,
): AsyncGenerator<Uint8Array> {
  const { algorithm, hex } = splitDigest(descriptor.digest);
  if (descriptor.size > limit) {
    throw new LacreError("TOO_LARGE", `${descriptor.digest} is larger than allowed`, {
      expected: `at most ${limit} octets`,
      found: `${descriptor.size}`,
    });
  }
  const hasher = createHasher(algorithm);
  let size = 0;
  for await (const chunk of await source()) {
    size += chunk.length;
    if (size > descriptor.size) throw mismatch("is longer than its descriptor says", `${descriptor.size} octets`, "more");
    hasher.update(chunk);
    yield chunk;
  }
  if (size < descriptor.size) throw mismatch("ends before its descriptor says", `${descriptor.size} octets`, `${size}`);
  const found = toHex(hasher.digest());
  if (found !== hex) throw mismatch("has another digest", descriptor.digest, `${algorithm}:${found}`);
}

function mismatch(what: string, expected: string, found: string): LacreError {
  return new LacreError("CONTENT_MISMATCH", `the content ${what}`, { expected, found });
}

/** Reads all of a stream that is bounded already. */
export async function gather(source: Octets): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of source) parts.push(chunk);
  return concat(...parts);
}
