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
import { fileURLToPath } from "node:url";
import type { Fetch } from "@lacre/core/client";
import { CliError, fileError } from "./errors.ts";
import { digestOf, writeWhole } from "./home.ts";
import { openTufClient, type Source } from "./tuf/client.ts";
import { ExpiredError } from "./tuf/documents.ts";

export interface MirrorOptions {
  readonly url: string;
  readonly folder: string;
  /** `sha256:` and hexadecimal of the pinned root. */
  readonly rootDigest: string;
  readonly isOffline: boolean;
  readonly timeoutMs?: number;
  /** How to ask; default the platform's. */
  readonly fetch?: Fetch | undefined;
}

/** The octets of an answer, at most `limit` and one more: what is longer is seen to be, and not read. */
async function readLimited(answer: Response, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
    length += part.length;
    parts.push(part);
    if (length > limit) throw new CliError("MIRROR_REFUSED", `${answer.url} is longer than ${limit} octets`);
  }
  return Buffer.concat(parts);
}

/** Reads from an http(s) repository, or from a folder by a file: address. */
function createSource(options: MirrorOptions): Source {
  const { folder, isOffline, timeoutMs = 30_000 } = options;
  const base = options.url.replace(/\/+$/, "");
  const ask = options.fetch ?? ((url, init) => fetch(url, init));

  async function read(path: string, limit: number): Promise<Uint8Array | undefined> {
    const url = `${base}/${path}`;
    if (url.startsWith("file:")) {
      const bytes = await readFile(fileURLToPath(url)).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOENT") return undefined;
        throw fileError("FILE_UNREADABLE", url, cause);
      });
      if (bytes !== undefined && bytes.length > limit)
        throw new CliError("MIRROR_REFUSED", `${url} is longer than ${limit} octets`);
      return bytes;
    }
    let answer: Response;
    try {
      answer = (await ask(url, { redirect: "manual", signal: AbortSignal.timeout(timeoutMs) })) as unknown as Response;
      if (answer.status === 404 || answer.status === 403) {
        await answer.body?.cancel();
        return undefined;
      }
      if (!answer.ok || answer.body === null) {
        await answer.body?.cancel();
        throw new CliError("MIRROR_UNREACHABLE", `${url} answers with status ${answer.status}`);
      }
      return await readLimited(answer, limit);
    } catch (cause) {
      if (cause instanceof CliError) throw cause;
      const inner = (cause as { cause?: { code?: string } }).cause;
      throw new CliError("MIRROR_UNREACHABLE", `${url} cannot be read: ${inner?.code ?? (cause as Error).message}`, { cause });
    }
  }

  return {
    async metadata(name, limit) {
      if (ROOT_NAME.test(name)) {
        const kept = await readFile(join(folder, "roots", name)).catch(() => undefined);
        if (kept !== undefined) return kept;
        if (isOffline) return undefined;
      } else if (isOffline) {
        if (name === "timestamp.json") return await readFile(join(folder, "metadata", name)).catch(() => undefined);
        throw new CliError("OFFLINE", `${name} is not in the cache of ${options.url}`);
      }
      return read(name, limit);
    },
    async target(path, limit) {
      if (isOffline) throw new CliError("OFFLINE", `${basename(path)} is not in the cache of ${options.url}`);
      const bytes = await read(`targets/${path}`, limit);
      if (bytes === undefined) throw new CliError("MIRROR_UNREACHABLE", `${base}/targets/${path} is not there`);
      return bytes;
    },
  };
}

const ROOT_NAME = /^\d+\.root\.json$/;

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
    const client = await openTufClient({
      metadataDir,
      source: createSource(options),
      // Kept only now that it has been verified: what a repository merely served must not bar the way later.
      onRoot: (version, bytes) => writeWhole(join(folder, "roots", `${version}.root.json`), bytes),
    });
    await client.refresh();
    const found: (Uint8Array | undefined)[] = [];
    for (const name of names) {
      const facts = await client.findTarget(name);
      found.push(facts === undefined ? undefined : (await client.downloadTarget(facts, join(folder, "targets"))).bytes);
    }
    return found;
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    const reason = (cause as Error).message.split("\n")[0]!.slice(0, 300);
    if (cause instanceof ExpiredError) {
      // Expired by which clock is half of the answer.
      const clock = `This machine's clock says ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC.`;
      if (options.isOffline) {
        throw new CliError("OFFLINE", `the cached trust of ${url} has expired (${reason})`, {
          cause,
          hint: `${clock} If it is right, run the command once without --offline, or give --trusted-root FILE.`,
        });
      }
      throw new CliError("MIRROR_REFUSED", `the repository at ${url} has expired (${reason})`, {
        cause,
        hint: `${clock} If it is right, the repository's operator has to renew its metadata.`,
      });
    }
    throw new CliError("MIRROR_REFUSED", `the repository at ${url} failed verification: ${reason}`, { cause });
  } finally {
    // Also of a walk that was refused: what it verified before has been seen, and nothing older is taken again.
    for (const name of ["timestamp.json", "snapshot.json", "targets.json"]) {
      await rename(join(metadataDir, name), join(folder, "metadata", name)).catch(() => undefined);
    }
    await rm(metadataDir, { recursive: true, force: true });
  }
}
