// SPDX-License-Identifier: Apache-2.0
// `lacre monitor` against a running installation: findings on stdout, statuses, and the operator's word.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { signCheckpoint } from "@lacre/core/bundle";
import { createLedgerClient, hashedRekordRequest, type Fetch } from "@lacre/core/client";
import { defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { type Running, up } from "@lacre/services";
import { readKey } from "@lacre/services/installation";
import { runLine } from "../../packages/cli/src/run.ts";
import { homeEnv, scratch } from "../harness.ts";
import { createWorld } from "./world.ts";

const work = scratch("cli-monitor");
let server: Running;
let tiles: string;
const key = generateKey("P-256");
const algorithm = defaultAlgorithm(key.publicKey);
const digestOf = (text: string): string =>
  sha256(Buffer.from(text)).reduce((hex, octet) => hex + octet.toString(16).padStart(2, "0"), "sha256:");

async function add(text: string): Promise<void> {
  const content = Buffer.from(text);
  const request = hashedRekordRequest(sha256(content), signMessage(algorithm, key, content), {
    kind: "publicKey",
    der: key.publicKey.spki,
    keyDetails: algorithm.keyDetails,
  });
  await createLedgerClient({ url: server.url, fetch: globalThis.fetch as unknown as Fetch }).addEntry(request);
}

async function monitor(...args: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const world = createWorld({ cwd: work.path, fetch: (url, init) => fetch(url, init) });
  const status = await runLine(["monitor", ...args], world.context);
  return { status, stdout: world.stdout(), stderr: world.stderr() };
}

before(async () => {
  Object.assign(process.env, homeEnv(join(work.path, "home")));
  server = await up({
    dir: join(work.path, "one"),
    listen: { host: "127.0.0.1", port: 0 },
    stateDir: join(work.path, "state"),
    only: new Set(["ledger", "ct"]),
  });
  tiles = `${server.url}/api/v2`;
  await add("first");
  await add("mine");
  writeFileSync(
    join(work.path, "rules.json"),
    JSON.stringify({ rules: [{ name: "mine", digest: digestOf("mine") }], sinks: { file: "told.jsonl" } }),
  );
});
after(async () => {
  await server?.close();
  work.remove();
});

test("a log is recognised by the trusted root, read whole, and what matches is told once", async () => {
  const args = [tiles, "--dir", "one", "--rules", "rules.json", "--store", "store", "--once"];
  const first = await monitor(...args);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stdout, new RegExp(`^match mine ledger\\.\\S+ 1 ${digestOf("mine")}\\n$`));
  assert.match(first.stderr, /all is well: 2 entries, 2 of them new, 1 matches/);
  assert.equal(readFileSync(join(work.path, "told.jsonl"), "utf8").split("\n").length, 2);
  const second = await monitor(...args);
  assert.deepEqual([second.status, second.stdout], [0, ""]);
});

test("the key may be given as a verifier key or a PEM file; the certificate log is read as what it is", async () => {
  const vkey = readFileSync(join(work.path, "one", "trust", "ledger.policy"), "utf8").split(" ")[1]!;
  assert.equal((await monitor(tiles, "--key", vkey, "--store", "s2", "--once")).status, 0);
  const { origin } = server.installation.facts.ledger;
  writeFileSync(
    join(work.path, "wrong.pem"),
    `-----BEGIN PUBLIC KEY-----\n${Buffer.from(key.publicKey.spki).toString("base64")}\n-----END PUBLIC KEY-----\n`,
  );
  const wrong = await monitor(tiles, "--key", "wrong.pem", "--origin", origin, "--store", "s3", "--once");
  assert.deepEqual([wrong.status, /no signature line/.test(wrong.stderr)], [3, true], wrong.stderr);
  const json = await monitor(`${server.url}/ct`, "--dir", "one", "--store", "s2", "--once", "-o", "json");
  assert.equal(json.status, 0, json.stderr);
});

test("a log that goes back is an alarm with status 1, until the operator accepts its very state", async () => {
  const { origin } = server.installation.facts.ledger;
  const log = readKey(join(work.path, "one"), "ledger");
  // What the log would say if its operator put an old copy back: a proxy in front of it that shows one entry less.
  const entry = Buffer.from(await (await fetch(`${tiles}/tile/entries/000.p/1`)).arrayBuffer());
  const root = sha256(Buffer.concat([Buffer.of(0), entry.subarray(2)]));
  const shrunk = signCheckpoint({ origin, name: origin, size: 1n, root, key: log });
  const proxy = createServer((request, response) => {
    if (request.url === "/checkpoint") return void response.end(shrunk);
    void fetch(tiles + request.url!).then(async (answer) =>
      response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer())),
    );
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const args = ["--dir", "one", "--store", "store", "--once"];
  const alarm = await monitor(url, ...args);
  assert.deepEqual([alarm.status, alarm.stdout], [1, `ALARM ${origin} it had 2 entries, and now signs 1\n`]);
  assert.equal((await monitor(tiles, ...args)).status, 1, "a log that recovers by itself is not forgiven");
  assert.equal((await monitor(url, ...args, "--accept", `1:${"0".repeat(64)}`)).status, 1);
  const accepted = await monitor(url, ...args, "--accept", `1:${Buffer.from(root).toString("base64")}`);
  assert.deepEqual([accepted.status, accepted.stdout.startsWith("accepted ")], [0, true]);
  proxy.close();
  proxy.closeAllConnections();
});

test("what cannot be meant is refused as usage, what cannot be read is status 3", async () => {
  for (const args of [
    [],
    ["nonsense"],
    ["ftp://x/y"],
    [tiles, "--dir", "one", "--interval", "soon"],
    [tiles, "--dir", "one", "--accept", "1:x"],
    [tiles, "--key", "wrong.pem"],
    [tiles, "extra"],
  ]) {
    assert.equal((await monitor(...args, "--store", "s4", "--once")).status, 2, args.join(" "));
  }
  assert.equal((await monitor(`${server.url}/nothing`, "--dir", "one", "--store", "s4", "--once")).status, 3);
  writeFileSync(join(work.path, "bad.json"), "{}x");
  assert.equal((await monitor(tiles, "--dir", "one", "--store", "s4", "--once", "--rules", "bad.json")).status, 2);
  assert.equal((await monitor(tiles, "--dir", "one", "--store", "s4", "--once", "--rules", "absent.json")).status, 3);
});
