// SPDX-License-Identifier: Apache-2.0
/** Settings of the witnesses that our logs ask. */
import { Type, type TSchema } from "typebox";

export interface WitnessesConfig {
  /**
   * Who has to cosign the ledger's checkpoints (its log in the v2 dialect): a policy file of C2SP tlog-policy, by its path
   * in the data directory, or the policy itself. Empty: nobody, and nobody is asked.
   */
  readonly ledger: string;
  /** The same for the certificate log. */
  readonly ct: string;
  /** The shortest time between two publications of a witnessed log. */
  readonly intervalSeconds: number;
  /** How long witnesses may take before a publication is given up for now. */
  readonly timeoutSeconds: number;
  /** Publish even where the quorum is missing. The default, false, publishes nothing then. */
  readonly failOpen: boolean;
}

export const WITNESSES_DEFAULTS: WitnessesConfig = { ledger: "", ct: "", intervalSeconds: 1, timeoutSeconds: 5, failOpen: false };

const policy = (what: string): TSchema =>
  Type.String({
    maxLength: 1 << 20,
    description: `${what} Path of a C2SP tlog-policy file in the data directory, or its text (default: none, and nobody is asked).`,
  });

export const WITNESSES_SCHEMA: TSchema = Type.Object(
  {
    ledger: Type.Optional(policy("Who has to cosign the ledger's checkpoints.")),
    ct: Type.Optional(policy("Who has to cosign the certificate log's checkpoints.")),
    intervalSeconds: Type.Optional(
      Type.Number({
        minimum: 0.02,
        maximum: 3600,
        description: "Shortest time between publications of a witnessed log (default: 1).",
      }),
    ),
    timeoutSeconds: Type.Optional(
      Type.Number({ minimum: 0.1, maximum: 60, description: "How long witnesses may take (default: 5)." }),
    ),
    failOpen: Type.Optional(Type.Boolean({ description: "Publish without a quorum (default: false)." })),
  },
  { additionalProperties: false, description: "Witnesses that our logs ask for cosignatures." },
);
