// SPDX-License-Identifier: Apache-2.0
/** The flags that say whom to trust, and what a choice among all that could be meant comes to. */
import type { RootSource } from "@lacre/core/verify";
import { type FlagTable, type FlagValues, text } from "./verb.ts";

/** Flags that bring loose certificates to trust: `assembled.ts`. */
export const PIECE_FLAGS = {
  certificateChain: text("Authority to trust for the signer's certificate: PEM, from its issuer up to the root", {
    placeholder: "file",
  }),
  caRoots: text("Authorities to trust for the signer's certificate: PEM", { placeholder: "file" }),
  caIntermediates: text("Certificates between --ca-roots and the signer's", { placeholder: "file" }),
  timestampCertificateChain: text("Timestamp authority to trust: PEM, up to the root", { placeholder: "file" }),
} as const satisfies FlagTable;

export type PieceFlags = Partial<FlagValues<typeof PIECE_FLAGS>> & { readonly rekorUrl?: string | undefined };

/** The flags of trust packs, for every verb that verifies: `pack.ts`. */
export const PACK_FLAGS = {
  trustPack: text("Whom to trust: a sealed trust pack", { placeholder: "file" }),
  trustPackKey: text("The key that must have sealed --trust-pack", { placeholder: "file" }),
  trustPackIdentity: text("Who must have sealed --trust-pack (checked against the trust that applies without it)", {
    placeholder: "identity",
  }),
  trustPackIssuer: text("The issuer that vouched for --trust-pack-identity", { placeholder: "url" }),
} as const satisfies FlagTable;

export interface TrustFlags extends PieceFlags, Partial<FlagValues<typeof PACK_FLAGS>> {
  readonly trustedRoot?: string | undefined;
  readonly signingConfig?: string | undefined;
  readonly dir?: string | undefined;
  readonly offline?: boolean | undefined;
}

/** A document, and where it came from. */
export interface Chosen<T> {
  readonly value: T;
  readonly source: Required<RootSource>;
  /** Whether it belongs to an installation on this machine. */
  readonly isLocal: boolean;
  /** The document as it was read, where it can be read again for the same. */
  readonly bytes?: Uint8Array;
}
