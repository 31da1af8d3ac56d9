// SPDX-License-Identifier: Apache-2.0
// The promise: every published mistake in docs/known-mistakes.md has tests here, and they exist under the names it gives.
// `--names FILE…` prints the names of the tests in some files, as the page has to spell them.
//
// Test files are loaded with a `node:test` in its place that writes names down and runs nothing, so that names which are
// put together in a loop are found as well.
import { existsSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const ROOT = dirname(import.meta.dirname);
const PAGE = join("docs", "known-mistakes.md");

/** Names that the file being loaded has registered. */
const registered: Set<string>[] = [];
(globalThis as Record<string, unknown>)["lacreRegisterTest"] = (name: string): void => void registered.at(-1)?.add(name);

const STAND_IN = `
const test = (name) => { globalThis.lacreRegisterTest(name); return Promise.resolve(); };
test.skip = test.todo = test.only = test;
const nothing = () => {};
const describe = (name, ...rest) => { const body = rest.findLast((part) => typeof part === "function"); body?.(); };
export { test, test as it, describe, describe as suite, nothing as before, nothing as after, nothing as beforeEach, nothing as afterEach };
export const mock = {};
export default test;
`;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "node:test") return next(specifier, context);
    return { url: `data:text/javascript,${encodeURIComponent(STAND_IN)}`, shortCircuit: true, format: "module" };
  },
});

async function namesIn(file: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  registered.push(names);
  await import(pathToFileURL(join(ROOT, file)).href);
  return names;
}

interface Section {
  readonly id: string;
  readonly tests: { readonly file: string; readonly name: string | undefined }[];
  readonly isNotOffered: boolean;
}

/** Sections `### T01 …` and the lines of tests in them. */
function sectionsOf(page: string): Map<string, Section> {
  const sections = new Map<string, Section>();
  for (const part of page.split(/^### /m).slice(1)) {
    const id = /^([TUS]\d\d)\b/.exec(part)?.[1];
    if (id === undefined) continue;
    const tests = [...part.matchAll(/^- `([^`]+)`(?:: (.+))?$/gm)].map(([, file, name]) => ({ file: file!, name }));
    sections.set(id, { id, tests, isNotOffered: /^Not offered: /m.test(part) });
  }
  return sections;
}

async function check(): Promise<readonly string[]> {
  const page = readFileSync(join(ROOT, PAGE), "utf8");
  const sections = sectionsOf(page);
  const problems: string[] = [];
  const rows = page.split("\n").filter((line) => /^\| [A-Z(]/.test(line) && !line.startsWith("| Id |"));
  const cited = new Set<string>();
  for (const row of rows) {
    const cases =
      row
        .split("|")
        .at(-2)!
        .match(/[TUS]\d\d/g) ?? [];
    if (cases.length === 0) problems.push(`no case keeps: ${row}`);
    for (const id of cases) {
      cited.add(id);
      if (!sections.has(id)) problems.push(`${id} is named and not described: ${row}`);
    }
  }
  const known = new Map<string, ReadonlySet<string>>();
  for (const { id, tests, isNotOffered } of sections.values()) {
    if (tests.length === 0 && !isNotOffered) problems.push(`${id} has no test`);
    for (const { file, name } of tests) {
      if (!existsSync(join(ROOT, file))) {
        problems.push(`${id}: there is no ${file}`);
        continue;
      }
      if (name === undefined) continue;
      if (!known.has(file)) known.set(file, await namesIn(file));
      if (!known.get(file)!.has(name)) problems.push(`${id}: no test in ${file} is called "${name}"`);
    }
  }
  const tests = [...sections.values()].reduce((sum, section) => sum + section.tests.length, 0);
  if (problems.length === 0) console.log(`${rows.length} published mistakes, ${sections.size} cases, ${tests} tests`);
  return problems;
}

const files = process.argv.slice(2);
if (files[0] === "--names") {
  for (const file of files.slice(1)) for (const name of await namesIn(file)) console.log(`- \`${file}\`: ${name}`);
  process.exit(0);
}
const problems = await check();
for (const problem of problems) console.error(problem);
// Modules that were loaded may have opened something; nothing of it matters.
process.exit(problems.length === 0 ? 0 : 1);
