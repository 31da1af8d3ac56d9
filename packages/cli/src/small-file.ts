// SPDX-License-Identifier: Apache-2.0
/**
 * Files that are read whole. They are read in place: for a seal, a root or a key of some kilobytes, Node's streams and
 * promises cost more than the reading.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/**
 * The octets of a file, or undefined when there are more than `limit`: `/dev/zero` has no end, and what is no regular file
 * (a pipe, `/dev/stdin`) does not say its size. Throws the system's error.
 */
export function readUpTo(path: string, limit: number): Buffer | undefined {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    if (size > limit) return undefined;
    // One octet more than the file has: the read that finds the end needs no second buffer.
    let buffer = Buffer.allocUnsafe(Math.max(size + 1, 4096));
    let length = 0;
    for (;;) {
      const count = readSync(fd, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.subarray(0, length);
      length += count;
      if (length > limit) return undefined;
      if (length < buffer.length) continue;
      const larger = Buffer.allocUnsafe(2 * buffer.length);
      buffer.copy(larger);
      buffer = larger;
    }
  } finally {
    closeSync(fd);
  }
}
