// SPDX-License-Identifier: Apache-2.0
// `lacre log …` against a whole installation: what is found is proved, what is not there is proved not to be, lies end it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { type Running, up } from "@lacre/services";
import type { Context } from "../../packages/cli/src/context.ts";
import { runLine } from "../../packages/cli/src/run.ts";
import { homeEnv, ROOT, scratch } from "../harness.ts";
import { createWorld } from "./world.ts";

const work = scratch("cli-log");
const folder = join(work.path, "work");
const FILES = ["one", "two", "three"];
let server: Running;
let dir: string;
let issuer: string;

interface Told {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function lacre(
  status: number,
  args: readonly string[],
  given: Partial<Pick<Context, "fetch" | "env">> = {},
): Promise<Told> {
  const world = createWorld({ cwd: folder, fetch: (url, init) => fetch(url, init), env: { LACRE_DIR: dir }, ...given });
  const told = { status: await runLine(args, world.context), stdout: world.stdout(), stderr: world.stderr() };
  assert.equal(told.status, status, `${args.join(" ")}\n${told.stdout}${told.stderr}`);
  return told;
}

interface Found {
  readonly size: number;
  readonly next: number | null;
  readonly entries: readonly {
    readonly index: number;
    readonly names: readonly string[];
    readonly digests: readonly string[];
    readonly kind: string;
    readonly body: string;
  }[];
}
async function find(args: readonly string[], given: Parameters<typeof lacre>[2] = {}): Promise<Found> {
  return JSON.parse((await lacre(0, ["log", "search", ...args, "--output", "json"], given)).stdout) as Found;
}
const indices = ({ entries }: Found): readonly number[] => entries.map(({ index }) => index);

before(async () => {
  mkdirSync(folder, { recursive: true });
  Object.assign(process.env, homeEnv(join(work.path, "home")));
  delete process.env["LACRE_DIR"];
  dir = join(work.path, "installation");
  server = await up({ dir, listen: { host: "localhost", port: 0 }, stateDir: join(work.path, "state") });
  issuer = `${server.url}/oidc`;
  for (const [at, name] of FILES.entries()) {
    writeFileSync(join(folder, name), `the artifact ${name}\n`);
    const token = (await lacre(0, ["token", "--email", at === 2 ? "bob@mail.example.org" : "Ann@example.com"])).stdout.trim();
    await lacre(0, ["sign", `./${name}`, "--bundle", `${name}.json`, "--identity-token", token]);
  }
});

after(async () => {
  await server?.close();
  work.remove();
});

test("entries are found by everything they have, and by several things at once", async () => {
  for (const [args, wanted] of [
    [
      ["--email", "ann@Example.com"],
      [0, 1],
    ],
    [["--identity", "bob@mail.example.org"], [2]],
    [["--domain", "example.org"], [2]],
    [
      ["--domain", "example.com"],
      [0, 1],
    ],
    [
      ["--issuer", issuer],
      [0, 1, 2],
    ],
    [["--file", "two"], [1]],
    [["--digest", createHash("sha256").update("the artifact one\n").digest("hex")], [0]],
    [["--digest", `sha256:${createHash("sha256").update("the artifact one\n").digest("hex")}`], [0]],
    [["--email", "ann@example.com", "--file", "two"], [1]],
    [["--email", "ann@example.com", "--file", "three"], []],
    [
      ["--email", "ann@example.com", "--file", "three", "--any"],
      [0, 1, 2],
    ],
    [
      ["--issuer", issuer, "--limit", "2"],
      [0, 1],
    ],
    [["--issuer", issuer, "--after", "1"], [2]],
    [["--repository", "https://github.com/org"], []],
  ] as const) {
    const found = await find(args);
    assert.deepEqual([indices(found), found.size], [wanted, 3], args.join(" "));
  }
  assert.deepEqual((await find(["--issuer", issuer, "--limit", "2"])).next, 1);
  const bundle = JSON.parse(readFileSync(join(folder, "two.json"), "utf8")) as {
    verificationMaterial: { certificate: { rawBytes: string }; tlogEntries: { canonicalizedBody: string }[] };
  };
  writeFileSync(join(folder, "two.der"), Buffer.from(bundle.verificationMaterial.certificate.rawBytes, "base64"));
  const [entry] = (await find(["--certificate", "two.der"])).entries;
  assert.deepEqual(
    [entry!.index, entry!.kind, entry!.names, entry!.body],
    [1, "hashedrekord 0.0.2", ["Ann@example.com"], bundle.verificationMaterial.tlogEntries[0]!.canonicalizedBody],
  );
});

test("for people: a line for each, and how far the answer reaches", async () => {
  const found = await lacre(0, ["log", "search", "--email", "ann@example.com"]);
  assert.match(found.stdout, /^0 {2}hashedrekord 0\.0\.2 {2}Ann@example\.com {2}\(http.*\/oidc\) {2}sha256:[0-9a-f]{64}\n1 {2}/);
  assert.match(found.stderr, /2 entries among the first 3 of ledger\.\S+, proved\./);
  const none = await lacre(0, ["log", "search", "--email", "nobody@example.com"]);
  assert.deepEqual([none.stdout, /No entry among the first 3 of .* proved/.test(none.stderr)], ["", true]);
});

test("the certificate log is searched too", async () => {
  const found = await find(["--log", "ct", "--email", "ann@example.com"]);
  assert.deepEqual([indices(found), found.entries[0]!.kind], [[0, 1], "precertificate"]);
  const { stdout } = await lacre(0, ["log", "entry", "2", "--log", "ct"]);
  assert.match(stdout, /^entry {3}2 of 3 in ct\.[^]*signer {2}bob@mail\.example\.org[^]*serial/);
});

test("an entry and its proof, now and at an earlier size", async () => {
  const { stdout } = await lacre(0, ["log", "entry", "1"]);
  assert.match(stdout, /entry {3}1 of 3 in ledger[^]*signer {2}Ann@example.com[^]*body {4}\{"apiVersion"/);
  const now = JSON.parse((await lacre(0, ["log", "proof", "1", "--output", "json"])).stdout) as {
    size: number;
    inclusion: string[];
    consistency: string[];
    checkpoint: string;
  };
  assert.deepEqual([now.size, now.inclusion.length], [3, 2]);
  assert.match(now.checkpoint, /^ledger\.\S+\n3\n/);
  const then = JSON.parse((await lacre(0, ["log", "proof", "1", "--size", "2", "--output", "json"])).stdout) as typeof now;
  assert.deepEqual([then.size, then.inclusion.length, then.consistency.length], [2, 1, 1]);
  await lacre(1, ["log", "proof", "2", "--size", "2"]);
  await lacre(1, ["log", "entry", "3"]);
});

test("a log that lies is refused, whatever it lies about", async () => {
  const changing =
    (which: RegExp, change: (body: Buffer) => Buffer): Context["fetch"] =>
    async (url, init) => {
      const answer = await fetch(url, init);
      if (!which.test(url)) return answer;
      return new Response(new Uint8Array(change(Buffer.from(await answer.arrayBuffer()))), { status: answer.status });
    };
  const flip = (body: Buffer): Buffer => body.map((octet, at) => (at === body.length - 3 ? octet ^ 1 : octet)) as Buffer;
  const search = ["log", "search", "--email", "ann@example.com"];
  const refuses = async (
    which: RegExp,
    change: (body: Buffer) => Buffer,
    args: readonly string[],
    code: RegExp,
  ): Promise<void> => {
    const { stderr, stdout } = await lacre(1, args, { fetch: changing(which, change) });
    assert.match(stderr, code);
    assert.equal(stdout, "");
  };
  await refuses(/\/tile\/entries\//, flip, search, /PROOF_MISMATCH/);
  await refuses(
    /\/checkpoint$/,
    (body) => Buffer.from(body.toString().replace("\n3\n", "\n2\n")),
    ["log", "entry", "0"],
    /SIGNATURE_INVALID/,
  );
  // What its search service sends is believed no more: without entries, with another root.
  assert.equal(
    (
      await find(["--email", "ann@example.com"], {
        fetch: changing(/\/search\?/, (body) =>
          Buffer.from(JSON.stringify({ ...(JSON.parse(body.toString()) as object), entries: [] })),
        ),
      })
    ).entries.length,
    2,
  );
  await refuses(
    /\/search\?/,
    (body) => Buffer.from(body.toString().replaceAll(/\\n3\\n/g, "\\n2\\n")),
    search,
    /SIGNATURE_INVALID/,
  );
  // Without a search service at all, and from another installation's root.
  assert.equal(
    (
      await find(["--email", "ann@example.com"], {
        fetch: async (url, init) => (url.includes("/search?") ? new Response("", { status: 404 }) : fetch(url, init)),
      })
    ).entries.length,
    2,
  );
});

test("what was not meant is told", async () => {
  const usage = async (args: readonly string[], words: RegExp): Promise<void> =>
    assert.match((await lacre(2, ["log", ...args])).stderr, words);
  await usage(["search"], /nothing to look for/);
  await usage(["search", "--digest", "abc"], /"abc" is no digest/);
  await usage(["search", "--email", "x", "--limit", "0"], /--limit/);
  await usage(["entry"], /INDEX is missing/);
  await usage(["entry", "-1"], /./);
  await usage(["proof", "one"], /INDEX is a number/);
  await usage(["follow", "--interval", "0"], /--interval/);
  await usage(["search", "--url", "ftp://x", "--email", "x"], /--url/);
  assert.match((await lacre(0, ["log", "--help"])).stdout, /search[^]*entry[^]*proof[^]*follow/);
  assert.match((await lacre(0, ["log", "search", "--help"])).stdout, /--repository/);
  await lacre(2, ["log", "dig"]);
  await lacre(3, ["log", "search", "--email", "x"], { env: {} });
});

test("files in a folder are searched like a server's", async () => {
  // Nothing is indexed or in a full bundle yet: the folder answers for no entry, and says so.
  const told = await lacre(0, ["log", "search", "--email", "ann@example.com", "--url", join(dir, "logs", "ledger")]);
  assert.match(told.stderr, /No entry among the first 0 .*reach no further/);
});

test("new entries are followed until the person has enough", async () => {
  const child = spawn(
    process.execPath,
    [
      "--conditions=source",
      join(ROOT, "packages/cli/src/main.ts"),
      "log",
      "follow",
      "--from",
      "1",
      "--email",
      "ann@example.com",
      "--interval",
      "0.1",
      "--output",
      "json",
    ],
    {
      cwd: folder,
      env: { ...process.env, LACRE_DIR: dir },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<number> => {
    const { value } = await lines.next();
    return (JSON.parse(value as string) as { index: number }).index;
  };
  assert.equal(await next(), 1);
  writeFileSync(join(folder, "four"), "the artifact four\n");
  const token = (await lacre(0, ["token", "--email", "ann@example.com"])).stdout.trim();
  await lacre(0, ["sign", "./four", "--bundle", "four.json", "--identity-token", token]);
  assert.equal(await next(), 3);
  child.kill("SIGINT");
  assert.equal(await ended, 0, said);
  assert.match(said, /Following ledger\.\S+ from entry 1/);
});
