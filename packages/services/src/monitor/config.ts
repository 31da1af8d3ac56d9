// SPDX-License-Identifier: Apache-2.0
/** Settings of the monitor. */
import { Type, type TSchema } from "typebox";

export interface MonitorConfig {
  /** Whether the installation watches over its own logs. */
  readonly enabled: boolean;
  /** Time between two looks at each log. */
  readonly intervalSeconds: number;
  /** What to look for and whom to tell: a file (see docs/monitoring.md), by path in the data directory. Empty: consistency alone. */
  readonly rules: string;
}

export const MONITOR_DEFAULTS: MonitorConfig = { enabled: true, intervalSeconds: 10, rules: "" };

export const MONITOR_SCHEMA: TSchema = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ description: "Watch over our own logs (default: true)." })),
    intervalSeconds: Type.Optional(
      Type.Number({ minimum: 0.05, maximum: 86_400, description: "Time between two looks at each log (default: 10)." }),
    ),
    rules: Type.Optional(
      Type.String({
        description: "File of rules and sinks in the data directory (default: none, consistency is watched alone).",
      }),
    ),
  },
  { additionalProperties: false, description: "The monitor of our own logs." },
);
