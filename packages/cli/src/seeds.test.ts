// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PUBLIC_MIRROR, PUBLIC_ROOT } from "./seeds.ts";
import { openTufClient } from "./tuf/client.ts";

test("the public instance's root is signed by its own keys, and nothing of it has to be in force", async (t) => {
  const metadataDir = mkdtempSync(join(tmpdir(), "lacre-seed-"));
  t.after(() => rmSync(metadataDir, { recursive: true }));
  writeFileSync(join(metadataDir, "root.json"), Buffer.from(PUBLIC_ROOT, "base64"));
  const asked: string[] = [];
  const source = {
    metadata: async (name: string): Promise<undefined> => void asked.push(name),
    target: async (): Promise<Uint8Array> => Buffer.alloc(0),
  };
  const client = await openTufClient({ metadataDir, source, now: () => 0 });
  await assert.rejects(client.refresh(), /has no timestamp\.json/);
  assert.match(asked[0]!, /^\d+\.root\.json$/);
  assert.equal(new URL(PUBLIC_MIRROR).protocol, "https:");
});
