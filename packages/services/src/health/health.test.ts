// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LogHealth } from "../engine/index.ts";
import { createHealth, HEALTH_DEFAULTS, keepFresh, type Expiry } from "./index.ts";

const NOW = Date.parse("2027-05-01T00:00:00Z");
const SOUND: LogHealth = {
  status: "serving",
  committed: 9,
  published: 9,
  timeMs: NOW - 30_000,
  waiting: 0,
  oldestMs: 0,
  behindMs: 0,
  sealed: 0,
  failure: undefined,
};

function ask(
  health: Partial<LogHealth> = {},
  more: {
    expiries?: readonly Expiry[];
    config?: Partial<typeof HEALTH_DEFAULTS>;
    parts?: Parameters<typeof createHealth>[0]["parts"];
  } = {},
) {
  return createHealth({
    logs: { ledger: { health: () => ({ ...SOUND, ...health }) }, ct: { health: () => SOUND } },
    config: { ...HEALTH_DEFAULTS, ...more.config },
    expiries: () => more.expiries ?? [],
    now: () => NOW,
    ...(more.parts === undefined ? {} : { parts: more.parts }),
  })();
}

test("a sound installation is ready and says what it is at", () => {
  const part = { status: "serving", committed: 9, published: 9, waiting: 0, checkpointAgeSeconds: 30 };
  assert.deepEqual(ask(), { ready: true, problems: [], ledger: part, ct: part });
});

test("says of each thing that is not as promised what it is, and is not ready", () => {
  const cases: readonly (readonly [Partial<LogHealth>, RegExp])[] = [
    [{ status: "stopped" }, /^ledger takes no entries: it has stopped/],
    [{ status: "full" }, /^ledger takes no entries: its disk is full$/],
    [{ status: "unwitnessed", failure: "w1: no answer" }, /^ledger publishes nothing: too few witnesses answer$/],
    [{ oldestMs: 60_001 }, /^ledger has an entry that waits for its commit since 60 s, promised are 60$/],
    [{ behindMs: 75_000 }, /^ledger has an entry that waits for its checkpoint since 75 s, promised are 60$/],
    [{ timeMs: NOW - 660_001 }, /^ledger has a checkpoint that is 660 s old, promised are 660$/],
  ];
  for (const [health, says] of cases) {
    const { ready, problems } = ask(health);
    assert.deepEqual([ready, problems.length], [false, 1]);
    assert.match(problems[0]!, says);
  }
  for (const health of [{ oldestMs: 60_000 }, { behindMs: 60_000 }, { timeMs: NOW - 660_000 }, { timeMs: NOW + 5000 }])
    assert.equal(ask(health).ready, true);
  // Without a renewal the age of an idle log's checkpoint means nothing.
  assert.equal(ask({ timeMs: 0 }, { config: { renewMinutes: 0 } }).ready, true);
  assert.deepEqual(
    (ask({ status: "unwitnessed", failure: "w1: no answer" }) as unknown as { ledger: { reason: string } }).ledger.reason,
    "w1: no answer",
  );
});

test("the operator's own words of a failure stay inside", () => {
  assert.doesNotMatch(JSON.stringify(ask({ status: "stopped", failure: "/var/lib/lacre/journal: EIO" })), /var/);
});

test("what has expired, or is not valid yet, is named with its date", () => {
  const at = (fromMs: number, untilMs: number): readonly Expiry[] => [{ what: "ca-root", fromMs, untilMs }];
  assert.deepEqual(ask({}, { expiries: at(NOW, NOW) }).problems, []);
  assert.deepEqual(ask({}, { expiries: at(0, NOW - 1) }).problems, ["ca-root has expired on 2027-04-30T23:59:59Z"]);
  assert.deepEqual(ask({}, { expiries: at(NOW + 1, NOW + 2) }).problems, [
    "ca-root is not valid before 2027-05-01T00:00:00Z: is the clock of this machine right?",
  ]);
  assert.deepEqual(ask({}, { expiries: [{ what: "tuf-root", untilMs: NOW }] }).ready, true);
});

test("other parts speak for themselves", () => {
  const { ready, problems, monitor, witness } = ask(
    {},
    { parts: { monitor: () => ({ problems: ["has not looked for 3 h"], size: 5 }), witness: () => ({ name: "w" }) } },
  );
  assert.deepEqual([ready, problems, monitor, witness], [false, ["monitor has not looked for 3 h"], { size: 5 }, { name: "w" }]);
});

test("renews what has stood long enough, at once after a sleep, and only that", async () => {
  let nowMs = NOW;
  const renewed: string[] = [];
  const log = (name: string, timeMs: number) => ({ health: () => ({ ...SOUND, timeMs }), renew: () => void renewed.push(name) });
  const stop = keepFresh({ old: log("old", NOW - 400), young: log("young", NOW - 399) }, 400, () => nowMs);
  assert.deepEqual(renewed, ["old"]);
  nowMs += 3_600_000;
  while (!renewed.includes("young")) await sleep(5);
  stop();
  const count = renewed.length;
  await sleep(250);
  assert.equal(renewed.length, count);
  keepFresh({ old: log("never", 0) }, 0, () => NOW)();
  assert.ok(!renewed.includes("never"));
});
