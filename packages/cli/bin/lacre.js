#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The `lacre` command. In a clone it re-executes under the pinned Node (which this file may not be running on); the
// published package, which brings no sources, runs its chunks in this process.
const FLOOR = [24, 15];

// Not imported: an import statement makes Node prepare all of the module, which is felt in `lacre --version`.
const { existsSync } = process.getBuiltinModule?.("node:fs") ?? (await import("node:fs"));

if (existsSync(new URL("../src/main.ts", import.meta.url))) {
  const { launch } = await import("../../../scripts/launch.js");
  launch("packages/cli/src/main.ts", process.argv.slice(2));
} else {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1])) await import("../chunks/main.js");
  else {
    process.stderr.write(`lacre needs Node ${FLOOR.join(".")} or later, and this is ${process.versions.node}.\n`);
    process.exitCode = 3;
  }
}
