// SPDX-License-Identifier: Apache-2.0
/** What a verb may touch of the world. A test hands in its own. */
import type { Fetch } from "@lacre/core/client";
import type { Terminal } from "./terminal.ts";

export interface Context {
  readonly process: {
    readonly stdout: { write(text: string): void };
    readonly stderr: { write(text: string): void };
  };
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths start here. */
  readonly cwd: string;
  readonly now: () => number;
  readonly fetch: Fetch;
  /** Puts the global flags (limit, telling) to a fetch of a verb's own. */
  readonly dress?: (fetch: Fetch) => Fetch;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Shows a page to the person at this terminal. */
  readonly openBrowser: (url: string) => Promise<void>;
  /** What may follow these words on a line. */
  propose(words: readonly string[]): Promise<readonly string[]>;
}
