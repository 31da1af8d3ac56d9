// SPDX-License-Identifier: Apache-2.0
/**
 * The packer: beside each full bundle that is sealed, the same as gzip, for web servers that hand out what is compressed
 * already. Nine parts in ten of a bundle are certificates that resemble one another.
 *
 * Nothing waits for it. It works while the log is idle, one bundle at a time, in the order of the log; under load it falls
 * behind, and catches up. Unlike tiles, a packed bundle is synced before it gets its name: nobody compares it with
 * anything at a start, and a web server would hand out whatever a loss of power left of it.
 */
import { gzip } from "node:zlib";
import { promisify } from "node:util";
import { join } from "node:path";
import { TILE_WIDTH, tilePath } from "@lacre/core/merkle";
import type { Log, Logger } from "../engine/index.ts";
import { systemCode, type FileSystem } from "../store/index.ts";

const compress = promisify(gzip);
const LOOK_EVERY_MS = 1000;
const LEVEL = 6;

export interface PackerOptions {
  readonly fs: FileSystem;
  /** The log's directory. */
  readonly dir: string;
  readonly bundles: "entries" | "data";
  readonly log: Pick<Log, "health">;
  readonly logger?: Logger | undefined;
}

export interface Packer {
  /** A packed bundle; undefined where there is none yet. */
  read(index: number): Promise<Uint8Array | undefined>;
  /** Packs what is sealed and not packed, while the log is idle. */
  work(): Promise<void>;
  /** Ends when the bundle at hand is done. */
  close(): Promise<void>;
}

/** A packer that looks for work every second. */
export function createPacker({ fs, dir, bundles, log, logger }: PackerOptions): Packer {
  /** Bundles below are packed. */
  let next: number | undefined;
  let working: Promise<void> | undefined;
  let closed = false;
  const plain = (index: number): string => join(dir, "tile", tilePath({ level: bundles, index, width: TILE_WIDTH }));

  async function exists(path: string): Promise<boolean> {
    try {
      await (await fs.open(path, "read")).close();
      return true;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return false;
      throw error;
    }
  }

  /** The first bundle that is not packed: they are packed in order, so halving finds it. */
  async function findNext(end: number): Promise<number> {
    let from = 0;
    let to = end;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (await exists(`${plain(middle)}.gz`)) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  async function pack(index: number): Promise<void> {
    const path = plain(index);
    const bytes = await fs.readFile(path);
    if (bytes === undefined) throw new Error(`${path} is missing`);
    const small = await compress(bytes, { level: LEVEL });
    const beside = `${path}.gz.tmp`;
    await fs.remove(beside);
    const file = await fs.open(beside, "create");
    try {
      await file.write(0, new Uint8Array(small));
      await file.datasync();
    } finally {
      await file.close();
    }
    await fs.rename(beside, `${path}.gz`);
  }

  async function workOn(): Promise<void> {
    for (;;) {
      const { status, waiting, committed, published, sealed } = log.health();
      const end = sealed / TILE_WIDTH;
      if (closed || status !== "serving" || waiting > 0 || committed !== published || (next ?? 0) >= end) return;
      next ??= await findNext(end);
      if (next < end) await pack(next++);
    }
  }

  function work(): Promise<void> {
    working ??= workOn()
      .catch((error: unknown) => {
        // A full disk, say. It is tried again; nothing depends on it.
        next = undefined;
        logger?.warn({ err: error }, "a bundle could not be packed");
      })
      .finally(() => (working = undefined));
    return working;
  }

  const timer = setInterval(() => void work(), LOOK_EVERY_MS).unref();
  return {
    read: (index) => fs.readFile(`${plain(index)}.gz`),
    work,
    async close() {
      closed = true;
      clearInterval(timer);
      await working;
    },
  };
}
