// SPDX-License-Identifier: Apache-2.0
/** Public keys, and what follows on them: writing, checking a signature. */
import { readFileSync } from "node:fs";
import { equalBytes, fromHex } from "../packages/core/src/bytes/index.ts";
import { ALGORITHMS, checkSignatures, fits, importPublicKey } from "../packages/core/src/crypto/index.ts";
import { encodeSpki } from "../packages/core/src/crypto/spki.ts";

export const name = "spki";

const { cases } = JSON.parse(readFileSync(new URL("../vectors/crypto/signatures.json", import.meta.url), "utf8")) as {
  cases: readonly { readonly spki: string; readonly expected: string }[];
};
const spellings = new Set(cases.filter((vector) => vector.expected === "valid").map((vector) => vector.spki));

/** One key of each type and size; for ML-DSA any octets are a key. */
export const seeds: Uint8Array[] = [...[...spellings].map(fromHex), encodeSpki("ML-DSA-44", new Uint8Array(1312).fill(5))];

const digest = new Uint8Array(32).fill(1);
// 1 and 1: a well-formed signature that a random key does not bear out.
const signature = Uint8Array.of(0x30, 6, 2, 1, 1, 2, 1, 1);

export function target(bytes: Uint8Array): void {
  const key = importPublicKey(bytes);
  if (!equalBytes(encodeSpki(key.type, key.raw), bytes)) throw new Error("a key has two encodings");
  const algorithm = ALGORITHMS.find((row) => fits(row, key))!;
  const signed = algorithm.prehashed && algorithm.hash === "sha256" ? { digest } : { message: digest };
  const [refusal] = checkSignatures([{ algorithm, key, signed, signature }]);
  if (refusal === undefined) throw new Error("a key accepts a made-up signature");
}
