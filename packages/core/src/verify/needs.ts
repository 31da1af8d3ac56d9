// SPDX-License-Identifier: Apache-2.0
/** What has to be read of an artifact before a bundle can be verified for it: one pass over a large file is enough. */
import { assembleLegacy, decodeBundle, type LegacySignature } from "../bundle/index.ts";
import { text } from "../bytes/index.ts";
import { defaultAlgorithm, type HashName, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate } from "../x509/index.ts";

/** What a verification will ask of the artifact. */
export interface Needs {
  readonly hashes: readonly HashName[];
  /** The scheme signs the message itself: digests do not do. */
  readonly isWhole: boolean;
}

/**
 * Which digests a bundle's verification will compare. A guess from undecided data: it decides nothing, so whatever is wrong
 * with the bundle is left for the verifier to say.
 */
export function readNeeds(seal: Uint8Array | LegacySignature, key?: PublicKey): Needs {
  const hashes = new Set<HashName>(["sha256"]);
  let isWhole = false;
  try {
    const bundle = seal instanceof Uint8Array ? decodeBundle(seal) : assembleLegacy(seal);
    const signer = key ?? (bundle.key.kind === "certificate" ? decodeCertificate(bundle.key.chain[0]!).publicKey : undefined);
    if (bundle.content.kind === "message") {
      if (bundle.content.digest !== undefined) hashes.add(bundle.content.digest.algorithm);
      if (signer !== undefined) {
        const algorithm = defaultAlgorithm(signer);
        hashes.add(algorithm.hash);
        isWhole = !algorithm.prehashed;
      }
    } else {
      const words = text(bundle.content.payload);
      for (const name of ["sha384", "sha512"] as const) if (words.includes(`"${name}"`)) hashes.add(name);
    }
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  return { hashes: [...hashes], isWhole };
}
