// SPDX-License-Identifier: Apache-2.0
/**
 * A TUF repository on disk. Not trusted when read back for anything but its own history: every document can be made
 * again from the keys and the targets; what may not be lost is the chain of roots, and the versions already used.
 *
 *     <N>.root.json  <N>.targets.json  <N>.snapshot.json  timestamp.json  targets/<sha256>.<name>
 *
 * Order of writes: target files, targets, snapshot, timestamp. A client starts at timestamp.json and follows names that
 * carry versions, so a crash after any step leaves the old view complete and the new files unreferenced. Each file is
 * written beside its place, synced and renamed. A version number that a file on disk carries is never used again.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { PrivateKey } from "@lacre/core/crypto";
import { ServiceError } from "../errors.ts";
import { storageFailure } from "../store/index.ts";
import {
  createTufKey,
  type Document,
  expiry,
  sealRoot,
  sealSnapshot,
  sealTargets,
  sealTimestamp,
  sha256Hex,
  type Target,
  type TufKey,
} from "./metadata.ts";

/** How long each document is believed, in milliseconds. */
export interface Lives {
  readonly timestampMs: number;
  readonly snapshotMs: number;
  readonly targetsMs: number;
  readonly rootMs: number;
}

export interface RepositoryOptions {
  readonly dir: string;
  readonly rootKey: PrivateKey;
  readonly onlineKey: PrivateKey;
  readonly lives: Lives;
  readonly now: () => number;
}

type Role = "root" | "targets" | "snapshot" | "timestamp";
type Head = Omit<Document, "bytes">;

const PUBLIC_NAME =
  /^(?:timestamp\.json|(?:[1-9][0-9]{0,9}\.)?root\.json|[1-9][0-9]{0,9}\.(?:snapshot|targets)\.json|targets\/[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._-]{0,100})$/;
const TARGET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/;

/** The files of one repository and the versions that are current. One process writes it: the directory's lock is held. */
export class Repository {
  readonly #o: RepositoryOptions;
  readonly #rootKey: TufKey;
  readonly #onlineKey: TufKey;
  readonly #used = new Map<Role, number>();
  #root!: Head;
  #targets: Head | undefined;
  #snapshot: Head | undefined;
  #timestamp: Head | undefined;
  #listed: unknown;

  /** Opens the repository in `dir`, or starts one with root version 1. Throws ServiceError when the chain of roots is broken. */
  constructor(o: RepositoryOptions) {
    this.#o = o;
    this.#rootKey = createTufKey(o.rootKey);
    this.#onlineKey = createTufKey(o.onlineKey);
    storing(`making ${o.dir}`, () => mkdirSync(join(o.dir, "targets"), { recursive: true }));
    this.#countVersions();
    this.#openRoots();
    this.#openCurrent();
  }

  /** The version of the newest root. */
  get rootVersion(): number {
    return this.#root.version;
  }

  /** The version of the current timestamp; 0 before the first publication. */
  get timestampVersion(): number {
    return this.#timestamp?.version ?? 0;
  }

  /** Until when each current document is believed, in milliseconds since 1970. */
  get expiries(): Readonly<Partial<Record<Role, number>>> {
    const documents = { root: this.#root, targets: this.#targets, snapshot: this.#snapshot, timestamp: this.#timestamp };
    return Object.fromEntries(
      Object.entries(documents).flatMap(([role, head]) => (head === undefined ? [] : [[role, head.expiresMs]])),
    );
  }

  /** Root version 1: what a client is initialised with. */
  firstRoot(): Uint8Array {
    return readFileSync(join(this.#o.dir, "1.root.json"));
  }

  /**
   * Makes exactly these targets the current ones, and renews whatever is due. Does nothing when all is as it should be.
   * With `leap`, versions jump to the number of seconds since 1970: for a directory restored from a copy, whose versions
   * clients have already seen surpassed.
   */
  publish(targets: ReadonlyMap<string, Target>, leap = false): void {
    for (const name of targets.keys()) if (!TARGET_NAME.test(name)) throw new TypeError(`not a target name: ${name}`);
    this.#renewRoot();
    const { lives } = this.#o;
    const wanted = listing(targets);
    const changed = leap || !isDeepStrictEqual(wanted, this.#listed);
    if (changed || this.#due(this.#targets, lives.targetsMs)) {
      for (const [name, { bytes }] of targets) this.#write(`targets/${sha256Hex(bytes)}.${name}`, bytes);
      this.#targets = this.#put("targets", leap, (version, expires) =>
        sealTargets({ version, expires, targets, key: this.#onlineKey }),
      );
      this.#listed = wanted;
      this.#snapshot = undefined;
    }
    const targetsVersion = this.#targets!.version;
    if (this.#due(this.#snapshot, lives.snapshotMs)) {
      this.#snapshot = this.#put("snapshot", leap, (version, expires) =>
        sealSnapshot({ version, expires, targetsVersion, key: this.#onlineKey }),
      );
      this.#timestamp = undefined;
    }
    const snapshotVersion = this.#snapshot!.version;
    if (this.#due(this.#timestamp, lives.timestampMs)) {
      this.#timestamp = this.#put("timestamp", leap, (version, expires) =>
        sealTimestamp({ version, expires, snapshotVersion, key: this.#onlineKey }),
      );
    }
  }

  /** The file that a client asks for, by its path below the repository's URL; undefined where there is none. */
  async read(path: string): Promise<Uint8Array | undefined> {
    if (!PUBLIC_NAME.test(path)) return undefined;
    const root = /^([0-9]+)\.root\.json$/.exec(path);
    if (root !== null && Number(root[1]) > this.#root.version) return undefined;
    const name = path === "root.json" ? `${this.#root.version}.root.json` : path;
    try {
      return await readFile(join(this.#o.dir, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  #countVersions(): void {
    for (const name of readdirSync(this.#o.dir)) {
      const match = /^([1-9][0-9]{0,9})\.(root|targets|snapshot)\.json$/.exec(name);
      if (match === null) continue;
      const role = match[2] as Role;
      this.#used.set(role, Math.max(this.#used.get(role) ?? 0, Number(match[1])));
    }
  }

  #openRoots(): void {
    const newest = this.#used.get("root") ?? 0;
    for (let version = 1; version <= newest; version++) {
      const head = this.#load(`${version}.root.json`, "root");
      if (head === undefined) {
        throw new ServiceError("DIRECTORY_DAMAGED", "the chain of trust roots has a gap or an unreadable file", {
          detail: join(this.#o.dir, `${version}.root.json`),
        });
      }
      this.#root = head;
    }
    if (newest === 0) this.#sealRoot(1);
  }

  /** Takes over what is on disk. Anything missing or unreadable below the root is simply published anew. */
  #openCurrent(): void {
    const timestamp = this.#load("timestamp.json", "timestamp");
    // Without it the versions that clients have seen are unknown; seconds since 1970 are above any that was counted up.
    if (timestamp === undefined)
      return void (this.#used.size > 1 && this.#used.set("timestamp", Math.floor(this.#o.now() / 1000)));
    this.#used.set("timestamp", timestamp.version);
    const snapshot = this.#load(`${timestamp.refers}.snapshot.json`, "snapshot");
    const targets = snapshot === undefined ? undefined : this.#load(`${snapshot.refers}.targets.json`, "targets");
    if (snapshot === undefined || targets === undefined) return;
    [this.#timestamp, this.#snapshot, this.#targets] = [timestamp, snapshot, targets];
    this.#listed = targets.listed;
  }

  #load(name: string, role: Role): (Head & { refers: number; listed: unknown }) | undefined {
    try {
      const { signed } = JSON.parse(readFileSync(join(this.#o.dir, name), "utf8"));
      const head = { version: Number(signed.version), expiresMs: Date.parse(signed.expires) };
      if (signed._type !== role || !Number.isSafeInteger(head.version) || Number.isNaN(head.expiresMs)) return undefined;
      const refers = Number(signed.meta?.["snapshot.json"]?.version ?? signed.meta?.["targets.json"]?.version ?? 0);
      return { ...head, refers, listed: signed.targets };
    } catch {
      return undefined;
    }
  }

  /** Half of its life is over, or it claims a life much longer than it should have (the clock went back, or the setting was shortened). */
  #due(head: Head | undefined, lifeMs: number): boolean {
    if (head === undefined) return true;
    const left = head.expiresMs - this.#o.now();
    return left <= lifeMs / 2 || left > lifeMs * 2 + 1000;
  }

  #renewRoot(): void {
    if (this.#due(this.#root, this.#o.lives.rootMs)) this.#sealRoot(this.#root.version + 1);
  }

  #sealRoot(version: number): void {
    const expires = expiry(this.#o.now(), this.#o.lives.rootMs);
    const document = sealRoot({ version, expires, rootKey: this.#rootKey, onlineKey: this.#onlineKey });
    this.#write(`${version}.root.json`, document.bytes);
    this.#root = document;
  }

  #put(role: Exclude<Role, "root">, leap: boolean, seal: (version: number, expires: string) => Document): Head {
    const { lives, now } = this.#o;
    const version = Math.max((this.#used.get(role) ?? 0) + 1, leap ? Math.floor(now() / 1000) : 0);
    const document = seal(version, expiry(now(), lives[`${role}Ms`]));
    this.#write(role === "timestamp" ? "timestamp.json" : `${version}.${role}.json`, document.bytes);
    this.#used.set(role, version);
    return { version, expiresMs: document.expiresMs };
  }

  #write(name: string, bytes: Uint8Array): void {
    const path = join(this.#o.dir, name);
    const temporary = `${path}.new`;
    storing(`writing ${path}`, () => {
      const file = openSync(temporary, "w", 0o644);
      try {
        for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    });
  }
}

/** Runs a file operation; a failure becomes the ServiceError that says what to do. */
function storing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw storageFailure(what, cause);
  }
}

function listing(targets: ReadonlyMap<string, Target>): unknown {
  const out: Record<string, unknown> = {};
  for (const [name, { bytes, custom }] of targets) {
    out[name] = { length: bytes.length, hashes: { sha256: sha256Hex(bytes) }, ...(custom === undefined ? {} : { custom }) };
  }
  return out;
}
