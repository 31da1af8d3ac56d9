// SPDX-License-Identifier: Apache-2.0
/** Settings of `/healthz`: what this installation promises of its own freshness. */
import { Type, type TSchema } from "typebox";

export interface HealthConfig {
  /** Entries wait no longer than this for their commit, and committed ones for a checkpoint; a checkpoint is this much older than the renewal at most. */
  readonly publishWithinSeconds: number;
  /** A checkpoint that has stood this long is renewed although nothing came; 0: never. */
  readonly renewMinutes: number;
}

export const HEALTH_DEFAULTS: HealthConfig = { publishWithinSeconds: 60, renewMinutes: 10 };

export const HEALTH_SCHEMA: TSchema = Type.Object(
  {
    publishWithinSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86_400,
        description: "How long entries may wait to be published before /healthz says that something is wrong (default: 60).",
      }),
    ),
    renewMinutes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1440,
        description: "How old a checkpoint may become before it is renewed without growth; 0 for never (default: 10).",
      }),
    ),
  },
  { additionalProperties: false, description: "What /healthz holds the logs to." },
);
