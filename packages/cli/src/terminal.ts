// SPDX-License-Identifier: Apache-2.0
/**
 * The terminal's rules.
 *
 * - stdout carries results alone: what a pipe should see. Everything for people goes to stderr.
 * - Colour only where that stream is a terminal and NO_COLOR is unset; `util.styleText` decides.
 * - Questions are asked only when both stdin and stderr are terminals; otherwise the answer is no.
 * - Work longer than a second shows progress: a bar on a terminal, a line now and then in a log. Not when quiet.
 * - Text from outside (file names, identities, a service's words) passes `plain` before it reaches a terminal.
 */
import { styleText } from "node:util";

export type Style = Parameters<typeof styleText>[0];

/** A stream of the process, or of a test. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Reports how far a long work has come. */
export interface Progress {
  advance(octets: number): void;
  end(): void;
}

export interface TerminalOptions {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}

/** Text without control characters, so that a name cannot move the cursor or forge a line. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "�");
}

export class Terminal {
  readonly #options: TerminalOptions;
  #results: Output;
  #quiet = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#results = options.stdout;
  }

  /** From here on results go elsewhere. */
  redirect(results: Output): void {
    this.#results = results;
  }

  /** From here on only results and errors are written. */
  quieten(): void {
    this.#quiet = true;
  }

  get isQuiet(): boolean {
    return this.#quiet;
  }

  /** Whether a person can be asked. */
  get isInteractive(): boolean {
    return this.#options.stdin.isTTY === true && this.#options.stderr.isTTY === true;
  }

  /** Whether standard input is a person at a keyboard, and no file or pipe. */
  get hasKeyboard(): boolean {
    return this.#options.stdin.isTTY === true;
  }

  /** A result, with a line end. */
  result(text: string): void {
    this.#results.write(`${text}\n`);
  }

  /** A result for another program's file: a line end only where a person reads it. */
  deliver(text: string): void {
    this.#results.write(this.#results.isTTY === true ? `${text}\n` : text);
  }

  /** For people; nothing when quiet. */
  say(text: string): void {
    if (!this.#quiet) this.#options.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    if (!this.#quiet) this.#options.stderr.write(`${this.style("stderr", "yellow", "warning:")} ${text}\n`);
  }

  /** An error; also when quiet. */
  complain(text: string): void {
    this.#options.stderr.write(`${text}\n`);
  }

  /** Text in a style, where the stream shows styles. */
  style(stream: "stdout" | "stderr", style: Style, text: string): string {
    return this.#hasColour(stream) ? styleText(style, text, { validateStream: false }) : text;
  }

  #hasColour(stream: "stdout" | "stderr"): boolean {
    const { env } = this.#options;
    return this.#options[stream].isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  }

  /** Asks a yes-or-no question; no when nobody can be asked. */
  async confirm(question: string): Promise<boolean> {
    if (!this.isInteractive) return false;
    const { confirm } = await import("@clack/prompts");
    return (await confirm({ message: question, initialValue: false, output: process.stderr })) === true;
  }

  /** Asks for a secret, which is not shown; undefined when nobody can be asked, or nobody answers. */
  async askSecret(question: string): Promise<string | undefined> {
    if (!this.isInteractive) return undefined;
    const { isCancel, password } = await import("@clack/prompts");
    const answer = await password({ message: question, mask: "", output: process.stderr });
    return isCancel(answer) ? undefined : answer;
  }

  /** Progress over `total` octets; it shows itself after one second. */
  progress(label: string, total: number): Progress {
    const { stderr, now } = this.#options;
    if (this.#quiet) return { advance: () => undefined, end: () => undefined };
    const startedMs = now();
    const isBar = stderr.isTTY === true;
    const pauseMs = isBar ? 100 : 5000;
    let shownMs = startedMs + 1000 - pauseMs;
    let done = 0;
    let hasShown = false;
    return {
      advance: (octets) => {
        done += octets;
        const atMs = now();
        if (atMs - shownMs < pauseMs) return;
        shownMs = atMs;
        hasShown = true;
        const share = total === 0 ? 1 : Math.min(1, done / total);
        const rate = done / Math.max(1, atMs - startedMs) / 1000;
        const text = `${label} ${formatSize(done)} of ${formatSize(total)} (${Math.floor(share * 100)} %), ${rate.toFixed(0)} MB/s`;
        stderr.write(isBar ? `\r\u001b[K${bar(share)} ${text}` : `${text}\n`);
      },
      end: () => {
        if (hasShown && isBar) stderr.write("\r\u001b[K");
      },
    };
  }
}

function bar(share: number): string {
  const filled = Math.round(share * 20);
  return `[${"#".repeat(filled)}${".".repeat(20 - filled)}]`;
}

/** A size as people read it: 51.2 MB. */
export function formatSize(octets: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = octets;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]!}`;
}
