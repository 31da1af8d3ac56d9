// SPDX-License-Identifier: Apache-2.0
/**
 * The promise: what the three packages publish is complete, lean and small. Everything is built and packed as for a
 * release, and looked at from outside:
 *
 *     manifests    publint has nothing to say
 *     contents     no source, no test, no path of this machine; the licence is inside
 *     imports      what the code imports is Node's, its own, or a dependency of the manifest
 *     doors        every door of the library loads in Node, and compiles for a consumer without Node's types
 *     sizes        @lacre/core at most 1 MiB unpacked, without dependencies; its browser file at most 100 kB gzipped
 *
 * `--keep DIR` leaves the tarballs there.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { parseSync } from "rolldown/utils";

const root = dirname(import.meta.dirname);
const PACKAGES = ["core", "services", "cli"] as const;
const MAX_CORE = 1 << 20;
const MAX_BROWSER = 100_000;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const problems: string[] = [];
const figures: string[] = [];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** The modules that a file imports, by statement, `import()` with a text, and re-export. */
function importsOf(path: string): string[] {
  if (path.endsWith(".d.ts"))
    return [...readFileSync(path, "utf8").matchAll(/(?:from|import\() ?"([^"]+)"/g)].map((match) => match[1]!);
  const { module } = parseSync(path, readFileSync(path, "utf8"));
  const named = module.staticImports.map((one) => one.moduleRequest.value);
  for (const { entries } of module.staticExports)
    for (const { moduleRequest } of entries) if (moduleRequest !== null) named.push(moduleRequest.value);
  const text = readFileSync(path, "utf8");
  for (const { moduleRequest: at } of module.dynamicImports) {
    const word = /^["'`]([^"'`$]+)["'`]$/.exec(text.slice(at.start, at.end))?.[1];
    if (word !== undefined) named.push(word);
  }
  return named;
}

function checkContents(folder: string, files: readonly string[], { name }: Manifest): void {
  if (!files.includes("LICENSE")) problems.push(`${name} has no LICENSE`);
  const odd = files.filter((file) =>
    /\.test\.|(^|\/)fixture\.|(^|\/)src\/(?!verify\/verdict\.schema\.json)|\.tsbuildinfo$|(?<!\.d)\.ts$/.test(file),
  );
  for (const file of odd) problems.push(`${name} publishes ${file}`);
  for (const file of files.filter((one) => one.endsWith(".js")))
    if (readFileSync(join(folder, file), "utf8").includes(root)) problems.push(`${name}/${file} names a path of this machine`);
}

function checkImports(folder: string, files: readonly string[], manifest: Manifest): void {
  const known = { ...manifest.dependencies, ...manifest.peerDependencies };
  for (const file of files.filter((one) => /\.(js|d\.ts)$/.test(one))) {
    for (const named of importsOf(join(folder, file))) {
      if (/^[.#]/.test(named) || isBuiltin(named)) continue;
      if (known[packageOf(named)] === undefined)
        problems.push(`${manifest.name}/${file} imports ${named}, which is no dependency of it`);
    }
  }
}

/** Imports by which a consumer reaches the library: one for each room that has a door, and the named ones. */
function doorsOf(files: readonly string[], manifest: Manifest): string[] {
  const rooms = files.flatMap((file) => /^dist\/([^/]+)\/index\.js$/.exec(file)?.[1] ?? []);
  const named = Object.keys(manifest.exports ?? {}).filter((path) => !path.includes("*"));
  return [...new Set([...rooms.map((room) => `./${room}`), ...named])]
    .toSorted()
    .map((path) => `${manifest.name}${path.slice(1)}`);
}

/** A consumer of the library: its types without Node's, and its code. */
function checkDoors(work: string, doors: readonly string[]): void {
  const consumer = join(work, "consumer");
  mkdirSync(join(consumer, "node_modules", "@lacre"), { recursive: true });
  symlinkSync(join(work, "core", "package"), join(consumer, "node_modules", "@lacre", "core"));
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(
    join(consumer, "all.ts"),
    `${doors.map((door, at) => `import * as door${at} from ${JSON.stringify(door)};`).join("\n")}
export const doors: readonly object[] = [${doors.map((_, at) => `door${at}`).join(", ")}];\n`,
  );
  for (const [module, moduleResolution] of [
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ]) {
    const compilerOptions = {
      module,
      moduleResolution,
      target: "es2024",
      lib: ["es2024"],
      strict: true,
      exactOptionalPropertyTypes: true,
      types: [],
      noEmit: true,
    };
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["all.ts"] }));
    const done = spawnSync(join(root, "node_modules", ".bin", "tsc"), ["-p", consumer], { encoding: "utf8" });
    if (done.status !== 0) problems.push(`the doors do not compile for a consumer (${moduleResolution}):\n${done.stdout}`);
  }
  for (const condition of [[], ["--conditions=browser"]]) {
    writeFileSync(join(consumer, "all.js"), doors.map((door) => `await import(${JSON.stringify(door)});`).join("\n"));
    const done = spawnSync(process.execPath, [...condition, join(consumer, "all.js")], { encoding: "utf8", env: {} });
    if (done.status !== 0) problems.push(`a door does not load:\n${done.stderr}`);
  }
}

async function checkManifest(folder: string, { name }: Manifest): Promise<void> {
  const { messages, pkg } = await publint({ pkgDir: folder, level: "suggestion", strict: true, pack: false });
  for (const message of messages) problems.push(`${name}: publint: ${formatMessage(message, pkg, { color: false })}`);
}

/** Packs a folder, and returns the tarball. */
function pack(folder: string, target: string): string {
  const answer = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", target], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [packed] = JSON.parse(answer) as readonly { readonly filename: string }[];
  return join(target, packed!.filename);
}

/**
 * Rewrites the manifest without what only a clone has: the sources behind the `source` condition, what builds and tests
 * them, and dependencies that are inside the published files.
 */
function publishable(folder: string, files: readonly string[]): void {
  const path = join(folder, "package.json");
  const {
    devDependencies: _,
    dependencies = {},
    ...manifest
  } = JSON.parse(readFileSync(path, "utf8")) as Manifest & {
    readonly devDependencies?: unknown;
  };
  const imported = new Set(
    files.filter((file) => /\.(js|d\.ts)$/.test(file)).flatMap((file) => importsOf(join(folder, file)).map(packageOf)),
  );
  const needed = Object.entries(dependencies).filter(([name]) => imported.has(name));
  const whole = { ...manifest, ...(needed.length === 0 ? {} : { dependencies: Object.fromEntries(needed) }) };
  writeFileSync(path, `${JSON.stringify(withoutSource(whole), null, 2)}\n`);
}

function withoutSource(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "source");
  return Object.fromEntries(kept.map(([key, one]) => [key, withoutSource(one)]));
}

/** The package that an import names. */
function packageOf(named: string): string {
  return /^((?:@[^/]+\/)?[^/]+)/.exec(named)![1]!;
}

async function main(): Promise<void> {
  const keep = process.argv.indexOf("--keep");
  const work = mkdtempSync(join(tmpdir(), "lacre-packages-"));
  try {
    const build = spawnSync(process.execPath, [...process.execArgv, join(root, "scripts", "build.ts")], { encoding: "utf8" });
    if (build.status !== 0) throw new Error(`${build.stdout}${build.stderr}`);
    const doors: string[] = [];
    for (const part of PACKAGES) {
      const target = keep < 0 ? join(work, part) : process.argv[keep + 1]!;
      mkdirSync(join(work, part), { recursive: true });
      mkdirSync(target, { recursive: true });
      execFileSync("tar", ["-xzf", pack(join(root, "packages", part), join(work, part)), "-C", join(work, part)]);
      const folder = join(work, part, "package");
      const files = filesBelow(folder);
      publishable(folder, files);
      const tarball = pack(folder, target);
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
      const octets = files.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
      figures.push(
        `${manifest.name} ${manifest.version}: ${(octets / 1000).toFixed(0)} kB in ${files.length} files, ` +
          `${(statSync(tarball).size / 1000).toFixed(0)} kB packed, ${Object.keys(manifest.dependencies ?? {}).length} dependencies`,
      );
      checkContents(folder, files, manifest);
      checkImports(folder, files, manifest);
      await checkManifest(folder, manifest);
      if (part !== "core") continue;
      doors.push(...doorsOf(files, manifest));
      if (Object.keys(manifest.dependencies ?? {}).length > 0) problems.push("@lacre/core has dependencies");
      if (octets > MAX_CORE) problems.push(`@lacre/core is larger than ${MAX_CORE} octets: ${octets}`);
      const browser = gzipSync(readFileSync(join(folder, "dist", "browser.js")), { level: 9 }).length;
      figures.push(`@lacre/core/browser: ${(browser / 1000).toFixed(1)} kB gzipped`);
      if (browser > MAX_BROWSER) problems.push(`@lacre/core/browser is larger than ${MAX_BROWSER} octets gzipped: ${browser}`);
    }
    checkDoors(work, doors);
    figures.push(`${doors.length} doors of the library: ${doors.map((door) => door.replace("@lacre/core/", "")).join(", ")}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

await main();
for (const line of figures) console.log(line);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
