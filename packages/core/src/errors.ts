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
  // client/
  SERVICE_REFUSED: { meaning: "A service answered with a definite no.", hint: "Its message says why; for the certificate authority it is mostly the token: get a fresh one." },
  SERVICE_UNREACHABLE: { meaning: "A service gave no answer, or only passing failures.", hint: "Check the address and the network, then run the same command again: repeating is safe." },
  SERVICE_ANSWER_INVALID: { meaning: "A service's answer is not what its API promises.", hint: "Check that the address in the signing config is that service's." },
  // sign/
  TOKEN_INVALID: { meaning: "The identity token is malformed, expired, or has no usable subject.", hint: "Get a fresh token; it must be a JWT with audience sigstore." },
  CREDENTIAL_INVALID: { meaning: "The certificate is not for our key, not for this time, or not from the trusted root's authority.", hint: "The signing config and the trusted root must belong to one installation." },
} as const;

/** The stable identifier of a failure. */
export type LacreCode = keyof typeof CODES;

/** What a failing check wanted and what it met, in plain words or short encodings; never a secret. */
export interface Detail {
  readonly expected?: string;
  readonly found?: string;
  readonly cause?: unknown;
}

/** A refusal by the library: a stable `code`, one sentence, and where useful what was expected and found. */
export class LacreError extends Error {
  override readonly name = "LacreError";
  readonly code: LacreCode;
  readonly expected: string | undefined;
  readonly found: string | undefined;

  constructor(code: LacreCode, message: string, detail: Detail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.expected = detail.expected;
    this.found = detail.found;
  }

  /** What usually helps. */
  get hint(): string {
    return CODES[this.code].hint;
  }
}
