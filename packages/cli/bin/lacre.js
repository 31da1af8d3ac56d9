#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The `lacre` command. In a clone it re-executes under the pinned Node (which this file may not be running on);
// the published package runs its built chunks directly.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const launcher = join(here, "..", "..", "..", "scripts", "launch.js");
if (existsSync(launcher)) {
  const { launch } = await import(launcher);
  launch("packages/cli/src/main.ts", process.argv.slice(2));
} else {
  await import("../dist/main.js");
}
