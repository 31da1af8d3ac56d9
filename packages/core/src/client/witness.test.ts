// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { signCheckpoint } from "../bundle/index.ts";
import { toHex, utf8 } from "../bytes/index.ts";
import { generateKey, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { createWitnessClient, type Fetch } from "./index.ts";

let answer: { readonly status: number; readonly type?: string; readonly body: string } = { status: 200, body: "" };
let asked: { method: string; url: string; body: string } | undefined;
const server: Server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString()));
  request.on("end", () => {
    asked = { method: request.method!, url: request.url!, body };
    response.writeHead(answer.status, answer.type === undefined ? {} : { "content-type": answer.type });
    response.end(answer.body);
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => server.close());
const client = createWitnessClient({
  url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/w/`,
  fetch: globalThis.fetch as unknown as Fetch,
  retries: 0,
});
const note = signCheckpoint({
  origin: "log.example",
  name: "log.example",
  size: 2n,
  root: sha256(utf8("r")),
  key: generateKey("Ed25519"),
});

async function refuses(code: LacreCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => error instanceof LacreError && error.code === code);
}

test("asks as the protocol writes it, and reads lines or a size", async () => {
  answer = { status: 200, body: "— w AAAAAAA=\n" };
  assert.deepEqual(await client.addCheckpoint({ oldSize: 1n, proof: [sha256(utf8("p"))], note }), {
    kind: "cosigned",
    lines: [{ name: "w", keyHint: new Uint8Array(4), signature: new Uint8Array(1) }],
  });
  assert.deepEqual(
    [asked!.method, asked!.url, asked!.body.split("\n")[0], asked!.body.endsWith(`\n\n${note}`)],
    ["POST", "/w/add-checkpoint", "old 1", true],
  );
  answer = { status: 409, type: "text/x.tlog.size", body: "17\n" };
  assert.deepEqual(await client.addCheckpoint({ oldSize: 1n, proof: [], note }), { kind: "conflict", size: 17n });
});

test("answers of another shape are refused", async () => {
  for (const bad of [
    { status: 200, body: "" },
    { status: 200, body: "fine\n" },
    { status: 409, type: "text/plain", body: "17\n" },
    { status: 409, type: "text/x.tlog.size", body: "17" },
    { status: 409, type: "text/x.tlog.size", body: "-1\n" },
    { status: 409, type: "text/x.tlog.size", body: "" },
    { status: 200, body: "x".repeat(200_000) },
  ]) {
    answer = bad;
    await refuses("SERVICE_ANSWER_INVALID", client.addCheckpoint({ oldSize: 0n, proof: [], note }));
  }
  for (const status of [400, 403, 404, 422, 302]) {
    answer = { status, body: "no" };
    await refuses("SERVICE_REFUSED", client.addCheckpoint({ oldSize: 0n, proof: [], note }));
  }
  answer = { status: 500, body: "" };
  await refuses("SERVICE_UNREACHABLE", client.addCheckpoint({ oldSize: 0n, proof: [], note }));
});

test("the latest checkpoint is asked for by the hash of the origin; none is no failure", async () => {
  answer = { status: 200, body: note };
  assert.equal(await client.latest("log.example"), note);
  assert.equal(asked!.url, `/w/${toHex(sha256(utf8("log.example")))}/checkpoint`);
  answer = { status: 404, body: "" };
  assert.equal(await client.latest("log.example"), undefined);
});
