// SPDX-License-Identifier: Apache-2.0
// Searches a log with nothing but fetch and range requests, and proves the answer, absence included. Runs as it is in Node,
// Deno, Bun and a page; the files may come from a plain web server.
//
//   node examples/search.mjs http://localhost:7800/api/v2 email:you@example.com ledger.0a1b2c3d.lacre.localhost MCowBQYDK2Vw…
//
// The last two say which log: its origin, and its key (SubjectPublicKeyInfo, base64), as in a trusted root's `tlogs`.
import { importPublicKey } from "@lacre/core/crypto";
import { createSearchReader, fetchSearch } from "@lacre/core/search";

/** Finds entries by a key such as `email:…`, `digest:sha256:…`, `under:https://github.com/org`. */
export async function search(url, key, origin, spki) {
  const reader = createSearchReader({
    source: fetchSearch({ url, fetch }),
    log: { origin, key: importPublicKey(Uint8Array.from(atob(spki), (letter) => letter.charCodeAt(0))), kind: "artifacts" },
  });
  const { hits, size, indexSize } = await reader.search({ keys: [key] });
  return { found: hits.map(({ index }) => index), size, indexSize };
}

const [url, key, origin, spki] = globalThis.process?.argv.slice(2) ?? [];
if (spki !== undefined) {
  const { found, size, indexSize } = await search(url, key, origin, spki);
  console.log(
    found.length === 0
      ? `no entry among the first ${size}: proved`
      : `entries ${found.join(", ")} among the first ${size}, and no others: proved`,
  );
  console.log(`${indexSize} entries by the index, ${size - indexSize} read one by one`);
}
