// SPDX-License-Identifier: Apache-2.0
/**
 * How benches measure: by CPU time (user and system) of this process, best of several, with what is compared taking
 * turns, so that a busy neighbour disturbs all alike. The best run is the figure, the spread says how far the worst lay.
 */

/** One figure, beside the bound that physics or the platform sets and the peer that people use today. */
export interface Measurement {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** What cannot be beaten, measured in the same run; null where there is none. */
  readonly bound: number | null;
  /** What the field uses, measured in the same run; null where it is not at hand. */
  readonly peer: number | null;
  /** value / bound. For units of time, bound / value: 1 is always at the bound. */
  readonly ratio: number | null;
  /** value / peer (for time, peer / value): how many times as good. */
  readonly peerRatio: number | null;
  readonly boundName: string | null;
  readonly peerName: string | null;
  readonly repetitions: number;
  /** (best − worst) / best of `value`. */
  readonly spread: number;
}

/** A bench: a file `bench/NAME.ts` that exports this as `run`. */
export type Bench = () => Promise<readonly Measurement[]>;

/** Something to be timed: does its work once, and says how many operations that was (1 if it says nothing). */
export type Work = () => unknown;

interface Timed {
  readonly best: number;
  readonly spread: number;
}

interface Side {
  readonly name: string;
  readonly work: Work;
  /** Operations in one call of `work`. */
  readonly operations?: number;
}

export interface Comparison {
  readonly name: string;
  readonly ours: Omit<Side, "name">;
  readonly bound?: Side;
  readonly peer?: Side;
  /** Default 5. */
  readonly repetitions?: number;
  /** CPU time of one repetition of one side, in milliseconds. Default 200. */
  readonly sliceMs?: number;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Operations per CPU-second of ours, of the bound and of the peer. `work` may be asynchronous. */
export async function compare(comparison: Comparison): Promise<Measurement> {
  const { name, ours, bound, peer, repetitions = 5, sliceMs = 200 } = comparison;
  const sides = [ours, bound, peer].filter((side) => side !== undefined);
  // Enough calls to fill a slice, found while warming up.
  const calls: number[] = [];
  for (const side of sides) {
    let count = 0;
    const start = cpuMs();
    while (cpuMs() - start < sliceMs / 2) {
      await side.work();
      count++;
    }
    calls.push(Math.max(1, 2 * count));
  }
  const rates: number[][] = sides.map(() => []);
  for (let turn = 0; turn < repetitions; turn++) {
    for (const [i, side] of sides.entries()) {
      const start = cpuMs();
      for (let call = 0; call < calls[i]!; call++) {
        const pending = side.work();
        if (pending instanceof Promise) await pending;
      }
      rates[i]!.push((1000 * calls[i]! * (side.operations ?? 1)) / (cpuMs() - start));
    }
  }
  const timed = rates.map((all): Timed => ({
    best: Math.max(...all),
    spread: (Math.max(...all) - Math.min(...all)) / Math.max(...all),
  }));
  const [own] = timed as [Timed];
  const boundValue = bound === undefined ? null : timed[1]!.best;
  const peerValue = peer === undefined ? null : timed.at(-1)!.best;
  return {
    name,
    unit: "per CPU-second",
    value: own.best,
    bound: boundValue,
    peer: peerValue,
    ratio: boundValue === null ? null : own.best / boundValue,
    peerRatio: peerValue === null ? null : own.best / peerValue,
    boundName: bound?.name ?? null,
    peerName: peer?.name ?? null,
    repetitions,
    spread: own.spread,
  };
}
