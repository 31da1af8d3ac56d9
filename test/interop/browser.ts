// SPDX-License-Identifier: Apache-2.0
// npm run browser: the library's file for pages in a real Chromium. A file of a gigabyte and its seal, made by our own
// installation, are dropped on a page: the verdict is the command's, memory stays bounded, and no request leaves the page.
// Arguments choose journeys by a part of their names. LACRE_BROWSER_MB sets another size.
import { closeSync, copyFileSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type CDPSession, chromium, type Page } from "playwright-core";
import { freePort, homeEnv, type Journey, LACRE, ROOT, run, scratch, startInstance, succeed, travel } from "../harness.ts";
import { createCases, questionsOf } from "./runtimes/cases.ts";

const MEGABYTE = 1 << 20;
const SIZE_MB = Number(process.env["LACRE_BROWSER_MB"] ?? 1024);
/** What the page may need beyond what it needed for a small file. Far below the file, far above what a collector leaves. */
const MAX_GROWTH_MB = 64;
const FILES = ["page.html", "page.js", "judge.js", "browser.js"];
const TYPES: Readonly<Record<string, string>> = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8" };

const only = process.argv.slice(2);
const work = scratch("browser");
const home = join(work.path, "home");
const site = join(work.path, "site");
const path = (name: string): string => join(work.path, name);
mkdirSync(home);
mkdirSync(site);

function fail(message: string): never {
  throw new Error(message);
}

await succeed(join(ROOT, "scripts", "parts", "debian"), ["chromium"], { timeoutMs: 600_000 });
await succeed(process.execPath, ["--conditions=source", join(ROOT, "scripts", "build.ts"), "page"], { timeoutMs: 300_000 });
for (const file of FILES.slice(0, 3)) copyFileSync(join(import.meta.dirname, "runtimes", file), join(site, file));
copyFileSync(join(ROOT, "packages", "core", "dist", "browser.js"), join(site, "browser.js"));

/** The page's own server: four files, and a record of whatever else is asked. */
const asked: string[] = [];
const server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  const name = request.url!.slice(1);
  if (!FILES.includes(name)) return void response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[name.split(".")[1]!]! }).end(readFileSync(join(site, name)));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** A file that compresses to nothing anywhere: each block is another. */
function writeBig(file: string, megabytes: number): void {
  const block = Buffer.alloc(MEGABYTE);
  for (let at = 0; at < block.length; at += 4) block.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, at);
  const fd = openSync(file, "w");
  for (let number = 0; number < megabytes; number++) {
    block.writeUInt32LE(number, 0);
    writeSync(fd, block);
  }
  closeSync(fd);
}

writeBig(path("big"), SIZE_MB);
writeBig(path("small"), 1);
const instance = await startInstance({ dir: path("installation"), port: await freePort(), home });
const env = homeEnv(home);
const lacre = (...args: string[]) => run(process.execPath, [LACRE, ...args], { cwd: work.path, env, timeoutMs: 300_000 });
const who = { identity: "you@example.com", issuer: `${instance.url}/oidc` };
const root = join(instance.dir, "trust", "trusted_root.json");
writeFileSync(path("token"), (await lacre("token", "--email", who.identity)).stdout);
for (const name of ["big", "small"]) {
  const sealed = await lacre("sign", `./${name}`, "--identity-token", "token", "--bundle", `${name}.sigstore.json`);
  if (sealed.status !== 0) fail(sealed.stderr);
}
// From here on nothing but the page's server is there to be asked.
await instance.stop();

/** What the command says: the same words are expected of the page. */
async function judgeHere(file: string, bundle: string): Promise<string> {
  const flags = ["--bundle", bundle, "--trusted-root", root, "--offline", "--output", "json"];
  const told = await lacre(
    "verify-blob",
    file,
    ...flags,
    "--certificate-identity",
    who.identity,
    "--certificate-oidc-issuer",
    who.issuer,
  );
  return told.stdout.trim();
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

interface Opened {
  readonly page: Page;
  readonly session: CDPSession;
  /** Requests since the page was ready. */
  readonly requests: string[];
  readonly errors: string[];
}

async function open(): Promise<Opened> {
  const page = await browser.newPage();
  const requests: string[] = [];
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(`${origin}/page.html`);
  await page.waitForFunction(() => (globalThis as { isReady?: boolean }).isReady === true);
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  asked.length = 0;
  const session = await page.context().newCDPSession(page);
  return { page, session, requests, errors };
}

/** Memory in MB: the page's heap, and the largest resident set of a process of the browser, peak included. */
async function memory(session: CDPSession): Promise<{ readonly heap: number; readonly resident: number }> {
  const { usedSize, backingStorageSize = 0 } = (await session.send("Runtime.getHeapUsage")) as {
    usedSize: number;
    backingStorageSize?: number;
  };
  return { heap: (usedSize + backingStorageSize) / MEGABYTE, resident: largestProcess() };
}

/** The peak resident set of the browser's processes, the largest, in MB. */
function largestProcess(): number {
  let largest = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // Ours alone: playwright gives every browser a profile of its own, and tells it on the command line.
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("playwright_chromiumdev_profile")) continue;
      const peak = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      largest = Math.max(largest, Number(peak ?? 0) / 1024);
    } catch {
      // It has ended meanwhile.
    }
  }
  return largest;
}

interface Chosen {
  readonly file: string;
  readonly bundle: string;
  readonly isDropped?: boolean;
}

/** Gives a page its files as a person would, and returns the verdict and the highest memory seen on the way. */
async function judgeThere(
  { page, session }: Opened,
  { file, bundle, isDropped = false }: Chosen,
  rootSource: unknown,
): Promise<{ readonly verdict: string; readonly heap: number; readonly resident: number; readonly seconds: number }> {
  await page.evaluate((circumstances) => Object.assign(globalThis, { circumstances }), { rootSource, nowMs: Date.now() });
  await page.locator("#file").setInputFiles(path(file));
  await page.locator("#bundle").setInputFiles(path(bundle));
  await page.locator("#root").setInputFiles(root);
  await page.locator("#identity").fill(who.identity);
  await page.locator("#issuer").fill(who.issuer);
  // The very files, as a drop event brings them; the inputs are emptied.
  if (isDropped) await page.evaluate(DROP);
  const began = Date.now();
  await page.locator("#verify").click();
  let [heap, resident] = [0, 0];
  for (;;) {
    const now = await memory(session);
    heap = Math.max(heap, now.heap);
    resident = Math.max(resident, now.resident);
    const verdict = (await page.locator("#verdict").textContent()) ?? "";
    if (verdict !== "") return { verdict, heap, resident, seconds: (Date.now() - began) / 1000 };
    if (Date.now() - began > 300_000) fail("the page gave no verdict");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const DROP = `(() => {
  const transfer = new DataTransfer();
  for (const id of ["file", "bundle"]) {
    const input = document.getElementById(id);
    transfer.items.add(input.files[0]);
    input.value = "";
  }
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
})()`;

function outcomeOf(verdict: string): string {
  return (JSON.parse(verdict) as { readonly outcome: string }).outcome;
}

function nothingAsked({ requests, errors }: Opened): void {
  if (requests.length + asked.length > 0) fail(`requests left the page: ${[...requests, ...asked].join(", ")}`);
  if (errors.length > 0) fail(`the page failed: ${errors.join("; ")}`);
}

async function compare(given: Chosen, outcome: string): Promise<void> {
  const expected = await judgeHere(given.file, given.bundle);
  if (outcomeOf(expected) !== outcome) fail(`the command: ${expected}`);
  const opened = await open();
  const { trustedRoot } = JSON.parse(expected) as { readonly trustedRoot: unknown };
  const { verdict } = await judgeThere(opened, given, trustedRoot);
  nothingAsked(opened);
  await opened.page.close();
  if (verdict !== expected) fail(`the page's verdict is another:\nhere:  ${expected}\nthere: ${verdict}`);
}

const journeys: readonly Journey[] = [
  {
    name: "a small file and its seal: the verdict is the command's",
    go: () => compare({ file: "small", bundle: "small.sigstore.json" }, "verified"),
  },
  {
    name: "another file: the refusal is the command's",
    go: () => compare({ file: "small", bundle: "big.sigstore.json" }, "refused"),
  },
  {
    name: `a file of ${SIZE_MB} MB, dropped: the verdict is the command's, and memory is bounded`,
    async go() {
      const expected = await judgeHere("big", "big.sigstore.json");
      const { trustedRoot } = JSON.parse(expected) as { readonly trustedRoot: unknown };
      const opened = await open();
      // What the page and the browser need anyhow.
      const before = await judgeThere(opened, { file: "small", bundle: "small.sigstore.json", isDropped: true }, trustedRoot);
      const big = await judgeThere(opened, { file: "big", bundle: "big.sigstore.json", isDropped: true }, trustedRoot);
      nothingAsked(opened);
      await opened.page.close();
      const told = (what: string, { heap, resident }: { readonly heap: number; readonly resident: number }): string =>
        `${what}: heap and buffers ${heap.toFixed(0)} MB, largest process ${resident.toFixed(0)} MB`;
      console.log(`       ${told("1 MB", before)}; ${told(`${SIZE_MB} MB`, big)}, in ${big.seconds.toFixed(1)} s`);
      if (big.verdict !== expected || outcomeOf(expected) !== "verified") {
        fail(`the page's verdict is another:\nhere:  ${expected}\nthere: ${big.verdict}`);
      }
      for (const what of ["heap", "resident"] as const) {
        if (big[what] - before[what] > MAX_GROWTH_MB)
          fail(`memory grew by ${(big[what] - before[what]).toFixed(0)} MB (${what})`);
      }
    },
  },
  {
    name: "every case has the verdict that Node gives",
    async go() {
      const cases = createCases();
      const opened = await open();
      const questions = JSON.parse(new TextDecoder().decode(questionsOf(cases))) as unknown;
      const answers = await opened.page.evaluate(
        (given) => (globalThis as unknown as { judgeAll(questions: unknown): string[] }).judgeAll(given),
        questions,
      );
      nothingAsked(opened);
      await opened.page.close();
      const wrong = cases.filter(({ verdict }, at) => answers[at] !== verdict).map(({ name }) => name);
      console.log(`       ${cases.length} cases`);
      if (wrong.length > 0 || answers.length !== cases.length) fail(`other verdicts: ${wrong.join("; ")}`);
    },
  },
  {
    name: "the page could not ask if it tried, and the listener would see it",
    async go() {
      const opened = await open();
      const answer = await opened.page.evaluate(`fetch("/judge.js").then(() => "answered", (error) => error.name)`);
      if (answer !== "TypeError") fail(`fetch: ${String(answer)}`);
      if (asked.length > 0) fail(`the request went out: ${asked.join(", ")}`);
      await opened.page.evaluate(`new Promise((done) => {
        const script = document.createElement("script");
        script.src = "/page.js?again";
        script.onload = script.onerror = done;
        document.head.append(script);
      })`);
      if (opened.requests.length === 0 || asked.length === 0) fail("a request of the page was not seen");
      await opened.page.close();
    },
  },
];

const { passed, failed } = await travel(journeys, only);
await browser.close();
server.close();
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
