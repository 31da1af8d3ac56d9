// SPDX-License-Identifier: Apache-2.0
/** The example for readers, as they run it: against a server, and against a folder that a plain web server shows. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { toBase64 } from "@lacre/core/bytes";
import { createEdge } from "../edge/index.ts";
import { entryOf, fullScan, LOG_KEY, openBed, ORIGIN, type Bed } from "./fixture.ts";
import { registerSearch } from "./http.ts";

const EXAMPLE = join(import.meta.dirname, "../../../../examples/search.mjs");
const dir = mkdtempSync(join(tmpdir(), "lacre-search-example-"));
let bed: Bed;
let server: string;
let files: string;
const closers: (() => unknown)[] = [];

before(async () => {
  bed = await openBed(dir, { shape: { generation: 256, fan: 4 } });
  for (let at = 0; at < 300; at += 50) await bed.add(...Array.from({ length: 50 }, (_, i) => entryOf(at + i)));
  await bed.search.index.flush();
  const app = createEdge();
  registerSearch(app, "/api/v2", bed.search, { files: true });
  server = `${await app.listen({ host: "127.0.0.1", port: 0 })}/api/v2`;
  const plain = createServer((request, response) => {
    const path = join(dir, request.url!);
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (!existsSync(path)) response.writeHead(404).end();
    else if (from === undefined) response.end(readFileSync(path));
    else response.writeHead(206).end(readFileSync(path).subarray(Number(from), Number(to) + 1));
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  files = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
  closers.push(
    () => app.close(),
    () => plain.close(),
    () => bed.close(),
  );
});
after(async () => {
  for (const close of closers) await close();
  rmSync(dir, { recursive: true, force: true });
});

async function run(url: string, key: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--conditions=source",
    EXAMPLE,
    url,
    key,
    ORIGIN,
    toBase64(LOG_KEY.publicKey.spki),
  ]);
  return stdout;
}

test("finds and proves, and proves absence, from a server and from files", async () => {
  const key = "email:ann@example.com";
  const all = await fullScan(bed.log, bed.blobs, [key], "all", undefined, 1000);
  assert.equal(
    await run(server, key),
    `entries ${all.slice(0, 100).join(", ")} among the first 300, and no others: proved\n256 entries by the index, 44 read one by one\n`,
  );
  assert.equal(
    await run(files, key),
    `entries ${all.filter((at) => at < 256).join(", ")} among the first 256, and no others: proved\n256 entries by the index, 0 read one by one\n`,
  );
  assert.equal(
    await run(server, "email:nobody@example.com"),
    "no entry among the first 300: proved\n256 entries by the index, 44 read one by one\n",
  );
  assert.equal(
    await run(files, "email:nobody@example.com"),
    "no entry among the first 256: proved\n256 entries by the index, 0 read one by one\n",
  );
});
