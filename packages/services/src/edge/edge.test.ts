// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { connect } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { pino } from "pino";
import { ServiceError } from "../errors.ts";
import { BODY_LIMIT, bodyOf, createEdge } from "./edge.ts";
import { normalTarget, RouteTable } from "./path.ts";
import { httpStatusOf } from "./shape.ts";

function sample() {
  const app = createEdge();
  app.post("/api/v2/things", async (request) => ({ length: bodyOf(request).length }));
  app.post("/api/v2/small", { bodyLimit: 10 }, async (request) => ({ length: bodyOf(request).length }));
  app.get("/api/v2/fail", async () => {
    throw new Error("secret path /home/me");
  });
  app.get("/api/v1/log/entries/:uuid", { config: { errors: "rekor" } }, async () => {
    throw new ServiceError("BAD_REQUEST", "UUID must be hexadecimal");
  });
  app.get("/ct/v1/get-roots", { config: { errors: "text" } }, async () => {
    throw new ServiceError("OVERLOADED", undefined, { headers: { "retry-after": "2" } });
  });
  app.get("/tile/*", { config: { errors: "text" } }, async (_request, reply) =>
    reply.type("application/octet-stream").send(Buffer.from("tile")),
  );
  return app;
}

test("a body is bytes, whatever its type says, and no parser of the framework touches it", async () => {
  const app = sample();
  for (const type of ["application/json", "application/json; charset=utf-8", "application/timestamp-query", "text/plain", ""]) {
    const answer = await app.inject({
      method: "POST",
      url: "/api/v2/things",
      payload: Buffer.from('{"__proto__":'),
      headers: type ? { "content-type": type } : {},
    });
    assert.deepEqual([answer.statusCode, answer.json()], [200, { length: 13 }], type);
  }
  const empty = await app.inject({ method: "POST", url: "/api/v2/things" });
  assert.deepEqual(empty.json(), { length: 0 });
});

test("refuses a body above 4 MiB, or above the route's own limit, with 413 in the route's dialect", async () => {
  const app = sample();
  const big = await app.inject({ method: "POST", url: "/api/v2/things", payload: Buffer.alloc(BODY_LIMIT + 1) });
  assert.equal(big.statusCode, 413);
  assert.deepEqual(big.json(), { code: 3, message: "The request is too large", details: [] });
  assert.equal((await app.inject({ method: "POST", url: "/api/v2/things", payload: Buffer.alloc(BODY_LIMIT) })).statusCode, 200);
  assert.equal((await app.inject({ method: "POST", url: "/api/v2/small", payload: Buffer.alloc(11) })).statusCode, 413);
});

test("tolerates duplicate slashes, one trailing slash and absolute targets, and never redirects", async () => {
  const app = sample();
  for (const url of ["//api/v2/things", "/api//v2/things/", "/api/v2/things/?a=//b/"]) {
    assert.equal((await app.inject({ method: "POST", url, payload: Buffer.from("x") })).statusCode, 200, url);
  }
  assert.equal(normalTarget("http://host:1/a//b/?q=//"), "/a/b?q=//");
  assert.equal(normalTarget("HTTPS://host"), "/");
  assert.equal(normalTarget("/"), "/");
  assert.equal(normalTarget("//"), "/");
  assert.equal(normalTarget("*"), "*");
});

test("normalising is idempotent and leaves the query alone", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("/", "a", "%2f", "?", "b//")), (parts) => {
      const target = `/${parts.join("")}`;
      const once = normalTarget(target);
      assert.equal(normalTarget(once), once);
      assert.equal(once.split("?").slice(1).join("?"), target.split("?").slice(1).join("?"));
      assert.doesNotMatch(once.split("?")[0]!, /\/\//);
    }),
  );
});

test("words unknown paths and wrong methods as each API does", async () => {
  const app = sample();
  const at = async (method: "GET" | "DELETE", url: string) => {
    const answer = await app.inject({ method, url });
    return [answer.statusCode, answer.headers["content-type"], answer.body, answer.headers.allow];
  };
  assert.deepEqual(await at("GET", "/nowhere"), [
    404,
    "application/json",
    '{"code":5,"message":"Not Found","details":[]}',
    undefined,
  ]);
  assert.deepEqual(await at("DELETE", "/api/v2/things"), [
    501,
    "application/json",
    '{"code":12,"message":"Method Not Allowed","details":[]}',
    "POST",
  ]);
  assert.deepEqual(await at("GET", "/api/v1/log/nothing"), [
    404,
    "application/json",
    '{"code":404,"message":"path /api/v1/log/nothing was not found"}',
    undefined,
  ]);
  assert.deepEqual(await at("DELETE", "/api/v1/log/entries/00"), [
    405,
    "application/json",
    '{"code":405,"message":"method DELETE is not allowed"}',
    "GET, HEAD",
  ]);
  assert.deepEqual(await at("GET", "/ct/v1/nothing"), [404, "text/plain; charset=utf-8", "Not Found\nNot Found\n", undefined]);
  assert.deepEqual(await at("DELETE", "/tile/0/000"), [
    405,
    "text/plain; charset=utf-8",
    "Method Not Allowed\nMethod Not Allowed\n",
    "GET, HEAD",
  ]);
});

test("renders a ServiceError in the route's dialect with its headers", async () => {
  const app = sample();
  const rekor = await app.inject({ url: "/api/v1/log/entries/zz" });
  assert.deepEqual([rekor.statusCode, rekor.body], [400, '{"code":400,"message":"UUID must be hexadecimal"}']);
  const ct = await app.inject({ url: "/ct/v1/get-roots" });
  assert.deepEqual(
    [ct.statusCode, ct.headers["retry-after"], ct.body],
    [503, "2", "Service Unavailable\nThe service is busy; try again\n"],
  );
});

test("an unexpected exception is a 500 that says nothing of itself", async () => {
  const answer = await sample().inject({ url: "/api/v2/fail" });
  assert.deepEqual([answer.statusCode, answer.body], [500, '{"code":13,"message":"Internal error","details":[]}']);
});

test("every answer has a length, an open origin and a request id of our own", async () => {
  const app = sample();
  for (const url of ["/healthz", "/tile/x", "/nowhere", "/api/v2/fail", "/%zz"]) {
    const answer = await app.inject({ url, headers: { "x-request-id": "chosen-by-client" } });
    assert.equal(answer.headers["content-length"], String(answer.rawPayload.length), url);
    assert.equal(answer.headers["access-control-allow-origin"], "*", url);
    assert.match(String(answer.headers["x-request-id"]), /^[0-9a-f]{12}-[0-9a-z]+$/, url);
    assert.doesNotMatch(answer.body, /FST_|node_modules| at /, url);
  }
});

test("a malformed path or media type is a refusal of ours, not the framework's", async () => {
  const app = sample();
  const path = await app.inject({ url: "/tile/%zz" });
  assert.deepEqual([path.statusCode, path.json().code], [400, 3]);
  const type = await app.inject({
    method: "POST",
    url: "/api/v2/things",
    payload: Buffer.from("x"),
    headers: { "content-type": "nonsense" },
  });
  assert.deepEqual([type.statusCode, type.json().code], [415, 3]);
});

test("answers a preflight for a known path only", async () => {
  const app = sample();
  const known = await app.inject({
    method: "OPTIONS",
    url: "/api/v2/things",
    headers: { origin: "https://page.example", "access-control-request-method": "POST" },
  });
  assert.deepEqual([known.statusCode, known.headers["access-control-allow-methods"]], [204, "POST"]);
  assert.equal((await app.inject({ method: "OPTIONS", url: "/nowhere" })).statusCode, 404);
});

test("JSON goes out as application/json without a charset", async () => {
  const answer = await sample().inject({ url: "/healthz" });
  assert.deepEqual([answer.headers["content-type"], answer.json()], ["application/json", { status: "SERVING" }]);
});

test("healthz is 503 while a part is not ready", async () => {
  const app = createEdge({ health: () => ({ ready: false, ledger: "recovering" }) });
  const answer = await app.inject({ url: "/healthz" });
  assert.deepEqual([answer.statusCode, answer.json()], [503, { status: "NOT_SERVING", ledger: "recovering" }]);
});

test("log lines carry neither bodies, queries, headers nor tokens", async () => {
  let lines = "";
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines += chunk;
      done();
    },
  });
  const app = createEdge({ log: pino({ level: "trace" }, sink) });
  app.post("/x", async () => {
    throw new ServiceError("TOKEN_INVALID", undefined, { detail: "signature does not verify" });
  });
  await app.inject({ method: "POST", url: "/x?code=hush1", headers: { authorization: "Bearer hush2" }, payload: "hush3" });
  await app.inject({ method: "GET", url: "/hush4?token=hush5" });
  assert.match(lines, /"code":"TOKEN_INVALID"/);
  assert.match(lines, /signature does not verify/);
  assert.doesNotMatch(lines, /hush/);
});

test("an answer as a stream without a length is our fault, not a chunked reply", async () => {
  const app = createEdge();
  const { Readable } = await import("node:stream");
  app.get("/stream", async (_request, reply) => reply.send(Readable.from(["x"])));
  assert.equal((await app.inject({ url: "/stream" })).statusCode, 500);
});

test("over a socket: a broken request line and an oversized header get a bare answer, and the server lives", async () => {
  const app = sample();
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as { port: number };
  const send = (bytes: string) =>
    new Promise<string>((resolve, reject) => {
      let got = "";
      const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
      socket
        .on("data", (chunk) => (got += chunk))
        .on("close", () => resolve(got))
        .on("error", reject);
    });
  try {
    assert.match(await send("BROKEN\r\n\r\n"), /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(await send(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(40_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
    assert.match(
      await send("POST /api/v2/things HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n"),
      /^HTTP\/1\.1 413 /,
    );
    const alive = await fetch(`http://127.0.0.1:${port}/healthz`);
    assert.equal(alive.status, 200);
    assert.equal(alive.headers.get("content-length"), "20");
  } finally {
    await app.close();
  }
});

test("closing ends although a client keeps its connection and a handler never answers", async () => {
  const app = createEdge({ closeTimeoutMs: 50 });
  app.get("/never", () => new Promise(() => {}));
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as { port: number };
  const cut = fetch(`http://127.0.0.1:${port}/never`).then(
    () => "answered",
    () => "cut",
  );
  await new Promise<void>((resolve) => app.server.once("request", () => resolve()));
  await app.close();
  assert.equal(await cut, "cut");
});

test("maps gRPC codes to HTTP as grpc-gateway does", () => {
  const expected = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
  assert.deepEqual(
    expected.map((_, code) => httpStatusOf(code)),
    expected,
  );
  assert.equal(httpStatusOf(99), 500);
});

test("the route table takes parameters, wildcards and literal dots for what they are", () => {
  const table = new RouteTable<string>();
  table.add("/a/:id/b", ["GET"], "x");
  table.add("/f/1.root.json", ["GET"], "y");
  table.add("/t/*", ["GET"], "z");
  assert.deepEqual(table.methods("/a/1/b"), ["GET"]);
  assert.deepEqual(table.methods("/a/1/2/b"), []);
  assert.deepEqual(table.methods("/f/1xroot.json"), []);
  assert.deepEqual(table.methods("/t/u/v"), ["GET"]);
  assert.equal(table.nearest("/t/other"), "z");
  assert.equal(table.nearest("/other"), undefined);
});
