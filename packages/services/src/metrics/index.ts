// SPDX-License-Identifier: Apache-2.0
/** What the process measures: counters under the peers' names and ours, with labels from bounded sets. */
export { METRICS_DEFAULTS, METRICS_SCHEMA, type MetricsConfig } from "./config.ts";
export { observeDoors } from "./doors.ts";
export { measureExpiries } from "./expiries.ts";
export { registerMetrics } from "./http.ts";
export { measureLogs, type LogMetrics } from "./logs.ts";
export { measureMachine } from "./machine.ts";
export {
  createMetrics,
  type Count,
  type Description,
  type Distribution,
  type Labels,
  type Metrics,
  type Reading,
  type Values,
} from "./registry.ts";
export { measureWatchers, type MonitorFigures, type QuorumFigures, type Watchers } from "./watchers.ts";
