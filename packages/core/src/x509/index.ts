// SPDX-License-Identifier: Apache-2.0
/** Certificates and what travels with them: names, paths, identities. */
export { Certificate, decodeCertificate } from "./certificate.ts";
export {
  checkChain,
  checkCodeSigningLeaf,
  checkIssuedBy,
  checkValidAt,
  MAX_PATH,
  type ChainOptions,
  type Purpose,
} from "./chain.ts";
export { EXTENSION, KEY_USAGE, PURPOSE, USER_NAME_TYPE, type Extension, type GeneralName, type KeyUsage } from "./extensions.ts";
export {
  CLAIMS,
  identityExtensions,
  readIdentity,
  readIssuer,
  readNamedClaim,
  type Claim,
  type Identity,
  type IdentityName,
} from "./identity.ts";
export {
  authorityFields,
  EMPTY_NAME,
  keyIdOf,
  prepareCertificate,
  prepareLoggedCertificate,
  preparePrecertificate,
  randomSerial,
  rootFields,
  signerFields,
  signUnsigned,
  timestampLeafFields,
  type CertificateFields,
  type Unsigned,
} from "./issue.ts";
export { encodeName, formatName, type NameAttributes } from "./name.ts";
export { checkRequest, decodeRequest, prepareRequest, type CertificationRequest } from "./request.ts";
export {
  checkSct,
  decodeSct,
  decodeSctList,
  embeddedScts,
  encodeSct,
  issuerKeyHash,
  loggedTbs,
  POISON,
  sctAlgorithmCodes,
  sctListExtension,
  sctSignedData,
  type LoggedCertificate,
  type Sct,
} from "./sct.ts";
export { algorithmFor, readSignatureAlgorithm, signatureAlgorithmOf, type SignatureAlgorithm } from "./signature.ts";
export { CMS, decodeDetached, MAX_EMBEDDED, type DetachedSignedData, type SignedData, type SignerId } from "./cms.ts";
export {
  checkEmbeddedSigner,
  checkTimestamp,
  prepareTimestamp,
  type ProvenTime,
  type TimestampAuthority,
  type TimestampFields,
} from "./timestamp.ts";
export {
  decodeTimestampRequest,
  decodeTimestampResponse,
  decodeTstInfo,
  encodeTimestampRequest,
  type MessageImprint,
  type TimestampRequest,
  type TimestampResponse,
  type TstInfo,
} from "./tsp.ts";
