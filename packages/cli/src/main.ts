// SPDX-License-Identifier: Apache-2.0
/**
 * The `lacre` command. This file stays light: `--version` and `--help` load no part of the library, and a verb loads
 * only its own modules.
 */
import { keepCompiled } from "./compiled.ts";
import { readVersion } from "./release.ts";

const args = process.argv.slice(2);
if (args[0] === "--version" || args[0] === "-v") process.stdout.write(`lacre ${readVersion()}\n`);
else {
  keepCompiled();
  const { main } = await import("./run.ts");
  await main(args);
}
