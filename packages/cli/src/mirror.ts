// SPDX-License-Identifier: Apache-2.0
/**
 * An installation's TUF repository, read through a cache that is never believed.
 *
 * Every use starts again from the pinned root (the file given to `lacre initialize`, compared with the remembered digest)
 * and walks forward: newer roots from the cache or the repository, each signed by the one before; then timestamp,
 * snapshot, targets; then the target by length and hash. So a tampered cache fails like a tampered repository. Offline,
 * the cache is all there is: nothing is asked, and metadata that has expired meanwhile is refused.
 *
 *     <folder>/pinned.root.json     what was given
 *     <folder>/roots/N.root.json    newer roots, kept so that the walk needs no network
 *     <folder>/metadata/            the walk's current state
 *     <folder>/targets/             downloaded targets
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { BaseFetcher, Updater } from "tuf-js";
import { DownloadHTTPError, RepositoryError } from "tuf-js/dist/error.js";
import { CliError, fileError } from "./errors.ts";
import { digestOf, writeWhole } from "./home.ts";

export interface MirrorOptions {
  readonly url: string;
  readonly folder: string;
  /** `sha256:` and hexadecimal of the pinned root. */
  readonly rootDigest: string;
  readonly isOffline: boolean;
  readonly timeoutMs?: number;
}

const ROOT_NAME = /^\d+\.root\.json$/;
const MAX_ROOT_BYTES = 512_000;

class Fetcher extends BaseFetcher {
  readonly #options: MirrorOptions;

  constructor(options: MirrorOptions) {
    super();
    this.#options = options;
  }

  override async fetch(url: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const { folder, isOffline, timeoutMs = 30_000 } = this.#options;
    const name = basename(new URL(url).pathname);
    const isRoot = ROOT_NAME.test(name);
    if (isRoot) {
      const kept = await readFile(join(folder, "roots", name)).catch(() => undefined);
      if (kept !== undefined) return new Blob([kept]).stream();
    }
    if (isOffline) {
      if (isRoot) throw new DownloadHTTPError("offline: no newer root in the cache", 404);
      if (name === "timestamp.json") return new Blob([await readFile(join(folder, "metadata", name))]).stream();
      throw new CliError("OFFLINE", `${name} is not in the cache of ${this.#options.url}`);
    }
    let answer;
    try {
      answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
    } catch (cause) {
      const inner = (cause as { cause?: { code?: string } }).cause;
      throw new CliError("MIRROR_UNREACHABLE", `${url} cannot be read: ${inner?.code ?? (cause as Error).message}`, { cause });
    }
    if (!answer.ok || answer.body === null) {
      await answer.body?.cancel();
      if (isRoot && (answer.status === 404 || answer.status === 403)) throw new DownloadHTTPError(`status ${answer.status}`, 404);
      throw new CliError("MIRROR_UNREACHABLE", `${url} answers with status ${answer.status}`);
    }
    if (!isRoot) return answer.body;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length <= MAX_ROOT_BYTES) await writeWhole(join(folder, "roots", name), bytes);
    return new Blob([bytes]).stream();
  }
}

/** Lays out the cache folder around a pinned root, replacing what an earlier initialisation left. */
export async function createMirror(folder: string, pinnedRoot: Uint8Array): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const part of ["roots", "metadata", "targets"]) await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
  await writeWhole(join(folder, "pinned.root.json"), pinnedRoot);
}

/** Walks that were killed leave their folder; after an hour nobody is in it. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const facts = name.startsWith("walk-") ? await stat(path).catch(() => undefined) : undefined;
    if (facts !== undefined && Date.now() - facts.mtimeMs > 3_600_000) await rm(path, { recursive: true, force: true });
  }
}

/**
 * The named targets, verified. A target that the repository does not list is undefined. Throws MIRROR_REFUSED,
 * MIRROR_UNREACHABLE, OFFLINE, TRUST_CHANGED.
 */
export async function readTargets(options: MirrorOptions, names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
  const { url, folder, rootDigest } = options;
  const pinnedPath = join(folder, "pinned.root.json");
  let pinned;
  try {
    pinned = await readFile(pinnedPath);
  } catch (cause) {
    throw fileError("FILE_UNREADABLE", pinnedPath, cause);
  }
  if (digestOf(pinned) !== rootDigest)
    throw new CliError("TRUST_CHANGED", `the pinned root of ${url} is not the one that was remembered`);
  await removeAbandoned(folder);
  // Each walk has a copy of the metadata of its own, so that two commands at a time do not see each other's half.
  const metadataDir = await mkdtemp(join(folder, "walk-"));
  try {
    for (const name of ["timestamp.json", "snapshot.json", "targets.json"]) {
      const bytes = await readFile(join(folder, "metadata", name)).catch(() => undefined);
      if (bytes !== undefined) await writeWhole(join(metadataDir, name), bytes);
    }
    await writeWhole(join(metadataDir, "root.json"), pinned);
    const base = url.replace(/\/+$/, "");
    const targetDir = join(folder, "targets");
    const updater = new Updater({
      metadataDir,
      metadataBaseUrl: base,
      targetDir,
      targetBaseUrl: `${base}/targets`,
      fetcher: new Fetcher(options),
    });
    await updater.refresh();
    for (const name of ["timestamp.json", "snapshot.json", "targets.json"]) {
      await rename(join(metadataDir, name), join(folder, "metadata", name)).catch(() => undefined);
    }
    const found: (Uint8Array | undefined)[] = [];
    for (const name of names) {
      const info = await updater.getTargetInfo(name);
      if (info === undefined) {
        found.push(undefined);
        continue;
      }
      const path = (await updater.findCachedTarget(info)) ?? (await updater.downloadTarget(info));
      found.push(await readFile(path));
    }
    return found;
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    const reason = (cause as Error).message.split("\n")[0]!.slice(0, 300);
    // The updater wraps what the fetcher throws in text for some roles; the words are all that is left of it.
    if (reason.includes("CliError"))
      throw new CliError(options.isOffline ? "OFFLINE" : "MIRROR_UNREACHABLE", reason.replace(/^.*CliError: /, ""), { cause });
    if (cause instanceof RepositoryError && cause.constructor.name === "ExpiredMetadataError" && options.isOffline) {
      throw new CliError("OFFLINE", `the cached trust of ${url} has expired (${reason})`, {
        cause,
        hint: "Run the command once without --offline, or give --trusted-root FILE.",
      });
    }
    throw new CliError("MIRROR_REFUSED", `the repository at ${url} failed verification: ${reason}`, { cause });
  } finally {
    await rm(metadataDir, { recursive: true, force: true });
  }
}
