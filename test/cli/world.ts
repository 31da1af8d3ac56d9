// SPDX-License-Identifier: Apache-2.0
/** A world for tests of the command: a terminal that records, an environment that is given. */
import type { Context } from "../../packages/cli/src/context.ts";
import { Terminal } from "../../packages/cli/src/terminal.ts";

export interface World {
  readonly context: Context;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

/** A context whose output is kept. Its fetch refuses: a test that needs one hands it in. */
export function createWorld(
  given: Partial<Pick<Context, "env" | "cwd" | "now" | "fetch" | "stdin" | "openBrowser">> & {
    readonly isTerminal?: boolean;
  } = {},
): World {
  let out = "";
  let err = "";
  const { isTerminal = false, ...more } = given;
  const stdout = { write: (text: string) => void (out += text), isTTY: isTerminal };
  const stderr = { write: (text: string) => void (err += text), isTTY: isTerminal };
  const env = more.env ?? {};
  const now = more.now ?? Date.now;
  const context: Context = {
    process: { stdout, stderr },
    terminal: new Terminal({ stdout, stderr, stdin: { isTTY: isTerminal }, env, now }),
    cwd: process.cwd(),
    fetch: async () => {
      throw new Error("this test has no network");
    },
    openBrowser: async () => {
      throw new Error("this test has no browser");
    },
    stdin: (async function* () {})(),
    propose: async () => [],
    ...more,
    env,
    now,
  };
  return { context, stdout: () => out, stderr: () => err };
}
