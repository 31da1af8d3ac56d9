// SPDX-License-Identifier: Apache-2.0
/** Public keys (SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7) and private keys (PKCS#8, RFC 5958). */
import { platform } from "#platform";
import { LacreError } from "../errors.ts";
import { ALGORITHMS, type Algorithm, type KeyType } from "./algorithms.ts";
import type { KeyMaterial, PlatformKey } from "./platform.ts";
import { decodeSpki } from "./spki.ts";

/** A usable public key. `handle` is made on first use and kept: import a key once, use it often. */
export class PublicKey implements KeyMaterial {
  readonly type: KeyType;
  readonly spki: Uint8Array;
  readonly raw: Uint8Array;
  readonly rsaBits: number;
  #handle: PlatformKey | undefined;

  constructor(material: KeyMaterial) {
    this.type = material.type;
    this.spki = material.spki;
    this.raw = material.raw;
    this.rsaBits = material.rsaBits;
  }

  get handle(): PlatformKey {
    return (this.#handle ??= platform.importKey(this));
  }
}

/** A private key that can sign on this platform. Its bytes never leave `handle`. */
export interface PrivateKey {
  readonly publicKey: PublicKey;
  readonly handle: PlatformKey;
}

/** The key in a DER SubjectPublicKeyInfo, ready for use. Throws BAD_DER, and KEY_INVALID for unknown and weak keys (see spki.ts). */
export function importPublicKey(spki: Uint8Array): PublicKey {
  return new PublicKey(decodeSpki(spki));
}

/** The algorithm a key signs with unless something says otherwise (the first row of the registry that fits). */
export function defaultAlgorithm(key: PublicKey): Algorithm {
  const found = ALGORITHMS.find((algorithm) => fits(algorithm, key));
  if (found === undefined) throw new LacreError("KEY_INVALID", "no algorithm fits the key", { found: key.type });
  return found;
}

/** Whether a key is of the type and size that an algorithm asks for. */
export function fits(algorithm: Algorithm, key: PublicKey): boolean {
  return algorithm.keyType === key.type && (algorithm.rsaBits === 0 || algorithm.rsaBits === key.rsaBits);
}

/** A fresh private key of this type, and its unencrypted PKCS#8 DER for storing. */
export function generateKey(type: KeyType, rsaBits?: number): PrivateKey & { readonly pkcs8: Uint8Array } {
  const { pkcs8 } = platform.generateKey(type, rsaBits);
  return { ...importPrivateKey(pkcs8), pkcs8 };
}

/** The private key in an unencrypted PKCS#8 DER. Throws KEY_INVALID. */
export function importPrivateKey(pkcs8: Uint8Array): PrivateKey {
  const { handle, spki } = platform.importPrivateKey(pkcs8);
  return { handle, publicKey: importPublicKey(spki) };
}
