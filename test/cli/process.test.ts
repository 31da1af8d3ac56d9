// SPDX-License-Identifier: Apache-2.0
// The command as a process: what stands on stdout, how it ends, what it leaves behind.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { homeEnv, type Outcome, ROOT, run, scratch } from "../harness.ts";

const work = scratch("cli-process");
const home = join(work.path, "home");
const MAIN = [
  ...process.execArgv.filter((flag) => flag.startsWith("--conditions")),
  join(ROOT, "packages", "cli", "src", "main.ts"),
];
const ENV = { ...homeEnv(home), NODE_COMPILE_CACHE: join(ROOT, "node_modules", ".cache", "compile") };

before(() => mkdirSync(home));
after(() => work.remove());

const lacre = (args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> =>
  run(process.execPath, [...MAIN, ...args], { cwd: work.path, env: { ...ENV, ...env } });

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  stdout(): string;
  stderr(): string;
  /** Status or signal. */
  readonly ended: Promise<number | string>;
}

function start(
  dir: string,
  { args = [], env = {}, command }: { args?: readonly string[]; env?: Record<string, string>; command?: readonly string[] } = {},
): Promise<Server> {
  const line = [...(command ?? [process.execPath, ...MAIN]), "up", "--dir", dir, "--listen", "localhost:0", ...args];
  const child = spawn(line[0]!, line.slice(1), {
    cwd: work.path,
    env: { ...process.env, ...ENV, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const ended = new Promise<number | string>((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "")));
  child.stderr!.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.stdout!.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      const url = /^lacre ready (\S+)$/m.exec(stdout)?.[1];
      if (url !== undefined) resolve({ child, url, stdout: () => stdout, stderr: () => stderr, ended });
    });
    void ended.then((status) => reject(new Error(`up ended with ${status}:\n${stderr}`)));
  });
}

test("up says one line on stdout when requests succeed, and the rest on stderr", async () => {
  const server = await start("one");
  try {
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    assert.equal(server.stdout(), `lacre ready ${server.url}\n`);
    assert.match(server.stderr(), /DEVELOPMENT INSTALLATION/);
    assert.match(server.stderr(), /trust {3}\S+one\/trust\//);
    const commands = server
      .stderr()
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line.startsWith("npx lacre "));
    assert.equal(commands.length, 3);
    // As printed, each in a shell of its own, with the launcher replaced by this Node.
    const node = [process.execPath, ...MAIN].join(" ");
    for (const command of commands) {
      const told = await run("sh", ["-c", command.replaceAll("npx lacre", node)], { cwd: work.path, env: ENV });
      assert.equal(told.status, 0, told.stderr);
    }
  } finally {
    server.child.kill("SIGTERM");
  }
  assert.equal(await server.ended, 0);
  assert.equal(server.stdout(), `lacre ready ${server.url}\n`, "nothing follows the line");
});

test("--offline opens no connection, and nothing needs a running installation to verify", async () => {
  // Whoever so much as makes a socket ends the process.
  const forbid = `import net from "node:net"; import dgram from "node:dgram"; import dns from "node:dns"; import tls from "node:tls";
    const no = () => { process.stderr.write("SOCKET\\n"); process.exit(99); };
    net.Socket.prototype.connect = no; net.connect = no; net.createConnection = no; tls.connect = no; dgram.createSocket = no; dns.lookup = no; globalThis.fetch = no;`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(forbid)}` };
  const config = JSON.parse(readFileSync(join(work.path, "one", "trust", "signing_config.v0.2.json"), "utf8")) as {
    oidcUrls: { url: string }[];
  };
  const issuer = config.oidcUrls[0]!.url;
  const verify = [
    "verify",
    join(work.path, "one", "trust", "root.json"),
    "--bundle",
    "root.json.sigstore.json",
    "--certificate-identity",
    "you@example.com",
    "--certificate-oidc-issuer",
    issuer,
  ];
  const told = await lacre([...verify, "--offline"], env);
  assert.equal(told.status, 0, told.stderr);
  const signing = await lacre(["sign", "./token", "--bundle", "x.json", "--identity-token", "token"], env);
  assert.equal(signing.status, 99, "the trap does not work");
  const down = await lacre(["sign", "./token", "--bundle", "x.json", "--identity-token", "token"]);
  assert.equal(down.status, 3);
  assert.match(down.stderr, /is the installation running[^]*NOT_RUNNING[^]*lacre up/);
});

test("SIGINT, SIGTERM and SIGHUP end it with status 0, doubled by a terminal or not", async () => {
  for (const signals of [["SIGTERM"], ["SIGHUP"], ["SIGINT", "SIGINT"]] as const) {
    const server = await start("one");
    for (const signal of signals) server.child.kill(signal);
    assert.equal(await server.ended, 0, signals.join());
  }
});

test("it ends when the launcher that started it is gone", async () => {
  const script = `import { spawn } from "node:child_process";
    spawn(process.execPath, ${JSON.stringify([...MAIN, "up", "--dir", "one", "--listen", "localhost:0"])}, { env: { ...process.env, LACRE_LAUNCHER: String(process.pid) }, stdio: ["ignore", "inherit", "ignore"] });
    setInterval(() => {}, 1000);`;
  const launcher = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: work.path,
    env: { ...process.env, ...ENV },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve) => launcher.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString())));
  const closed = new Promise<void>((resolve) => launcher.stdout.once("close", () => resolve()));
  const url = /^lacre ready (\S+)\n$/.exec(line)![1]!;
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  launcher.kill("SIGKILL");
  // The server holds the pipe's other end: it closes when the server has ended.
  await closed;
  await assert.rejects(fetch(`${url}/healthz`));
  const again = await start("one");
  again.child.kill();
  assert.equal(await again.ended, 0, "the directory was given back");
});

test("what stands in the way of a start is said, with status 3", async () => {
  const server = await start("one");
  try {
    const locked = await lacre(["up", "--dir", "one", "--listen", "localhost:0"]);
    assert.equal(locked.status, 3);
    assert.match(locked.stderr, /Another process uses this data directory[^]*hint:/);
    const taken = await lacre(["up", "--dir", "two", "--listen", `localhost:${new URL(server.url).port}`]);
    assert.equal(taken.status, 3);
    assert.match(taken.stderr, /ADDRESS_TAKEN/);
  } finally {
    server.child.kill();
    await server.ended;
  }
  writeFileSync(join(work.path, "file"), "");
  for (const args of [
    ["--dir", "file"],
    ["--listen", "nonsense:99999"],
    ["--only", "nothing"],
    ["--accept", "x"],
    ["--config", "missing.json"],
  ]) {
    const told = await lacre(["up", "--dir", "three", ...args]);
    assert.ok(told.status === 2 || told.status === 3, `${args.join(" ")}: ${told.status}`);
    assert.equal(told.stdout, "");
    assert.doesNotMatch(told.stderr, /^\s+at /m);
  }
});

test("--check reads a configuration and starts nothing", async () => {
  writeFileSync(join(work.path, "good.json"), "{}");
  writeFileSync(join(work.path, "bad.json"), '{"nonsense":1}');
  assert.equal((await lacre(["up", "--check", "--config", "good.json"])).status, 0);
  const bad = await lacre(["up", "--check", "--config", "bad.json"]);
  assert.equal(bad.status, 2);
  assert.match(bad.stderr, /nonsense[^]*CONFIG_INVALID/);
});

test("a reader that goes away is no failure", async () => {
  const told = await run("sh", ["-c", `${[process.execPath, ...MAIN].join(" ")} --help | head -1`], { cwd: work.path, env: ENV });
  assert.equal(told.status, 0);
  assert.equal(told.stderr, "");
});
