// SPDX-License-Identifier: Apache-2.0
/** What entries are found by, and what people look for: entries of any octets have keys, keys of any text are spelled or refused. */
import { text, utf8 } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { answerSource, keysOfCertificateEntry, keysOfEntry, parseSearchKey } from "@lacre/core/search";
import { attestedEntry, certificateFor, entryOf } from "../packages/services/src/search/fixture.ts";

const { body, payload } = attestedEntry(["ab".repeat(32)]);
const der = certificateFor(
  "uri",
  "https://github.com/acme/tool/.github/workflows/x.yml@refs/heads/main",
  "https://token.example",
);
const leaf = Buffer.concat([Buffer.alloc(8), Buffer.of(0, 0, 0, der.length >> 8, der.length & 255), der, Buffer.alloc(4)]);
const nothing = { file: async () => undefined, range: async () => undefined };

export const name = "search-keys";
export const seeds: Uint8Array[] = [
  ...Array.from({ length: 15 }, (_, at) => entryOf(at)),
  body,
  payload,
  leaf,
  utf8("identity:you@example.com"),
  utf8(`digest:sha256:${"ab".repeat(32)}`),
  utf8(
    '{"size":1,"next":null,"checkpoint":"x","entries":[],"proof":{"signedBy":"checkpoint","indexRoot":"y","pages":[{"path":"index/search/0/000","offset":0,"bytes":"AAAA"}]}}',
  ),
];

export function target(bytes: Uint8Array): void {
  const hash = new Uint8Array(32);
  const keys = [...keysOfEntry(bytes, hash), ...keysOfEntry(body, hash, bytes), ...keysOfCertificateEntry(bytes, hash)];
  // What an entry has can be asked for.
  for (const key of keys)
    if (!key.startsWith("identity:") && parseSearchKey(key) !== key) throw new Error(`${key} cannot be asked for`);
  for (const read of [() => parseSearchKey(text(bytes)), () => answerSource(bytes, nothing)]) {
    try {
      read();
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
    }
  }
}
