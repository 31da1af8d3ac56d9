// SPDX-License-Identifier: Apache-2.0
/** The documents of a signature: bundles and their log entries, in-toto statements, checkpoints. Structure, not trust. */
export {
  BUNDLE_MEDIA_TYPE,
  decodeBundle,
  encodeBundle,
  findProtoHash,
  protoHashName,
  type Bundle,
  type BundleContent,
  type BundleKey,
  type BundleVersion,
} from "./bundle.ts";
export {
  checkNoteSignature,
  formatCheckpointText,
  noteKeyId,
  parseCheckpoint,
  rekorV1KeyId,
  signCheckpoint,
  signNote,
  type Checkpoint,
  type NoteSigner,
} from "./checkpoint.ts";
export { cosign, type CosignatureKind } from "./cosignature.ts";
export {
  assembleLegacy,
  decodeLegacyBundle,
  DSSE_MEDIA_TYPE,
  encodeLegacyPromise,
  isLegacyBundle,
  LEGACY_MEDIA_TYPE,
  SIMPLE_SIGNING_MEDIA_TYPE,
  type LegacyBundle,
  type LegacyContent,
  type LegacySignature,
} from "./legacy.ts";
export { decodeLogEntry, encodeLogEntry, type InclusionProof, type LogEntry } from "./entry.ts";
export {
  decodeStatement,
  findPredicateType,
  PREDICATE_NAMES,
  STATEMENT_PAYLOAD_TYPE,
  type Statement,
  type Subject,
} from "./statement.ts";
export {
  checkLine,
  checkSigned,
  createVerifierKey,
  formatVerifierKey,
  isCosigner,
  linesOf,
  logVerifierKey,
  parseVerifierKey,
  type VerifierKey,
  type VerifierKeyKind,
  type Vouched,
} from "./verifier-key.ts";
export { formatWitnessRequest, parseLogSize, parseWitnessRequest, type WitnessRequest } from "./witness-request.ts";
