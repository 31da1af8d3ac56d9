// SPDX-License-Identifier: Apache-2.0
/**
 * The trust repository's rules: what is published, and when it is renewed.
 *
 * Renewal asks the wall clock, never the time that passed in this process: when metadata is read, and once a minute. A
 * machine that slept for a week, or whose clock jumped, answers its next reader with fresh metadata.
 */
import { Repository, type RepositoryOptions } from "./repository.ts";
import type { Target } from "./metadata.ts";

const LOOK_EVERY_MS = 60_000;

export interface TrustService {
  /** Makes exactly these targets the published ones; see Repository.publish. Throws when they cannot be written. */
  publish(targets: ReadonlyMap<string, Target>, leap?: boolean): void;
  /** A file by its path below the repository's URL, fresh at this moment; undefined where there is none. */
  read(path: string): Promise<{ readonly bytes: Uint8Array; readonly immutable: boolean } | undefined>;
  /** Root version 1: what clients are initialised with. */
  firstRoot(): Uint8Array;
  readonly rootVersion: number;
  /** Until when each current document is believed (root, targets, snapshot, timestamp), in milliseconds since 1970. */
  readonly expiries: Readonly<Record<string, number>>;
  readonly timestampVersion: number;
  /** Stops looking at the clock. */
  close(): void;
}

export interface TrustServiceOptions extends RepositoryOptions {
  /** Told when a renewal failed (disk full, say); the old metadata is served on, and the next reader tries again. */
  readonly onFailure?: (error: unknown) => void;
}

/** Opens or starts the repository. Nothing is served before the first `publish`. */
export function createTrustService(o: TrustServiceOptions): TrustService {
  const repository = new Repository(o);
  let current: ReadonlyMap<string, Target> | undefined;
  function renew(): void {
    if (current === undefined) return;
    try {
      repository.publish(current);
    } catch (error) {
      o.onFailure?.(error);
    }
  }
  const timer = setInterval(renew, LOOK_EVERY_MS).unref();
  return {
    publish(targets, leap) {
      repository.publish(targets, leap);
      current = targets;
    },
    async read(path) {
      // Target files never go stale; every walk of a client begins with a root or the timestamp.
      if (path.endsWith("root.json") || path === "timestamp.json") renew();
      const bytes = await repository.read(path);
      return bytes === undefined ? undefined : { bytes, immutable: path !== "timestamp.json" && path !== "root.json" };
    },
    firstRoot: () => repository.firstRoot(),
    get expiries() {
      return repository.expiries;
    },
    get rootVersion() {
      return repository.rootVersion;
    },
    get timestampVersion() {
      return repository.timestampVersion;
    },
    close: () => clearInterval(timer),
  };
}
