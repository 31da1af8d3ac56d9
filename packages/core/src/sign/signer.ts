// SPDX-License-Identifier: Apache-2.0
/**
 * What holds a key and signs with it: this process, a token in a slot, or a service on another machine.
 *
 * A signer gets a digest or a message and answers later. Artifacts are hashed on the way and never held, so a scheme that
 * signs a digest gets the digest; a scheme that signs the message itself (pure Ed25519, ML-DSA) gets the message. Keys in
 * memory take the artifact as a stream instead, because not every platform signs a ready digest with them.
 */
import {
  type Algorithm,
  createStreamSigner,
  defaultAlgorithm,
  fits,
  type PrivateKey,
  type PublicKey,
  type Signed,
  signMessage,
  type StreamSigner,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";

/** A key that signs, wherever it is. */
export interface Signer {
  readonly publicKey: PublicKey;
  readonly algorithm: Algorithm;
  /**
   * The signature, as bundles hold it: ECDSA as DER, the rest raw. A `digest` is of `algorithm.hash`, and only given where
   * `algorithm.prehashed`. Rejects with what the holder of the key says; ALGORITHM_UNKNOWN for a form that it cannot sign.
   */
  sign(signed: Signed): Promise<Uint8Array>;
  /** Where there is one, messages that are streams go through it instead of `sign` with their digest. */
  stream?(): StreamSigner;
}

/** A signer over a private key in memory. Throws KEY_INVALID when `algorithm` does not fit the key. */
export function createKeySigner(key: PrivateKey, algorithm: Algorithm = defaultAlgorithm(key.publicKey)): Signer {
  checkFits(algorithm, key.publicKey);
  return {
    publicKey: key.publicKey,
    algorithm,
    // async, so that a refusal is always a rejection
    sign: async (signed) => {
      if ("message" in signed) return signMessage(algorithm, key, signed.message);
      throw new LacreError("ALGORITHM_UNKNOWN", "a key in memory signs messages, not digests of them", {
        found: algorithm.keyDetails,
      });
    },
    ...(algorithm.prehashed ? { stream: () => createStreamSigner(algorithm, key) } : {}),
  };
}

/** Throws KEY_INVALID unless the key is of the algorithm's type and size. */
export function checkFits(algorithm: Algorithm, key: PublicKey): void {
  if (fits(algorithm, key)) return;
  throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", {
    expected: algorithm.keyDetails,
    found: key.rsaBits === 0 ? key.type : `${key.type} ${key.rsaBits}`,
  });
}
