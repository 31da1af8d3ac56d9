// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { LacreError } from "@lacre/core/errors";
import { createEdge, createLocalFetch, readJson, refusing } from "./index.ts";
import { ServiceError } from "../errors.ts";

function echo() {
  const app = createEdge();
  app.post("/echo", async (request, reply) =>
    reply
      .code(201)
      .header("location", "/here")
      .send({ got: readJson(request) }),
  );
  app.get("/query", async (request) => request.query);
  return app;
}

test("refuses JSON that two readers could read differently, or that is nested too deeply", async () => {
  const app = echo();
  const hostile: Record<string, string | Buffer> = {
    "duplicate key": '{"a":1,"a":2}',
    "duplicate key after unescaping": '{"a":1,"\\u0061":2}',
    "33 levels": "[".repeat(33) + "]".repeat(33),
    "a megabyte of brackets": "[".repeat(1 << 20),
    "byte order mark": "\ufeff{}",
    "not UTF-8": Buffer.from([0x22, 0xff, 0x22]),
    "cut off": '{"a":',
    empty: "",
    "two values": "{}{}",
  };
  for (const [name, payload] of Object.entries(hostile)) {
    const answer = await app.inject({ method: "POST", url: "/echo", payload });
    assert.deepEqual([answer.statusCode, answer.json().code, answer.json().details], [400, 3, []], name);
  }
  const deep = await app.inject({ method: "POST", url: "/echo", payload: "[".repeat(32) + "]".repeat(32) });
  assert.equal(deep.statusCode, 201);
});

test("a refusal of the library becomes a refusal of the service; our own faults do not", () => {
  const cause = new LacreError("BAD_DER", "value is cut off");
  const lift = (message?: string) => () =>
    refusing("KEY_UNREADABLE", message, () => {
      throw cause;
    });
  assert.throws(
    lift(),
    (error) =>
      error instanceof ServiceError &&
      error.code === "KEY_UNREADABLE" &&
      error.message === "value is cut off" &&
      error.cause === cause,
  );
  assert.throws(lift("no"), (error) => error instanceof ServiceError && error.message === "no");
  assert.throws(
    () =>
      refusing("KEY_UNREADABLE", undefined, () => {
        throw new RangeError("ours");
      }),
    RangeError,
  );
});

test("a call within the process sees what a call over the wire would", async () => {
  const app = echo();
  const fetch = createLocalFetch({ app: () => app, origins: ["http://localhost:7800/"] });
  const answer = await fetch("http://localhost:7800//echo/", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"x":1}',
  });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get("Location"), "/here");
  assert.equal(answer.headers.get("absent"), null);
  assert.equal(Buffer.from(await answer.arrayBuffer()).toString(), '{"got":{"x":1}}');
  const query = await fetch("http://localhost:7800/query?a=%26b");
  assert.equal(Buffer.from(await query.arrayBuffer()).toString(), '{"a":"&b"}');
});

test("a call elsewhere leaves the process only where that was allowed", async () => {
  const app = echo();
  const closed = createLocalFetch({ app: () => app, origins: ["http://localhost:7800"] });
  await assert.rejects(closed("http://localhost:7801/query"), /not served by this process/);
  await assert.rejects(closed("http://localhost.evil.example:7800/query"), /not served by this process/);
  const seen: string[] = [];
  const open = createLocalFetch({
    app: () => app,
    origins: ["http://localhost:7800"],
    elsewhere: async (url) => {
      seen.push(url);
      return { status: 204, headers: { get: () => null }, arrayBuffer: async () => new ArrayBuffer(0) };
    },
  });
  assert.equal((await open("https://issuer.example/x")).status, 204);
  assert.deepEqual(seen, ["https://issuer.example/x"]);
});
