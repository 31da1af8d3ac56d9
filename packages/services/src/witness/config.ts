// SPDX-License-Identifier: Apache-2.0
/** Settings of the witness. */
import { Type, type TSchema } from "typebox";

export interface WitnessConfig {
  /** Name in its cosignatures; empty: `witness.<id>.lacre.localhost`. Fixed once a log relies on it. */
  readonly name: string;
  /** The logs it watches over: key, and the origin where it is another than the key's name. None: there is no witness. */
  readonly logs: readonly { readonly vkey: string; readonly origin?: string }[];
  /** The kinds of keys it cosigns with. */
  readonly keys: readonly ("Ed25519" | "ML-DSA-44")[];
}

export const WITNESS_DEFAULTS: WitnessConfig = { name: "", logs: [], keys: ["Ed25519", "ML-DSA-44"] };

export const WITNESS_SCHEMA: TSchema = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: "^[^\\s+]{0,255}$",
        description: "Name in its cosignatures (default: made from the installation's id).",
      }),
    ),
    logs: Type.Optional(
      Type.Array(
        Type.Object(
          {
            vkey: Type.String({ description: "The log's key, as a verifier key." }),
            origin: Type.Optional(Type.String({ minLength: 1, description: "Where it is another than the key's name." })),
          },
          { additionalProperties: false },
        ),
        { maxItems: 10_000, description: "The logs it watches over (default: none, and no witness runs)." },
      ),
    ),
    keys: Type.Optional(
      Type.Array(Type.Union([Type.Literal("Ed25519"), Type.Literal("ML-DSA-44")]), {
        minItems: 1,
        maxItems: 2,
        uniqueItems: true,
        description: "Kinds of keys it cosigns with (default: both).",
      }),
    ),
  },
  { additionalProperties: false, description: "The witness at /add-checkpoint: cosigns checkpoints of other logs." },
);
