// SPDX-License-Identifier: Apache-2.0
/** Files that are named on the command line, read whole. */
import { resolve } from "node:path";
import type { Context } from "./context.ts";
import { CliError, fileError } from "./errors.ts";
import { readUpTo } from "./small-file.ts";
import { formatSize } from "./terminal.ts";

/** Nothing that is named on a command line and read whole is honestly larger. */
const MAX_NAMED_BYTES = 256 << 20;

/** Reads a file named on the command line, up to a limit: `/dev/zero` has no end. */
export async function readNamed(context: Context, path: string): Promise<Uint8Array> {
  let bytes;
  try {
    bytes = readUpTo(resolve(context.cwd, path), MAX_NAMED_BYTES);
  } catch (cause) {
    throw fileError("FILE_UNREADABLE", path, cause);
  }
  if (bytes !== undefined) return bytes;
  throw new CliError("FILE_UNREADABLE", `${path} is larger than ${formatSize(MAX_NAMED_BYTES)}, and no file of this kind is`);
}
