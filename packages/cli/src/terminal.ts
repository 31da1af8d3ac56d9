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
  /** Whether the line that the cursor stands on is a bar. */
  #hasBar = false;

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
    this.#wipe();
    this.#results.write(`${text}\n`);
  }

  /** A result for another program's file: a line end only where a person reads it. */
  deliver(text: string): void {
    this.#results.write(this.#results.isTTY === true ? `${text}\n` : text);
  }

  /** For people; nothing when quiet. */
  say(text: string): void {
    if (!this.#quiet) this.complain(text);
  }

  warn(text: string): void {
    if (!this.#quiet) this.complain(`${this.style("stderr", "yellow", "warning:")} ${text}`);
  }

  /** An error; also when quiet. */
  complain(text: string): void {
    this.#wipe();
    this.#options.stderr.write(`${text}\n`);
  }

  // A bar gives way to whatever is written; it comes back with the next step.
  #wipe(): void {
    if (this.#hasBar) this.#options.stderr.write("\r\u001b[K");
    this.#hasBar = false;
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
    return this.#progress(total, (done, seconds) => {
      const rate = done / Math.max(0.001, seconds) / 1e6;
      const share = total === 0 ? 100 : Math.min(100, Math.floor((100 * done) / total));
      return `${label} ${formatSize(done)} of ${formatSize(total)} (${share} %), ${rate.toFixed(0)} MB/s`;
    });
  }

  /** Progress over `total` things; it shows itself after one second. */
  count(label: string, total: number): Progress {
    return this.#progress(total, (done, seconds) => {
      const rate = done / Math.max(0.001, seconds);
      return `${label} ${done} of ${total} (${Math.floor((100 * done) / Math.max(1, total))} %), ${rate.toFixed(0)}/s`;
    });
  }

  #progress(total: number, describe: (done: number, seconds: number) => string): Progress {
    const { stderr, now } = this.#options;
    if (this.#quiet) return { advance: () => undefined, end: () => undefined };
    const startedMs = now();
    const isBar = stderr.isTTY === true;
    const pauseMs = isBar ? 100 : 5000;
    let shownMs = startedMs + 1000 - pauseMs;
    let done = 0;
    return {
      advance: (octets) => {
        done += octets;
        const atMs = now();
        if (atMs - shownMs < pauseMs) return;
        shownMs = atMs;
        const share = total === 0 ? 1 : Math.min(1, done / total);
        const text = describe(done, (atMs - startedMs) / 1000);
        stderr.write(isBar ? `\r\u001b[K${bar(share)} ${text}` : `${text}\n`);
        this.#hasBar = isBar;
      },
      end: () => this.#wipe(),
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
