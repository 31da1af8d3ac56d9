// SPDX-License-Identifier: Apache-2.0
/**
 * Cosignatures (C2SP tlog-cosignature): a witness's word that a checkpoint continues everything it has seen of a log.
 *
 * The blob of the signature line, behind the key id, is `u64 seconds ‖ signature`. What is signed:
 *
 *     04, Ed25519     "cosignature/v1⏎" ‖ "time " ‖ decimal seconds ‖ "⏎" ‖ the note's text, extension lines included
 *     06, ML-DSA-44   "subtree/v1⏎\0" ‖ u8-vector witness's name ‖ u64 seconds ‖ u8-vector origin
 *                     ‖ u64 0 ‖ u64 size ‖ root[32]
 *
 * The second kind does not cover extension lines, so a checkpoint that has any is not cosigned with it, and a line over
 * one is not believed. A time of zero would mean "I do not say that this is the largest tree I have seen"; a witness's
 * answer has to say that, so zero is refused.
 */
import { ByteReader, ByteWriter, concat, utf8 } from "../bytes/index.ts";
import type { NoteSignature } from "../codec/index.ts";
import { algorithmOf, type Algorithm, type PrivateKey, signMessage } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** The two kinds of cosignature. */
export type CosignatureKind = "ed25519-cosignature" | "ml-dsa-44-cosignature";

const ALGORITHM: Readonly<Record<CosignatureKind, Algorithm>> = {
  "ed25519-cosignature": algorithmOf("PKIX_ED25519"),
  "ml-dsa-44-cosignature": algorithmOf("ML_DSA_44"),
};
const SIGNATURE_OCTETS: Readonly<Record<CosignatureKind, number>> = { "ed25519-cosignature": 64, "ml-dsa-44-cosignature": 2420 };
const LABEL = utf8("subtree/v1\n\0");
const MAX_TIME = BigInt(Math.floor(Number.MAX_SAFE_INTEGER / 1000));

/** What a cosignature covers. */
interface Cosigned {
  readonly checkpoint: Checkpoint;
  /** Name of the witness. */
  readonly name: string;
  readonly seconds: bigint;
}

function cosignedMessage(kind: CosignatureKind, { checkpoint, name, seconds }: Cosigned): Uint8Array {
  if (kind === "ed25519-cosignature") return utf8(`cosignature/v1\ntime ${seconds}\n${checkpoint.note.text}`);
  if (checkpoint.extensions.length > 0)
    throw new LacreError("CHECKPOINT_INVALID", "an ML-DSA cosignature does not cover extension lines");
  const [cosigner, origin] = [utf8(name), utf8(checkpoint.origin)];
  if (cosigner.length > 255 || origin.length > 255)
    throw new LacreError("CHECKPOINT_INVALID", "a name is longer than 255 octets");
  return new ByteWriter()
    .put(LABEL)
    .vector(1, cosigner)
    .uint64(seconds)
    .vector(1, origin)
    .uint64(0n)
    .uint64(checkpoint.size)
    .put(checkpoint.root)
    .finish();
}

/** The parts of a cosignature, and what it has to be a signature of. Throws SIGNATURE_INVALID for a malformed one. */
export function readCosignature(
  kind: CosignatureKind,
  { checkpoint, name, blob }: { readonly checkpoint: Checkpoint; readonly name: string; readonly blob: Uint8Array },
): { readonly timeMs: number; readonly signature: Uint8Array; readonly message: Uint8Array; readonly algorithm: Algorithm } {
  if (blob.length !== 8 + SIGNATURE_OCTETS[kind]) {
    throw new LacreError("SIGNATURE_INVALID", "a cosignature has the wrong length", {
      expected: `${8 + SIGNATURE_OCTETS[kind]} octets`,
      found: `${blob.length}`,
    });
  }
  const seconds = new ByteReader(blob).uint64();
  if (seconds === 0n || seconds > MAX_TIME)
    throw new LacreError("SIGNATURE_INVALID", "the time of a cosignature is missing or out of range", { found: `${seconds}` });
  return {
    timeMs: Number(seconds) * 1000,
    signature: blob.subarray(8),
    message: cosignedMessage(kind, { checkpoint, name, seconds }),
    algorithm: ALGORITHM[kind],
  };
}

/** Signs a checkpoint as a witness. The caller has checked what it vouches for. `timeMs` is cut to whole seconds. */
export function cosign(
  kind: CosignatureKind,
  o: {
    readonly checkpoint: Checkpoint;
    readonly name: string;
    readonly keyId: Uint8Array;
    readonly key: PrivateKey;
    readonly timeMs: number;
  },
): NoteSignature {
  const seconds = BigInt(Math.floor(o.timeMs / 1000));
  if (seconds <= 0n || seconds > MAX_TIME) throw new TypeError("not a time to cosign at");
  const message = cosignedMessage(kind, { checkpoint: o.checkpoint, name: o.name, seconds });
  const blob = concat(new ByteWriter().uint64(seconds).finish(), signMessage(ALGORITHM[kind], o.key, message));
  return { name: o.name, keyHint: o.keyId, signature: blob };
}
