// SPDX-License-Identifier: Apache-2.0
/**
 * Standard input, output and error, opened when they are used. Node's own stream objects cost a tenth of a verification to
 * make, and most runs need none: a file or a pipe is written to directly, and what is no character device is no terminal.
 */
import { fstatSync, statSync, writeSync } from "node:fs";
import { devNull } from "node:os";
import type { Output } from "./terminal.ts";

/** Whether the descriptor may be a terminal: asked of the system without loading Node's terminals. */
function isDevice(fd: number): boolean {
  try {
    const facts = fstatSync(fd);
    return facts.isCharacterDevice() && facts.rdev !== statSync(devNull).rdev;
  } catch {
    // Closed, or of a kind that this system cannot tell: Node's stream knows what to do.
    return true;
  }
}

/** A reader that goes away (`lacre verify … | head`) is no failure of ours. */
function tolerate(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

/** Standard output or error. */
export function openOutput(fd: 1 | 2): Output {
  let stream: NodeJS.WriteStream | undefined;
  const open = (): NodeJS.WriteStream => (stream ??= (fd === 1 ? process.stdout : process.stderr).on("error", tolerate));
  const direct = !isDevice(fd);
  return {
    write(text) {
      if (!direct || stream !== undefined) return open().write(text);
      let rest: Uint8Array = Buffer.from(text);
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
      } catch (error) {
        // Somebody has made the pipe non-blocking, and it is full: the stream waits for it, now and from here on.
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") open().write(rest);
        else tolerate(error as NodeJS.ErrnoException);
      }
      return true;
    },
    get isTTY() {
      return !direct && open().isTTY;
    },
    get columns() {
      return direct ? undefined : open().columns;
    },
  } as Output;
}

/** Standard input: whether it is a terminal, and its octets. */
export const standardInput: AsyncIterable<Uint8Array> & { readonly isTTY: boolean } = {
  get isTTY() {
    return isDevice(0) && process.stdin.isTTY;
  },
  [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
};
