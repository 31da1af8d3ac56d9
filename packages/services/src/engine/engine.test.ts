// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { concat, equalBytes, toBase64, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { checkInclusion } from "@lacre/core/merkle";
import type { ServiceError } from "../errors.ts";
import { createFileAnchor, openLog, type Log, type LogOptions, type Personality, type Receipt } from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-engine-"));
after(() => rmSync(scratch, { recursive: true }));

const personality: Personality = {
  leafInput: (record) => record,
  identity: sha256,
  frame: (record) => concat(Uint8Array.of(record.length >> 8, record.length & 0xff), record),
  unframe(bundle) {
    const records: Uint8Array[] = [];
    for (let at = 0; at < bundle.length;) {
      const length = bundle[at]! * 256 + bundle[at + 1]!;
      records.push(bundle.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    return records;
  },
};

function options(name: string): LogOptions {
  return {
    dir: join(scratch, name),
    origin: "log.test",
    personality,
    now: Date.now,
    production: true,
    signCheckpoint: ({ origin, size, root }) => `${origin}\n${size}\n${toBase64(root)}\n\n— unsigned\n`,
    anchor: createFileAnchor(join(scratch, "anchors", name), "log.test"),
    segmentBytes: 1 << 16,
  };
}

function check({ index, leafHash, size, root, proof }: Receipt): void {
  checkInclusion(sha256, { index: BigInt(index), size: BigInt(size), leafHash, root, proof });
}

async function write(log: Log, from: number, to: number): Promise<Receipt[]> {
  return Promise.all(
    Array.from({ length: to - from }, async (_, at) => log.receipt(await log.append(utf8(`entry ${from + at}`)))),
  );
}

test("entries come back with a proof, also after a restart", async () => {
  let log = await openLog(options("plain"));
  const early = await write(log, 0, 700);
  for (let at = 700; at < 720; at++) early.push(...(await write(log, at, at + 1)));
  early.forEach(check);
  assert.equal(log.size, 720);
  await log.close();
  log = await openLog(options("plain"));
  assert.equal(log.size, 720);
  const late = await write(log, 720, 1000);
  late.forEach(check);
  assert.deepEqual(new Set([...early, ...late].map(({ index }) => index)).size, 1000);
  for (const { index, record } of early) assert.ok(equalBytes((await log.readRecord(index))!, record));
  await log.close();
});

test("two copies of one directory are not served at the same time", async () => {
  let log = await openLog(options("first"));
  await write(log, 0, 3);
  await log.close();
  cpSync(join(scratch, "first"), join(scratch, "second"), { recursive: true });
  const copy = (): Promise<Log> =>
    openLog({ ...options("second"), anchor: createFileAnchor(join(scratch, "anchors", "first"), "log.test") });
  log = await openLog(options("first"));
  await assert.rejects(
    copy(),
    (error: ServiceError) => error.code === "DIRECTORY_LOCKED" && error.detail!.includes("another copy"),
  );
  await log.close();
  await (await copy()).close();
});
