// SPDX-License-Identifier: Apache-2.0
/**
 * Lets a few in at a time; the others wait in order. For work that shares something scarce with work that must not wait:
 * readers of files use the same few threads as the commits of the logs.
 */
export type Gate = <T>(work: () => Promise<T>) => Promise<T>;

/** A gate for `width` at a time. */
export function createGate(width: number): Gate {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return async (work) => {
    if (inside < width) inside++;
    else await new Promise<void>((enter) => waiting.push(enter));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // Whoever is next takes this place; nobody else can.
      if (next === undefined) inside--;
      else next();
    }
  };
}
