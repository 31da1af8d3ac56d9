// SPDX-License-Identifier: Apache-2.0
/**
 * Conditions in CEL over what verification proved (https://cel.dev, by `@bufbuild/cel`).
 *
 *     predicate.runDetails.builder.id == "https://github.com/actions/runner"
 *     predicate.scanner.result.all(finding, finding.severity != "CRITICAL")
 *     now - signedAt < duration("720h")
 *
 * A condition holds when its value is `true`. An error (a missing field, a division by zero, types that do not fit) is a
 * refusal, and so is a value that is no boolean. Names and functions are checked when the condition is read: a misspelt
 * variable is a mistake in the policy, not a refusal of every artifact.
 *
 * The work of one evaluation is bounded, whatever statement an attacker signs and whatever the author of the policy wrote:
 * the expression by its length and nesting, the rest by a budget. Every call is charged for the octets and elements it
 * looks at, every loop for its length times its body before it starts. What is spent cannot be hidden behind `||`: an
 * evaluation that ran out is refused. Patterns are RE2.
 */
import { celEnv, celError, celFunc, celList, CelScalar, isCelError, isCelList, isCelMap, parse, plan } from "@bufbuild/cel";
import { RE2JS } from "re2js";
import { LacreError } from "@lacre/core/errors";
import type { Facts } from "./facts.ts";
import { FACT_NAMES } from "./facts.ts";
import { nearest } from "./section.ts";

/** What came of one evaluation. */
export type Finding =
  | { readonly outcome: "holds" }
  /** The value was false; `found` shows what the names in it stood for. */
  | { readonly outcome: "false"; readonly found: string }
  /** No value: why. */
  | { readonly outcome: "failed"; readonly reason: string };

/** A condition, read and ready. */
export interface Condition {
  readonly source: string;
  /** Judges proved facts. Never throws, never does more than its budget allows. */
  evaluate(facts: Facts): Finding;
}

const MAX_SOURCE = 4096;
const MAX_NESTING = 40;
const MAX_NODES = 2000;
/** Loops within loops. */
const MAX_LOOPS = 3;
const MAX_TEXT = 1 << 20;
const MAX_ELEMENTS = 200_000;
/** Of one evaluation, in units of about a nanosecond. */
export const BUDGET = 200_000_000;
const MAX_PATTERN = 1000;

type Expression = NonNullable<ReturnType<typeof parse>["expr"]>;
type Value = Exclude<ReturnType<ReturnType<typeof plan>>, Error>;

/** Functions that the planner makes itself, and ours. */
const BUILT_IN = new Set(["_&&_", "_||_", "_?_:_", "_[_]", "@not_strictly_false", "__not_strictly_false__"]);
const TYPES = new Set(["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"]);

/** Reads a condition; `where` names it in refusals. Throws CONDITION_INVALID. */
export function parseCondition(source: string, where: string): Condition {
  if (source.length > MAX_SOURCE)
    throw invalid(where, "is too long", { expected: `at most ${MAX_SOURCE} characters`, found: `${source.length}` });
  if (source.trim() === "") throw invalid(where, "is empty");
  const meter = new Meter();
  const env = chargedEnvironment(meter);
  let expression: Expression | undefined;
  try {
    expression = parse(source).expr;
  } catch (cause) {
    throw invalid(where, "is not CEL", { found: (cause as Error).message.replaceAll("<input>:", "at ").slice(0, 200), cause });
  }
  if (expression === undefined) throw invalid(where, "is empty");
  const walk = new Walk(where, (name) => env.funcs.find(name) !== undefined);
  const charged = walk.prepare(expression, new Set(), 0, 0);
  let run: ReturnType<typeof plan>;
  try {
    run = plan(env, charged);
  } catch (cause) {
    throw invalid(where, "cannot be evaluated", { found: (cause as Error).message.slice(0, 200), cause });
  }
  return {
    source,
    evaluate(facts) {
      meter.restart();
      let value: Value | Error;
      try {
        value = run(facts.variables as never);
      } catch (error) {
        value = error as Error;
      }
      if (meter.isSpent) return { outcome: "failed", reason: "it costs more than a condition may" };
      if (isCelError(value) || value instanceof Error) return { outcome: "failed", reason: value.message.slice(0, 300) };
      if (value === true) return { outcome: "holds" };
      if (value === false)
        return {
          outcome: "false",
          found: walk.paths
            .map((path) => facts.show(path))
            .join(", ")
            .slice(0, 600),
        };
      return { outcome: "failed", reason: "its value is neither true nor false" };
    },
  };
}

function invalid(
  where: string,
  sentence: string,
  detail: { expected?: string; found?: string; cause?: unknown } = {},
): LacreError {
  return new LacreError("CONDITION_INVALID", `${where} ${sentence}`, detail);
}

/** What an evaluation has left. */
class Meter {
  #left = BUDGET;

  restart(): void {
    this.#left = BUDGET;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }

  /** Takes from the budget; throws when it is spent, and from then on every time. */
  charge(units: number): void {
    this.#left -= units;
    if (this.#left < 0 || Number.isNaN(this.#left)) {
      this.#left = -Infinity;
      throw new Error("the budget is spent");
    }
  }
}

/** Reads an expression once: checks its names, finds what it is about, and puts the charge in front of each loop. */
class Walk {
  /** Chains of names that begin at a fact: `predicate.builder.id`. */
  readonly paths: (readonly string[])[] = [];
  readonly #where: string;
  readonly #hasFunction: (name: string) => boolean;
  #nodes = 0;

  constructor(where: string, hasFunction: (name: string) => boolean) {
    this.#where = where;
    this.#hasFunction = hasFunction;
  }

  prepare(expression: Expression, bound: ReadonlySet<string>, depth: number, loops: number): Expression {
    if (++this.#nodes > MAX_NODES || depth > MAX_NESTING) throw invalid(this.#where, "is too large or nested too deep");
    const { exprKind } = expression;
    const go = <T extends Expression | undefined>(inner: T, names = bound, deeper = loops): T =>
      (inner === undefined ? undefined : this.prepare(inner, names, depth + 1, deeper)) as T;
    switch (exprKind.case) {
      case "constExpr":
        return expression;
      case "identExpr":
        this.#checkName(exprKind.value.name, bound);
        this.#note(expression, bound);
        return expression;
      case "selectExpr":
        this.#note(expression, bound);
        return replace(expression, { ...exprKind.value, operand: go(exprKind.value.operand) });
      case "listExpr":
        return replace(expression, { ...exprKind.value, elements: exprKind.value.elements.map((one) => go(one)) });
      case "structExpr": {
        if (exprKind.value.messageName !== "")
          throw invalid(this.#where, "makes a message, which conditions do not", { found: exprKind.value.messageName });
        const entries = exprKind.value.entries.map((entry) => ({
          ...entry,
          ...(entry.keyKind.case === "mapKey" ? { keyKind: { ...entry.keyKind, value: go(entry.keyKind.value) } } : {}),
          value: go(entry.value),
        }));
        return replace(expression, { ...exprKind.value, entries });
      }
      case "callExpr": {
        const call = exprKind.value;
        if (!BUILT_IN.has(call.function) && !this.#hasFunction(call.function))
          throw invalid(this.#where, "calls a function that does not exist", { found: call.function.slice(0, 60) });
        return replace(expression, { ...call, target: go(call.target), args: call.args.map((one) => go(one)) });
      }
      case "comprehensionExpr": {
        if (loops >= MAX_LOOPS)
          throw invalid(this.#where, "has too many loops within one another", { expected: `at most ${MAX_LOOPS}` });
        const loop = exprKind.value;
        const inside = new Set([...bound, loop.accuVar, loop.iterVar]);
        const iterRange = go(loop.iterRange);
        const before = this.#nodes;
        const body = {
          accuInit: go(loop.accuInit),
          loopCondition: go(loop.loopCondition, inside, loops + 1),
          loopStep: go(loop.loopStep, inside, loops + 1),
          result: go(loop.result, inside),
        };
        const size = this.#nodes - before;
        return replace(expression, { ...loop, ...body, iterRange: chargedRange(iterRange!, size) });
      }
      default:
        throw invalid(this.#where, "has a part that is not read");
    }
  }

  #checkName(name: string, bound: ReadonlySet<string>): void {
    if (bound.has(name) || TYPES.has(name) || FACT_NAMES.includes(name)) return;
    const near = nearest(name, FACT_NAMES);
    throw invalid(this.#where, "uses a name that does not exist", {
      expected: near === undefined ? FACT_NAMES.join(", ") : `${near} (did you mean that?)`,
      found: name.slice(0, 60),
    });
  }

  // The longest chains only, a few of them: they are for people.
  #note(expression: Expression, bound: ReadonlySet<string>): void {
    const path = pathOf(expression);
    if (path === undefined || bound.has(path[0]!) || !FACT_NAMES.includes(path[0]!) || this.paths.length >= 8) return;
    const text = path.join("\0");
    if (!this.paths.some((known) => known.join("\0") === text || known.join("\0").startsWith(`${text}\0`))) this.paths.push(path);
  }
}

function replace(expression: Expression, value: object): Expression {
  return { ...expression, exprKind: { case: expression.exprKind.case, value } } as Expression;
}

function pathOf({ exprKind }: Expression): readonly string[] | undefined {
  if (exprKind.case === "identExpr") return [exprKind.value.name];
  if (exprKind.case !== "selectExpr" || exprKind.value.operand === undefined || exprKind.value.testOnly) return undefined;
  const before = pathOf(exprKind.value.operand);
  return before === undefined ? undefined : [...before, exprKind.value.field];
}

/** The range of a loop, charged for its length times its body. `@` is in no name that an author can write. */
const RANGE = "@range";

function chargedRange(range: Expression, bodyNodes: number): Expression {
  const size = {
    $typeName: "cel.expr.Expr",
    id: range.id,
    exprKind: {
      case: "constExpr",
      value: { $typeName: "cel.expr.Constant", constantKind: { case: "int64Value", value: BigInt(bodyNodes) } },
    },
  };
  return {
    $typeName: "cel.expr.Expr",
    id: range.id,
    exprKind: { case: "callExpr", value: { $typeName: "cel.expr.Expr.Call", function: RANGE, args: [range, size] } },
  } as unknown as Expression;
}

/** The standard functions, each charged for what it is handed. */
function chargedEnvironment(meter: Meter): ReturnType<typeof celEnv> {
  const env = celEnv({ funcs: [celFunc(RANGE, [CelScalar.DYN, CelScalar.INT], CelScalar.DYN, () => true)] });
  const patterns = new Map<string, RE2JS>();
  const find = (name: string): unknown => {
    const func = env.funcs.find(name);
    if (func === undefined) return undefined;
    const called = (id: number, target: Value | undefined, args: Value[]): unknown => {
      const given = target === undefined ? args : [target, ...args];
      chargeCall(meter, name, given);
      if (name === RANGE) return materialize(meter, args[0], Number(args[1]));
      if (name === "_+_" && isCelList(args[0]) && isCelList(args[1])) return concatenate(args[0], args[1]);
      if (name === "matches" && given.length === 2 && typeof given[0] === "string" && typeof given[1] === "string")
        return matches(patterns, given[1], given[0]);
      const result: unknown = func.call(id, target, args);
      if (typeof result === "string" || result instanceof Uint8Array) {
        meter.charge(result.length);
        if (result.length > MAX_TEXT) meter.charge(Infinity);
      }
      return result;
    };
    return {
      name,
      call(id: number, target: Value | undefined, args: Value[]): unknown {
        try {
          return called(id, target, args);
        } catch (error) {
          // An error is a value, which `||` may pass over. That the budget is spent is none: it ends the evaluation.
          if (meter.isSpent) throw error;
          return celError(error, id);
        }
      },
    };
  };
  return Object.create(env, { funcs: { value: { find } } }) as ReturnType<typeof celEnv>;
}

/** Functions that compare deeply. */
const COMPARING = new Set(["_==_", "_!=_", "@in"]);
/** Functions that read a text as something short. */
const READING = new Set(["int", "uint", "double", "bool", "timestamp", "duration"]);

function chargeCall(meter: Meter, name: string, given: readonly Value[]): void {
  meter.charge(name.startsWith("get") ? 200_000 : 200);
  if (name === "@in" && isCelMap(given[1])) return;
  for (const value of given) {
    if (typeof value === "string" || value instanceof Uint8Array) {
      if (READING.has(name) && value.length > 128) throw new Error(`a text of ${value.length} characters is no ${name}`);
      meter.charge(value.length * (name === "size" ? 40 : name === "matches" ? 100 : 2));
    } else if (COMPARING.has(name)) weigh(meter, value, 0);
    else if (name === "_+_" && isCelList(value)) {
      if (value.size > MAX_ELEMENTS) meter.charge(Infinity);
      meter.charge(value.size * 4);
    }
  }
}

/** Charges for all that a comparison may walk through: values that are shared are walked each time. */
function weigh(meter: Meter, value: unknown, depth: number): void {
  meter.charge(100);
  if (depth > 100) throw new Error("a value is nested too deep");
  if (typeof value === "string" || value instanceof Uint8Array) meter.charge(value.length);
  else if (isCelList(value as Value)) for (const one of value as Iterable<unknown>) weigh(meter, one, depth + 1);
  else if (isCelMap(value as Value))
    for (const pair of value as Iterable<readonly [unknown, unknown]>) weigh(meter, pair[1], depth + 1);
}

function materialize(meter: Meter, value: Value | undefined, bodyNodes: number): unknown {
  const isMap = value !== undefined && isCelMap(value);
  if (!isMap && !(value !== undefined && isCelList(value))) throw new Error("a loop goes over a list or a map");
  meter.charge(value.size * (100 + 200 * bodyNodes));
  return celList(isMap ? Array.from(value, ([name]) => name) : (flat(value) as never));
}

// The library's own concatenation is a chain of lists that costs the square of its length to walk.
const arrays = new WeakMap<object, readonly unknown[]>();

function flat(list: Iterable<unknown>): readonly unknown[] {
  return arrays.get(list) ?? [...list];
}

function concatenate(left: Iterable<unknown>, right: Iterable<unknown>): unknown {
  const all = flat(left).concat(flat(right));
  const list = celList(all as never);
  arrays.set(list, all);
  return list;
}

function matches(known: Map<string, RE2JS>, pattern: string, value: string): unknown {
  let compiled = known.get(pattern);
  if (compiled === undefined) {
    if (pattern.length > MAX_PATTERN) throw new Error("a pattern is too long");
    compiled = RE2JS.compile(pattern);
    if (known.size < 64) known.set(pattern, compiled);
  }
  return compiled.test(value);
}
