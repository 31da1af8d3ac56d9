// SPDX-License-Identifier: Apache-2.0
/** Frames of a log's journal, and the batches of records inside: what recovery reads after any crash. */
import { LacreError } from "../packages/core/src/errors.ts";
import { decodeBatch, encodeBatch } from "../packages/services/src/engine/batch.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { decodeFrame, encodeFrame } from "../packages/services/src/store/frame.ts";

const mark = { context: "log.test", number: 7, salt: new Uint8Array(16).fill(9) };
const state = (size: number) => ({
  size,
  root: new Uint8Array(32).fill(size),
  timeMs: 1_700_000_000_000 + size,
  epoch: 1,
  nonce: new Uint8Array(16).fill(size),
});
const batch = encodeBatch([new Uint8Array(3), new Uint8Array(0), new Uint8Array(200).fill(1)]);

export const name = "journal-frame";
export const seeds: Uint8Array[] = [
  batch,
  encodeBatch([]),
  encodeFrame(mark, { kind: "start", previous: state(0), next: state(0), body: new Uint8Array(0) }).subarray(0, 300),
  encodeFrame(mark, { kind: "commit", previous: state(1), next: state(4), body: batch }).subarray(0, 500),
];

export function target(bytes: Uint8Array): void {
  decodeFrame(bytes, 0, { context: mark.context, number: mark.number });
  try {
    decodeBatch(bytes);
  } catch (error) {
    if (error instanceof ServiceError && error.code === "LOG_DAMAGED")
      throw new LacreError("BAD_DER", "damage", { cause: error });
    throw error;
  }
}
