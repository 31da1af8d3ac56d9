// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, afterEach, test } from "node:test";
import { CliError } from "./errors.ts";
import { type Home, type Installation, recall, recallAll, remember } from "./home.ts";

let root: string;
let home: Home;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lacre-home-"));
  home = { config: join(root, "config"), data: join(root, "data") };
});
afterEach(() => rmSync(root, { recursive: true }));

const directory = (path: string, rootDigest = "sha256:1"): Installation => ({ kind: "directory", path, rootDigest });
const mirror = (address: string): Installation => ({ kind: "mirror", mirror: address, path: "cache", rootDigest: "sha256:2" });

test("nothing is remembered at first", async () => {
  assert.equal(await recall(home), undefined);
  assert.deepEqual(await recallAll(home), []);
});

test("the last initialised installation is the one that is meant", async () => {
  await remember(home, mirror("https://a.example/tuf"), { current: "always" });
  await remember(home, mirror("https://b.example/tuf"), { current: "always" });
  assert.deepEqual(await recall(home), mirror("https://b.example/tuf"));
  assert.equal((await recallAll(home)).length, 2);
});

test("a server started here does not replace a trust that was chosen", async () => {
  await remember(home, mirror("https://a.example/tuf"), { current: "always" });
  assert.equal(await remember(home, directory("/srv/dev"), { current: "if-free" }), false);
  assert.deepEqual(await recall(home), mirror("https://a.example/tuf"));
});

test("a server started here replaces another one started here", async () => {
  assert.equal(await remember(home, directory("/srv/one"), { current: "if-free" }), true);
  assert.equal(await remember(home, directory("/srv/two"), { current: "if-free" }), true);
  assert.deepEqual(await recall(home), directory("/srv/two"));
});

test("remembering again replaces the entry of the same name", async () => {
  await remember(home, directory("/srv/one", "sha256:1"), { current: "if-free" });
  await remember(home, directory("/srv/one", "sha256:9"), { current: "if-free" });
  assert.deepEqual(await recallAll(home), [directory("/srv/one", "sha256:9")]);
});

test("the memory is the user's alone", async () => {
  await remember(home, directory("/srv/one"), { current: "if-free" });
  assert.equal(statSync(join(home.config, "installations.json")).mode & 0o777, 0o600);
});

test("a damaged memory is said, not guessed around", async () => {
  mkdirSync(home.config);
  for (const content of ["{", "[]", "null", '{"version":2,"installations":[]}']) {
    writeFileSync(join(home.config, "installations.json"), content);
    await assert.rejects(recall(home), (error) => error instanceof CliError && error.code === "FILE_UNREADABLE");
  }
});
