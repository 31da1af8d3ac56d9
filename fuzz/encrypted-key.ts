// SPDX-License-Identifier: Apache-2.0
/** Encrypted keys of cosign's kind: what is read has costs that may be run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatPem, parsePem } from "../packages/core/src/codec/index.ts";
import { decodeEncryptedKey } from "../packages/cli/src/keys/encrypted.ts";

export const name = "encrypted-key";

const LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY";
const folder = join(import.meta.dirname, "../vectors/cosign-keys");

// The document inside, so that damage meets more than base64.
export const seeds: Uint8Array[] = ["p256.key", "rsa.key"].map((file) =>
  parsePem(readFileSync(join(folder, file), "utf8"), LABEL),
);

export function target(bytes: Uint8Array): void {
  const { cost, nonce } = decodeEncryptedKey(formatPem(LABEL, bytes));
  const isBounded = 128 * cost.n * cost.r <= 256 << 20 && cost.p <= 8;
  if (!isBounded || nonce.length !== 24) throw new Error("costs out of bounds were let through");
}
