// SPDX-License-Identifier: Apache-2.0
// lacre explain: saved verdicts in words, and nothing that could be taken for a verification.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { CHECKS, type Verdict } from "@lacre/core/verify";
import { runLine } from "../../packages/cli/src/run.ts";
import { scratch } from "../harness.ts";
import { judge, workshop } from "../verify/trial.ts";
import { seal } from "../workshop/workshop.ts";
import { createWorld } from "./world.ts";

const work = scratch("explain");
mkdirSync(work.path, { recursive: true });
after(() => work.remove());

async function explain(
  content: unknown,
  args: readonly string[] = [],
  isTerminal = false,
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  writeFileSync(join(work.path, "saved.json"), text);
  const world = createWorld({ cwd: work.path, isTerminal, env: { TERM: "xterm", HOME: work.path } });
  const status = await runLine(["explain", "saved.json", ...args], world.context);
  return { status, stdout: world.stdout(), stderr: world.stderr() };
}

const verified = judge({ recipe: { content: "dsse" } });
const refused = judge({ recipe: { bundle: (bundle) => void (bundle["mediaType"] = "application/x") } });

test("every check is told by its name, a refusal with what was expected, found, and what to do", async () => {
  for (const verdict of [verified, refused]) {
    const { status, stdout } = await explain(verdict);
    assert.equal(status, 0);
    for (const { name } of verdict.checks.filter((check) => check.status !== "skipped")) assert.ok(stdout.includes(name), name);
  }
  const { stdout } = await explain(refused);
  assert.match(stdout, /^saved\.json: It was refused\n/);
  assert.match(
    stdout,
    /fail +B1 +the bundle version is supported\n +reason +.*\[BUNDLE_VERSION\]\n +expected .*\n +found +application\/x\n +to do +\S/,
  );
  assert.match(stdout, /H {2}The signer's certificate\n +skipped +all of it: not reached/);
});

test("it says that nothing was verified again, and never says what a verification says", async () => {
  const { status, stdout, stderr } = await explain(verified);
  assert.equal(status, 0);
  assert.match(stdout, /^saved\.json: It was verified\n/);
  assert.match(stderr, /nothing was verified again/);
  assert.doesNotMatch(stdout + stderr, /Verified OK/);
});

test("colour where there is a terminal, and none elsewhere", async () => {
  assert.ok((await explain(refused, [], true)).stdout.includes("\u001b[31m"));
  assert.ok(!(await explain(refused)).stdout.includes("\u001b"));
});

test("text in a saved verdict cannot move the cursor", async () => {
  const evil = structuredClone(refused) as { -readonly [K in keyof Verdict]: Verdict[K] };
  evil.warnings = ["\u001b[2Jforged\nVerified OK"];
  const { stdout } = await explain(evil);
  assert.ok(!stdout.includes("\u001b"));
  assert.doesNotMatch(stdout, /^Verified OK/m);
});

test("--output json passes verdicts through, and only verdicts", async () => {
  const lines = `${JSON.stringify(verified)}\n${JSON.stringify({ error: { status: 3, code: "FILE_UNREADABLE", message: "cannot read x", hint: "Check." } })}\n`;
  const { status, stdout } = await explain(lines, ["--output", "json"]);
  assert.equal(status, 0);
  assert.deepEqual(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
    lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  );
  for (const wrong of [{ ...verified, extra: 1 }, { ...verified, checks: [] }, seal(workshop).bundle, {}, [], { error: 1 }]) {
    const told = await explain(wrong, ["--output", "json"]);
    assert.equal(told.status, 1);
    assert.match(told.stdout, /^\{"error":\{"status":1,"code":"VERDICT_INVALID"/);
  }
});

test("what verbs wrap around verdicts is read: images with their signatures, commits, reports", async () => {
  const record = { schema: "urn:lacre:image:1", image: "registry.example/app:1", outcome: "refused" };
  const image = await explain({
    ...record,
    seals: [
      { digest: "sha256:aa", verdict: refused },
      { digest: "sha256:bb", verdict: verified },
    ],
  });
  assert.match(image.stdout, /app:1, signature sha256:aa: It was refused[^]*app:1, signature sha256:bb: It was verified/);
  assert.match((await explain({ ...record, seals: [] })).stdout, /app:1: nothing was stored beside it: unsigned/);
  assert.match((await explain({ commit: "abc123", verdict: verified })).stdout, /^abc123: It was verified/);
  const report = { error: { status: 3, code: "TRUST_MISSING", message: "no root", hint: "Give one." } };
  assert.match((await explain(report)).stdout, /^Nothing was verified\.\nerror: no root \[TRUST_MISSING\]\n +hint: +Give one\./);
});

test("a bundle is told as claims, and so called", async () => {
  for (const recipe of [{}, { content: "dsse" as const }, { signer: "key" as const }, { dialect: "v2" as const }]) {
    const { status, stdout } = await explain(seal(workshop, recipe).bundle);
    assert.equal(status, 0);
    assert.match(stdout, /^A bundle, not a verdict: what saved\.json claims\. Nothing of it was checked\.\n/);
    assert.match(stdout, /signed (by|with)[^]*logged +entry \d+[^]*to do +verify it: lacre verify FILE --bundle saved\.json/);
  }
});

test("the blocks of the explanation are those of the catalogue", async () => {
  const { stdout } = await explain(verified);
  const letters = [...new Set(Object.keys(CHECKS).map((id) => id[0]!))];
  assert.deepEqual(
    [...stdout.matchAll(/^([A-Z]) {2}\S/gm)].map(([, letter]) => letter),
    letters,
  );
});
