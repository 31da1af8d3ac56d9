// SPDX-License-Identifier: Apache-2.0
/** The identity provider of a development installation: it believes what people type. */
export { registerIdp } from "./http.ts";
export { createIdentityProvider, type IdentityProvider, type IdentityProviderOptions } from "./service.ts";
export {
  checkEmail,
  importIdentityKey,
  mintDevelopmentToken,
  TOKEN_LIFE_MS,
  type IdentityKey,
  type MintOptions,
} from "./token.ts";
