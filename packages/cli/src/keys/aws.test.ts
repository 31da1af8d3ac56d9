// SPDX-License-Identifier: Apache-2.0
// The interop run asks a stand-in server (moto); here is what needs none.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorld } from "../../../../test/cli/world.ts";
import { CliError } from "../errors.ts";
import { openSigner, readPublicKey } from "../keys.ts";

test("what names no key of AWS is refused before anything is asked", async () => {
  const { context } = createWorld();
  const refused = (code: string) => (error: unknown) => error instanceof CliError && error.code === code;
  for (const reference of [
    "awskms://",
    "awskms:///",
    "awskms:///name",
    "awskms:///alias/",
    "awskms://host:port/alias/x",
    "awskms:///arn:aws:s3:::bucket",
    "awskms://a b/alias/x",
  ])
    await assert.rejects(openSigner(context, reference), refused("USAGE"), reference);
  await assert.rejects(readPublicKey(context, "awskms:///alias/x", { offline: true }), refused("OFFLINE"));
});
