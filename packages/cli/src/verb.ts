// SPDX-License-Identifier: Apache-2.0
/**
 * A verb of the command: its flags as a table, its operands, and what it does.
 *
 * From the same table come the types a verb receives, the reading of the command line (`arguments.ts`), the help text
 * and the completion (`help.ts`).
 */
import type { FlagShape, Line } from "./arguments.ts";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";

interface Described {
  readonly brief: string;
  readonly alias?: string;
  /** Understood, but not shown: deprecated or refused. */
  readonly hidden?: boolean;
  /** For the help: what the value is. */
  readonly placeholder?: string;
}

export interface TextFlag extends Described {
  readonly kind: "text";
}
export interface ChoiceFlag<T extends string = string> extends Described {
  readonly kind: "choice";
  readonly values: readonly T[];
}
export interface ListFlag extends Described {
  readonly kind: "list";
}
export interface ToggleFlag extends Described {
  readonly kind: "toggle";
}
export type Flag = TextFlag | ChoiceFlag | ListFlag | ToggleFlag;
export type FlagTable = Readonly<Record<string, Flag>>;

/** The values a verb receives for its table, by name in camel case. */
export type FlagValues<T extends FlagTable> = {
  readonly [K in keyof T]: T[K] extends ListFlag
    ? readonly string[] | undefined
    : T[K] extends ToggleFlag
      ? boolean | undefined
      : T[K] extends ChoiceFlag<infer V>
        ? V | undefined
        : string | undefined;
};

/** A flag with a value. */
export function text(brief: string, more: Omit<TextFlag, "kind" | "brief"> = {}): TextFlag {
  return { kind: "text", brief, ...more };
}

/** A flag with one of some values. */
export function choice<const T extends string>(
  values: readonly T[],
  brief: string,
  more: Omit<ChoiceFlag, "kind" | "brief" | "values"> = {},
): ChoiceFlag<T> {
  return { kind: "choice", values, brief, ...more };
}

/** A flag that may be given several times. */
export function list(brief: string, more: Omit<ListFlag, "kind" | "brief"> = {}): ListFlag {
  return { kind: "list", brief, ...more };
}

/** A flag without a value; undefined when not given. */
export function toggle(brief: string, more: Omit<ToggleFlag, "kind" | "brief"> = {}): ToggleFlag {
  return { kind: "toggle", brief, ...more };
}

/** A verb ready to be run. */
export interface Verb {
  /** What help and completion tell of it. */
  readonly about: Pick<VerbDefinition<FlagTable>, "brief" | "details" | "flags" | "operands">;
  readonly shapes: readonly FlagShape[];
  /** Whether `COSIGN_<FLAG>` counts for it. */
  readonly isCosign: boolean;
  /** Does it, and returns the exit status. Throws USAGE when there are too few operands or too many. */
  readonly run: (context: Context, line: Line) => Promise<number>;
}

export interface VerbDefinition<T extends FlagTable> {
  readonly brief: string;
  readonly details?: string;
  readonly flags: T;
  /** Name, meaning and number of operands. */
  readonly operands?: { readonly name: string; readonly brief: string; readonly minimum?: number; readonly maximum?: number };
  readonly isCosign?: boolean;
  /** Does it. What it returns is the exit status; undefined is 0. */
  readonly run: (context: Context, flags: FlagValues<T>, operands: readonly string[]) => Promise<number | void>;
}

const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Builds a verb from its definition. */
export function defineVerb<T extends FlagTable>(definition: VerbDefinition<T>): Verb {
  const { flags: table, operands } = definition;
  const shapes = Object.entries(table).map(([name, flag]) => ({
    name: kebab(name),
    takesValue: flag.kind !== "toggle",
    isList: flag.kind === "list",
    ...(flag.alias === undefined ? {} : { alias: flag.alias }),
  }));
  return {
    about: definition,
    shapes,
    isCosign: definition.isCosign ?? false,
    async run(context, line) {
      checkOperands(operands, line.operands);
      const values: Record<string, string | boolean | readonly string[]> = {};
      for (const [name, flag] of Object.entries(table)) {
        const given = line.flags.get(kebab(name));
        if (given !== undefined)
          values[name] = flag.kind === "list" ? given : flag.kind === "toggle" ? given[0] === "true" : given[0]!;
      }
      checkChoices(table, values);
      return (await definition.run(context, values as FlagValues<T>, line.operands)) ?? 0;
    },
  };
}

function checkChoices(table: FlagTable, values: Readonly<Record<string, unknown>>): void {
  for (const [name, flag] of Object.entries(table)) {
    const value = values[name];
    if (flag.kind !== "choice" || value === undefined || flag.values.includes(value as string)) continue;
    throw new CliError(
      "USAGE",
      `--${kebab(name)} is one of ${flag.values.join(", ")}, not ${JSON.stringify(value).slice(0, 40)}`,
    );
  }
}

function checkOperands(operands: VerbDefinition<FlagTable>["operands"], given: readonly string[]): void {
  const { name = "operand", minimum = 1, maximum = Infinity } = operands ?? { minimum: 0, maximum: 0 };
  if (given.length < minimum) throw new CliError("USAGE", `${name} is missing`);
  if (given.length > maximum) {
    throw new CliError("USAGE", maximum === 0 ? "this command takes no operands" : `at most ${maximum} ${name}`, {
      hint: `Remove ${JSON.stringify(given[maximum]!.slice(0, 80))}.`,
    });
  }
}
