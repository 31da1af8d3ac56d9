// SPDX-License-Identifier: Apache-2.0
/** PEM: what is read survives our own spelling of it. */
import { equalBytes, text, utf8 } from "../packages/core/src/bytes/index.ts";
import { formatPem, parsePem, parsePemAll } from "../packages/core/src/codec/index.ts";

export const name = "pem";

export const seeds: Uint8Array[] = [
  formatPem("CERTIFICATE", new Uint8Array(100).fill(7)),
  `subject=x\r\n${formatPem("PUBLIC KEY", Uint8Array.of(1, 2, 3)).replaceAll("\n", "\r\n")}${formatPem("EC PRIVATE KEY", new Uint8Array(48))}`,
].map(utf8);

export function target(bytes: Uint8Array): void {
  for (const { label, der } of parsePemAll(text(bytes))) {
    if (!equalBytes(parsePem(formatPem(label, der), label), der)) throw new Error("a block is not read as it was written");
  }
}
