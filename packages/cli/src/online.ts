// SPDX-License-Identifier: Apache-2.0
/**
 * A ledger that is asked for the entry of a detached signature, because somebody said so with `--rekor-url`.
 *
 * Bundles bring their entries, and nothing is asked for them. A detached signature brings none: then a ledger of interface
 * version 1 may have it, under the digest of what was signed. What it answers is a claim: each entry is put beside the
 * signature and takes the way of every bundle through the verifier, where it has to be of a log that the trusted root knows,
 * promised by that log's key, and about this signature, this digest and this signer. An entry of anything else decides
 * nothing.
 */
import { assembleLegacy, encodeLegacyPromise, type LegacySignature } from "@lacre/core/bundle";
import { findEntriesV1 } from "@lacre/core/client";
import { sha256 } from "@lacre/core/crypto";
import type { Context } from "./context.ts";

/**
 * The signature with each entry that the ledger says it has. None is a refusal of the verifier's, which sees the signature as
 * it is. `digest`: SHA-256 of the artifact. Throws SERVICE_UNREACHABLE, SERVICE_REFUSED, SERVICE_ANSWER_INVALID.
 */
export async function withEntries(
  context: Context,
  url: string,
  seal: LegacySignature,
  digest: Uint8Array | undefined,
): Promise<readonly LegacySignature[]> {
  const { content } = assembleLegacy(seal);
  const value = content.kind === "dsse" ? sha256(content.payload) : digest;
  if (value === undefined) return [seal];
  const entries = await findEntriesV1({ url, fetch: context.fetch }, { algorithm: "sha256", value });
  const promises = entries.flatMap((entry) => encodeLegacyPromise(entry) ?? []);
  return promises.length === 0 ? [seal] : promises.map((rekorBundle) => ({ ...seal, rekorBundle }));
}
