// SPDX-License-Identifier: Apache-2.0
/**
 * Signatures, judged in batches.
 *
 * Whatever arrives in one turn of the event loop is judged together: over digests a batch shares the modular inversions,
 * which cost a third of a check on its own. There is no timer, so a request that is alone is judged alone and at once.
 * A batch is bounded, so that the loop turns in between and a burst of requests does not hold up commits and readers.
 */
import { checkSignatures, type SignatureClaim } from "@lacre/core/crypto";
import type { LacreError } from "@lacre/core/errors";

/** Signatures judged between two turns of the loop. */
const BATCH = 16;

interface Waiting {
  readonly claims: readonly SignatureClaim[];
  readonly resolve: () => void;
  readonly reject: (refusal: unknown) => void;
}

/** Judges the signatures of requests. */
export interface Verification {
  /** Resolves when every one of the claims is good; rejects with the LacreError of the first that is not. */
  check(claims: readonly SignatureClaim[]): Promise<void>;
}

/** A verification in this thread. */
export function createVerification(): Verification {
  let queue: Waiting[] = [];
  let scheduled = false;

  function turn(): void {
    let count = 0;
    let take = 0;
    while (take < queue.length && (take === 0 || count + queue[take]!.claims.length <= BATCH)) count += queue[take++]!.claims.length;
    const batch = queue.slice(0, take);
    queue = queue.slice(take);
    scheduled = queue.length > 0;
    if (scheduled) setImmediate(turn);
    judge(batch);
  }

  return {
    check(claims) {
      return new Promise((resolve, reject) => {
        queue.push({ claims, resolve, reject });
        if (!scheduled) setImmediate(turn);
        scheduled = true;
      });
    },
  };
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
  let at = 0;
  for (const { claims, resolve, reject } of batch) {
    const refusal = refusals.slice(at, at + claims.length).find((one) => one !== undefined);
    at += claims.length;
    if (refusal === undefined) resolve();
    else reject(refusal);
  }
}
