// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const STANDARD = JSON.stringify(join(import.meta.dirname, "standard.ts"));
const MEGABYTES = 4;

/** Runs a program of this file's module; `read` takes its output. */
async function run(program: string, read: (child: ReturnType<typeof spawn>) => Promise<void>): Promise<number> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", `import * as standard from ${STANDARD};${program}`], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? -1)));
  await read(child);
  const status = await ended;
  assert.equal(said, "");
  return status;
}

const WRITE = `const out = standard.openOutput(1);
for (let i = 0; i < ${MEGABYTES} * 16; i++) out.write(String.fromCharCode(97 + (i % 26)).repeat(1 << 16));`;

test("all that is written arrives, in order, however slowly it is read", async () => {
  for (const prepare of ["", "process.stdout._handle?.setBlocking?.(false);"]) {
    const hash = createHash("sha256");
    const status = await run(prepare + WRITE, async ({ stdout }) => {
      for await (const chunk of stdout!) {
        hash.update(chunk as Buffer);
        await sleep(1);
      }
    });
    assert.equal(status, 0);
    const expected = createHash("sha256");
    for (let i = 0; i < MEGABYTES * 16; i++) expected.update(String.fromCharCode(97 + (i % 26)).repeat(1 << 16));
    assert.equal(hash.digest("hex"), expected.digest("hex"));
  }
});

test("a reader that goes away is no failure", async () => {
  assert.equal(await run(WRITE, async ({ stdout }) => void stdout!.destroy()), 0);
});

test("a pipe is no terminal, and standard input is read to its end", async () => {
  const program = `
    const out = standard.openOutput(1);
    let length = 0;
    for await (const chunk of standard.standardInput) length += chunk.length;
    out.write(JSON.stringify([out.isTTY, standard.standardInput.isTTY, length]));`;
  const status = await run(program, async ({ stdin, stdout }) => {
    stdin!.end(Buffer.alloc(200_000));
    let text = "";
    for await (const chunk of stdout!) text += String(chunk);
    assert.deepEqual(JSON.parse(text), [false, false, 200_000]);
  });
  assert.equal(status, 0);
});
