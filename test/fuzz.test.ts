// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";

const ROOT = dirname(import.meta.dirname);
const folder = mkdtempSync(join(tmpdir(), "lacre-fuzz-"));
after(() => rmSync(folder, { recursive: true }));

const errors = pathToFileURL(join(ROOT, "packages/core/src/errors.ts")).href;
const targets: Record<string, string> = {
  "calm.ts": `export const name = "calm"; export const seeds = [Uint8Array.of(1, 2, 3)];
    import { LacreError } from ${JSON.stringify(errors)};
    export function target(bytes) { if (bytes[0] !== 1) throw new LacreError("BAD_DER", "no one"); bytes.fill(0); }`,
  // Fails on input that only several changes to the seed can make.
  "frail.ts": `export const name = "frail"; export const seeds = () => [Uint8Array.of(1, 2, 3)];
    export function target(bytes) { if (bytes.length > 6 && bytes[3] === 0xff) throw new RangeError("too much"); }`,
  "broken.ts": `export const name = "broken";`,
};
for (const [file, text] of Object.entries(targets)) writeFileSync(join(folder, file), text);

function run(...args: string[]): { status: number | null; lines: string[] } {
  const done = spawnSync(
    process.execPath,
    ["--conditions=source", join(ROOT, "fuzz", "main.ts"), "--targets", folder, "--seconds", "0.3", ...args],
    { encoding: "utf8" },
  );
  return { status: done.status, lines: done.stdout.trimEnd().split("\n") };
}

test("a target that lets only LacreError escape passes", () => {
  const { status, lines } = run("--only", "calm");
  assert.match(lines[0]!, /^calm: [0-9]+ inputs, [0-9]+ accepted, 1 kinds of refusal$/);
  assert.deepEqual([status, lines.at(-1)], [0, "1 passed, 0 failed"]);
});

test("any other error fails it, with the input and the seed that find it again", () => {
  const first = run("--only", "frail", "--seed", "42");
  assert.equal(first.status, 1);
  assert.match(first.lines[0]!, /^frail: FAILED at input [0-9]+; again with: npm run fuzz -- --only frail --seed 42$/);
  const [, hex] = /^ {2}input ([0-9a-f]+)$/.exec(first.lines[1]!)!;
  assert.equal(Buffer.from(hex!, "hex")[3], 0xff);
  assert.deepEqual(run("--only", "frail", "--seed", "42").lines.slice(0, 2), first.lines.slice(0, 2));
});

test("a file that is no target, and a name that none has, count as failed; the rest still runs", () => {
  const { status, lines } = run("--only", "calm,broken,absent");
  assert.deepEqual([status, lines.at(-1)], [1, "1 passed, 2 failed"]);
});

test("usage errors end with 2", () => {
  assert.equal(run("--seconds", "soon").status, 2);
});
