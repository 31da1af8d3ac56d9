// SPDX-License-Identifier: Apache-2.0
// What every journey needs: a folder, a running installation, and commands that end with their output.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

export const ROOT: string = dirname(import.meta.dirname);

/** The command line that people have: the committed launcher of `lacre`. */
export const LACRE: string = join(ROOT, "packages", "cli", "bin", "lacre.js");

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Runs a command to its end; never throws for a status. A command that cannot start is status 127. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      { cwd: options.cwd, env: { ...process.env, ...options.env }, timeout: options.timeoutMs ?? 60_000, maxBuffer: 32 << 20 },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : 127;
        resolve({ status, stdout, stderr: status === 127 ? `${stderr}${error?.message ?? ""}` : stderr });
      },
    );
    child.stdin?.end();
  });
}

/** Runs a command that must succeed; its output is in the error otherwise. */
export async function succeed(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const outcome = await run(command, args, options);
  if (outcome.status !== 0) {
    const said = `${outcome.stdout}\n${outcome.stderr}`.trim().split("\n").slice(-12).join("\n");
    throw new Error(
      `${[command, ...args].join(" ").replaceAll(/eyJ[\w.-]+/g, "<token>")}\nended with ${outcome.status}:\n${said}`,
    );
  }
  return outcome;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Instance {
  readonly url: string;
  readonly dir: string;
  readonly process: ChildProcess;
  /** What the server said on stderr so far. */
  said(): string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly dir: string;
  readonly port: number;
  readonly home: string;
  readonly args?: readonly string[];
  /** A command in front of the server's, such as faketime and its time. */
  readonly wrapper?: readonly string[];
  /** Another `lacre` than the clone's. */
  readonly command?: readonly string[];
  readonly timeoutMs?: number;
}

/** `lacre up` on this folder and port; resolves when it says that it is ready. */
export function startInstance(options: StartOptions): Promise<Instance> {
  const command = [
    ...(options.wrapper ?? []),
    ...(options.command ?? [process.execPath, LACRE]),
    "up",
    "--dir",
    options.dir,
    "--listen",
    `localhost:${options.port}`,
    ...(options.args ?? []),
  ];
  const child = spawn(command[0]!, command.slice(1), {
    env: { ...process.env, ...homeEnv(options.home) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await ended;
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the server was not ready in time:\n${said}`));
    }, options.timeoutMs ?? 60_000);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`the server ended with ${code ?? signal}:\n${said}`));
    });
    child.once("error", reject);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const ready = /^lacre ready (\S+)$/.exec(line);
      if (ready === null) return;
      clearTimeout(timer);
      resolve({ url: ready[1]!, dir: options.dir, process: child, said: () => said, stop });
    });
  });
}

/** Everything a program keeps for its user goes under `home`. */
export function homeEnv(home: string): Record<string, string> {
  return {
    HOME: home,
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_CACHE_HOME: join(home, "cache"),
    XDG_DATA_HOME: join(home, "data"),
    XDG_STATE_HOME: join(home, "state"),
    COSIGN_YES: "true",
    NO_COLOR: "1",
  };
}

export function scratch(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `lacre-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** One thing that must hold, or must fail for a known reason. */
export interface Journey {
  readonly name: string;
  /** Why this journey is known to fail, with its number in docs/compatibility.md. */
  readonly expectedFailure?: string;
  readonly go: () => Promise<void>;
}

/** Goes through the journeys in order, a line each; counts as failed what fails unexpectedly, and what no longer fails as expected. */
export async function travel(
  journeys: readonly Journey[],
  only: readonly string[] = [],
): Promise<{ passed: number; failed: number }> {
  let passed = 0;
  let failed = 0;
  for (const journey of journeys) {
    if (only.length > 0 && !only.some((word) => journey.name.includes(word))) continue;
    const began = Date.now();
    let problem: string | undefined;
    try {
      await journey.go();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    const seconds = `(${((Date.now() - began) / 1000).toFixed(1)} s)`;
    if (journey.expectedFailure !== undefined) {
      if (problem === undefined) {
        failed += 1;
        console.log(`FAILED ${journey.name}: passes, although listed as failing: ${journey.expectedFailure} ${seconds}`);
      } else {
        passed += 1;
        console.log(`known  ${journey.name}: ${journey.expectedFailure} ${seconds}`);
      }
    } else if (problem === undefined) {
      passed += 1;
      console.log(`ok     ${journey.name} ${seconds}`);
    } else {
      failed += 1;
      console.log(`FAILED ${journey.name} ${seconds}\n${problem.replaceAll(/^/gm, "       ")}`);
    }
  }
  return { passed, failed };
}
