// SPDX-License-Identifier: Apache-2.0
/**
 * Many files, each with its seal beside it: one verifier for all, told in the order in which they were named.
 *
 * A folder stands for every file in it, folders within included, and every one of them needs a seal: a file without one
 * is a failure and never passed over, and so is a seal whose file is gone. A link to a folder is not followed: it counts as
 * a file. More seals of a file (`app.provenance.sigstore.json`) are nothing of their own.
 *
 * Where there are enough of them to pay for it, and more than one processor, threads share the work (`batch-worker.ts`).
 * They are given the root and the policy that were read here, not the flags: all judge alike. What a thread has not
 * answered is not verified; one that ends before its time ends the whole run as a failure.
 */
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, extname, join } from "node:path";
import { createVerifier } from "@lacre/core/verify";
import { type CheckOptions, findConfiguredRoot, tellFailure, tellOutcome, worse } from "./checking.ts";
import type { Context } from "./context.ts";
import { CliError, fileError } from "./errors.ts";
import { type FileArtifact, type Job, judge, type Order, type Outcome, SUFFIX } from "./job.ts";
import { spellPolicy } from "./spelled-policy.ts";

/** The jobs that operands stand for, folders opened. Throws FILE_UNREADABLE for a folder that cannot be read or is empty. */
export function listJobs(artifacts: readonly FileArtifact[]): readonly Job[] {
  return artifacts.flatMap((artifact) => {
    const isFolder = statSync(artifact.path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isFolder) return [{ artifact, bundlePath: `${artifact.path}${SUFFIX}` }];
    const jobs = listFolder(artifact);
    if (jobs.length === 0) throw new CliError("FILE_UNREADABLE", `there is nothing to verify in ${artifact.name}`);
    return jobs;
  });
}

function listFolder({ name, path }: FileArtifact): readonly Job[] {
  const present = new Set<string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(path, folder), { withFileTypes: true })) {
      const file = join(folder, entry.name);
      if (entry.isDirectory()) walk(file);
      else present.add(file);
    }
  };
  try {
    walk("");
  } catch (cause) {
    throw fileError("FILE_UNREADABLE", name, cause);
  }
  const files = new Set<string>();
  for (const file of present) {
    const sealed = isSeal(file) ? file.slice(0, -SUFFIX.length) : file;
    // `app.provenance.sigstore.json` is one seal more of `app`, if that is there with its own and `app.provenance` is not.
    const base = sealed.slice(0, -extname(sealed).length);
    if (!present.has(sealed) && base !== "" && present.has(base) && present.has(`${base}${SUFFIX}`)) continue;
    // A seal is the word for its file, whether that is there or not.
    files.add(sealed);
  }
  return [...files].toSorted().map((file) => {
    const full = join(path, file);
    return { artifact: { kind: "file", name: join(name, file), path: full }, bundlePath: `${full}${SUFFIX}` };
  });
}

function isSeal(file: string): boolean {
  return file.endsWith(SUFFIX) && basename(file) !== SUFFIX;
}

export interface BatchOptions extends Omit<CheckOptions, "artifacts" | "bundlePath" | "seal" | "ledgerUrl"> {
  readonly artifacts: readonly FileArtifact[];
  /** How many threads; by default one, and for a large run one for each processor. */
  readonly threads?: number;
}

/** Verifies files with their seals beside them, and reports. Returns the exit status of all. */
export async function checkBatch(context: Context, options: BatchOptions): Promise<number> {
  const jobs = listJobs(options.artifacts);
  const root = await findConfiguredRoot(context, options);
  const threads = options.threads ?? (isLarge(jobs) ? Math.min(availableParallelism(), MAX_THREADS) : 1);
  const order =
    threads > 1
      ? orderOf(options, context.now(), root === undefined ? undefined : { bytes: root.bytes, source: root.source })
      : undefined;
  let worst = 0;
  const tell = ({ artifact: { name }, bundlePath }: Job, outcome: Outcome): void => {
    const status =
      "verdict" in outcome
        ? tellOutcome(context, options, name, bundlePath, outcome.verdict)
        : tellFailure(context, options, outcome.report);
    worst = worse(worst, status);
  };
  const progress = context.terminal.count("verifying", jobs.length);
  try {
    if (order === undefined) {
      const verifier =
        root === undefined ? createVerifier({}) : createVerifier({ trustedRoot: root.value, rootSource: root.source });
      for (const job of jobs) {
        const outcome = await judge(context, verifier, options, job);
        progress.advance(1);
        tell(job, outcome);
      }
    } else {
      const { PROGRAM } = await import("./batch-worker.ts");
      await share(PROGRAM, jobs, order, threads, tell, () => progress.advance(1));
    }
  } finally {
    progress.end();
  }
  return worst;
}

const MAX_THREADS = 16;
// A thread has to read the program and warm to it, half a second of work: what costs less is done before it has begun.
const MANY_JOBS = 500;
const MANY_OCTETS = 512 << 20;

function isLarge(jobs: readonly Job[]): boolean {
  if (jobs.length >= MANY_JOBS) return true;
  let octets = 0;
  for (const { artifact } of jobs) octets += statSync(artifact.path, { throwIfNoEntry: false })?.size ?? 0;
  return jobs.length > 1 && octets >= MANY_OCTETS;
}

// Undefined where root or policy cannot be handed on as data: then one thread does it all.
function orderOf(
  { policy, key }: BatchOptions,
  nowMs: number,
  root: { readonly bytes: Uint8Array | undefined; readonly source: Order["rootSource"] } | undefined,
): Order | undefined {
  const spelled = spellPolicy(policy);
  if (spelled === undefined || (root !== undefined && root.bytes === undefined)) return undefined;
  return { policy: spelled, key: key?.spki, root: root?.bytes, rootSource: root?.source, nowMs };
}

/** How many jobs a thread has before it: enough that it never waits for the next. */
const AHEAD = 8;

/**
 * Shares jobs among threads that run `program`, and tells of them in order. Throws INTERNAL when a thread ends before its
 * time; what was told until then stands.
 */
export async function share(
  program: string,
  jobs: readonly Job[],
  order: Order,
  threads: number,
  tell: (job: Job, outcome: Outcome) => void,
  advance: () => void,
): Promise<void> {
  const { Worker } = await import("node:worker_threads");
  /** What was answered and waits for its turn to be told. */
  const outcomes = new Map<number, Outcome>();
  let next = 0;
  let told = 0;
  const workers = Array.from(
    { length: Math.min(threads, jobs.length) },
    () => new Worker(new URL(program), { workerData: order, name: "lacre verify" }),
  );
  try {
    await new Promise<void>((resolve, reject) => {
      const died = (cause?: unknown): void =>
        reject(new CliError("INTERNAL", "a thread of this run ended before its work was done", { cause }));
      for (const worker of workers) {
        const feed = (): void => {
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
          if (next < jobs.length) worker.postMessage({ index: next, job: jobs[next] });
          next++;
        };
        worker.on("message", ({ index, outcome }: { readonly index: number; readonly outcome: Outcome }) => {
          outcomes.set(index, outcome);
          feed();
          advance();
          try {
            for (let ready = outcomes.get(told); ready !== undefined; ready = outcomes.get(++told)) {
              tell(jobs[told]!, ready);
              outcomes.delete(told);
            }
          } catch (error) {
            return reject(error as Error);
          }
          if (told === jobs.length) resolve();
        });
        worker.on("error", died);
        worker.on("messageerror", died);
        worker.on("exit", () => told < jobs.length && died());
        for (let i = 0; i < AHEAD; i++) feed();
      }
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
