// SPDX-License-Identifier: Apache-2.0
/**
 * `Lock`: one holder at a time, on this machine. It keeps a second process from wasting work on a log, and names the
 * first; that two can never both commit is the commit store's affair.
 *
 * The file lock is SQLite's: an exclusive transaction on an empty database holds a POSIX record lock, which the kernel
 * gives up the moment the process ends, however it ends. So there is nothing to clean up after kill −9, no process id to
 * be mistaken for another, and no gap between two starters. Two rules follow. The lock file is never opened in any other
 * way (closing such a descriptor would drop the lock), and the file beside it, which names the holder, is information
 * only.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ServiceError } from "../errors.ts";
import { storageFailure } from "./filesystem.ts";

/** Gives the lock back. Further calls do nothing. */
export type Release = () => void;

export interface Lock {
  /** Takes the lock, or throws DIRECTORY_LOCKED whose `detail` names the holder as far as it is known. Never waits. */
  acquire(): Release;
}

const BUSY = 5;
/**
 * Databases whose locks are held. The lock is the process's, so what keeps it from being collected (which would close the
 * database and give the lock away) is the process's too, whoever forgets the function that releases it.
 */
const held = new Set<DatabaseSync>();

/** A lock on the file `path`; `path`.holder says in words who holds it. */
export function createFileLock(path: string): Lock {
  const holderPath = `${path}.holder`;
  return {
    acquire() {
      let database: DatabaseSync;
      try {
        mkdirSync(dirname(path), { recursive: true });
        database = new DatabaseSync(path);
      } catch (cause) {
        const code = (cause as { errcode?: number }).errcode;
        if (code === 14 || code === 8)
          throw new ServiceError("DIRECTORY_UNWRITABLE", undefined, { detail: `${path} cannot be opened for writing`, cause });
        throw storageFailure(`making ${path}`, cause);
      }
      try {
        database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      } catch (cause) {
        database.close();
        if ((cause as { errcode?: number }).errcode === BUSY) {
          throw new ServiceError("DIRECTORY_LOCKED", undefined, {
            detail: `${dirname(path)} is in use by ${holder(holderPath)}`,
            cause,
          });
        }
        throw new ServiceError("DIRECTORY_UNWRITABLE", undefined, {
          detail: `${path} cannot be locked: ${(cause as Error).message}`,
          cause,
        });
      }
      try {
        writeFileSync(holderPath, `process ${process.pid}\n`);
      } catch (cause) {
        database.close();
        throw storageFailure(`writing ${holderPath}`, cause);
      }
      held.add(database);
      return () => {
        if (held.delete(database)) database.close();
      };
    },
  };
}

/** Who wrote the holder file. Between another's lock and its note the file may still name the one before: say less then. */
function holder(path: string): string {
  let id;
  try {
    id = Number(/^process (\d+)\n$/.exec(readFileSync(path, "utf8"))?.[1]);
    process.kill(id, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return "another process";
  }
  return Number.isInteger(id) ? `process ${id}` : "another process";
}

/** A lock within this process: all that are made over one `place` exclude one another. */
export function createMemoryLock(place: { held: boolean } = { held: false }): Lock {
  return {
    acquire() {
      if (place.held) throw new ServiceError("DIRECTORY_LOCKED", undefined, { detail: "held within this process" });
      place.held = true;
      let held = true;
      return () => {
        if (held) place.held = false;
        held = false;
      };
    },
  };
}
