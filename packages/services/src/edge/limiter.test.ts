// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ServiceError } from "../errors.ts";
import { createEdge } from "./edge.ts";
import { clientOf, Limiter } from "./limiter.ts";

test("a minute's worth at once, then one each interval, and never more than the limit in any minute", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 200 }),
      (perMinute, pauses) => {
        const limiter = new Limiter(perMinute);
        let nowMs = 1_800_000_000_000;
        const granted: number[] = [];
        for (const pause of pauses) {
          nowMs += pause;
          const wait = limiter.take("192.0.2.1", nowMs);
          if (wait === 0) granted.push(nowMs);
          else assert.ok(limiter.take("192.0.2.1", nowMs + wait * 1000) === 0, "waiting as long as was said is enough");
          if (wait !== 0) granted.push((nowMs += wait * 1000));
        }
        // A full bucket and a minute's filling: at most twice the limit in one minute, and the limit in the long run.
        for (const [at, time] of granted.entries())
          assert.ok(granted.slice(at).filter((other) => other < time + 60_000).length <= 2 * perMinute);
      },
    ),
    { numRuns: 50 },
  );
  const limiter = new Limiter(3);
  const taken = [0, 0, 0, 0, 19_999, 20_000, 20_001].map((ms) => limiter.take("192.0.2.1", ms));
  assert.deepEqual(taken, [0, 0, 0, 20, 1, 0, 20]);
  assert.equal(limiter.take("192.0.2.2", 0), 0, "another client has a bucket of its own");
});

test("a client is an IPv4 address or an IPv6 /64; this machine is none", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.7", "64:ff9b:0:0::/64"],
    ["127.0.0.1", undefined],
    ["::ffff:127.9.9.9", undefined],
    ["::1", undefined],
    ["::2", "0:0:0:0::/64"],
    ["nonsense", "unknown"],
  ];
  for (const [address, client] of cases) assert.equal(clientOf(address), client, address);
});

test("the table of clients is bounded, and who came back to a full bucket is forgotten", () => {
  const limiter = new Limiter(60, 100);
  for (let at = 0; at < 10_000; at++) limiter.take(`198.51.${at >> 8}.${at & 255}`, at);
  assert.ok(limiter.size <= 100);
  limiter.take("192.0.2.1", 3_600_000);
  assert.equal(limiter.size, 1);
});

test("refuses writes above the limit with 429 in each dialect; reads and this machine's own clients are not counted", async () => {
  let nowMs = 0;
  const app = createEdge({ writesPerMinute: 2, proxies: ["127.0.0.1"], now: () => nowMs });
  const answer = async (): Promise<string> => "done";
  app.post("/gateway", answer);
  app.post("/rekor", { config: { errors: "rekor" } }, answer);
  app.post("/tsa", { config: { errors: "tsa" } }, answer);
  app.post("/text", { config: { errors: "text" } }, answer);
  app.get("/gateway", answer);
  const from = (client: string | undefined, url: string, method: "POST" | "GET" = "POST") =>
    app.inject({ method, url, ...(client === undefined ? {} : { headers: { "x-forwarded-for": client } }) });
  for (const client of ["192.0.2.1", "192.0.2.2"])
    for (let at = 0; at < 2; at++) assert.equal((await from(client, "/gateway")).statusCode, 200);
  const bodies: Record<string, string> = {
    "/gateway": '{"code":8,"message":"Too many requests; try again later","details":[]}',
    "/rekor": '{"code":429,"message":"Too many requests; try again later"}',
    "/tsa": '{"code":429,"message":"Too many requests; try again later"}',
    "/text": "Too Many Requests\nToo many requests; try again later\n",
  };
  for (const [url, body] of Object.entries(bodies)) {
    const refused = await from("192.0.2.1", url);
    assert.deepEqual([refused.statusCode, refused.headers["retry-after"], refused.body], [429, "30", body], url);
  }
  assert.equal((await from("192.0.2.1", "/gateway", "GET")).statusCode, 200);
  for (let at = 0; at < 5; at++)
    assert.equal((await from(undefined, "/gateway")).statusCode, 200, "not through a proxy: from this machine");
  nowMs += 30_000;
  assert.equal((await from("192.0.2.1", "/gateway")).statusCode, 200);
});

test("X-Forwarded-For of a client that is no proxy of ours is not believed", async () => {
  const app = createEdge({ proxies: ["10.1.0.0/16"] });
  app.get("/ip", async (request) => request.ip);
  const ask = async (remoteAddress: string): Promise<string> =>
    (await app.inject({ url: "/ip", remoteAddress, headers: { "x-forwarded-for": "203.0.113.9, 192.0.2.1" } })).body;
  assert.equal(await ask("192.0.2.50"), "192.0.2.50");
  assert.equal(await ask("10.1.2.3"), "192.0.2.1");
});

test("a code of its own", () => {
  const error = new ServiceError("RATE_LIMITED");
  assert.deepEqual([error.status, error.grpc], [429, 8]);
});
