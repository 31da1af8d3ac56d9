// SPDX-License-Identifier: Apache-2.0
/**
 * Signatures, judged in batches.
 *
 * Whatever arrives in one turn of the event loop is judged together: over digests a batch shares the modular inversions,
 * which cost a third of a check on its own. There is no timer, so a request that is alone is judged alone and at once. A
 * batch is bounded, so that the loop turns in between and a burst of requests does not hold up commits and readers.
 *
 * The queue is bounded by how long its first request waits: past that, new ones are refused with LOG_BUSY while what is
 * waiting is served. Otherwise a load a little above what this machine can do would make every answer late, and clients
 * that give up and ask again would make it worse.
 *
 * Batches of some size go to threads, where there are any with nothing to do; when all are busy, this thread takes its
 * share. A thread that fails is given up, and what it was at is judged here: no request depends on it.
 */
import { Worker } from "node:worker_threads";
import { checkSignatures, type SignatureClaim } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { ServiceError } from "../errors.ts";
import { encodeBatch, type Judgement } from "./worker.ts";

/** Signatures judged between two turns of the loop. */
const BATCH = 16;
/** Fewer are judged here: crossing over and back costs more than it frees. */
const WORTH_CROSSING = 4;
/** Batches given to one thread: one to work at, one to go on with. */
const AT_ONCE = 2;
/** How long the first request of the queue may have waited when another one is taken. */
const PATIENCE_MS = 1000;

interface Waiting {
  readonly claims: readonly SignatureClaim[];
  readonly sinceMs: number;
  readonly resolve: () => void;
  readonly reject: (refusal: unknown) => void;
}

/** Judges the signatures of requests. */
export interface Verification {
  /** Resolves when every one of the claims is good; rejects with the LacreError of the first that is not, or LOG_BUSY. */
  check(claims: readonly SignatureClaim[]): Promise<void>;
  /** Ends the threads. What they were at is judged here. */
  close(): void;
}

export interface VerificationOptions {
  /** Threads beside this one; started when there is work for them. */
  readonly threads: number;
  /** A monotonic clock, milliseconds. Default: the process'. */
  readonly monotonic?: () => number;
}

/** A verification in this thread and in others. */
export function createVerification({ threads, monotonic = () => performance.now() }: VerificationOptions): Verification {
  let queue: Waiting[] = [];
  let scheduled = false;
  const crew: Thread[] = Array.from({ length: threads }, () => new Thread());

  function turn(): void {
    let count = 0;
    let take = 0;
    while (take < queue.length && (take === 0 || count + queue[take]!.claims.length <= BATCH))
      count += queue[take++]!.claims.length;
    const batch = queue.slice(0, take);
    queue = queue.slice(take);
    const free = count < WORTH_CROSSING ? undefined : crew.find((thread) => thread.isFree);
    if (free === undefined) judge(batch);
    else free.give(batch);
    scheduled = queue.length > 0;
    if (scheduled) setImmediate(turn);
  }

  return {
    check(claims) {
      const sinceMs = monotonic();
      const waitsMs = queue.length === 0 ? 0 : sinceMs - queue[0]!.sinceMs;
      if (waitsMs > PATIENCE_MS) {
        const detail = `${queue.length} requests wait for their signatures to be checked, the first for ${waitsMs.toFixed(0)} ms`;
        return Promise.reject(new ServiceError("LOG_BUSY", undefined, { headers: { "retry-after": "1" }, detail }));
      }
      return new Promise((resolve, reject) => {
        queue.push({ claims, sinceMs, resolve, reject });
        if (!scheduled) setImmediate(turn);
        scheduled = true;
      });
    },
    close() {
      for (const thread of crew) thread.end();
    },
  };
}

/** A thread and what it is at. Not started before it is needed. */
class Thread {
  #worker: Worker | undefined;
  #ended = false;
  #count = 0;
  readonly #given = new Map<number, readonly Waiting[]>();

  get isFree(): boolean {
    return !this.#ended && this.#given.size < AT_ONCE;
  }

  give(batch: readonly Waiting[]): void {
    const number = (this.#count = (this.#count + 1) % 0x1_0000_0000);
    this.#given.set(number, batch);
    try {
      this.#worker ??= this.#start();
      const message = encodeBatch(
        number,
        batch.flatMap(({ claims }) => claims),
      );
      this.#worker.postMessage(message, [message.buffer]);
    } catch {
      this.end();
    }
  }

  /** Gives the thread up and judges what it was at here. */
  end(): void {
    this.#ended = true;
    void this.#worker?.terminate();
    for (const batch of this.#given.values()) judge(batch);
    this.#given.clear();
  }

  #start(): Worker {
    // The same file as source and as built output.
    const worker = new Worker(new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url));
    worker.unref();
    worker.on("message", ({ number, refusals }: Judgement) => {
      const batch = this.#given.get(number);
      this.#given.delete(number);
      if (batch !== undefined)
        settle(
          batch,
          refusals.map((refusal) => (refusal === null ? undefined : new LacreError(...refusal))),
        );
    });
    worker.on("error", () => this.end());
    worker.on("exit", () => this.end());
    return worker;
  }
}

function judge(batch: readonly Waiting[]): void {
  let refusals: readonly (LacreError | undefined)[];
  try {
    refusals = checkSignatures(batch.flatMap(({ claims }) => claims));
  } catch (fault) {
    // Not a verdict but a fault of ours: nobody's request passes, and each is told.
    for (const { reject } of batch) reject(fault);
    return;
  }
  settle(batch, refusals);
}

function settle(batch: readonly Waiting[], refusals: readonly (LacreError | undefined)[]): void {
  let at = 0;
  for (const { claims, resolve, reject } of batch) {
    const verdicts = refusals.slice(at, at + claims.length);
    at += claims.length;
    const refusal = verdicts.find((one) => one !== undefined);
    if (refusal !== undefined) reject(refusal);
    else if (verdicts.length === claims.length) resolve();
    else reject(new TypeError("a batch came back without all of its verdicts"));
  }
}
