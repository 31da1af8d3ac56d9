// SPDX-License-Identifier: Apache-2.0
/**
 * npm run fuzz -- [--seconds N] [--only NAME[,NAME]] [--seed N] [--targets DIR]
 *
 * Feeds damaged input to every decoder. A target is a file beside this one that exports
 *
 *     name: string                                  how it is called here
 *     seeds: Uint8Array[] | (() => Uint8Array[])    good input to start from
 *     target(bytes: Uint8Array): void               in which only LacreError may escape
 *
 * Anything else that escapes, and any call that takes longer than five seconds, fails the target; the input is printed
 * in hexadecimal with the seed that finds it again. Inputs that draw a refusal not seen before join the seeds, so that
 * later inputs start deeper. The search is a function of the seed and of how far the time (N seconds a target) reaches.
 * Last line: `N passed, N failed`; exit 1 if any failed.
 */
import { globSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { LacreError } from "../packages/core/src/errors.ts";

interface Target {
  readonly name: string;
  readonly seeds: readonly Uint8Array[] | (() => readonly Uint8Array[]);
  readonly target: (bytes: Uint8Array) => void;
}

/** Numbers from a seed, 32 bits each (mulberry32): the same in every run. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

// Octets on which lengths, signs, and the syntax of our texts turn.
const OCTETS = [0x00, 0x01, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xfe, 0xff, ...Buffer.from('0019-+.eE"\\{}[],:= \t\r\n/@')];
const WORDS = [
  "00",
  "ff",
  "7f",
  "80",
  "0000",
  "ffff",
  "7fff",
  "8000",
  "00000000",
  "ffffffff",
  "7fffffff",
  "80000000",
  "0000000000000000",
  "ffffffffffffffff",
  "8000000000000000",
].map((digits) => Buffer.from(digits, "hex"));
const TEXTS = [
  "null",
  "true",
  "-1",
  "1e400",
  "9007199254740993",
  "18446744073709551616",
  "\\u0000",
  "\\ud800",
  "\ufeff",
  "__proto__",
  "— ",
  "==",
].map((text) => Buffer.from(text));

function splice(bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - removed + inserted.length);
  out.set(bytes.subarray(0, at));
  out.set(inserted, at);
  out.set(bytes.subarray(at + removed), at + inserted.length);
  return out;
}

/** One change to an input; `other` is another good input to borrow from. */
function mutate(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const { length } = bytes;
  const at = random.below(length + 1);
  const span = Math.min(length - at, 1 + random.below(random.of([1, 4, 16, 64, 1024])));
  switch (random.below(10)) {
    case 0:
    case 1: {
      if (length === 0) return Uint8Array.of(random.below(256));
      const out = bytes.slice();
      out[Math.min(at, length - 1)]! ^= 1 << random.below(8);
      return out;
    }
    case 2: {
      const out = bytes.slice();
      if (length > 0) out[Math.min(at, length - 1)] = random.of(OCTETS);
      return out;
    }
    case 3:
      return bytes.slice(0, at);
    case 4:
      return splice(bytes, at, span, new Uint8Array());
    case 5:
      // A stretch twice, or somewhere else again.
      return splice(bytes, random.below(length + 1), 0, bytes.subarray(at, at + span));
    case 6: {
      const from = random.below(other.length + 1);
      return splice(bytes, at, random.below(2) * span, other.subarray(from, from + 1 + random.below(64)));
    }
    case 7: {
      const word = random.of(WORDS);
      return splice(bytes, at, Math.min(word.length, length - at), word);
    }
    case 8:
      return splice(bytes, at, random.below(2) * span, random.of(TEXTS));
    default:
      return splice(
        bytes,
        at,
        0,
        Uint8Array.from({ length: 1 + random.below(8) }, () => random.below(256)),
      );
  }
}

const SLOW_MS = 5000;
const LARGEST = 1 << 17;

interface Outcome {
  readonly inputs: number;
  readonly accepted: number;
  readonly refusals: number;
  readonly failure: { readonly input: Uint8Array; readonly reason: string } | undefined;
}

function search({ seeds, target }: Target, seed: number, milliseconds: number): Outcome {
  const random = new Random(seed);
  const corpus = [...(typeof seeds === "function" ? seeds() : seeds)];
  const known = new Set<string>();
  let inputs = 0;
  let accepted = 0;
  const refusals = (): number => known.size;
  const started = performance.now();
  const waiting = [new Uint8Array(), ...corpus];
  for (;;) {
    const before = performance.now();
    if (waiting.length === 0 && before - started > milliseconds)
      return { inputs, accepted, refusals: refusals(), failure: undefined };
    let input = waiting.pop();
    if (input === undefined) {
      input = random.of(corpus);
      for (let changes = 1 + random.below(random.of([1, 2, 6])); changes > 0; changes--)
        input = mutate(random, input, random.of(corpus));
      if (input.length > LARGEST) input = input.slice(0, LARGEST);
    }
    inputs++;
    try {
      // A copy: a target that writes into its input would make the search forget what it tried.
      target(input.slice());
      accepted++;
    } catch (error) {
      if (!(error instanceof LacreError)) {
        return {
          inputs,
          accepted,
          refusals: refusals(),
          failure: { input, reason: error instanceof Error ? (error.stack ?? error.message) : String(error) },
        };
      }
      // Numbers and quoted input do not make a refusal new.
      const refusal = `${error.code} ${error.message.replaceAll(/[0-9]+/g, "0").slice(0, 80)}`;
      if (!known.has(refusal) && known.size < 400) {
        known.add(refusal);
        corpus.push(input);
      }
    }
    const tookMs = performance.now() - before;
    if (tookMs > SLOW_MS)
      return {
        inputs,
        accepted,
        refusals: refusals(),
        failure: { input, reason: `took ${Math.round(tookMs)} ms for ${input.length} octets` },
      };
  }
}

async function load(file: string): Promise<Target> {
  const module = (await import(pathToFileURL(file).href)) as Partial<Target>;
  if (typeof module.name !== "string" || typeof module.target !== "function" || module.seeds === undefined) {
    throw new TypeError("does not export name, seeds and target");
  }
  return module as Target;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "2" },
      only: { type: "string" },
      seed: { type: "string" },
      targets: { type: "string", default: import.meta.dirname },
    },
  });
  const seconds = Number(values.seconds);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
  if (!(seconds >= 0) || !Number.isSafeInteger(seed)) {
    process.stderr.write("usage: npm run fuzz -- [--seconds N] [--only NAME[,NAME]] [--seed N] [--targets DIR]\n");
    return 2;
  }
  const only = values.only?.split(",");
  const files = globSync("*.ts", { cwd: resolve(values.targets) })
    .filter((file) => file !== basename(import.meta.filename) && !file.endsWith(".test.ts"))
    .toSorted();
  const met = new Set<string>();
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    let target: Target;
    try {
      target = await load(resolve(values.targets, file));
    } catch (error) {
      // Without its name we cannot know whether it was asked for; its file name is the best guess.
      if (only !== undefined && !only.includes(basename(file, ".ts"))) continue;
      met.add(basename(file, ".ts"));
      failed++;
      console.log(`${basename(file, ".ts")}: cannot be loaded: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    if (only !== undefined && !only.includes(target.name)) continue;
    met.add(target.name);
    const { inputs, accepted, refusals, failure } = search(target, seed, seconds * 1000);
    if (failure === undefined) {
      passed++;
      console.log(`${target.name}: ${inputs} inputs, ${accepted} accepted, ${refusals} kinds of refusal`);
    } else {
      failed++;
      console.log(`${target.name}: FAILED at input ${inputs}; again with: npm run fuzz -- --only ${target.name} --seed ${seed}`);
      console.log(`  input ${Buffer.from(failure.input).toString("hex")}`);
      console.log(failure.reason.replaceAll(/^/gm, "  "));
    }
  }
  for (const name of only?.filter((wanted) => !met.has(wanted)) ?? []) {
    failed++;
    console.log(`${name}: no such target`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
