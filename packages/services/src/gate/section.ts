// SPDX-License-Identifier: Apache-2.0
/**
 * Access to a policy's members, each read once by name and type.
 *
 * A member that is not known is refused, with the known name that is nearest: a misspelt requirement must not be one that
 * is never asked for. So is an empty text or list, which would ask for nothing, and a text that begins or ends with blanks,
 * which no certificate can match.
 */
import type { Json } from "@lacre/core/codec";
import { wrong } from "./document.ts";

/** An object of a policy. */
export class Section {
  readonly where: string;
  readonly #members: Readonly<Record<string, Json>>;

  /** Throws POLICY_INVALID for what is no object, and for members other than those allowed (undefined: any name). */
  constructor(value: Json | undefined, where: string, allowed: readonly string[] | undefined) {
    this.where = where;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw wrong(where, "is not a mapping of names to values", { found: kindOf(value) });
    this.#members = value as Readonly<Record<string, Json>>;
    for (const name of this.names) {
      if (allowed === undefined || allowed.includes(name)) continue;
      const near = nearest(name, allowed);
      throw wrong(where, `has no member "${name.slice(0, 60)}"`, {
        expected: near === undefined ? allowed.join(", ") : `${near} (did you mean that?)`,
        found: name.slice(0, 60),
      });
    }
  }

  get names(): readonly string[] {
    return Object.keys(this.#members);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#members, name);
  }

  get(name: string): Json | undefined {
    return this.has(name) ? this.#members[name] : undefined;
  }

  at(name: string): string {
    return `${this.where}.${name}`;
  }

  text(name: string): string {
    return asText(this.get(name), this.at(name));
  }

  optionalText(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined;
  }

  choice<const T extends string>(name: string, values: readonly T[], otherwise: T): T {
    if (!this.has(name)) return otherwise;
    const given = this.text(name);
    const found = values.find((value) => value === given);
    if (found === undefined) throw wrong(this.at(name), `is none of ${values.join(", ")}`, { found: given.slice(0, 60) });
    return found;
  }

  flag(name: string): boolean {
    const value = this.get(name);
    if (value === undefined && !this.has(name)) return false;
    if (typeof value !== "boolean") throw wrong(this.at(name), "is neither true nor false", { found: kindOf(value) });
    return value;
  }

  count(name: string, least: number, most: number): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.get(name);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most)
      throw wrong(this.at(name), `is no whole number from ${least} to ${most}`, { found: JSON.stringify(value).slice(0, 40) });
    return value;
  }

  /** A list with at least one element, each read by `read`. */
  list<T>(name: string, most: number, read: (value: Json, where: string) => T): readonly T[] {
    return asList(this.get(name), this.at(name), most, read);
  }

  optionalList<T>(name: string, most: number, read: (value: Json, where: string) => T): readonly T[] {
    return this.has(name) ? this.list(name, most, read) : [];
  }
}

/** A list with at least one element and at most `most`. */
export function asList<T>(
  value: Json | undefined,
  where: string,
  most: number,
  read: (value: Json, where: string) => T,
): readonly T[] {
  if (!Array.isArray(value)) throw wrong(where, value === undefined ? "is missing" : "is not a list", { found: kindOf(value) });
  const items = value as readonly Json[];
  if (items.length === 0) throw wrong(where, "is empty: it would ask for nothing");
  if (items.length > most) throw wrong(where, "has too many elements", { expected: `at most ${most}`, found: `${items.length}` });
  return items.map((item, at) => read(item, `${where}[${at}]`));
}

/** A text that says something. */
export function asText(value: Json | undefined, where: string): string {
  if (typeof value !== "string")
    throw wrong(where, value === undefined ? "is missing" : "is not a text", { found: kindOf(value) });
  if (value.trim() === "") throw wrong(where, "is empty");
  if (value !== value.trim() && !value.startsWith("-----BEGIN ")) throw wrong(where, "begins or ends with a blank or a line end");
  if (!value.isWellFormed() || value.length > 16_384) throw wrong(where, "is too long or not well-formed");
  return value;
}

function kindOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "nothing";
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "a mapping" : `a ${typeof value}`;
}

/** The name in a list that is nearest to this one by spelling; undefined when none is near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const short = name.slice(0, 40).toLowerCase();
  const ranked = names
    .map((known) => ({ known, cost: distance(short, known.toLowerCase()) }))
    .filter(({ known, cost }) => cost <= Math.max(2, Math.floor(known.length / 3)))
    .toSorted((a, b) => a.cost - b.cost);
  return ranked[0]?.known;
}

// Levenshtein's.
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
