// SPDX-License-Identifier: Apache-2.0
/** Signatures: whatever the octets, over a digest and over its message the verdict is the same. */
import { readFileSync } from "node:fs";
import { fromHex } from "../packages/core/src/bytes/index.ts";
import { algorithmOf, checkSignatures, hash, importPublicKey, type SignatureClaim } from "../packages/core/src/crypto/index.ts";

export const name = "signature";

const { cases } = JSON.parse(readFileSync(new URL("../vectors/crypto/signatures.json", import.meta.url), "utf8")) as {
  cases: readonly { readonly algorithm: string; readonly spki: string; readonly message?: string; readonly signature: string }[];
};
const rows = cases.filter((vector) => vector.algorithm === "PKIX_ECDSA_P256_SHA_256" && vector.message !== undefined);
const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
const key = importPublicKey(fromHex(rows[0]!.spki));
const message = fromHex(rows[0]!.message!);
const digest = hash("sha256", message);

export const seeds: Uint8Array[] = rows.map((vector) => fromHex(vector.signature));

export function target(bytes: Uint8Array): void {
  const claim = (signed: SignatureClaim["signed"]): SignatureClaim => ({ algorithm, key, signed, signature: bytes });
  const [whole, ready] = checkSignatures([claim({ message }), claim({ digest })]);
  if (whole?.code !== ready?.code) throw new Error(`message: ${whole?.code}, digest: ${ready?.code}`);
  if (whole !== undefined) throw whole;
}
