// SPDX-License-Identifier: Apache-2.0
/**
 * The monitor: looks at each of its logs again and again, delivers what there is to tell, and shows that it is alive.
 *
 * A round is a look at every log, the deliveries that are due, and the heartbeat, in this order; the next begins one
 * interval after the last began, or at once when it took longer. A heartbeat is written only by a round that looked: a
 * monitor that cannot read falls silent in its heartbeat as it does in its alarms.
 */
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { Logger } from "../engine/index.ts";
import type { Rule } from "./rules.ts";
import type { Sink } from "./sinks.ts";
import type { Alarm, MonitorStore } from "./store.ts";
import { createWatch, type Look, type WatchedLog } from "./watch.ts";

/** How one log stands. */
export interface LogStanding {
  readonly origin: string;
  readonly status: "waiting" | Look["status"];
  /** Size of the checkpoint that was verified last. */
  readonly size: number;
  /** When a look last ended well. */
  readonly currentMs: number | undefined;
  readonly reason: string | undefined;
  readonly alarm: Alarm | undefined;
}

export interface MonitorStatus {
  readonly status: "watching" | "alarm" | "behind";
  /** When a round last ended. */
  readonly heartbeatMs: number | undefined;
  readonly rounds: number;
  /** Looks that ended well, and that did not: for metrics. */
  readonly looks: number;
  readonly failures: number;
  readonly logs: readonly LogStanding[];
  readonly matches: number;
  readonly undelivered: number;
  readonly givenUp: number;
  readonly lastDeliveryFailure: string | undefined;
}

export interface Monitor {
  /** Begins with the first round at once. */
  start(): void;
  /** One round. */
  round(): Promise<readonly Look[]>;
  status(): MonitorStatus;
  /** What an operator has to see to: a sentence for each log that stands accused. */
  problems(): readonly string[];
  /** Ends the round under way and everything after it. */
  close(): Promise<void>;
}

export interface MonitorOptions {
  readonly logs: readonly WatchedLog[];
  readonly rules: readonly Rule[];
  readonly sinks: readonly Sink[];
  readonly store: MonitorStore;
  readonly intervalMs: number;
  /** A file that each round replaces. */
  readonly heartbeat?: string | undefined;
  readonly now: () => number;
  readonly log?: Logger | undefined;
}

/** A delivery is tried this often, with pauses that double from one second up to an hour: about nine hours in all. */
const ATTEMPTS = 20;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 3_600_000;
const DELIVERIES_A_ROUND = 100;

/** A monitor over these logs. */
export function createMonitor(o: MonitorOptions): Monitor {
  const { store, now, log } = o;
  const names = o.sinks.map(({ name }) => name);
  const watches = o.logs.map((one) => createWatch({ log: one, rules: o.rules, store, sinks: names, now }));
  const standings = new Map<string, { status: Look["status"]; reason: string | undefined; currentMs: number | undefined }>();
  const ending = { aborted: false };
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<readonly Look[]> | undefined;
  let [rounds, looks, failures] = [0, 0, 0];
  let heartbeatMs: number | undefined;

  async function perform(): Promise<readonly Look[]> {
    const ended: Look[] = [];
    for (const watch of watches) {
      if (ending.aborted) return ended;
      const look = await watch.look(ending);
      if (ending.aborted) return ended;
      keep(watch.origin, look);
      ended.push(look);
    }
    await deliver();
    rounds++;
    heartbeatMs = now();
    if (o.heartbeat !== undefined) beat(o.heartbeat);
    return ended;
  }

  function keep(origin: string, look: Look): void {
    const before = standings.get(origin);
    if (look.status === "current") looks++;
    else failures++;
    if (before?.status !== look.status || before.reason !== look.reason) {
      if (look.status === "alarm") log?.error({ origin, reason: look.reason }, "ALARM: a log contradicts itself");
      else if (look.status === "unreadable") log?.warn({ origin, reason: look.reason }, "a log cannot be read");
      else if (before !== undefined) log?.info({ origin, size: look.size }, "a log is current again");
    }
    standings.set(origin, {
      status: look.status,
      reason: look.reason,
      currentMs: look.status === "current" ? now() : before?.currentMs,
    });
  }

  async function deliver(): Promise<void> {
    for (const { key, sink: name, attempts, event } of store.due(now(), DELIVERIES_A_ROUND)) {
      if (ending.aborted) return;
      const sink = o.sinks.find((one) => one.name === name);
      try {
        if (sink === undefined) throw new Error("the sink is no longer configured");
        await sink.send(event);
        store.delivered(key);
      } catch (error) {
        const reason = `${name}: ${reasonOf(error)}`;
        const isLast = attempts + 1 >= ATTEMPTS || sink === undefined;
        log?.warn(
          { event: event.id, reason, attempts: attempts + 1 },
          isLast ? "an event was not delivered, and is given up" : "an event was not delivered; it is tried again",
        );
        store.failed(key, isLast ? undefined : now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempts), reason);
      }
    }
  }

  function beat(path: string): void {
    try {
      mkdirSync(dirname(path), { recursive: true });
      const fd = openSync(`${path}.new`, "w", 0o644);
      try {
        writeSync(fd, `${JSON.stringify(status(), null, 2)}\n`);
      } finally {
        closeSync(fd);
      }
      renameSync(`${path}.new`, path);
    } catch (error) {
      log?.warn({ err: error }, "the heartbeat cannot be written");
    }
  }

  function status(): MonitorStatus {
    const { matches, waiting, givenUp, lastFailure } = store.counts();
    const logs = o.logs.map(({ origin }): LogStanding => {
      const standing = standings.get(origin);
      const alarm = store.alarm(origin);
      return {
        origin,
        status: alarm === undefined ? (standing?.status ?? "waiting") : "alarm",
        size: store.progress(origin)?.size ?? 0,
        currentMs: standing?.currentMs,
        reason: alarm?.reason ?? standing?.reason,
        alarm,
      };
    });
    const worst = logs.some((one) => one.alarm !== undefined)
      ? "alarm"
      : logs.some((one) => one.status === "unreadable")
        ? "behind"
        : "watching";
    return {
      status: worst,
      heartbeatMs,
      rounds,
      looks,
      failures,
      logs,
      matches,
      undelivered: waiting,
      givenUp,
      lastDeliveryFailure: lastFailure,
    };
  }

  function round(): Promise<readonly Look[]> {
    return (running ??= perform().finally(() => (running = undefined)));
  }

  function plan(began: number): void {
    if (ending.aborted) return;
    timer = setTimeout(
      () => {
        const next = performance.now();
        void round()
          .catch((error: unknown) => log?.error({ err: error }, "a round of the monitor failed"))
          .then(() => plan(next));
      },
      Math.max(0, o.intervalMs - (performance.now() - began)),
    );
    timer.unref();
  }

  return {
    start: () => plan(performance.now() - o.intervalMs),
    round,
    status,
    problems: () =>
      o.logs.flatMap(({ origin }) => {
        const alarm = store.alarm(origin);
        return alarm === undefined ? [] : [`accuses ${origin}: ${alarm.reason}`];
      }),
    async close() {
      ending.aborted = true;
      clearTimeout(timer);
      await running?.catch(() => undefined);
      store.close();
    },
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = (error.cause as { code?: unknown } | undefined)?.code;
  return (typeof cause === "string" ? `${error.message}: ${cause}` : error.message).split("\n")[0]!.slice(0, 200);
}
