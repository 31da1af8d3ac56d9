// SPDX-License-Identifier: Apache-2.0
/** The quorums of our witnessed logs: what the settings ask for, with a memory beside the anchors. */
import { join } from "node:path";
import type { Fetch } from "@lacre/core/client";
import type { Logger } from "./engine/index.ts";
import type { Installation } from "./installation/index.ts";
import { logIdentities } from "./logkeys.ts";
import { createQuorum, openMemory, readPolicy, type WitnessQuorum } from "./witnessing/index.ts";

/** Logs that may be witnessed. Checkpoints of the v1 dialect have one signature alone. */
export type Quorums = Readonly<Partial<Record<"ledger" | "ct", WitnessQuorum>>>;

export interface QuorumsOptions {
  readonly installation: Installation;
  readonly wanted: ReadonlySet<string>;
  /** Directory of the anchors, outside the data directory. */
  readonly anchors: string;
  readonly fetch: Fetch;
  readonly log?: Logger | undefined;
}

/** Opens the quorums of the logs that are wanted and configured. Nobody is asked yet. Throws CONFIG_INVALID. */
export function openQuorums({ installation, wanted, anchors, fetch, log }: QuorumsOptions): Quorums {
  const { settings, layout } = installation;
  const identities = logIdentities(installation);
  const quorums: Partial<Record<"ledger" | "ct", WitnessQuorum>> = {};
  for (const name of ["ledger", "ct"] as const) {
    const policy = readPolicy(settings.witnesses[name], layout.dir, `witnesses.${name}`);
    if (policy === undefined || !wanted.has(name)) continue;
    const { origin, key } = identities[name];
    const memory = openMemory(join(anchors, `${name}.witnesses.json`), origin);
    quorums[name] = createQuorum({
      policy,
      logKey: key,
      origin,
      memory,
      fetch,
      timeoutMs: settings.witnesses.timeoutSeconds * 1000,
      failOpen: settings.witnesses.failOpen,
      log,
    });
  }
  return quorums;
}
