// SPDX-License-Identifier: Apache-2.0
/** The monitor: logs in, alarms and matches out. */
export { MONITOR_DEFAULTS, MONITOR_SCHEMA, type MonitorConfig } from "./config.ts";
export { CERTIFICATE_ENTRIES, LEDGER_ENTRIES, type EntryReader, type EntryTraits } from "./entries.ts";
export { NO_RULES, parseRules, type Rule, type RuleFile, type SinkSettings } from "./rules.ts";
export { createMonitor, type LogStanding, type Monitor, type MonitorOptions, type MonitorStatus } from "./service.ts";
export { createSinks, type Sink } from "./sinks.ts";
export { openMonitorStore, type Alarm, type Event, type MonitorStore } from "./store.ts";
export { createWatch, type Look, type Watch, type WatchedLog } from "./watch.ts";
