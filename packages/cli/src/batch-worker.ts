// SPDX-License-Identifier: Apache-2.0
/**
 * A thread that verifies for `batch.ts`: it is given root and policy once, then one job after the other, and answers each
 * with its outcome. It writes nothing, asks nobody and fetches nothing.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { importPublicKey } from "@lacre/core/crypto";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier } from "@lacre/core/verify";
import { judge, type Job, type Order } from "./job.ts";
import type { Context } from "./context.ts";
import { readSpelled } from "./spelled-policy.ts";
import { Terminal } from "./terminal.ts";

/** Where this program is, for starting a thread on it. */
export const PROGRAM: string = import.meta.url;

async function serve(order: Order): Promise<void> {
  const policy = await readSpelled(order.policy);
  const key = order.key === undefined ? undefined : importPublicKey(order.key);
  const verifier =
    order.root === undefined
      ? createVerifier({})
      : createVerifier({ trustedRoot: decodeTrustedRoot(order.root), rootSource: order.rootSource ?? {} });
  const context = silent(order.nowMs);
  let done: Promise<unknown> = Promise.resolve();
  parentPort!.on("message", ({ index, job }: { readonly index: number; readonly job: Job }) => {
    // One at a time: a thread is one processor's work.
    done = done.then(async () => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      parentPort!.postMessage({ index, outcome: await judge(context, verifier, { policy, key }, job) });
    });
  });
}

// A world in which nothing can be said, asked or fetched.
function silent(nowMs: number): Context {
  const nowhere = { write: () => undefined };
  const terminal = new Terminal({ stdout: nowhere, stderr: nowhere, stdin: {}, env: {}, now: Date.now });
  terminal.quieten();
  const never = async (): Promise<never> => {
    throw new Error("a thread that verifies opens no connection");
  };
  return {
    process: { stdout: nowhere, stderr: nowhere },
    terminal,
    env: {},
    cwd: "/",
    now: () => nowMs,
    fetch: never,
    stdin: (async function* () {})(),
    openBrowser: never,
    propose: never,
  };
}

if (!isMainThread && isOrder(workerData)) await serve(workerData);

// Other threads may load this file with their program and have an order of their own.
function isOrder(data: unknown): data is Order {
  return typeof data === "object" && data !== null && "policy" in data && "rootSource" in data;
}
