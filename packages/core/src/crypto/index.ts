// SPDX-License-Identifier: Apache-2.0
/** Keys, digests and signatures. No other room touches keys. */
export { ALGORITHMS, algorithmOf, DIGEST_LENGTH, findAlgorithm, type Algorithm, type HashName, type KeyType, type SignatureFamily } from "./algorithms.ts";
export { defaultAlgorithm, fits, generateKey, importPrivateKey, importPublicKey, PublicKey, type PrivateKey } from "./key.ts";
export type { Hasher, KeyMaterial, Platform, PlatformKey, SignatureResult, StreamSigner } from "./platform.ts";
export { checkEcdsaEncoding, checkSignature, createHasher, createStreamSigner, hash, random, sha256, signMessage, type Signed } from "./verify.ts";
