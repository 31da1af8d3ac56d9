// SPDX-License-Identifier: Apache-2.0
// npm test: the whole suite, offline. Extra arguments are files or node:test flags: npm test -- packages/core/src/merkle/tree.test.ts
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname } from "node:path";

const root = dirname(import.meta.dirname);
const given = process.argv.slice(2);
const files = given.some((argument) => !argument.startsWith("-"))
  ? []
  : globSync(["packages/*/src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts"], { cwd: root }).toSorted();
const run = spawnSync(
  process.execPath,
  [...process.execArgv, "--test", "--test-reporter=spec", "--test-concurrency=2", ...given, ...files],
  {
    cwd: root,
    stdio: "inherit",
  },
);
process.exit(run.status ?? 1);
