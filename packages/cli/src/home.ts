// SPDX-License-Identifier: Apache-2.0
/**
 * What lacre remembers for this user: the installations, and which one is meant when nothing says otherwise.
 *
 * `installations.json` in the user's configuration folder (mode 0600, replaced by rename, so that a crash leaves the old
 * or the new file) holds a list and the name of the current one. Two kinds:
 * - `directory`: an installation on this machine, remembered by `lacre up`, by absolute path and the SHA-256 of its
 *   `trust/root.json`. Another root at the same path is another installation: it is refused, not followed.
 * - `mirror`: remembered by `lacre initialize`, its metadata and targets cached in the user's data folder and verified
 *   again against the pinned root at every use.
 * What `up` remembers becomes current only if nothing else was chosen: a development server must not replace the trust
 * of an installation that the user has initialised on purpose.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import envPaths from "env-paths";
import { CliError, fileError } from "./errors.ts";

export type Installation =
  | { readonly kind: "directory"; readonly path: string; readonly rootDigest: string; readonly name?: string }
  | {
      readonly kind: "mirror";
      readonly mirror: string;
      readonly path: string;
      readonly rootDigest: string;
      /** What its user calls it. */
      readonly name?: string;
    };

interface Memory {
  readonly version: 1;
  readonly current: string | undefined;
  readonly installations: readonly Installation[];
}

/** The folders of this user. */
export interface Home {
  readonly config: string;
  readonly data: string;
}

/**
 * The user's folders by the platform's custom (XDG on Linux). cosign's `TUF_ROOT` names another place for what is
 * remembered, for those who hand their environment over.
 */
export function findHome(env: Readonly<Record<string, string | undefined>> = {}): Home {
  const moved = env["TUF_ROOT"] ?? "";
  if (moved !== "") return { config: join(resolve(moved), "lacre"), data: join(resolve(moved), "lacre") };
  const paths = envPaths("lacre", { suffix: "" });
  return { config: paths.config, data: paths.data };
}

/** What tells installations apart: the address, or the path. */
export function placeOf(installation: Installation): string {
  return installation.kind === "mirror" ? installation.mirror : installation.path;
}

/** `sha256:` and hexadecimal of bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function readMemory(home: Home): Promise<Memory> {
  const path = join(home.config, "installations.json");
  let bytes;
  try {
    bytes = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return { version: 1, current: undefined, installations: [] };
    throw fileError("FILE_UNREADABLE", path, cause);
  }
  try {
    const memory = JSON.parse(bytes) as Memory;
    if (memory?.version === 1 && Array.isArray(memory.installations)) return memory;
  } catch {
    // Falls through: the file is not ours any more.
  }
  throw new CliError("FILE_UNREADABLE", `${path} is damaged`, { hint: `Remove it and run lacre initialize or lacre up again.` });
}

/** Writes a file whole or not at all. What is no regular file (/dev/stdout, a pipe) is written to, not replaced. */
export async function writeWhole(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const present = await stat(path).catch(() => undefined);
  if (present !== undefined && !present.isFile()) {
    await writeFile(path, content).catch((cause: unknown) => {
      throw fileError("FILE_UNWRITABLE", path, cause);
    });
    return;
  }
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(draft, content, { mode });
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw fileError("FILE_UNWRITABLE", path, cause);
  }
}

/** Remembers an installation; says whether it is the current one now. */
export async function remember(
  home: Home,
  installation: Installation,
  { current }: { readonly current: "always" | "if-free" },
): Promise<boolean> {
  const memory = await readMemory(home);
  const name = placeOf(installation);
  const others = memory.installations.filter((one) => placeOf(one) !== name);
  const chosen = memory.installations.find((one) => placeOf(one) === memory.current);
  const isFree = chosen === undefined || (chosen.kind === "directory" && !existsSync(chosen.path)) || chosen.kind === "directory";
  const isCurrent = current === "always" || isFree || memory.current === name;
  const twin = others.find((one) => installation.name !== undefined && one.name === installation.name);
  if (twin !== undefined) {
    throw new CliError("USAGE", `another installation is called ${installation.name!}: ${placeOf(twin)}`, {
      hint: "Choose another --name, or forget that one: lacre trust remove.",
    });
  }
  await writeMemory(home, { version: 1, current: isCurrent ? name : memory.current, installations: [...others, installation] });
  return isCurrent;
}

/** The installation that is meant when nothing says otherwise. */
export async function recall(home: Home): Promise<Installation | undefined> {
  const memory = await readMemory(home);
  return memory.installations.find((one) => placeOf(one) === memory.current);
}

/** Every remembered installation. */
export async function recallAll(home: Home): Promise<readonly Installation[]> {
  return (await readMemory(home)).installations;
}

/** The installation that a name, an address or a path means. Throws TRUST_MISSING for none. */
export async function recallNamed(home: Home, name: string): Promise<Installation> {
  const { installations } = await readMemory(home);
  const bare = name.replace(/\/+$/, "");
  const found =
    installations.find((one) => one.name === name) ?? installations.find((one) => [bare, resolve(name)].includes(placeOf(one)));
  if (found !== undefined) return found;
  throw new CliError("TRUST_MISSING", `no installation called ${JSON.stringify(name.slice(0, 80))} is remembered`, {
    hint: "lacre trust list shows those that are.",
  });
}

/** Makes a remembered installation the one that is meant when nothing says otherwise. */
export async function choose(home: Home, installation: Installation): Promise<void> {
  const memory = await readMemory(home);
  await writeMemory(home, { ...memory, current: placeOf(installation) });
}

/** Forgets an installation and what was cached of it. Its data directory, if it is on this machine, is not touched. */
export async function forget(home: Home, installation: Installation): Promise<void> {
  const memory = await readMemory(home);
  const place = placeOf(installation);
  await writeMemory(home, {
    version: 1,
    current: memory.current === place ? undefined : memory.current,
    installations: memory.installations.filter((one) => placeOf(one) !== place),
  });
  if (installation.kind === "mirror") await rm(installation.path, { recursive: true, force: true });
}

async function writeMemory(home: Home, memory: Memory): Promise<void> {
  await mkdir(home.config, { recursive: true, mode: 0o700 });
  await writeWhole(join(home.config, "installations.json"), `${JSON.stringify(memory, null, 2)}\n`);
}

/** Where an initialised mirror's metadata and targets are cached. */
export function mirrorFolder(home: Home, mirror: string): string {
  return join(home.data, "installations", createHash("sha256").update(mirror).digest("hex").slice(0, 16));
}

/** The trust folder of a data directory. */
export function trustFolder(directory: string): string {
  return join(resolve(directory), "trust");
}
