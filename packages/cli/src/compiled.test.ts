// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "lacre-compiled-"));
after(() => rmSync(folder, { recursive: true }));

/** Where a process keeps its compiled form with this cache folder, or "none". */
function keptIn(cache: string, env: Record<string, string> = {}): string {
  const program = `import { keepCompiled } from ${JSON.stringify(join(import.meta.dirname, "compiled.ts"))};
    import { getCompileCacheDir } from "node:module";
    keepCompiled();
    process.stdout.write(getCompileCacheDir() ?? "none");`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", program], {
    env: { HOME: folder, XDG_CACHE_HOME: cache, ...env },
    encoding: "utf8",
  });
}

test("the compiled form is kept in a folder of the user's own, which nobody else may enter", () => {
  const cache = join(folder, "one");
  assert.ok(keptIn(cache).startsWith(join(cache, "lacre", "compiled")));
  assert.equal(statSync(join(cache, "lacre", "compiled")).mode & 0o777, 0o700);
});

test("a folder that others may write to is not used, nor a link to one", () => {
  const cache = join(folder, "two");
  mkdirSync(join(cache, "lacre", "compiled"), { recursive: true });
  chmodSync(join(cache, "lacre", "compiled"), 0o777);
  assert.equal(keptIn(cache), "none");
  const linked = join(folder, "three");
  mkdirSync(join(linked, "lacre"), { recursive: true });
  symlinkSync(join(cache, "lacre", "compiled"), join(linked, "lacre", "compiled"));
  assert.equal(keptIn(linked), "none");
});

test("the user may do without, and a home that cannot be written to is no failure", () => {
  const cache = join(folder, "four");
  assert.equal(keptIn(cache, { NODE_DISABLE_COMPILE_CACHE: "1" }), "none");
  assert.ok(!existsSync(cache));
  assert.equal(keptIn("/dev/null/cache"), "none");
});
