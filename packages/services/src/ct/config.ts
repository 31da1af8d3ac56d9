// SPDX-License-Identifier: Apache-2.0
/** Settings of the CT log. */
import { Type, type TSchema } from "typebox";

export interface CtConfig {
  /** Whether strangers may read the log at /ct/checkpoint, /ct/tile/ and /ct/issuer/. Submitting is always possible. */
  readonly monitor: boolean;
}

export const CT_DEFAULTS: CtConfig = { monitor: true };

export const CT_SCHEMA: TSchema = Type.Object(
  {
    monitor: Type.Optional(Type.Boolean({ description: "Serve checkpoint, tiles and issuers under /ct/ (default: true)." })),
  },
  { additionalProperties: false, description: "The certificate transparency log at /ct/v1/." },
);
