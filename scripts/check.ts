// SPDX-License-Identifier: Apache-2.0
// npm run check: every promise the tree makes about itself, each by name. Arguments choose some of them.
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = dirname(import.meta.dirname);
const bin = (name: string): string => join(root, "node_modules", ".bin", name);

function run(command: string, ...args: string[]): string | undefined {
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 });
  return done.status === 0 ? undefined : `${done.stdout ?? ""}${done.stderr ?? ""}${done.error?.message ?? ""}`;
}

function script(name: string, ...args: string[]): string | undefined {
  return run(process.execPath, ...process.execArgv, join("scripts", name), ...args);
}

function trackedFiles(): string[] {
  return spawnSync("git", ["ls-files"], { cwd: root, encoding: "utf8" })
    .stdout.split("\n")
    .filter((file) => file !== "" && existsSync(join(root, file)));
}

function everyFileNamesItsLicence(): string | undefined {
  const bare = trackedFiles().filter(
    (file) =>
      /\.(ts|js|mjs|sh)$/.test(file) &&
      !readFileSync(join(root, file), "utf8").slice(0, 200).includes("SPDX-License-Identifier: Apache-2.0"),
  );
  return bare.length === 0 ? undefined : bare.join("\n");
}

function locksNameNoHost(): string | undefined {
  const bad = trackedFiles().filter(
    (file) => file.endsWith("package-lock.json") && /"resolved": *"https?:/.test(readFileSync(join(root, file), "utf8")),
  );
  return bad.length === 0
    ? undefined
    : `${bad.join("\n")}\nlock files hold addresses: npm install with .npmrc's omit-lockfile-registry-resolved`;
}

function noUnfinishedMarks(): string | undefined {
  const found: string[] = [];
  for (const file of trackedFiles().filter((name) => name.endsWith(".ts") && !name.endsWith("scripts/check.ts"))) {
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .forEach((line, at) => {
        if (/\b(TODO|FIXME|XXX|HACK)\b|\.only\(|\{ *(skip|todo): *true/.test(line))
          found.push(`${file}:${at + 1}: ${line.trim()}`);
      });
  }
  return found.length === 0 ? undefined : found.join("\n");
}

function filesStayReadable(): string | undefined {
  const long = globSync("packages/*/src/**/*.ts", { cwd: root }).filter(
    (file) => readFileSync(join(root, file), "utf8").split("\n").length > 700 && !file.endsWith(".test.ts"),
  );
  return long.length === 0 ? undefined : `longer than 700 lines:\n${long.join("\n")}`;
}

/** The programs in the documents compile, as a consumer of the packages would write them. */
function examplesCompile(): string | undefined {
  const folder = join(root, "node_modules", ".cache", "examples");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const document of ["README.md", ...globSync("docs/**/*.md", { cwd: root })]) {
    const blocks = [...readFileSync(join(root, document), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
    blocks.forEach((block, at) => writeFileSync(join(folder, `${document.replaceAll("/", "-")}-${at + 1}.ts`), block[1]!));
  }
  const options = {
    composite: false,
    declaration: false,
    isolatedDeclarations: false,
    noEmit: true,
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")],
  };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: join(root, "tsconfig.base.json"), compilerOptions: options, include: ["*.ts"] }),
  );
  return run(bin("tsc"), "-p", folder);
}

/** typedoc needs an older TypeScript than the tree, so it lives in a package of its own. */
function doorsAreDocumented(): string | undefined {
  const folder = join(root, "tools", "typedoc");
  if (!existsSync(join(folder, "node_modules", ".bin", "typedoc"))) {
    const problem = run("npm", "--prefix", folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error");
    if (problem !== undefined) return problem;
  }
  return run(
    process.execPath,
    join(folder, "node_modules", "typedoc", "bin", "typedoc"),
    "--options",
    join(folder, "typedoc.json"),
    "--emit",
    "none",
  );
}

/** Each promise and what breaks it: undefined when it holds, otherwise what to read. */
const PROMISES: Record<string, () => string | undefined> = {
  "types hold": () => run(bin("tsc"), "-b") ?? run(bin("tsc"), "-p", "tsconfig.tests.json"),
  "examples in the documents compile": examplesCompile,
  "imports go down": () => script("floors.ts"),
  "no floating promise, no suspicious code": () => run(bin("oxlint"), "--type-aware"),
  "one format": () => run(bin("oxfmt"), "--check", "packages", "scripts", "test", "bench", "fuzz"),
  "no dead code": () => run(bin("knip"), "--no-progress"),
  "every name at the library's doors is documented": doorsAreDocumented,
  "packages are complete, lean and small": () => script("packages.ts"),
  "docs/errors.md lists every code": () => script("errors.ts"),
  "docs/refusals.md shows what the command says": () => script("refusals.ts"),
  "published mistakes have tests": () => script("known-mistakes.ts"),
  "every file names its licence": everyFileNamesItsLicence,
  "lock files name no host": locksNameNoHost,
  "nothing is left unfinished": noUnfinishedMarks,
  "files stay readable": filesStayReadable,
};

const chosen = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const [name, check] of Object.entries(PROMISES)) {
  if (chosen.length > 0 && !chosen.some((word) => name.includes(word))) continue;
  const began = Date.now();
  const problem = check();
  console.log(`${problem === undefined ? "ok    " : "FAILED"} ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  if (problem === undefined) passed += 1;
  else {
    failed += 1;
    console.log(problem.trimEnd().replaceAll(/^/gm, "       "));
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
