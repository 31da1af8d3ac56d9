// SPDX-License-Identifier: Apache-2.0
/** Roots of search indexes, as anybody with the log's key could sign them. */
import { signNote } from "@lacre/core/bundle";
import { text, utf8 } from "@lacre/core/bytes";
import { generateKey, sha256 } from "@lacre/core/crypto";
import { INDEX_SHAPE, openIndexRoot, signIndexRoot } from "@lacre/core/search";

const key = generateKey("Ed25519");
const log = { origin: "log.example", key: key.publicKey };
const root = sha256(utf8("root"));
const segments = [
  { level: 1, place: 0, records: 50_000, root },
  { level: 0, place: 4, records: 9000, root },
];

export const name = "search-root";
export const seeds: Uint8Array[] = [
  utf8(
    signIndexRoot({ origin: "log.example", size: 5120, root, shape: INDEX_SHAPE, segments }, "log.example", key).split(
      "\n\n",
    )[0]!,
  ),
  utf8(
    signIndexRoot({ origin: "log.example", size: 0, root, shape: INDEX_SHAPE, segments: [] }, "log.example", key).split(
      "\n\n",
    )[0]!,
  ),
];

export function target(bytes: Uint8Array): void {
  openIndexRoot(signNote(`${text(bytes)}\n`, "log.example/search", key), log);
}
