// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openIndexRoot, ROOT_PATH, signIndexRoot } from "@lacre/core/search";
import { entryOf, LOG_KEY, openBed, ORIGIN } from "../packages/services/src/search/fixture.ts";
import { searchProblems, type SearchAudit } from "./audit-search.ts";

const dir = mkdtempSync(join(tmpdir(), "lacre-audit-search-"));
after(() => rmSync(dir, { recursive: true, force: true }));

const audit: SearchAudit = {
  source: (name) => readFile(join(dir, name)).catch(() => undefined),
  kind: "artifacts",
  origin: ORIGIN,
  name: ORIGIN,
  key: LOG_KEY.publicKey,
  rootAt: () => undefined,
};

test("an index is compared with the entries: damage is told from a signed lie", async () => {
  assert.equal(await searchProblems(audit), undefined);
  const bed = await openBed(dir, { shape: { generation: 256, fan: 2 } });
  for (let at = 0; at < 800; at += 100) await bed.add(...Array.from({ length: 100 }, (_, i) => entryOf(at + i)));
  await bed.search.index.flush();
  await bed.close();
  assert.deepEqual(await searchProblems(audit), []);

  const file = join(dir, "index/search/1/000");
  const good = readFileSync(file);
  const changed = Buffer.from(good);
  changed[100]! ^= 1;
  writeFileSync(file, changed);
  assert.match((await searchProblems(audit))!.join(), /^index\/search\/1\/000 is not what its root says/);
  writeFileSync(file, good);

  // An operator who leaves a record out and signs that: every reader is told the same, and the audit sees it.
  const path = join(dir, ROOT_PATH);
  const root = openIndexRoot(readFileSync(path, "utf8"), audit);
  const lie = {
    ...root,
    segments: root.segments.map((segment, at) => (at === 0 ? { ...segment, records: segment.records - 1 } : segment)),
  };
  const honest = readFileSync(path);
  writeFileSync(path, signIndexRoot(lie, ORIGIN, LOG_KEY));
  assert.match((await searchProblems(audit))!.join(), /is not what the entries say, and is signed/);
  writeFileSync(path, honest);
  const elsewhere = { ...audit, rootAt: (): Uint8Array => new Uint8Array(32) };
  assert.match((await searchProblems(elsewhere))!.join(), /another tree at size 768/);
  rmSync(file);
  assert.match((await searchProblems(audit))!.join(), /is missing/);
});
