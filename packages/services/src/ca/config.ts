// SPDX-License-Identifier: Apache-2.0
/** Settings of the authority. */
import { Type, type TSchema } from "typebox";

export interface CaConfig {
  /**
   * Whose identity tokens are taken: a document as Fulcio reads it, with `oidc-issuers`, `meta-issuers` and
   * `ci-issuer-metadata` (or their JSON spellings). A development installation adds its own provider.
   */
  readonly issuers: Readonly<Record<string, unknown>>;
}

export const CA_DEFAULTS: CaConfig = { issuers: {} };

export const CA_SCHEMA: TSchema = Type.Object(
  {
    issuers: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: true,
          description:
            "Issuers of identity tokens, in the form of Fulcio's configuration (default: none but the development provider).",
        },
      ),
    ),
  },
  { additionalProperties: false, description: "The certificate authority at /api/v2/signingCert." },
);
