// SPDX-License-Identifier: Apache-2.0
/**
 * Whether this installation keeps what it promises, and if not, why not: the answer of `/healthz`.
 *
 * It is not ready, with a sentence for each reason, when
 * - a log takes no entries: it stopped, or its disk is full;
 * - a log shows nothing new for want of witnesses;
 * - an entry has waited longer than was promised, for its commit or for a checkpoint over it;
 * - a checkpoint is older than the renewal and the promise together allow: whatever renews it has stopped;
 * - a certificate or a document of the trust repository has expired, or is not valid yet by this machine's clock.
 */
import type { Log, LogHealth } from "../engine/index.ts";
import type { HealthConfig } from "./config.ts";

/** Something that is valid for a time. */
export interface Expiry {
  /** What, in one word. */
  readonly what: string;
  /** Since when, milliseconds since 1970; for ever unless given. */
  readonly fromMs?: number;
  readonly untilMs: number;
}

/** The answer: `ready`, why not, and each part's own words. */
export interface HealthReport {
  readonly ready: boolean;
  readonly problems: readonly string[];
  readonly [part: string]: unknown;
}

export interface HealthOptions {
  readonly logs: Readonly<Record<string, Pick<Log, "health">>>;
  readonly config: HealthConfig;
  readonly expiries: () => readonly Expiry[];
  readonly now: () => number;
  /** What else is to be said of a log. */
  readonly more?: (log: string) => object;
  /** Other parts: what they say of themselves; sentences in `problems` make the whole not ready. */
  readonly parts?: Readonly<Record<string, () => { readonly problems?: readonly string[]; readonly [name: string]: unknown }>>;
}

const REASON: Readonly<Record<Exclude<LogHealth["status"], "serving">, string>> = {
  full: "takes no entries: its disk is full",
  stopped: "takes no entries: it has stopped, because a write could not be made durable or it is being closed",
  unwitnessed: "publishes nothing: too few witnesses answer",
};

const seconds = (ms: number): number => Math.max(0, Math.round(ms / 1000));

/** Makes the function that `/healthz` asks. */
export function createHealth({ logs, config, expiries, now, more = () => ({}), parts = {} }: HealthOptions): () => HealthReport {
  return () => {
    const nowMs = now();
    const problems: string[] = [];
    const said: Record<string, unknown> = {};
    for (const [name, log] of Object.entries(logs)) {
      const health = log.health();
      problems.push(...problemsOf(health, nowMs, config).map((problem) => `${name} ${problem}`));
      const { status, committed, published, waiting, timeMs, failure } = health;
      said[name] = {
        status,
        committed,
        published,
        waiting,
        checkpointAgeSeconds: seconds(nowMs - timeMs),
        ...(status === "unwitnessed" ? { reason: failure } : {}),
        ...more(name),
      };
    }
    for (const { what, fromMs = Number.NEGATIVE_INFINITY, untilMs } of expiries()) {
      if (nowMs > untilMs) problems.push(`${what} has expired on ${day(untilMs)}`);
      if (nowMs < fromMs) problems.push(`${what} is not valid before ${day(fromMs)}: is the clock of this machine right?`);
    }
    for (const [name, part] of Object.entries(parts)) {
      const { problems: more = [], ...rest } = part();
      problems.push(...more.map((problem) => `${name} ${problem}`));
      said[name] = rest;
    }
    return { ready: problems.length === 0, problems, ...said };
  };
}

function problemsOf(
  { status, oldestMs, behindMs, timeMs }: LogHealth,
  nowMs: number,
  { publishWithinSeconds, renewMinutes }: HealthConfig,
): string[] {
  const within = publishWithinSeconds * 1000;
  const problems = status === "serving" ? [] : [REASON[status]];
  if (oldestMs > within)
    problems.push(`has an entry that waits for its commit since ${seconds(oldestMs)} s, promised are ${publishWithinSeconds}`);
  if (behindMs > within)
    problems.push(
      `has an entry that waits for its checkpoint since ${seconds(behindMs)} s, promised are ${publishWithinSeconds}`,
    );
  const oldest = renewMinutes * 60_000 + within;
  if (renewMinutes > 0 && nowMs - timeMs > oldest)
    problems.push(`has a checkpoint that is ${seconds(nowMs - timeMs)} s old, promised are ${seconds(oldest)}`);
  return problems;
}

function day(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Renews checkpoints that have stood for `everyMs`, by the wall clock, so that a machine that slept renews when it wakes.
 * Returns what ends it.
 */
export function keepFresh(
  logs: Readonly<Record<string, Pick<Log, "health" | "renew">>>,
  everyMs: number,
  now: () => number,
): () => void {
  if (everyMs === 0) return () => {};
  const look = (): void => {
    for (const log of Object.values(logs)) if (now() - log.health().timeMs >= everyMs) log.renew();
  };
  look();
  const timer = setInterval(look, Math.min(1000, Math.max(50, everyMs / 4))).unref();
  return () => clearInterval(timer);
}
