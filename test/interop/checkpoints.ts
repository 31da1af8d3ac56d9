// SPDX-License-Identifier: Apache-2.0
// npm run checkpoints: a log grows through a thousand checkpoints, and a reader that nobody here wrote (Go's tlog and note)
// holds it to every one of them over HTTP: signature, inclusion, consistency with the one before and with the last.
// Arguments choose journeys by a part of their names.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createPoster, createWrites } from "../../scripts/load.ts";
import { freePort, type Journey, type Outcome, ROOT, scratch, startInstance, succeed, travel } from "../harness.ts";

const CHECKPOINTS = 1000;
/** Writers at a time, round by round: alone each entry has a checkpoint of its own, in a crowd many share one. */
const CROWDS = [1, 1, 1, 8, 1, 24];

const bin = (
  await succeed(join(ROOT, "scripts", "parts", "go"), [join(ROOT, "test", "interop", "clients", "go", "tilecheck")], {
    timeoutMs: 600_000,
  })
).stdout.trim();
const work = scratch("checkpoints");
const home = join(work.path, "home");
mkdirSync(home);
const server = await startInstance({ dir: join(work.path, "installation"), port: await freePort(), home });
const base = `${server.url}/api/v2`;
const [, vkey] =
  /^log (\S+)/m.exec(readFileSync(join(server.dir, "trust", "ledger.policy"), "utf8")) ?? fail("the policy file names no log");

function fail(message: string): never {
  throw new Error(message);
}

interface Seen {
  readonly checkpoint: string;
  readonly index: number;
  readonly entry: string;
}

/** By size of the tree. */
const seen = new Map<number, Seen>();
let written = 0;

function check(url: string, answers: readonly Seen[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(join(bin, "tilecheck"), ["-url", url, "-vkey", vkey!], { stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", (error) => resolve({ status: 127, stdout, stderr: error.message }));
    child.once("close", (status) => resolve({ status: status ?? 1, stdout, stderr }));
    child.stdin.on("error", () => {}).end(answers.map((one) => `${JSON.stringify(one)}\n`).join(""));
  });
}

async function expectFailure(url: string, answers: readonly Seen[], words: RegExp): Promise<void> {
  const { status, stdout, stderr } = await check(url, answers);
  if (status === 0 || !words.test(stderr)) fail(`expected ${words}, found status ${status}: ${stdout}${stderr}`);
}

const bySize = (): Seen[] => [...seen].toSorted(([a], [b]) => a - b).map(([, one]) => one);

const journeys: Journey[] = [
  {
    name: `the log grows through ${CHECKPOINTS} checkpoints`,
    async go() {
      const next = createWrites(8);
      const poster = createPoster(server.url, 24);
      const write = async (): Promise<void> => {
        const { status, body } = await poster.post("/api/v2/log/entries", next().body);
        if (status !== 201) fail(`status ${status}: ${String(body)}`);
        const {
          inclusionProof: proof,
          canonicalizedBody: entry,
          logIndex,
        } = JSON.parse(String(body)) as {
          inclusionProof: { treeSize: string; checkpoint: { envelope: string } };
          canonicalizedBody: string;
          logIndex: string;
        };
        seen.set(Number(proof.treeSize), { checkpoint: proof.checkpoint.envelope, index: Number(logIndex), entry });
        written += 1;
      };
      for (let round = 0; seen.size < CHECKPOINTS; round++) {
        const crowd = CROWDS[round % CROWDS.length]!;
        for (let at = 0; at < 20 && seen.size < CHECKPOINTS; at++) await Promise.all(Array.from({ length: crowd }, write));
      }
      poster.close();
      console.log(`       ${seen.size} checkpoints, ${written} entries`);
    },
  },
  {
    name: "Go's reader opens each, proves inclusion, and consistency with the one before and the last",
    async go() {
      const { status, stdout, stderr } = await check(base, bySize());
      if (status !== 0) fail(`${stdout}${stderr}`);
      console.log(`       ${stdout.trim()}`);
      if (seen.size < CHECKPOINTS || !stdout.startsWith(`${seen.size} checkpoints`)) fail("not all were checked");
    },
  },
  {
    name: "the same reader refuses what is not so: another entry, another root, another order, a changed tile",
    async go() {
      const all = bySize();
      const [first, second] = [all[300]!, all[600]!];
      await expectFailure(base, [{ ...first, entry: second.entry }], /another one in the tile/);
      const lines = first.checkpoint.split("\n");
      await expectFailure(
        base,
        [{ ...first, checkpoint: [lines[0], lines[1], second.checkpoint.split("\n")[2], ...lines.slice(3)].join("\n") }],
        /invalid signature/,
      );
      await expectFailure(base, [second, first], /size went back/);
      const forger = createServer((request, response) => {
        void fetch(`${server.url}${request.url}`).then(async (answer) => {
          const bytes = Buffer.from(await answer.arrayBuffer());
          if (request.url?.includes("/tile/0/")) bytes[40]! ^= 1;
          response.writeHead(answer.status).end(bytes);
        });
      });
      await new Promise<void>((resolve) => forger.listen(0, "127.0.0.1", resolve));
      await expectFailure(
        `http://127.0.0.1:${(forger.address() as AddressInfo).port}/api/v2`,
        [first],
        /inconsistent tile|downloaded/,
      );
      forger.close();
    },
  },
];

const { passed, failed } = await travel(journeys, process.argv.slice(2));
await server.stop();
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
