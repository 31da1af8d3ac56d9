// SPDX-License-Identifier: Apache-2.0
/**
 * Checkpoints of a CT log (C2SP static-ct-api): a note whose signature is that of an RFC 6962 tree head.
 *
 *     key id    = SHA-256(name ‖ 0x0A ‖ 0x05 ‖ log id), of which the note carries four octets
 *     signature = u64 time ‖ u8 4 ‖ u8 3 ‖ u16-vector ECDSA signature
 *     signed    = u8 0 ‖ u8 1 ‖ u64 time ‖ u64 size ‖ root[32]
 *
 * The time is the frame's, so that the checkpoint of a size is the same statement whenever it is signed again.
 */
import { ByteWriter, concat, utf8 } from "@lacre/core/bytes";
import { formatNote } from "@lacre/core/codec";
import { formatCheckpointText } from "@lacre/core/bundle";
import { sha256 } from "@lacre/core/crypto";
import type { CheckpointState } from "../engine/index.ts";

/** What makes a log's checkpoints. */
export interface CtSigner {
  /** SHA-256 of the log key's SubjectPublicKeyInfo. */
  readonly logId: Uint8Array;
  /** ECDSA P-256 with SHA-256, DER. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** SHA-256 and ECDSA in DigitallySigned (RFC 5246 section 7.4.1.4.1). */
export const DIGITALLY_SIGNED = { hashCode: 4, signatureCode: 3 } as const;

/** The key id of a CT log's note signatures, whole. */
export function ctNoteKeyId(origin: string, logId: Uint8Array): Uint8Array {
  return sha256(concat(utf8(origin), Uint8Array.of(0x0a, 0x05), logId));
}

/** What a tree head's signature covers. */
export function treeHeadSignedData(timeMs: number, size: number, root: Uint8Array): Uint8Array {
  return new ByteWriter().uint(1, 0).uint(1, 1).uint64(BigInt(timeMs)).uint64(BigInt(size)).put(root).finish();
}

/** Signs states of a log as its checkpoints. */
export function createCtCheckpointSigner({ logId, sign }: CtSigner): (state: CheckpointState) => string {
  return ({ origin, size, root, timeMs }) => {
    const { hashCode, signatureCode } = DIGITALLY_SIGNED;
    const signature = new ByteWriter()
      .uint64(BigInt(timeMs))
      .uint(1, hashCode)
      .uint(1, signatureCode)
      .vector(2, sign(treeHeadSignedData(timeMs, size, root)))
      .finish();
    const keyHint = ctNoteKeyId(origin, logId).subarray(0, 4);
    return formatNote({
      text: formatCheckpointText(origin, BigInt(size), root),
      signatures: [{ name: origin, keyHint, signature }],
    });
  };
}
