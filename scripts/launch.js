// SPDX-License-Identifier: Apache-2.0
// Runs a script of this repository under the pinned Node, whatever Node started us (20 and later).
//
//   node scripts/launch.js [--install] SCRIPT [ARGS…]
//
// With --install (npm start, npm test, …) the pinned Node and the dependencies are installed first, once for each
// state of the lock files, and silently afterwards. Without it (npx lacre, test/conformance/*) nothing is ever
// downloaded: what is missing ends in exit status 3 and the command to run.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FLOOR = [24, 15];
const NODE_FLAGS = ["--conditions=source"];
const STAMP = join(ROOT, "node_modules", ".lacre-installed");

/** The pinned Node of tools/node, or this one where it is new enough, or undefined. */
function findNode() {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const file = process.platform === "win32" ? "node.exe" : "node";
  const pinned = join(ROOT, "tools", "node", "node_modules", name, "bin", file);
  if (existsSync(pinned)) return pinned;
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]) ? process.execPath : undefined;
}

function lockDigest() {
  const hash = createHash("sha256");
  for (const lock of ["tools/node/package-lock.json", "package-lock.json"]) hash.update(readFileSync(join(ROOT, lock)));
  return hash.digest("hex");
}

function isInstalled() {
  return existsSync(STAMP) && readFileSync(STAMP, "utf8") === lockDigest() && findNode() !== undefined;
}

function fail(status, ...lines) {
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.exit(status);
}

function npmCi(folder, env) {
  const npm = process.env.npm_execpath;
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  // npm sets npm_execpath to its own JavaScript file; run it with the Node of PATH so that `env` decides which.
  const [command, full] = npm?.endsWith(".js") ? ["node", [npm, ...args]] : ["npm", args];
  // npm passes its command-line configuration to children as npm_config_*; `--prefix` and friends must not reach ours.
  const done = spawnSync(command, full, { cwd: folder, env, stdio: ["ignore", "ignore", "inherit"] });
  if (done.status !== 0) {
    fail(
      3,
      `lacre: installing in ${folder} failed (${done.error?.message ?? `npm ci ended with ${done.status}`}).`,
      "Check that npm reaches its registry (npm ping), then run the same command again.",
    );
  }
}

function install() {
  const say = (text) => process.stderr.write(`lacre: ${text}\n`);
  rmSync(STAMP, { force: true });
  say("installing the pinned Node (once)");
  npmCi(join(ROOT, "tools", "node"), process.env);
  const node = findNode();
  if (node === undefined) {
    fail(
      3,
      `lacre: no pinned Node for ${process.platform}-${process.arch}, and this is ${process.version}.`,
      `Install Node ${FLOOR.join(".")} or later and run the same command again.`,
    );
  }
  say("installing dependencies (once)");
  npmCi(ROOT, { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` });
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, lockDigest());
}

/** Starts `script` under the pinned Node; this process becomes its shadow: same signals, same exit status. */
export function launch(script, args, { mayInstall = false } = {}) {
  if (!isInstalled()) {
    if (!mayInstall) {
      fail(3, "lacre is not installed in this clone yet.", `Run: npm --prefix ${ROOT} start   (or npm test), then try again.`);
    }
    install();
  }
  const node = findNode();
  const env = {
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
    LACRE_LAUNCHER: String(process.pid),
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(ROOT, "node_modules", ".cache", "compile"),
  };
  const child = spawn(node, [...NODE_FLAGS, join(ROOT, script), ...args], { stdio: "inherit", env });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  // npm may be killed without passing the signal on. An orphaned shadow ends what it started.
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) child.kill("SIGTERM");
  }, 250);
  watch.unref();
  child.on("error", (error) => fail(3, `lacre: cannot start ${node}: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const mayInstall = args[0] === "--install";
  if (mayInstall) args.shift();
  const [script, ...rest] = args;
  if (script === undefined) fail(2, "usage: node scripts/launch.js [--install] SCRIPT [ARGS…]");
  launch(script, rest, { mayInstall });
}
