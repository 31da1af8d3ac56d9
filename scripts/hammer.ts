// SPDX-License-Identifier: Apache-2.0
/**
 * npm run hammer -- --url URL [--dialect v2|v1|ct] [--rate R] [--seconds S] [--duplicates PART] [--pid PID] [--trusted-root FILE] [--json]
 *
 * Load on a log: a ledger in the Rekor v2 dialect, in the v1 dialect, or a certificate log (RFC 6962 `add-pre-chain`; with
 * `--ca-key PEM --ca-chain PEM` of an authority whose certificates it takes). Arrivals are open loop: each has its time and
 * is sent then, whatever the answers do, and its latency counts from that time, so a slow server cannot slow the questions
 * down. Every answer is checked; afterwards the whole log is read (from `--files DIR`, where its files are not served) and
 * held to all of them. With the server's process id its CPU time is counted (this process' own is counted apart). Last
 * line: `N passed, N failed`; exit 1 if any failed, 3 if nobody answered.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rekorV1KeyId } from "@lacre/core/bundle";
import { parsePem, parsePemAll } from "@lacre/core/codec";
import { importPrivateKey } from "@lacre/core/crypto";
import { decodeTrustedRoot, type TransparencyLog } from "@lacre/core/trust";
import { decodeCertificate } from "@lacre/core/x509";
import { createCertificateDialect, originOf, REKOR_V1, REKOR_V2, type Dialect, type Read } from "./dialects.ts";
import { createPoster, LedgerOracle, type Answer, type CheckpointKey, type Write } from "./load.ts";

const USAGE =
  "usage: npm run hammer -- --url URL [--dialect v2|v1|ct] [--rate R] [--seconds S] [--duplicates PART] [--connections N] [--pid PID]\n" +
  "       [--trusted-root FILE] [--files DIR] [--ca-key PEM --ca-chain PEM] [--json]";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    dialect: { type: "string", default: "v2" },
    rate: { type: "string", default: "200" },
    seconds: { type: "string", default: "10" },
    duplicates: { type: "string", default: "0.02" },
    connections: { type: "string", default: "256" },
    pid: { type: "string" },
    "trusted-root": { type: "string" },
    files: { type: "string" },
    "ca-key": { type: "string" },
    "ca-chain": { type: "string" },
    json: { type: "boolean", default: false },
  },
});

function usage(why = ""): never {
  console.error(`${why}${USAGE}`);
  process.exit(2);
}

if (values.url === undefined) usage();
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const say = (line: string): void => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);

/** CPU seconds of a process, all threads: fields 14 and 15 of its stat, in ticks of 10 ms. */
function cpuSeconds(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const trusted = values["trusted-root"] === undefined ? undefined : decodeTrustedRoot(readFileSync(values["trusted-root"]));
const client = createPoster(values.url, Number(values.connections));

function chooseDialect(): Dialect {
  switch (values.dialect) {
    case "v1":
      return REKOR_V1;
    case "v2":
      return REKOR_V2;
    case "ct": {
      const { "ca-key": key, "ca-chain": chain } = values;
      if (key === undefined || chain === undefined) return usage("--dialect ct needs --ca-key and --ca-chain\n");
      const read = (path: string): string => readFileSync(path, "utf8");
      // Of several certificate logs in a root the one that is meant is found only by its checkpoint: the current one is taken.
      return createCertificateDialect(
        {
          key: importPrivateKey(parsePem(read(key), "PRIVATE KEY")),
          chain: parsePemAll(read(chain), "CERTIFICATE").map(({ der }) => decodeCertificate(der)),
        },
        trusted?.ctlogs.at(-1)?.key,
      );
    }
    default:
      return usage();
  }
}

/** The key of the log with this origin. A v1 log's origin goes on behind its name, and its key ids are made without it. */
function findKey(origin: string): CheckpointKey | undefined {
  if (trusted === undefined || values.dialect === "ct") return undefined;
  const [name] = origin.split(" - ", 1);
  const found: TransparencyLog | undefined = trusted.tlogs.find((one) => one.name === name);
  if (found === undefined) {
    console.error(`the trusted root has no log named ${origin}`);
    process.exit(3);
  }
  return origin === name ? found : { name: found.name, key: found.key, keyHint: rekorV1KeyId(found.key) };
}

const dialect = chooseDialect();
const write = dialect.createWrites();
const { files } = values;
const read: Read =
  files === undefined
    ? (path) => client.get(dialect.files + path)
    : (path) => Promise.resolve().then(() => readShown(join(files, path)));

function readShown(file: string): Answer {
  try {
    return { status: 200, body: readFileSync(file) };
  } catch {
    return { status: 404, body: Buffer.alloc(0) };
  }
}

// Everything is made before the clock starts, as far as memory allows: making is not what is measured.
const total = Math.round(rate * seconds);
const ready = Array.from({ length: Math.min(total, 50_000) }, write);
const first = await dialect.checkpoint(read).catch(() => undefined);
if (first === undefined && files === undefined) {
  console.error(`no log answers at ${values.url}`);
  process.exit(3);
}
const log = first === undefined ? undefined : findKey(originOf(first));
const oracle = new LedgerOracle(log);
if (first !== undefined) oracle.see(first);

interface Outcome {
  readonly write: Write;
  readonly answer: Answer | undefined;
  readonly latencyMs: number;
}

const outcomes: Outcome[] = [];
const statuses = new Map<string, number>();
const sent: Write[] = [];
/** Sent more than once: which of them comes first is the server's to say. */
const twice = new Set<Write>();
const serverBefore = values.pid === undefined ? 0 : cpuSeconds(values.pid);
const ownBefore = process.cpuUsage();
const began = performance.now();
const pending: Promise<void>[] = [];
let lateMs = 0;

for (let at = 0; at < total;) {
  const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate) + 1);
  for (; at < due; at++) {
    const scheduled = began + (at * 1000) / rate;
    lateMs = Math.max(lateMs, performance.now() - scheduled);
    const repeated = Math.random() < Number(values.duplicates) ? sent[Math.floor(Math.random() * sent.length)] : undefined;
    if (repeated !== undefined) twice.add(repeated);
    const one = repeated ?? ready.pop() ?? write();
    sent.push(one);
    pending.push(
      client.post(dialect.submit, one.body).then(
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
  if (answer?.status === dialect.created) good += take(one, answer.body) ? 1 : 0;
  else if (twice.has(one) && answer?.status === dialect.duplicate) good++;
}
if (dialect.hasTiles) await oracle.check(read);
client.close();

/** Whether an answer is as it should be. */
function take(one: Write, body: Buffer): boolean {
  const before = oracle.problems.length;
  try {
    dialect.take(oracle, one, body);
  } catch (error) {
    oracle.problems.push(`an answer: ${error instanceof Error ? error.message : String(error)}`);
  }
  return oracle.problems.length === before;
}

const latencies = outcomes
  .filter(({ answer }) => answer?.status === dialect.created)
  .map(({ latencyMs }) => latencyMs)
  .toSorted((a, b) => a - b);
const quantile = (part: number): number => latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? NaN;
const result = {
  url: values.url,
  dialect: values.dialect,
  rate,
  seconds,
  sent: total,
  good,
  statuses: Object.fromEntries(statuses),
  perSecond: good / wallSeconds,
  latencyMs: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), p999: quantile(0.999), max: latencies.at(-1) ?? NaN },
  serverCpuSeconds: serverSeconds ?? null,
  perServerCpuSecond: serverSeconds === undefined ? null : good / serverSeconds,
  generatorCpuSeconds: (own.user + own.system) / 1e6,
  generatorLateMs: lateMs,
  checkpoints: oracle.checkpoints,
  problems: oracle.problems.length,
};
say(
  `${total} requests in ${wallSeconds.toFixed(1)} s (${rate}/s wanted, ${result.perSecond.toFixed(0)}/s answered); answers: ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(", ")}`,
);
say(
  `latency ms: p50 ${quantile(0.5).toFixed(1)}, p90 ${quantile(0.9).toFixed(1)}, p99 ${quantile(0.99).toFixed(1)}, p99.9 ${quantile(0.999).toFixed(1)}, max ${result.latencyMs.max.toFixed(1)}`,
);
for (const line of histogram(latencies)) say(line);
say(
  `CPU: server ${serverSeconds?.toFixed(2) ?? "not asked for (--pid)"} s${serverSeconds === undefined ? "" : ` (${result.perServerCpuSecond!.toFixed(0)} entries per CPU-second)`}, this generator ${result.generatorCpuSeconds.toFixed(2)} s; most late ${lateMs.toFixed(0)} ms`,
);
say(
  `oracle: ${oracle.promised} entries and ${oracle.checkpoints} checkpoints held against ${dialect.hasTiles ? "the whole log" : "one another (the protocol has no tiles)"}${log === undefined ? " (checkpoints' signatures not checked)" : ""}`,
);
for (const problem of oracle.problems.slice(0, 10)) say(`FAILED ${problem}`);
if (values.json) console.log(JSON.stringify(result));
// Being told to come back later is an answer under overload; anything else is not.
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
    if (to > from)
      lines.push(
        `  < ${`${limit}`.padStart(7)} ms ${`${to - from}`.padStart(8)} ${"#".repeat(Math.ceil((60 * (to - from)) / sorted.length))}`,
      );
    from = to;
  }
  return lines;
}
