// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readUpTo } from "./small-file.ts";

const folder = mkdtempSync(join(tmpdir(), "lacre-small-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file");

test("a file is read whole, at sizes around every buffer", () => {
  for (const size of [0, 1, 4095, 4096, 4097, 100_000]) {
    const content = Buffer.alloc(size, "abcdefg");
    writeFileSync(path, content);
    assert.deepEqual(readUpTo(path, 100_000), content);
  }
});

test("a file at the limit is read, one octet more is not", () => {
  writeFileSync(path, Buffer.alloc(5000));
  assert.equal(readUpTo(path, 5000)?.length, 5000);
  assert.equal(readUpTo(path, 4999), undefined);
});

test("what has no end and no size is given up at the limit", () => {
  assert.equal(readUpTo("/dev/zero", 1 << 20), undefined);
});

test("a pipe is read to its end", () => {
  const program = `import { readUpTo } from ${JSON.stringify(join(import.meta.dirname, "small-file.ts"))};
    process.stdout.write(String(readUpTo("/dev/stdin", 1 << 20).length));`;
  // A pipe of the shell: what Node gives a child is a socket, which has no path.
  const line = 'head -c 300000 /dev/zero | "$0" --input-type=module -e "$1"';
  const told = execFileSync("bash", ["-c", line, process.execPath, program]);
  assert.equal(told.toString(), "300000");
});

test("what cannot be opened is the system's error", () => {
  assert.throws(() => readUpTo(join(folder, "nothing"), 10), { code: "ENOENT" });
  assert.throws(() => readUpTo(folder, 1 << 20), { code: "EISDIR" });
});
