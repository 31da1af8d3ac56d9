// SPDX-License-Identifier: Apache-2.0
/** What the logs do, and what they say of themselves. */
import type { Log, LogHealth, LogObserver } from "../engine/index.ts";
import type { Labels, Metrics, Reading } from "./registry.ts";

const SECONDS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const ENTRIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Measures logs: `observe` before one is opened, `show` when it is open. */
export interface LogMetrics {
  observe(name: string): LogObserver;
  show(logs: Readonly<Record<string, Log>>): void;
  /** An entry of this kind is new in the ledger's log of the v2 dialect. */
  logged(kind: string): void;
}

/** Measures the logs of these names. */
export function measureLogs(metrics: Metrics, names: readonly string[], now: () => number): LogMetrics {
  const labels = { log: new Set(names) };
  const entries = metrics.counter({ name: "lacre_log_entries_total", help: "Entries committed since the start.", labels });
  const octets = metrics.counter({ name: "lacre_log_committed_bytes_total", help: "Octets of commits since the start.", labels });
  const group = metrics.histogram({ name: "lacre_log_group_entries", help: "Entries of a commit.", labels }, ENTRIES);
  const commit = metrics.histogram({ name: "lacre_log_commit_seconds", help: "Time to make a commit durable.", labels }, SECONDS);
  const publish = metrics.histogram(
    { name: "lacre_log_publish_seconds", help: "Time to publish a checkpoint, witnesses included.", labels },
    SECONDS,
  );
  const rekor1 = metrics.counter({ name: "rekor_new_entries", help: "New entries of the ledger's log in the v1 dialect." });
  const rekor2 = {
    hashedrekord: metrics.counter({
      name: "rekor_v2_new_hashedrekord_entries",
      help: "New hashedrekord entries of the ledger's log in the v2 dialect.",
    }),
    dsse: metrics.counter({ name: "rekor_v2_new_dsse_entries", help: "New dsse entries of the ledger's log in the v2 dialect." }),
  } as const;
  // A series that has not begun looks like one that was never there.
  for (const counter of [rekor1, rekor2.hashedrekord, rekor2.dsse]) counter.add({}, 0);

  return {
    observe: (log) => ({
      committed(one) {
        entries.add({ log }, one.entries);
        octets.add({ log }, one.octets);
        if (one.entries > 0) group.observe({ log }, one.entries);
        commit.observe({ log }, one.seconds);
        if (log === "ledger-v1") rekor1.add({}, one.entries);
      },
      published: ({ seconds }) => publish.observe({ log }, seconds),
    }),
    logged(kind) {
      if (kind === "hashedrekord" || kind === "dsse") rekor2[kind].add({});
    },
    show(logs) {
      const gauge = (name: string, help: string, read: (health: LogHealth) => number): void =>
        metrics.gauge({ name, help, labels }, function* (): Reading<"log"> {
          for (const [log, one] of Object.entries(logs)) yield [{ log } as Labels<"log">, read(one.health())];
        });
      gauge("lacre_log_serving", "1 while the log takes and publishes entries.", ({ status }) => (status === "serving" ? 1 : 0));
      gauge("lacre_log_size", "Entries of the published tree.", ({ published }) => published);
      gauge(
        "lacre_log_unpublished_entries",
        "Entries that are committed but not published.",
        ({ committed, published }) => committed - published,
      );
      gauge(
        "lacre_log_unpublished_seconds",
        "How long something is committed that is not published.",
        ({ behindMs }) => behindMs / 1000,
      );
      gauge("lacre_log_queue_entries", "Entries that wait for their commit.", ({ waiting }) => waiting);
      gauge("lacre_log_queue_oldest_seconds", "How long the oldest of them has waited.", ({ oldestMs }) => oldestMs / 1000);
      gauge(
        "lacre_log_checkpoint_age_seconds",
        "Age of the published checkpoint.",
        ({ timeMs }) => Math.max(0, now() - timeMs) / 1000,
      );
      gauge("lacre_log_unwitnessed", "1 while nothing is published because too few witnesses answer.", ({ status }) =>
        status === "unwitnessed" ? 1 : 0,
      );
    },
  };
}
