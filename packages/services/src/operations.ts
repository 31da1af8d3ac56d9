// SPDX-License-Identifier: Apache-2.0
/** What an operator sees of a running installation: what is measured, what expires, whether all is well; and packed bundles. */
import { readFileSync } from "node:fs";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { createEdge, type EdgeObserver } from "./edge/index.ts";
import type { Expiry, HealthReport } from "./health/index.ts";
import type { CertificateName, Installation } from "./installation/index.ts";
import { findPlace, openDoors, parseListen } from "./listen.ts";
import type { LogName, Logs, Searches } from "./logs.ts";
import {
  createMetrics,
  type LogMetrics,
  measureExpiries,
  measureLogs,
  measureMachine,
  type Metrics,
  observeDoors,
  registerMetrics,
} from "./metrics/index.ts";
import { createPacker, type Packer } from "./reading/index.ts";
import { createFileSystem } from "./store/index.ts";
import type { TrustService } from "./tuf/index.ts";

/** What the process measures, from before the first log is opened. */
export interface Measures {
  readonly metrics: Metrics;
  readonly doors: EdgeObserver;
  readonly logs: LogMetrics;
}

const LOG_NAMES: readonly LogName[] = ["ct", "ledger", "ledger-v1"];

export function createMeasures(now: () => number): Measures {
  const metrics = createMetrics();
  return { metrics, doors: observeDoors(metrics), logs: measureLogs(metrics, LOG_NAMES, now) };
}

/** Measures what is open now. */
export function measureAll(
  { metrics, logs: measured }: Measures,
  o: {
    readonly installation: Installation;
    readonly logs: Logs;
    readonly searches: Searches;
    readonly expiries: () => readonly Expiry[];
    readonly health: () => HealthReport;
    readonly app: FastifyInstance;
    readonly now: () => number;
  },
): void {
  measured.show(o.logs);
  measureExpiries(metrics, o.expiries, o.now);
  measureMachine(metrics, {
    dir: o.installation.layout.dir,
    version: readVersion(),
    connections: () => o.app.openConnections(),
    held: () => o.app.heldOctets(),
  });
  metrics.gauge(
    { name: "lacre_search_size", help: "Entries that searches are complete for.", labels: { log: new Set(LOG_NAMES) } },
    () => Object.entries(o.searches).map(([log, { index }]) => [{ log }, index.size]),
  );
  metrics.gauge({ name: "lacre_ready", help: "1 while /healthz says that all is as promised." }, () => [
    [{}, o.health().ready ? 1 : 0],
  ]);
}

const CERTIFICATES: Readonly<Record<"ca" | "tsa", readonly CertificateName[]>> = {
  ca: ["ca-issuing", "ca-root"],
  tsa: ["tsa", "tsa-root"],
};

/** What expires of the parts that are served. */
export function expiriesOf(
  { certificates }: Installation,
  services: ReadonlySet<string>,
  trust: TrustService,
): () => readonly Expiry[] {
  const fixed = (["ca", "tsa"] as const)
    .filter((part) => services.has(part))
    .flatMap((part) => CERTIFICATES[part])
    // A certificate is good to the end of the second that it names.
    .map((what) => ({ what, fromMs: certificates[what].notBeforeMs, untilMs: certificates[what].notAfterMs + 999 }));
  return () => [
    ...fixed,
    ...(services.has("tuf") ? Object.entries(trust.expiries).map(([role, untilMs]) => ({ what: `tuf-${role}`, untilMs })) : []),
  ];
}

export type Packers = Readonly<Partial<Record<LogName, Packer>>>;

/** Packs the bundles of the logs that strangers read. */
export function openPackers({ layout }: Installation, logs: Logs, log: FastifyBaseLogger | undefined): Packers {
  const fs = createFileSystem();
  return Object.fromEntries(
    Object.entries(logs).map(([name, one]) => [
      name,
      createPacker({ fs, dir: layout.log(name), bundles: name === "ct" ? "data" : "entries", log: one, logger: log }),
    ]),
  );
}

/** Mounts `/metrics` where the settings want it, and opens a listener of its own. Throws ADDRESS_TAKEN, ADDRESS_UNUSABLE. */
export async function serveMetrics(
  app: FastifyInstance,
  metrics: Metrics,
  { facts, settings }: Installation,
  health: () => HealthReport,
  log: FastifyBaseLogger | undefined,
): Promise<{ readonly url: string | undefined; close(): Promise<void> }> {
  const { listen, serve } = settings.metrics;
  if (serve === "always" || (serve === "development" && facts.mode === "development")) registerMetrics(app, metrics);
  if (listen === "") return { url: undefined, close: async () => {} };
  const place = await findPlace(parseListen(listen));
  const own = createEdge({ log, health });
  registerMetrics(own, metrics);
  const close = await openDoors(own, place);
  log?.info({ url: `${place.url}/metrics` }, "metrics have a listener of their own");
  return { url: place.url, close };
}

function readVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
