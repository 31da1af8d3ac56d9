// SPDX-License-Identifier: Apache-2.0
/** Settings of the trust repository: how long each kind of metadata is believed. */
import { Type, type TSchema } from "typebox";

export interface TufConfig {
  /** Life of `timestamp.json` in seconds: how old a view of the repository a client may be shown. */
  readonly timestampLifeSeconds: number;
  /** Life of snapshot metadata in seconds. */
  readonly snapshotLifeSeconds: number;
  /** Life of targets metadata in seconds. */
  readonly targetsLifeSeconds: number;
  /** Life of root metadata in seconds. */
  readonly rootLifeSeconds: number;
}

const DAY = 86_400;

export const TUF_DEFAULTS: TufConfig = {
  timestampLifeSeconds: 7 * DAY,
  snapshotLifeSeconds: 30 * DAY,
  targetsLifeSeconds: 90 * DAY,
  rootLifeSeconds: 365 * DAY,
};

function life(description: string): TSchema {
  return Type.Optional(Type.Integer({ minimum: 1, maximum: 36_500 * DAY, description }));
}

export const TUF_SCHEMA: TSchema = Type.Object(
  {
    timestampLifeSeconds: life("Life of timestamp.json in seconds (default: 7 days). Renewed at half of it."),
    snapshotLifeSeconds: life("Life of snapshot metadata in seconds (default: 30 days)."),
    targetsLifeSeconds: life("Life of targets metadata in seconds (default: 90 days)."),
    rootLifeSeconds: life("Life of root metadata in seconds (default: 365 days)."),
  },
  { additionalProperties: false, description: "The trust repository at /tuf/." },
);
