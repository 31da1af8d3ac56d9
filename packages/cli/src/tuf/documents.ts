// SPDX-License-Identifier: Apache-2.0
/**
 * What a TUF document must be before anything is done with it (TUF specification 1.0, section 4):
 *
 *     {"signed": {"_type", "spec_version": "1.…", "version", "expires", …}, "signatures": [{"keyid", "sig"}]}
 *
 * - strict JSON: no member twice, no depth without end, so that no two readers read two documents;
 * - versions and thresholds are whole numbers from 1 on, expiry is `YYYY-MM-DDTHH:MM:SSZ`;
 * - no key id signs twice, and no role lists one twice.
 *
 * And how a delegation's patterns are read: `*`, `?` and `[…]` within one part of a path, everything else literally; in the
 * order of the document, whatever the roles are called.
 */
import { createHash } from "node:crypto";
import { parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";

export type Json = { readonly [key: string]: unknown };

/** A document that is well formed. Nothing is known yet of who signed it. */
export interface TufDocument {
  readonly signed: Json;
  readonly version: number;
  readonly expiresMs: number;
  /** By key id. */
  readonly signatures: ReadonlyMap<string, Buffer>;
}

/** A role that a document delegates to. */
export interface Delegation {
  readonly name: string;
  readonly terminating: boolean;
  /** Whether a target is this role's business. */
  readonly matches: (target: string) => boolean;
}

/** Whose signatures a role needs. */
export interface SigningRule {
  readonly keyIds: readonly string[];
  readonly threshold: number;
}

/** What is expected of a file. */
export interface FileFacts {
  readonly version: number;
  readonly length: number | undefined;
  readonly hashes: Readonly<Record<string, string>>;
}

/** What makes us refuse a document. */
export class DocumentError extends Error {
  override readonly name: string = "DocumentError";
}

/** Refused for its age alone. */
export class ExpiredError extends DocumentError {
  override readonly name = "ExpiredError";
}

/** Whether a value is an object of JSON. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown, minimum = 1): value is number {
  return Number.isSafeInteger(value) && (value as number) >= minimum;
}

/** Reads a document of a kind (`root`, `timestamp`, `snapshot`, `targets`); `name` is for the words. Throws DocumentError. */
export function readDocument(bytes: Uint8Array, kind: string, name: string, limit: number): TufDocument {
  const refuse = (words: string): never => {
    throw new DocumentError(`${JSON.stringify(name.slice(0, 60))} ${words}`);
  };
  let document: unknown;
  try {
    document = parseJson(bytes, { maxBytes: limit });
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    return refuse(`is not one strict JSON document: ${cause.message}`);
  }
  if (!isObject(document) || !isObject(document["signed"]) || !Array.isArray(document["signatures"]))
    return refuse("is no signed document");
  const signed = document["signed"];
  const { _type: type, spec_version: specification, version, expires } = signed;
  if (type !== kind) return refuse(`is of type ${JSON.stringify(type)?.slice(0, 40) ?? "none"}, not ${kind}`);
  if (typeof specification !== "string" || !/^1(\.\d+){1,2}$/.test(specification))
    return refuse("is of a version of the specification that is not known");
  if (!isWhole(version)) return refuse("has a version that is no whole number from 1 on");
  if (typeof expires !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(expires) || Number.isNaN(Date.parse(expires)))
    return refuse("expires at no time of the form YYYY-MM-DDTHH:MM:SSZ");
  const signatures = new Map<string, Buffer>();
  for (const one of document["signatures"] as readonly unknown[]) {
    if (!isObject(one) || typeof one["keyid"] !== "string" || typeof one["sig"] !== "string")
      return refuse("has a signature that is none");
    if (signatures.has(one["keyid"])) return refuse("is signed twice under one key id");
    // An empty signature is one that is still to come; it counts for nothing.
    signatures.set(one["keyid"], /^([0-9a-f]{2})*$/i.test(one["sig"]) ? Buffer.from(one["sig"], "hex") : Buffer.alloc(0));
  }
  checkMembers(signed, kind, refuse);
  return { signed, version, expiresMs: Date.parse(expires), signatures };
}

function checkMembers(signed: Json, kind: string, refuse: (words: string) => never): void {
  if (kind === "root") {
    if (typeof signed["consistent_snapshot"] !== "boolean" || !isObject(signed["keys"]) || !isObject(signed["roles"]))
      refuse("is no root");
    for (const role of ["root", "timestamp", "snapshot", "targets"]) {
      if (!Object.hasOwn(signed["roles"] as Json, role)) refuse(`does not say who signs ${role}`);
    }
    for (const role of Object.values(signed["roles"] as Json)) checkRule(role, refuse);
  } else if (kind === "targets") {
    const { targets, delegations } = signed;
    if (!isObject(targets)) return refuse("lists no targets");
    for (const facts of Object.values(targets)) {
      if (!isObject(facts) || !isWhole(facts["length"], 0) || !isHashes(facts["hashes"]))
        refuse("lists a target without length or hashes");
    }
    if (delegations !== undefined) checkDelegations(delegations, refuse);
  } else {
    if (!isObject(signed["meta"])) return refuse("lists no files");
    if (kind === "timestamp" && !Object.hasOwn(signed["meta"], "snapshot.json")) refuse("does not name a snapshot");
    for (const facts of Object.values(signed["meta"])) {
      if (!isObject(facts) || !isWhole(facts["version"])) return refuse("lists a version that is no whole number from 1 on");
      if (facts["length"] !== undefined && !isWhole(facts["length"], 0)) refuse("lists a length that is none");
      if (facts["hashes"] !== undefined && !isHashes(facts["hashes"])) refuse("lists hashes that are none");
    }
  }
}

function isHashes(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length > 0 && Object.values(value).every((hash) => typeof hash === "string");
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === "string");

function checkRule(role: unknown, refuse: (words: string) => never): void {
  if (!isObject(role) || !isTexts(role["keyids"])) return refuse("has a role that lists no keys");
  if (!isWhole(role["threshold"])) refuse("has a role whose threshold is no whole number from 1 on");
  if (new Set(role["keyids"]).size !== role["keyids"].length) refuse("has a role that lists a key id twice");
}

function checkDelegations(delegations: unknown, refuse: (words: string) => never): void {
  if (!isObject(delegations) || !isObject(delegations["keys"])) return refuse("has delegations without keys");
  const { roles, succinct_roles: bins } = delegations;
  if ((roles === undefined) === (bins === undefined)) refuse("delegates neither by roles nor by bins, or both");
  if (bins !== undefined) {
    checkRule(bins, refuse);
    if (!isObject(bins) || !isWhole(bins["bit_length"]) || bins["bit_length"] > 32 || typeof bins["name_prefix"] !== "string")
      refuse("delegates to bins that are none");
    return;
  }
  if (!Array.isArray(roles)) return refuse("delegates to no list of roles");
  const names = new Set<unknown>();
  for (const role of roles as readonly unknown[]) {
    checkRule(role, refuse);
    const { name, terminating, paths, path_hash_prefixes: prefixes } = role as Json;
    if (typeof name !== "string" || typeof terminating !== "boolean") return refuse("delegates to a role without a name");
    if (["root", "timestamp", "snapshot", "targets"].includes(name)) refuse("delegates to a top-level role");
    if (names.has(name)) refuse(`delegates twice to ${JSON.stringify(name.slice(0, 60))}`);
    names.add(name);
    if ((paths === undefined) === (prefixes === undefined)) refuse("delegates neither by paths nor by hashes, or both");
    if (!isTexts(paths ?? prefixes)) refuse("delegates by what are no paths");
  }
}

/** Whose signatures a role needs, by what `delegator` (a root, or a targets document) says, and the keys there are. */
export function ruleOf(delegator: TufDocument, role: string): { readonly rule: SigningRule; readonly keys: Json } | undefined {
  const { signed } = delegator;
  const pick = (rule: unknown): SigningRule => ({
    keyIds: (rule as Json)["keyids"] as readonly string[],
    threshold: (rule as Json)["threshold"] as number,
  });
  if (signed["_type"] === "root") {
    const roles = signed["roles"] as Json;
    return Object.hasOwn(roles, role) ? { rule: pick(roles[role]), keys: signed["keys"] as Json } : undefined;
  }
  const delegations = signed["delegations"];
  if (!isObject(delegations)) return undefined;
  const { roles, succinct_roles: bins } = delegations;
  const found = isObject(bins) ? isBin(bins, role) && bins : (roles as readonly Json[]).find((one) => one["name"] === role);
  return isObject(found) ? { rule: pick(found), keys: delegations["keys"] as Json } : undefined;
}

function isBin(bins: Json, role: string): boolean {
  const prefix = `${bins["name_prefix"] as string}-`;
  const digits = (2 ** (bins["bit_length"] as number) - 1).toString(16).length;
  const suffix = role.slice(prefix.length);
  return (
    role.startsWith(prefix) &&
    suffix.length === digits &&
    /^[0-9a-f]+$/.test(suffix) &&
    parseInt(suffix, 16) < 2 ** (bins["bit_length"] as number)
  );
}

/** What a timestamp or a snapshot says of a file; undefined when nothing. */
export function factsOf({ signed }: TufDocument, file: string): FileFacts | undefined {
  const meta = signed["meta"] as Json;
  if (!Object.hasOwn(meta, file)) return undefined;
  const { version, length, hashes = {} } = meta[file] as { version: number; length?: number; hashes?: Record<string, string> };
  return { version, length, hashes };
}

/** What of a length and hashes is wrong. Every listed hash has to be of an algorithm that we know, and to fit. */
export function describeMismatch(facts: Pick<FileFacts, "length" | "hashes">, bytes: Uint8Array): string | undefined {
  if (facts.length !== undefined && bytes.length !== facts.length) return `${bytes.length} octets, not ${facts.length}`;
  for (const [algorithm, value] of Object.entries(facts.hashes)) {
    if (!/^sha(256|384|512)$/.test(algorithm)) return `a hash of an algorithm that is not known: ${algorithm.slice(0, 20)}`;
    if (createHash(algorithm).update(bytes).digest("hex") !== value) return `another ${algorithm} than is signed`;
  }
  return undefined;
}

/** The delegations of a verified targets document, in its order. */
export function delegationsOf(signed: Json): readonly Delegation[] {
  const delegations = signed["delegations"];
  if (!isObject(delegations)) return [];
  const succinct = delegations["succinct_roles"];
  if (Array.isArray(delegations["roles"])) return (delegations["roles"] as Json[]).map(readDelegation);
  return isObject(succinct) ? [readBins(succinct)] : [];
}

function readDelegation(role: Json): Delegation {
  const paths = role["paths"] as readonly string[] | undefined;
  const prefixes = role["path_hash_prefixes"] as readonly string[] | undefined;
  return {
    name: role["name"] as string,
    terminating: role["terminating"] === true,
    matches: (target) =>
      paths?.some((pattern) => matchesPattern(target, pattern)) ??
      prefixes?.some((prefix) => createHash("sha256").update(target).digest("hex").startsWith(prefix)) ??
      false,
  };
}

/** TAP 15: the target's hash chooses one of 2ⁿ roles. Its name depends on the target, so the name is made by `matches`. */
function readBins(succinct: Json): Delegation {
  const bits = succinct["bit_length"] as number;
  const digits = (2 ** bits - 1).toString(16).length;
  let name = "";
  return {
    get name() {
      return name;
    },
    terminating: true,
    matches(target) {
      const bin = createHash("sha256").update(target).digest().readUInt32BE() >>> (32 - bits);
      name = `${succinct["name_prefix"] as string}-${bin.toString(16).padStart(digits, "0")}`;
      return true;
    },
  };
}

/** Whether a path fits a pattern, part by part. Linear in the number of parts, quadratic in the length of one. */
export function matchesPattern(path: string, pattern: string): boolean {
  const parts = path.split("/");
  const wanted = pattern.split("/");
  return parts.length === wanted.length && parts.every((part, at) => matchesPart(part, wanted[at]!));
}

function matchesPart(text: string, pattern: string): boolean {
  // The classic two-pointer match: on a mismatch go back to the last star and let it take one letter more.
  let at = 0;
  let within = 0;
  let star = -1;
  let from = 0;
  while (at < text.length) {
    const token = tokenAt(pattern, within);
    if (token?.isStar === true) {
      star = within = token.end;
      from = at;
    } else if (token !== undefined && token.fits(text[at]!)) {
      at++;
      within = token.end;
    } else if (star >= 0) {
      within = star;
      at = ++from;
    } else return false;
  }
  while (pattern[within] === "*") within++;
  return within === pattern.length;
}

interface Token {
  readonly isStar: boolean;
  readonly end: number;
  readonly fits: (letter: string) => boolean;
}

function tokenAt(pattern: string, at: number): Token | undefined {
  const letter = pattern[at];
  if (letter === undefined) return undefined;
  if (letter === "*") return { isStar: true, end: at + 1, fits: () => true };
  if (letter === "?") return { isStar: false, end: at + 1, fits: () => true };
  const close = letter === "[" ? pattern.indexOf("]", at + 2) : -1;
  if (close < 0) return { isStar: false, end: at + 1, fits: (given) => given === letter };
  const isNegated = pattern[at + 1] === "!";
  const set = pattern.slice(at + (isNegated ? 2 : 1), close);
  return { isStar: false, end: close + 1, fits: (given) => inSet(given, set) !== isNegated };
}

function inSet(letter: string, set: string): boolean {
  for (let i = 0; i < set.length; i++) {
    if (set[i + 1] === "-" && i + 2 < set.length) {
      if (letter >= set[i]! && letter <= set[i + 2]!) return true;
      i += 2;
    } else if (set[i] === letter) return true;
  }
  return false;
}
