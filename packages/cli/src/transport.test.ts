// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

const folder = mkdtempSync(join(tmpdir(), "lacre-transport-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));

/** Asks an address as the command's process would, with this environment. */
async function ask(url: string, env: Record<string, string>): Promise<string> {
  const script = `const { prepareNetwork } = await import(${JSON.stringify(new URL("./transport.ts", import.meta.url).href)});
    try { prepareNetwork(process.env); console.log(await (await fetch(${JSON.stringify(url)})).text()); }
    catch (error) { console.log("failed:", error.code ?? error.cause?.code ?? error.message); }`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", "--input-type=module", "-e", script], {
    env: { PATH: process.env["PATH"]!, ...env },
  });
  return stdout.trim();
}

before(() => {
  const openssl = (...args: string[]): unknown => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  openssl(
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    "key.pem",
    "-out",
    "cert.pem",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-days",
    "2",
  );
  writeFileSync(join(folder, "junk.pem"), "no certificate");
});

test("SSL_CERT_FILE stands instead of the built-in authorities", async (t) => {
  const server = createServer(
    { key: readFileSync(join(folder, "key.pem")), cert: readFileSync(join(folder, "cert.pem")) },
    (_, response) => void response.end("reached"),
  );
  const port = await listen(server);
  t.after(() => server.close());
  const url = `https://localhost:${port}/`;
  assert.equal(await ask(url, { SSL_CERT_FILE: join(folder, "cert.pem") }), "reached");
  assert.match(await ask(url, {}), /failed: (DEPTH_ZERO_)?SELF_SIGNED/);
  assert.equal(await ask(url, { SSL_CERT_FILE: join(folder, "missing.pem") }), "failed: FILE_UNREADABLE");
  assert.equal(await ask(url, { SSL_CERT_FILE: join(folder, "junk.pem") }), "failed: FILE_UNREADABLE");
});

test("proxies are asked, save for hosts that NO_PROXY names", async (t) => {
  const asked: string[] = [];
  const proxy = createHttpServer((request, response) => {
    asked.push(request.url!);
    response.end("through the proxy");
  });
  // fetch tunnels plain http too.
  proxy.on("connect", (request, socket) => {
    asked.push(request.url!);
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\nthrough the proxy"));
  });
  const direct = createHttpServer((_, response) => void response.end("direct"));
  const [proxyPort, directPort] = [await listen(proxy), await listen(direct)];
  t.after(() => {
    for (const server of [proxy, direct]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const env = { HTTP_PROXY: `http://127.0.0.1:${proxyPort}` };
  assert.equal(await ask("http://service.example/x", env), "through the proxy");
  assert.match(asked.join(), /service\.example/);
  assert.equal(await ask(`http://127.0.0.1:${directPort}/`, { ...env, NO_PROXY: "127.0.0.1" }), "direct");
});
