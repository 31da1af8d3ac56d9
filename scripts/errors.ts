// SPDX-License-Identifier: Apache-2.0
// The promise: docs/errors.md lists every code and check, and no other. `--write` makes the page from the tables.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CODES } from "@lacre/core/errors";
import { CHECKS } from "@lacre/core/verify";
import { SERVICE_CODES } from "@lacre/services";
import { CLI_CODES } from "../packages/cli/src/errors.ts";

const page = join(dirname(import.meta.dirname), "docs", "errors.md");

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const text = `<!-- Made by scripts/errors.ts --write from the tables in the sources; a check compares both. -->
# Errors

A code never changes its meaning; the sentence beside it may. Every refusal says what was expected, what was found, and
what usually helps. With \`--output json\` the same comes as data; \`lacre explain\` tells a saved verdict check by check.
[refusals.md](refusals.md) shows the usual refusals as they look, and how to go on.

Exit statuses of the command: **0** verified or done, **1** refused, **2** usage, **3** could not look (network, file, store).

## Checks of a verdict

A verdict lists each check with a status: \`pass\`, \`fail\`, \`assumed\` (not looked at, because the policy says so),
\`unknown\` (this platform cannot decide; refuses like a failure), \`skipped\` (does not apply, or was not reached).

${table(
  ["Check", "It says that"],
  Object.entries(CHECKS).map(([id, name]) => [id, name]),
)}

## The library

${table(
  ["Code", "Meaning", "What usually helps"],
  Object.entries(CODES).map(([code, { meaning, hint }]) => [`\`${code}\``, meaning, hint]),
)}

## The command

${table(
  ["Code", "Exit", "Meaning", "What usually helps"],
  Object.entries(CLI_CODES).map(([code, { status, meaning, hint }]) => [`\`${code}\``, status, meaning, hint]),
)}

## The services

Codes are in the services' logs; clients read the status and the message, in the shape of the API they called.

${table(
  ["Code", "Status", "Meaning", "What usually helps"],
  Object.entries(SERVICE_CODES).map(([code, { status, meaning, hint }]) => [`\`${code}\``, status, meaning, hint]),
)}
`;

if (process.argv.includes("--write")) writeFileSync(page, text);
else if (readFileSync(page, "utf8") !== text) {
  console.error("docs/errors.md does not list the codes as they are: node scripts/launch.js scripts/errors.ts --write");
  process.exit(1);
}
