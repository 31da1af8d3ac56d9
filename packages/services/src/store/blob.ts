// SPDX-License-Identifier: Apache-2.0
/**
 * `BlobStore`: what a log shows the world. Named byte strings, most of which never change.
 *
 * Contract (suite in `contract.ts`):
 * - a blob is seen whole or not at all, at once when `put` returns;
 * - `putImmutable` of the same bytes again succeeds and changes nothing;
 * - a blob may be lost with the power until `flush` of its name has returned. Object stores flush as they put;
 * - what fails is a ServiceError: DISK_FULL may be tried again, a failed `flush` may not.
 *
 * Names are paths of lower-case letters, digits, `.`, `_` and `-`, so that a web server can serve the directory as it is.
 */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { concat, equalBytes } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { ServiceError } from "../errors.ts";
import { storageFailure, systemCode, type FileSystem, type OpenFile } from "./filesystem.ts";

/** A blob held open: what is read is the blob as it was then, also after it was replaced or removed. */
export interface OpenBlob {
  /** Octets. */
  readonly length: number;
  /** `length` octets from `offset` on, fewer where the blob ends, while the caller waits. Throws STORE_FAILED. */
  readNow(offset: number, length: number): Uint8Array;
  close(): Promise<void>;
}

export interface BlobStore {
  /** A blob that will never have other bytes. With other bytes than before it is LOG_DAMAGED where the store can tell. */
  putImmutable(name: string, bytes: Uint8Array): Promise<void>;
  /** Replaces a blob in one step. */
  putMutable(name: string, bytes: Uint8Array): Promise<void>;
  /** As `putMutable`, for a blob that comes in parts and may be larger than memory. What fails while it comes leaves what was. */
  putParts(name: string, parts: AsyncIterable<Uint8Array>): Promise<void>;
  get(name: string): Promise<Uint8Array | undefined>;
  /** `length` octets from `offset` on, fewer where the blob ends; undefined where there is no blob. */
  read(name: string, offset: number, length: number): Promise<Uint8Array | undefined>;
  /** Holds a blob open for many small reads; undefined where there is none. */
  open(name: string): Promise<OpenBlob | undefined>;
  /** Names of all blobs below a directory, halves of interrupted writes among them. */
  list(directory: string): Promise<string[]>;
  /** Removes a blob; none is fine. Not durable: after a crash it may be back. */
  remove(name: string): Promise<void>;
  /** Makes blobs durable that were put before. STORE_FAILED is final: they may be lost. */
  flush(names: readonly string[]): Promise<void>;
}

/** Files synced at the same time. */
const SYNCS = 16;

const NAME = /^(?:[a-z0-9_-][a-z0-9._-]*\/)*[a-z0-9_-][a-z0-9._-]*$/;

function checkName(name: string): void {
  if (!NAME.test(name)) throw new TypeError(`not a blob name: ${name}`);
}

/** Blobs in a map; `places` may be shared. */
export function createMemoryBlobStore(places: Map<string, Uint8Array> = new Map()): BlobStore {
  return {
    putImmutable: async (name, bytes) => {
      checkName(name);
      const before = places.get(name);
      if (before !== undefined && !equalBytes(before, bytes))
        throw new ServiceError("LOG_DAMAGED", undefined, { detail: `${name} would change` });
      places.set(name, bytes.slice());
    },
    putMutable: async (name, bytes) => {
      checkName(name);
      places.set(name, bytes.slice());
    },
    putParts: async (name, parts) => {
      checkName(name);
      const bytes: Uint8Array[] = [];
      for await (const part of parts) bytes.push(part.slice());
      places.set(name, concat(...bytes));
    },
    get: async (name) => {
      checkName(name);
      return places.get(name);
    },
    read: async (name, offset, length) => {
      checkName(name);
      return places.get(name)?.slice(offset, offset + length);
    },
    open: async (name) => {
      checkName(name);
      const bytes = places.get(name);
      return (
        bytes && {
          length: bytes.length,
          readNow: (offset, length) => bytes.slice(offset, offset + length),
          close: async () => {},
        }
      );
    },
    list: async (inside) => {
      checkName(inside);
      return [...places.keys()].filter((name) => name.startsWith(`${inside}/`)).toSorted();
    },
    remove: async (name) => void places.delete(name),
    flush: async () => {},
  };
}

/**
 * Blobs as files below `directory`: written beside their place and renamed, not synced before `flush`. After a loss of
 * power an unflushed blob may be there, be gone, or be there with wrong bytes: whoever recovers writes it again.
 */
export function createFileBlobStore(fs: FileSystem, directory: string): BlobStore {
  // Directories known to exist; those whose own name may not be durable yet.
  const known = new Set<string>();
  const fresh = new Set<string>();
  const prepare = async (path: string): Promise<void> => {
    const missing: string[] = [];
    for (let at = path; at.length >= directory.length && !known.has(at); at = dirname(at)) missing.push(at);
    if (missing.length === 0) return;
    await fs.makeDirectory(path);
    for (const at of missing) {
      known.add(at);
      fresh.add(at);
    }
  };
  const create = async (path: string): Promise<OpenFile> => {
    await prepare(dirname(path));
    try {
      return await fs.open(path, "create");
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
      // Somebody removed the directory behind our back.
      known.clear();
      await prepare(dirname(path));
      return fs.open(path, "create");
    }
  };
  const write = async (path: string, fill: (file: OpenFile) => Promise<void>): Promise<void> => {
    const beside = `${path}.${randomBytes(4).toString("hex")}.tmp`;
    const file = await create(beside);
    try {
      await fill(file);
      await file.close();
      await fs.rename(beside, path);
    } catch (error) {
      await file.close().catch(() => {});
      await fs.remove(beside).catch(() => {});
      throw error;
    }
  };
  const putBy = async (name: string, fill: (file: OpenFile) => Promise<void>): Promise<void> => {
    checkName(name);
    try {
      await write(join(directory, name), fill);
    } catch (cause) {
      // What the giver of parts refuses is its own affair.
      throw cause instanceof ServiceError || cause instanceof LacreError ? cause : storageFailure(`writing ${name}`, cause);
    }
  };
  const openBlob = async (name: string): Promise<OpenFile | undefined> => {
    checkName(name);
    try {
      return await fs.open(join(directory, name), "read");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  };
  const put = (name: string, bytes: Uint8Array): Promise<void> => putBy(name, (file) => file.write(0, bytes));
  const flush = async (names: readonly string[]): Promise<void> => {
    const directories = new Set<string>();
    const one = async (name: string): Promise<void> => {
      const path = join(directory, name);
      const file = await fs.open(path, "read");
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
      // The name is durable with its directory; a directory we made, with the one above it.
      for (let at = dirname(path); ; at = dirname(at)) {
        directories.add(at);
        if (at.length <= directory.length || !fresh.has(at)) break;
      }
    };
    // Several at a time: file systems make many syncs durable by one write of their own journal.
    for (let at = 0; at < names.length; at += SYNCS) await Promise.all(names.slice(at, at + SYNCS).map(one));
    for (const at of directories) await fs.syncDirectory(at);
    for (const at of directories) if (at.length > directory.length) fresh.delete(at);
  };
  return {
    putImmutable: put,
    putMutable: put,
    putParts: (name, parts) =>
      putBy(name, async (file) => {
        let at = 0;
        for await (const part of parts) {
          await file.write(at, part);
          at += part.length;
        }
      }),
    get: (name) => {
      checkName(name);
      return fs.readFile(join(directory, name));
    },
    async open(name) {
      const file = await openBlob(name);
      return (
        file && {
          length: await file.size(),
          readNow(offset, length) {
            try {
              return file.readNow(offset, length);
            } catch (cause) {
              throw storageFailure(`reading ${name}`, cause);
            }
          },
          close: () => file.close(),
        }
      );
    },
    async read(name, offset, length) {
      const file = await openBlob(name);
      if (file === undefined) return undefined;
      try {
        return await file.read(offset, length);
      } finally {
        await file.close();
      }
    },
    async list(inside) {
      checkName(inside);
      const names: string[] = [];
      const walk = async (name: string): Promise<void> => {
        for (const one of await fs.list(join(directory, name))) {
          const below = await fs.list(join(directory, name, one)).catch((error: unknown) => {
            if (systemCode(error) === "ENOTDIR") return undefined;
            throw error;
          });
          if (below === undefined) names.push(`${name}/${one}`);
          else if (below.length > 0) await walk(`${name}/${one}`);
        }
      };
      await walk(inside);
      return names.toSorted();
    },
    remove: (name) => {
      checkName(name);
      return fs.remove(join(directory, name));
    },
    async flush(names) {
      try {
        await flush(names);
      } catch (cause) {
        // Even for lack of space: what the kernel could not write it may have dropped (I7).
        throw new ServiceError("STORE_FAILED", undefined, { detail: `syncing files: ${String(cause)}`, cause });
      }
    },
  };
}
