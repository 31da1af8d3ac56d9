// SPDX-License-Identifier: Apache-2.0
/** Settings of the artifact ledger. */
import { Type, type TSchema } from "typebox";

export interface LedgerConfig {
  /**
   * The log's key, chosen when the installation is created and fixed from then on: Ed25519 as public logs use it, or
   * P-256 for clusters whose policy-controller reads no other (its trust roots refuse Ed25519).
   */
  readonly keyType: "Ed25519" | "P-256";
}

export const LEDGER_DEFAULTS: LedgerConfig = { keyType: "Ed25519" };

export const LEDGER_SCHEMA: TSchema = Type.Object(
  {
    keyType: Type.Optional(
      Type.Union([Type.Literal("Ed25519"), Type.Literal("P-256")], {
        description: "Key of the log; read at creation only (default: Ed25519).",
      }),
    ),
  },
  { additionalProperties: false, description: "The artifact ledger at /api/v2/." },
);
