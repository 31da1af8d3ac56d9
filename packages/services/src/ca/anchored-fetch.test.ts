// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createAnchoredFetch } from "./anchored-fetch.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-tls-"));
after(() => rmSync(scratch, { recursive: true }));

function certificate(name: string): { key: string; cert: string } {
  const [key, cert] = [join(scratch, `${name}.key`), join(scratch, `${name}.pem`)];
  const run = spawnSync("openssl", [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    key,
    "-out",
    cert,
    "-days",
    "1",
    "-subj",
    `/CN=${name}`,
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
  ]);
  assert.equal(run.status, 0, run.stderr.toString());
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

test("trusts the certificate that it was given, and no other; bounds what it reads", async () => {
  const mine = certificate("mine");
  const other = certificate("other");
  const server = createServer(mine, (request, answer) => {
    if (request.url === "/large") answer.end(Buffer.alloc(300 * 1024));
    else if (request.url === "/moved") answer.writeHead(302, { location: "https://elsewhere.example/" }).end();
    else answer.writeHead(200, { "x-a": "b" }).end(`${request.method} ${request.headers.accept}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    const fetch = createAnchoredFetch(mine.cert);
    const answer = await fetch(`https://127.0.0.1:${port}/`, { headers: { accept: "x/y" } });
    assert.deepEqual([answer.status, answer.headers.get("X-A"), answer.headers.get("none")], [200, "b", null]);
    assert.equal(Buffer.from(await answer.arrayBuffer()).toString(), "GET x/y");
    const moved = await fetch(`https://127.0.0.1:${port}/moved`);
    assert.deepEqual([moved.status, moved.headers.get("location")], [302, "https://elsewhere.example/"], "not followed");
    await assert.rejects(fetch(`https://127.0.0.1:${port}/large`), /too large/);
    await assert.rejects(createAnchoredFetch(other.cert)(`https://127.0.0.1:${port}/`), { code: /SELF_SIGNED|UNABLE_TO_VERIFY/ });
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), /https only/);
    await assert.rejects(fetch(`https://127.0.0.1:${port}/`, { signal: AbortSignal.abort() }), { name: "AbortError" });
  } finally {
    server.close();
  }
});
