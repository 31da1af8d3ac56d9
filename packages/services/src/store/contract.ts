// SPDX-License-Identifier: Apache-2.0
/**
 * What every `CommitStore`, `BlobStore` and `Lock` promises, as tests. An implementation calls these from its own test
 * file with a way to open it again on the same place.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { utf8 } from "@lacre/core/bytes";
import { ServiceError, type ServiceCode } from "../errors.ts";
import type { BlobStore } from "./blob.ts";
import type { Commit, Committed, CommitStore, Token } from "./commit.ts";
import type { Lock } from "./lock.ts";

let stamp = 0;

/** A state of this size, unlike any other. */
export function stateOf(size: number, epoch = 1): Committed {
  const nonce = new Uint8Array(16);
  new DataView(nonce.buffer).setUint32(0, ++stamp);
  return { size, root: new Uint8Array(32).fill(size % 251), timeMs: 1_700_000_000_000 + size, epoch, nonce };
}

function refusal(code: ServiceCode): (error: unknown) => boolean {
  return (error) => error instanceof ServiceError && error.code === code;
}

/** A store with these sizes committed one after the other, and its token. */
async function filled(store: CommitStore, sizes: readonly number[]): Promise<{ token: Token; states: Committed[] }> {
  const states = [stateOf(0)];
  let token = await store.create(states[0]!);
  for (const size of sizes) {
    states.push(stateOf(size));
    token = await store.commit(token, states.at(-1)!, utf8(`up to ${size}`));
  }
  return { token, states };
}

/**
 * `open` makes a fresh place and gives back how to open stores on it, as one process after another would. `fenced`: the
 * store itself shuts out an earlier writer that is still alive; local files leave that to the lock.
 */
export function commitStoreContract(name: string, { fenced }: { readonly fenced: boolean }, open: () => () => CommitStore): void {
  void describe(`commit store: ${name}`, () => {
    void test("knows nothing before it is created", async () => {
      const store = open()();
      assert.equal(await store.load(), undefined);
      await store.close();
    });

    void test("gives back state and commits to the next process", async () => {
      const at = open();
      const first = at();
      const { states } = await filled(first, [3, 3, 10]);
      await first.close();
      const loaded = (await at().load())!;
      assert.deepEqual(loaded.state, states[3]);
      assert.deepEqual(loaded.base, states[0]);
      assert.deepEqual(
        loaded.commits.map(({ previous, next }) => [previous, next]),
        [
          [states[0], states[1]],
          [states[1], states[2]],
          [states[2], states[3]],
        ],
      );
      assert.deepEqual(
        loaded.commits.map(({ body }) => Buffer.from(body).toString()),
        ["up to 3", "up to 3", "up to 10"],
      );
    });

    void test("creates once", async () => {
      const at = open();
      const first = at();
      await first.create(stateOf(0));
      await assert.rejects(at().create(stateOf(0)), refusal("STORE_CONFLICT"));
      await first.close();
    });

    void test("refuses a commit against a state that is no longer the last", async () => {
      const store = open()();
      const token = await store.create(stateOf(0));
      await store.commit(token, stateOf(1), utf8("one"));
      await assert.rejects(store.commit(token, stateOf(1), utf8("another one")), refusal("STORE_CONFLICT"));
      assert.equal((await store.load())!.commits.length, 1);
      await store.close();
    });

    void test("takes over with a new epoch", async () => {
      const at = open();
      const first = at();
      await filled(first, [4, 9]);
      await first.close();
      const second = at();
      const loaded = (await second.load())!;
      const base = stateOf(4, 2);
      const commits: Commit[] = [{ previous: base, next: stateOf(9, 2), body: utf8("kept") }];
      let taken = await second.takeOver(loaded.token, base, commits);
      // A writer may also start over in the midst of its work, and go on.
      for (let i = 0; i < 30; i++) taken = await second.commit(taken, stateOf(9, 2), utf8("dropped"));
      taken = await second.takeOver(taken, base, commits);
      await second.commit(taken, stateOf(12, 2), utf8("on"));
      await second.close();
      const after = (await at().load())!;
      assert.equal(after.state.epoch, 2);
      assert.equal(after.base.size, 4);
      assert.deepEqual(
        after.commits.map(({ body }) => Buffer.from(body).toString()),
        ["kept", "on"],
      );
    });

    if (fenced) {
      void test("shuts out the earlier writer after another took over", async () => {
        const at = open();
        const first = at();
        const { token } = await filled(first, [4]);
        const second = at();
        const { token: seen } = (await second.load())!;
        await second.takeOver(seen, stateOf(4, 2), []);
        await assert.rejects(first.commit(token, stateOf(5), utf8("late")), refusal("STORE_CONFLICT"));
        await assert.rejects(first.takeOver(token, stateOf(4, 3), []), refusal("STORE_CONFLICT"));
      });
    }

    void test("forgets released commits and nothing else", async () => {
      const at = open();
      const store = at();
      const { states } = await filled(
        store,
        Array.from({ length: 40 }, (_, i) => i + 1),
      );
      await store.release(25);
      await store.close();
      const loaded = (await at().load())!;
      assert.ok(loaded.base.size <= 25);
      assert.equal(loaded.released, 25);
      assert.deepEqual(loaded.state, states.at(-1));
      assert.deepEqual(
        loaded.commits.map(({ next }) => next.size),
        Array.from({ length: 40 - loaded.base.size }, (_, i) => loaded.base.size + i + 1),
      );
    });

    void test("keeps a body of a megabyte and an empty one", async () => {
      const at = open();
      const store = at();
      const large = new Uint8Array(1 << 20).map((_, i) => (i * 31) >> 3);
      let token = await store.create(stateOf(0));
      token = await store.commit(token, stateOf(1), large);
      await store.commit(token, stateOf(1), new Uint8Array(0));
      await store.close();
      const bodies = (await at().load())!.commits.map(({ body }) => body);
      assert.ok(Buffer.from(large).equals(bodies[0]!));
      assert.equal(bodies[1]!.length, 0);
    });
  });
}

/** `open` makes a fresh place and gives back how to open stores on it. */
export function blobStoreContract(name: string, open: () => () => BlobStore): void {
  void describe(`blob store: ${name}`, () => {
    void test("gives back what was put, also in another process", async () => {
      const at = open();
      const store = at();
      await store.putImmutable("tile/0/x001/234", utf8("full"));
      await store.putMutable("checkpoint", utf8("one"));
      await store.flush(["tile/0/x001/234", "checkpoint"]);
      for (const reader of [store, at()]) {
        assert.equal(Buffer.from((await reader.get("tile/0/x001/234"))!).toString(), "full");
        assert.equal(Buffer.from((await reader.get("checkpoint"))!).toString(), "one");
        assert.equal(await reader.get("tile/0/x001/235"), undefined);
        assert.equal(await reader.get("tile/0/x009/235"), undefined);
      }
    });

    void test("puts the same immutable bytes again without harm and replaces a mutable blob", async () => {
      const store = open()();
      await store.putImmutable("tile/0/000", utf8("same"));
      await store.putImmutable("tile/0/000", utf8("same"));
      await store.putMutable("checkpoint", utf8("a longer text"));
      await store.putMutable("checkpoint", utf8("two"));
      assert.equal(Buffer.from((await store.get("checkpoint"))!).toString(), "two");
    });

    void test("removes a blob, and one that is not there", async () => {
      const store = open()();
      await store.putMutable("index/0/000", utf8("x"));
      await store.remove("index/0/000");
      await store.remove("index/0/000");
      assert.equal(await store.get("index/0/000"), undefined);
    });

    void test("holds a blob open as it was", async () => {
      const store = open()();
      await store.putMutable("index/0/000", utf8("0123456789"));
      const held = (await store.open("index/0/000"))!;
      assert.equal(held.length, 10);
      const part = (offset: number, length: number): string => Buffer.from(held.readNow(offset, length)).toString();
      assert.deepEqual([part(0, 10), part(3, 4), part(8, 5), part(10, 1)], ["0123456789", "3456", "89", ""]);
      await store.putMutable("index/0/000", utf8("something else"));
      assert.equal(part(0, 4), "0123");
      await store.remove("index/0/000");
      assert.equal(part(0, 4), "0123");
      await held.close();
      await held.close();
      assert.equal(await store.open("index/0/000"), undefined);
      assert.equal(await store.open("index/1/000"), undefined);
    });

    void test("reads parts of a blob, and none of one that is not there", async () => {
      const store = open()();
      await store.putMutable("index/0/000", utf8("0123456789"));
      for (const [offset, length, expected] of [
        [0, 10, "0123456789"],
        [3, 4, "3456"],
        [8, 5, "89"],
        [10, 1, ""],
        [40, 2, ""],
      ] as const) {
        assert.equal(Buffer.from((await store.read("index/0/000", offset, length))!).toString(), expected);
      }
      assert.equal(await store.read("index/0/001", 0, 1), undefined);
      assert.equal(await store.read("other/0/001", 0, 1), undefined);
    });

    void test("names the blobs below a directory", async () => {
      const store = open()();
      assert.deepEqual(await store.list("index"), []);
      for (const name of ["index/search/root", "index/search/0/x001/002", "index/search/0/003", "indexes", "tile/0/000"])
        await store.putMutable(name, utf8("x"));
      await store.remove("index/search/0/003");
      assert.deepEqual(await store.list("index"), ["index/search/0/x001/002", "index/search/root"]);
      assert.deepEqual(await store.list("index/search/0"), ["index/search/0/x001/002"]);
    });

    void test("takes a blob in parts, whole or not at all", async () => {
      const store = open()();
      async function* parts(broken: boolean): AsyncGenerator<Uint8Array> {
        const part = utf8("one ");
        yield part;
        part.fill(0);
        if (broken) throw new ServiceError("LOG_STOPPED");
        yield utf8("two");
      }
      await store.putParts("index/0/000", parts(false));
      assert.equal(Buffer.from((await store.get("index/0/000"))!).toString(), "one two");
      await assert.rejects(store.putParts("index/0/000", parts(true)), refusal("LOG_STOPPED"));
      await assert.rejects(store.putParts("index/0/001", parts(true)), refusal("LOG_STOPPED"));
      assert.equal(Buffer.from((await store.get("index/0/000"))!).toString(), "one two");
      assert.equal(await store.get("index/0/001"), undefined);
    });

    void test("does not keep the caller's memory", async () => {
      const store = open()();
      const bytes = utf8("before");
      await store.putImmutable("a", bytes);
      bytes.fill(0);
      assert.equal(Buffer.from((await store.get("a"))!).toString(), "before");
    });

    void test("takes names that a web server can serve, and no way out of its directory", async () => {
      const store = open()();
      for (const bad of ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "A", "a b", "a/.b"]) {
        await assert.rejects(async () => store.putMutable(bad, utf8("x")), TypeError, bad);
        await assert.rejects(async () => store.get(bad), TypeError, bad);
      }
    });
  });
}

/** `open` makes a fresh place and gives back how to open locks on it. */
export function lockContract(name: string, open: () => () => Lock): void {
  void describe(`lock: ${name}`, () => {
    void test("has one holder at a time", () => {
      const at = open();
      const release = at().acquire();
      assert.throws(() => at().acquire(), refusal("DIRECTORY_LOCKED"));
      release();
      at().acquire()();
    });

    void test("is given back once, not twice", () => {
      const at = open();
      const first = at().acquire();
      first();
      const second = at().acquire();
      first();
      assert.throws(() => at().acquire(), refusal("DIRECTORY_LOCKED"));
      second();
    });
  });
}
