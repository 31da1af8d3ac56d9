// SPDX-License-Identifier: Apache-2.0
/**
 * npm run crash -- [--cycles N] [--clients N] [--dir DIR] [--seed N] [--keep]
 *
 * Kills a real server (kill −9) at random moments while clients write, and starts it again on the same directory. After
 * each start every entry ever acknowledged must be at its index, every checkpoint ever seen must be of one history, and a
 * repeated request must find its first entry. Now and then a second process tries to take the directory and must fail
 * with a word about the first; at the end the directory is audited. Last line: `N passed, N failed`; exit 1 if any failed.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { toHex } from "@lacre/core/bytes";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createPoster, createWrites, LedgerOracle, type Write } from "./load.ts";

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "20" },
    clients: { type: "string", default: "64" },
    dir: { type: "string" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    keep: { type: "boolean", default: false },
  },
});
const ROOT = dirname(import.meta.dirname);
const scratch = values.dir ?? mkdtempSync(join(tmpdir(), "lacre-crash-"));
const installation = join(scratch, "installation");
// The anchors of this installation belong here, not to the user who runs the campaign.
const env: NodeJS.ProcessEnv = { ...process.env };
for (const name of ["STATE", "CONFIG", "DATA", "CACHE"]) env[`XDG_${name}_HOME`] = join(scratch, name.toLowerCase());
env["HOME"] = scratch;
delete env["LACRE_DIR"];
delete env["LACRE_LAUNCHER"];
mkdirSync(scratch, { recursive: true });

let passed = 0;
let failed = 0;

function hold(what: string, problems: readonly string[]): void {
  if (problems.length === 0) {
    passed++;
    return;
  }
  failed++;
  console.log(`FAILED ${what}`);
  for (const problem of problems.slice(0, 5)) console.log(`       ${problem}`);
}

/** Numbers from a seed (mulberry32): a campaign can be run again as it was, as far as the machine's timing allows. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = randomFrom(Number(values.seed));

interface Server {
  readonly process: ChildProcess;
  readonly url: string;
  readonly ended: Promise<number | null>;
  /** What it wrote for people. */
  said(): string;
}

function launch(): { child: ChildProcess; ended: Promise<number | null>; said: () => string } {
  const child = spawn(
    process.execPath,
    ["--conditions=source", join(ROOT, "packages/cli/src/main.ts"), "up", "--dir", installation, "--listen", "127.0.0.1:0"],
    {
      cwd: scratch,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let text = "";
  child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { child, ended: new Promise((resolve) => child.on("exit", resolve)), said: () => text };
}

/** Starts the server; undefined when it ends instead of becoming ready. */
async function start(): Promise<Server | undefined> {
  const { child, ended, said } = launch();
  let out = "";
  const ready = new Promise<string>((resolve) => {
    child.stdout!.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const url = /^lacre ready (\S+)$/m.exec(out)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  const url = await Promise.race([ready, ended.then(() => undefined)]);
  if (url === undefined) {
    hold("start", [said().trim() || "the server ended without a word"]);
    return undefined;
  }
  return { process: child, url, ended, said };
}

async function secondProcess(first: Server): Promise<readonly string[]> {
  const { child, ended, said } = launch();
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const code = await ended;
  clearTimeout(timer);
  if (code === 0 || code === null) return [`a second process on the directory ended with ${code}: ${said()}`];
  return said().includes(`${first.process.pid}`)
    ? []
    : [`a second process does not name the first (${first.process.pid}): ${said()}`];
}

/** Looks the newest promised entries up, and some of the older ones: each must be found at its index, in an answer that reaches over it. */
async function searchAll(client: ReturnType<typeof createPoster>, { leaves }: LedgerOracle, problems: string[]): Promise<void> {
  let newest = 0;
  for (const index of leaves.keys()) newest = Math.max(newest, index);
  newest -= 300;
  const wanted = [...leaves].filter(([index]) => index > newest || random() < 300 / leaves.size);
  for (let at = 0; at < wanted.length; at += 16) {
    await Promise.all(
      wanted.slice(at, at + 16).map(async ([index, leafHash]) => {
        const { body } = await client.get(`/api/v2/search?key=leaf:${toHex(leafHash)}`);
        const answer = JSON.parse(body.toString()) as { size?: number; entries?: { index: number }[] };
        if (answer.entries?.length !== 1 || answer.entries[0]!.index !== index || (answer.size ?? 0) <= index)
          problems.push(`search for entry ${index} answers ${body.toString().slice(0, 200)}`);
      }),
    );
  }
}

const write = createWrites();
let oracle: LedgerOracle | undefined;
/** Some of the acknowledged requests, to be repeated in later lives. */
const acknowledged: { readonly write: Write; readonly index: number }[] = [];
function remember(one: { readonly write: Write; readonly index: number }): void {
  if (acknowledged.length < 2000) acknowledged.push(one);
  else acknowledged[Math.floor(random() * acknowledged.length)] = one;
}
console.log(`crash: ${values.cycles} cycles, ${values.clients} clients, seed ${values.seed}, in ${scratch}`);

for (let cycle = 1; cycle <= Number(values.cycles); cycle++) {
  const began = performance.now();
  const server = await start();
  if (server === undefined) break;
  const readyMs = performance.now() - began;
  oracle ??= new LedgerOracle(decodeTrustedRoot(readFileSync(join(installation, "trust", "trusted_root.json"))).tlogs[0]);
  const { problems } = oracle;
  const client = createPoster(server.url, Number(values.clients));

  // Everything promised before the kill.
  await oracle
    .check((path) => client.get(`/api/v2${path}`))
    .catch((error: unknown) => problems.push(`reading the log: ${String(error)}`));
  hold(`cycle ${cycle}: what was promised is kept`, problems.splice(0));
  const repeated = acknowledged.filter(() => random() < 5 / acknowledged.length).slice(0, 10);
  for (const { write: one, index } of repeated) {
    const answer = await client.post("/api/v2/log/entries", one.body);
    const entry = answer.status === 201 ? oracle.take(one, answer.body) : undefined;
    if (Number(entry?.logIndex ?? -1) !== index)
      problems.push(`a repeated request for entry ${index} was answered with ${answer.status} and ${entry?.logIndex}`);
  }
  hold(`cycle ${cycle}: repeated requests find their entries`, problems.splice(0));
  await searchAll(client, oracle, problems);
  hold(`cycle ${cycle}: what was promised is found by search`, problems.splice(0));
  if (cycle % 10 === 1) hold(`cycle ${cycle}: a second process is refused`, await secondProcess(server));

  // Load until the kill.
  const load = { over: false };
  let written = 0;
  const clients = Array.from({ length: Number(values.clients) }, async () => {
    while (!load.over) {
      const one = write();
      try {
        const answer = await client.post("/api/v2/log/entries", one.body);
        if (answer.status === 201) {
          const entry = oracle!.take(one, answer.body);
          if (entry !== undefined) remember({ write: one, index: Number(entry.logIndex) });
          written++;
        } else if (answer.status !== 503)
          problems.push(`a write was answered with ${answer.status}: ${answer.body.toString().slice(0, 200)}`);
      } catch {
        // The connection broke: nothing was promised.
        if (!load.over) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 50 + random() * random() * 2500));
  server.process.kill("SIGKILL");
  load.over = true;
  await Promise.all([...clients, server.ended]);
  client.close();
  hold(`cycle ${cycle}: answers under load`, problems.splice(0));
  console.log(
    `cycle ${cycle}: ready in ${readyMs.toFixed(0)} ms, ${written} entries acknowledged before the kill, ${oracle.promised} in all, ${oracle.checkpoints} checkpoints seen`,
  );
}

// A last life, ended in peace, and the audit.
const last = failed === 0 ? await start() : undefined;
if (last !== undefined && oracle !== undefined) {
  const client = createPoster(last.url, 8);
  await oracle
    .check((path) => client.get(`/api/v2${path}`))
    .catch((error: unknown) => oracle!.problems.push(`reading the log: ${String(error)}`));
  client.close();
  hold("at the end: what was promised is kept", oracle.problems);
  last.process.kill("SIGTERM");
  const code = await last.ended;
  hold("at the end: the server ends in peace", code === 0 || code === null ? [] : [`exit ${code}: ${last.said()}`]);
}
const audit = spawnSync(process.execPath, ["--conditions=source", join(ROOT, "scripts/fsck.ts"), installation], {
  env,
  encoding: "utf8",
});
hold("audit of the directory", audit.status === 0 ? [] : audit.stdout.split("\n").filter((line) => !line.startsWith("ok")));
console.log(`audit: ${audit.stdout.trimEnd().split("\n").at(-1)}`);
if (values.dir === undefined && !values.keep && failed === 0) rmSync(scratch, { recursive: true, force: true });
else console.log(`kept: ${scratch}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
