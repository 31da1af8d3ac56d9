// SPDX-License-Identifier: Apache-2.0
/**
 * What a verified statement has to say: conditions in CEL (`--condition`), and cosign's policies (`--policy`).
 *
 * They run over what verification proved, after it. A condition that is false or has no value refuses, with what was found.
 *
 * A `.rego` or `.cue` policy is run by the `opa` or `cue` program on the path, as cosign runs it in itself: Rego in its older
 * dialect, asked for `data.signature.allow`, which has to be the one value `true`; CUE by validation. The program gets the
 * statement as it was signed, a copy of the policy in a folder of its own, no environment but its path, no network as far as
 * it lets itself be forbidden that, and half a minute. Without the program there is no answer, and that is said.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, extname, isAbsolute, join } from "node:path";
import { LacreError, type LacreCode } from "@lacre/core/errors";
import { CODES } from "@lacre/core/errors";
import { CHECKS, type Verdict } from "@lacre/core/verify";
import type { Condition } from "@lacre/services/gate";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readNamed } from "./trust.ts";
import { type FlagTable, type FlagValues, list } from "./verb.ts";

export const CONDITION_FLAGS = {
  condition: list("What the statement must say, in CEL: 'predicate.builder.id == \"…\"'; repeated: all of them", {
    placeholder: "expression",
  }),
  policy: list("A policy that the statement must keep: .rego by the opa program, .cue by the cue program", {
    placeholder: "file",
  }),
} as const satisfies FlagTable;

/** Why a statement does not do. */
export interface Unmet {
  readonly code: LacreCode;
  readonly message: string;
  readonly expected: string;
  readonly found: string;
}

/** Conditions ready to be held against verdicts. */
export interface Conditions {
  /** Whether every statement has to do, as with cosign's policies, or one is enough. */
  readonly isForAll: boolean;
  /** What a verified verdict lacks; undefined when nothing. Throws PROGRAM_MISSING, PROGRAM_FAILED. */
  check(verdict: Verdict, subject: Subject): Promise<Unmet | undefined>;
}

/** What is judged: kind, name, digests as the command computed them. */
export interface Subject {
  readonly kind: "file" | "image";
  readonly name: string;
  readonly digests: Readonly<Record<string, string>>;
}

interface Program {
  readonly name: "opa" | "cue";
  readonly policies: readonly Uint8Array[];
}

/** Reads the flags; undefined where none is given. Throws CONDITION_INVALID, USAGE, PROGRAM_MISSING, FILE_UNREADABLE. */
export async function openConditions(
  context: Context,
  flags: FlagValues<typeof CONDITION_FLAGS>,
): Promise<Conditions | undefined> {
  const { condition = [], policy = [] } = flags;
  if (condition.length === 0 && policy.length === 0) return undefined;
  const { gatherFacts, parseCondition } = await import("@lacre/services/gate");
  const conditions: readonly Condition[] = condition.map((source) => parseCondition(source, "--condition"));
  const programs = await readPolicies(context, policy);
  return {
    isForAll: programs.length > 0,
    async check(verdict, subject) {
      if (conditions.length > 0) {
        let facts;
        try {
          facts = gatherFacts(subject, verdict, context.now());
        } catch (error) {
          if (!(error instanceof LacreError)) throw error;
          return {
            code: "CONDITION_FAILED",
            message: error.message,
            expected: condition[0]!,
            found: error.expected ?? "nothing",
          };
        }
        for (const one of conditions) {
          const finding = one.evaluate(facts);
          if (finding.outcome === "false")
            return {
              code: "CONDITION_FALSE",
              message: "a condition on the statement is false",
              expected: one.source,
              found: finding.found,
            };
          if (finding.outcome === "failed")
            return {
              code: "CONDITION_FAILED",
              message: "a condition on the statement has no value",
              expected: one.source,
              found: finding.reason,
            };
        }
      }
      for (const program of programs) {
        const unmet = await runProgram(context, program, verdict);
        if (unmet !== undefined) return unmet;
      }
      return undefined;
    },
  };
}

/** The verdict of a bundle whose statement does not do: refused, and with nothing that only a verified one has. */
export function refuseVerdict(
  { schema, checks, warnings, trustedRoot }: Verdict,
  { code, message, expected, found }: Unmet,
): Verdict {
  return {
    schema,
    outcome: "refused",
    checks: checks.map((check) =>
      check.id === "J6"
        ? {
            id: "J6",
            name: CHECKS.J6,
            status: "fail",
            code,
            message,
            expected,
            found: found.slice(0, 600),
            hint: CODES[code].hint,
          }
        : check,
    ),
    warnings,
    ...(trustedRoot === undefined ? {} : { trustedRoot }),
  };
}

const TIMEOUT_MS = 30_000;
const MAX_ANSWER = 1 << 20;

async function readPolicies(context: Context, paths: readonly string[]): Promise<readonly Program[]> {
  const rego: Uint8Array[] = [];
  const cue: Uint8Array[] = [];
  for (const path of paths) {
    const kind = extname(path);
    if (kind !== ".rego" && kind !== ".cue")
      throw new CliError("USAGE", `${path} is neither .rego nor .cue`, {
        hint: "Conditions in CEL are given by --condition; a policy for artifacts by lacre verify --policy-file.",
      });
    (kind === ".rego" ? rego : cue).push(await readNamed(context, path));
  }
  const programs: Program[] = [
    { name: "cue" as const, policies: cue },
    { name: "opa" as const, policies: rego },
  ].filter(({ policies }) => policies.length > 0);
  // Before anything is verified: a policy that cannot be run is no policy that holds.
  for (const { name } of programs) findProgram(context, name);
  return programs;
}

/** The program on the path. Relative and empty parts of it are passed over. */
function findProgram(context: Context, name: "opa" | "cue"): string {
  for (const folder of (context.env["PATH"] ?? "").split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    for (const file of process.platform === "win32" ? [`${name}.exe`] : [name]) {
      const path = join(folder, file);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Looked at the next.
      }
    }
  }
  const language = name === "opa" ? "Rego" : "CUE";
  throw new CliError("PROGRAM_MISSING", `${language} is run by the ${name} program, and there is none on the path`, {
    hint: `Install ${name}, or say the same in CEL: --condition 'predicate.builder.id == "…"'.`,
  });
}

async function runProgram(context: Context, { name, policies }: Program, verdict: Verdict): Promise<Unmet | undefined> {
  if (verdict.payload === undefined || verdict.predicateType === undefined)
    return { code: "CONDITION_FAILED", message: "a policy is about statements", expected: "a statement", found: "a signature" };
  const program = findProgram(context, name);
  const folder = await mkdtemp(join(tmpdir(), "lacre-policy-"));
  try {
    const files = policies.map((_, at) => join(folder, `policy${at}.${name === "opa" ? "rego" : "cue"}`));
    for (const [at, policy] of policies.entries()) await writeFile(files[at]!, policy);
    const statement = Buffer.from(verdict.payload, "base64");
    return name === "opa" ? await askOpa(program, folder, files, statement) : await askCue(program, folder, files, statement);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const QUERY = "data.signature.allow";

async function askOpa(
  program: string,
  folder: string,
  files: readonly string[],
  statement: Uint8Array,
): Promise<Unmet | undefined> {
  const known = await runIn(program, ["capabilities", "--current"], folder, new Uint8Array());
  const capabilities = parseAnswer(known, "opa") as object;
  const allowed = join(folder, "capabilities.json");
  await writeFile(allowed, JSON.stringify({ ...capabilities, allow_net: [] }));
  const data = files.flatMap((file) => ["--data", file]);
  const answer = await runIn(
    program,
    [
      "eval",
      "--v0-compatible",
      "--stdin-input",
      "--format=json",
      "--timeout=25s",
      "--strict-builtin-errors",
      "--capabilities",
      allowed,
      ...data,
      QUERY,
    ],
    folder,
    statement,
  );
  const { result = [] } = parseAnswer(answer, "opa") as {
    readonly result?: readonly { readonly expressions?: readonly { readonly value?: unknown }[] }[];
  };
  const [only, ...more] = result.flatMap(({ expressions = [] }) => expressions);
  if (only?.value === true && more.length === 0) return undefined;
  const found = only === undefined ? "undefined" : JSON.stringify([only, ...more].map(({ value }) => value)).slice(0, 300);
  return {
    code: "CONDITION_FALSE",
    message: "the Rego policy does not allow the statement",
    expected: `${QUERY} is true`,
    found,
  };
}

async function askCue(
  program: string,
  folder: string,
  files: readonly string[],
  statement: Uint8Array,
): Promise<Unmet | undefined> {
  const input = join(folder, "statement.json");
  await writeFile(input, statement);
  const { status, stdout, stderr } = await runIn(program, ["vet", "--concrete", ...files, input], folder, new Uint8Array());
  if (status === 0 && stdout.trim() === "") return undefined;
  const found = stderr.replaceAll(`${folder}/`, "").replaceAll(/\s+/g, " ").trim().slice(0, 300);
  // The program's own usage errors and what validation finds have one status; either way nothing was shown to hold.
  return {
    code: "CONDITION_FALSE",
    message: "the CUE policy does not hold for the statement",
    expected: "cue vet finds nothing",
    found,
  };
}

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function parseAnswer({ status, stdout, stderr }: Answer, name: string): unknown {
  if (status === 0) {
    try {
      return JSON.parse(stdout);
    } catch {
      // Told below.
    }
  }
  const said = `${stderr} ${stdout}`.replaceAll(/\s+/g, " ").trim().slice(0, 300);
  throw new CliError("PROGRAM_FAILED", `${name} gave no answer: ${said === "" ? `status ${status ?? "none"}` : said}`);
}

function runIn(program: string, args: readonly string[], folder: string, input: Uint8Array): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: folder,
      env: { PATH: process.env["PATH"], HOME: folder, TMPDIR: folder, CUE_REGISTRY: "none", CUE_CACHE_DIR: folder },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const parts = { stdout: "", stderr: "" };
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    let isLong = false;
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8");
      child[name].on("data", (text: string) => {
        parts[name] += text;
        if (parts[name].length <= MAX_ANSWER) return;
        isLong = true;
        child.kill("SIGKILL");
      });
    }
    // A program that does not read its input is told by its status.
    child.stdin.on("error", () => undefined);
    child.on("error", (cause) => {
      clearTimeout(timer);
      reject(new CliError("PROGRAM_FAILED", `${program} could not be run`, { cause }));
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (signal !== null) {
        const why = isLong
          ? "said too much"
          : signal === "SIGKILL"
            ? `took longer than ${TIMEOUT_MS / 1000} seconds`
            : `ended by ${signal}`;
        reject(new CliError("PROGRAM_FAILED", `${program} ${why}`));
      } else resolve({ status, ...parts });
    });
    child.stdin.end(input);
  });
}
