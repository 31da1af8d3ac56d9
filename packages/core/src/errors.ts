// SPDX-License-Identifier: Apache-2.0
/**
 * The one error class of the library, and its table of codes.
 *
 * A code never changes its meaning; messages may. Services and the CLI map codes to HTTP statuses and exit codes in
 * tables of their own; nothing below them renders an error.
 */

/** What each code means, and the way out. `docs/errors.md` lists the same rows and is tested against this table. */
export const CODES = {
  // bytes/ and codec/: shape
  BAD_BASE64: { meaning: "Text is not strict standard base64.", hint: "Use the standard alphabet with padding and nothing else." },
  BAD_HEX: { meaning: "Text is not hexadecimal, or of odd length.", hint: "Use pairs of the digits 0-9 and a-f." },
  BAD_UTF8: { meaning: "Bytes are not well-formed UTF-8.", hint: "The file is damaged or of another kind." },
  BAD_DER: { meaning: "Bytes are not strict DER of the expected shape.", hint: "The structure is damaged, or encoded as BER." },
  BAD_JSON: { meaning: "Text is not JSON, or has duplicate keys, or a member has the wrong type.", hint: "Check that the file is the one you meant and is complete." },
  BAD_NOTE: { meaning: "Text is not a C2SP signed note.", hint: "Fetch the checkpoint again, byte for byte." },
  BAD_PEM: { meaning: "Text is not a single PEM block of the expected kind.", hint: "Check the BEGIN and END lines." },
  BAD_TILE_PATH: { meaning: "Text is not the path of a tile.", hint: "Tiles are addressed as C2SP tlog-tiles says: no leading zeros, groups of three digits." },
  TOO_LARGE: { meaning: "Input is larger, deeper or more numerous than allowed.", hint: "No honest input of this kind is that large." },
  TRUNCATED: { meaning: "Input ends before the structure does.", hint: "The file is incomplete; fetch it again." },
  // merkle/
  PROOF_MISMATCH: { meaning: "A Merkle proof does not lead to the stated root, or has the wrong number of hashes.", hint: "The entry is not in that tree, or the proof belongs to another entry or size." },
  // crypto/
  ALGORITHM_UNKNOWN: { meaning: "The algorithm is not in the registry, or this platform lacks it.", hint: "Use ECDSA P-256 with SHA-256." },
  KEY_INVALID: { meaning: "The key cannot be parsed, is weak, or is of another type than stated.", hint: "Use a P-256 key, or one of the registry's algorithms." },
  SIGNATURE_INVALID: { meaning: "The signature does not verify with this key over these bytes.", hint: "The content changed after signing, or another key signed." },
  // x509/
  CERT_INVALID: { meaning: "The certificate is malformed, is not what its place asks for, or was not signed by its issuer.", hint: "Look at it with openssl x509 -text; take certificates from the authority's own answer." },
  CERT_EXPIRED: { meaning: "A certificate of the path had expired at the proven time.", hint: "The signature was made after the certificate ended, or the trusted root is of another age." },
  CERT_NOT_YET_VALID: { meaning: "A certificate of the path was not yet valid at the proven time.", hint: "Compare the clocks of signer, authority and timestamp authority." },
  CHAIN_INVALID: { meaning: "No path of certificates leads to a trusted authority.", hint: "Check that the trusted root is of the installation that issued the certificate." },
  IDENTITY_INVALID: { meaning: "The certificate does not name one identity and issuer in the forms that are read.", hint: "The authority that issued it does not follow Fulcio's profile." },
  SCT_INVALID: { meaning: "A signed certificate timestamp is malformed, or a known log did not sign it for this certificate.", hint: "The certificate was changed, or the log's key in the trusted root is wrong." },
  SCT_UNKNOWN_LOG: { meaning: "A signed certificate timestamp names a log that is not in the trusted root.", hint: "Renew the trusted root, or check that it is of the right installation." },
  TIMESTAMP_INVALID: { meaning: "The timestamp is malformed, was refused, or was not signed as RFC 3161 asks by a trusted authority.", hint: "Check the timestamp authority in the trusted root; ask for a new timestamp." },
  TIMESTAMP_MISMATCH: { meaning: "The timestamp is good, but for other bytes.", hint: "A timestamp belongs to one signature: its raw bytes, not the artifact and not base64." },
  REQUEST_INVALID: { meaning: "A certificate request or timestamp request is malformed or asks for something that is not offered.", hint: "Send a PKCS#10 request signed with its own key, or an RFC 3161 request over SHA-256." },
  // bundle/
  BUNDLE_VERSION: { meaning: "The bundle's media type is not one that is supported.", hint: "Versions 0.1 to 0.3 are read; a newer bundle needs a newer lacre." },
  BUNDLE_SHAPE: { meaning: "The bundle lacks a part, has one too many, or has one that its version does not allow.", hint: "Let the signing client write the bundle again; do not merge or edit bundles." },
  BUNDLE_NO_PROMISE: { meaning: "A log entry of a version 0.1 bundle has no inclusion promise.", hint: "Version 0.1 asks for the log's signed entry timestamp; sign again with a current client." },
  BUNDLE_NO_PROOF: { meaning: "A log entry has no inclusion proof with a checkpoint.", hint: "Versions 0.2 and later ask for one; sign again, or fetch the entry with its proof from the log." },
  STATEMENT_INVALID: { meaning: "The payload is not an in-toto statement of version 0.1 or 1 with a subject.", hint: "The envelope holds something else; look at its payload." },
  CHECKPOINT_INVALID: { meaning: "The note's text is not a checkpoint: origin, size, root.", hint: "Fetch the checkpoint again, byte for byte." },
  CHECKPOINT_UNSIGNED: { meaning: "No signature line of the checkpoint is by the log's name and key.", hint: "The checkpoint is of another log, or the trusted root has another key for it." },
  // client/
  SERVICE_REFUSED: { meaning: "A service answered with a definite no.", hint: "Its message says why; for the certificate authority it is mostly the token: get a fresh one." },
  SERVICE_UNREACHABLE: { meaning: "A service gave no answer, or only passing failures.", hint: "Check the address and the network, then run the same command again: repeating is safe." },
  SERVICE_ANSWER_INVALID: { meaning: "A service's answer is not what its API promises.", hint: "Check that the address in the signing config is that service's." },
  // sign/
  TOKEN_INVALID: { meaning: "The identity token is malformed, expired, or has no usable subject.", hint: "Get a fresh token; it must be a JWT with audience sigstore." },
  SELF_CHECK_FAILED: { meaning: "A seal was made and does not verify against the trusted root.", hint: "The signing config and the trusted root must belong to one installation; fetch both again." },
  CREDENTIAL_INVALID: { meaning: "The certificate is not for our key, not for this time, or not from the trusted root's authority.", hint: "The signing config and the trusted root must belong to one installation." },
} as const;

/** The stable identifier of a failure. */
export type LacreCode = keyof typeof CODES;

/** What a failing check wanted and what it met, in plain words or short encodings; never a secret. */
export interface Detail {
  readonly expected?: string;
  readonly found?: string;
  /** Number of the broken rule in the catalogue of `verify/verdict.ts`, where one code stands for several rules. */
  readonly rule?: string;
  readonly cause?: unknown;
}

/** A refusal by the library: a stable `code`, one sentence, and where useful what was expected and found. */
export class LacreError extends Error {
  override readonly name = "LacreError";
  readonly code: LacreCode;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly rule: string | undefined;

  constructor(code: LacreCode, message: string, detail: Detail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.expected = detail.expected;
    this.found = detail.found;
    this.rule = detail.rule;
  }

  /** What usually helps. */
  get hint(): string {
    return CODES[this.code].hint;
  }
}
