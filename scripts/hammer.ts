// SPDX-License-Identifier: Apache-2.0
/**
 * npm run hammer -- --url URL [--rate R] [--seconds S] [--duplicates PART] [--pid PID] [--trusted-root FILE] [--json]
 *
 * Load on a ledger in the Rekor v2 dialect. Arrivals are open loop: each has its time and is sent then, whatever the
 * answers do, and its latency counts from that time, so a slow server cannot slow the questions down. Every answer is
 * checked; afterwards the whole log is read and held to all of them. With the server's process id its CPU time is counted
 * (this process' own is counted apart). Last line: `N passed, N failed`; exit 1 if any failed, 3 if nobody answered.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createPoster, createWrites, LedgerOracle, type Answer, type Write } from "./load.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    rate: { type: "string", default: "200" },
    seconds: { type: "string", default: "10" },
    duplicates: { type: "string", default: "0.02" },
    connections: { type: "string", default: "256" },
    pid: { type: "string" },
    "trusted-root": { type: "string" },
    json: { type: "boolean", default: false },
  },
});
if (values.url === undefined) {
  console.error("usage: npm run hammer -- --url URL [--rate R] [--seconds S] [--duplicates PART] [--connections N] [--pid PID] [--trusted-root FILE] [--json]");
  process.exit(2);
}
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const say = (line: string): void => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);

/** CPU seconds of a process, all threads: fields 14 and 15 of its stat, in ticks of 10 ms. */
function cpuSeconds(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const write = createWrites();
const client = createPoster(values.url, Number(values.connections));
const trusted = values["trusted-root"] === undefined ? undefined : decodeTrustedRoot(readFileSync(values["trusted-root"]));

// Everything is made before the clock starts, as far as memory allows: making is not what is measured.
const total = Math.round(rate * seconds);
const ready = Array.from({ length: Math.min(total, 50_000) }, write);
const first = await client.get("/api/v2/checkpoint").catch(() => undefined);
if (first?.status !== 200) {
  console.error(`no ledger answers at ${values.url}`);
  process.exit(3);
}
const origin = first.body.toString().split("\n", 1)[0]!;
const log = trusted?.tlogs.find(({ name }) => name === origin);
if (trusted !== undefined && log === undefined) {
  console.error(`the trusted root has no log named ${origin}`);
  process.exit(3);
}
const oracle = new LedgerOracle(log);
oracle.see(first.body.toString());

interface Outcome {
  readonly write: Write;
  readonly answer: Answer | undefined;
  readonly latencyMs: number;
}

const outcomes: Outcome[] = [];
const statuses = new Map<string, number>();
const sent: Write[] = [];
const serverBefore = values.pid === undefined ? 0 : cpuSeconds(values.pid);
const ownBefore = process.cpuUsage();
const began = performance.now();
const pending: Promise<void>[] = [];
let lateMs = 0;

for (let at = 0; at < total; ) {
  const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate) + 1);
  for (; at < due; at++) {
    const scheduled = began + (at * 1000) / rate;
    lateMs = Math.max(lateMs, performance.now() - scheduled);
    const repeated = Math.random() < Number(values.duplicates) ? sent[Math.floor(Math.random() * sent.length)] : undefined;
    const one = repeated ?? ready.pop() ?? write();
    sent.push(one);
    pending.push(
      client.post("/api/v2/log/entries", one.body).then(
        (answer) => void outcomes.push({ write: one, answer, latencyMs: performance.now() - scheduled }),
        () => void outcomes.push({ write: one, answer: undefined, latencyMs: performance.now() - scheduled }),
      ),
    );
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
await Promise.all(pending);
const wallSeconds = (performance.now() - began) / 1000;
const serverSeconds = values.pid === undefined ? undefined : cpuSeconds(values.pid) - serverBefore;
const own = process.cpuUsage(ownBefore);

let good = 0;
for (const { write: one, answer } of outcomes) {
  const status = answer === undefined ? "no answer" : `${answer.status}`;
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
  if (answer?.status === 201 && oracle.take(one, answer.body) !== undefined) good++;
}
await oracle.check((path) => client.get(`/api/v2${path}`));
client.close();

const latencies = outcomes.filter(({ answer }) => answer?.status === 201).map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
const quantile = (part: number): number => latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? NaN;
const result = {
  url: values.url, rate, seconds, sent: total, good, statuses: Object.fromEntries(statuses),
  perSecond: good / wallSeconds,
  latencyMs: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), p999: quantile(0.999), max: latencies.at(-1) ?? NaN },
  serverCpuSeconds: serverSeconds ?? null,
  perServerCpuSecond: serverSeconds === undefined ? null : good / serverSeconds,
  generatorCpuSeconds: (own.user + own.system) / 1e6,
  generatorLateMs: lateMs,
  checkpoints: oracle.checkpoints,
  problems: oracle.problems.length,
};
say(`${total} requests in ${wallSeconds.toFixed(1)} s (${rate}/s wanted, ${result.perSecond.toFixed(0)}/s answered); answers: ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(", ")}`);
say(`latency ms: p50 ${quantile(0.5).toFixed(1)}, p90 ${quantile(0.9).toFixed(1)}, p99 ${quantile(0.99).toFixed(1)}, p99.9 ${quantile(0.999).toFixed(1)}, max ${result.latencyMs.max.toFixed(1)}`);
for (const line of histogram(latencies)) say(line);
say(`CPU: server ${serverSeconds?.toFixed(2) ?? "not asked for (--pid)"} s${serverSeconds === undefined ? "" : ` (${result.perServerCpuSecond!.toFixed(0)} entries per CPU-second)`}, this generator ${result.generatorCpuSeconds.toFixed(2)} s; most late ${lateMs.toFixed(0)} ms`);
say(`oracle: ${oracle.promised} entries and ${oracle.checkpoints} checkpoints held against the whole log${log === undefined ? " (signatures not checked: no --trusted-root)" : ""}`);
for (const problem of oracle.problems.slice(0, 10)) say(`FAILED ${problem}`);
if (values.json) console.log(JSON.stringify(result));
// Being told to come back later is an answer under overload; anything else but 201 is not.
const refused = statuses.get("503") ?? 0;
const failed = total - good - refused + oracle.problems.length;
console.log(`${good} passed, ${failed} failed`);
process.exit(failed === 0 && good > 0 ? 0 : 1);

/** A line for each doubling of the latency. */
function histogram(sorted: readonly number[]): string[] {
  const lines: string[] = [];
  let from = 0;
  for (let limit = 0.5; from < sorted.length; limit *= 2) {
    let to = from;
    while (to < sorted.length && sorted[to]! < limit) to++;
    if (to > from) lines.push(`  < ${`${limit}`.padStart(7)} ms ${`${to - from}`.padStart(8)} ${"#".repeat(Math.ceil((60 * (to - from)) / sorted.length))}`);
    from = to;
  }
  return lines;
}
