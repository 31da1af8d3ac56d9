// SPDX-License-Identifier: Apache-2.0
/**
 * What all keys that are elsewhere have in common: the digest is made here, the signature comes back in the service's own
 * form, and it is checked with the public key before anything is done with it. A service that signs with another key than
 * the one it shows, or a module that computes wrong, is found out before a ledger is asked.
 */
import { der } from "@lacre/core/codec";
import { type Algorithm, ALGORITHMS, checkSignature, fits, hash, type PublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import type { Signer } from "@lacre/core/sign";
import { CliError } from "../errors.ts";

/** r and s, each as long as the order, as ECDSA-Sig-Value (RFC 3279). Throws KEY_UNREACHABLE for octets of odd length. */
export function encodeEcdsa(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  if (half === 0 || !Number.isInteger(half))
    throw new CliError("KEY_UNREACHABLE", "the key's keeper returned no ECDSA signature");
  const number = (octets: Uint8Array): bigint => BigInt(`0x${Buffer.from(octets).toString("hex")}`);
  return der.sequence(der.integer(number(raw.subarray(0, half))), der.integer(number(raw.subarray(half))));
}

/** The algorithm to sign with: the one asked for if it fits and can be done, else the first of the registry that does. */
export function chooseAlgorithm(
  key: PublicKey,
  asked: Algorithm | undefined,
  canSign: (algorithm: Algorithm) => boolean,
): Algorithm {
  const fitting = ALGORITHMS.filter((algorithm) => fits(algorithm, key));
  if (asked !== undefined && !fitting.includes(asked)) {
    throw new LacreError("KEY_INVALID", "key is not of the algorithm's type", {
      expected: asked.keyDetails,
      found: key.rsaBits === 0 ? key.type : `${key.type} ${key.rsaBits}`,
    });
  }
  const found = (asked === undefined ? fitting : [asked]).find(canSign);
  if (found !== undefined) return found;
  throw new LacreError("ALGORITHM_UNKNOWN", "the key's keeper cannot sign so", { found: asked?.keyDetails ?? key.type });
}

/** How a key elsewhere signs: the digest where the scheme allows it, else the message. */
export type RemoteSign = (input: { readonly digest: Uint8Array } | { readonly message: Uint8Array }) => Promise<Uint8Array>;

/** A signer over a key that is elsewhere. */
export function createRemoteSigner(publicKey: PublicKey, algorithm: Algorithm, signRemotely: RemoteSign): Signer {
  return {
    publicKey,
    algorithm,
    async sign(signed) {
      const input = algorithm.prehashed && "message" in signed ? { digest: hash(algorithm.hash, signed.message) } : signed;
      const signature = await signRemotely(input);
      try {
        checkSignature(algorithm, publicKey, input, signature);
      } catch (cause) {
        throw new CliError("KEY_UNREACHABLE", "the key's keeper returned a signature that is not this key's", {
          hint: "The public key that it shows belongs to another key, or it signs in another way than asked.",
          cause,
        });
      }
      return signature;
    },
  };
}
