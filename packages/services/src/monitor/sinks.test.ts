// SPDX-License-Identifier: Apache-2.0
/** Files, webhooks and mail, each against a receiver that we did not write. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Fetch } from "@lacre/core/client";
import { SMTPServer } from "smtp-server";
import { createSinks, parseRules, type Event } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "lacre-sinks-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const EVENT: Event = {
  id: "m-7",
  kind: "match",
  body: { origin: "log.example", index: 3, rule: "mine\r\nBcc: eve@example.com", identities: ["you@example.com"] },
};
const sinksOf = (sinks: object) =>
  createSinks(parseRules(JSON.stringify({ rules: [], sinks }), "rules").sinks, {
    folder,
    fetch: globalThis.fetch as unknown as Fetch,
    timeoutMs: 300,
  });

test("a file gets a line of JSON an event", async () => {
  const [sink] = sinksOf({ file: "deep/matches.jsonl" });
  await sink!.send(EVENT);
  await sink!.send({ ...EVENT, id: "m-8", kind: "alarm" });
  const lines = readFileSync(join(folder, "deep", "matches.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: string; kind: string; index: number });
  assert.deepEqual(
    lines.map(({ id, kind, index }) => [id, kind, index]),
    [
      ["m-7", "match", 3],
      ["m-8", "alarm", 3],
    ],
  );
});

test("a webhook gets the event with its id and token; anything but a status of the 200s is a failure, and so is silence", async (t) => {
  let status = 204;
  const got: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      got.push({ headers: request.headers, body });
      if (status === 0) return;
      response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {});
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => (server.closeAllConnections(), server.close()));
  writeFileSync(join(folder, "token"), "secret\n");
  const [sink] = sinksOf({
    webhooks: [{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, tokenFile: "token" }],
  });
  await sink!.send(EVENT);
  assert.deepEqual(
    [got[0]!.headers["idempotency-key"], got[0]!.headers["authorization"], (JSON.parse(got[0]!.body) as { id: string }).id],
    ["m-7", "Bearer secret", "m-7"],
  );
  for (status of [302, 404, 500, 0]) await assert.rejects(sink!.send(EVENT), `${status}`);
  assert.equal(got.length, 5, "a redirect was followed");
});

test("a mail arrives at a mail server, and an event's text cannot add headers to it", async (t) => {
  const mails: { to: string[]; data: string; user: string }[] = [];
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    authOptional: true,
    allowInsecureAuth: true,
    onAuth: ({ username = "", password }, _session, done) =>
      done(password === "pass word" ? null : new Error("no"), { user: username }),
    onData: (stream, session, done) => {
      let data = "";
      stream.on("data", (chunk: Buffer) => (data += chunk.toString()));
      stream.on("end", () => {
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), data, user: String(session.user ?? "") });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  writeFileSync(join(folder, "password"), "pass word\n");
  const base = { host: "127.0.0.1", port, from: "monitor@example.com", to: ["ops@example.com", "you@example.com"] };
  await sinksOf({ email: base })[0]!.send(EVENT);
  await sinksOf({ email: { ...base, user: "ops", passwordFile: "password" } })[0]!.send({ ...EVENT, kind: "alarm" });
  assert.deepEqual(
    mails.map(({ to, user }) => [to, user]),
    [
      [base.to, ""],
      [base.to, "ops"],
    ],
  );
  const head = mails[0]!.data.slice(0, mails[0]!.data.indexOf("\r\n\r\n"));
  assert.match(head, /^Subject: lacre: mine +Bcc: eve@example\.com matched in log\.example/m);
  assert.doesNotMatch(head, /^Bcc:/m);
  assert.match(head, /^Message-ID: <m-7@lacre-monitor>/m);
  assert.match(mails[1]!.data, /^Subject: lacre: ALARM for log\.example/m);
  writeFileSync(join(folder, "password"), "wrong\n");
  await assert.rejects(sinksOf({ email: { ...base, user: "ops", passwordFile: "password" } })[0]!.send(EVENT));
  await assert.rejects(sinksOf({ email: { ...base, port: 1 } })[0]!.send(EVENT));
});
