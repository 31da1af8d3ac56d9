// SPDX-License-Identifier: Apache-2.0
/** Certificates and what travels with them: names, paths, identities. */
export { Certificate, decodeCertificate } from "./certificate.ts";
export { checkChain, checkCodeSigningLeaf, checkIssuedBy, checkValidAt, MAX_PATH, type ChainOptions, type Purpose } from "./chain.ts";
export { EXTENSION, KEY_USAGE, PURPOSE, USER_NAME_TYPE, type Extension, type GeneralName, type KeyUsage } from "./extensions.ts";
export { CLAIMS, identityExtensions, readIdentity, type Claim, type Identity, type IdentityName } from "./identity.ts";
export { encodeName, formatName, type NameAttributes } from "./name.ts";
export { algorithmFor, readSignatureAlgorithm, signatureAlgorithmOf, type SignatureAlgorithm } from "./signature.ts";
