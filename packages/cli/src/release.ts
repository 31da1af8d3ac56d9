// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/** The version of the package this file belongs to. */
export function readVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
