// SPDX-License-Identifier: Apache-2.0
/**
 * JSON as the formats of Sigstore use it: a strict parser, the canonical form (RFC 8785), and access to members by the
 * rules of protobuf's JSON mapping.
 *
 * The parser takes what RFC 8259 takes, less what makes two readers disagree: duplicate member names (compared after
 * unescaping), a byte order mark, bytes that are not UTF-8. Size and depth are bounded before anything is built: one
 * linear scan over the text looks at brackets and counts members, and the platform's own parser does the rest. A value
 * with as many members as its text has lost none.
 *
 * Member names are data: `__proto__` is a name like another. Read members through `JsonObject`, which looks at own
 * properties only.
 */
import { fromBase64, text } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Bounds on untrusted text. */
export interface JsonLimits {
  /** Size of the text in octets (of a string: UTF-16 code units). Default 16 MiB. */
  readonly maxBytes: number;
  /** Objects and arrays within one another. Default 64. */
  readonly maxDepth: number;
}

const DEFAULTS: JsonLimits = { maxBytes: 16 << 20, maxDepth: 64 };

/**
 * The value of a JSON text. Throws TOO_LARGE beyond the limits, BAD_UTF8, and BAD_JSON for malformed text or a
 * duplicate name. Numbers become doubles; `JsonObject.int64` refuses those that could have lost digits.
 */
export function parseJson(input: Uint8Array | string, limits: Partial<JsonLimits> = {}): Json {
  const { maxBytes, maxDepth } = { ...DEFAULTS, ...limits };
  if (input.length > maxBytes) {
    throw new LacreError("TOO_LARGE", "JSON text is too large", {
      expected: `at most ${maxBytes} bytes`,
      found: `${input.length}`,
    });
  }
  const source = typeof input === "string" ? input : text(input);
  const members = scan(source, maxDepth, false);
  let value: Json;
  try {
    value = JSON.parse(source) as Json;
  } catch (cause) {
    throw new LacreError("BAD_JSON", "text is not JSON", { cause });
  }
  // Of two members with one name the platform's parser keeps the last: then there are fewer than the text has. Which
  // name it was takes a second look, and so decides a look at every name.
  if (countMembers(value) !== members) scan(source, maxDepth, true);
  return value;
}

// Looks at depth and member names; returns the number of members. The text need not be JSON: whatever passes here still
// goes through JSON.parse, so it is enough to be right about texts that are. Linear: no character is looked at more than
// twice. Names are compared only when `compareNames` says so.
function scan(source: string, maxDepth: number, compareNames: boolean): number {
  // The names seen at each level of nesting, reused by later objects at that level.
  const seen: Set<string>[] = [];
  let members = 0;
  let depth = 0;
  let keyStart = -1;
  let keyEnd = -1;
  for (let at = 0; at < source.length; at++) {
    switch (source.charCodeAt(at)) {
      case 0x22: {
        keyStart = at + 1;
        keyEnd = endOfString(source, keyStart);
        if (keyEnd < 0) throw new LacreError("BAD_JSON", "text is not JSON: it ends within a string");
        at = keyEnd;
        break;
      }
      case 0x3a: {
        if (keyStart < 0 || depth === 0) throw new LacreError("BAD_JSON", "a colon without a member name");
        members++;
        if (compareNames) {
          const names = (seen[depth] ??= new Set());
          const name = unescaped(source.slice(keyStart, keyEnd));
          if (names.has(name))
            throw new LacreError("BAD_JSON", "a member name appears twice in one object", { found: name.slice(0, 80) });
          names.add(name);
        }
        keyStart = -1;
        break;
      }
      case 0x7b:
      case 0x5b: {
        depth++;
        if (depth > maxDepth)
          throw new LacreError("TOO_LARGE", "JSON is nested too deeply", { expected: `at most ${maxDepth} levels` });
        seen[depth]?.clear();
        break;
      }
      case 0x7d:
      case 0x5d:
        depth--;
        break;
    }
  }
  return members;
}

// How many members the objects of a value have, all together. No deeper than what `scan` lets through.
function countMembers(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) if (typeof item === "object") members += countMembers(item);
    return members;
  }
  const object = value as { readonly [key: string]: Json };
  for (const key in object) {
    members++;
    const item = object[key]!;
    if (typeof item === "object") members += countMembers(item);
  }
  return members;
}

// Position of the quote that ends the string whose content starts at `start`, or -1.
function endOfString(source: string, start: number): number {
  let from = start;
  for (;;) {
    const quote = source.indexOf('"', from);
    if (quote < 0) return -1;
    let slash = quote - 1;
    while (slash >= from && source.charCodeAt(slash) === 0x5c) slash--;
    if ((quote - slash) % 2 === 1) return quote;
    from = quote + 1;
  }
}

function unescaped(raw: string): string {
  if (!raw.includes("\\")) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch (cause) {
    throw new LacreError("BAD_JSON", "a member name is not a JSON string", { cause });
  }
}

/**
 * The canonical text of a value (RFC 8785): members sorted by UTF-16 code units, no white space, ECMAScript's spelling
 * of numbers and strings. Throws BAD_JSON for what I-JSON cannot say: a lone surrogate, a number that is not finite.
 */
export function canonicalJson(value: Json): string {
  return canonical(value, 0);
}

function canonical(value: Json, depth: number): string {
  if (depth > 1000) throw new LacreError("TOO_LARGE", "JSON is nested too deeply");
  switch (typeof value) {
    case "string":
      return canonicalString(value);
    case "number":
      if (!Number.isFinite(value)) throw new LacreError("BAD_JSON", "number is not finite");
      return JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    case "object": {
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map((item: Json) => canonical(item, depth + 1)).join(",")}]`;
      const object = value as { readonly [key: string]: Json };
      const members = Object.keys(object)
        .sort()
        .map((key) => `${canonicalString(key)}:${canonical(object[key]!, depth + 1)}`);
      return `{${members.join(",")}}`;
    }
    default:
      throw new TypeError(`${typeof value} is not a JSON value`);
  }
}

function canonicalString(value: string): string {
  if (!value.isWellFormed()) throw new LacreError("BAD_JSON", "string has a lone surrogate");
  return JSON.stringify(value);
}

// URL-safe or standard, padded or not, to the one strict spelling.
function strictSpelling(value: string): string {
  const standard = value.replaceAll("-", "+").replaceAll("_", "/");
  return standard.length % 4 === 0 ? standard : standard.padEnd(Math.ceil(standard.length / 4) * 4, "=");
}

const MAX_INT64 = (1n << 63n) - 1n;

/**
 * A JSON object under the rules of protobuf's JSON mapping: a `null` member is absent, a member may go by its
 * lowerCamelCase or its snake_case name (the aliases) but not by both, bytes are base64, 64-bit integers are decimal
 * strings. Every refusal is BAD_JSON (BAD_BASE64 for base64) and says where: `where` is the path to the object.
 */
export class JsonObject {
  readonly where: string;
  readonly #members: { readonly [key: string]: Json };
  /** Names of members that were asked for and are there. */
  readonly #asked: string[] = [];
  /** This object and all that were reached through it and its relatives, in the order of reading. */
  readonly #family: JsonObject[];

  constructor(value: Json | undefined, where: string, relative?: JsonObject) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new LacreError("BAD_JSON", `${where} is not an object`, { expected: "object", found: kindOf(value) });
    }
    this.where = where;
    this.#members = value as { readonly [key: string]: Json };
    this.#family = relative === undefined ? [] : relative.#family;
    this.#family.push(this);
  }

  /** Names of all members, also of those that are null. */
  keys(): string[] {
    return Object.keys(this.#members);
  }

  /** Whether the member is there and not null. */
  has(name: string, ...aliases: readonly string[]): boolean {
    return this.get(name, ...aliases) !== undefined;
  }

  /** The member, or undefined when it is absent or null. */
  get(name: string, ...aliases: readonly string[]): Json | undefined {
    let found = this.#own(name);
    for (const alias of aliases) {
      if (alias === name) continue;
      const other = this.#own(alias);
      if (other === undefined) continue;
      if (found !== undefined) throw new LacreError("BAD_JSON", `${this.#path(name)} is given under two names`, { found: alias });
      found = other;
    }
    return found;
  }

  #own(name: string): Json | undefined {
    if (!Object.hasOwn(this.#members, name)) return undefined;
    if (!this.#asked.includes(name)) this.#asked.push(name);
    return this.#members[name] ?? undefined;
  }

  #path(name: string): string {
    return `${this.where}.${name}`;
  }

  #need<T>(value: T | undefined, name: string): T {
    if (value === undefined) throw new LacreError("BAD_JSON", `${this.#path(name)} is missing`);
    return value;
  }

  #refuse(name: string, expected: string, value: Json | undefined): LacreError {
    return new LacreError("BAD_JSON", `${this.#path(name)} is not ${expected}`, { expected, found: kindOf(value) });
  }

  /** Names of members that were never asked for, in the order of the text: what the reader does not know. */
  unread(): string[] {
    const keys = this.keys();
    if (keys.length === this.#asked.length) return [];
    return keys.filter((key) => !this.#asked.includes(key));
  }

  /** Paths of what `unread` gives, for this object and every object that was reached from the same document. */
  unreadPaths(): string[] {
    const paths: string[] = [];
    for (const object of this.#family) for (const name of object.unread()) paths.push(object.#path(name));
    return paths;
  }

  /** Refuses members (null or not) under any other name. */
  refuseUnknown(allowed: readonly string[]): void {
    for (const key of this.keys()) {
      if (!allowed.includes(key))
        throw new LacreError("BAD_JSON", `${this.where} has an unknown member`, { found: key.slice(0, 80) });
    }
  }

  object(name: string, ...aliases: readonly string[]): JsonObject {
    return this.#need(this.optionalObject(name, ...aliases), name);
  }

  optionalObject(name: string, ...aliases: readonly string[]): JsonObject | undefined {
    const value = this.get(name, ...aliases);
    return value === undefined ? undefined : new JsonObject(value, this.#path(name), this);
  }

  /** A list of at most `limit` objects; an absent one is empty. Throws TOO_LARGE for a longer one. */
  objects(limit: number, name: string, ...aliases: readonly string[]): JsonObject[] {
    const list = this.optionalArray(name, ...aliases) ?? [];
    if (list.length > limit)
      throw new LacreError("TOO_LARGE", `${this.#path(name)} has too many elements`, {
        expected: `at most ${limit}`,
        found: `${list.length}`,
      });
    return list.map((item, i) => new JsonObject(item, `${this.#path(name)}[${i}]`, this));
  }

  /** A list of at most `limit` strings; an absent one is empty. Throws TOO_LARGE for a longer one. */
  strings(limit: number, name: string, ...aliases: readonly string[]): string[] {
    const list = this.optionalArray(name, ...aliases) ?? [];
    if (list.length > limit)
      throw new LacreError("TOO_LARGE", `${this.#path(name)} has too many elements`, {
        expected: `at most ${limit}`,
        found: `${list.length}`,
      });
    return list.map((item, i) => {
      if (typeof item !== "string") throw this.#refuse(`${name}[${i}]`, "string", item);
      if (!item.isWellFormed()) throw new LacreError("BAD_JSON", `${this.#path(name)}[${i}] has a lone surrogate`);
      return item;
    });
  }

  string(name: string, ...aliases: readonly string[]): string {
    return this.#need(this.optionalString(name, ...aliases), name);
  }

  /** A string; one with a lone surrogate, which has no UTF-8 form, is refused. */
  optionalString(name: string, ...aliases: readonly string[]): string | undefined {
    const value = this.get(name, ...aliases);
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw this.#refuse(name, "string", value);
    if (!value.isWellFormed()) throw new LacreError("BAD_JSON", `${this.#path(name)} has a lone surrogate`);
    return value;
  }

  /** Bytes in strict base64. */
  bytes(name: string, ...aliases: readonly string[]): Uint8Array {
    return this.#need(this.optionalBytes(name, ...aliases), name);
  }

  optionalBytes(name: string, ...aliases: readonly string[]): Uint8Array | undefined {
    const value = this.optionalString(name, ...aliases);
    return value === undefined ? undefined : this.#decode(name, value);
  }

  /** A list of bytes in strict base64; an absent one is empty. */
  bytesArray(name: string, ...aliases: readonly string[]): Uint8Array[] {
    return (this.optionalArray(name, ...aliases) ?? []).map((item, i) => {
      if (typeof item !== "string") throw this.#refuse(`${name}[${i}]`, "string", item);
      return this.#decode(`${name}[${i}]`, item);
    });
  }

  /** Bytes in any base64 that protobuf's JSON parsers take: standard or URL-safe, padded or not (requests to services). */
  looseBytes(name: string, ...aliases: readonly string[]): Uint8Array {
    return this.#need(this.optionalLooseBytes(name, ...aliases), name);
  }

  optionalLooseBytes(name: string, ...aliases: readonly string[]): Uint8Array | undefined {
    const value = this.optionalString(name, ...aliases);
    return value === undefined ? undefined : this.#decode(name, strictSpelling(value));
  }

  #decode(name: string, value: string): Uint8Array {
    try {
      return fromBase64(value);
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      throw new LacreError("BAD_BASE64", `${this.#path(name)} is not base64`, { found: value.slice(0, 40), cause });
    }
  }

  /** A 64-bit integer, zero or more: see `optionalInt64`. */
  int64(name: string, ...aliases: readonly string[]): bigint {
    return this.#need(this.optionalInt64(name, ...aliases), name);
  }

  /**
   * A 64-bit integer, zero or more: a decimal string without sign, point, exponent or leading zeros, or a number that is
   * an integer below 2^53 (so that no digit was lost in reading it; how the literal was spelled is not seen).
   */
  optionalInt64(name: string, ...aliases: readonly string[]): bigint | undefined {
    const value = this.get(name, ...aliases);
    if (value === undefined) return undefined;
    const expected = "an exact integer of 64 bits, zero or more";
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
    if (typeof value === "string" && /^(?:0|[1-9][0-9]{0,18})$/.test(value)) {
      const exact = BigInt(value);
      if (exact <= MAX_INT64) return exact;
    }
    throw new LacreError("BAD_JSON", `${this.#path(name)} is not ${expected}`, {
      expected,
      found: JSON.stringify(value).slice(0, 40),
    });
  }

  array(name: string, ...aliases: readonly string[]): readonly Json[] {
    return this.#need(this.optionalArray(name, ...aliases), name);
  }

  optionalArray(name: string, ...aliases: readonly string[]): readonly Json[] | undefined {
    const value = this.get(name, ...aliases);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.#refuse(name, "array", value);
    return value as readonly Json[];
  }

  boolean(name: string, ...aliases: readonly string[]): boolean {
    return this.#need(this.optionalBoolean(name, ...aliases), name);
  }

  optionalBoolean(name: string, ...aliases: readonly string[]): boolean | undefined {
    const value = this.get(name, ...aliases);
    if (value === undefined) return undefined;
    if (typeof value !== "boolean") throw this.#refuse(name, "boolean", value);
    return value;
  }
}

function kindOf(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
