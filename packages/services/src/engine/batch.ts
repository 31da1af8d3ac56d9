// SPDX-License-Identifier: Apache-2.0
/**
 * What one group of entries is in the commit store: `u32 count`, then for each entry `u32 octets ‖ record`, big-endian.
 *
 * Together with the states before and after (`Commit` in `store/`) this is the frame of the log: old size and root, the
 * entries, new size and root, and the time. Every checkpoint is a function of such frames alone.
 */
import { ServiceError } from "../errors.ts";

/** Encodes records, in order. */
export function encodeBatch(records: readonly Uint8Array[]): Uint8Array {
  let length = 4;
  for (const record of records) length += 4 + record.length;
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  view.setUint32(0, records.length);
  let at = 4;
  for (const record of records) {
    view.setUint32(at, record.length);
    out.set(record, at + 4);
    at += 4 + record.length;
  }
  return out;
}

/** The records of a batch, as views. Throws LOG_DAMAGED. */
export function decodeBatch(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: Uint8Array[] = [];
  let at = 4;
  const count = bytes.length < 4 ? -1 : view.getUint32(0);
  while (records.length < count && at + 4 <= bytes.length) {
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) break;
    records.push(bytes.subarray(at + 4, end));
    at = end;
  }
  if (records.length !== count || at !== bytes.length)
    throw new ServiceError("LOG_DAMAGED", undefined, { detail: "a batch of the journal does not hold what it says" });
  return records;
}
