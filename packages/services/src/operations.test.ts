// SPDX-License-Identifier: Apache-2.0
/** An installation as its operator sees it: metrics, health, limits and packed bundles, over HTTP. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { createClockClient, type Fetch } from "@lacre/core/client";
import { ServiceError, parseConfig, up, type Running, type UpOptions } from "./serve.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-operations-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let count = 0;

async function running(t: TestContext, settings: object = {}, o: Partial<UpOptions> = {}): Promise<Running> {
  const name = String(count++);
  const config = join(scratch, `${name}.json`);
  writeFileSync(config, JSON.stringify(settings));
  const started = await up({
    dir: join(scratch, name),
    listen: { host: "127.0.0.1", port: 0 },
    stateDir: join(scratch, "state"),
    config,
    ...o,
  });
  t.after(() => started.close());
  return started;
}

async function series(url: string): Promise<Map<string, number>> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

test("a new installation is ready, and shows logs, expiries, machine and requests", async (t) => {
  const { url } = await running(t);
  const healthz = await fetch(`${url}/healthz`);
  const health = (await healthz.json()) as { status: string; problems: string[]; ledger: object };
  assert.deepEqual([healthz.status, health.status, health.problems], [200, "SERVING", []]);
  await createClockClient({ url: `${url}/api/v1/timestamp`, fetch: globalThis.fetch as unknown as Fetch }).timestamp(
    Buffer.from("x"),
  );
  const shown = await series(url);
  for (const log of ["ct", "ledger", "ledger-v1"]) assert.equal(shown.get(`lacre_log_serving{log="${log}"}`), 1, log);
  const expiries = [...shown]
    .filter(([name]) => name.startsWith("lacre_expiry_days"))
    .map(([name, days]) => [/"(.+)"/.exec(name)![1], days > 0]);
  assert.deepEqual(
    expiries,
    ["ca-issuing", "ca-root", "tsa", "tsa-root", "tuf-root", "tuf-targets", "tuf-snapshot", "tuf-timestamp"].map((what) => [
      what,
      true,
    ]),
  );
  assert.equal(shown.get('timestamp_authority_http_requests_total{path="/api/v1/timestamp",method="POST",code="200"}'), 1);
  assert.equal(shown.get("lacre_ready"), 1);
  assert.ok(shown.get("timestamp_authority_certificate_valid_days_remaining")! > 300);
  assert.ok(shown.get("lacre_connections")! >= 1);
  assert.equal((await fetch(`${url}/livez`)).status, 200);
});

test("is not ready once something has expired, and names it; parts that are not served do not count", async (t) => {
  let nowMs = Date.now();
  const { url } = await running(t, {}, { now: () => nowMs });
  const only = await running(t, { health: { renewMinutes: 0 } }, { now: () => nowMs, only: new Set(["ledger"]) });
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  nowMs += 20 * 365 * 86_400_000;
  const answer = await fetch(`${url}/healthz`);
  const { problems } = (await answer.json()) as { problems: string[] };
  assert.equal(answer.status, 503);
  assert.match(problems.join("\n"), /^tsa has expired on 20\d\d-/m);
  assert.match(problems.join("\n"), /^tuf-root has expired/m);
  assert.equal((await fetch(`${only.url}/healthz`)).status, 200);
});

test("an idle installation renews its checkpoints: the certificate log's says when", async (t) => {
  let nowMs = Date.now();
  const { url } = await running(t, { health: { renewMinutes: 1 } }, { now: () => nowMs });
  // A certificate log's signature line carries the time: key id, then milliseconds.
  const time = async (): Promise<number> => {
    const line = (await (await fetch(`${url}/ct/checkpoint`)).text()).trimEnd().split("\n").at(-1)!;
    return Number(Buffer.from(line.split(" ")[2]!, "base64").readBigUInt64BE(4));
  };
  const before = await time();
  nowMs += 90_000;
  while ((await time()) === before) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(await time(), nowMs);
});

test("metrics have a listener of their own, or none, as the settings say", async (t) => {
  const own = await running(t, { metrics: { serve: "never", listen: "127.0.0.1:0" } }, { log: undefined });
  assert.equal((await fetch(`${own.url}/metrics`)).status, 404);
  assert.ok((await series(own.metricsUrl!)).has("lacre_ready"));
  const statuses = await Promise.all(
    ["/healthz", "/livez", "/api/v2/checkpoint", "/tuf/timestamp.json"].map(
      async (path) => (await fetch(`${own.metricsUrl}${path}`)).status,
    ),
  );
  assert.deepEqual(statuses, [200, 200, 404, 404]);
  const off = await running(t, { metrics: { serve: "never" } });
  assert.deepEqual([(await fetch(`${off.url}/metrics`)).status, off.metricsUrl], [404, undefined]);
});

test("writes of one client behind the proxy are limited, as the settings say", async (t) => {
  const { url } = await running(t, { edge: { writesPerMinute: 2, proxies: ["127.0.0.1"] } });
  const post = (client: string) =>
    fetch(`${url}/api/v1/timestamp`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json", "x-forwarded-for": client },
    });
  const statuses = [];
  for (const client of ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]) statuses.push((await post(client)).status);
  assert.deepEqual(statuses, [400, 400, 429, 400]);
});

test("refuses proxies and listeners that are none, when the configuration is read", () => {
  for (const settings of [
    { edge: { proxies: ["10.0.0.0/33"] } },
    { edge: { proxies: ["1.2.3"] } },
    { edge: { proxies: ["::1/129"] } },
    { metrics: { listen: "a:b:c" } },
  ]) {
    assert.throws(
      () => parseConfig(JSON.stringify(settings), "file"),
      (error: unknown) => error instanceof ServiceError && /CONFIG_INVALID|ADDRESS_UNUSABLE/.test(error.code),
      JSON.stringify(settings),
    );
  }
  parseConfig(
    JSON.stringify({ edge: { proxies: ["10.0.0.0/8", "2001:db8::/32", "::1"] }, metrics: { listen: "[::1]:9090" } }),
    "file",
  );
});

test("the metrics that documents and rules name exist", async (t) => {
  const { url } = await running(t);
  const names = new Set((await (await fetch(`${url}/metrics`)).text()).match(/(?<=^# TYPE )\w+/gm));
  const documents = ["docs/operating.md", "deploy/prometheus/lacre.rules.yml"].map((path) =>
    readFileSync(join(import.meta.dirname, "../../..", path), "utf8"),
  );
  const named = new Set(
    documents.flatMap(
      (text) => text.match(/\b(?:lacre|rekor|fulcio|timestamp_authority|process|nodejs)_[a-z0-9_]+|\bhttp_requests_total/g) ?? [],
    ),
  );
  const missing = [...named].filter((name) => !names.has(name.replace(/_(?:bucket|sum|count)$/, "")) && !names.has(name));
  assert.deepEqual(missing, []);
  const alerts = [...documents[1]!.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
  assert.deepEqual(
    alerts.filter((name) => !documents[0]!.includes(`\`${name}\``)),
    [],
    "every alert says what to do",
  );
  // And the other way: every metric of ours is explained.
  assert.deepEqual(
    [...names].filter((name) => !documents[0]!.includes(name)),
    [],
  );
});
