// SPDX-License-Identifier: Apache-2.0
/** Signing: from an identity or a key to a bundle that verifies. */
export {
  certifiedCredential,
  createCredentialSource,
  type Credential,
  type CredentialRequest,
  keyCredential,
  requestCredential,
} from "./credential.ts";
export { type Chunks, createSealer, type Sealed, type Sealer, type SealerOptions } from "./sealer.ts";
export { createKeySigner, type Signer } from "./signer.ts";
export { encodeStatement, type Subject } from "./statement.ts";
export { readToken, type TokenFacts } from "./token.ts";
