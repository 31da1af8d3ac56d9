// SPDX-License-Identifier: Apache-2.0
/**
 * A thread that judges signatures and does nothing else. It holds no key of ours and opens no file.
 *
 * A batch comes as one buffer, its number first: `u32 number`, then for each claim `u8 algorithm ‖ u24-vector SPKI ‖ u8
 * digest? ‖ u24-vector signed ‖ u24-vector signature`. The answer is the number and, for each claim, null or the code and
 * sentence of the refusal. A fault instead of a verdict ends the thread: whoever waits judges the batch himself.
 */
import { parentPort } from "node:worker_threads";
import { ByteReader, ByteWriter } from "@lacre/core/bytes";
import { ALGORITHMS, checkSignatures, importPublicKey, type SignatureClaim } from "@lacre/core/crypto";
import type { LacreCode } from "@lacre/core/errors";

/** What a thread answers. */
export interface Judgement {
  readonly number: number;
  readonly refusals: readonly (readonly [LacreCode, string] | null)[];
}

const NUMBERS = new Map(ALGORITHMS.map((algorithm) => [algorithm.number, algorithm]));

/** A batch as it travels. The buffer is its own: it can be transferred. */
export function encodeBatch(number: number, claims: readonly SignatureClaim[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter().uint(4, number);
  for (const { algorithm, key, signed, signature } of claims) {
    const isDigest = "digest" in signed;
    writer
      .uint(1, algorithm.number)
      .vector(3, key.spki)
      .uint(1, isDigest ? 1 : 0)
      .vector(3, isDigest ? signed.digest : signed.message)
      .vector(3, signature);
  }
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

/** Judges a batch. */
export function judgeBatch(batch: Uint8Array): Judgement {
  const reader = new ByteReader(batch);
  const number = reader.uint(4);
  const claims: SignatureClaim[] = [];
  while (reader.left > 0) {
    const algorithm = NUMBERS.get(reader.uint(1));
    const key = importPublicKey(reader.vector(3));
    const isDigest = reader.uint(1) === 1;
    const signed = reader.vector(3);
    if (algorithm === undefined) throw new TypeError("unknown algorithm");
    claims.push({ algorithm, key, signed: isDigest ? { digest: signed } : { message: signed }, signature: reader.vector(3) });
  }
  return {
    number,
    refusals: checkSignatures(claims).map((refusal) => (refusal === undefined ? null : [refusal.code, refusal.message])),
  };
}

// A thread's port has no origin to name.
// eslint-disable-next-line unicorn/require-post-message-target-origin
parentPort?.on("message", (batch: Uint8Array) => parentPort!.postMessage(judgeBatch(batch)));
