// SPDX-License-Identifier: Apache-2.0
/**
 * Who we are to a registry: the flags, or else Docker's configuration (`DOCKER_CONFIG`, `~/.docker/config.json`), or else
 * podman's (`REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`), as cosign looks. The first file that exists
 * counts. Within it a helper of the registry counts before the store of all, and that before what is written down.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { LacreError } from "@lacre/core/errors";
import type { RegistryCredential } from "@lacre/core/oci";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";
import { decodeDockerConfig, DOCKER_HUB, DOCKER_HUB_KEY, type DockerConfig } from "./config.ts";

/** Docker's configuration file: where credentials are written to. */
export function dockerConfigPath(context: Context): string {
  const named = context.env["DOCKER_CONFIG"] ?? "";
  return named === "" ? join(homeOf(context), ".docker", "config.json") : join(resolve(context.cwd, named), "config.json");
}

function homeOf(context: Context): string {
  const home = context.env["HOME"] ?? "";
  return home === "" ? homedir() : home;
}

function candidates(context: Context): readonly string[] {
  const { env, cwd } = context;
  const paths = [dockerConfigPath(context)];
  const authFile = env["REGISTRY_AUTH_FILE"] ?? "";
  if (authFile !== "") paths.push(resolve(cwd, authFile));
  const runtime = env["XDG_RUNTIME_DIR"] ?? "";
  if (runtime !== "") paths.push(join(runtime, "containers", "auth.json"));
  return paths;
}

/** Reads the first of the files that is there. Throws CREDENTIALS_UNREADABLE. */
async function readConfig(context: Context): Promise<DockerConfig | undefined> {
  for (const path of candidates(context)) {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") continue;
      throw new CliError("CREDENTIALS_UNREADABLE", `cannot read ${plain(path)}: ${code ?? "unknown reason"}`, { cause });
    }
    try {
      return decodeDockerConfig(bytes);
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      throw new CliError("CREDENTIALS_UNREADABLE", `${plain(path)} is no configuration of Docker: ${cause.message}`, { cause });
    }
  }
  return undefined;
}

/** The key that files and helpers know a registry by. */
export function helperKey(registry: string): string {
  return registry === DOCKER_HUB ? DOCKER_HUB_KEY : registry;
}

/** The credentials of registries by the user's files. Each file is read once, and helpers run when a registry is spoken to. */
export function fileCredentials(context: Context): (registry: string) => Promise<RegistryCredential | undefined> {
  let config: Promise<DockerConfig | undefined> | undefined;
  return async (registry) => {
    config ??= readConfig(context);
    const known = await config;
    if (known === undefined) return undefined;
    const helper = known.helpers.get(registry) ?? known.store;
    if (helper !== undefined) {
      const { askHelper } = await import("./helper.ts");
      const kept = await askHelper(context.env, helper, helperKey(registry));
      if (kept !== undefined) return kept;
    }
    return known.auths.get(registry);
  };
}
