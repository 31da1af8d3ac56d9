// SPDX-License-Identifier: Apache-2.0
/** Keys, digests and signatures. No other room touches keys. */
export {
  ALGORITHMS,
  algorithmOf,
  DIGEST_LENGTH,
  findAlgorithm,
  type Algorithm,
  type HashName,
  type KeyType,
  type SignatureFamily,
} from "./algorithms.ts";
export { defaultAlgorithm, fits, generateKey, importPrivateKey, importPublicKey, PublicKey, type PrivateKey } from "./key.ts";
export type { DigestClaim, Hasher, KeyMaterial, Platform, PlatformKey, SignatureResult, StreamSigner } from "./platform.ts";
export { encodeSpki, keyTypeOf } from "./spki.ts";
export {
  checkEcdsaEncoding,
  checkSignature,
  checkSignatures,
  createHasher,
  createStreamSigner,
  hash,
  random,
  sha256,
  signMessage,
  type SignatureClaim,
  type Signed,
} from "./verify.ts";
