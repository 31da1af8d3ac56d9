// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log } from "../engine/index.ts";
import { createEdge } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import {
  createMetrics,
  measureExpiries,
  measureLogs,
  measureMachine,
  observeDoors,
  registerMetrics,
  type Metrics,
} from "./index.ts";

/** Series of a text, by name and labels, with their values. */
async function read(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

function service() {
  const metrics = createMetrics();
  const app = createEdge({ observer: observeDoors(metrics), writesPerMinute: 1000 });
  app.post("/api/v2/log/entries", async (_request, reply) => reply.code(201).send({}));
  app.get("/api/v1/log/entries/:uuid", { config: { errors: "rekor" } }, async () => "entry");
  app.post("/api/v2/signingCert", async (request) => {
    if ((request.body as Buffer).length > 3) throw new ServiceError("TOKEN_INVALID");
    return {};
  });
  app.post("/api/v1/timestamp", { config: { errors: "tsa" } }, async (_request, reply) =>
    reply.type("application/timestamp-reply").send("x"),
  );
  registerMetrics(app, metrics);
  return { app, metrics };
}

test("each peer's names count that peer's API, in its own spelling", async () => {
  const { app, metrics } = service();
  await app.inject({ method: "POST", url: "/api/v2/log/entries", payload: "abc" });
  await app.inject({ method: "POST", url: "/api/v2/signingCert", payload: "abc" });
  await app.inject({ method: "POST", url: "/api/v2/signingCert", payload: "abcd" });
  await app.inject({ method: "POST", url: "/api/v1/timestamp", payload: "abc" });
  await app.inject({ url: "/api/v1/log/entries/00ff" });
  const series = await read(metrics);
  const expected: Record<string, number> = {
    'rekor_v2_http_requests_total{code="201",method="post"}': 1,
    'rekor_v2_http_api_latency_count{code="201",method="post"}': 1,
    'rekor_v2_http_api_request_size_sum{code="201",method="post"}': 3,
    fulcio_new_certs: 1,
    'fulcio_api_latency_count{code="400",method="post"}': 1,
    'timestamp_authority_http_requests_total{path="/api/v1/timestamp",method="POST",code="200"}': 1,
    'rekor_qps_by_api{path="/api/v1/log/entries/{uuid}",method="GET",code="200"}': 1,
    'rekor_latency_by_api_count{path="/api/v1/log/entries/{uuid}",method="GET"}': 1,
    'http_requests_total{code="200",method="post"}': 2,
    'lacre_http_requests_total{path="/api/v2/signingCert",method="POST",code="400"}': 1,
    'lacre_refusals_total{code="TOKEN_INVALID"}': 1,
    'lacre_refusals_total{code="CT_FAILED"}': 0,
    'lacre_http_broken_total{reason="held too much"}': 0,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(series.get(name), value, name);
  const nanoseconds = series.get('rekor_latency_by_api_sum{path="/api/v1/log/entries/{uuid}",method="GET"}')!;
  const seconds = series.get('lacre_http_request_duration_seconds_sum{path="/api/v1/log/entries/{uuid}",method="GET"}')!;
  assert.ok(Math.abs(nanoseconds / 1e9 - seconds) < 1e-9);
});

test("hostile requests begin no series: paths, methods, headers, bodies and addresses never become labels", async () => {
  const { app, metrics } = service();
  const storm = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at++) {
      const word = `hush${at}`;
      await app.inject({
        url: `/${word}`,
        headers: { "user-agent": word, host: word, "x-forwarded-for": `10.0.${at}.1` },
        remoteAddress: `10.1.${at}.1`,
      });
      await app.inject({ url: `/api/v1/log/entries/${word}` });
      await app.inject({ url: `/api/v1/log/entries/${word}/${word}?${word}` });
      await app.inject({
        method: "POST",
        url: "/api/v2/log/entries",
        payload: word,
        headers: { "content-type": `text/${word}` },
      });
      await app.inject({ method: "POST", url: "/api/v2/signingCert", payload: word });
      await app.inject({ method: "DELETE", url: `/${word}` });
      await app.inject({ url: `/%zz${word}` });
    }
  };
  await storm(0, 3);
  const before = await read(metrics);
  await storm(3, 60);
  const after = await read(metrics);
  assert.deepEqual([...after.keys()], [...before.keys()]);
  assert.doesNotMatch([...after.keys()].join("\n"), /hush|10\.1\./i);
  assert.ok((after.get('lacre_http_requests_total{path="unmatched",method="GET",code="404"}') ?? 0) >= 60);
});

test("a value that a label was not made for counts as other", async () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: "things_total", help: "Things.", labels: { kind: new Set(["a"]) } });
  for (const kind of ["a", "b", "c", "__proto__"]) counter.add({ kind });
  metrics.gauge({ name: "level", help: "Level.", labels: { kind: new Set(["a"]) } }, () => [
    [{ kind: "a" }, 1],
    [{ kind: "x\n" }, 2],
  ]);
  metrics.histogram({ name: "size", help: "Size.", labels: { kind: new Set(["a"]) } }, [1]).observe({ kind: "zzz" }, 3);
  assert.deepEqual(
    [...(await read(metrics))].filter(([name]) => !name.startsWith("size_")),
    [
      ['things_total{kind="a"}', 1],
      ['things_total{kind="other"}', 3],
      ['level{kind="a"}', 1],
      ['level{kind="other"}', 2],
    ],
  );
  assert.equal((await read(metrics)).get('size_count{kind="other"}'), 1);
});

test("logs: what they tell and what they are asked", async () => {
  const metrics = createMetrics();
  const logs = measureLogs(metrics, ["ledger", "ledger-v1"], () => 100_000);
  logs.observe("ledger").committed({ entries: 3, octets: 900, seconds: 0.0004 });
  logs.observe("ledger").committed({ entries: 0, octets: 4, seconds: 0.0004 });
  logs.observe("ledger-v1").committed({ entries: 2, octets: 700, seconds: 0.0004 });
  logs.observe("ledger").published({ seconds: 0.003 });
  for (const kind of ["hashedrekord", "hashedrekord", "dsse", "rekord"]) logs.logged(kind);
  const health = {
    status: "unwitnessed",
    committed: 9,
    published: 5,
    timeMs: 70_000,
    waiting: 2,
    oldestMs: 1500,
    behindMs: 2500,
    sealed: 0,
    failure: undefined,
  };
  logs.show({ ledger: { health: () => health } as Partial<Log> as Log });
  const series = await read(metrics);
  const expected: Record<string, number> = {
    'lacre_log_entries_total{log="ledger"}': 3,
    'lacre_log_committed_bytes_total{log="ledger"}': 904,
    'lacre_log_group_entries_count{log="ledger"}': 1,
    'lacre_log_commit_seconds_count{log="ledger"}': 2,
    'lacre_log_publish_seconds_count{log="ledger"}': 1,
    rekor_new_entries: 2,
    rekor_v2_new_hashedrekord_entries: 2,
    rekor_v2_new_dsse_entries: 1,
    'lacre_log_serving{log="ledger"}': 0,
    'lacre_log_unwitnessed{log="ledger"}': 1,
    'lacre_log_size{log="ledger"}': 5,
    'lacre_log_unpublished_entries{log="ledger"}': 4,
    'lacre_log_unpublished_seconds{log="ledger"}': 2.5,
    'lacre_log_queue_entries{log="ledger"}': 2,
    'lacre_log_queue_oldest_seconds{log="ledger"}': 1.5,
    'lacre_log_checkpoint_age_seconds{log="ledger"}': 30,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(series.get(name), value, name);
});

test("the machine is read when it is asked, and a counter that is read goes up", async () => {
  const metrics = createMetrics();
  measureMachine(metrics, { dir: "/", version: "1.2.3", connections: () => 7, held: () => 5 });
  const first = await read(metrics);
  const until = process.cpuUsage().user + 30_000;
  while (process.cpuUsage().user < until);
  const second = await read(metrics);
  assert.ok(second.get("process_cpu_seconds_total")! >= first.get("process_cpu_seconds_total")! + 0.02);
  assert.deepEqual([first.get("lacre_connections"), first.get("lacre_held_bytes")], [7, 5]);
  assert.equal(first.get(`lacre_build_info{version="1.2.3",node="${process.version}"}`), 1);
  for (const name of [
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "lacre_disk_free_bytes",
    "lacre_disk_size_bytes",
    "process_start_time_seconds",
  ]) {
    assert.ok(first.get(name)! > 0, name);
  }
  assert.ok(first.get("nodejs_eventloop_utilization")! <= 1);
});

test("a scraper gets the text format", async () => {
  const { app } = service();
  const answer = await app.inject({ url: "/metrics" });
  assert.equal(answer.statusCode, 200);
  assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  assert.match(answer.body, /^# HELP lacre_http_requests_total .+\n# TYPE lacre_http_requests_total counter$/m);
});

test("days until everything expires, under one name, and the clock's under its upstream's", async () => {
  const metrics = createMetrics();
  const day = 86_400_000;
  measureExpiries(
    metrics,
    () => [
      { what: "ca-root", untilMs: 400 * day },
      { what: "tsa", untilMs: 110 * day },
      { what: "tsa-root", untilMs: 90 * day },
      { what: "tuf-timestamp", untilMs: 99.5 * day },
    ],
    () => 100 * day,
  );
  assert.deepEqual(
    [...(await read(metrics))],
    [
      ['lacre_expiry_days{what="ca-root"}', 300],
      ['lacre_expiry_days{what="tsa"}', 10],
      ['lacre_expiry_days{what="tsa-root"}', -10],
      ['lacre_expiry_days{what="tuf-timestamp"}', -0.5],
      ["timestamp_authority_certificate_valid_days_remaining", -10],
    ],
  );
});
