// SPDX-License-Identifier: Apache-2.0
/**
 * Checkpoints (C2SP tlog-checkpoint): a log's signed word on its size and root, as a note.
 *
 *     origin⏎ decimal size⏎ base64 root⏎ further lines⏎ … (see `codec/note.ts` for what surrounds them)
 *
 * Rekor v1 signs in the same form under its host name, with an origin of `host - tree id`. A signature is looked up by
 * name and key id. The id is 32 octets, of which a note carries the first four:
 *
 *     Ed25519  SHA-256(name ‖ 0x0A ‖ 0x01 ‖ raw key)                          over the text itself
 *     ECDSA    SHA-256(SPKI)                                                  over SHA-256 of the text, DER
 *     RSA      SHA-256(name ‖ 0x0A ‖ 0xFF ‖ "PKIX-RSA-PKCS#1v1.5" ‖ SPKI)     over SHA-256 of the text, PKCS#1 v1.5
 */
import { concat, equalBytes, fromBase64, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { formatNote, parseNote, type Note, type NoteSignature } from "../codec/index.ts";
import {
  algorithmOf,
  checkSignature,
  sha256,
  signMessage,
  type Algorithm,
  type PrivateKey,
  type PublicKey,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";

/** The state of a log as it signed it: C2SP tlog-checkpoint. Parsed, which proves nothing by itself. */
export interface Checkpoint {
  /** Which log, as it calls itself. */
  readonly origin: string;
  readonly size: bigint;
  /** 32 octets. */
  readonly root: Uint8Array;
  /** Lines behind the root; none is defined. */
  readonly extensions: readonly string[];
  /** The note, its signatures unchecked: see `checkNoteSignature`. */
  readonly note: Note;
}

const MAX_SIZE = (1n << 63n) - 1n;

function invalid(message: string, found?: string): LacreError {
  return new LacreError("CHECKPOINT_INVALID", message, found === undefined ? {} : { found: found.slice(0, 80) });
}

/**
 * Reads a checkpoint, byte for byte: a size without sign or leading zeros, a root of 32 octets in strict base64, one
 * blank line in all. Throws BAD_NOTE and TOO_LARGE for the note, CHECKPOINT_INVALID for its text. No signature is checked.
 */
export function parseCheckpoint(text: string): Checkpoint {
  const note = parseNote(text);
  const [origin, size, root, ...extensions] = note.text.slice(0, -1).split("\n");
  if (origin === undefined || size === undefined || root === undefined) throw invalid("checkpoint has fewer than three lines");
  if (origin === "") throw invalid("checkpoint has no origin");
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(size) || BigInt(size) > MAX_SIZE)
    throw invalid("size is not a plain decimal number", size);
  // An empty line would be a second blank line, where some readers see the end of the text.
  if (extensions.includes("")) throw invalid("checkpoint has a blank line in its text");
  return { origin, size: BigInt(size), root: decodeRoot(root), extensions, note };
}

function decodeRoot(encoded: string): Uint8Array {
  let root: Uint8Array;
  try {
    root = fromBase64(encoded);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw invalid("root is not base64", encoded);
  }
  if (root.length !== 32) throw invalid("root is not of 32 octets", `${root.length}`);
  return root;
}

/** The text of a checkpoint: what is signed. */
export function formatCheckpointText(origin: string, size: bigint, root: Uint8Array): string {
  if (origin === "" || origin.includes("\n") || size < 0n || size > MAX_SIZE || root.length !== 32)
    throw new TypeError("not a checkpoint");
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

const NEWLINE = Uint8Array.of(0x0a);

/** The id of a log's key under a name, 32 octets: `logId` of Rekor v2. Throws ALGORITHM_UNKNOWN for keys without a rule. */
export function noteKeyId(name: string, key: PublicKey): Uint8Array {
  switch (key.type) {
    case "P-256":
    case "P-384":
    case "P-521":
      return sha256(key.spki);
    case "Ed25519":
      return sha256(concat(utf8(name), NEWLINE, Uint8Array.of(1), key.raw));
    case "RSA":
      return sha256(concat(utf8(name), NEWLINE, Uint8Array.of(0xff), utf8("PKIX-RSA-PKCS#1v1.5"), key.spki));
    default:
      throw new LacreError("ALGORITHM_UNKNOWN", "keys of this type do not sign notes", { found: key.type });
  }
}

/** The id of a Rekor v1 or certificate-transparency log, 32 octets: SHA-256 of its key's SubjectPublicKeyInfo. */
export function rekorV1KeyId(key: PublicKey): Uint8Array {
  return sha256(key.spki);
}

// Notes are always signed over SHA-256, whatever the curve.
function noteAlgorithm(key: PublicKey): Algorithm {
  switch (key.type) {
    case "P-256":
      return algorithmOf("PKIX_ECDSA_P256_SHA_256");
    case "P-384":
      return algorithmOf("PKIX_ECDSA_P384_SHA_256");
    case "P-521":
      return algorithmOf("PKIX_ECDSA_P521_SHA_256");
    case "RSA":
      return algorithmOf(`PKIX_RSA_PKCS1V15_${key.rsaBits}_SHA256`);
    case "Ed25519":
      return algorithmOf("PKIX_ED25519");
    default:
      throw new LacreError("ALGORITHM_UNKNOWN", "keys of this type do not sign notes", { found: key.type });
  }
}

/** Who must have signed a note. */
export interface NoteSigner {
  readonly note: Note;
  /** Compared as a whole with the name of the signature line. */
  readonly name: string;
  /** First four octets of the key id; more are allowed and cut. */
  readonly keyHint: Uint8Array;
  readonly key: PublicKey;
}

/**
 * Proves that a note is signed by this key under this name, and returns the line that does. Lines of other names or key
 * ids (witnesses, other keys) are ignored, and their order does not matter. Throws CHECKPOINT_UNSIGNED when no line is of
 * the name and key id, SIGNATURE_INVALID when none of those verifies.
 */
export function checkNoteSignature({ note, name, keyHint, key }: NoteSigner): NoteSignature {
  const hint = keyHint.subarray(0, 4);
  const candidates = note.signatures.filter((line) => line.name === name && equalBytes(line.keyHint, hint));
  if (candidates.length === 0) {
    throw new LacreError("CHECKPOINT_UNSIGNED", "no signature line is of the log's name and key", {
      expected: `${name} ${toHex(hint)}`,
      found: note.signatures
        .map((line) => `${line.name.slice(0, 60)} ${toHex(line.keyHint)}`)
        .join(", ")
        .slice(0, 400),
    });
  }
  const algorithm = noteAlgorithm(key);
  const message = utf8(note.text);
  let refusal: unknown;
  for (const line of candidates) {
    try {
      checkSignature(algorithm, key, { message }, line.signature);
      return line;
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

/** A note over `text`, signed under `name`. */
export function signNote(text: string, name: string, key: PrivateKey): string {
  const signature = signMessage(noteAlgorithm(key.publicKey), key, utf8(text));
  return formatNote({ text, signatures: [{ name, keyHint: noteKeyId(name, key.publicKey).subarray(0, 4), signature }] });
}

/** A checkpoint with its log's signature. Rekor v2 logs have one name for `origin` and `name`; v1 logs have two. */
export function signCheckpoint(state: {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Uint8Array;
  readonly name: string;
  readonly key: PrivateKey;
}): string {
  return signNote(formatCheckpointText(state.origin, state.size, state.root), state.name, state.key);
}
