// SPDX-License-Identifier: Apache-2.0
/**
 * What each witness cosigned last of one log (I9): where the next proof starts from, and one more anchor outside the data
 * directory. A small JSON file, replaced whole and synced; lost, it costs a conflict answer each.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { fromBase64, text, toBase64 } from "@lacre/core/bytes";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { storageFailure, systemCode } from "../store/index.ts";

/** A state of the log that a witness cosigned. */
export interface Cosigned {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface WitnessMemory {
  /** By the name of the witness's key and its id. */
  get(witness: string): Cosigned | undefined;
  entries(): readonly (readonly [string, Cosigned])[];
  /** Durable on return. */
  set(changes: ReadonlyMap<string, Cosigned>): void;
}

/** A memory that lasts as long as the process. */
export function createMemory(known: Map<string, Cosigned> = new Map()): WitnessMemory {
  return {
    get: (witness) => known.get(witness),
    entries: () => [...known],
    set: (changes) => {
      for (const [witness, state] of changes) known.set(witness, state);
    },
  };
}

/** The memory in the file `path` of the log `origin`. A file that cannot be read counts as none. */
export function openMemory(path: string, origin: string): WitnessMemory {
  const known = new Map(read(path, origin));
  const memory = createMemory(known);
  return {
    ...memory,
    set(changes) {
      memory.set(changes);
      const witnesses = Object.fromEntries(
        [...known].map(([witness, { size, root }]) => [witness, { size, root: toBase64(root) }]),
      );
      write(path, `${JSON.stringify({ origin, witnesses }, null, 2)}\n`);
    },
  };
}

function read(path: string, origin: string): readonly (readonly [string, Cosigned])[] {
  try {
    const file = new JsonObject(parseJson(text(readFileSync(path)), { maxBytes: 1 << 20, maxDepth: 4 }), "witnesses");
    if (file.string("origin") !== origin) return [];
    const witnesses = file.object("witnesses");
    return witnesses.keys().map((name) => {
      const state = witnesses.object(name);
      return [name, { size: Number(state.int64("size")), root: fromBase64(state.string("root")) }] as const;
    });
  } catch (error) {
    if (error instanceof LacreError || systemCode(error) === "ENOENT") return [];
    throw storageFailure(`reading ${path}`, error);
  }
}

function write(path: string, content: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(`${path}.new`, "w", 0o644);
    try {
      writeSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw storageFailure(`writing ${path}`, cause);
  }
}
