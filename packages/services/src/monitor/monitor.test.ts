// SPDX-License-Identifier: Apache-2.0
/** The monitor over logs that are honest, that lie, and that cannot be read; its memory over deaths in between. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { formatVerifierKey, parseCheckpoint, signCheckpoint } from "@lacre/core/bundle";
import { toBase64 } from "@lacre/core/bytes";
import { generateKey, sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import fc from "fast-check";
import { FakeLog, ORIGIN } from "./fixture.ts";
import {
  createMonitor,
  createWatch,
  openMonitorStore,
  type Look,
  type MonitorStore,
  type Rule,
  type WatchedLog,
} from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-monitor-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let stores = 0;
const path = (): string => join(scratch, `${stores++}`, "monitor.db");
const open = (at = path()): MonitorStore => openMonitorStore(at, "m");

/** Entries here are plain text: the rule looks at them through a reader of its own. */
const RULE: Rule = { name: "wanted", test: ({ kind }) => kind.includes("wanted") };
const READER = {
  traits: (entry: Uint8Array) => ({
    kind: Buffer.from(entry).toString(),
    identities: [],
    issuers: [],
    keys: [],
    digests: [],
    extension: () => [],
  }),
};
function watched(log: FakeLog, more: Partial<WatchedLog> = {}): WatchedLog {
  const plain = log.watched();
  return { ...plain, entries: { ...plain.entries, ...READER }, ...more };
}
const watch = (log: FakeLog, store: MonitorStore, more: Partial<WatchedLog> = {}, now = () => 1000) =>
  createWatch({ log: watched(log, more), rules: [RULE], store, sinks: ["test"], now });
const told = (store: MonitorStore) => store.due(Number.MAX_SAFE_INTEGER, 1000).map(({ event }) => event);
const numbered = (from: number, to: number, word = "entry"): string[] =>
  Array.from({ length: to - from }, (_, at) => `${word} ${from + at}`);
const brief = ({ status, size, read, matches }: Look) => [status, size, read, matches];

test("an honest log is read once, every entry of it, and its matches are told once", async () => {
  const log = new FakeLog();
  const store = open();
  const one = watch(log, store);
  assert.deepEqual(brief(await one.look()), ["current", 0, 0, 0]);
  log.add(...numbered(0, 300), "wanted 1");
  assert.deepEqual(brief(await one.look()), ["current", 301, 301, 1]);
  const { reads } = log;
  assert.deepEqual(brief(await one.look()), ["current", 301, 0, 0]);
  assert.equal(log.reads, reads, "a log that has not grown is not read again");
  log.add("wanted 2", ...numbered(302, 700), "wanted 3");
  assert.deepEqual(brief(await one.look()), ["current", 701, 400, 2]);
  assert.deepEqual(
    told(store).map(({ id, kind, body }) => [id, kind, (body as { index: number }).index]),
    [
      ["m-1", "match", 300],
      ["m-2", "match", 301],
      ["m-3", "match", 700],
    ],
  );
});

test("whatever a log's history, however it is cut into looks, the matches are those of a full scan", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.boolean(), { maxLength: 200 }), { maxLength: 6 }), async (looks) => {
      const log = new FakeLog();
      const store = open(":memory:");
      const one = watch(log, store);
      for (const entries of looks) {
        log.add(...entries.map((isWanted, at) => `${isWanted ? "wanted" : "other"} ${log.entries.length + at}`));
        assert.equal((await one.look()).status, "current");
      }
      const scanned = log.entries.flatMap((entry, index) => (Buffer.from(entry).toString().startsWith("wanted") ? [index] : []));
      assert.deepEqual(
        told(store).map(({ body }) => (body as { index: number }).index),
        scanned,
      );
      store.close();
    }),
    { numRuns: 25 },
  );
});

/** What a dishonest log may do after it was seen with 300 entries, and what it is called. */
const LIES: Readonly<Record<string, readonly [string, (log: FakeLog) => void, RegExp]>> = {
  "shows fewer entries": ["shrunk", (log) => void (log.note = log.checkpoint(299)), /had 300 entries, and now signs 299/],
  "signs another root for the same size": [
    "inconsistent",
    (log) => void (log.entries[7] = Buffer.from("rewritten")),
    /does not begin with the 300/,
  ],
  "grows from another history": [
    "inconsistent",
    (log) => void log.add("more").entries.splice(7, 1, Buffer.from("rewritten")),
    /tree of 301 entries does not begin/,
  ],
  "serves other entries than it signed": [
    "entries",
    (log) => {
      log.add("signed");
      const { source } = log;
      const honest = log.entries[300]!;
      (log as { source: typeof source }).source = async (at) => {
        if (!at.startsWith("tile/entries")) return source(at);
        log.entries[300] = Buffer.from("served");
        try {
          return await source(at);
        } finally {
          log.entries[300] = honest;
        }
      };
    },
    /not those of the 301/,
  ],
};

for (const [what, [kind, lie, saying]] of Object.entries(LIES)) {
  test(`a log that ${what} raises an alarm in one look, which stays`, async () => {
    const log = new FakeLog().add(...numbered(0, 300));
    const store = open();
    await watch(log, store).look();
    const seen = log.checkpoint();
    lie(log);
    const one = watch(log, store);
    const look = await one.look();
    assert.deepEqual([look.status, store.alarm(ORIGIN)!.kind, saying.test(look.reason!)], ["alarm", kind, true], look.reason);
    // The evidence: two checkpoints, both signed by the log.
    const [event] = told(store);
    assert.equal(event!.kind, "alarm");
    assert.deepEqual(
      [(event!.body as { before: string }).before, parseCheckpoint((event!.body as { checkpoint: string }).checkpoint).origin],
      [seen, ORIGIN],
    );
    // Back to the honest history, as if nothing had been: the alarm stays, and is told once.
    log.note = seen;
    for (let again = 0; again < 3; again++) assert.equal((await one.look()).status, "alarm");
    assert.equal(told(store).length, 1);
    assert.equal(store.progress(ORIGIN)!.size, 300);
  });
}

test("only an operator's word for the very state ends an alarm; then the log is read from its start", async () => {
  const log = new FakeLog().add(...numbered(0, 20), "wanted a");
  const store = open();
  const one = watch(log, store);
  await one.look();
  log.entries[3] = Buffer.from("wanted b");
  assert.equal((await one.look()).status, "alarm");
  const { size, root } = parseCheckpoint(log.checkpoint());
  store.accept(ORIGIN, Number(size) - 1, toBase64(root));
  assert.equal((await one.look()).status, "alarm");
  store.accept(ORIGIN, Number(size), toBase64(sha256(root)));
  assert.equal((await one.look()).status, "alarm");
  store.accept(ORIGIN, Number(size), toBase64(root));
  assert.deepEqual(brief(await one.look()), ["current", 21, 21, 2]);
  assert.deepEqual(
    told(store).map(({ kind }) => kind),
    ["match", "alarm", "accepted", "match", "match"],
  );
  // The word was for then: another lie is another alarm.
  log.entries[4] = Buffer.from("again");
  assert.equal((await one.look()).status, "alarm");
});

test("what cannot be read is no alarm, and not the end: the next look goes on", async () => {
  const log = new FakeLog().add(...numbered(0, 10));
  const store = open();
  const { source } = log;
  let hidden = "tile/entries/000.p/10";
  const one = watch(log, store, { source: async (at) => (at === hidden ? undefined : source(at)) });
  assert.deepEqual(
    [(await one.look()).status, (await one.look()).reason],
    ["unreadable", "the log lacks an entry bundle that its checkpoint promises"],
  );
  hidden = "";
  assert.equal((await one.look()).status, "current");
  for (const note of [
    "nonsense",
    signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: 99n, root: sha256(new Uint8Array(0)), key: generateKey("Ed25519") }),
    log.checkpoint().replace(ORIGIN, "other.example"),
  ]) {
    log.note = note;
    assert.equal((await one.look()).status, "unreadable", note.slice(0, 40));
  }
  assert.equal(store.alarm(ORIGIN), undefined);
});

test("killed between any two transactions, the monitor neither loses a match nor tells one twice", async () => {
  const at = path();
  const log = new FakeLog().add(
    ...Array.from({ length: 256 * 40 }, (_, index) => (index % 1000 === 0 ? `wanted ${index}` : `entry ${index}`)),
  );
  const expected = log.entries.flatMap((_, index) => (index % 1000 === 0 ? [index] : []));
  // Dies after so many reads of tiles, then after more.
  for (let life = 1; ; life++) {
    const store = open(at);
    let left = 13;
    const { source } = log;
    const one = watch(log, store, {
      source: async (where) => {
        if (where.startsWith("tile/") && left-- === 0) throw new LacreError("SERVICE_UNREACHABLE", "gone");
        return source(where);
      },
    });
    const { status } = await one.look();
    store.close();
    if (status === "current") break;
    assert.ok(life < 10, "the monitor gets nowhere");
  }
  const store = open(at);
  assert.deepEqual(
    told(store).map(({ body }) => (body as { index: number }).index),
    expected,
  );
  assert.deepEqual(brief(await watch(log, store).look()), ["current", log.entries.length, 0, 0]);
  store.close();
});

test("matches on the way to a checkpoint that was never true are not told", async () => {
  const log = new FakeLog().add(...numbered(0, 10));
  const store = open();
  const one = watch(log, store);
  await one.look();
  // It serves an entry that we want, under a root that it did not sign.
  log.add("wanted but false");
  const lie = log.entries[10]!;
  log.entries[10] = Buffer.from("true");
  log.note = log.checkpoint();
  log.entries[10] = lie;
  assert.equal((await one.look()).status, "alarm");
  assert.deepEqual(
    told(store).map(({ kind }) => kind),
    ["alarm"],
  );
  assert.equal(store.counts().matches, 0);
});

test("a log that shows its witness another history is caught, whichever is larger", async () => {
  const mine = new FakeLog().add(...numbered(0, 20));
  const other = new FakeLog(mine.key).add(...numbered(0, 12), ...numbered(12, 30, "fork"));
  for (const size of [15, 20, 30]) {
    const store = open();
    const one = watch(mine, store, { views: [{ by: "witness w", latest: async () => other.checkpoint(size) }] });
    let look = await one.look();
    // A larger tree may be ours a moment later: the log has a few looks to get there.
    for (let round = 0; size > 20 && round < 3; round++) {
      assert.equal(look.status, "current");
      look = await one.look();
    }
    assert.equal(look.status, "alarm", `size ${size}`);
    assert.match(look.reason!, /witness w was shown/);
  }
  // Of one history, smaller, equal or a moment ahead: fine. Signed by others: no evidence.
  const store = open();
  let note: string | undefined = mine.checkpoint(12);
  const one = watch(mine, store, { views: [{ by: "w", latest: async () => note }] });
  for (const next of [mine.checkpoint(20), undefined, new FakeLog().add(...numbered(0, 20, "x")).checkpoint(), "nonsense"]) {
    assert.equal((await one.look()).status, "current");
    note = next;
  }
  const ahead = new FakeLog(mine.key).add(...numbered(0, 25));
  note = ahead.checkpoint();
  assert.equal((await one.look()).status, "current");
  mine.add(...numbered(20, 26));
  note = mine.checkpoint();
  assert.equal((await one.look()).status, "current");
  mine.add("more");
  for (let round = 0; round < 6; round++) assert.equal((await one.look()).status, "current");
});

test("rounds go on by themselves, leave a heartbeat, and end when they are told", async () => {
  const log = new FakeLog().add("wanted 0");
  const sent: string[] = [];
  const heartbeat = join(scratch, "deep", "heartbeat.json");
  const monitor = createMonitor({
    logs: [watched(log)],
    rules: [RULE],
    store: open(),
    intervalMs: 5,
    heartbeat,
    now: Date.now,
    sinks: [{ name: "test", send: async ({ id }) => void sent.push(id) }],
  });
  monitor.start();
  while (monitor.status().rounds < 3) await new Promise((resolve) => setTimeout(resolve, 2));
  log.add("wanted 1");
  while (sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  await monitor.round();
  const beat = JSON.parse(readFileSync(heartbeat, "utf8")) as {
    status: string;
    heartbeatMs: number;
    logs: { origin: string; size: number; status: string }[];
  };
  assert.deepEqual(
    [beat.status, beat.logs.map(({ origin, size, status }) => [origin, size, status])],
    ["watching", [[ORIGIN, 2, "current"]]],
  );
  assert.ok(Date.now() - beat.heartbeatMs < 5000);
  assert.equal(monitor.status().undelivered, 0);
  await monitor.close();
  const { length } = sent;
  log.add("wanted 2");
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(sent.length, length);
  assert.ok(formatVerifierKey(log.verifier).startsWith(ORIGIN));
});

test("what changes is said once: a log that cannot be read, that is back, that is accused", async () => {
  const log = new FakeLog().add(...numbered(0, 5));
  const said: string[] = [];
  const tell =
    (level: string) =>
    (fields: object, message: string): void =>
      void said.push(`${level} ${message} ${(fields as { reason?: string }).reason ?? ""}`.trim());
  const { source } = log;
  let isDown = false;
  const monitor = createMonitor({
    logs: [
      watched(log, {
        source: async (at) => {
          if (isDown) throw new LacreError("SERVICE_UNREACHABLE", "gone");
          return source(at);
        },
      }),
    ],
    rules: [],
    sinks: [],
    store: open(),
    intervalMs: 1e6,
    now: Date.now,
    log: { info: tell("info"), warn: tell("warn"), error: tell("error") },
  });
  const figures = (): unknown[] => [
    monitor.status().status,
    monitor.status().looks,
    monitor.status().failures,
    monitor.problems().length,
  ];
  await monitor.round();
  assert.deepEqual([figures(), said], [["watching", 1, 0, 0], []]);
  isDown = true;
  await monitor.round();
  await monitor.round();
  assert.deepEqual([figures(), said.splice(0)], [["behind", 1, 2, 0], ["warn a log cannot be read gone"]]);
  isDown = false;
  await monitor.round();
  assert.deepEqual([figures(), said.splice(0)], [["watching", 2, 2, 0], ["info a log is current again"]]);
  log.note = log.checkpoint(4);
  await monitor.round();
  await monitor.round();
  assert.deepEqual(
    [figures(), said.splice(0)],
    [["alarm", 2, 4, 1], ["error ALARM: a log contradicts itself it had 5 entries, and now signs 4"]],
  );
  assert.match(monitor.problems()[0]!, /accuses log\.example: it had 5/);
  await monitor.close();
});

test("a delivery that fails is tried again, later each time, and given up in the end; all of that shows", async () => {
  let time = 1_000_000;
  let isUp = false;
  let tried = 0;
  const got: string[] = [];
  const log = new FakeLog().add("wanted 0");
  const monitor = createMonitor({
    logs: [watched(log)],
    rules: [RULE],
    store: open(),
    intervalMs: 1e6,
    now: () => time,
    sinks: [
      {
        name: "flaky",
        send: async ({ id }) => {
          tried++;
          if (!isUp) throw new Error("not now");
          got.push(id);
        },
      },
    ],
  });
  await monitor.round();
  assert.deepEqual([monitor.status().undelivered, monitor.status().lastDeliveryFailure], [1, "flaky: not now"]);
  await monitor.round();
  isUp = true;
  // Not before its time.
  await monitor.round();
  assert.deepEqual(got, []);
  time += 1000;
  await monitor.round();
  assert.deepEqual([got, monitor.status().undelivered], [["m-1"], 0]);
  isUp = false;
  log.add("wanted 1");
  for (let attempt = 0; attempt < 25; attempt++) {
    await monitor.round();
    time += 3_600_000;
  }
  assert.deepEqual([monitor.status().undelivered, monitor.status().givenUp, got.length, tried], [0, 1, 1, 2 + 20]);
  await monitor.close();
});
