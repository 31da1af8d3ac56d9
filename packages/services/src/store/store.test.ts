// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { concat, utf8 } from "@lacre/core/bytes";
import { ServiceError, type ServiceCode } from "../errors.ts";
import { blobStoreContract, commitStoreContract, lockContract, stateOf } from "./contract.ts";
import { BLOCK, decodeFrame, encodeFrame, frameLength } from "./frame.ts";
import {
  createFileBlobStore,
  createFileLock,
  createFileSystem,
  createJournal,
  createMemoryBlobStore,
  createMemoryCommitStore,
  createMemoryLock,
  type MemoryPlace,
  type Token,
} from "./index.ts";
import { Crashed, faultOf, SimulatedDisk } from "./simulated.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-store-"));
after(() => rmSync(scratch, { recursive: true }));
let places = 0;
const place = (): string => join(scratch, `${++places}`);

function refusal(code: ServiceCode): (error: unknown) => boolean {
  return (error) => error instanceof ServiceError && error.code === code;
}

commitStoreContract("memory", { fenced: true }, () => {
  const held: MemoryPlace = { held: undefined };
  return () => createMemoryCommitStore(held);
});
commitStoreContract("journal on files", { fenced: false }, () => {
  const directory = place();
  return () => createJournal({ fs: createFileSystem(), directory, context: "log.test" });
});
commitStoreContract("journal on files, small segments", { fenced: false }, () => {
  const directory = place();
  return () => createJournal({ fs: createFileSystem(), directory, context: "log.test", segmentBytes: 4 * BLOCK });
});
commitStoreContract("journal on a simulated disk", { fenced: false }, () => {
  const fs = new SimulatedDisk();
  return () => createJournal({ fs, directory: "/log/journal", context: "log.test", segmentBytes: 8 * BLOCK });
});
blobStoreContract("memory", () => {
  const blobs = new Map<string, Uint8Array>();
  return () => createMemoryBlobStore(blobs);
});
blobStoreContract("files", () => {
  const directory = place();
  return () => createFileBlobStore(createFileSystem(), directory);
});
blobStoreContract("simulated disk", () => {
  const fs = new SimulatedDisk();
  return () => createFileBlobStore(fs, "/log");
});
lockContract("memory", () => {
  const held = { held: false };
  return () => createMemoryLock(held);
});
lockContract("file", () => {
  const path = join(place(), "lock");
  return () => createFileLock(path);
});

// The lock across processes.

function holder(path: string): { readonly ready: Promise<void>; readonly pid: number; kill(): Promise<void> } {
  const script = `import { createFileLock } from ${JSON.stringify(new URL("lock.ts", import.meta.url).href)};
    createFileLock(${JSON.stringify(path)}).acquire(); globalThis.gc(); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--conditions=source", "--expose-gc", "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exit = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  return {
    ready: new Promise((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("exit", () => reject(new Error("the holder ended")));
    }),
    pid: child.pid!,
    async kill() {
      child.kill("SIGKILL");
      await exit;
    },
  };
}

test("names the process that holds a directory, and is free the moment that process is killed", async (t) => {
  const path = join(place(), "lock");
  const other = holder(path);
  t.after(() => other.kill());
  await other.ready;
  assert.throws(
    () => createFileLock(path).acquire(),
    (error: ServiceError) => error.code === "DIRECTORY_LOCKED" && error.detail!.includes(`process ${other.pid}`),
  );
  await other.kill();
  createFileLock(path).acquire()();
});

test("of several starters at the same moment one gets the directory", async (t) => {
  const path = join(place(), "lock");
  const starters = Array.from({ length: 4 }, () => holder(path));
  t.after(() => Promise.all(starters.map((starter) => starter.kill())));
  const outcomes = await Promise.all(
    starters.map(({ ready }) =>
      ready.then(
        () => "held",
        () => "refused",
      ),
    ),
  );
  assert.deepEqual(outcomes.toSorted(), ["held", "refused", "refused", "refused"]);
});

test("is not fooled by a stale holder file that names a living process", () => {
  const directory = place();
  mkdirSync(directory);
  writeFileSync(join(directory, "lock.holder"), `process ${process.pid}\n`);
  createFileLock(join(directory, "lock")).acquire()();
});

test("says that a directory cannot be written", { skip: process.getuid?.() === 0 && "root may write anywhere" }, () => {
  const directory = place();
  mkdirSync(directory, { mode: 0o500 });
  assert.throws(() => createFileLock(join(directory, "lock")).acquire(), refusal("DIRECTORY_UNWRITABLE"));
  chmodSync(directory, 0o700);
});

// Frames.

const mark = { context: "log.test", number: 7, salt: new Uint8Array(16).fill(9) };
const frame = { kind: "commit", previous: stateOf(5), next: stateOf(6), body: utf8("entries") } as const;

test("reads a frame only where it belongs", () => {
  const bytes = encodeFrame(mark, frame);
  assert.equal(bytes.length, BLOCK);
  assert.deepEqual({ ...decodeFrame(bytes, 0, mark)!.frame, body: "" }, { ...frame, body: "" });
  assert.equal(decodeFrame(bytes, 0, { ...mark, number: 8 }), undefined);
  assert.equal(decodeFrame(bytes, 0, { ...mark, context: "log.other" }), undefined);
  assert.equal(decodeFrame(bytes, 0, { ...mark, salt: new Uint8Array(16) }), undefined);
});

test("reads no frame with any octet changed or missing", () => {
  const bytes = encodeFrame(mark, frame);
  const used = 216 + frame.body.length;
  for (let at = 0; at < used; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    const read = decodeFrame(changed, 0, { context: mark.context, number: mark.number });
    assert.equal(read, undefined, `octet ${at}`);
  }
  for (let length = 0; length < used; length++) assert.equal(decodeFrame(bytes.subarray(0, length), 0, mark), undefined);
});

// The journal under faults.

const JOURNAL = "/log/journal";
const journalOn = (fs: SimulatedDisk, segmentBytes = 1 << 16) =>
  createJournal({ fs, directory: JOURNAL, context: "log.test", segmentBytes });

async function commitSome(fs: SimulatedDisk, count: number, segmentBytes?: number): Promise<Token> {
  const store = journalOn(fs, segmentBytes);
  let token = await store.create(stateOf(0));
  for (let size = 1; size <= count; size++) token = await store.commit(token, stateOf(size), utf8(`entry ${size}`));
  return token;
}

function segment(fs: SimulatedDisk, number: number): { readonly path: string; readonly bytes: Uint8Array } {
  const path = `${JOURNAL}/${`${number}`.padStart(10, "0")}.journal`;
  return { path, bytes: fs.look(path)! };
}

test("a commit is durable by one write and one sync", async () => {
  const fs = new SimulatedDisk();
  const store = journalOn(fs);
  const token = await store.create(stateOf(0));
  // Zeros are written ahead in the background.
  await new Promise((resolve) => setImmediate(resolve));
  const calls: string[] = [];
  fs.fault = ({ operation }) => void calls.push(operation);
  await store.commit(token, stateOf(3), utf8("three"));
  assert.deepEqual(calls, ["write", "datasync"]);
  assert.equal((await journalOn(fs.crash("none")).load())!.state.size, 3);
});

test("ignores a torn last frame and refuses one with a good frame behind it", async () => {
  const fs = new SimulatedDisk();
  await commitSome(fs, 5);
  const { path, bytes } = segment(fs, 1);
  const torn = (frameAt: number): Uint8Array => {
    const changed = bytes.slice();
    changed[(1 + frameAt) * BLOCK + 100]! ^= 0xff;
    return changed;
  };
  fs.put(path, torn(4));
  assert.equal((await journalOn(fs).load())!.state.size, 4);
  for (const damage of [0, 2, 3]) {
    fs.put(path, torn(damage));
    await assert.rejects(journalOn(fs).load(), refusal("LOG_DAMAGED"), `frame ${damage}`);
  }
});

test("refuses a segment whose start is damaged", async () => {
  const fs = new SimulatedDisk();
  await commitSome(fs, 2);
  const { path, bytes } = segment(fs, 1);
  const changed = bytes.slice();
  changed[50]! ^= 1;
  fs.put(path, changed);
  await assert.rejects(journalOn(fs).load(), refusal("LOG_DAMAGED"));
});

test("refuses a chain with a segment missing at its end of frames", async () => {
  const fs = new SimulatedDisk();
  await commitSome(fs, 12, 4 * BLOCK);
  const { path, bytes } = segment(fs, 2);
  // The last frame of a middle segment is gone: the next segment no longer continues it.
  const cut = bytes.slice();
  for (let at = BLOCK; at < cut.length; at += BLOCK)
    if (decodeFrame(cut, at + BLOCK, { context: "log.test", number: 2 }) === undefined) {
      cut.fill(0, at, at + BLOCK);
      break;
    }
  fs.put(path, cut);
  await assert.rejects(journalOn(fs).load(), refusal("LOG_DAMAGED"));
});

test("a frame hidden inside an entry is not taken for one of ours", async () => {
  const fs = new SimulatedDisk();
  const store = journalOn(fs);
  const token = await store.create(stateOf(0));
  // A client who knows everything but the salt puts a frame where a block begins in the body of its entry.
  const forged = encodeFrame(
    { context: "log.test", number: 1, salt: new Uint8Array(16) },
    { ...frame, previous: stateOf(0), next: stateOf(999) },
  );
  const filler = new Uint8Array(BLOCK - 216);
  await store.commit(token, stateOf(1), concat(filler, forged, utf8("end")));
  const { path, bytes } = segment(fs, 1);
  const torn = bytes.slice();
  torn[BLOCK + 100]! ^= 1;
  fs.put(path, torn);
  assert.equal((await journalOn(fs).load())!.state.size, 0);
});

test("recycles a released segment and never reads its old frames", async () => {
  const fs = new SimulatedDisk();
  const store = journalOn(fs, 4 * BLOCK);
  let token = await store.create(stateOf(0));
  for (let size = 1; size <= 60; size++) {
    token = await store.commit(token, stateOf(size), utf8(`entry ${size}`));
    if (size % 5 === 0) await store.release(size);
  }
  const names = await fs.list(JOURNAL);
  assert.ok(names.length <= 5, names.join(" "));
  for (const kind of ["kill", "none"] as const) {
    const found = new SimulatedDisk();
    found.restore("/log", fs.copyOf("/log"));
    assert.equal((await journalOn(found.crash(kind)).load())!.state.size, 60);
  }
});

test("a full disk refuses a commit, keeps the rest, and goes on when there is room", async () => {
  const fs = new SimulatedDisk();
  const store = journalOn(fs, 4 * BLOCK);
  let token = await store.create(stateOf(0));
  token = await store.commit(token, stateOf(1), utf8("one"));
  fs.capacityBytes = 4 * BLOCK;
  await assert.rejects(store.commit(token, stateOf(2), new Uint8Array(6 * BLOCK).fill(1)), refusal("DISK_FULL"));
  await assert.rejects(store.commit(token, stateOf(2), new Uint8Array(6 * BLOCK).fill(2)), refusal("DISK_FULL"));
  fs.capacityBytes = Infinity;
  token = await store.commit(token, stateOf(2), utf8("two"));
  token = await store.commit(token, stateOf(3), new Uint8Array(6 * BLOCK).fill(3));
  const loaded = (await journalOn(fs.crash("none")).load())!;
  assert.deepEqual(
    loaded.commits.map(({ next }) => next.size),
    [1, 2, 3],
  );
});

test("a failed sync ends the writer; what was acknowledged is there and what failed is not trusted", async () => {
  const fs = new SimulatedDisk();
  const store = journalOn(fs);
  let token = await store.create(stateOf(0));
  token = await store.commit(token, stateOf(1), utf8("one"));
  fs.fault = ({ operation }) => (operation === "datasync" ? faultOf("EIO") : undefined);
  await assert.rejects(store.commit(token, stateOf(2), utf8("two")), refusal("STORE_FAILED"));
  fs.fault = () => undefined;
  await assert.rejects(store.commit(token, stateOf(2), utf8("two again")), refusal("STORE_FAILED"));
  // The cache still shows the second frame; after takeOver it is durable, as any start makes sure before serving.
  const restarted = journalOn(fs);
  const seen = (await restarted.load())!;
  assert.equal(seen.state.size, 2);
  await restarted.takeOver(seen.token, seen.base, seen.commits);
  assert.equal((await journalOn(fs.crash("none")).load())!.state.size, 2);
});

test("a crash at any call of create, commit, switch, takeOver and release loses nothing acknowledged", async () => {
  const run = async (fs: SimulatedDisk): Promise<number> => {
    let acknowledged = -1;
    try {
      const store = journalOn(fs, 4 * BLOCK);
      const loaded = await store.load();
      let token: Token;
      let size = 0;
      if (loaded === undefined) token = await store.create(stateOf(0));
      else {
        size = loaded.state.size;
        token = await store.takeOver(loaded.token, loaded.base, loaded.commits);
      }
      acknowledged = size;
      for (const until = size + 9; size < until;) {
        size++;
        token = await store.commit(token, stateOf(size), utf8(`entry ${size}`));
        acknowledged = size;
        if (size % 3 === 0) await store.release(size);
      }
      await store.close();
    } catch (error) {
      const cause = error instanceof ServiceError ? error.cause : error;
      if (!(cause instanceof Crashed)) throw error;
    }
    return acknowledged;
  };
  const first = new SimulatedDisk();
  await run(first);
  const total = first.calls;
  for (let call = 1; call <= total; call++) {
    for (const when of ["before", "after"] as const) {
      for (const kind of ["kill", "none", { seed: call }] as const) {
        const fs = new SimulatedDisk();
        fs.fault = ({ number }) => (number === call ? when : undefined);
        const acknowledged = await run(fs);
        // A second life, which crashes somewhere too, and a third that only looks.
        const second = fs.crash(kind);
        second.fault = ({ number }) => (number === 1 + ((call * 7) % 40) ? when : undefined);
        const more = Math.max(acknowledged, await run(second));
        const loaded = await journalOn(second.crash(kind)).load();
        const where = `call ${call} ${when} ${JSON.stringify(kind)}`;
        assert.ok((loaded?.state.size ?? -1) >= more, `${where}: ${loaded?.state.size} < ${more}`);
        assert.deepEqual(
          loaded?.commits.map(({ body }) => Buffer.from(body).toString()) ?? [],
          loaded?.commits.map(({ next }) => `entry ${next.size}`) ?? [],
          where,
        );
      }
    }
  }
});

test("a blob is durable once flushed, with its directories", async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const fs = new SimulatedDisk();
    await fs.makeDirectory("/log");
    await fs.syncDirectory("/");
    const store = createFileBlobStore(fs, "/log");
    await store.putImmutable("tile/0/x001/000", utf8("kept"));
    await store.putImmutable("tile/0/x001/001", utf8("maybe"));
    await store.flush(["tile/0/x001/000"]);
    await store.putImmutable("tile/0/x001/002", utf8("maybe"));
    for (const kind of ["none", { seed }] as const) {
      const copy = createFileBlobStore(fs.crash(kind), "/log");
      assert.equal(Buffer.from((await copy.get("tile/0/x001/000"))!).toString(), "kept");
    }
  }
});

test("writes more parts than the kernel takes at once", async () => {
  const fs = createFileSystem();
  const directory = place();
  await fs.makeDirectory(directory);
  const file = await fs.open(join(directory, "many"), "create");
  const parts = Array.from({ length: 3000 }, (_, at) => utf8(`${at},`));
  await file.write(5, ...parts);
  assert.equal(Buffer.from(await file.read(5, 1 << 20)).toString(), parts.map((part) => Buffer.from(part).toString()).join(""));
  await file.close();
});

test("a frame's length is a whole number of blocks", () => {
  assert.equal(frameLength(0), BLOCK);
  assert.equal(frameLength(BLOCK - 216), BLOCK);
  assert.equal(frameLength(BLOCK - 215), 2 * BLOCK);
});
