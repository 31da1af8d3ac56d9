// SPDX-License-Identifier: Apache-2.0
// npm run read-path: a real nginx with our snippet in front of a running installation. What it hands out from the disk is
// what lacre itself answers, octet for octet; what is no file goes through. Arguments choose journeys by a part of their names.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createPoster, createWrites } from "../../scripts/load.ts";
import { freePort, homeEnv, type Journey, LACRE, ROOT, run, scratch, startInstance, succeed, travel } from "../harness.ts";

/** More than one full bundle, and a part of the next. */
const ENTRIES = 560;

const only = process.argv.slice(2);
await succeed(join(ROOT, "scripts", "parts", "debian"), ["nginx-light"], { timeoutMs: 300_000 });
const nginx = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
const work = scratch("read-path");
const home = join(work.path, "home");
mkdirSync(home);
const config = join(work.path, "lacre.json");
writeFileSync(config, JSON.stringify({ edge: { proxies: ["127.0.0.1", "::1"], writesPerMinute: 3 } }));
const port = await freePort();
const server = await startInstance({ dir: join(work.path, "installation"), port, home, args: ["--config", config] });
const logs = join(server.dir, "logs");

function fail(message: string): never {
  throw new Error(message);
}

function expect(what: string, found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted))
    fail(`${what}: expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`);
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** As it comes over the wire: nothing is unpacked, nothing followed. */
function ask(
  base: number,
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port: base, path, method: options.method ?? "GET", headers: options.headers ?? {}, timeout: 20_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    request.on("error", reject).on("timeout", () => request.destroy(new Error(`${path} took too long`)));
    request.end(options.body);
  });
}

async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !(await holds());) {
    if (Date.now() > end) fail(`${what} did not happen in ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** nginx with the committed snippet: address, port and folder are all that is changed. */
async function startNginx(): Promise<{ readonly port: number; readonly process: ChildProcess; stop(): Promise<void> }> {
  const own = await freePort();
  const snippet = readFileSync(join(ROOT, "deploy", "nginx", "lacre.conf"), "utf8")
    .replaceAll("127.0.0.1:7800", `127.0.0.1:${port}`)
    .replaceAll("/var/lib/lacre/logs", logs)
    .replace("listen 80;", `listen 127.0.0.1:${own};`);
  writeFileSync(join(work.path, "lacre.conf"), snippet);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${join(work.path, "nginx", kind)};`)
    .join("\n");
  const main = `${process.getuid?.() === 0 ? "user root;" : ""}
daemon off; pid ${join(work.path, "nginx.pid")}; error_log stderr warn;
events { worker_connections 256; }
http { access_log off; ${temporary} include ${join(work.path, "lacre.conf")}; }`;
  mkdirSync(join(work.path, "nginx"));
  writeFileSync(join(work.path, "nginx.conf"), main);
  await succeed(nginx, ["-t", "-q", "-c", join(work.path, "nginx.conf")]);
  const child = spawn(nginx, ["-c", join(work.path, "nginx.conf")], { stdio: ["ignore", "inherit", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await until("nginx", () =>
    ask(own, "/ping").then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  return {
    port: own,
    process: child,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

const front = await startNginx();
const both = async (path: string, headers: Record<string, string> = {}): Promise<readonly [Answer, Answer]> => [
  await ask(front.port, path, { headers }),
  await ask(port, path, { headers }),
];
/** Whether an answer was made by nginx from a file. */
const isFile = ({ headers }: Answer): boolean => headers["x-request-id"] === undefined;

const HEADERS = [
  "content-type",
  "cache-control",
  "access-control-allow-origin",
  "x-content-type-options",
  "content-length",
  "accept-ranges",
];

const journeys: Journey[] = [
  {
    name: `${ENTRIES} entries are written through nginx, from one client address`,
    async go() {
      const next = createWrites(8);
      const poster = createPoster(`http://127.0.0.1:${front.port}`, 16);
      const lane = async (count: number): Promise<void> => {
        for (let at = 0; at < count; at++) {
          const { status, body } = await poster.post("/api/v2/log/entries", next().body);
          if (status !== 201) fail(`status ${status}: ${body.toString()}`);
        }
      };
      await Promise.all(Array.from({ length: 16 }, () => lane(ENTRIES / 16)));
      poster.close();
      await until("packing the full bundles", () => existsSync(join(logs, "ledger", "tile", "entries", "001.gz")));
    },
  },
  {
    name: "full tiles and bundles come from the disk, octet for octet what lacre answers, with its headers",
    async go() {
      for (const path of ["/api/v2/tile/0/000", "/api/v2/tile/0/001", "/api/v2/tile/entries/000", "/api/v2/tile/entries/001"]) {
        const [ours, its] = await both(path);
        expect(path, [ours.status, isFile(ours), its.status, isFile(its)], [200, true, 200, false]);
        expect(
          `${path} bytes`,
          createHash("sha256").update(ours.body).digest("hex"),
          createHash("sha256").update(its.body).digest("hex"),
        );
        for (const name of HEADERS) expect(`${path} ${name}`, ours.headers[name], its.headers[name]);
      }
    },
  },
  {
    name: "partial tiles go through, and what is not there is 404 in lacre's words and not remembered",
    async go() {
      const rest = ENTRIES % 256;
      for (const path of [
        `/api/v2/tile/0/002.p/${rest}`,
        `/api/v2/tile/entries/002.p/${rest}`,
        "/api/v2/tile/1/000.p/2",
        "/api/v2/tile/0/000.p/17",
      ]) {
        const [ours, its] = await both(path);
        expect(path, [ours.status, isFile(ours)], [200, false]);
        if (!ours.body.equals(its.body)) fail(`${path} differs`);
      }
      for (const [path, status] of [
        ["/api/v2/tile/0/002", 404],
        ["/api/v2/tile/entries/x001/000", 404],
        ["/api/v2/tile/0/0", 400],
        ["/api/v2/tile/data/000", 400],
        ["/ct/tile/entries/000", 400],
        ["/nowhere", 404],
        ["/metrics", 404],
      ] as const) {
        const ours = await ask(front.port, path);
        expect(path, ours.status, status);
        if (status === 404 && path.includes("tile"))
          expect(
            `${path} caching`,
            [ours.headers["cache-control"], JSON.parse(String(ours.body)).message],
            ["no-cache", "no such tile"],
          );
      }
    },
  },
  {
    name: "nothing but logs is handed out: no keys, no journal, no times, no packed file by its name, no way up",
    async go() {
      const outside = [
        "/api/v2/journal/0000000001.journal",
        "/api/v2/times/000",
        "/api/v2/lock",
        "/keys/ledger.pem",
        "/api/v2/tile/entries/000.gz",
        "/api/v2/index/identity/0/000",
        "/api/v2/tile/../../../keys/ledger.pem",
        "/api/v2/tile/%2e%2e/%2e%2e/%2e%2e/keys/ledger.pem",
        "/api/v2/tile/0/..%2f..%2f..%2f..%2fkeys%2fledger.pem",
      ];
      for (const path of outside) {
        const { status, body } = await ask(front.port, path);
        if (status === 200 || body.includes("PRIVATE KEY")) fail(`${path} is ${status}: ${body.subarray(0, 80).toString()}`);
      }
    },
  },
  {
    name: "packed bundles go out compressed to whoever takes that, from nginx and from lacre",
    async go() {
      for (const number of ["000", "001"]) {
        const plain = readFileSync(join(logs, "ledger", "tile", "entries", number));
        for (const answer of await both(`/api/v2/tile/entries/${number}`, { "accept-encoding": "gzip" })) {
          expect(
            "encoding",
            [answer.status, answer.headers["content-encoding"], answer.headers["vary"]],
            [200, "gzip", "Accept-Encoding"],
          );
          if (!gunzipSync(answer.body).equals(plain)) fail("the packed bundle is another one");
          console.log(`       bundle ${number}: ${plain.length} octets, packed ${answer.body.length}`);
        }
        for (const answer of await both(`/api/v2/tile/entries/${number}`))
          expect("plain", [answer.headers["content-encoding"], answer.body.length], [undefined, plain.length]);
      }
      const fetched = await fetch(`http://127.0.0.1:${front.port}/api/v2/tile/entries/000`);
      if (!Buffer.from(await fetched.arrayBuffer()).equals(readFileSync(join(logs, "ledger", "tile", "entries", "000"))))
        fail("fetch reads something else");
    },
  },
  {
    name: "one range at a time, and 416 beyond the end",
    async go() {
      const whole = readFileSync(join(logs, "ledger", "tile", "0", "000"));
      for (const answer of await both("/api/v2/tile/0/000", { range: "bytes=320-351" })) {
        expect(
          "range",
          [answer.status, answer.headers["content-range"], answer.body.toString("hex")],
          [206, "bytes 320-351/8192", whole.subarray(320, 352).toString("hex")],
        );
      }
      for (const answer of await both("/api/v2/tile/0/000", { range: "bytes=-32" }))
        expect("suffix", answer.body.toString("hex"), whole.subarray(8160).toString("hex"));
      for (const answer of await both("/api/v2/tile/0/000", { range: "bytes=9000-" }))
        expect("beyond", [answer.status, answer.headers["content-range"]], [416, "bytes */8192"]);
    },
  },
  {
    name: "pages of other origins may read, ask first and send ranges",
    async go() {
      for (const path of ["/api/v2/tile/0/000", "/api/v2/checkpoint", "/api/v2/tile/0/002"]) {
        const preflight = await ask(front.port, path, {
          method: "OPTIONS",
          headers: {
            origin: "https://page.example",
            "access-control-request-method": "GET",
            "access-control-request-headers": "range",
          },
        });
        expect(
          `${path} preflight`,
          [preflight.status, preflight.headers["access-control-allow-origin"], preflight.headers["access-control-allow-methods"]],
          [204, "*", "GET, HEAD"],
        );
        if (!String(preflight.headers["access-control-allow-headers"]).includes("range")) fail("ranges are not allowed");
        const plain = await ask(front.port, path, { headers: { origin: "https://page.example" } });
        expect(`${path} origin`, plain.headers["access-control-allow-origin"], "*");
      }
      const head = await ask(front.port, "/api/v2/tile/0/000", { method: "HEAD" });
      expect("HEAD", [head.status, head.headers["content-length"], head.body.length], [200, "8192", 0]);
      expect("DELETE", (await ask(front.port, "/api/v2/tile/0/000", { method: "DELETE" })).status, 501);
    },
  },
  {
    name: "checkpoints come from the disk, are never taken for unchanged, and cover what was just written",
    async go() {
      for (const path of ["/api/v2/checkpoint", "/api/v1/checkpoint", "/ct/checkpoint"]) {
        const [ours, its] = await both(path);
        expect(path, [ours.status, isFile(ours), String(ours.body)], [200, true, String(its.body)]);
        for (const name of [
          "content-type",
          "cache-control",
          "access-control-allow-origin",
          "x-content-type-options",
          "etag",
          "last-modified",
        ])
          expect(`${path} ${name}`, ours.headers[name], its.headers[name]);
      }
      const next = createWrites(1);
      const since = { "if-modified-since": new Date(Date.now() + 60_000).toUTCString(), "if-none-match": "*" };
      for (let at = 0; at < 5; at++) {
        const written = await ask(front.port, "/api/v2/log/entries", {
          method: "POST",
          body: String(next().body),
          headers: { "content-type": "application/json" },
        });
        const size = Number(JSON.parse(String(written.body)).inclusionProof.treeSize);
        const answer = await ask(front.port, "/api/v2/checkpoint", { headers: since });
        expect("fresh", [answer.status, Number(String(answer.body).split("\n")[1]) >= size], [200, true]);
        const partial = await ask(front.port, `/api/v2/tile/0/002.p/${size % 256}`);
        expect("the partial tile of a checkpoint from the disk", [partial.status, partial.body.length], [200, 32 * (size % 256)]);
      }
    },
  },
  {
    name: "certificates' log: data tiles, issuers and what is no issuer",
    async go() {
      const env = { ...homeEnv(home), LACRE_DIR: server.dir };
      const token = (await succeed(process.execPath, [LACRE, "token", "--email", "you@example.com"], { env })).stdout;
      writeFileSync(join(work.path, "token"), token);
      writeFileSync(join(work.path, "artifact"), "an artifact");
      await succeed(
        process.execPath,
        [
          LACRE,
          "sign",
          join(work.path, "artifact"),
          "--identity-token",
          join(work.path, "token"),
          "--bundle",
          join(work.path, "bundle"),
        ],
        { env },
      );
      const issuers = readdirSync(join(logs, "ct", "issuer"));
      if (issuers.length === 0) fail("no issuer was kept");
      const [data] = await both("/ct/tile/data/000.p/1");
      expect("a partial data tile", [data.status, isFile(data)], [200, false]);
      for (const name of issuers) {
        const [ours, its] = await both(`/ct/issuer/${name}`);
        expect(
          name,
          [ours.status, isFile(ours), ours.headers["content-type"], ours.body.equals(its.body)],
          [200, true, "application/pkix-cert", true],
        );
      }
      expect("no issuer", (await ask(front.port, `/ct/issuer/${"0".repeat(64)}`)).status, 404);
      expect("not a name", (await ask(front.port, "/ct/issuer/zz")).status, 400);
    },
  },
  {
    name: "a client cannot choose its own address: the limit of writes counts nginx's word",
    async go() {
      const post = async (at: number): Promise<number> =>
        (
          await ask(at, "/api/v1/timestamp", {
            method: "POST",
            body: "{}",
            headers: { "content-type": "application/json", "x-forwarded-for": "192.0.2.1" },
          })
        ).status;
      // nginx says that it was somebody on this machine, and those are not counted.
      for (let at = 0; at < 8; at++) expect("through nginx", await post(front.port), 400);
      const direct: number[] = [];
      for (let at = 0; at < 4; at++) direct.push(await post(port));
      expect("as the proxy itself", direct, [400, 400, 400, 429]);
    },
  },
  {
    name: "the audit finds nothing in the directory, and nothing in what nginx hands out",
    async go() {
      const env = { XDG_STATE_HOME: join(home, "state") };
      for (const target of [server.dir, `http://127.0.0.1:${front.port}`]) {
        const audited = await run(process.execPath, ["--conditions=source", join(ROOT, "scripts", "fsck.ts"), target], {
          env,
          timeoutMs: 120_000,
        });
        if (audited.status !== 0) fail(`${target}:\n${audited.stdout}\n${audited.stderr}`);
      }
    },
  },
  {
    name: "lacre away, the files are still there",
    async go() {
      await server.stop();
      const tile = await ask(front.port, "/api/v2/tile/0/000");
      const checkpoint = await ask(front.port, "/api/v2/checkpoint");
      expect("files", [tile.status, checkpoint.status], [200, 200]);
      expect("the rest", (await ask(front.port, "/api/v2/tile/0/002.p/1")).status, 502);
    },
  },
];

const { passed, failed } = await travel(journeys, only);
await front.stop();
await server.stop();
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
