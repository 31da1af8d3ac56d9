// SPDX-License-Identifier: Apache-2.0
/**
 * A TUF client (TUF specification 1.0, section 5): from a trusted root to a verified target.
 *
 *     5.3  newer roots, one after the other, each signed by the one before and by itself
 *     5.4  timestamp   never older than the one we have, nor naming an older snapshot
 *     5.5  snapshot    as the timestamp names it; no role in it older than before
 *     5.6  targets     as the snapshot names them; delegations depth first, in order
 *     5.7  the target  by length and hash
 *
 * The documents' shape is checked by `documents.ts`, their signatures by `signatures.ts`; the order of all of it, and of
 * reading and writing, is this file's. A document is written when it has been verified and never before, whole or not at
 * all, in the bytes that were served: a crash between two steps leaves what the step before left, which is a state that
 * some earlier run has verified, and the next run goes on from there. Documents in the folder are never believed: they are
 * read through the same rules as those of the repository.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../home.ts";
import {
  delegationsOf,
  describeMismatch,
  DocumentError,
  ExpiredError,
  factsOf,
  readDocument,
  type TufDocument,
} from "./documents.ts";
import { checkSigned } from "./signatures.ts";

/** Where documents and targets come from. */
export interface Source {
  /** The octets of a document, or undefined when there is none (404, 403). Must stop reading beyond `limit`. */
  readonly metadata: (name: string, limit: number) => Promise<Uint8Array | undefined>;
  /** The octets of a target's file. Must stop reading beyond `limit`. */
  readonly target: (path: string, limit: number) => Promise<Uint8Array>;
}

export interface TufOptions {
  /** Holds `root.json` (trusted) and what was verified before. */
  readonly metadataDir: string;
  readonly source: Source;
  /** Told of every root that was verified, before it is relied on. */
  readonly onRoot?: (version: number, bytes: Uint8Array) => Promise<void>;
  readonly now?: () => number;
}

/** What the signed metadata says of a target. */
export interface TargetFacts {
  readonly path: string;
  readonly length: number;
  readonly hashes: Readonly<Record<string, string>>;
}

export interface TufClient {
  /** Steps 5.3 to 5.6 for the top-level roles. */
  refresh(): Promise<void>;
  /** What is known of a target; undefined where no role lists it. Refreshes first, if that has not been done. */
  findTarget(path: string): Promise<TargetFacts | undefined>;
  /** A target's octets, verified. `folder`: where verified targets are kept, under their quoted names. */
  downloadTarget(target: TargetFacts, folder: string): Promise<{ readonly path: string; readonly bytes: Uint8Array }>;
}

const LIMITS = { root: 512_000, timestamp: 16_384, snapshot: 2_000_000, targets: 5_000_000 };
const MAX_ROTATIONS = 256;
const MAX_DELEGATIONS = 32;
/** A target larger than this is not read into memory. */
const MAX_TARGET_BYTES = 256 << 20;

/** The file name of a role or target: one path part, whatever the name holds. Throws DocumentError for names that cannot be one. */
export function quoteName(name: string): string {
  const quoted = encodeURIComponent(name.isWellFormed() ? name : name.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  if (quoted === "" || /^\.{1,2}$/.test(quoted))
    throw new DocumentError(`${JSON.stringify(name.slice(0, 40))} is no name for a file`);
  return quoted;
}

/** Opens the folder. Throws DocumentError when its root is not signed by its own keys. */
export async function openTufClient(options: TufOptions): Promise<TufClient> {
  const { metadataDir, source } = options;
  // 5.1: one moment for the whole run.
  const startMs = (options.now ?? Date.now)();
  let root = readDocument(await readFile(join(metadataDir, "root.json")), "root", "root", LIMITS.root);
  checkSigned(root, "root", root);
  let timestamp: TufDocument | undefined;
  let snapshot: TufDocument | undefined;
  /** Every verified targets document, by role. */
  const documents = new Map<string, TufDocument>();

  const persist = (role: string, bytes: Uint8Array): Promise<void> =>
    writeWhole(join(metadataDir, `${quoteName(role)}.json`), bytes, 0o644);
  const checkFresh = (document: TufDocument, name: string): void => {
    if (startMs >= document.expiresMs) throw new ExpiredError(`${name} expired on ${new Date(document.expiresMs).toISOString()}`);
  };
  const isConsistent = (): boolean => root.signed["consistent_snapshot"] === true;
  const fetchNamed = async (name: string, limit: number): Promise<Uint8Array> => {
    const bytes = await source.metadata(name, limit);
    if (bytes === undefined) throw new DocumentError(`the repository has no ${name}`);
    if (bytes.length > limit) throw new DocumentError(`${name} is longer than ${limit} octets`);
    return bytes;
  };

  /** Takes a local document if it stands the rules; one that does not (keys have changed, it is damaged) is as good as absent. */
  async function tryLocal(role: string, take: (bytes: Uint8Array) => void): Promise<boolean> {
    try {
      take(await readFile(join(metadataDir, `${quoteName(role)}.json`)));
      return true;
    } catch {
      return false;
    }
  }

  async function updateRoots(): Promise<void> {
    const first = root.version + 1;
    for (let version = first; version < first + MAX_ROTATIONS; version++) {
      const bytes = await source.metadata(`${version}.root.json`, LIMITS.root);
      if (bytes === undefined) break;
      const next = readDocument(bytes, "root", `${version}.root`, LIMITS.root);
      checkSigned(root, "root", next);
      checkSigned(next, "root", next);
      if (next.version !== version) throw new DocumentError(`the repository serves root ${next.version} as ${version}`);
      root = next;
      await options.onRoot?.(version, bytes);
      await persist("root", bytes);
    }
    // 5.3.10: of the walk's roots only the last has to be in force.
    checkFresh(root, "the root");
  }

  /** Sets the timestamp, also an expired one: the next is compared with it. False: it is the version that we have. */
  function takeTimestamp(bytes: Uint8Array): boolean {
    const next = readDocument(bytes, "timestamp", "timestamp", LIMITS.timestamp);
    checkSigned(root, "timestamp", next);
    if (timestamp !== undefined) {
      if (next.version < timestamp.version)
        throw new DocumentError(`the timestamp went back from ${timestamp.version} to ${next.version}`);
      // Whatever else it says: the version that was seen first counts.
      if (next.version === timestamp.version) return false;
      const [before, after] = [factsOf(timestamp, "snapshot.json")!, factsOf(next, "snapshot.json")!];
      if (after.version < before.version)
        throw new DocumentError(`the snapshot went back from ${before.version} to ${after.version}`);
    }
    timestamp = next;
    return true;
  }

  async function updateTimestamp(): Promise<void> {
    await tryLocal("timestamp", takeTimestamp);
    const bytes = await fetchNamed("timestamp.json", LIMITS.timestamp);
    const isNew = takeTimestamp(bytes);
    checkFresh(timestamp!, "the timestamp");
    if (isNew) await persist("timestamp", bytes);
  }

  /** Sets the snapshot, also one that is over: the next is compared with it. What it may be used for is checked last. */
  function takeSnapshot(bytes: Uint8Array, isLocal: boolean): void {
    const facts = factsOf(timestamp!, "snapshot.json")!;
    // What is in the folder may be the one before: its hash is another, and it still says which versions were seen.
    const mismatch = isLocal ? undefined : describeMismatch(facts, bytes);
    if (mismatch !== undefined) throw new DocumentError(`the snapshot has ${mismatch}`);
    const next = readDocument(bytes, "snapshot", "snapshot", LIMITS.snapshot);
    checkSigned(root, "snapshot", next);
    for (const file of snapshot === undefined ? [] : Object.keys(snapshot.signed["meta"] as object)) {
      const [before, after] = [factsOf(snapshot!, file)!, factsOf(next, file)];
      if (after === undefined)
        throw new DocumentError(`the snapshot does not list ${JSON.stringify(file.slice(0, 60))} any more`);
      if (after.version < before.version)
        throw new DocumentError(`${JSON.stringify(file.slice(0, 60))} went back from ${before.version} to ${after.version}`);
    }
    snapshot = next;
    checkFresh(next, "the snapshot");
    if (next.version !== facts.version)
      throw new DocumentError(`the snapshot is version ${next.version}, and the timestamp names ${facts.version}`);
  }

  async function updateSnapshot(): Promise<void> {
    if (await tryLocal("snapshot", (bytes) => takeSnapshot(bytes, true))) return;
    const facts = factsOf(timestamp!, "snapshot.json")!;
    const bytes = await fetchNamed(
      isConsistent() ? `${facts.version}.snapshot.json` : "snapshot.json",
      Math.min(facts.length ?? LIMITS.snapshot, LIMITS.snapshot),
    );
    takeSnapshot(bytes, false);
    await persist("snapshot", bytes);
  }

  async function loadTargets(role: string, parent: TufDocument): Promise<TufDocument> {
    const held = documents.get(role);
    if (held !== undefined) {
      // Reached by another way: this parent's keys have to have signed it too.
      checkSigned(parent, role, held);
      return held;
    }
    const facts = factsOf(snapshot!, `${role}.json`);
    if (facts === undefined) throw new DocumentError(`the snapshot does not list ${JSON.stringify(role.slice(0, 60))}`);
    const take = (bytes: Uint8Array): void => {
      const mismatch = describeMismatch(facts, bytes);
      if (mismatch !== undefined) throw new DocumentError(`${JSON.stringify(role.slice(0, 60))} has ${mismatch}`);
      const next = readDocument(bytes, "targets", role, LIMITS.targets);
      checkSigned(parent, role, next);
      if (next.version !== facts.version)
        throw new DocumentError(
          `${JSON.stringify(role.slice(0, 60))} is version ${next.version}, and the snapshot names ${facts.version}`,
        );
      checkFresh(next, JSON.stringify(role.slice(0, 60)));
      documents.set(role, next);
    };
    if (!(await tryLocal(role, take))) {
      const name = `${isConsistent() ? `${facts.version}.` : ""}${quoteName(role)}.json`;
      const bytes = await fetchNamed(name, Math.min(facts.length ?? LIMITS.targets, LIMITS.targets));
      take(bytes);
      await persist(role, bytes);
    }
    return documents.get(role)!;
  }

  async function refresh(): Promise<void> {
    await updateRoots();
    await updateTimestamp();
    await updateSnapshot();
    await loadTargets("targets", root);
  }

  async function findTarget(path: string): Promise<TargetFacts | undefined> {
    if (!documents.has("targets")) await refresh();
    const stack: { readonly role: string; readonly parent: TufDocument }[] = [{ role: "targets", parent: root }];
    const visited = new Set<string>();
    while (stack.length > 0 && visited.size <= MAX_DELEGATIONS) {
      const { role, parent } = stack.pop()!;
      if (visited.has(role)) continue;
      const document = await loadTargets(role, parent);
      const listed = document.signed["targets"] as Readonly<Record<string, { length: number; hashes: Record<string, string> }>>;
      if (Object.hasOwn(listed, path)) return { path, length: listed[path]!.length, hashes: listed[path]!.hashes };
      visited.add(role);
      const children: { readonly role: string; readonly parent: TufDocument }[] = [];
      for (const delegation of delegationsOf(document.signed)) {
        if (!delegation.matches(path)) continue;
        children.push({ role: delegation.name, parent: document });
        if (delegation.terminating) {
          stack.length = 0;
          break;
        }
      }
      stack.push(...children.toReversed());
    }
    return undefined;
  }

  async function downloadTarget(target: TargetFacts, folder: string): Promise<{ path: string; bytes: Uint8Array }> {
    const parts = target.path.split("/");
    if (parts.some((part) => part === "" || part === "." || part === ".."))
      throw new DocumentError(`${JSON.stringify(target.path.slice(0, 60))} is no path of a target`);
    const path = join(folder, quoteName(target.path));
    const kept = await readFile(path).catch(() => undefined);
    if (kept !== undefined && describeMismatch(target, kept) === undefined) return { path, bytes: kept };
    const prefix = isConsistent() ? `${Object.values(target.hashes)[0]!}.` : "";
    const url = [...parts.slice(0, -1), `${prefix}${parts.at(-1)!}`].map((part) => quoteName(part)).join("/");
    const bytes = await source.target(url, Math.min(target.length, MAX_TARGET_BYTES));
    const mismatch = describeMismatch(target, bytes);
    if (mismatch !== undefined) throw new DocumentError(`the target ${JSON.stringify(target.path.slice(0, 60))} has ${mismatch}`);
    await mkdir(folder, { recursive: true });
    await writeWhole(path, bytes, 0o644);
    return { path, bytes };
  }

  return { refresh, findTarget, downloadTarget };
}
