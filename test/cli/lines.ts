// SPDX-License-Identifier: Apache-2.0
/** Command lines in a folder, against installations of this process. */
import assert from "node:assert/strict";
import type { Context } from "../../packages/cli/src/context.ts";
import { runLine } from "../../packages/cli/src/run.ts";
import { createWorld } from "./world.ts";

export interface Told {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Given = Partial<Pick<Context, "env" | "cwd" | "now" | "stdin" | "fetch">>;

export interface Lines {
  /** Runs a line. No failure may show a stack trace. */
  readonly lacre: (args: readonly string[], given?: Given) => Promise<Told>;
  /** Runs a line that has to end with this status and say these words. */
  readonly expect: (status: number, args: readonly string[], words: RegExp, given?: Given) => Promise<Told>;
  /** An identity token of the installation in a folder. */
  readonly tokenOf: (dir: string, email?: string) => Promise<string>;
}

/** Lines that run in a folder, with this machine's network. */
export function createLines(folder: string): Lines {
  async function lacre(args: readonly string[], given: Given = {}): Promise<Told> {
    const world = createWorld({ cwd: folder, fetch: (url, init) => fetch(url, init), ...given });
    const status = await runLine(args, world.context);
    const told = { status, stdout: world.stdout(), stderr: world.stderr() };
    assert.doesNotMatch(told.stdout + told.stderr, /^\s+at .*:\d+:\d+\)?$/m, "a stack trace is shown");
    return told;
  }
  async function expect(status: number, args: readonly string[], words: RegExp, given: Given = {}): Promise<Told> {
    const told = await lacre(args, given);
    assert.equal(told.status, status, `${args.join(" ").replaceAll(/eyJ[\w.-]+/g, "<token>")}\n${told.stdout}${told.stderr}`);
    assert.match(told.stdout + told.stderr, words);
    return told;
  }
  return {
    lacre,
    expect,
    tokenOf: async (dir, email = "you@example.com") =>
      (await expect(0, ["token", "--dir", dir, "--email", email], /^eyJ/)).stdout.trim(),
  };
}
