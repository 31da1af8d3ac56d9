// SPDX-License-Identifier: Apache-2.0
/** Settings of `/metrics`. */
import { Type, type TSchema } from "typebox";

export interface MetricsConfig {
  /** When `/metrics` is served on the listener of everything else: what it shows is nobody's secret, but everybody's to read. */
  readonly serve: "development" | "always" | "never";
  /** `host:port` of a listener of its own, for `/metrics`, `/healthz` and `/livez` alone; empty: none. */
  readonly listen: string;
}

export const METRICS_DEFAULTS: MetricsConfig = { serve: "development", listen: "" };

export const METRICS_SCHEMA: TSchema = Type.Object(
  {
    serve: Type.Optional(
      Type.Union([Type.Literal("development"), Type.Literal("always"), Type.Literal("never")], {
        description: "When /metrics is served on the listener of everything else (default: development).",
      }),
    ),
    listen: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9.:\\[\\]_-]{0,255}$",
        description: "host:port of a listener for /metrics, /healthz and /livez alone (default: none).",
      }),
    ),
  },
  { additionalProperties: false, description: "What the process measures of itself, for Prometheus." },
);
