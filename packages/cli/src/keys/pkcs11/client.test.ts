// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createWorld } from "../../../../../test/cli/world.ts";
import { CliError } from "../../errors.ts";
import { ModuleClient, TokenRefusal } from "./client.ts";

/** A host process that behaves as a module makes it behave. */
function stage(t: TestContext, behaviour: string): string {
  const folder = mkdtempSync(join(tmpdir(), "lacre-host-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "host.mjs");
  writeFileSync(
    path,
    `process.on("disconnect", () => process.exit()); process.on("message", ({ name, parameters }) => { ${behaviour} });`,
  );
  return path;
}

const { context } = createWorld({ env: { ...process.env, COSIGN_PKCS11_PIN: "s3cret", COSIGN_PASSWORD: "s3cret" } });
const OPENS = `if (name === "open") return process.send({ kind: "answer" });`;

async function refusedWith(code: string, work: Promise<unknown>): Promise<CliError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof CliError && error.code === code, String(error));
    return error;
  }
  assert.fail(`not refused: ${code}`);
}

test("a module that crashes, and one that ends the process as if all were well, are refusals", async (t) => {
  const crash = await refusedWith(
    "KEY_UNREACHABLE",
    ModuleClient.open(context, "m.so", stage(t, `process.kill(process.pid, "SIGSEGV");`)),
  );
  assert.match(crash.message, /SIGSEGV/);
  const exit = await refusedWith(
    "KEY_UNREACHABLE",
    ModuleClient.open(context, "m.so", stage(t, `console.log("Verified OK"); process.exit(0);`)),
  );
  assert.match(exit.message, /status 0/);
  const client = await ModuleClient.open(context, "m.so", stage(t, `${OPENS} process.exit(0);`));
  await refusedWith("KEY_UNREACHABLE", client.ask("tokens"));
  await refusedWith("KEY_UNREACHABLE", client.ask("tokens"));
});

test("a refusal of the module is told with its own word, and does not end the conversation", async (t) => {
  const client = await ModuleClient.open(
    context,
    "m.so",
    stage(
      t,
      `${OPENS} if (name === "login") return process.send({ kind: "refused", call: "C_Login", returned: "CKR_PIN_INCORRECT" }); process.send({ kind: "answer", value: [7n] });`,
    ),
  );
  const refusal = await refusedWith("KEY_UNREACHABLE", client.ask("login", 1n, 1, "s3cret"));
  assert.ok(refusal instanceof TokenRefusal);
  assert.match(refusal.message, /CKR_PIN_INCORRECT/);
  assert.doesNotMatch(refusal.message + refusal.hint, /s3cret/);
  assert.deepEqual(await client.ask("find", 1n, []), [7n]);
  client.close();
});

test("no secret is in the arguments or the environment of the module's process", async (t) => {
  const client = await ModuleClient.open(
    context,
    "m.so",
    stage(t, `${OPENS} process.send({ kind: "answer", value: [JSON.stringify([process.env, process.argv])] });`),
  );
  assert.doesNotMatch(String(await client.ask("find", 1n, [])), /s3cret/);
  client.close();
});

test("without the package, the package is named; without a module, the path", async () => {
  await refusedWith("KEY_UNREACHABLE", ModuleClient.open(context, "/absent/module.so"));
});
