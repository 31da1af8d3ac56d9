// SPDX-License-Identifier: Apache-2.0
/** What watches over logs: the monitor under its peer's names and ours, the witnesses of our logs, and our own witness. */
import type { Metrics, Reading } from "./registry.ts";

/** A monitor's standing, as far as it is measured. */
export interface MonitorFigures {
  readonly heartbeatMs: number | undefined;
  readonly looks: number;
  readonly failures: number;
  readonly matches: number;
  readonly undelivered: number;
  readonly givenUp: number;
  readonly logs: readonly { readonly origin: string; readonly alarm: unknown }[];
}

/** The witnesses of one of our logs. */
export interface QuorumFigures {
  readonly reached: boolean;
  readonly witnesses: readonly { readonly name: string; readonly timeMs: number | undefined }[];
}

export interface Watchers {
  readonly monitor: (() => MonitorFigures) | undefined;
  /** By log. */
  readonly quorums: Readonly<Record<string, () => QuorumFigures>>;
  /** Contradictions that our own witness has evidence of. */
  readonly contradictions: (() => number) | undefined;
}

/** Shows what watches. Every metric is there; what does not run has no figures. */
export function measureWatchers(metrics: Metrics, { monitor, quorums, contradictions }: Watchers): void {
  measureMonitor(metrics, monitor);
  measureQuorums(metrics, quorums);
  metrics.gauge(
    { name: "lacre_witness_contradictions", help: "Checkpoints that a log signed against what our witness had cosigned." },
    () => (contradictions === undefined ? [] : [[{}, contradictions()]]),
  );
}

function measureMonitor(metrics: Metrics, monitor: Watchers["monitor"]): void {
  const one = (read: (figures: MonitorFigures) => number | undefined) =>
    function* (): Reading<never> {
      const value = monitor && read(monitor());
      if (value !== undefined) yield [{}, value];
    };
  metrics.total(
    { name: "log_index_verification_total", help: "Looks of the monitor at a log." },
    one(({ looks, failures }) => looks + failures),
  );
  metrics.total(
    { name: "log_index_verification_failure", help: "Looks that did not end well." },
    one(({ failures }) => failures),
  );
  metrics.gauge(
    { name: "lacre_monitor_heartbeat_timestamp_seconds", help: "When a round of the monitor last ended." },
    one(({ heartbeatMs }) => heartbeatMs && heartbeatMs / 1000),
  );
  metrics.gauge(
    { name: "lacre_monitor_matches", help: "Entries that a rule matched." },
    one(({ matches }) => matches),
  );
  metrics.gauge(
    { name: "lacre_monitor_undelivered", help: "Events that are still to be told." },
    one(({ undelivered }) => undelivered),
  );
  metrics.gauge(
    { name: "lacre_monitor_given_up", help: "Events that could not be told." },
    one(({ givenUp }) => givenUp),
  );
  metrics.gauge(
    {
      name: "lacre_monitor_alarm",
      help: "1 while a log stands accused.",
      labels: { log: new Set(monitor?.().logs.map(({ origin }) => origin)) },
    },
    function* (): Reading<"log"> {
      for (const { origin, alarm } of monitor?.().logs ?? []) yield [{ log: origin }, alarm === undefined ? 0 : 1];
    },
  );
}

function measureQuorums(metrics: Metrics, quorums: Watchers["quorums"]): void {
  const logs = new Set(Object.keys(quorums));
  const names = new Set(Object.values(quorums).flatMap((quorum) => quorum().witnesses.map(({ name }) => name)));
  metrics.gauge(
    { name: "lacre_witness_quorum", help: "1 while enough witnesses cosign a log's checkpoints.", labels: { log: logs } },
    function* (): Reading<"log"> {
      for (const [log, quorum] of Object.entries(quorums)) yield [{ log }, quorum().reached ? 1 : 0];
    },
  );
  metrics.gauge(
    {
      name: "lacre_witness_cosigned_timestamp_seconds",
      help: "When a witness last cosigned, by its own clock.",
      labels: { log: logs, witness: names },
    },
    function* (): Reading<"log" | "witness"> {
      for (const [log, quorum] of Object.entries(quorums)) {
        for (const { name, timeMs } of quorum().witnesses)
          if (timeMs !== undefined) yield [{ log, witness: name }, timeMs / 1000];
      }
    },
  );
}
