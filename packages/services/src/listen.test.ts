// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, connect } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { createEdge } from "./edge/index.ts";
import { ServiceError } from "./errors.ts";
import { findPlace, openDoors, parseListen } from "./listen.ts";

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === "::1");

test("reads host and port in every usual spelling", () => {
  const read = (text: string) => Object.values(parseListen(text));
  assert.deepEqual(read("localhost:7800"), ["localhost", 7800]);
  assert.deepEqual(read("localhost"), ["localhost", 7800]);
  assert.deepEqual(read(":0"), ["localhost", 0]);
  assert.deepEqual(read("127.0.0.1:80"), ["127.0.0.1", 80]);
  assert.deepEqual(read("[::1]:80"), ["::1", 80]);
  for (const text of ["a:b", "a:70000", "::1:80", "http://localhost:1", "a b"]) {
    assert.throws(
      () => parseListen(text),
      (error) => error instanceof ServiceError && error.code === "ADDRESS_UNUSABLE",
      text,
    );
  }
});

test(
  "localhost is both loopbacks on one port, and one set of limits",
  { skip: !hasIpv6 && "no IPv6 loopback here" },
  async () => {
    const app = createEdge();
    app.get("/slow", async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { done: true };
    });
    const place = await findPlace({ host: "localhost", port: 0 });
    assert.deepEqual([place.addresses, place.url], [["127.0.0.1", "::1"], `http://localhost:${place.port}`]);
    const closeDoors = await openDoors(app, place);
    for (const host of ["127.0.0.1", "[::1]"]) assert.equal((await fetch(`http://${host}:${place.port}/healthz`)).status, 200);
    // A request under way on either ends well while the doors close.
    const slow = ["127.0.0.1", "[::1]"].map((host) => fetch(`http://${host}:${place.port}/slow`));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const closed = closeDoors();
    for (const answer of await Promise.all(slow)) {
      assert.deepEqual(
        [await answer.json(), answer.headers.get("connection")],
        [{ done: true }, "close"],
        "a kept-alive connection would hold up the close",
      );
    }
    await closed;
    await assert.rejects(fetch(`http://[::1]:${place.port}/healthz`));
  },
);

test("a taken port is refused before anything starts, on either loopback", async () => {
  for (const host of hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen({ host, port: 0 }, resolve));
    const { port } = other.address() as { port: number };
    await assert.rejects(
      findPlace({ host: "localhost", port }),
      (error) => error instanceof ServiceError && error.code === "ADDRESS_TAKEN" && error.detail!.includes(`lsof -i :${port}`),
    );
    other.close();
  }
});

test("an address of another machine is refused", async () => {
  await assert.rejects(
    findPlace({ host: "192.0.2.1", port: 0 }),
    (error) => error instanceof ServiceError && error.code === "ADDRESS_UNUSABLE",
  );
});

test("closing does not wait for idle connections", { skip: !hasIpv6 && "no IPv6 loopback here" }, async () => {
  const app = createEdge();
  const place = await findPlace({ host: "localhost", port: 0 });
  const closeDoors = await openDoors(app, place);
  const idle = connect({ host: "::1", port: place.port });
  await new Promise<void>((resolve) =>
    idle.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", () => idle.once("data", () => resolve())),
  );
  const ended = new Promise((resolve) => idle.once("close", resolve));
  await closeDoors();
  await ended;
});
