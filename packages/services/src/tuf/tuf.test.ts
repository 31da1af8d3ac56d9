// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { generateKey } from "@lacre/core/crypto";
import { Updater } from "tuf-js";
import { createEdge } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { createTrustService, registerTuf, type Target, type TrustService } from "./index.ts";

const rootKey = generateKey("P-256");
const onlineKey = generateKey("P-256");
const DAY_MS = 86_400_000;
const scratch = mkdtempSync(join(tmpdir(), "lacre-tuf-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;

const folder = () => {
  const dir = join(scratch, String(folders++));
  mkdirSync(dir);
  return dir;
};
const targets = (text: string): Map<string, Target> =>
  new Map([
    ["trusted_root.json", { bytes: Buffer.from(text) }],
    [
      "rekor.pub",
      { bytes: Buffer.from("key"), custom: { sigstore: { usage: "Rekor", status: "Active", uri: "http://localhost" } } },
    ],
  ]);
const LIVES = { timestampMs: 7 * DAY_MS, snapshotMs: 30 * DAY_MS, targetsMs: 90 * DAY_MS, rootMs: 365 * DAY_MS };

function open(
  dir: string,
  o: { now?: () => number; lives?: Partial<typeof LIVES>; onFailure?: (error: unknown) => void } = {},
): TrustService {
  return createTrustService({
    dir,
    rootKey,
    onlineKey,
    now: o.now ?? Date.now,
    lives: { ...LIVES, ...o.lives },
    ...(o.onFailure ? { onFailure: o.onFailure } : {}),
  });
}

async function serve(t: TestContext, service: TrustService): Promise<string> {
  const app = createEdge();
  registerTuf(app, service);
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => {
    service.close();
    return app.close();
  });
  return `${url}/tuf`;
}

/** A stock client with a cache of its own. */
function client(url: string, service: TrustService): Updater {
  const metadataDir = folder();
  writeFileSync(join(metadataDir, "root.json"), service.firstRoot());
  return new Updater({
    metadataDir,
    metadataBaseUrl: url,
    targetDir: folder(),
    targetBaseUrl: `${url}/targets`,
    config: { fetchRetry: 0 },
  });
}

async function download(updater: Updater, name: string): Promise<string> {
  const info = await updater.getTargetInfo(name);
  assert.ok(info, `${name} is listed`);
  return readFileSync(await updater.downloadTarget(info), "utf8");
}

const json = async (service: TrustService, path: string) => JSON.parse(Buffer.from((await service.read(path))!.bytes).toString());

test("a stock client starts from root 1 and downloads a target by its hash-prefixed name", async (t) => {
  const service = open(folder());
  service.publish(targets("one"));
  const updater = client(await serve(t, service), service);
  await updater.refresh();
  assert.equal(await download(updater, "trusted_root.json"), "one");
  const info = await updater.getTargetInfo("rekor.pub");
  assert.deepEqual(
    [Object.keys(info!.hashes), info!.custom],
    [["sha256"], { sigstore: { usage: "Rekor", status: "Active", uri: "http://localhost" } }],
  );
});

test("a mirror address with a trailing slash works", async (t) => {
  const service = open(folder());
  service.publish(targets("one"));
  const updater = client(`${await serve(t, service)}/`, service);
  await updater.refresh();
  assert.equal(await download(updater, "trusted_root.json"), "one");
});

test("a client that holds on sees two real expiries pass", async (t) => {
  const service = open(folder(), { lives: { timestampMs: 1500, snapshotMs: 2000, targetsMs: 2000, rootMs: 2000 } });
  service.publish(targets("one"));
  const url = await serve(t, service);
  const seen: number[] = [];
  for (let round = 0; round < 3; round++) {
    const { signed } = await json(service, "timestamp.json");
    seen.push(signed.version);
    await client(url, service).refresh();
    if (round < 2) await new Promise((resolve) => setTimeout(resolve, Date.parse(signed.expires) - Date.now() + 50));
    if (round < 2) assert.ok(Date.parse(signed.expires) < Date.now(), "what the client had seen has expired");
  }
  assert.ok(seen[0]! < seen[1]! && seen[1]! < seen[2]!);
  assert.ok(service.rootVersion > 1, "root was renewed as well");
});

test("after the clock jumps eight days the next reader gets fresh metadata", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const service = open(folder(), { now: () => now });
  service.publish(targets("one"));
  const before = (await json(service, "timestamp.json")).signed;
  now += 8 * DAY_MS;
  const fresh = (await json(service, "timestamp.json")).signed;
  assert.deepEqual(
    [before.expires, fresh.expires, fresh.version],
    ["2026-01-08T00:00:00Z", "2026-01-16T00:00:00Z", before.version + 1],
  );
  assert.equal((await json(service, "1.snapshot.json")).signed.version, 1);
  service.close();
});

test("after a jump of two years every role is fresh, and the root chain is whole", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const dir = folder();
  const service = open(dir, { now: () => now });
  service.publish(targets("one"));
  now += 730 * DAY_MS;
  const fresh = (await json(service, "2.root.json")).signed;
  assert.equal(fresh.expires, "2028-12-31T00:00:00Z");
  for (const name of ["2.targets.json", "2.snapshot.json", "timestamp.json"]) {
    assert.ok(Date.parse((await json(service, name)).signed.expires) > now, name);
  }
  assert.equal(await service.read("3.root.json"), undefined);
  assert.equal((await json(service, "1.root.json")).signed.version, 1);
  service.close();
});

test("nothing is written while everything is younger than half of its life", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const service = open(folder(), { now: () => now });
  service.publish(targets("one"));
  now += 3 * DAY_MS;
  service.publish(targets("one"));
  assert.equal((await json(service, "timestamp.json")).signed.version, 1);
  now += 0.5 * DAY_MS;
  assert.equal((await json(service, "timestamp.json")).signed.version, 2);
  service.close();
});

test("a clock that went back, or a life that was shortened, does not leave an old promise standing", async () => {
  let now = Date.parse("2026-02-01T00:00:00Z");
  const dir = folder();
  const service = open(dir, { now: () => now });
  service.publish(targets("one"));
  now -= 20 * DAY_MS;
  assert.equal((await json(service, "timestamp.json")).signed.expires, "2026-01-19T00:00:00Z");
  service.close();
  const shorter = open(dir, { now: () => now, lives: { timestampMs: 20_000 } });
  shorter.publish(targets("one"));
  assert.equal((await json(shorter, "timestamp.json")).signed.expires, "2026-01-12T00:00:20Z");
  shorter.close();
});

test("changed targets are published under new versions; the old files stay", async () => {
  const dir = folder();
  const service = open(dir);
  service.publish(targets("one"));
  const first = open(dir);
  first.publish(targets("one"));
  assert.equal(first.timestampVersion, 1, "the same targets after a restart change nothing");
  first.publish(targets("two"));
  assert.equal((await json(first, "timestamp.json")).signed.meta["snapshot.json"].version, 2);
  assert.equal((await json(first, "2.snapshot.json")).signed.meta["targets.json"].version, 2);
  assert.equal(readdirSync(join(dir, "targets")).filter((name) => name.endsWith("trusted_root.json")).length, 2);
  service.close();
  first.close();
});

test("a crash after any step leaves the old view whole, and no version is used twice", async (t) => {
  for (const lost of ["timestamp.json", "2.snapshot.json", "2.targets.json"]) {
    const dir = folder();
    const before = open(dir);
    before.publish(targets("one"));
    const oldTimestamp = readFileSync(join(dir, "timestamp.json"));
    before.publish(targets("two"));
    before.close();
    // What a crash just before `lost` was written leaves: it and everything after it is missing.
    const order = ["2.targets.json", "2.snapshot.json", "timestamp.json"];
    for (const name of order.slice(order.indexOf(lost))) rmSync(join(dir, name));
    writeFileSync(join(dir, "timestamp.json"), oldTimestamp);
    const service = open(dir);
    assert.equal((await json(service, "timestamp.json")).signed.meta["snapshot.json"].version, 1);
    service.publish(targets("two"));
    const { signed } = await json(service, "timestamp.json");
    assert.equal(signed.version, 2);
    const snapshotVersion = signed.meta["snapshot.json"].version;
    assert.equal(snapshotVersion, lost === "timestamp.json" ? 3 : 2);
    const updater = client(await serve(t, service), service);
    await updater.refresh();
    assert.equal(await download(updater, "trusted_root.json"), "two");
  }
});

test("a lost timestamp is replaced by one with a higher version than clients have seen", async () => {
  const dir = folder();
  const service = open(dir);
  for (const text of ["one", "two", "three"]) service.publish(targets(text));
  service.close();
  rmSync(join(dir, "timestamp.json"));
  const again = open(dir);
  again.publish(targets("three"));
  assert.ok(again.timestampVersion > 1_000_000);
  again.close();
});

test("a timestamp that is no timestamp is replaced, not believed", async () => {
  for (const content of [
    "",
    "{}",
    '{"signed":{"_type":"snapshot","version":1,"expires":"2099-01-01T00:00:00Z"}}',
    '{"signed":{"_type":"timestamp","version":"x","expires":"2099-01-01T00:00:00Z"}}',
    '{"signed":{"_type":"timestamp","version":1,"expires":"never"}}',
  ]) {
    const dir = folder();
    open(dir).publish(targets("one"));
    writeFileSync(join(dir, "timestamp.json"), content);
    const service = open(dir);
    service.publish(targets("one"));
    const { signed } = await json(service, "timestamp.json");
    assert.ok(signed._type === "timestamp" && signed.version > 1_000_000, content);
    service.close();
  }
});

test("a target whose name is a path is misuse", () => {
  const service = open(folder());
  for (const name of ["../x", "a/b", "", ".hidden", "a\nb"])
    assert.throws(() => service.publish(new Map([[name, { bytes: Buffer.from("x") }]])), TypeError, name);
  service.close();
});

test("a leap passes the versions of a copy that was surpassed", async (t) => {
  const dir = folder();
  const service = open(dir);
  service.publish(targets("one"));
  const url = await serve(t, service);
  const updater = client(url, service);
  await updater.refresh();
  service.publish(targets("one"), true);
  assert.ok(service.timestampVersion > 1_000_000);
  await client(url, service).refresh();
});

test("a gap in the chain of roots refuses to open", () => {
  const dir = folder();
  let now = Date.now();
  const service = open(dir, { now: () => now });
  service.publish(targets("one"));
  now += 400 * DAY_MS;
  service.publish(targets("one"));
  service.close();
  rmSync(join(dir, "1.root.json"));
  assert.throws(
    () => open(dir),
    (error) => error instanceof ServiceError && error.code === "DIRECTORY_DAMAGED",
  );
});

test("a renewal that fails is told, and the old metadata is served on", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const dir = folder();
  const failures: unknown[] = [];
  const service = open(dir, { now: () => now, onFailure: (error) => failures.push(error) });
  service.publish(targets("one"));
  mkdirSync(join(dir, "timestamp.json.new"));
  now += 4 * DAY_MS;
  assert.equal((await json(service, "timestamp.json")).signed.version, 1);
  assert.equal(failures.length, 1);
  rmSync(join(dir, "timestamp.json.new"), { recursive: true });
  assert.equal((await json(service, "timestamp.json")).signed.version, 2);
  service.close();
});

test("only files of the repository are served, and the walk along the roots ends in 404", async (t) => {
  const dir = folder();
  const service = open(dir);
  service.publish(targets("one"));
  writeFileSync(join(dir, "secret"), "x");
  writeFileSync(join(dir, "targets", "secret"), "x");
  writeFileSync(join(dir, "7.root.json"), "{}");
  const url = await serve(t, service);
  const status = async (path: string, method = "GET") => (await fetch(`${url}/${path}`, { method })).status;
  for (const path of [
    "2.root.json",
    "7.root.json",
    "9.snapshot.json",
    `targets/${"0".repeat(64)}.trusted_root.json`,
    "0.root.json",
    "01.root.json",
    "99999999999999999999.root.json",
    "secret",
    "targets/secret",
    "targets/",
    "",
    "..%2fsecret",
    "%2e%2e/secret",
    "targets%2f..%2fsecret",
    "1.root.json%00",
    "timestamp.json.new",
    "1.timestamp.json",
    "snapshot.json",
  ]) {
    assert.equal(await status(path), 404, path);
  }
  assert.equal(await status("timestamp.json", "POST"), 405);
  const root = await fetch(`${url}//root.json`);
  assert.deepEqual(
    [root.status, root.headers.get("content-type"), root.headers.get("cache-control")],
    [200, "application/json", "no-cache"],
  );
  const first = await fetch(`${url}/1.root.json`);
  assert.match(first.headers.get("cache-control")!, /immutable/);
  assert.deepEqual(await first.json(), await root.json());
});

test("keys are in the one spelling that every client accepts", async () => {
  const service = open(folder());
  service.publish(targets("one"));
  const { signed } = await json(service, "root.json");
  for (const key of Object.values<{ keytype: string; scheme: string; keyval: { public: string } }>(signed.keys)) {
    assert.deepEqual([key.keytype, key.scheme], ["ecdsa", "ecdsa-sha2-nistp256"]);
    assert.match(
      key.keyval.public,
      /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=]{64}\n[A-Za-z0-9+/=]+\n-----END PUBLIC KEY-----\n$/,
    );
  }
  assert.equal(signed.consistent_snapshot, true);
  assert.deepEqual(
    Object.values<{ threshold: number; keyids: string[] }>(signed.roles).map((role) => [role.threshold, role.keyids.length]),
    [
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
    ],
  );
  service.close();
});
