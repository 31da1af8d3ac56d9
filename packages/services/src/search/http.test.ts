// SPDX-License-Identifier: Apache-2.0
/** Search over HTTP, and the index as files: from a real server by range requests, and from a web server that knows nothing. */
import assert from "node:assert/strict";
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { toHex, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { hashLeaf } from "@lacre/core/merkle";
import {
  answerSource,
  createSearchReader,
  fetchSearch,
  type IndexRoot,
  openIndexRoot,
  payloadPath,
  ROOT_PATH,
  type SearchReader,
  type SearchSource,
  signIndexRoot,
} from "@lacre/core/search";
import { createEdge } from "../edge/index.ts";
import type { ServiceError } from "../errors.ts";
import type { FastifyInstance } from "fastify";
import { attestedEntry, entryOf, fullScan, LOG_KEY, openBed, ORIGIN, type Bed } from "./fixture.ts";
import { registerSearch } from "./http.ts";

const dir = mkdtempSync(join(tmpdir(), "lacre-search-http-"));
const LOG = { origin: ORIGIN, key: LOG_KEY.publicKey, kind: "artifacts" } as const;
const SUBJECT = "5e".repeat(32);
let bed: Bed;
let app: FastifyInstance;
let url: string;
let plain: Server;

/** A web server as anybody has one: files, and one range. Counts what it is asked for. */
function serveDirectory(root: string, asked: string[]): Server {
  return createServer((request, response) => {
    const path = join(root, request.url!);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    asked.push(`${request.url} ${request.headers.range ?? ""}`);
    try {
      const { size } = statSync(path);
      if (range === null) createReadStream(path).pipe(response.writeHead(200, { "content-length": size }));
      else createReadStream(path, { start: Number(range[1]), end: Number(range[2]) }).pipe(response.writeHead(206));
    } catch {
      response.writeHead(404).end();
    }
  });
}
const asked: string[] = [];

before(async () => {
  bed = await openBed(dir, { shape: { generation: 256, fan: 4 }, entriesInMemory: 256 });
  const { body, payload } = attestedEntry([SUBJECT]);
  const leafHash = hashLeaf(sha256, body);
  await bed.blobs.putImmutable(payloadPath(leafHash), payload);
  await bed.add(body);
  for (let at = 0; at < 1320; at += 120) await bed.add(...Array.from({ length: 120 }, (_, i) => entryOf(at + i)));
  await bed.search.index.flush();
  app = createEdge();
  registerSearch(app, "/api/v1", bed.search, { files: true });
  url = `${await app.listen({ host: "127.0.0.1", port: 0 })}/api/v1`;
  plain = serveDirectory(dir, asked);
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
});
after(async () => {
  await app.close();
  plain.close();
  await bed.close();
  rmSync(dir, { recursive: true, force: true });
});

const reader0 = (): SearchReader => createSearchReader({ source: bed.search.files, log: LOG });
const scan = (keys: readonly string[], limit = 10_000): Promise<number[]> =>
  fullScan(bed.log, bed.blobs, keys, "all", undefined, limit);
const get = (path: string, headers = {}) => app.inject({ url: `/api/v1/${path}`, headers });

test("a reader with nothing but fetch and ranges finds and proves, absence included", async () => {
  const reader = createSearchReader({ source: fetchSearch({ url, fetch }), log: LOG });
  for (const keys of [
    ["identity:ann@example.com"],
    ["under:https://github.com/acme/tool", "issuer:https://accounts.example"],
    ["identity:nobody@example.com"],
    [`digest:${SUBJECT}`],
  ]) {
    const result = await reader.search({ keys, limit: 10_000 });
    assert.deepEqual(
      [result.hits.map(({ index }) => index), result.size, result.signedBy],
      [await scan(keys), 1321, "checkpoint"],
    );
  }
  assert.deepEqual(await scan([`digest:${SUBJECT}`]), [0]);
});

test("so does one against a plain web server over the log's directory, as far as the index reaches", async () => {
  const { port } = plain.address() as AddressInfo;
  const reader = createSearchReader({ source: fetchSearch({ url: `http://127.0.0.1:${port}`, fetch }), log: LOG });
  asked.length = 0;
  const nobody = await reader.search({ keys: ["identity:nobody@example.com"] });
  assert.deepEqual([nobody.hits, nobody.size, nobody.signedBy], [[], 1280, "index"]);
  // The root and the pages on the way to where the key would be: no segment was read whole.
  const ranges = asked.filter((line) => line.startsWith("/index/search/") && line.includes("bytes="));
  assert.ok(ranges.length >= 2 && ranges.length <= 6, ranges.join("\n"));
  const octets = ranges.reduce((sum, line) => sum + Number(/-(\d+)$/.exec(line)![1]) - Number(/=(\d+)/.exec(line)![1]) + 1, 0);
  assert.ok(octets < statSync(join(dir, "index/search/1/000")).size, `${octets} octets`);
  const ann = await reader.search({ keys: ["identity:ann@example.com"], limit: 10_000 });
  assert.deepEqual(
    ann.hits.map(({ index }) => index),
    (await scan(["identity:ann@example.com"])).filter((at) => at < 1280),
  );
});

test("an answer with proof brings what a reader needs; what it claims is not believed", async () => {
  const keys = ["identity:ann@example.com"];
  const bytes = (await get(`search?key=${keys[0]}&proof=true&limit=100`)).rawPayload;
  const missing = (path: string): never => assert.fail(`${path} was asked for again`);
  const rest = {
    file: async (path: string) =>
      path.startsWith("index/") || path === "checkpoint" ? missing(path) : bed.search.files.file(path),
    range: async (path: string) => missing(path),
  };
  const result = await createSearchReader({ source: answerSource(bytes, rest), log: LOG }).search({ keys, limit: 100 });
  assert.deepEqual(
    result.hits.map(({ index }) => index),
    await scan(keys, 100),
  );
  // An answer that leaves entries out proves the same: its list is not looked at. One with a changed page is refused.
  const lie = JSON.parse(bytes.toString()) as { entries: unknown[]; proof: { pages: { bytes: string }[] } };
  lie.entries = [];
  const again = await createSearchReader({ source: answerSource(utf8(JSON.stringify(lie)), rest), log: LOG }).search({
    keys,
    limit: 100,
  });
  assert.equal(again.hits.length, result.hits.length);
  const page = Buffer.from(lie.proof.pages.at(-1)!.bytes, "base64");
  page[9]! ^= 1;
  lie.proof.pages.at(-1)!.bytes = page.toString("base64");
  await assert.rejects(
    createSearchReader({ source: answerSource(utf8(JSON.stringify(lie)), rest), log: LOG }).search({ keys, limit: 100 }),
    (error: LacreError) => error.code === "SEARCH_INDEX_DAMAGED",
  );
});

test("a cursor goes through all of an answer, each entry once", async () => {
  const key = "issuer:https://accounts.example";
  const found: number[] = [];
  let after: number | null = null;
  let pages = 0;
  do {
    const answer = (await get(`search?key=${key}&limit=100${after === null ? "" : `&after=${after}`}`)).json() as {
      next: number | null;
      size: number;
      entries: { index: number; leafHash: string; keys: string[]; body: string }[];
    };
    for (const { index, leafHash, keys, body } of answer.entries) {
      found.push(index);
      assert.equal(leafHash, toHex(hashLeaf(sha256, Buffer.from(body, "base64"))));
      assert.deepEqual(keys, [key]);
    }
    after = answer.next;
    pages++;
  } while (after !== null);
  assert.deepEqual(found, await scan([key]));
  assert.ok(pages > 3);
});

test("a reader goes page by page too, over segments and tail alike", async () => {
  const reader = createSearchReader({ source: fetchSearch({ url, fetch }), log: LOG });
  const keys = ["issuer:https://accounts.example"];
  const found: number[] = [];
  let after: number | undefined;
  for (;;) {
    const { hits, next } = await reader.search({ keys, limit: 150, after });
    found.push(...hits.map(({ index }) => index));
    if (next === undefined) break;
    after = next;
  }
  assert.deepEqual(found, await scan(keys));
  const any = await reader.search({
    keys: [["identity:ann@example.com", "identity:robot!"], "issuer:https://accounts.example"],
    limit: 10_000,
  });
  const either = new Set([
    ...(await scan(["identity:ann@example.com", keys[0]!])),
    ...(await scan(["identity:robot!", keys[0]!])),
  ]);
  assert.deepEqual(
    any.hits.map(({ index }) => index),
    [...either].toSorted((a, b) => a - b),
  );
});

test("a root for another tree is refused, though the log's key signed it; so is one that claims more segments than files", async () => {
  const root = openIndexRoot(bed.search.index.root, LOG);
  const withRoot = (change: Partial<IndexRoot>): SearchSource => {
    const text = utf8(signIndexRoot({ ...root, ...change }, ORIGIN, LOG_KEY));
    return { file: async (path) => (path === ROOT_PATH ? text : bed.search.files.file(path)), range: bed.search.files.range };
  };
  const code = async (source: SearchSource): Promise<string> =>
    createSearchReader({ source, log: LOG })
      .search({ keys: ["issuer:x"] })
      .then(
        () => "answered",
        (error: LacreError) => error.code,
      );
  assert.equal(await code(withRoot({})), "answered");
  assert.equal(await code(withRoot({ root: sha256(utf8("another tree")) })), "PROOF_MISMATCH");
  const [first, ...more] = root.segments;
  assert.equal(await code(withRoot({ segments: [{ ...first!, root: sha256(utf8("other")) }, ...more] })), "SEARCH_INDEX_DAMAGED");
  assert.equal(await code(withRoot({ segments: [{ ...first!, records: first!.records + 1 }, ...more] })), "SEARCH_INDEX_DAMAGED");
});

test("a root whose segments were merged meanwhile is read again", async () => {
  const old = openIndexRoot(bed.search.index.root, LOG);
  const gone = utf8(
    signIndexRoot(
      {
        ...old,
        size: 256,
        root: (await reader0().log.rootAt(256, await reader0().log.checkpoint())).root,
        segments: [{ level: 0, place: 0, records: 900, root: sha256(utf8("gone")) }],
      },
      ORIGIN,
      LOG_KEY,
    ),
  );
  let asked = 0;
  const source: SearchSource = {
    ...bed.search.files,
    file: async (path) => (path === ROOT_PATH && asked++ === 0 ? gone : bed.search.files.file(path)),
  };
  const { hits } = await createSearchReader({ source, log: LOG }).search({ keys: ["identity:ann@example.com"], limit: 10_000 });
  assert.deepEqual([hits.map(({ index }) => index), asked], [await scan(["identity:ann@example.com"]), 2]);
});

test("a tail that is too long is read as far as allowed, and the answer says so", async () => {
  const source: SearchSource = {
    ...bed.search.files,
    file: async (path) => (path === ROOT_PATH ? undefined : bed.search.files.file(path)),
  };
  const { size, hits } = await createSearchReader({ source, log: LOG, maxTail: 700 }).search({
    keys: ["identity:ann@example.com"],
    limit: 10_000,
  });
  assert.deepEqual(
    [size, hits.map(({ index }) => index)],
    [700, (await scan(["identity:ann@example.com"])).filter((at) => at < 700)],
  );
});

test("a query that is none is refused with a word about it", async () => {
  for (const [query, word] of [
    ["", "one to 8 keys"],
    ["key=you@example.com", "known"],
    ["key=phone:1", "phone"],
    ["key=leaf:ab", "no entry can have"],
    ["key=issuer:x&limit=0", "limit"],
    ["key=issuer:x&limit=1001", "1000"],
    ["key=issuer:x&proof=true&limit=101", "100"],
    ["key=issuer:x&after=-1", "after"],
    ["key=issuer:x&after=1&after=2", "once"],
    ["key=issuer:x&match=none", "match"],
    ["key=issuer:x&proof=1", "proof"],
    ["key=issuer:x&colour=red", "colour"],
    [Array.from({ length: 9 }, (_, at) => `key=issuer:${at}`).join("&"), "8"],
  ] as const) {
    const answer = await get(`search?${query}`);
    assert.equal(answer.statusCode, 400, query);
    const said = (answer.json() as { message: string }).message;
    assert.ok(said.includes(word) || query === "key=phone:1", `${query}: ${said}`);
  }
});

test("index files are sent whole, in one range, with lasting and passing headers, and nothing else is", async () => {
  const file = readFileSync(join(dir, "index/search/1/000"));
  const whole = await get("index/search/1/000");
  assert.deepEqual(
    [whole.statusCode, whole.rawPayload.equals(file), whole.headers["cache-control"], whole.headers["accept-ranges"]],
    [200, true, "public, max-age=31536000, immutable", "bytes"],
  );
  const part = await get("index/search/1/000", { range: "bytes=8-23" });
  assert.deepEqual(
    [part.statusCode, part.rawPayload.equals(file.subarray(8, 24)), part.headers["content-range"]],
    [206, true, `bytes 8-23/${file.length}`],
  );
  assert.equal((await get("index/search/1/000", { range: `bytes=${file.length}-` })).statusCode, 416);
  const root = await get("index/search/root");
  assert.deepEqual([root.statusCode, root.headers["cache-control"], root.body], [200, "no-cache", bed.search.index.root]);
  for (const path of [
    "index/search/9/000",
    "index/search/0/900",
    "index/search/1/001.p/3",
    "index/search/../../lock",
    "index/search/entries/000",
    "index/search/",
    "index/identity/0/000",
    "attestation/zz/00",
    "attestation/00/00",
  ]) {
    assert.equal((await get(path)).statusCode, 404, path);
  }
  const { leafHash } = (await bed.log.entry(0))!;
  assert.equal((await get(payloadPath(leafHash))).statusCode, 200);
});

test("what a log keeps beside an entry counts, unless it is not the entry's", async () => {
  const { body } = attestedEntry(["77".repeat(32)]);
  const other = attestedEntry(["88".repeat(32)]);
  await bed.blobs.putImmutable(payloadPath(hashLeaf(sha256, body)), other.payload);
  await bed.add(body);
  for (const subject of ["77", "88"])
    assert.deepEqual((await bed.search.search({ keys: [`digest:${subject.repeat(32)}`], match: "all", limit: 10 })).entries, []);
});

test("a search without pages is refused when it matches too much", async () => {
  const criteria = [["identity:ann@example.com"], ["issuer:https://accounts.example", "issuer:https://token.actions.example"]];
  const wanted = await scan(["identity:ann@example.com"]);
  assert.deepEqual(await bed.search.find(criteria), wanted);
  assert.deepEqual(await bed.search.find(criteria, wanted.length), wanted);
  await assert.rejects(bed.search.find(criteria, wanted.length - 1), (error: ServiceError) => error.code === "SEARCH_TOO_BROAD");
});
