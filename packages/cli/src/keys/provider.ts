// SPDX-License-Identifier: Apache-2.0
/** What a kind of key reference can do. One file a kind; `../keys.ts` has the table. */
import type { Algorithm, PublicKey } from "@lacre/core/crypto";
import type { Signer } from "@lacre/core/sign";
import type { Context } from "../context.ts";

/** A place that keeps keys. */
export interface KeyProvider {
  /** What signs with the key. `algorithm`: the one asked for; else what the key is made for. */
  openSigner(context: Context, reference: string, algorithm: Algorithm | undefined): Promise<Signer>;
  readPublicKey(context: Context, reference: string): Promise<PublicKey>;
  /** As `readPublicKey`, also from a private key: to print it, never to verify with it. */
  derivePublicKey?(context: Context, reference: string): Promise<PublicKey>;
  /** Makes a key there, never over one that exists. Returns its public half. */
  generate?(context: Context, reference: string, algorithm: Algorithm | undefined): Promise<PublicKey>;
}
