// SPDX-License-Identifier: Apache-2.0
/**
 * Standard input can be read once: by an artifact, or by a password. A second reader would find nothing and take that for
 * what was meant (and sign an empty file), so it is refused.
 */
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";

const CLAIMED = new WeakMap<AsyncIterable<Uint8Array>, string>();

/** Standard input, for one purpose. Throws USAGE when it has been read for another, or the same again. */
export function claimStdin(context: Context, purpose: string): AsyncIterable<Uint8Array> {
  const before = CLAIMED.get(context.stdin);
  if (before !== undefined) {
    throw new CliError("USAGE", `standard input was read for ${before}; it cannot be read again for ${purpose}`, {
      hint: "Give one of them as a file; a key's password can be in COSIGN_PASSWORD.",
    });
  }
  CLAIMED.set(context.stdin, purpose);
  return context.stdin;
}
