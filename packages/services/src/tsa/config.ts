// SPDX-License-Identifier: Apache-2.0
/** Settings of the clock. */
import { Type, type TSchema } from "typebox";

export interface TsaConfig {
  /** The policy that tokens are issued under, and the only one that a request may ask for. */
  readonly policy: string;
  /** How far genTime may be from the true time, in seconds; written into each token. */
  readonly accuracySeconds: number;
}

export const TSA_DEFAULTS: TsaConfig = { policy: "1.3.6.1.4.1.57264.2", accuracySeconds: 1 };

export const TSA_SCHEMA: TSchema = Type.Object(
  {
    policy: Type.Optional(
      Type.String({
        pattern: "^[0-2](\\.(0|[1-9][0-9]{0,8})){2,20}$",
        description: "Policy OID of tokens (default: Sigstore's).",
      }),
    ),
    accuracySeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 3600, description: "Stated accuracy in seconds (default: 1)." }),
    ),
  },
  { additionalProperties: false, description: "The timestamp authority at /api/v1/timestamp." },
);
