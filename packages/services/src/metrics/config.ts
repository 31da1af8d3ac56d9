// SPDX-License-Identifier: Apache-2.0
/** Settings of `/metrics`. */
import { Type, type TSchema } from "typebox";

export interface MetricsConfig {
  /** Whether `/metrics` is served on the listener of everything else. Left out: in development, unless `listen` is set. */
  readonly serve?: boolean;
  /** `host:port` of a listener of its own, for `/metrics`, `/healthz` and `/livez` alone. */
  readonly listen?: string;
}

export const METRICS_DEFAULTS: MetricsConfig = {};

export const METRICS_SCHEMA: TSchema = Type.Object(
  {
    serve: Type.Optional(Type.Boolean({ description: "Serve /metrics on the listener of everything else (default: in development, unless listen is set)." })),
    listen: Type.Optional(Type.String({ pattern: "^[A-Za-z0-9.:\\[\\]_-]{1,255}$", description: "host:port of a listener for /metrics, /healthz and /livez alone (default: none)." })),
  },
  { additionalProperties: false, description: "What the process measures of itself, for Prometheus." },
);
