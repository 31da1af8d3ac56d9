// SPDX-License-Identifier: Apache-2.0
/** Private keys as a page reads them. */
import { decodePkcs8, encodePkcs8 } from "../packages/core/src/crypto/pkcs8.ts";

export const name = "pkcs8";

const octets = (length: number): Uint8Array => new Uint8Array(length).fill(7);

export const seeds: Uint8Array[] = [
  encodePkcs8("P-256", octets(32), octets(65)),
  encodePkcs8("P-384", octets(48), octets(97)),
  encodePkcs8("P-521", octets(66), octets(133)),
  encodePkcs8("Ed25519", octets(32), octets(32)),
];

export function target(bytes: Uint8Array): void {
  decodePkcs8(bytes);
}
