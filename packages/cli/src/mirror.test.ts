// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Fetch } from "@lacre/core/client";
import { scratch } from "../../../test/harness.ts";
import { createSigner, Repository } from "../../../test/tuf/repository.ts";
import { digestOf } from "./home.ts";
import { createMirror, type MirrorOptions, readTargets } from "./mirror.ts";

const work = scratch("mirror");
after(() => work.remove());
let folders = 0;

async function setUp(): Promise<{
  repository: Repository;
  options: MirrorOptions;
  read: (offline?: boolean) => Promise<string>;
}> {
  const repository = new Repository();
  repository.addTarget("trusted_root.json", "{}");
  repository.publishTargets();
  const pinned = repository.files.get("1.root.json")!;
  const folder = join(work.path, String(folders++));
  await createMirror(folder, pinned);
  const ask: Fetch = async (url) => {
    const path = new URL(url).pathname.slice(1);
    const bytes = repository.files.get(path) ?? repository.targetFiles.get(path.replace(/^targets\//, ""));
    return new Response(bytes === undefined ? null : new Uint8Array(bytes), { status: bytes === undefined ? 404 : 200 });
  };
  const options = { url: "https://mirror.example", folder, rootDigest: digestOf(pinned), isOffline: false, fetch: ask };
  const read = async (offline = false): Promise<string> =>
    Buffer.from((await readTargets({ ...options, isOffline: offline }, ["trusted_root.json"]))[0]!).toString();
  return { repository, options, read };
}

test("a root that was merely served is not kept, and does not bar the way of the right one", async () => {
  const { repository, options, read } = await setUp();
  const old = repository.signers["root"]!;
  repository.signers["root"] = [createSigner()];
  repository.listKeys();
  repository.publish("root");
  await assert.rejects(read(), { code: "MIRROR_REFUSED" });
  assert.deepEqual(readdirSync(join(options.folder, "roots")), []);
  repository.publish("root", { bump: false, signers: [...old, ...repository.signers["root"]] });
  assert.equal(await read(), "{}");
  assert.deepEqual(readdirSync(join(options.folder, "roots")), ["2.root.json"]);
  assert.equal(await read(true), "{}");
});

test("what could not be looked at is told apart from what was refused, whichever document it was", async () => {
  for (const name of ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", "targets/"]) {
    const { options } = await setUp();
    const down: MirrorOptions = {
      ...options,
      fetch: async (url, init) => (url.includes(name) ? new Response(null, { status: 503 }) : options.fetch!(url, init)),
    };
    await assert.rejects(readTargets(down, ["trusted_root.json"]), { code: "MIRROR_UNREACHABLE" }, name);
    const away: MirrorOptions = {
      ...options,
      fetch: async (url, init) => {
        if (url.includes(name)) throw new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } });
        return options.fetch!(url, init);
      },
    };
    await assert.rejects(readTargets(away, ["trusted_root.json"]), { code: "MIRROR_UNREACHABLE" }, name);
  }
});

test("an endless document is cut off", async () => {
  const { options } = await setUp();
  let sent = 0;
  const endless: MirrorOptions = {
    ...options,
    fetch: async (url, init) =>
      url.endsWith("timestamp.json")
        ? new Response(
            new ReadableStream({
              pull(controller) {
                sent += 4096;
                controller.enqueue(new Uint8Array(4096));
              },
            }),
          )
        : options.fetch!(url, init),
  };
  await assert.rejects(readTargets(endless, ["trusted_root.json"]), { code: "MIRROR_REFUSED" });
  assert.ok(sent < 100_000, String(sent));
});

test("a walk leaves no folder behind, however it ends", async () => {
  const { repository, options, read } = await setUp();
  await read();
  repository.role("timestamp").version = 0;
  repository.publish("timestamp");
  await assert.rejects(read(), { code: "MIRROR_REFUSED" });
  assert.deepEqual(
    readdirSync(options.folder).filter((name) => name.startsWith("walk-")),
    [],
  );
  assert.ok(existsSync(join(options.folder, "metadata", "timestamp.json")));
  // What the cache holds is still the newer one: going back is seen the next time as well.
  await assert.rejects(read(), { code: "MIRROR_REFUSED" });
});

test("what a refused walk had verified until then is remembered", async () => {
  const { repository, read } = await setUp();
  await read();
  const before = repository.files.get("timestamp.json")!;
  repository.publishTargets();
  repository.files.delete("3.snapshot.json");
  await assert.rejects(read(), { code: "MIRROR_REFUSED", message: /no 3\.snapshot\.json/ });
  repository.files.set("timestamp.json", before);
  await assert.rejects(read(), { code: "MIRROR_REFUSED", message: /timestamp went back from 3 to 2/ });
});
