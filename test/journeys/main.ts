// SPDX-License-Identifier: Apache-2.0
// npm run journey: what a newcomer does, in a fresh clone with nothing but Node and npm: start, copy the three commands,
// seal real files, and everything that can go wrong on the way. Arguments choose journeys by a part of their names.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  freePort,
  homeEnv,
  type Instance,
  type Journey,
  LACRE,
  type Outcome,
  ROOT,
  run,
  scratch,
  startInstance,
  succeed,
  travel,
} from "../harness.ts";

const only = process.argv.slice(2);
const work = scratch("journey");
const home = join(work.path, "home");
mkdirSync(home);
const identity = "you@example.com";

function fail(message: string): never {
  throw new Error(message);
}

const lacre = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  run(process.execPath, [LACRE, ...args], { env: { ...homeEnv(home), ...env } });

/** A refusal as people must meet it: the status, something that names what is wrong, and never a stack trace. */
function expectRefusal(outcome: Outcome, status: number, words: RegExp): void {
  const said = `${outcome.stdout}\n${outcome.stderr}`;
  if (outcome.status !== status) fail(`expected exit ${status}, found ${outcome.status}:\n${said}`);
  if (/^\s+at .*:\d+:\d+\)?$/m.test(said)) fail(`a stack trace reached the user:\n${said}`);
  if (!words.test(said)) fail(`the output does not say ${words}:\n${said}`);
}

const journeys: Journey[] = [];

journeys.push({
  name: "fresh clone: npm start, and the three commands it prints work as printed",
  async go() {
    const clone = join(work.path, "clone");
    execFileSync("git", ["clone", "--quiet", ROOT, clone]);
    const port = await freePort();
    const env = { ...process.env, ...homeEnv(home), LACRE_LISTEN: `localhost:${port}` };
    const began = Date.now();
    const npm = spawn("npm", ["start"], { cwd: clone, env, stdio: ["ignore", "pipe", "pipe"], detached: false });
    let stdout = "";
    let stderr = "";
    npm.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    npm.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<void>((resolve) => npm.once("exit", () => resolve()));
    try {
      while (!/^lacre ready /m.test(stdout)) {
        if (npm.exitCode !== null || Date.now() - began > 300_000) fail(`npm start was not ready:\n${stdout}\n${stderr}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      console.log(`       clone to ready: ${((Date.now() - began) / 1000).toFixed(1)} s`);
      const lines = stdout.split("\n").filter((line) => line !== "" && !line.startsWith(">"));
      if (lines.length !== 1) fail(`stdout is more than the ready line:\n${stdout}`);
      const commands = stderr
        .replaceAll(/\\\n\s*/g, "")
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line.startsWith("npx lacre "));
      if (commands.length !== 3) fail(`expected three commands to copy, found ${commands.length}:\n${stderr}`);
      if (!stderr.includes("trust")) fail(`stderr does not say where the trust files are:\n${stderr}`);
      for (const command of commands) await succeed("sh", ["-c", command], { cwd: clone, env: homeEnv(home) });
    } finally {
      npm.kill("SIGTERM");
      await ended;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (!free) fail("a process still listens after npm ended");
  },
});

let server: Instance | undefined;
let other: Instance | undefined;
const dir = join(work.path, "installation");
async function installation(): Promise<Instance> {
  server ??= await startInstance({ dir, port: await freePort(), home });
  return server;
}

async function token(): Promise<string> {
  const { url } = await installation();
  const file = join(work.path, "token");
  const minted = await lacre(["token", "--email", identity], { LACRE_DIR: dir });
  if (minted.status !== 0) fail(`no token from ${url}:\n${minted.stderr}`);
  writeFileSync(file, minted.stdout);
  return file;
}

function policy(instance: Instance): string[] {
  return [
    "--certificate-identity",
    identity,
    "--certificate-oidc-issuer",
    `${instance.url}/oidc`,
    "--trusted-root",
    join(instance.dir, "trust", "trusted_root.json"),
  ];
}

async function realFiles(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const unpacked = (
    await succeed(join(ROOT, "scripts", "parts", "unpack"), ["bookworm", "kubernetes-client"], { timeoutMs: 300_000 })
  ).stdout.trim();
  files.kubectl = join(unpacked, "usr", "bin", "kubectl");
  const packed = (
    await succeed("npm", ["pack", "--silent", "--pack-destination", work.path, "fast-check@4.10.2"], { timeoutMs: 120_000 })
  ).stdout.trim();
  files["npm tarball"] = join(work.path, packed.split("\n").at(-1)!);
  files["source tarball"] = join(work.path, "source.tar.gz");
  execFileSync("git", ["archive", "--format=tar.gz", "-o", files["source tarball"], "HEAD"], { cwd: ROOT });
  return files;
}

journeys.push({
  name: "real files: kubectl, an npm tarball and a source tarball are sealed and verified; a flipped byte is refused",
  async go() {
    const instance = await installation();
    for (const [name, file] of Object.entries(await realFiles())) {
      const bundle = join(work.path, `${name.replaceAll(" ", "-")}.sigstore.json`);
      const signed = await lacre(["sign", file, "--identity-token", await token(), "--bundle", bundle], { LACRE_DIR: dir });
      if (signed.status !== 0) fail(`sign ${name}:\n${signed.stderr}`);
      const verified = await lacre(["verify", file, "--bundle", bundle, ...policy(instance)]);
      if (verified.status !== 0) fail(`verify ${name}:\n${verified.stdout}\n${verified.stderr}`);
      const changed = join(work.path, "changed");
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1]! ^= 0x10;
      writeFileSync(changed, bytes);
      expectRefusal(await lacre(["verify", changed, "--bundle", bundle, ...policy(instance)]), 1, /digest|signature/i);
    }
  },
});

const bundlePath = join(work.path, "small.sigstore.json");
const artifact = join(work.path, "small.txt");
async function small(): Promise<Instance> {
  const instance = await installation();
  if (!existsSync(bundlePath)) {
    writeFileSync(artifact, "an artifact\n");
    const signed = await lacre(["sign", artifact, "--identity-token", await token(), "--bundle", bundlePath], { LACRE_DIR: dir });
    if (signed.status !== 0) fail(signed.stderr);
  }
  return instance;
}

journeys.push({
  name: "another identity, another issuer and another installation's root are refused by name",
  async go() {
    const instance = await small();
    const base = ["verify", artifact, "--bundle", bundlePath];
    const swap = (flag: string, value: string): string[] =>
      policy(instance).map((word, at, all) => (all[at - 1] === flag ? value : word));
    expectRefusal(await lacre([...base, ...swap("--certificate-identity", "other@example.com")]), 1, /other@example\.com/);
    expectRefusal(await lacre([...base, ...swap("--certificate-oidc-issuer", "http://localhost:1/oidc")]), 1, /issuer/i);
    other ??= await startInstance({ dir: join(work.path, "other"), port: await freePort(), home: join(work.path, "other-home") });
    expectRefusal(
      await lacre([...base, ...swap("--trusted-root", join(other.dir, "trust", "trusted_root.json"))]),
      1,
      /certificate|chain|authority|log/i,
    );
    expectRefusal(await lacre(base), 2, /identity/i);
  },
});

/** Every path of a JSON value, deepest last. */
function pathsOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    return [here, ...pathsOf(child, here)];
  });
}

/** Members whose absence the specification allows: the bundle still proves what it must. */
const OPTIONAL = new Set([
  "messageSignature.messageDigest",
  "verificationMaterial.tlogEntries.0.logIndex",
  "verificationMaterial.tlogEntries.0.integratedTime",
  "verificationMaterial.tlogEntries.0.inclusionPromise",
  "verificationMaterial.tlogEntries.0.inclusionProof.rootHash",
  "verificationMaterial.tlogEntries.0.inclusionProof.logIndex",
  "verificationMaterial.tlogEntries.0.inclusionProof.hashes",
]);

journeys.push({
  name: "a bundle with any field removed is refused with a verdict that names the check",
  async go() {
    const instance = await small();
    const whole = JSON.parse(readFileSync(bundlePath, "utf8")) as object;
    const cut = join(work.path, "cut.sigstore.json");
    for (const path of pathsOf(whole)) {
      const copy = structuredClone(whole) as Record<string | number, unknown>;
      let parent: Record<string | number, unknown> = copy;
      for (const step of path.slice(0, -1)) parent = parent[step] as Record<string | number, unknown>;
      if (Array.isArray(parent)) parent.splice(path.at(-1) as number, 1);
      else delete parent[path.at(-1)!];
      writeFileSync(cut, JSON.stringify(copy));
      const outcome = await lacre(["verify", artifact, "--bundle", cut, ...policy(instance), "--output", "json"]);
      const name = path.join(".");
      if (OPTIONAL.has(name) && outcome.status === 0) continue;
      if (outcome.status !== 1) fail(`without ${name}: exit ${outcome.status}\n${outcome.stdout}\n${outcome.stderr}`);
      if (/^\s+at /m.test(outcome.stderr)) fail(`without ${name}: a stack trace\n${outcome.stderr}`);
      const verdict = JSON.parse(outcome.stdout) as { outcome: string; checks: { id: string; status: string; code?: string }[] };
      if (verdict.outcome !== "refused" || !verdict.checks.some((check) => check.status === "fail" && check.code !== undefined)) {
        fail(`without ${name}: the verdict names no check:\n${outcome.stdout}`);
      }
    }
  },
});

journeys.push({
  name: "a wrong flag, a missing file and a corrupt bundle get an answer, not a stack trace",
  async go() {
    const instance = await small();
    expectRefusal(await lacre(["verify", artifact, "--bundel", bundlePath]), 2, /bundel/);
    expectRefusal(await lacre(["verify", join(work.path, "absent"), "--bundle", bundlePath, ...policy(instance)]), 3, /absent/);
    expectRefusal(
      await lacre(["verify", artifact, "--bundle", join(work.path, "absent.json"), ...policy(instance)]),
      3,
      /absent\.json/,
    );
    const corrupt = join(work.path, "corrupt.sigstore.json");
    writeFileSync(corrupt, readFileSync(bundlePath).subarray(0, 700));
    expectRefusal(await lacre(["verify", artifact, "--bundle", corrupt, ...policy(instance)]), 1, /JSON/);
    expectRefusal(
      await lacre(["sign", artifact, "--identity-token", "not.a.token", "--bundle", corrupt], { LACRE_DIR: dir }),
      1,
      /token/i,
    );
  },
});

journeys.push({
  name: "a second process on the directory, and a port that is taken, end with an explanation",
  async go() {
    const instance = await installation();
    const second = await lacre(["up", "--dir", dir, "--listen", `localhost:${await freePort()}`]);
    expectRefusal(second, 3, new RegExp(`another|already|process ${instance.process.pid}|in use`, "i"));
    const taken = await lacre(["up", "--dir", join(work.path, "third"), "--listen", new URL(instance.url).host]);
    expectRefusal(taken, 3, /port/i);
  },
});

journeys.push({
  name: "a directory that cannot be written ends with an explanation",
  async go() {
    const locked = join(work.path, "read-only");
    mkdirSync(locked);
    execFileSync("mount", ["-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", locked]);
    try {
      expectRefusal(
        await lacre(["up", "--dir", join(locked, "installation"), "--listen", `localhost:${await freePort()}`]),
        3,
        /read-only|writ/i,
      );
    } finally {
      execFileSync("umount", [locked]);
    }
  },
});

journeys.push({
  name: "a full disk refuses new entries, keeps the acknowledged ones, and recovers with space",
  async go() {
    const disk = join(work.path, "small-disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=192m", "tmpfs", disk]);
    const fullHome = join(work.path, "full-home");
    let full: Instance | undefined;
    try {
      const where = join(disk, "installation");
      const port = await freePort();
      full = await startInstance({ dir: where, port, home: fullHome });
      const env = { ...homeEnv(fullHome), LACRE_DIR: where };
      const minted = await succeed(process.execPath, [LACRE, "token", "--email", identity], { env });
      const file = join(work.path, "full.token");
      writeFileSync(file, minted.stdout);
      const bundle = join(work.path, "full.sigstore.json");
      writeFileSync(artifact, "an artifact\n");
      await succeed(process.execPath, [LACRE, "sign", artifact, "--identity-token", file, "--bundle", bundle], { env });
      await run("dd", ["if=/dev/zero", `of=${join(disk, "filler")}`, "bs=64k"]);
      await full.stop();
      const outcome = await run(process.execPath, [LACRE, "up", "--dir", where, "--listen", `localhost:${port}`], {
        env,
        timeoutMs: 20_000,
      });
      if (/^\s+at /m.test(outcome.stderr)) fail(`a stack trace:\n${outcome.stderr}`);
      rmSync(join(disk, "filler"));
      full = await startInstance({ dir: where, port, home: fullHome });
      const verified = await run(
        process.execPath,
        [
          LACRE,
          "verify",
          artifact,
          "--bundle",
          bundle,
          "--certificate-identity",
          identity,
          "--certificate-oidc-issuer",
          `${full.url}/oidc`,
        ],
        { env },
      );
      if (verified.status !== 0) fail(verified.stdout + verified.stderr);
      await succeed(process.execPath, [...process.execArgv, join(ROOT, "scripts", "fsck.ts"), where], { env });
    } finally {
      await full?.stop();
      execFileSync("umount", [disk]);
    }
  },
});

journeys.push({
  name: "yesterday's copy of the directory is refused: nothing forks",
  async go() {
    const restoredHome = join(work.path, "restored-home");
    const where = join(work.path, "restored");
    const copy = join(work.path, "yesterday");
    const port = await freePort();
    const env = { ...homeEnv(restoredHome), LACRE_DIR: where };
    const sign = async (name: string): Promise<void> => {
      const file = join(work.path, `${name}.token`);
      writeFileSync(file, (await succeed(process.execPath, [LACRE, "token", "--email", identity], { env })).stdout);
      writeFileSync(join(work.path, name), name);
      await succeed(
        process.execPath,
        [LACRE, "sign", join(work.path, name), "--identity-token", file, "--bundle", join(work.path, `${name}.sigstore.json`)],
        { env },
      );
    };
    const first = await startInstance({ dir: where, port, home: restoredHome });
    await sign("one");
    await first.stop();
    cpSync(where, copy, { recursive: true });
    const second = await startInstance({ dir: where, port, home: restoredHome });
    await sign("two");
    await second.stop();
    rmSync(where, { recursive: true });
    cpSync(copy, where, { recursive: true });
    const before = readdirSync(where, { recursive: true }).length;
    expectRefusal(
      await run(process.execPath, [LACRE, "up", "--dir", where, "--listen", `localhost:${port}`], { env, timeoutMs: 30_000 }),
      3,
      /anchor|backup|older|behind/i,
    );
    if (readdirSync(where, { recursive: true }).length !== before) fail("the refused start wrote into the directory");
  },
});

journeys.push({
  name: "with no network, signing says so and verifying works",
  async go() {
    const instance = await small();
    const sealed = await run(
      "unshare",
      ["-rn", process.execPath, LACRE, "verify", artifact, "--bundle", bundlePath, ...policy(instance), "--offline"],
      { env: homeEnv(home) },
    );
    if (sealed.status !== 0) fail(sealed.stdout + sealed.stderr);
    const tokenFile = await token();
    expectRefusal(
      await run(
        "unshare",
        [
          "-rn",
          process.execPath,
          LACRE,
          "sign",
          artifact,
          "--identity-token",
          tokenFile,
          "--bundle",
          join(work.path, "never.json"),
        ],
        { env: { ...homeEnv(home), LACRE_DIR: dir } },
      ),
      3,
      /reach|connect/i,
    );
    if (existsSync(join(work.path, "never.json"))) fail("a bundle was left half-made");
  },
});

journeys.push({
  name: "--offline opens no socket (strace)",
  async go() {
    const instance = await small();
    const trace = join(work.path, "trace");
    await succeed(
      "strace",
      [
        "-f",
        "-qq",
        "-e",
        "trace=socket,connect",
        "-o",
        trace,
        process.execPath,
        LACRE,
        "verify",
        artifact,
        "--bundle",
        bundlePath,
        ...policy(instance),
        "--offline",
      ],
      { env: homeEnv(home) },
    );
    const calls = readFileSync(trace, "utf8")
      .split("\n")
      .filter((line) => /\b(socket|connect)\(/.test(line));
    if (calls.length > 0) fail(`sockets were opened:\n${calls.slice(0, 5).join("\n")}`);
    copyFileSync(trace, join(work.path, "trace.kept"));
  },
});

const { passed, failed } = await travel(journeys, only);
await server?.stop();
await other?.stop();
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
