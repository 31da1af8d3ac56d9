// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { type Decision, parseCases, type PolicyCase } from "@lacre/services/gate";
import type { Context } from "../../context.ts";
import { CliError, fileError, reportOf } from "../../errors.ts";
import { GATE_FLAGS, type GateFlags, judgeOperand, type Loaded, loadPolicy } from "../../gating.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { IMAGE_FLAGS } from "../../images/flags.ts";
import { plain } from "../../terminal.ts";
import { readNamed } from "../../trust.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";

const { trustedRoot, dir, offline, output } = GATE_FLAGS;

export const verb: Verb = defineVerb({
  brief: "Hold a policy against cases with known outcomes",
  details: `  lacre policy test policy.yaml --cases cases.yaml
  lacre policy test policy.yaml --cases cases/

A file has a list: cases: [{artifact, bundles, name, expect: verified|warned|refused, code, now}], with paths relative to it.
In a folder each folder is a case: its bundles are *.sigstore.json, its artifact the one other file; it has to be verified,
or refused where its name ends in _fail. The last line is "N passed, N failed". Exit status: 0 all as expected, 1 not.`,
  flags: {
    cases: text("The cases: a file, or a folder of folders", { placeholder: "path" }),
    trustedRoot,
    dir,
    offline,
    output,
    ...IMAGE_FLAGS,
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "The policy", maximum: 1 },
  async run(given, flags, [path]) {
    const context = applyGlobals(given, flags);
    if (flags.cases === undefined) throw new CliError("USAGE", "--cases is missing: what is the policy held against?");
    const loaded = await loadPolicy(context, path!, flags);
    const found = await readCases(context, flags.cases);
    const asJson = flags.output === "json";
    let failed = 0;
    const progress = context.terminal.progress("cases", found.cases.length);
    for (const one of found.cases) {
      const result = await tryCase({ ...context, cwd: found.folder }, loaded, one, absolute(context, flags));
      progress.advance(1);
      if (!result.passed) failed++;
      if (asJson) context.terminal.result(JSON.stringify({ artifact: one.artifact, expect: one.expect, ...result }));
      else if (!result.passed)
        context.terminal.complain(
          `${context.terminal.style("stderr", "red", "FAILED")} ${plain(one.artifact)}: expected ${plain(expectedOf(one))}, got ${plain(result.got)}`,
        );
      else context.terminal.say(`ok     ${plain(one.artifact)}: ${plain(result.got)}`);
    }
    progress.end();
    const passed = found.cases.length - failed;
    context.terminal.result(asJson ? JSON.stringify({ passed, failed }) : `${passed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  },
});

const expectedOf = ({ expect, code }: PolicyCase): string => (code === undefined ? expect : `${expect} [${code}]`);

// Paths on the command line are relative to where it runs, those in cases to the cases.
function absolute(context: Context, flags: GateFlags): GateFlags {
  const whole = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(context.cwd, path));
  return { ...flags, trustedRoot: whole(flags.trustedRoot), dir: whole(flags.dir) };
}

interface CaseResult {
  readonly passed: boolean;
  readonly got: string;
  readonly decision?: Decision;
}

async function tryCase(context: Context, loaded: Loaded, one: PolicyCase, flags: GateFlags): Promise<CaseResult> {
  let decision: Decision;
  try {
    const operand = existsSync(resolve(context.cwd, one.artifact)) ? resolve(context.cwd, one.artifact) : one.artifact;
    const bundle = one.bundles.length === 0 ? undefined : one.bundles;
    const name = one.name ?? (operand === one.artifact ? undefined : relative(context.cwd, operand));
    decision = await judgeOperand(context, loaded, operand, { ...flags, bundle, artifactName: name }, one.nowMs);
  } catch (error) {
    // What could not be looked at is no outcome that a case can expect.
    const { code, message } = reportOf(error);
    return { passed: false, got: `an error: ${message} [${code}]` };
  }
  const passed = decision.outcome === one.expect && (one.code === undefined || one.code === decision.code);
  const reason = decision.reason === undefined ? "" : ` [${decision.code ?? ""}] ${decision.reason}`;
  return { passed, got: `${decision.outcome}${reason}`, decision };
}

async function readCases(
  context: Context,
  path: string,
): Promise<{ readonly folder: string; readonly cases: readonly PolicyCase[] }> {
  const whole = resolve(context.cwd, path);
  const facts = await stat(whole).catch((cause: unknown) => {
    throw fileError("FILE_UNREADABLE", path, cause);
  });
  if (!facts.isDirectory()) return { folder: dirname(whole), cases: parseCases(await readNamed(context, path), path) };
  const entries = await readdir(whole, { withFileTypes: true });
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
  if (folders.length === 0) throw new CliError("USAGE", `${path} has no folders, and each case is one`);
  const cases: PolicyCase[] = [];
  for (const folder of folders) {
    const files = (await readdir(join(whole, folder))).toSorted();
    const bundles = files.filter((file) => /\.sigstore\.jsonl?$/.test(file));
    const rest = files.filter((file) => !bundles.includes(file));
    if (rest.length !== 1)
      throw new CliError("USAGE", `${join(path, folder)} has ${rest.length} files beside its bundles, and a case has one`);
    cases.push({
      artifact: join(folder, rest[0]!),
      bundles: bundles.map((file) => join(folder, file)),
      name: rest[0]!,
      expect: folder.endsWith("_fail") ? "refused" : "verified",
      code: undefined,
      nowMs: undefined,
    });
  }
  return { folder: whole, cases };
}
