// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createWorld } from "../../../test/cli/world.ts";
import { bytesOf, createWorkshop, IDENTITY, ISSUER, NOW_MS, seal } from "../../../test/workshop/workshop.ts";
import { checkBatch, listJobs, share } from "./batch.ts";
import { CliError } from "./errors.ts";
import type { FileArtifact, Order } from "./job.ts";
import { compileMatcher } from "./signers.ts";
import { readSpelled, spellPolicy } from "./spelled-policy.ts";

const folder = mkdtempSync(join(tmpdir(), "lacre-batch-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const workshop = createWorkshop();
const artifactIn = (name: string): FileArtifact => ({ kind: "file", name, path: join(folder, name) });
const POLICY = { identities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] };

/** Sealed files, in a folder of their own. */
function sealed(name: string, count: number): { readonly path: string; readonly rootPath: string } {
  const path = join(folder, name);
  mkdirSync(path);
  const rootPath = join(folder, `${name}.root.json`);
  for (let i = 0; i < count; i++) {
    const artifact = new TextEncoder().encode(`${name} ${i}\n`);
    const { bundle, root } = seal(workshop, { artifact });
    if (i === 0) writeFileSync(rootPath, bytesOf(root));
    writeFileSync(join(path, `file-${i}`), artifact);
    writeFileSync(join(path, `file-${i}.sigstore.json`), bytesOf(bundle));
  }
  return { path, rootPath };
}

async function run(
  name: string,
  rootPath: string,
  threads: number,
  policy: Parameters<typeof spellPolicy>[0] = POLICY,
): Promise<{ status: number; lines: unknown[]; told: string }> {
  const world = createWorld({ now: () => NOW_MS });
  const status = await checkBatch(world.context, {
    artifacts: [artifactIn(name)],
    policy,
    key: undefined,
    trust: { trustedRoot: rootPath },
    asJson: true,
    stream: "stdout",
    threads,
  });
  const lines = world
    .stdout()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  return { status, lines, told: world.stderr() };
}

test("a folder stands for each of its files, with or without a seal, and for each seal whose file is gone", () => {
  const root = join(folder, "tree");
  mkdirSync(join(root, "inner"), { recursive: true });
  for (const name of [
    "b",
    "b.sigstore.json",
    "a",
    "gone.sigstore.json",
    "inner/c",
    "inner/c.sigstore.json",
    ".sigstore.json",
    "b.more.sigstore.json",
    "a.more.sigstore.json",
  ])
    writeFileSync(join(root, name), "x");
  symlinkSync("inner", join(root, "link"));
  const jobs = listJobs([artifactIn("tree"), artifactIn("single")]);
  assert.deepEqual(
    jobs.map(({ artifact }) => artifact.name),
    ["tree/.sigstore.json", "tree/a", "tree/a.more", "tree/b", "tree/gone", "tree/inner/c", "tree/link", "single"],
  );
  for (const { artifact, bundlePath } of jobs) assert.equal(bundlePath, `${artifact.path}.sigstore.json`);
});

test("an empty folder is a failure, not nothing to do", () => {
  mkdirSync(join(folder, "empty"));
  assert.throws(
    () => listJobs([artifactIn("empty")]),
    (error) => error instanceof CliError && error.code === "FILE_UNREADABLE",
  );
});

test("threads give the verdicts of one thread, in its order", async () => {
  const { path, rootPath } = sealed("many", 12);
  writeFileSync(join(path, "file-3"), "another");
  rmSync(join(path, "file-5"));
  rmSync(join(path, "file-7.sigstore.json"));
  writeFileSync(join(path, "file-9.sigstore.json"), "{");
  const alone = await run("many", rootPath, 1);
  const shared = await run("many", rootPath, 3);
  assert.deepEqual(shared, alone);
  assert.equal(alone.status, 1);
  const words = alone.lines.map((line) => {
    const { outcome, error } = line as { outcome?: string; error?: { code: string } };
    return outcome ?? error!.code;
  });
  // In the order of names: 0, 1, 10, 11, 2, 3, …
  assert.deepEqual(words, [
    "verified",
    "verified",
    "verified",
    "verified",
    "verified",
    "refused",
    "verified",
    "FILE_UNREADABLE",
    "verified",
    "SEAL_MISSING",
    "verified",
    "refused",
  ]);
});

test("all good is status 0, and a pattern is the same pattern in a thread", async () => {
  const { rootPath } = sealed("good", 4);
  const fits = {
    identities: [
      { identity: await compileMatcher("x", { pattern: "^https://ci", exact: undefined }), issuer: { exact: ISSUER } },
    ],
  };
  const misses = {
    identities: [
      { identity: await compileMatcher("x", { pattern: "^https://co", exact: undefined }), issuer: { exact: ISSUER } },
    ],
  };
  assert.equal((await run("good", rootPath, 2)).status, 0);
  assert.equal((await run("good", rootPath, 2, fits)).status, 0);
  assert.equal((await run("good", rootPath, 2, misses)).status, 1);
});

test("a policy that cannot be spelled out is judged by one thread", async () => {
  const { rootPath } = sealed("own", 2);
  const own = { identities: [{ identity: { pattern: { source: "x", test: () => false } }, issuer: { exact: ISSUER } }] };
  assert.equal(spellPolicy(own), undefined);
  assert.equal((await run("own", rootPath, 2, own)).status, 1);
});

test("a policy survives being spelled out, cloned and read again", async () => {
  const both = await compileMatcher("x", { pattern: "b.", exact: "abc" });
  const policy = {
    identities: [{ identity: both, issuer: { exact: ISSUER }, claims: { buildTrigger: { exact: "push" } } }],
    claims: { sourceRepositoryURI: await compileMatcher("y", { pattern: "^h", exact: undefined }) },
    predicateType: "https://example/p",
    checkClaims: false,
  };
  const read = await readSpelled(structuredClone(spellPolicy(policy)!));
  const { identities, claims, ...rest } = read;
  assert.deepEqual(rest, { predicateType: "https://example/p", checkClaims: false });
  const [rule] = identities!;
  assert.deepEqual(rule!.issuer, { exact: ISSUER });
  assert.deepEqual(rule!.claims, policy.identities[0]!.claims);
  assert.ok("pattern" in rule!.identity && "pattern" in claims!["sourceRepositoryURI"]!);
  assert.deepEqual(["abc", "ab", "xabc"].map(rule!.identity.pattern.test), [true, false, false]);
  assert.deepEqual(["http", "ftp"].map(claims!["sourceRepositoryURI"]!.pattern.test), [true, false]);
  assert.deepEqual(await readSpelled(spellPolicy({ anyIdentity: true })!), { anyIdentity: true });
});

test("a thread that ends before its time ends the run as a failure, whatever the others say", async () => {
  const jobs = listJobs([artifactIn("x"), artifactIn("y"), artifactIn("z")]);
  const order: Order = { policy: spellPolicy(POLICY)!, key: undefined, root: undefined, rootSource: undefined, nowMs: NOW_MS };
  const verified = `const { parentPort } = await import("node:worker_threads");
    parentPort.on("message", ({ index }) => { if (index === 2) STOP; parentPort.postMessage({ index, outcome: { verdict: { outcome: "verified" } } }); });`;
  for (const [stop, program] of [
    ["process.exit(0)", verified],
    ["throw new Error('no')", verified],
    ["", "process.exit(0)"],
    ["", "not a program"],
  ] as const) {
    const told: string[] = [];
    await assert.rejects(
      share(
        `data:text/javascript,${encodeURIComponent(program.replace("STOP", stop))}`,
        jobs,
        order,
        2,
        ({ artifact }) => told.push(artifact.name),
        () => undefined,
      ),
      (error) => error instanceof CliError && error.code === "INTERNAL" && error.status === 3,
    );
    assert.ok(!told.includes("z"));
  }
});
