// SPDX-License-Identifier: Apache-2.0
/**
 * The few file operations that durability rests on, as an argument: `store/` and `engine/` touch no file in any other
 * way. `createFileSystem` is the real one; `simulated.ts` is a disk that loses power on command.
 *
 * What each call promises after a loss of power:
 * - bytes written are on stable storage once `datasync` of that file has returned, not before, in any order;
 * - a name made, renamed or removed is so once `syncDirectory` of its directory has returned, not before;
 * - a process that is killed loses nothing that `write` or `rename` has returned for.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fsync,
  fstat,
  mkdir,
  open,
  read,
  readdir,
  readSync,
  rename,
  rm,
  writev,
} from "node:fs";
import { basename, dirname } from "node:path";
import { ServiceError } from "../errors.ts";

/** An open file. Positions and lengths are octets from the start. */
export interface OpenFile {
  /** Up to `length` octets from `position`; fewer only where the file ends. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** The same while the caller waits: a few octets, mostly in the machine's cache, that work cannot go on without. */
  readNow(position: number, length: number): Uint8Array;
  /** All of the parts, one after the other, from `position`. The parts must not change until it returns. */
  write(position: number, ...parts: readonly Uint8Array[]): Promise<void>;
  /** Makes what was written durable. A failure is final: the kernel may have dropped the pages (I7). */
  datasync(): Promise<void>;
  size(): Promise<number>;
  /** Closing twice is closing once. */
  close(): Promise<void>;
}

/** `read` an existing file; `update`: read and write an existing file; `create`: a new one, which must not exist. */
export type OpenMode = "read" | "update" | "create";

export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** The whole file, or undefined where there is none. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** Replaces `to` in one step. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; none is fine. */
  remove(path: string): Promise<void>;
  /** Makes a directory and those above it; existing is fine. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, in order; none where there is no directory. */
  list(path: string): Promise<string[]>;
  syncDirectory(path: string): Promise<void>;
}

/** The `code` of a system error, or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Whether an error says that no space is left: the one failure of a write that leaves the writer in a known state. */
export function isDiskFull(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}

/** The refusal for a failed file operation, in words for the operator. */
export function storageFailure(what: string, cause: unknown): ServiceError {
  const code = systemCode(cause);
  const detail = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  if (isDiskFull(cause)) return new ServiceError("DISK_FULL", undefined, { detail, cause });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new ServiceError("DIRECTORY_UNWRITABLE", undefined, { detail, cause });
  return new ServiceError("STORE_FAILED", undefined, { detail, cause });
}

/** Makes a directory and those above it, durably: each new name is synced with the directory that holds it. */
export async function ensureDirectory(fs: FileSystem, path: string): Promise<void> {
  const holders: string[] = [];
  const exists = async (at: string): Promise<boolean> => {
    try {
      return (await fs.list(dirname(at))).includes(basename(at));
    } catch (error) {
      // A directory above that may be passed through but not read exists.
      if (systemCode(error) === "EACCES") return true;
      throw error;
    }
  };
  for (let at = path; dirname(at) !== at && !(await exists(at)); at = dirname(at)) holders.push(dirname(at));
  if (holders.length === 0) return;
  await fs.makeDirectory(path);
  for (const holder of holders.toReversed()) await fs.syncDirectory(holder);
}

/** The kernel takes 1,024 parts in one call. */
const MAX_PARTS = 1024;

class NodeFile implements OpenFile {
  readonly #fd: number;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(position: number, length: number): Promise<Uint8Array> {
    // No Buffer: its slice() shares memory where a Uint8Array's copies.
    const out = new Uint8Array(length);
    return new Promise((resolve, reject) => {
      const step = (at: number): void => {
        read(this.#fd, out, at, length - at, position + at, (error, count) => {
          if (error !== null) reject(error);
          else if (count === 0 || at + count === length) resolve(out.subarray(0, at + count));
          else step(at + count);
        });
      };
      if (length === 0) resolve(out);
      else step(0);
    });
  }

  readNow(position: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = readSync(this.#fd, out, at, length - at, position + at);
      if (count === 0) return out.subarray(0, at);
      at += count;
    }
    return out;
  }

  write(position: number, ...parts: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (left: readonly Uint8Array[], at: number): void => {
        writev(this.#fd, left.length > MAX_PARTS ? left.slice(0, MAX_PARTS) : left, at, (error, count) => {
          if (error !== null) return reject(error);
          const rest = after(left, count);
          // A short write is mostly a full disk that has not said so yet: the next call does.
          if (rest.length === 0) resolve();
          else step(rest, at + count);
        });
      };
      step(parts, position);
    });
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error))));
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) =>
      fstat(this.#fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error))),
    );
  }

  close(): Promise<void> {
    // Twice would close whatever file has the number by then.
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve, reject) => close(this.#fd, (error) => (error == null ? resolve() : reject(error))));
  }
}

/** What is left of `parts` behind the first `count` octets. */
function after(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (skip >= part.length) skip -= part.length;
    else {
      rest.push(skip === 0 ? part : part.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  update: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

/** The machine's own file system. Files are made with mode 0644 and directories with 0755: a log is public. */
export function createFileSystem(): FileSystem {
  const openFd = (path: string, flags: number): Promise<number> =>
    new Promise((resolve, reject) => open(path, flags, 0o644, (error, fd) => (error === null ? resolve(fd) : reject(error))));
  return {
    open: async (path, mode) => new NodeFile(await openFd(path, FLAGS[mode])),
    async readFile(path) {
      let fd;
      try {
        fd = await openFd(path, constants.O_RDONLY);
      } catch (error) {
        if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
        throw error;
      }
      const file = new NodeFile(fd);
      try {
        return await file.read(0, await file.size());
      } finally {
        await file.close();
      }
    },
    rename: (from, to) =>
      new Promise((resolve, reject) => rename(from, to, (error) => (error === null ? resolve() : reject(error)))),
    remove: (path) =>
      new Promise((resolve, reject) => rm(path, { force: true }, (error) => (error === null ? resolve() : reject(error)))),
    makeDirectory: (path) =>
      new Promise((resolve, reject) => mkdir(path, { recursive: true }, (error) => (error === null ? resolve() : reject(error)))),
    list: (path) =>
      new Promise((resolve, reject) =>
        readdir(path, (error, names) => {
          if (error === null) resolve(names.toSorted());
          else if (systemCode(error) === "ENOENT") resolve([]);
          else reject(error);
        }),
      ),
    async syncDirectory(path) {
      const fd = await openFd(path, constants.O_RDONLY);
      try {
        await new Promise<void>((resolve, reject) => fsync(fd, (error) => (error === null ? resolve() : reject(error))));
      } finally {
        closeSync(fd);
      }
    },
  };
}
