// SPDX-License-Identifier: Apache-2.0
// The promise: every command in the documents works. Each ```sh block of each document runs as written, in order, in one
// shell per document, in this clone, with a home of its own. `npm start` is started and waited for; what else would run
// on without end is not in an ```sh block.
import { spawnSync } from "node:child_process";
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = dirname(import.meta.dirname);
/** Blocks whose commands are run by name elsewhere (the suite itself, the interop matrix) and would run twice here. */
const ELSEWHERE = /^npm (test|run (check|fuzz|interop|crash|hammer|bench))\b/;
const chosen = process.argv.slice(2);
const documents = ["README.md", ...globSync("docs/**/*.md", { cwd: root }).toSorted()].filter(
  (name) => chosen.length === 0 || chosen.some((word) => name.includes(word)),
);

function blocksOf(document: string): string[] {
  const text = readFileSync(join(root, document), "utf8");
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

/** The shell program of one document. A server it starts is ended with the shell. */
function program(blocks: readonly string[]): string {
  const lines = blocks
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, "").split("\n"))
    .filter((line) => line.trim() !== "" && !ELSEWHERE.test(line));
  return [
    "set -euo pipefail",
    "trap '[ -z \"${server:-}\" ] || { kill $server 2>/dev/null; wait $server 2>/dev/null || true; }' EXIT",
    'start() { npm start >"$HOME/ready" 2>"$HOME/said" & server=$!; for _ in $(seq 600); do grep -q \'^lacre ready\' "$HOME/ready" && return; kill -0 $server || { cat "$HOME/said"; return 1; }; sleep 0.1; done; cat "$HOME/said"; return 1; }',
    ...lines.map((line) => (line.trim() === "npm start" ? "start" : line)),
  ].join("\n");
}

let passed = 0;
let failed = 0;
const cosign = spawnSync(join(root, "scripts", "parts", "unpack"), ["sid", "cosign"], { encoding: "utf8" }).stdout.trim();
for (const document of documents) {
  const blocks = blocksOf(document);
  if (blocks.length === 0) continue;
  const work = mkdtempSync(join(tmpdir(), "lacre-docs-"));
  const clone = join(work, "clone");
  // A clone of the commit, with this clone's installed packages: what the documents' reader has after the first command.
  spawnSync("git", ["clone", "--quiet", root, clone]);
  for (const folder of ["node_modules", "tools/node/node_modules"])
    spawnSync("cp", ["-al", join(root, folder), join(clone, folder)]);
  const home = join(work, "home");
  mkdirSync(home);
  const file = join(work, "run.sh");
  writeFileSync(file, `${program(blocks)}\n`);
  chmodSync(file, 0o755);
  const run = spawnSync("bash", [file], {
    cwd: clone,
    encoding: "utf8",
    timeout: 300_000,
    env: {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: "",
      XDG_CACHE_HOME: "",
      XDG_STATE_HOME: "",
      PATH: `${process.env.PATH}:${cosign}/usr/bin`,
    },
  });
  if (run.status === 0) {
    passed += 1;
    console.log(`ok     ${document} (${blocks.length} blocks)`);
  } else {
    failed += 1;
    console.log(
      `FAILED ${document}\n${`${run.stdout}\n${run.stderr}`.trim().split("\n").slice(-25).join("\n").replaceAll(/^/gm, "       ")}`,
    );
  }
  rmSync(work, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
