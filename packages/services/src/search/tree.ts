// SPDX-License-Identifier: Apache-2.0
/** Roots of earlier sizes, from a log's own tiles. */
import { sha256 } from "@lacre/core/crypto";
import { completeSubtrees } from "@lacre/core/log";
import { emptyRoot, foldRight, hashSlice, tileOfNode, tileWidth } from "@lacre/core/merkle";
import type { Log } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";

/** The root of a log's first `size` entries, all of them published. */
export async function rootAt(log: Log, size: number): Promise<Uint8Array> {
  if (size === 0) return emptyRoot(sha256);
  const whole = log.size;
  const nodes = completeSubtrees(size).map(async ({ level, index }) => {
    const slice = tileOfNode(level, index);
    const tile = await log.readTile({ level: slice.level, index: slice.index, width: tileWidth(slice.level, slice.index, whole) });
    if (tile === undefined) throw new ServiceError("LOG_DAMAGED", undefined, { detail: `tile ${slice.level}/${slice.index} of ${log.origin} cannot be read` });
    return hashSlice(sha256, tile, slice);
  });
  return foldRight(sha256, await Promise.all(nodes));
}
