// SPDX-License-Identifier: Apache-2.0
/**
 * The monitor of an installation's own logs: it reads what strangers read, through the same doors, and keeps a memory of
 * its own. The log in the v1 dialect has no doors for tiles; it is read from the engine.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { utf8 } from "@lacre/core/bytes";
import { createWitnessClient, type Fetch } from "@lacre/core/client";
import { fetchTiles, type TileSource } from "@lacre/core/log";
import { parseTilePath } from "@lacre/core/merkle";
import type { Log, Logger } from "./engine/index.ts";
import { ServiceError } from "./errors.ts";
import type { Installation } from "./installation/index.ts";
import { logIdentities } from "./logkeys.ts";
import type { Logs } from "./logs.ts";
import {
  CERTIFICATE_ENTRIES,
  createMonitor,
  createSinks,
  LEDGER_ENTRIES,
  NO_RULES,
  openMonitorStore,
  parseRules,
  type Monitor,
  type RuleFile,
  type WatchedLog,
} from "./monitor/index.ts";
import { readPolicy } from "./witnessing/index.ts";

export interface MonitoringOptions {
  readonly installation: Installation;
  readonly logs: Logs;
  /** Where the installation answers. */
  readonly url: string;
  /** Stays in the process for `url`. */
  readonly fetch: Fetch;
  readonly now: () => number;
  readonly log?: Logger | undefined;
}

/** Limit for one delivery of an event. */
const DELIVERY_MS = 10_000;

/** Opens the monitor, unless it is switched off. It looks at nothing before it is started. Throws CONFIG_INVALID. */
export function openMonitoring(o: MonitoringOptions): Monitor | undefined {
  const { settings, layout, facts } = o.installation;
  if (!settings.monitor.enabled || Object.keys(o.logs).length === 0) return undefined;
  const file = readRules(settings.monitor.rules, layout.dir);
  const folder = join(layout.dir, "monitor");
  return createMonitor({
    logs: watchedLogs(o),
    rules: file.rules,
    sinks: createSinks(file.sinks, { folder: layout.dir, fetch: globalThis.fetch as Fetch, timeoutMs: DELIVERY_MS }),
    store: openMonitorStore(join(folder, "monitor.db"), facts.id),
    intervalMs: settings.monitor.intervalSeconds * 1000,
    heartbeat: file.heartbeat === undefined ? join(folder, "heartbeat.json") : resolve(layout.dir, file.heartbeat),
    now: o.now,
    log: o.log,
  });
}

function readRules(setting: string, dir: string): RuleFile {
  if (setting === "") return NO_RULES;
  const path = resolve(dir, setting);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new ServiceError("CONFIG_INVALID", "monitor.rules: the file cannot be read", {
      detail: `${path}: ${(cause as Error).message}`,
      cause,
    });
  }
  return parseRules(bytes, setting);
}

function watchedLogs({ installation, logs, url, fetch }: MonitoringOptions): readonly WatchedLog[] {
  const identities = logIdentities(installation);
  const { settings, layout } = installation;
  const served = (path: string): TileSource => fetchTiles({ url: `${url}${path}`, fetch, retries: 0 });
  const watched: WatchedLog[] = [];
  for (const name of ["ledger", "ct", "ledger-v1"] as const) {
    const log = logs[name];
    if (log === undefined) continue;
    const { origin, key, path } = identities[name];
    const isServed = path !== undefined && (name !== "ct" || settings.ct.monitor);
    const policy = name === "ledger-v1" ? undefined : readPolicy(settings.witnesses[name], layout.dir, `witnesses.${name}`);
    const witnesses = (policy?.witnesses ?? []).flatMap(({ name: by, url: at }) =>
      at === undefined
        ? []
        : [
            {
              by: `witness ${by}`,
              client: createWitnessClient({ url: at, fetch: globalThis.fetch as Fetch, retries: 0, timeoutMs: DELIVERY_MS }),
            },
          ],
    );
    watched.push({
      origin,
      key,
      source: isServed ? served(path) : engineSource(log),
      entries: name === "ct" ? CERTIFICATE_ENTRIES : LEDGER_ENTRIES,
      views: witnesses.map(({ by, client }) => ({ by, latest: () => client.latest(origin) })),
    });
  }
  return watched;
}

function engineSource(log: Log): TileSource {
  return async (path) =>
    path === "checkpoint" ? utf8(log.checkpoint()) : log.readTile(parseTilePath(path.slice("tile/".length)));
}
