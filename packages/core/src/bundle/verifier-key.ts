// SPDX-License-Identifier: Apache-2.0
/**
 * Verifier keys (C2SP signed-note, "vkeys"): a key of a log or of a witness as one line of text,
 *
 *     <name>+<8 hexadecimal digits of key id>+<base64(type ‖ key material)>
 *
 * and what a signature of each type covers:
 *
 *     01  Ed25519                the note's text                                      material: 32 octets
 *     02  ECDSA                  SHA-256 of the text, DER                             material: SubjectPublicKeyInfo
 *     04  Ed25519 cosignature    "cosignature/v1⏎time <s>⏎" ‖ text                    material: 32 octets
 *     05  RFC 6962 tree head     u8 0 ‖ u8 1 ‖ u64 ms ‖ u64 size ‖ root               material: SubjectPublicKeyInfo
 *     06  ML-DSA-44 cosignature  the structure of `cosignature.ts`                    material: 1,312 octets
 *
 * The key id is the first four octets of SHA-256(name ‖ 0x0A ‖ type ‖ material), with two exceptions: for 02 it is of the
 * SubjectPublicKeyInfo alone, for 05 the material that is hashed is SHA-256 of the SubjectPublicKeyInfo, the log's id.
 */
import { ByteReader, concat, equalBytes, fromBase64, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { isKeyName, type NoteSignature } from "../codec/index.ts";
import {
  algorithmOf,
  checkSignature,
  encodeSpki,
  importPublicKey,
  sha256,
  type Algorithm,
  type PublicKey,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { readCosignature } from "./cosignature.ts";

/** What a key signs, and with what. */
export type VerifierKeyKind = "ed25519" | "ecdsa" | "ed25519-cosignature" | "rfc6962" | "ml-dsa-44-cosignature";

/** A key that signs notes under a name. */
export interface VerifierKey {
  /** Compared as a whole with the name of a signature line. */
  readonly name: string;
  readonly kind: VerifierKeyKind;
  readonly key: PublicKey;
  /** Four octets. */
  readonly keyId: Uint8Array;
}

/** A signature line that was checked. */
export interface Vouched {
  readonly line: NoteSignature;
  /** When it was made, for kinds that say so: milliseconds since 1970. */
  readonly timeMs: number | undefined;
}

const TYPE: Readonly<Record<VerifierKeyKind, number>> = {
  ed25519: 1,
  ecdsa: 2,
  "ed25519-cosignature": 4,
  rfc6962: 5,
  "ml-dsa-44-cosignature": 6,
};
const MAX_VKEY = 4096;
const NEWLINE = 0x0a;
const ECDSA: Readonly<Partial<Record<string, string>>> = {
  "P-256": "PKIX_ECDSA_P256_SHA_256",
  "P-384": "PKIX_ECDSA_P384_SHA_256",
  "P-521": "PKIX_ECDSA_P521_SHA_256",
};

function invalid(message: string, found?: string): LacreError {
  return new LacreError("KEY_INVALID", message, found === undefined ? {} : { found: found.slice(0, 80) });
}

/** Whether a key of this kind is a cosigner's: of a witness, not of a log. */
export function isCosigner(kind: VerifierKeyKind): boolean {
  return kind === "ed25519-cosignature" || kind === "ml-dsa-44-cosignature";
}

/** A verifier key of its parts. Throws KEY_INVALID when the key is of another type than the kind asks for. */
export function createVerifierKey(name: string, kind: VerifierKeyKind, key: PublicKey): VerifierKey {
  if (!isKeyName(name)) throw invalid("the name of a key is malformed", name);
  const fitting =
    kind === "ecdsa"
      ? ECDSA[key.type] !== undefined
      : kind === "rfc6962"
        ? key.type === "P-256"
        : key.type === (kind === "ml-dsa-44-cosignature" ? "ML-DSA-44" : "Ed25519");
  if (!fitting) throw invalid(`a key of this type makes no ${kind} signatures`, key.type);
  return { name, kind, key, keyId: keyIdOf(name, kind, key) };
}

function keyIdOf(name: string, kind: VerifierKeyKind, key: PublicKey): Uint8Array {
  if (kind === "ecdsa") return sha256(key.spki).subarray(0, 4);
  const hashed = kind === "rfc6962" ? sha256(key.spki) : key.raw;
  return sha256(concat(utf8(name), Uint8Array.of(NEWLINE, TYPE[kind]), hashed)).subarray(0, 4);
}

function materialOf(kind: VerifierKeyKind, key: PublicKey): Uint8Array {
  return kind === "ecdsa" || kind === "rfc6962" ? key.spki : key.raw;
}

/** The key that a log of this name signs its checkpoints with, where it is a note's plain kind (01 or 02). */
export function logVerifierKey(name: string, key: PublicKey): VerifierKey {
  return createVerifierKey(name, key.type === "Ed25519" ? "ed25519" : "ecdsa", key);
}

/** The key as one line. */
export function formatVerifierKey({ name, kind, key, keyId }: VerifierKey): string {
  return `${name}+${toHex(keyId)}+${toBase64(concat(Uint8Array.of(TYPE[kind]), materialOf(kind, key)))}`;
}

/** Reads a verifier key. Throws KEY_INVALID for any other form, an unknown type, or an id that is not this key's. */
export function parseVerifierKey(line: string): VerifierKey {
  if (line.length > MAX_VKEY) throw invalid("a verifier key is too long");
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
  if (name === undefined || id === undefined || encoded === undefined || !isKeyName(name))
    throw invalid("not a verifier key: name+id+base64", line);
  const verifier = asKeyError(() => {
    const reader = new ByteReader(fromBase64(encoded));
    const type = reader.uint(1);
    const kind = (Object.keys(TYPE) as VerifierKeyKind[]).find((one) => TYPE[one] === type);
    if (kind === undefined) throw invalid("a verifier key is of an unknown type", `type ${type}`);
    const material = reader.rest();
    const spki =
      kind === "ecdsa" || kind === "rfc6962"
        ? material
        : encodeSpki(kind === "ml-dsa-44-cosignature" ? "ML-DSA-44" : "Ed25519", material);
    return createVerifierKey(name, kind, importPublicKey(spki));
  });
  if (toHex(verifier.keyId) !== id)
    throw new LacreError("KEY_INVALID", "the id of a verifier key is not that of its key", {
      expected: toHex(verifier.keyId),
      found: id,
    });
  return verifier;
}

function asKeyError<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof LacreError && cause.code !== "KEY_INVALID")
      throw new LacreError("KEY_INVALID", `a verifier key cannot be read: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The signature lines that claim to be this key's. */
export function linesOf(lines: readonly NoteSignature[], key: VerifierKey): readonly NoteSignature[] {
  return lines.filter((line) => line.name === key.name && equalBytes(line.keyHint, key.keyId));
}

/**
 * Proves that a checkpoint is signed by this key. Every line that claims to be the key's has to verify: a note with a bad
 * one was tampered with (signed-note). Of several the last made counts. Throws CHECKPOINT_UNSIGNED when there is none,
 * SIGNATURE_INVALID when one does not verify, ALGORITHM_UNKNOWN where this platform lacks the algorithm.
 */
export function checkSigned(checkpoint: Checkpoint, key: VerifierKey): Vouched {
  const lines = linesOf(checkpoint.note.signatures, key);
  if (lines.length === 0) {
    throw new LacreError("CHECKPOINT_UNSIGNED", "no signature line is of this name and key", {
      expected: `${key.name} ${toHex(key.keyId)}`,
      found: checkpoint.note.signatures
        .map((line) => `${line.name.slice(0, 60)} ${toHex(line.keyHint)}`)
        .join(", ")
        .slice(0, 400),
    });
  }
  const vouched = lines.map((line) => checkLine(checkpoint, key, line));
  return vouched.reduce((best, one) => ((one.timeMs ?? 0) > (best.timeMs ?? 0) ? one : best));
}

/** Proves that one line is this key's signature of a checkpoint. Throws as `checkSigned`. */
export function checkLine(checkpoint: Checkpoint, { name, kind, key }: VerifierKey, line: NoteSignature): Vouched {
  switch (kind) {
    case "ed25519":
      checkSignature(algorithmOf("PKIX_ED25519"), key, { message: utf8(checkpoint.note.text) }, line.signature);
      return { line, timeMs: undefined };
    case "ecdsa":
      checkSignature(algorithmOf(ECDSA[key.type]!), key, { message: utf8(checkpoint.note.text) }, line.signature);
      return { line, timeMs: undefined };
    case "rfc6962": {
      const { timeMs, signature } = readTreeHead(line.signature);
      checkSignature(P256, key, { message: treeHeadText(timeMs, checkpoint) }, signature);
      return { line, timeMs: Number(timeMs) };
    }
    default: {
      const { timeMs, signature, message, algorithm } = readCosignature(kind, { checkpoint, name, blob: line.signature });
      checkSignature(algorithm, key, { message }, signature);
      return { line, timeMs };
    }
  }
}

const P256: Algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");

/** Time and signature of a tree head's line: u64 ms, then DigitallySigned with SHA-256 and ECDSA (C2SP static-ct-api). */
function readTreeHead(blob: Uint8Array): { readonly timeMs: bigint; readonly signature: Uint8Array } {
  try {
    const reader = new ByteReader(blob);
    const timeMs = reader.uint64();
    if (reader.uint(1) !== 4 || reader.uint(1) !== 3)
      throw new LacreError("SIGNATURE_INVALID", "a tree head is not signed with ECDSA over SHA-256");
    const signature = reader.vector(2);
    if (reader.left > 0 || timeMs > BigInt(Number.MAX_SAFE_INTEGER))
      throw new LacreError("SIGNATURE_INVALID", "the signature of a tree head is malformed");
    return { timeMs, signature };
  } catch (cause) {
    if (cause instanceof LacreError && cause.code === "TRUNCATED")
      throw new LacreError("SIGNATURE_INVALID", "the signature of a tree head is cut short", { cause });
    throw cause;
  }
}

function treeHeadText(timeMs: bigint, { size, root }: Checkpoint): Uint8Array {
  const head = new Uint8Array(18);
  head[1] = 1;
  const view = new DataView(head.buffer);
  view.setBigUint64(2, timeMs);
  view.setBigUint64(10, size);
  return concat(head, root);
}
