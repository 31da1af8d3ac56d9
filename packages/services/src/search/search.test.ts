// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { parseCheckpoint } from "@lacre/core/bundle";
import { sha256 } from "@lacre/core/crypto";
import { checkInclusion } from "@lacre/core/merkle";
import { createSearchReader, keysOfEntry, type Match, type SearchSource } from "@lacre/core/search";
import { createEdge } from "../edge/index.ts";
import { entryOf, fullScan, LOG_KEY, openBed, ORIGIN, type Bed } from "./fixture.ts";
import { registerSearch } from "./http.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-search-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let beds = 0;
const fresh = (): string => join(scratch, `${beds++}`);

/** Files of a directory, as a plain web server has them. */
function directorySource(dir: string): SearchSource {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return await readFile(join(dir, path));
    } catch {
      return undefined;
    }
  };
  return { file: read, range: async (path, offset, length) => (await read(path))?.subarray(offset, offset + length) };
}

const LOG = { origin: ORIGIN, key: LOG_KEY.publicKey, kind: "artifacts" } as const;

interface Query {
  readonly keys: readonly string[];
  readonly match: Match;
  readonly after: number | undefined;
  readonly limit: number;
}

/** Asks all three readers and the scan. */
async function compare(bed: Bed, dir: string, query: Query): Promise<void> {
  const { log, blobs, search } = bed;
  const wanted = await fullScan(log, blobs, query.keys, query.match, query.after, query.limit);
  const answer = await search.search(query);
  assert.deepEqual([answer.entries.map(({ index }) => index), answer.size], [wanted, log.size], "embedded");

  const proved = await search.prove(query);
  assert.deepEqual([proved.entries.map(({ index }) => index), proved.size], [wanted, log.size], "with proof");
  const { size, root } = parseCheckpoint(proved.checkpoint);
  for (const { index, leafHash, proof } of proved.entries)
    checkInclusion(sha256, { index: BigInt(index), size, leafHash, proof, root });

  const app = createEdge();
  registerSearch(app, "/api", search, { files: true });
  const parameters = new URLSearchParams(query.keys.map((key): [string, string] => ["key", key]));
  parameters.set("match", query.match);
  parameters.set("limit", `${query.limit}`);
  if (query.after !== undefined) parameters.set("after", `${query.after}`);
  const over = await app.inject({ url: `/api/search?${parameters}` });
  const body = over.json() as { size: number; next: number | null; entries: { index: number; body: string }[] };
  assert.deepEqual(
    [over.statusCode, body.entries.map(({ index }) => index), body.size, body.next ?? undefined],
    [200, wanted, log.size, answer.next],
    "HTTP",
  );
  await app.close();

  // The index from files, the rest from the process, which alone has partial tiles.
  const files = { file: search.files.file, range: directorySource(dir).range };
  const result = await createSearchReader({ source: files, log: LOG }).search(query);
  assert.deepEqual([result.hits.map(({ index }) => index), result.size], [wanted, log.size], "files");
}

test("for random histories every answer equals a full scan: embedded, with proof, over HTTP, from files", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(1000), fc.boolean()), { minLength: 1, maxLength: 5 }),
      fc.array(
        fc.tuple(
          fc.array(fc.tuple(fc.nat(200), fc.nat(12)), { minLength: 1, maxLength: 3 }),
          fc.constantFrom<Match>("all", "any"),
          fc.option(fc.nat(100), { nil: undefined }),
          fc.integer({ min: 1, max: 200 }),
        ),
        { minLength: 2, maxLength: 4 },
      ),
      async (history, queries) => {
        const dir = fresh();
        let bed = await openBed(dir);
        for (const [count, seed, restarts] of history) {
          await bed.add(...Array.from({ length: count }, (_, at) => entryOf(seed + at)));
          if (!restarts) continue;
          await bed.close();
          bed = await openBed(dir);
        }
        await bed.search.index.settled();
        // What the v1 dialect asks: every criterion, each by any of its keys.
        const some = (at: number): string[] => keysOfEntry(entryOf(at), new Uint8Array(32)).slice(1, 4);
        const criteria = [some(history[0]![1]), ["issuer:https://accounts.example", ...some(history[0]![1] + 1)]];
        const meets = await Promise.all(criteria.map((keys) => fullScan(bed.log, bed.blobs, keys, "any", undefined, 10_000)));
        assert.deepEqual(
          await bed.search.find(criteria),
          meets[0]!.filter((at) => meets[1]!.includes(at)),
        );
        for (const [choices, match, behind, limit] of queries) {
          const keys: string[] = [];
          for (const [at, which] of choices) {
            const { record, leafHash } = (await bed.log.entry(at % bed.log.size))!;
            const own = keysOfEntry(record, leafHash);
            keys.push(which === 12 ? `domain:nobody${at}.example` : own[which % own.length]!);
          }
          await compare(bed, dir, { keys, match, after: behind, limit });
        }
        await bed.close();
        rmSync(dir, { recursive: true, force: true });
      },
    ),
    { numRuns: 12 },
  );
});

test("an entry is found as soon as it is acknowledged, and after a start", async () => {
  const dir = fresh();
  let bed = await openBed(dir);
  for (let at = 0; at < 40; at++) {
    const record = entryOf(at);
    await bed.add(record);
    const { leafHash } = (await bed.log.entry(at))!;
    for (const key of keysOfEntry(record, leafHash))
      assert.ok(
        (await bed.search.search({ keys: [key], match: "all", limit: 1000 })).entries.some(({ index }) => index === at),
        `${key} of ${at}`,
      );
  }
  await bed.close();
  bed = await openBed(dir);
  assert.equal(
    (
      await bed.search.search({
        keys: ["issuer:https://accounts.example", "issuer:https://token.actions.example"],
        match: "any",
        limit: 1000,
      })
    ).size,
    40,
  );
  assert.ok(readFileSync(join(dir, "index/search/root"), "utf8").startsWith(`${ORIGIN}/search\n40\n`));
  await bed.close();
});

test("a plain web server's files answer as far as the index reaches, and prove it, absence included", async () => {
  const dir = fresh();
  const bed = await openBed(dir, { shape: { generation: 256, fan: 2 } });
  for (let at = 0; at < 1400; at += 100) await bed.add(...Array.from({ length: 100 }, (_, i) => entryOf(at + i)));
  await bed.search.index.settled();
  const reader = createSearchReader({ source: directorySource(dir), log: LOG });
  for (const keys of [
    ["identity:ann@example.com"],
    ["domain:example.com"],
    ["under:https://github.com/acme"],
    ["identity:ann@example.com", "issuer:https://accounts.example"],
    ["identity:nobody@example.com"],
  ]) {
    const result = await reader.search({ keys, limit: 2000 });
    assert.deepEqual([result.size, result.signedBy, result.next], [1280, "index", undefined]);
    const wanted = (await fullScan(bed.log, bed.blobs, keys, "all", undefined, 2000)).filter((at) => at < 1280);
    assert.deepEqual(
      result.hits.map(({ index }) => index),
      wanted,
    );
    assert.equal(wanted.length === 0, keys[0] === "identity:nobody@example.com");
  }
  await bed.close();
});
