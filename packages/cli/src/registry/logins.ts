// SPDX-License-Identifier: Apache-2.0
/** Keeping credentials where Docker keeps them: with its helper where one is configured, or else in `config.json`. */
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { LacreError } from "@lacre/core/errors";
import { parseRepository } from "@lacre/core/oci";
import type { Context } from "../context.ts";
import { CliError, fileError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { claimStdin } from "../stdin.ts";
import { plain } from "../terminal.ts";
import { changeDockerConfig, decodeDockerConfig, DOCKER_HUB, registryOfKey } from "./config.ts";
import { dockerConfigPath, helperKey } from "./credentials.ts";

const MAX_PASSWORD = 64 << 10;

interface Login {
  readonly username: string;
  readonly password: string;
}

/** The registry of an operand: a host, as in references; an address is cut down to it. Throws USAGE. */
export function parseServer(given: string | undefined): string {
  if (given === undefined || given === "") return DOCKER_HUB;
  const registry = registryOfKey(given);
  try {
    if (registry !== undefined) {
      // What has no dot and no port could not be told from a path in references; it is a host here.
      parseRepository(`${registry.includes(".") || registry.includes(":") ? registry : "localhost"}/x`);
      return registry;
    }
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
  }
  throw new CliError("USAGE", `${plain(given).slice(0, 100)} is no registry`, {
    hint: "Write its host, as registry.example.com:5000.",
  });
}

/** The password: the flag's, standard input's, or asked for. Throws USAGE. */
export async function readPassword(
  context: Context,
  flags: { readonly password?: string | undefined; readonly passwordStdin?: boolean | undefined },
): Promise<string> {
  if (flags.password !== undefined && flags.password !== "") {
    context.terminal.warn("--password is visible to others on this machine; use --password-stdin, or be asked");
    return flags.password;
  }
  if (flags.passwordStdin === true) {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of claimStdin(context, "the password")) {
      length += chunk.length;
      if (length > MAX_PASSWORD) throw new CliError("USAGE", "standard input is longer than any password");
      parts.push(chunk);
    }
    const password = Buffer.concat(parts)
      .toString("utf8")
      .replace(/\r?\n$/, "");
    if (password !== "") return password;
    throw new CliError("USAGE", "standard input holds no password");
  }
  const asked = await context.terminal.askSecret("Password");
  if (asked !== undefined && asked !== "") return asked;
  throw new CliError("USAGE", "there is no password, and nobody can be asked", { hint: "Use --password-stdin." });
}

async function readOwn(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError("FILE_UNREADABLE", plain(path), cause);
  }
}

function unreadable(path: string, cause: unknown): unknown {
  if (!(cause instanceof LacreError)) return cause;
  return new CliError("CREDENTIALS_UNREADABLE", `${plain(path)} is no configuration of Docker: ${cause.message}`, { cause });
}

async function change(context: Context, registry: string, login: Login | undefined): Promise<void> {
  const path = dockerConfigPath(context);
  const before = await readOwn(path);
  let helper: string | undefined;
  let after: string;
  try {
    const config = before === undefined ? undefined : decodeDockerConfig(before);
    helper = config?.helpers.get(registry) ?? config?.store;
    after = changeDockerConfig(before, registry, helper === undefined ? login : undefined);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (helper !== undefined) {
    const { eraseWithHelper, storeWithHelper } = await import("./helper.ts");
    if (login === undefined) await eraseWithHelper(context.env, helper, helperKey(registry));
    else await storeWithHelper(context.env, helper, helperKey(registry), login);
    context.terminal.say(
      `${login === undefined ? "Forgot" : "Kept"} the credentials of ${plain(registry)} with docker-credential-${helper}`,
    );
    return;
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw fileError("FILE_UNWRITABLE", plain(path), cause);
  });
  await writeWhole(path, after, 0o600);
  if (login === undefined) context.terminal.say(`Forgot the credentials of ${plain(registry)} in ${plain(path)}`);
  else {
    context.terminal.say(`Kept the credentials of ${plain(registry)} in ${plain(path)}`);
    context.terminal.warn("they are not encrypted there; a credential helper (credsStore in that file) would do that");
  }
}

/** Keeps a login. Throws CREDENTIALS_UNREADABLE, FILE_UNWRITABLE. */
export async function rememberLogin(context: Context, registry: string, login: Login): Promise<void> {
  await change(context, registry, login);
}

/** Forgets a login; one that is not kept is no fault. Throws as `rememberLogin`. */
export async function forgetLogin(context: Context, registry: string): Promise<void> {
  await change(context, registry, undefined);
}
