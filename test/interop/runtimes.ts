// SPDX-License-Identifier: Apache-2.0
// npm run runtimes: the library as published, in Node, Bun and Deno, through its own doors and as the one file for pages.
// Every case must give the very verdict that Node gives from source. Arguments choose journeys by a part of their names.
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Journey, ROOT, run, scratch, succeed, travel } from "../harness.ts";
import { createCases, questionsOf } from "./runtimes/cases.ts";

const BUN = "1.4.5";
const DENO = "2.9.6";

const only = process.argv.slice(2);
const work = scratch("runtimes");
const cases = createCases();
console.log(`${cases.length} cases, ${cases.filter(({ outcome }) => outcome === "verified").length} of them good`);
// The wasm, the fonts, the rest of their packages are of no use: the binary alone is asked for.
const arch = process.arch === "arm64" ? { bun: "aarch64", deno: "arm64" } : { bun: "x64", deno: "x64" };
const parts = (
  await succeed(
    join(ROOT, "scripts", "parts", "npm"),
    ["runtimes", `@oven/bun-linux-${arch.bun}@${BUN}`, `@deno/linux-${arch.deno}-glibc@${DENO}`],
    { timeoutMs: 600_000 },
  )
).stdout.trim();
await succeed(process.execPath, ["--conditions=source", join(ROOT, "scripts", "build.ts"), "library", "page"], {
  timeoutMs: 300_000,
});

mkdirSync(join(work.path, "node_modules", "@lacre"), { recursive: true });
symlinkSync(join(ROOT, "packages", "core"), join(work.path, "node_modules", "@lacre", "core"));
copyFileSync(join(import.meta.dirname, "runtimes", "judge.js"), join(work.path, "judge.js"));
writeFileSync(join(work.path, "package.json"), JSON.stringify({ type: "module" }));
writeFileSync(join(work.path, "questions.json"), questionsOf(cases));

const DOORS: Readonly<Record<string, string>> = {
  library: `import { createVerifier } from "@lacre/core/verify";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { importPublicKey } from "@lacre/core/crypto";
import { parsePem } from "@lacre/core/codec";`,
  "page's file": `import { createVerifier, decodeTrustedRoot, importPublicKey, parsePem } from "@lacre/core/browser";`,
};
for (const [name, imports] of Object.entries(DOORS)) {
  writeFileSync(
    join(work.path, `${name.replace(/\W.*/, "")}.js`),
    `import { readFileSync } from "node:fs";
import process from "node:process";
import { judge } from "./judge.js";
${imports}
const questions = JSON.parse(readFileSync("questions.json", "utf8"));
process.stdout.write(JSON.stringify(judge({ createVerifier, decodeTrustedRoot, importPublicKey, parsePem }, questions)));
`,
  );
}

/** How each runtime runs a file; Deno may read the folder and the library and nothing else, and reaches no network. */
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  Node: [process.execPath],
  [`Bun ${BUN}`]: [join(parts, "node_modules", "@oven", `bun-linux-${arch.bun}`, "bin", "bun"), "run", "--no-install"],
  [`Deno ${DENO}`]: [
    join(parts, "node_modules", "@deno", `linux-${arch.deno}-glibc`, "deno"),
    "run",
    "--quiet",
    "--no-prompt",
    "--cached-only",
    "--node-modules-dir=manual",
    `--allow-read=${work.path},${join(ROOT, "packages", "core")}`,
  ],
};

const journeys: readonly Journey[] = Object.entries(RUNTIMES).flatMap(([runtime, [command, ...args]]) =>
  Object.keys(DOORS).map((door) => ({
    name: `${runtime}, the ${door}: every verdict is Node's`,
    async go() {
      const file = `${door.replace(/\W.*/, "")}.js`;
      const outcome = await run(command!, [...args, file], { cwd: work.path, timeoutMs: 300_000 });
      if (outcome.status !== 0) throw new Error(`ended with ${outcome.status}:\n${outcome.stderr.slice(0, 4000)}`);
      const answers = JSON.parse(outcome.stdout) as readonly string[];
      const wrong = cases.filter(({ verdict }, at) => answers[at] !== verdict);
      if (answers.length !== cases.length || wrong.length > 0) {
        const [first] = wrong;
        throw new Error(
          `${wrong.length} of ${cases.length} differ: ${wrong.map(({ name }) => name).join("; ")}\n` +
            `here:  ${first?.verdict}\nthere: ${first === undefined ? "" : answers[cases.indexOf(first)]}`,
        );
      }
    },
  })),
);

const { passed, failed } = await travel(journeys, only);
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
