// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { utf8 } from "@lacre/core/bytes";
import { createEdge, readRange } from "../edge/index.ts";
import { PLAIN, unsigned } from "../engine/fixture.ts";
import { createMemoryAnchor, openLog, type Log } from "../engine/index.ts";
import { createFileSystem, createMemoryLock, type FileSystem } from "../store/index.ts";
import { createPacker, registerReading } from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-reading-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;

async function grownLog(entries: number): Promise<{ readonly log: Log; readonly dir: string }> {
  const dir = join(scratch, String(folders++));
  const log = await openLog({
    dir,
    origin: "log.test",
    personality: PLAIN,
    signCheckpoint: unsigned,
    now: Date.now,
    anchor: createMemoryAnchor(),
    production: false,
    lock: createMemoryLock(),
  });
  const placed = await Promise.all(
    Array.from({ length: entries }, (_, at) => log.append(utf8(`entry ${at} ${"x".repeat(100)}`))),
  );
  await log.receipt(placed.at(-1)!);
  return { log, dir };
}

/** Sealing waits for a batch of bundles or for two quiet seconds. */
async function untilSealed(log: Log, size: number): Promise<void> {
  while (log.health().sealed < size) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("a checkpoint is asked for anew, a tile never again, and what is not there is not remembered", async () => {
  const { log } = await grownLog(300);
  const app = createEdge();
  registerReading(app, "/api/v2", log, { bundles: "entries" });
  registerReading(app, "/ct", log, { bundles: "data", errors: "text" });
  const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });
  const checkpoint = await get("/api/v2/checkpoint");
  assert.deepEqual(
    [checkpoint.statusCode, checkpoint.headers["content-type"], checkpoint.headers["cache-control"], checkpoint.body],
    [200, "text/plain; charset=utf-8", "no-cache", log.checkpoint()],
  );
  const tile = await get("/api/v2/tile/0/000");
  assert.deepEqual(
    [tile.statusCode, tile.rawPayload.length, tile.headers["content-type"], tile.headers["cache-control"]],
    [200, 8192, "application/octet-stream", "public, max-age=31536000, immutable"],
  );
  assert.deepEqual(
    [tile.headers["x-content-type-options"], tile.headers["access-control-allow-origin"], tile.headers["accept-ranges"]],
    ["nosniff", "*", "bytes"],
  );
  assert.equal((await get("/api/v2/tile/0/001.p/44")).rawPayload.length, 44 * 32);
  for (const path of [
    "/api/v2/tile/0/001",
    "/api/v2/tile/0/001.p/45",
    "/api/v2/tile/1/001",
    "/api/v2/tile/entries/001",
    "/api/v2/tile/0/x001/000",
  ]) {
    const missing = await get(path);
    assert.deepEqual(
      [missing.statusCode, missing.headers["cache-control"], missing.json()],
      [404, "no-cache", { code: 5, message: "no such tile", details: [] }],
      path,
    );
  }
  for (const path of [
    "/api/v2/tile/data/000",
    "/api/v2/tile/0/0",
    "/api/v2/tile/0/000.gz",
    "/api/v2/tile/64/000",
    "/api/v2/tile/0/001.p/0",
  ]) {
    assert.equal((await get(path)).statusCode, 400, path);
  }
  assert.equal((await get("/ct/tile/entries/000")).statusCode, 400);
  await log.close();
});

test("one range of a tile, and the rules for those that do not fit", async () => {
  const { log } = await grownLog(256);
  const app = createEdge();
  registerReading(app, "/api/v2", log, { bundles: "entries" });
  const whole = (await app.inject({ url: "/api/v2/tile/0/000" })).rawPayload;
  const ask = async (range: string, more: Record<string, string> = {}) => {
    const answer = await app.inject({ url: "/api/v2/tile/0/000", headers: { range, ...more } });
    return { status: answer.statusCode, says: answer.headers["content-range"], bytes: answer.rawPayload };
  };
  assert.deepEqual(await ask("bytes=32-63"), { status: 206, says: "bytes 32-63/8192", bytes: whole.subarray(32, 64) });
  assert.deepEqual(await ask("bytes=8000-"), { status: 206, says: "bytes 8000-8191/8192", bytes: whole.subarray(8000) });
  assert.deepEqual(await ask("bytes=-32"), { status: 206, says: "bytes 8160-8191/8192", bytes: whole.subarray(8160) });
  assert.deepEqual((await ask("bytes=8192-")).status, 416);
  assert.deepEqual((await ask("bytes=8192-")).says, "bytes */8192");
  for (const passedOver of ["bytes=5-1", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
    assert.equal((await ask(passedOver)).status, 200, passedOver);
  assert.equal((await ask("bytes=0-31", { "if-range": '"a version"' })).status, 200);
  await log.close();
});

test("a range lies within the whole, or is none", () => {
  fc.assert(
    fc.property(
      fc.option(fc.nat(40), { nil: "" }),
      fc.option(fc.nat(40), { nil: "" }),
      fc.integer({ min: 1, max: 30 }),
      (first, last, length) => {
        const range = readRange(`bytes=${first}-${last}`, length);
        if (typeof range === "object") assert.ok(range.offset >= 0 && range.length > 0 && range.offset + range.length <= length);
      },
    ),
  );
});

test("sealed bundles are packed in order, once, and go out compressed to whoever takes that", async () => {
  const { log, dir } = await grownLog(256 * 3 + 10);
  await untilSealed(log, 256 * 3);
  const packer = createPacker({ fs: createFileSystem(), dir, bundles: "entries", log });
  await packer.work();
  const folder = join(dir, "tile", "entries");
  assert.deepEqual(readdirSync(folder).toSorted(), ["000", "000.gz", "001", "001.gz", "002", "002.gz"]);
  for (const name of ["000", "001", "002"]) {
    const plain = readFileSync(join(folder, name));
    assert.deepEqual(gunzipSync(readFileSync(join(folder, `${name}.gz`))), plain);
    // Not only our own inverse.
    assert.deepEqual(execFileSync("gzip", ["-dc", join(folder, `${name}.gz`)], { maxBuffer: 1 << 24 }), plain);
  }
  const app = createEdge();
  registerReading(app, "/api/v2", log, { bundles: "entries", packed: packer.read });
  const ask = async (path: string, headers: Record<string, string>) => {
    const { headers: got, rawPayload } = await app.inject({ url: `/api/v2/tile/${path}`, headers });
    return [got["content-encoding"], got["vary"], got["content-length"], rawPayload] as const;
  };
  const plain = readFileSync(join(folder, "001"));
  const packed = readFileSync(join(folder, "001.gz"));
  for (const takes of ["gzip", "deflate, gzip;q=0.5", "*"])
    assert.deepEqual(
      await ask("entries/001", { "accept-encoding": takes }),
      ["gzip", "Accept-Encoding", String(packed.length), packed],
      takes,
    );
  for (const takes of ["", "gzip;q=0", "br", "identity"])
    assert.deepEqual(
      await ask("entries/001", { "accept-encoding": takes }),
      [undefined, "Accept-Encoding", String(plain.length), plain],
      takes,
    );
  assert.equal((await ask("entries/001", { "accept-encoding": "gzip", range: "bytes=0-9" }))[3].length, 10);
  for (const part of ["entries/003.p/10", "entries/001.p/10"])
    assert.deepEqual((await ask(part, { "accept-encoding": "gzip" })).slice(0, 1), [undefined], part);
  const record = 2 + "entry 256 ".length + 100;
  assert.equal((await ask("entries/001.p/10", { "accept-encoding": "gzip" }))[3].length, 10 * record);
  assert.equal((await ask("0/001", { "accept-encoding": "gzip" }))[0], undefined);
  await packer.close();
  await log.close();
});

test("goes on behind what is packed, after a crash in the middle of it too", async () => {
  const { log, dir } = await grownLog(256 * 3);
  await untilSealed(log, 256 * 3);
  const folder = join(dir, "tile", "entries");
  // The process before ended while it wrote the second one.
  writeFileSync(join(folder, "000.gz"), "kept");
  writeFileSync(join(folder, "001.gz.tmp"), "half");
  const packer = createPacker({ fs: createFileSystem(), dir, bundles: "entries", log });
  await packer.work();
  assert.deepEqual(readdirSync(folder).toSorted(), ["000", "000.gz", "001", "001.gz", "002", "002.gz"]);
  assert.equal(readFileSync(join(folder, "000.gz"), "utf8"), "kept");
  assert.deepEqual(gunzipSync(readFileSync(join(folder, "001.gz"))), readFileSync(join(folder, "001")));
  await packer.close();
  await log.close();
});

test("what is packed is synced before it has its name; a busy log is left alone; a full disk is tried again", async () => {
  const { log, dir } = await grownLog(256);
  await untilSealed(log, 256);
  const real = createFileSystem();
  const calls: string[] = [];
  let full = true;
  const fs: FileSystem = {
    ...real,
    open: async (path, mode) => {
      if (mode === "create" && full) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
      const file = await real.open(path, mode);
      return {
        read: file.read.bind(file),
        readNow: file.readNow.bind(file),
        write: file.write.bind(file),
        size: file.size.bind(file),
        close: file.close.bind(file),
        datasync: () => (calls.push("sync"), file.datasync()),
      };
    },
    rename: (from, to) => (calls.push("rename"), real.rename(from, to)),
    readFile: (path) => real.readFile(path),
    remove: (path) => real.remove(path),
  };
  let waiting = 1;
  const warned: string[] = [];
  const logger = { info: () => {}, error: () => {}, warn: (_fields: object, message: string) => void warned.push(message) };
  const packer = createPacker({ fs, dir, bundles: "entries", log: { health: () => ({ ...log.health(), waiting }) }, logger });
  await packer.work();
  assert.deepEqual([calls, warned], [[], []]);
  waiting = 0;
  await packer.work();
  assert.deepEqual(warned, ["a bundle could not be packed"]);
  full = false;
  await packer.work();
  assert.deepEqual(calls, ["sync", "rename"]);
  assert.ok(existsSync(join(dir, "tile", "entries", "000.gz")));
  await packer.close();
  await log.close();
});
