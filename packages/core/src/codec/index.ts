// SPDX-License-Identifier: Apache-2.0
/** Shapes without trust: DER, JSON, signed notes, DSSE, PEM. */
export * as der from "./der.ts";
export { pae } from "./dsse.ts";
export { canonicalJson, JsonObject, parseJson, type Json, type JsonLimits } from "./json.ts";
export {
  formatNote,
  formatSignatureLine,
  isKeyName,
  parseNote,
  parseSignatureLines,
  type Note,
  type NoteSignature,
} from "./note.ts";
export { ProtobufMessage } from "./protobuf.ts";
export { formatPem, parsePem, parsePemAll, type PemBlock } from "./pem.ts";
