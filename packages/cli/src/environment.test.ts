// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { documentTime } from "./document-time.ts";
import { ENVIRONMENT } from "./environment.ts";

/** Read for what the platform says, not for what a user wants. */
const PLATFORM = new Set([
  "PATH",
  "HOME",
  "LOCALAPPDATA",
  "XDG_CACHE_HOME",
  "XDG_RUNTIME_DIR",
  "TERM",
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_SERVICE_PORT",
  "LACRE_LAUNCHER",
  "NODE_COMPILE_CACHE",
  "NODE_DISABLE_COMPILE_CACHE",
]);

test("lacre env lists every variable that is read", () => {
  const listed = new Set(ENVIRONMENT.map(({ name }) => name));
  const unlisted: string[] = [];
  for (const file of globSync("**/*.ts", { cwd: import.meta.dirname })) {
    if (file.endsWith(".test.ts")) continue;
    const source = readFileSync(join(import.meta.dirname, file), "utf8");
    for (const match of source.matchAll(/(?:env\["|variable\(context, ")([A-Z][A-Z_0-9]+)"/g)) {
      const name = match[1]!;
      if (!listed.has(name) && !PLATFORM.has(name)) unlisted.push(`${name} in ${file}`);
    }
  }
  assert.deepEqual(unlisted, []);
  assert.equal(listed.size, ENVIRONMENT.length, "a variable is listed twice");
});

test("SOURCE_DATE_EPOCH is the time of a document", () => {
  const now = (): number => 5;
  assert.equal(documentTime({ env: {}, now }), 5);
  assert.equal(documentTime({ env: { SOURCE_DATE_EPOCH: "1000000000" }, now }), 1e12);
  assert.throws(() => documentTime({ env: { SOURCE_DATE_EPOCH: "today" }, now }), { code: "USAGE" });
});
