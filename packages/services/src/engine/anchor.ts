// SPDX-License-Identifier: Apache-2.0
/**
 * The anchor: what was last published, kept outside the log's directory, so that yesterday's copy of the directory put
 * back is noticed before it signs a second history.
 *
 * Order: a frame is durable, then the anchor is, then the checkpoint is shown and receipts leave. So after any crash the
 * anchor is at or behind the journal (an honest start never refuses) and at or beyond everything anybody was shown (a
 * restored directory always does).
 *
 * Beside the file is a lock: of two copies of one directory, only one is served at a time.
 *
 * The file holds two slots of 4,096 octets, written in turn and synced, so that a torn write leaves the other one. A
 * slot is text: `lacre anchor 1`, origin, counter, size, root in base64, SHA-256 over the lines before in hexadecimal,
 * then spaces. The slot with the larger counter counts.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { fromBase64, text, toBase64, utf8 } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";
import {
  createFileLock,
  createFileSystem,
  ensureDirectory,
  storageFailure,
  type FileSystem,
  type OpenFile,
  type Release,
} from "../store/index.ts";

/** A size that was published and the root at that size. */
export interface Anchored {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface Anchor {
  /** Keeps every other process from publishing under this anchor, until `close`. Throws DIRECTORY_LOCKED. */
  hold(): void;
  /** What was recorded last; undefined when nothing was, or nothing that can be read. */
  read(): Promise<Anchored | undefined>;
  /** Durable on return. STORE_FAILED or DISK_FULL. */
  write(state: Anchored): Promise<void>;
  close(): Promise<void>;
}

const SLOT = 4096;

/** An anchor that lasts as long as its `place`: for tests, and for logs that are thrown away. */
export function createMemoryAnchor(place: { state?: Anchored | undefined } = {}): Anchor {
  return {
    hold: () => {},
    read: async () => place.state,
    write: async (state) => void (place.state = state),
    close: async () => {},
  };
}

interface Slot extends Anchored {
  readonly counter: number;
}

function encodeSlot(origin: string, { counter, size, root }: Slot): Uint8Array {
  const lines = `lacre anchor 1\n${origin}\n${counter}\n${size}\n${toBase64(root)}\n`;
  return utf8(`${lines}${createHash("sha256").update(lines).digest("hex")}\n`.padEnd(SLOT - 1, " ") + "\n");
}

function decodeSlot(origin: string, bytes: Uint8Array): Slot | undefined {
  let content;
  try {
    content = text(bytes).trimEnd();
  } catch {
    return undefined;
  }
  const end = content.lastIndexOf("\n") + 1;
  const lines = content.slice(0, end);
  const [head, name, counter, size, root] = lines.split("\n");
  if (head !== "lacre anchor 1" || name !== origin || createHash("sha256").update(lines).digest("hex") !== content.slice(end))
    return undefined;
  return { counter: Number(counter), size: Number(size), root: fromBase64(root!) };
}

/** An anchor in the file `path`, whose directory is made when needed. On other files than the machine's it has no lock. */
export function createFileAnchor(path: string, origin: string, given?: FileSystem): Anchor {
  const fs = given ?? createFileSystem();
  let release: Release | undefined;
  let file: OpenFile | undefined;
  let latest: Slot | undefined;
  const slots = async (): Promise<(Slot | undefined)[]> => {
    const bytes = await fs.readFile(path);
    return bytes === undefined
      ? []
      : [decodeSlot(origin, bytes.subarray(0, SLOT)), decodeSlot(origin, bytes.subarray(SLOT, 2 * SLOT))];
  };
  return {
    hold() {
      if (given !== undefined) return;
      try {
        release = createFileLock(`${path}.lock`).acquire();
      } catch (cause) {
        if (!(cause instanceof ServiceError) || cause.code !== "DIRECTORY_LOCKED") throw cause;
        throw new ServiceError("DIRECTORY_LOCKED", undefined, {
          detail: `${origin} is served from another copy of this directory: ${cause.detail}`,
          cause,
        });
      }
    },
    async read() {
      const [first, second] = await slots();
      latest = first === undefined || (second !== undefined && second.counter > first.counter) ? second : first;
      return latest;
    },
    async write({ size, root }) {
      const counter = (latest?.counter ?? 0) + 1;
      const slot = encodeSlot(origin, { counter, size, root });
      try {
        if (file === undefined && latest !== undefined) file = await fs.open(path, "update");
        if (file === undefined) {
          // The first: the whole file beside its name, then renamed.
          await ensureDirectory(fs, dirname(path));
          await fs.remove(`${path}.tmp`);
          file = await fs.open(`${path}.tmp`, "create");
          await file.write(0, slot, slot);
          await file.datasync();
          await fs.rename(`${path}.tmp`, path);
          await fs.syncDirectory(dirname(path));
        } else {
          await file.write((counter % 2) * SLOT, slot);
          await file.datasync();
        }
      } catch (cause) {
        if (latest === undefined) {
          await file?.close();
          file = undefined;
        }
        throw storageFailure(`writing ${path}`, cause);
      }
      latest = { counter, size, root };
    },
    async close() {
      await file?.close();
      file = undefined;
      release?.();
    },
  };
}
