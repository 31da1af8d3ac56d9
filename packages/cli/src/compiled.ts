// SPDX-License-Identifier: Apache-2.0
/**
 * The compiled form of our own modules, kept in the user's cache folder between runs: Node's compile cache.
 *
 * What is found there is run, so the folder must be the user's own: never one below a shared `/tmp` (Node's default), nor
 * another user's (`sudo` that keeps HOME). It can be removed at any time. NODE_DISABLE_COMPILE_CACHE=1 does without.
 */
import { lstatSync, mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Keeps what is compiled from here on. A home that cannot be written to costs time and nothing else. */
export function keepCompiled(): void {
  const { env, platform } = process;
  if ((env["NODE_COMPILE_CACHE"] ?? "") !== "" || (env["NODE_DISABLE_COMPILE_CACHE"] ?? "") !== "") return;
  try {
    const given = platform === "win32" ? env["LOCALAPPDATA"] : env["XDG_CACHE_HOME"];
    const base =
      given !== undefined && isAbsolute(given) ? given : join(homedir(), platform === "darwin" ? "Library/Caches" : ".cache");
    const folder = join(base, "lacre", "compiled");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(folder);
    const isOwn = platform === "win32" || (uid === process.geteuid!() && (mode & 0o022) === 0);
    if (isOwn) enableCompileCache(folder);
  } catch {
    // As said.
  }
}
