// SPDX-License-Identifier: Apache-2.0
/**
 * Asks a PKCS#11 module, which runs in another process: a crash, a hang, or an `exit(0)` of the module is a refusal here, and
 * its chatter on standard output is nobody's result. The PIN travels over the channel: it is in no argument and no
 * environment variable of that process.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Answer, Question, Questions } from "./host.ts";

/** A person may have to touch the token. */
const LIMIT_MS = 120_000;
const SECRETS = ["COSIGN_PASSWORD", "COSIGN_PKCS11_PIN", "LACRE_IMPORT_PASSWORD"];

/** A call that the module refused: a definite word of its own. */
export class TokenRefusal extends CliError {
  readonly returned: string;

  constructor(call: string, returned: string) {
    super(
      "KEY_UNREACHABLE",
      `the PKCS#11 module refuses: ${call} says ${returned}`,
      HINTS[returned] === undefined ? {} : { hint: HINTS[returned]! },
    );
    this.returned = returned;
  }
}

const HINTS: Readonly<Record<string, string>> = {
  CKR_PIN_INCORRECT: "Check the PIN. It was tried once; a token locks itself after a few wrong ones.",
  CKR_PIN_LOCKED: "The token is locked: its security officer must set a new PIN.",
  CKR_MECHANISM_INVALID: "The token cannot sign this way; use a key of another type.",
  CKR_TOKEN_NOT_PRESENT: "Put the token in.",
};

/** A module under question. */
export class ModuleClient {
  readonly #path: string;
  readonly #child: ChildProcess;

  private constructor(path: string, child: ChildProcess) {
    this.#path = path;
    this.#child = child;
  }

  /** Starts the process and loads the module. `host` is for tests. Throws KEY_UNREACHABLE, PACKAGE_MISSING. */
  static async open(context: Context, path: string, host?: string): Promise<ModuleClient> {
    const env = Object.fromEntries(Object.entries(context.env).filter(([name]) => !SECRETS.includes(name)));
    const child = fork(host ?? (await import("./host.ts")).PROGRAM, [], {
      cwd: context.cwd,
      env,
      serialization: "advanced",
      stdio: ["ignore", "ignore", context.env["LACRE_DEBUG"] === "1" ? "inherit" : "ignore", "ipc"],
    });
    const client = new ModuleClient(path, child);
    await client.ask("open", path);
    return client;
  }

  /** Asks one thing and waits for the answer. Not to be called before the last answer has come. */
  async ask<N extends keyof Questions>(name: N, ...parameters: Parameters<Questions[N]>): Promise<ReturnType<Questions[N]>> {
    const child = this.#child;
    const done = new AbortController();
    try {
      const { signal } = done;
      const ended = once(child, "exit", { signal }).then(([status, killer]) => {
        throw this.#gone(name, killer === null ? `ended the process with status ${status}` : `was ended by ${killer}`);
      });
      const answered = once(child, "message", { signal }).then(([answer]) => answer as Answer);
      const late = new Promise<never>((_resolve, reject) => {
        const timer = setTimeout(() => reject(this.#gone(name, `did not answer for ${LIMIT_MS / 1000} seconds`)), LIMIT_MS);
        signal.addEventListener("abort", () => clearTimeout(timer));
      });
      for (const loser of [ended, answered, late]) loser.catch(() => undefined);
      if (!child.connected) throw this.#gone(name, "has ended the process");
      child.ref();
      child.channel?.ref();
      child.send({ name, parameters } satisfies Question, (error) => {
        // The process went away in between: its end is told by `exit`.
        if (error !== null) child.kill();
      });
      const answer = await Promise.race([answered, ended, late]);
      if (answer.kind === "answer") return answer.value as ReturnType<Questions[N]>;
      if (answer.kind === "absent")
        throw new CliError("PACKAGE_MISSING", "calling a PKCS#11 module needs the package koffi", { hint: "npm install koffi" });
      if (answer.call === "load")
        throw new CliError("KEY_UNREACHABLE", `the PKCS#11 module ${this.#path} cannot be loaded: ${answer.returned}`, {
          hint: "Check module-path, or COSIGN_PKCS11_MODULE_PATH.",
        });
      throw new TokenRefusal(answer.call, answer.returned);
    } catch (error) {
      if (error instanceof CliError && !(error instanceof TokenRefusal)) child.kill("SIGKILL");
      throw error;
    } finally {
      done.abort();
      // Nothing holds the command open when nothing is asked; the other side ends when this one does.
      child.unref();
      child.channel?.unref();
    }
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #gone(name: string, what: string): CliError {
    return new CliError("KEY_UNREACHABLE", `the PKCS#11 module ${this.#path} ${what} (asked: ${name})`, {
      hint: "The module is at fault, or not made for this machine. Nothing was signed.",
    });
  }
}
