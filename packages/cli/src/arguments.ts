// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a command line the way cosign's does.
 *
 * What scripts contain and is understood: `--flag value`, `--flag=value`, `--flag=` (empty), values that begin with a
 * dash or hold line ends, `--bool=false`, `-f value`, `-fvalue`, `-f=value`, single-dash long forms of the v1 days (with a
 * warning), `--cert…` for `--certificate…`, repeated flags (the last one counts, a warning when they differ), `--` as the
 * end of flags, and `COSIGN_<FLAG>` in the environment for any flag that the line does not give.
 */
import { CliError } from "./errors.ts";

/** What is needed to know of a flag to read a line. */
export interface FlagShape {
  /** Without dashes, in kebab case. */
  readonly name: string;
  /** Whether it takes a value; a toggle takes one only after `=`. */
  readonly takesValue: boolean;
  /** Whether every occurrence counts. */
  readonly isList: boolean;
  /** One letter. */
  readonly alias?: string;
}

/** What a line says: the flags that it gives, by name, in the order in which they appear, and the operands. */
export interface Line {
  /** A toggle's value is "true" or "false". */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
  readonly warnings: readonly string[];
}

/** Words that ask for help. */
export const HELP: ReadonlySet<string> = new Set(["--help", "-h", "--help-all", "-H"]);

// cosign has one flag in camel case, --digestAlg.
const kebab = (name: string): string => name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const TRUE = new Set(["true", "t", "1", "T", "TRUE", "True"]);
const FALSE = new Set(["false", "f", "0", "F", "FALSE", "False"]);

/**
 * Reads the arguments behind a command's name; the word itself where help is asked for. Throws USAGE for an unknown flag
 * or a missing value.
 */
export function readLine(
  args: readonly string[],
  flags: readonly FlagShape[],
  env: Readonly<Record<string, string | undefined>> = {},
): Line | string {
  const byName = new Map(flags.map((flag) => [flag.name, flag]));
  const byAlias = new Map(flags.flatMap((flag) => (flag.alias === undefined ? [] : [[flag.alias, flag] as const])));
  const warnings: string[] = [];
  const operands: string[] = [];
  const values = new Map<FlagShape, string[]>();

  const find = (name: string): FlagShape | undefined =>
    byName.get(name) ?? byName.get(name.replace(/^cert(?=$|-)/, "certificate")) ?? byName.get(kebab(name));
  const give = (flag: FlagShape, value: string): void => {
    const given = values.get(flag);
    if (given === undefined) values.set(flag, [value]);
    else if (flag.isList) given.push(value);
    else {
      if (given[0] !== value) warnings.push(`--${flag.name} is given twice; the last one counts`);
      given[0] = value;
    }
  };

  let at = 0;
  const take = (flag: FlagShape, spelled: string, joined: string | undefined): void => {
    if (joined !== undefined) give(flag, flag.takesValue ? joined : readBoolean(spelled, joined));
    else if (!flag.takesValue) give(flag, "true");
    else {
      const value = args[at++];
      if (value === undefined) throw new CliError("USAGE", `${spelled} needs a value`);
      give(flag, value);
    }
  };

  while (at < args.length) {
    const argument = args[at++]!;
    if (argument === "--") {
      operands.push(...args.slice(at));
      break;
    }
    if (HELP.has(argument)) return argument;
    if (!argument.startsWith("-") || argument === "-") {
      operands.push(argument);
      continue;
    }
    const isLong = argument.startsWith("--");
    const word = argument.slice(isLong ? 2 : 1);
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const joined = equals < 0 ? undefined : word.slice(equals + 1);

    if (!isLong && name.length === 1) {
      const flag = byAlias.get(name);
      if (flag === undefined) throw unknownFlag(`-${name}`, flags);
      take(flag, `-${name}`, joined);
      continue;
    }
    const negated = name.startsWith("no-") ? find(name.slice(3)) : undefined;
    const long = find(name);
    if (long !== undefined) {
      if (!isLong) warnings.push(`-${name} is read as --${long.name}; write two dashes`);
      take(long, `--${name}`, joined);
    } else if (negated !== undefined && !negated.takesValue && joined === undefined) {
      give(negated, "false");
    } else if (!isLong) {
      takeCluster(word, argument);
    } else {
      throw unknownFlag(`--${name}`, flags);
    }
  }

  /** `-dy`, `-ojson`, `-a=y=1`, `-ay=1`: toggles by letter until one takes the rest as its value. */
  function takeCluster(word: string, argument: string): void {
    for (let i = 0; i < word.length; i++) {
      const flag = byAlias.get(word[i]!);
      if (flag === undefined) throw unknownFlag(argument, flags);
      const rest = word.slice(i + 1);
      if (flag.takesValue) return take(flag, `-${word[i]!}`, rest === "" ? undefined : rest.replace(/^=/, ""));
      give(flag, "true");
    }
  }

  for (const flag of flags) {
    const value = env[`COSIGN_${flag.name.toUpperCase().replaceAll("-", "_")}`];
    if (value === undefined || value === "" || values.has(flag)) continue;
    for (const one of flag.isList ? value.split(",") : [value])
      give(flag, flag.takesValue ? one : readBoolean(`COSIGN_${flag.name.toUpperCase()}`, one));
  }

  return { flags: new Map([...values].map(([flag, given]) => [flag.name, given])), operands, warnings };
}

function readBoolean(spelled: string, value: string): "true" | "false" {
  if (TRUE.has(value)) return "true";
  if (FALSE.has(value)) return "false";
  throw new CliError("USAGE", `${spelled} is true or false, not ${JSON.stringify(value.slice(0, 40))}`);
}

function unknownFlag(spelled: string, flags: readonly FlagShape[]): CliError {
  const name = spelled.replace(/^-+/, "");
  const near = flags
    .map((flag) => ({ flag, cost: distance(name, flag.name) }))
    .filter(({ flag, cost }) => cost <= Math.max(2, flag.name.length / 4));
  near.sort((a, b) => a.cost - b.cost);
  return new CliError(
    "USAGE",
    `unknown flag ${spelled}`,
    near[0] === undefined ? {} : { hint: `Did you mean --${near[0].flag.name}?` },
  );
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    previous = row;
  }
  return previous[b.length]!;
}
