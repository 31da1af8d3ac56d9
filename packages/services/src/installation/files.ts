// SPDX-License-Identifier: Apache-2.0
/** Files of an installation: written so that a crash leaves the old one or the new one, and read with words for failures. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { ServiceError } from "../errors.ts";
import { storageFailure, systemCode } from "../store/index.ts";

/** Writes a new file durably. Fails when there is one. */
export function createFile(path: string, content: string | Uint8Array, mode: number): void {
  write(path, "wx", content, mode);
}

/** Replaces a file, or makes it. Readers see the old content or the new, never a part. */
export function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): void {
  const temporary = `${path}.new`;
  write(temporary, "w", content, mode);
  storing(`replacing ${path}`, () => renameSync(temporary, path));
  syncDirectory(dirname(path));
}

/** Makes names that were created in a directory durable. */
export function syncDirectory(path: string): void {
  storing(`syncing ${path}`, () => {
    const fd = openSync(path, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** The content of a file that an installation cannot be without. Throws DIRECTORY_DAMAGED, DIRECTORY_OWNER. */
export function readWhole(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "EACCES" || code === "EPERM")
      throw new ServiceError("DIRECTORY_OWNER", undefined, { detail: `${path} cannot be read by this user`, cause });
    throw new ServiceError("DIRECTORY_DAMAGED", undefined, {
      detail: `${path} ${code === "ENOENT" ? "is missing" : "cannot be read"}`,
      cause,
    });
  }
}

/** Runs a file operation; a failure becomes the ServiceError that says what to do. */
export function storing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw storageFailure(what, cause);
  }
}

function write(path: string, flags: string, content: string | Uint8Array, mode: number): void {
  storing(`writing ${path}`, () => {
    const fd = openSync(path, flags, mode);
    try {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}
