// SPDX-License-Identifier: Apache-2.0
/**
 * What a log asks a witness (C2SP tlog-witness, `add-checkpoint`): the body of the request.
 *
 *     old <decimal size>⏎           what the witness cosigned last; 0 if nothing
 *     <base64 hash>⏎ …              consistency proof from there, at most 63 hashes
 *     ⏎
 *     <checkpoint, a signed note>
 *
 * Only shape is judged here: whether the sizes, the proof and the signature fit is the witness's business.
 */
import { fromBase64, toBase64 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { parseCheckpoint, type Checkpoint } from "./checkpoint.ts";

/** What a log asks of a witness (C2SP tlog-witness, add-checkpoint): its checkpoint, and proof that it grew from `oldSize`. */
export interface WitnessRequest {
  readonly oldSize: bigint;
  /** Hashes of 32 octets. */
  readonly proof: readonly Uint8Array[];
  readonly checkpoint: Checkpoint;
  /** The checkpoint as it was sent, with all its signature lines. */
  readonly note: string;
}

const MAX_HASHES = 63;
const MAX_SIZE = (1n << 63n) - 1n;

function bad(message: string, found?: string): LacreError {
  return new LacreError("REQUEST_INVALID", message, found === undefined ? {} : { found: found.slice(0, 80) });
}

/** Reads a size as the protocol writes it: decimal, no leading zeros. Throws REQUEST_INVALID. */
export function parseLogSize(digits: string): bigint {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(digits) || BigInt(digits) > MAX_SIZE)
    throw bad("a size is not a plain decimal number", digits);
  return BigInt(digits);
}

/** Reads a request. Throws REQUEST_INVALID for its own lines, and for the checkpoint what `parseCheckpoint` throws. */
export function parseWitnessRequest(body: string): WitnessRequest {
  const divide = body.indexOf("\n\n");
  if (divide < 0) throw bad("the request has no blank line before its checkpoint");
  const [old, ...hashes] = body.slice(0, divide).split("\n");
  if (old === undefined || !old.startsWith("old ")) throw bad('the request does not start with "old" and a size', old);
  if (hashes.length > MAX_HASHES) throw bad("the request has more than 63 hashes", `${hashes.length}`);
  const note = body.slice(divide + 2);
  return { oldSize: parseLogSize(old.slice(4)), proof: hashes.map(readHash), checkpoint: parseCheckpoint(note), note };
}

function readHash(line: string): Uint8Array {
  let hash: Uint8Array;
  try {
    hash = fromBase64(line);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw bad("a hash of the proof is not base64", line);
  }
  if (hash.length !== 32) throw bad("a hash of the proof is not of 32 octets", `${hash.length}`);
  return hash;
}

/** Writes a request. */
export function formatWitnessRequest({ oldSize, proof, note }: Pick<WitnessRequest, "oldSize" | "proof" | "note">): string {
  if (proof.length > MAX_HASHES) throw new TypeError("a proof has at most 63 hashes");
  return `old ${oldSize}\n${proof.map((hash) => `${toBase64(hash)}\n`).join("")}\n${note}`;
}
