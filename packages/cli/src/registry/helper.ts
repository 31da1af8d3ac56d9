// SPDX-License-Identifier: Apache-2.0
/**
 * Credential helpers: programs `docker-credential-NAME` that keep credentials for Docker (docker-credential-helpers,
 * "development"). The registry goes to the program's standard input, the answer comes from its standard output; no secret
 * is ever an argument.
 */
import { spawn } from "node:child_process";
import { JsonObject, parseJson } from "@lacre/core/codec";
import type { RegistryCredential } from "@lacre/core/oci";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 1 << 20;
/** What helpers say, with a status of failure, when they do not have any. */
const NONE = /credentials not found|no credentials (?:server|username)/i;

type Environment = Readonly<Record<string, string | undefined>>;

interface Outcome {
  readonly status: number;
  readonly output: string;
}

function runHelper(env: Environment, name: string, verb: "get" | "store" | "erase", input: string): Promise<Outcome> {
  const program = `docker-credential-${name}`;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [verb], { stdio: ["pipe", "pipe", "ignore"], env: { ...env } });
    // A program of the program's own may hold the pipe open: ours is closed, and no longer waited for.
    const giveUp = (): void => {
      child.kill();
      child.stdout.destroy();
    };
    const timer = setTimeout(giveUp, TIMEOUT_MS);
    const parts: Buffer[] = [];
    let length = 0;
    child.stdout.on("data", (part: Buffer) => {
      length += part.length;
      if (length > MAX_OUTPUT) giveUp();
      else parts.push(part);
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(
        new CliError(
          "CREDENTIALS_UNREADABLE",
          cause.code === "ENOENT"
            ? `the credential helper ${program} is not installed`
            : `${program} cannot be run: ${cause.message}`,
          { cause },
        ),
      );
    });
    // A program that does not read its input is no failure of ours.
    child.stdin.on("error", () => undefined);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? 1, output: Buffer.concat(parts).toString("utf8") });
    });
    child.stdin.end(input);
  });
}

/** The credential that a helper keeps for a registry; undefined when it has none. Throws CREDENTIALS_UNREADABLE. */
export async function askHelper(env: Environment, name: string, registry: string): Promise<RegistryCredential | undefined> {
  const { status, output } = await runHelper(env, name, "get", registry);
  if (status !== 0) {
    if (NONE.test(output)) return undefined;
    throw failed(name, output);
  }
  let username: string;
  let secret: string;
  try {
    const answer = new JsonObject(parseJson(output), "answer");
    username = answer.string("Username");
    secret = answer.string("Secret");
  } catch {
    // The cause could quote the answer.
    throw new CliError("CREDENTIALS_UNREADABLE", `docker-credential-${name} answers with something else than credentials`);
  }
  if (secret === "") return undefined;
  return username === "<token>" ? { kind: "identity", token: secret } : { kind: "basic", username, password: secret };
}

/** Hands a credential to a helper to keep. Throws CREDENTIALS_UNREADABLE. */
export async function storeWithHelper(
  env: Environment,
  name: string,
  registry: string,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<void> {
  const { status, output } = await runHelper(
    env,
    name,
    "store",
    JSON.stringify({ ServerURL: registry, Username: username, Secret: password }),
  );
  if (status !== 0) throw failed(name, output);
}

/** Has a helper forget a registry. Throws CREDENTIALS_UNREADABLE. */
export async function eraseWithHelper(env: Environment, name: string, registry: string): Promise<void> {
  const { status, output } = await runHelper(env, name, "erase", registry);
  if (status !== 0 && !NONE.test(output)) throw failed(name, output);
}

function failed(name: string, output: string): CliError {
  const said = plain(output.trim().split("\n")[0] ?? "").slice(0, 200);
  return new CliError("CREDENTIALS_UNREADABLE", `docker-credential-${name} failed${said === "" ? "" : `: ${said}`}`);
}
