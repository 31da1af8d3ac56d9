// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorld } from "../../../test/cli/world.ts";
import { VERBS } from "./commands/index.ts";
import { runLine } from "./run.ts";

test("the overview names every verb once, in whichever way it is asked for", async () => {
  const texts: string[] = [];
  for (const args of [[], ["--help"], ["-h"], ["help"]]) {
    const { context, stdout } = createWorld({});
    assert.equal(await runLine(args, context), 0);
    texts.push(stdout());
  }
  const named = [...texts[0]!.matchAll(/^ {2}([a-z][a-z0-9-]*) {2,}\S/gm)].map((match) => match[1]!);
  assert.deepEqual(named.toSorted(), Object.keys(VERBS).toSorted());
  assert.equal(new Set(texts).size, 1);
});
