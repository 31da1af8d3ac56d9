// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorld } from "../../../test/cli/world.ts";
import { CliError } from "./errors.ts";
import { applyGlobals, parseDuration } from "./globals.ts";
import { runLine } from "./run.ts";

test("durations are read as Go writes them", () => {
  assert.equal(parseDuration("90s"), 90_000);
  assert.equal(parseDuration("3m0s"), 180_000);
  assert.equal(parseDuration("1.5h"), 5_400_000);
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("0"), 0);
  for (const bad of ["", "3", "3 m", "m", "-1s", "1s!", "1d"]) assert.throws(() => parseDuration(bad), CliError);
});

test("a limit ends requests, and verbose tells them without headers", async () => {
  const world = createWorld({
    fetch: (_, init) =>
      new Promise((_resolve, reject) =>
        (init!.signal as AbortSignal).addEventListener("abort", () => reject(new Error("aborted"))),
      ),
  });
  const context = applyGlobals(world.context, { timeout: "20ms", verbose: true, outputFile: undefined, quiet: undefined });
  await assert.rejects(
    context.fetch("http://a.example/x", { method: "POST", headers: { authorization: "Bearer secret" } }),
    /aborted/,
  );
  assert.match(world.stderr(), /POST http:\/\/a\.example\/x → no answer/);
  assert.ok(!world.stderr().includes("secret"));
});

test("global flags may stand before the verb, and help has several spellings", async () => {
  for (const args of [
    ["--verbose", "verify-blob", "--help"],
    ["-t", "1m", "verify-blob", "--help"],
    ["--timeout=1m", "-d", "verify-blob", "-h"],
    ["help", "verify-blob"],
  ]) {
    const world = createWorld();
    assert.equal(await runLine(args, world.context), 0, args.join(" "));
    assert.match(world.stdout(), /lacre verify-blob/);
  }
  for (const args of [[], ["help"], ["--help"]]) {
    const world = createWorld();
    assert.equal(await runLine(args, world.context), 0);
    assert.match(world.stdout(), /lacre VERB --help/);
  }
  assert.equal(await runLine(["--nonsense", "verify-blob"], createWorld().context), 2);
});
