// SPDX-License-Identifier: Apache-2.0
// The promise: imports go down, never up, and never in a circle. Rooms are listed lowest first; a file may import its
// own room, rooms listed before it, and packages below its own. Services that answer requests never import one another.
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const ROOT = dirname(import.meta.dirname);

/** Rooms of each package, lowest floor first. Rooms in one inner list stand on the same floor and may not meet. */
const FLOORS: Record<string, readonly (readonly string[])[]> = {
  core: [
    ["errors"],
    ["bytes"],
    ["codec"],
    ["merkle"],
    ["crypto"],
    ["x509"],
    ["bundle"],
    ["entry"],
    ["git"],
    ["trust"],
    ["client"],
    ["oci"],
    ["log"],
    ["search"],
    ["verify"],
    ["browser"],
    ["sign"],
  ],
  services: [
    ["errors"],
    ["gate"],
    ["store"],
    ["engine"],
    ["edge"],
    ["health", "reading"],
    ["metrics"],
    ["search"],
    ["ca", "ledger", "ct", "tsa", "tuf", "idp", "witness", "witnessing", "monitor"],
    ["config"],
    ["installation"],
    ["logkeys"],
    ["quorums"],
    ["listen"],
    ["logs"],
    ["monitoring"],
    ["operations"],
    ["serve"],
  ],
  cli: [["errors"], ["terminal"], ["options"], ["trust"], ["artifact"], ["commands"], ["help"], ["main"]],
};
const PACKAGES = ["core", "services", "cli"];
const PACKAGE_OF: Record<string, string> = { "@lacre/core": "core", "@lacre/services": "services", lacre: "cli" };

/** Files that are doors besides their room's index.ts: their many small functions read better unqualified. */
const DOORS = new Set(["packages/core/src/codec/der.ts"]);
/** A room's settings may be read without loading the room. */
const SETTINGS = "/config.ts";

interface Place {
  readonly package: string;
  readonly room: string;
}

function placeOf(file: string): Place {
  const [, name, , ...path] = relative(ROOT, file).split("/");
  return { package: name!, room: path[0]!.replace(/\.ts$/, "") };
}

function floor({ package: name, room }: Place): number {
  return FLOORS[name]!.findIndex((rooms) => rooms.includes(room));
}

/** Tests, and what only tests use, stand beside the code but on no floor. */
const TEST_SUPPORT = /\.test\.ts$|\/(fixture|contract|simulated)\.ts$/;
const IMPORT = /^\s*(?:import|export)\b[^"'`;]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|^\s*import\s+"([^"]+)"/gm;
const problems: string[] = [];
const edges = new Map<string, string[]>();
const files = globSync("packages/{core,services,cli}/src/**/*.ts", { cwd: ROOT }).filter((file) => !TEST_SUPPORT.test(file));

for (const file of files) {
  const here = placeOf(join(ROOT, file));
  if (FLOORS[here.package] !== undefined && here.package !== "cli" && floor(here) < 0)
    problems.push(`${file}: room "${here.room}" is on no floor`);
  const targets: string[] = [];
  edges.set(normalize(file), targets);
  for (const match of readFileSync(join(ROOT, file), "utf8").matchAll(IMPORT)) {
    const target = match[1] ?? match[2] ?? match[3]!;
    if (target === "#platform") continue;
    if (target.startsWith(".")) {
      const path = normalize(join(dirname(file), target));
      targets.push(path);
      const there = placeOf(join(ROOT, path));
      if (here.package === "cli" || here.room === there.room) {
        if (
          here.room === there.room &&
          here.package !== "cli" &&
          path.endsWith(`/${there.room}/index.ts`) &&
          !file.endsWith("/index.ts") &&
          file.split("/").length === path.split("/").length
        ) {
          problems.push(`${file}: imports its own door`);
        }
        continue;
      }
      if (floor(there) > floor(here)) problems.push(`${file}: ${here.room} looks up to ${there.room}`);
      else if (floor(there) === floor(here)) problems.push(`${file}: ${here.room} and ${there.room} may not meet`);
      else if (!DOORS.has(path) && !path.endsWith(SETTINGS) && !path.endsWith("/index.ts") && path.split("/").length > 4)
        problems.push(`${file}: goes past the door of ${there.room} (${target})`);
      continue;
    }
    const owner = Object.keys(PACKAGE_OF).find((name) => target === name || target.startsWith(`${name}/`));
    if (owner === undefined) {
      if (here.package === "core" && !file.includes("/crypto/node") && !file.includes("/crypto/page"))
        problems.push(`${file}: the library imports ${target}`);
    } else if (PACKAGES.indexOf(PACKAGE_OF[owner]!) >= PACKAGES.indexOf(here.package))
      problems.push(`${file}: ${here.package} looks up to ${owner}`);
  }
}

// Circles: depth first, a file met again on the current path closes one.
const state = new Map<string, "open" | "done">();
function walk(file: string, path: readonly string[]): void {
  if (state.get(file) === "done") return;
  if (state.get(file) === "open") {
    problems.push(`circle: ${[...path.slice(path.indexOf(file)), file].join(" → ")}`);
    return;
  }
  state.set(file, "open");
  for (const target of edges.get(file) ?? []) walk(target, [...path, file]);
  state.set(file, "done");
}
for (const file of edges.keys()) walk(file, []);

for (const problem of problems) console.error(problem);
console.log(`floors: ${files.length} files, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
