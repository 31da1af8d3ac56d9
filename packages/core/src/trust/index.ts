// SPDX-License-Identifier: Apache-2.0
/** Whom to trust, and whom to ask: the trusted root, the signing config, and both in one. */
export {
  decodeTrustedRoot,
  encodeTrustedRoot,
  readTrustedRoot,
  TRUSTED_ROOT_MEDIA_TYPE,
  writeTrustedRoot,
  type CertificateAuthority,
  type TransparencyLog,
  type TrustedRoot,
} from "./trusted-root.ts";
export {
  decodeSigningConfig,
  encodeSigningConfig,
  selectServices,
  SIGNING_CONFIG_MEDIA_TYPE,
  type Circumstances,
  type Selection,
  type Service,
  type SigningConfig,
} from "./signing-config.ts";
export {
  decodeClientTrustConfig,
  encodeClientTrustConfig,
  encodePython3TrustConfig,
  type ClientTrustConfig,
} from "./client-trust-config.ts";
export {
  checkQuorum,
  describeQuorum,
  isReached,
  parseWitnessPolicy,
  type PolicyLog,
  type PolicyWitness,
  type Quorum,
  type QuorumProof,
  type WitnessPolicy,
  type WitnessVote,
} from "./witness-policy.ts";
export { readRevocations, type Revocations } from "./revocations.ts";
export { formatTime, parseTime, type Window } from "./window.ts";
