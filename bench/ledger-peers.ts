// SPDX-License-Identifier: Apache-2.0
/**
 * Our ledger in both dialects and our certificate log, and rekor-tiles with its POSIX backend, under the same hammer
 * (open loop, every answer and the whole log checked) on the same machine in the same run. Each server is a process whose
 * CPU time is counted apart from the generator's; both share the machine's cores.
 *
 * Per target: quiet (2 requests a second), then steps of rising rate. A rate is kept when nothing is refused, all is
 * answered and the 99th percentile stays within a second and a half of the quiet one. At the last rate kept three runs,
 * of which the best counts; then one at half of it. V, one thread's P-256 verifications, is measured between the targets.
 *
 * rekor-tiles is built through the Go module proxy (`scripts/parts/go`) and runs twice: as it is shipped, and with a
 * checkpoint each second, batches of 50 ms and 65,536 requests in flight. Its persistent deduplication is off, as shipped;
 * ours is always on. Where it cannot be built its rows are missing. `LACRE_TARGETS=v2,peer` chooses, `LACRE_STEPS`
 * too; `LACRE_SLACK_MS` replaces the second and a half where the machine has other work.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import * as crypto from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Measurement } from "./measure.ts";

const ROOT = dirname(import.meta.dirname);
const PEER = "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0";
const STEPS = (process.env["LACRE_STEPS"] ?? "200,400,700,1000,1300,1600,2000,2500").split(",").map(Number);
const TARGETS = (process.env["LACRE_TARGETS"] ?? "v2,v1,ct,peer,peer-fast").split(",");
const SECONDS = 8;
const RUNS = 3;
/** How much longer than on a quiet server one request in a hundred may take at a rate that counts as kept. */
const SLACK_MS = Number(process.env["LACRE_SLACK_MS"] ?? 1500);

/** What the hammer says with --json. */
interface Struck {
  readonly rate: number;
  readonly sent: number;
  readonly good: number;
  readonly problems: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly perSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  readonly serverCpuSeconds: number;
  readonly perServerCpuSecond: number;
  readonly generatorCpuSeconds: number;
  /** How late a request was sent at the worst: the machine had other work. */
  readonly generatorLateMs: number;
}

interface Server {
  readonly child: ChildProcess;
  /** Of the hammer: where and how. */
  readonly flags: readonly string[];
}

interface Figures {
  readonly name: string;
  readonly kept: readonly Struck[];
  readonly quiet: Struck;
  readonly half: Struck;
}

/** V now, by CPU time. */
function verifications(): number {
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = crypto.randomBytes(1024);
  const signature = crypto.sign("sha256", message, privateKey);
  const before = process.cpuUsage();
  let checks = 0;
  for (const began = performance.now(); performance.now() - began < 1000; checks++)
    crypto.verify("sha256", message, publicKey, signature);
  const { user, system } = process.cpuUsage(before);
  return checks / ((user + system) / 1e6);
}

async function strike(flags: readonly string[], rate: number, seconds: number): Promise<Struck> {
  const child = spawn(
    process.execPath,
    [
      "--conditions=source",
      join(ROOT, "scripts/hammer.ts"),
      ...flags,
      "--rate",
      `${rate}`,
      "--seconds",
      `${seconds}`,
      "--connections",
      "20000",
      "--json",
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let [output, errors] = ["", ""];
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  for await (const chunk of child.stdout) output += String(chunk);
  const line = output.split("\n").find((one) => one.startsWith("{"));
  if (line === undefined) throw new Error(`the hammer said nothing: ${errors}`);
  const struck = JSON.parse(line) as Struck;
  if (struck.problems > 0) throw new Error(`answers were wrong:\n${errors}`);
  process.stderr.write(
    `  ${rate}/s: ${struck.good} of ${struck.sent} (${Object.entries(struck.statuses)
      .map(([status, count]) => `${count} × ${status}`)
      .join(", ")}), p50 ${struck.latencyMs.p50.toFixed(1)} p99 ${struck.latencyMs.p99.toFixed(1)} ms, ` +
      `${struck.perServerCpuSecond.toFixed(0)} per CPU-second, CPU ${struck.serverCpuSeconds.toFixed(1)} + ${struck.generatorCpuSeconds.toFixed(1)} s, at most ${struck.generatorLateMs.toFixed(0)} ms late, ` +
      `load ${readFileSync("/proc/loadavg", "utf8").split(" ", 1)[0]}\n`,
  );
  return struck;
}

/** Starts our server with ledger and certificate log. */
async function startOurs(scratch: string, dialect: string): Promise<Server> {
  const dir = join(scratch, "ours");
  const state = Object.fromEntries(["STATE", "CONFIG", "DATA", "CACHE"].map((name) => [`XDG_${name}_HOME`, join(dir, name)]));
  const child = spawn(
    process.execPath,
    [
      "--conditions=source",
      join(ROOT, "packages/cli/src/main.ts"),
      "up",
      "--quiet",
      "--dir",
      join(dir, "data"),
      "--only",
      "ledger,ct",
      "--listen",
      "127.0.0.1:0",
    ],
    { env: { ...process.env, ...state, HOME: dir, LACRE_LAUNCHER: "" }, stdio: ["ignore", "pipe", "inherit"] },
  );
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout!.on("data", (chunk: Buffer) => {
      const ready = /^lacre ready (\S+)/.exec(chunk.toString())?.[1];
      if (ready !== undefined) resolve(ready);
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const flags = ["--url", url, "--dialect", dialect, "--pid", `${child.pid}`];
  if (dialect === "ct") {
    const chain = join(dir, "chain.pem");
    writeFileSync(
      chain,
      ["ca-issuing", "ca-root"].map((name) => readFileSync(join(dir, "data/certs", `${name}.pem`), "utf8")).join(""),
    );
    flags.push("--ca-key", join(dir, "data/keys/ca-issuing.pem"), "--ca-chain", chain);
  }
  return { child, flags };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts rekor-tiles on files; undefined where it cannot be built. */
async function startPeer(scratch: string, more: readonly string[]): Promise<Server | undefined> {
  let bin: string;
  try {
    bin = execFileSync(join(ROOT, "scripts/parts/go"), [PEER], { stdio: ["ignore", "pipe", "inherit"] })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
  const dir = mkdtempSync(join(scratch, "peer-"));
  const [files, key] = [join(dir, "files"), join(dir, "key.pem")];
  mkdirSync(files);
  writeFileSync(key, crypto.generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }));
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(
    join(bin, "posix"),
    [
      "serve",
      "--hostname",
      "peer.test",
      "--storage-dir",
      files,
      "--signer-filepath",
      key,
      "--log-level",
      "error",
      "--http-port",
      `${http}`,
      "--grpc-port",
      `${grpc}`,
      "--http-metrics-port",
      `${metrics}`,
      ...more,
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const url = `http://127.0.0.1:${http}`;
  for (
    let waited = 0;
    waited < 100 &&
    !(await fetch(`${url}/healthz`).then(
      () => true,
      () => false,
    ));
    waited++
  )
    await new Promise((resolve) => setTimeout(resolve, 100));
  return { child, flags: ["--url", url, "--dialect", "v2", "--pid", `${child.pid}`, "--files", files] };
}

async function stop({ child }: Server): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
}

/** The whole course on one target. */
async function measure(name: string, { flags }: Server): Promise<Figures> {
  process.stderr.write(`${name}\n`);
  await strike(flags, 200, 4);
  const quiet = await strike(flags, 2, 10);
  let kept: Struck | undefined;
  for (const rate of STEPS) {
    const struck = await strike(flags, rate, SECONDS);
    if (struck.good < struck.sent || struck.latencyMs.p99 > quiet.latencyMs.p99 + SLACK_MS) break;
    kept = struck;
  }
  if (kept === undefined) throw new Error(`${name} keeps not even ${STEPS[0]} a second`);
  const runs = [kept];
  while (runs.length < RUNS) runs.push(await strike(flags, kept.rate, SECONDS));
  return { name, kept: runs, quiet, half: await strike(flags, kept.rate / 2, SECONDS) };
}

export async function run(): Promise<readonly Measurement[]> {
  const scratch = mkdtempSync(join(process.env["LACRE_PEERS_DIR"] ?? tmpdir(), "lacre-peers-"));
  const plan: readonly (readonly [string, string, () => Promise<Server | undefined>])[] = [
    ["v2", "lacre, Rekor v2", () => startOurs(scratch, "v2")],
    ["v1", "lacre, Rekor v1", () => startOurs(scratch, "v1")],
    ["ct", "lacre, add-pre-chain", () => startOurs(scratch, "ct")],
    ["peer", "rekor-tiles, as shipped", () => startPeer(scratch, [])],
    [
      "peer-fast",
      "rekor-tiles, checkpoint each second",
      () => startPeer(scratch, ["--checkpoint-interval", "1s", "--batch-max-age", "50ms", "--pushback-max-outstanding", "65536"]),
    ],
  ];
  const bounds: number[] = [verifications()];
  const figures: Figures[] = [];
  try {
    for (const [id, name, start] of plan.filter(([one]) => TARGETS.includes(one))) {
      const server = await start();
      if (server === undefined) {
        process.stderr.write(`${name} is absent: ${PEER} is not built here\n`);
        continue;
      }
      try {
        figures.push(await measure(name, server));
      } catch (error) {
        // What a peer gets wrong is a result, what we get wrong is not.
        if (!id.startsWith("peer")) throw error;
        process.stderr.write(`${name}: ${String(error)}\n`);
      } finally {
        await stop(server);
      }
      bounds.push(verifications());
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return rows(figures, Math.max(...bounds));
}

function rows(figures: readonly Figures[], bound: number): Measurement[] {
  const best = (kept: readonly Struck[]): number => Math.max(...kept.map(({ perServerCpuSecond }) => perServerCpuSecond));
  const peers = figures.filter(({ name }) => name.startsWith("rekor-tiles"));
  const results: Measurement[] = [];
  for (const { name, kept, quiet, half } of figures) {
    const isPeer = name.startsWith("rekor-tiles");
    // Beside ours the better of the peer's two configurations, figure by figure.
    const row = (
      what: string,
      unit: string,
      values: readonly number[],
      peer: number | undefined,
      isTime: boolean,
      v?: number,
    ): void => {
      const value = isTime ? Math.min(...values) : Math.max(...values);
      const other = isPeer || peers.length === 0 ? undefined : peer;
      results.push({
        name: `${name}: ${what}`,
        unit,
        value,
        bound: v ?? null,
        ratio: v === undefined ? null : value / v,
        boundName: v === undefined ? null : "V: crypto.verify, P-256 with SHA-256, one thread",
        peer: other ?? null,
        peerRatio: other === undefined ? null : isTime ? other / value : value / other,
        peerName: other === undefined ? null : `${PEER}, the better of its two configurations`,
        repetitions: values.length,
        spread: (Math.max(...values) - Math.min(...values)) / Math.max(...values),
      });
    };
    row(
      "entries",
      "per CPU-second of the server",
      kept.map(({ perServerCpuSecond }) => perServerCpuSecond),
      Math.max(...peers.map((peer) => best(peer.kept))),
      false,
      bound,
    );
    row("rate kept", "per second", [kept[0]!.rate], Math.max(...peers.map((peer) => peer.kept[0]!.rate)), false);
    for (const quantile of ["p50", "p99"] as const) {
      row(
        `quiet, ${quantile}`,
        "ms",
        [quiet.latencyMs[quantile]],
        Math.min(...peers.map((peer) => peer.quiet.latencyMs[quantile])),
        true,
      );
      row(
        `half load (${half.rate}/s), ${quantile}`,
        "ms",
        [half.latencyMs[quantile]],
        Math.min(...peers.map((peer) => peer.half.latencyMs[quantile])),
        true,
      );
    }
  }
  return results;
}
