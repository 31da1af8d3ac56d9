// SPDX-License-Identifier: Apache-2.0
// The promise: a check that is removed is missed. npm run mutate -- [--sample N] [--seed N] [--only TEXT] [--list]
//
// Takes checks out of the verifier and of what it stands on (paths, timestamps, promises, proofs, checkpoints) one at a
// time, in a copy, and runs the tests beside the file and the suites of test/verify over it. A mutant that no suite notices has survived, and is a check that no test needs. What is taken out: a throw, a refusal, the call of a
// `check…`, the edge of a comparison. Suites run one after the other, the likeliest first, until one turns red.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, sep } from "node:path";
import { parseArgs } from "node:util";

const ROOT = dirname(import.meta.dirname);
const CORE = join("packages", "core", "src");
const FILES = [
  ...globSync(join(CORE, "verify", "*.ts"), { cwd: ROOT })
    .toSorted()
    .filter((file) => !file.endsWith(".test.ts") && !file.endsWith("index.ts")),
  join(CORE, "entry", "match.ts"),
  ...["chain", "constraints", "identity", "sct", "timestamp"].map((name) => join(CORE, "x509", `${name}.ts`)),
  ...["bundle", "checkpoint", "entry", "statement"].map((name) => join(CORE, "bundle", `${name}.ts`)),
  join(CORE, "codec", "note.ts"),
  join(CORE, "merkle", "proof.ts"),
];

/** Which suite is likeliest to notice, by file. */
const LIKELY: Readonly<Record<string, string>> = {
  "log.ts": "entries",
  "match.ts": "entries",
  "times.ts": "times",
  "anchors.ts": "entries",
  "signer.ts": "signer",
  "policy.ts": "structure",
  "signature.ts": "artifact",
  "input.ts": "structure",
  "verifier.ts": "structure",
  "evidence.ts": "verdict",
  "saved.ts": "saved",
  "revocation.ts": "revocation",
};
const SUITES = [
  "structure",
  "entries",
  "signer",
  "artifact",
  "times",
  "verdict",
  "saved",
  "revocation",
  "legacy",
  "good",
  "robustness",
];
/** Tests that stand elsewhere than beside their file. */
const BESIDE: Readonly<Record<string, string>> = {
  [join("bundle", "entry.ts")]: join("bundle", "bundle.test.ts"),
  [join("merkle", "proof.ts")]: join("merkle", "merkle.test.ts"),
};

/** Changes that change nothing a caller could see, with the reason. */
const EQUIVALENT: readonly { readonly file: string; readonly text: string; readonly reason: string }[] = [
  { file: "anchors.ts", text: "8.64e15", reason: "how a moment is written for people" },
  { file: "evidence.ts", text: "code < 0x20 || code > 0x7e", reason: "a text that is looked at twice is not changed" },
  { file: "evidence.ts", text: "LONGEST", reason: "where a text for people is cut" },
  { file: "signer.ts", text: "this.#leaves.size >= this.#limit", reason: "one certificate more is remembered" },
  { file: "signer.ts", text: "extra.length > 0 ? anchors.authorities", reason: "authorities of another name are asked in vain" },
  {
    file: "signer.ts",
    text: "the certificate path cannot be judged without a proved time",
    reason: "D3 has asked for a time before",
  },
  {
    file: "signature.ts",
    text: "the statement cannot be compared without the artifact",
    reason: "A5 has asked for the artifact before",
  },
  { file: "chain.ts", text: "8.64e15", reason: "how a moment is written for people" },
  { file: "chain.ts", text: "named.length < 2", reason: "in which order equals are tried" },
  { file: "chain.ts", text: "++steps > MAX_STEPS", reason: "after how much work it ends" },
  { file: "chain.ts", text: "path.length > failedAt", reason: "which of two refusals that got as far is told" },
  { file: "timestamp.ts", text: "8.64e15", reason: "how a moment is written for people" },
  { file: "constraints.ts", text: "MAX_COMPARED", reason: "at how much work it ends" },
  { file: "match.ts", text: "the entry cannot be compared without the artifact", reason: "A5 has asked for the artifact before" },
  { file: "match.ts", text: "entries of this kind do not record what was signed", reason: "no kind in the table is like that" },
  { file: "match.ts", text: "entry is verified in another way", reason: "the bytes of a key are no certificate's" },
];

interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly what: string;
  readonly source: string;
}

/** What is put in the place of what. The first group is kept. */
const OPERATORS: readonly (readonly [what: string, pattern: RegExp, replacement: string])[] = [
  [
    "a throw",
    /()\bthrow (?=new LacreError|new TypeError|outside|identityMismatch|mismatch|refused\(|wrong\(|invalid\(|shape\(|bad\()/g,
    "$1void ",
  ],
  ["a refusal", /()\bevidence\.refuse\(/g, "$1((..._: unknown[]): any => undefined)("],
  ["a check", /(=> |^[ \t]*)(?=check[A-Z]\w*\()/gm, "$1(null as any) && "],
  ["an edge", /( )<=(?= )/g, "$1<"],
  ["an edge", /( )>=(?= )/g, "$1>"],
  ["an edge", /( )<(?= )/g, "$1<="],
  ["an edge", /( )>(?= )/g, "$1>="],
];

function mutantsOf(file: string): Mutant[] {
  const source = readFileSync(join(ROOT, file), "utf8");
  const mutants: Mutant[] = [];
  for (const [what, pattern, replacement] of OPERATORS) {
    for (const match of source.matchAll(pattern)) {
      const line = source.slice(0, match.index).split("\n").length + (match[0].startsWith("\n") ? 1 : 0);
      const text = source.split("\n")[line - 1]!.trim();
      if (
        text.startsWith("//") ||
        text.startsWith("*") ||
        text.startsWith("/*") ||
        (what === "an edge" && text.startsWith("for ("))
      )
        continue;
      if (EQUIVALENT.some((known) => known.file === basename(file) && text.includes(known.text))) continue;
      const end = match.index + match[0].length;
      mutants.push({
        file,
        line,
        what,
        source: source.slice(0, match.index) + replacement.replace("$1", match[1] ?? "") + source.slice(end),
      });
    }
  }
  return mutants;
}

/** A copy of the library and of the suites, beside everything else as it is. */
function prepare(): string {
  const folder = mkdtempSync(join(tmpdir(), "lacre-mutant-"));
  mkdirSync(join(folder, "packages", "core"), { recursive: true });
  for (const part of [
    "package.json",
    join("packages", "core", "package.json"),
    CORE,
    join("test", "verify"),
    join("test", "workshop"),
    join("vectors", "legacy"),
  ]) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true, filter: (path) => !path.endsWith("vectors.test.ts") });
  }
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "@lacre"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules")))
    if (name !== "@lacre" && !name.startsWith(".")) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  symlinkSync(join(folder, "packages", "core"), join(modules, "@lacre", "core"));
  return folder;
}

/** The tests that may notice a change of this file, the likeliest first. */
function suitesFor(folder: string, file: string): readonly string[] {
  const room = file.split(sep).slice(-2).join(sep);
  const beside = join(CORE, BESIDE[room] ?? room.replace(/\.ts$/, ".test.ts"));
  const first = LIKELY[basename(file)];
  const suites = [...(first === undefined ? [] : [first]), ...SUITES].map((name) => join("test", "verify", `${name}.test.ts`));
  return [...new Set([...(existsSync(join(folder, beside)) ? [beside] : []), ...suites])];
}

/** The suite that turns red, or undefined. */
function noticedBy(folder: string, file: string): string | undefined {
  for (const suite of suitesFor(folder, file)) {
    const run = spawnSync(process.execPath, ["--conditions=source", "--test", "--test-reporter=dot", suite], {
      cwd: folder,
      stdio: "ignore",
      timeout: 180_000,
    });
    if (run.status !== 0) return basename(suite, ".test.ts");
  }
  return undefined;
}

/** So many of a list, the same for the same seed. */
function sampled<T>(list: readonly T[], count: number, seed: number): readonly T[] {
  let state = seed >>> 0;
  const keyed = list.map((item) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) >>> 0;
    return { item, key: state };
  });
  return keyed
    .toSorted((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ item }) => item);
}

const { values } = parseArgs({
  options: {
    sample: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" },
    list: { type: "boolean", default: false },
  },
});
const all = FILES.flatMap(mutantsOf).filter(
  ({ file, line }) => values.only === undefined || `${file}:${line}`.includes(values.only),
);
// The day is the seed unless one is given: over the weeks a sample sees them all.
const seed = values.seed === undefined ? Math.floor(Date.now() / 86_400_000) : Number(values.seed);
const chosen = values.sample === undefined ? all : sampled(all, Number(values.sample), seed);
if (values.list) {
  for (const { file, line, what } of all) console.log(`${file}:${line}: ${what}`);
  process.exit(0);
}

const folder = prepare();
const survivors: string[] = [];
try {
  const clean = noticedBy(folder, "none");
  if (clean !== undefined) {
    console.error(`the suite ${clean} is red without any mutant`);
    process.exit(1);
  }
  for (const { file, line, what, source } of chosen) {
    const path = join(folder, file);
    writeFileSync(path, source);
    const suite = noticedBy(folder, file);
    cpSync(join(ROOT, file), path);
    const text = `${file}:${line}: ${what}`;
    console.log(suite === undefined ? `SURVIVED ${text}` : `noticed by ${suite}: ${text}`);
    if (suite === undefined) survivors.push(text);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${chosen.length - survivors.length} passed, ${survivors.length} failed (of ${all.length} checks, seed ${seed})`);
process.exit(survivors.length === 0 ? 0 : 1);
