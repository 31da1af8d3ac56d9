// SPDX-License-Identifier: Apache-2.0
/** Saved verdicts: the reader takes what the published schema takes, and nothing else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { utf8 } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { decodeVerdict, type Verdict } from "@lacre/core/verify";
import Schema from "typebox/schema";
import { pathsOf } from "./mutation.ts";
import type { Mutable } from "../workshop/workshop.ts";
import { judge } from "./trial.ts";

const FILE = join(import.meta.dirname, "..", "..", "packages", "core", "src", "verify", "verdict.schema.json");
const schema = Schema.Compile(JSON.parse(readFileSync(FILE, "utf8")));

const SAVED: readonly Verdict[] = [
  judge({}),
  judge({ recipe: { content: "dsse", dialect: "v2" } }),
  judge({ recipe: { signer: "key" } }),
  judge({ policy: {} }),
  judge({ recipe: { bundle: (bundle) => void (bundle["mediaType"] = "x") } }),
];

function reads(value: unknown): boolean {
  try {
    decodeVerdict(utf8(JSON.stringify(value)));
    return true;
  } catch (error) {
    assert.ok(error instanceof LacreError, String(error));
    return false;
  }
}

test("a verdict is read back as it was", () => {
  for (const verdict of SAVED)
    assert.deepEqual(decodeVerdict(utf8(JSON.stringify(verdict))), JSON.parse(JSON.stringify(verdict)));
});

test("reader and schema agree on every change of a verdict", () => {
  let taken = 0;
  let refused = 0;
  const values = [undefined, null, true, 0, "", "x", "A1", "pass", "fail", "refused", "0".repeat(64), [], {}, { x: "y" }];
  for (const verdict of SAVED) {
    // The predicate is anything; of the checks the first, one in the middle and the last will do.
    const paths = pathsOf(JSON.parse(JSON.stringify(verdict))).filter(
      ([first, second]) =>
        first !== "predicate" && (first !== "checks" || second === undefined || [0, 40, 73].includes(Number(second))),
    );
    for (const path of paths) {
      for (const value of values) {
        const copy: Mutable = JSON.parse(JSON.stringify(verdict));
        const parent = path.slice(0, -1).reduce((at, key) => at[key], copy);
        if (value === undefined) {
          if (Array.isArray(parent)) parent.splice(Number(path.at(-1)), 1);
          else delete parent[path.at(-1)!];
        } else parent[path.at(-1)!] = value;
        const expected =
          schema.Check(copy) && copy.checks.every((check: { id: string }, at: number) => check.id === SAVED[0]!.checks[at]!.id);
        assert.equal(reads(copy), expected, `${path.join(".")} = ${JSON.stringify(value)}`);
        if (expected) taken++;
        else refused++;
      }
    }
    for (const path of [[], ["trustedRoot"], ["identity"], ["logEntries", 0], ["times", 0], ["checks", 3]] as const) {
      const copy: Mutable = JSON.parse(JSON.stringify(verdict));
      const at = (path as readonly (string | number)[]).reduce((value, key) => value?.[key], copy);
      if (at === undefined) continue;
      at.extra = "more";
      assert.equal(schema.Check(copy), false);
      assert.equal(reads(copy), false, `${path.join(".")}.extra`);
    }
  }
  assert.ok(taken > 200 && refused > 1000, `${taken} taken, ${refused} refused`);
});

test("what is no verdict, or one of another version, is said to be that", () => {
  for (const [text, words] of [
    ["{}", /no verdict/],
    ["[]", /no verdict/],
    ['{"schema":"urn:lacre:verdict:2"}', /no verdict/],
    ["x", /not JSON/],
  ] as const)
    assert.throws(() => decodeVerdict(utf8(text)), words);
});
