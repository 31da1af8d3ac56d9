// SPDX-License-Identifier: Apache-2.0
/**
 * What a monitor looks for and whom it tells, as one file:
 *
 *     { "rules": [ { "name": "releases",
 *                    "identity": "you@example.com" | {"pattern": "^.*@example\\.com$"},
 *                    "issuer":   (the same),
 *                    "key":      "sha256:<hex of the SubjectPublicKeyInfo>",
 *                    "digest":   "sha256:<hex>",
 *                    "extensions": { "<object identifier, or name of a claim>": (as identity) } } ],
 *       "sinks": { "file": "matches.jsonl",
 *                  "webhooks": [ { "url": "https://…", "tokenFile": "…" } ],
 *                  "email": { "host": "…", "port": 25, "secure": false, "user": "…", "passwordFile": "…", "from": "…", "to": ["…"] } },
 *       "heartbeat": "heartbeat.json" }
 *
 * All conditions of a rule have to hold; a rule without any is refused, because it would match everything. Patterns are
 * RE2, so that no entry can make the monitor slow; a text counts as matched wherever the pattern fits, so tie both ends.
 * Unknown members are refused: a misspelt condition must not be one that never fires.
 */
import { JsonObject, parseJson, type Json } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { CLAIMS } from "@lacre/core/x509";
import { RE2JS } from "re2js";
import { ServiceError } from "../errors.ts";
import type { EntryTraits } from "./entries.ts";

/** A text as it is, or a pattern. */
export interface Matcher {
  readonly source: string;
  test(text: string): boolean;
}

/** One thing to look for. */
export interface Rule {
  readonly name: string;
  test(entry: EntryTraits): boolean;
}

export interface Webhook {
  readonly url: string;
  /** File with a token that is sent as `Authorization: Bearer`. */
  readonly tokenFile: string | undefined;
}

export interface Mail {
  readonly host: string;
  readonly port: number;
  /** TLS from the first octet; otherwise STARTTLS where the server offers it. */
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
  readonly from: string;
  readonly to: readonly string[];
}

/** Whom to tell. Paths are relative to the folder of the rules. */
export interface SinkSettings {
  readonly file: string | undefined;
  readonly webhooks: readonly Webhook[];
  readonly email: Mail | undefined;
}

export interface RuleFile {
  readonly rules: readonly Rule[];
  readonly sinks: SinkSettings;
  readonly heartbeat: string | undefined;
}

export const NO_RULES: RuleFile = { rules: [], sinks: { file: undefined, webhooks: [], email: undefined }, heartbeat: undefined };

const MAX_RULES = 1000;

function wrong(where: string, message: string): ServiceError {
  return new ServiceError("CONFIG_INVALID", `${where} ${message}`);
}

/** Reads a file of rules; `where` names it in refusals. Throws CONFIG_INVALID. */
export function parseRules(file: Uint8Array | string, where: string): RuleFile {
  try {
    const root = new JsonObject(parseJson(file, { maxBytes: 4 << 20, maxDepth: 8 }), where);
    root.refuseUnknown(["rules", "sinks", "heartbeat"]);
    const rules = root.objects(MAX_RULES, "rules").map(readRule);
    const names = new Set(rules.map(({ name }) => name));
    if (names.size !== rules.length) throw wrong(where, "has two rules of one name");
    return { rules, sinks: readSinks(root.optionalObject("sinks")), heartbeat: root.optionalString("heartbeat") };
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new ServiceError("CONFIG_INVALID", cause.message, {
      cause,
      ...(cause.found === undefined ? {} : { detail: cause.found }),
    });
  }
}

function readRule(rule: JsonObject): Rule {
  rule.refuseUnknown(["name", "identity", "issuer", "key", "digest", "extensions"]);
  const name = rule.string("name");
  const tests: ((entry: EntryTraits) => boolean)[] = [];
  const identity = readMatcher(rule, "identity");
  if (identity !== undefined) tests.push((entry) => entry.identities.some((one) => identity.test(one)));
  const issuer = readMatcher(rule, "issuer");
  if (issuer !== undefined) tests.push((entry) => entry.issuers.some((one) => issuer.test(one)));
  const key = readHash(rule, "key", /^sha256:[0-9a-f]{64}$/);
  if (key !== undefined) tests.push((entry) => entry.keys.includes(key));
  const digest = readHash(rule, "digest", /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/);
  if (digest !== undefined) tests.push((entry) => entry.digests.includes(digest));
  const extensions = rule.optionalObject("extensions");
  for (const member of extensions?.keys() ?? []) {
    const oid = CLAIMS.get(member)?.oid ?? member;
    if (!/^[0-2](?:\.(?:0|[1-9][0-9]{0,15})){1,30}$/.test(oid))
      throw wrong(extensions!.where, `has "${member.slice(0, 60)}", which is neither an object identifier nor a claim`);
    const matcher = readMatcher(extensions!, member)!;
    tests.push((entry) => entry.extension(oid).some((value) => matcher.test(value)));
  }
  if (tests.length === 0) throw wrong(rule.where, "has no condition: it would match every entry");
  return { name, test: (entry) => tests.every((test) => test(entry)) };
}

function readHash(rule: JsonObject, member: string, form: RegExp): string | undefined {
  const value = rule.optionalString(member)?.toLowerCase();
  if (value !== undefined && !form.test(value))
    throw wrong(`${rule.where}.${member}`, "is not an algorithm and hexadecimal digits, as sha256:…");
  return value;
}

function readMatcher(holder: JsonObject, member: string): Matcher | undefined {
  const value: Json | undefined = holder.get(member);
  if (value === undefined) return undefined;
  if (typeof value === "string") {
    if (value === "") throw wrong(`${holder.where}.${member}`, "is empty");
    return { source: value, test: (text) => text === value };
  }
  const object = holder.object(member);
  object.refuseUnknown(["pattern", "exact"]);
  const [exact, source] = [object.optionalString("exact"), object.optionalString("pattern")];
  if ((exact === undefined) === (source === undefined)) throw wrong(object.where, "has either exact or pattern");
  if (exact !== undefined) return { source: exact, test: (text) => text === exact };
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source!);
  } catch (cause) {
    throw wrong(object.where, `is not an RE2 pattern: ${(cause as Error).message}`);
  }
  return { source: source!, test: (text) => compiled.matcher(text).find() };
}

function readSinks(sinks: JsonObject | undefined): SinkSettings {
  if (sinks === undefined) return NO_RULES.sinks;
  sinks.refuseUnknown(["file", "webhooks", "email"]);
  const webhooks = sinks.objects(20, "webhooks").map((hook) => {
    hook.refuseUnknown(["url", "tokenFile"]);
    const url = hook.string("url");
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw wrong(`${hook.where}.url`, "is not an http or https URL");
    return { url, tokenFile: hook.optionalString("tokenFile") };
  });
  return { file: sinks.optionalString("file"), webhooks, email: readMail(sinks.optionalObject("email")) };
}

function readMail(mail: JsonObject | undefined): Mail | undefined {
  if (mail === undefined) return undefined;
  mail.refuseUnknown(["host", "port", "secure", "user", "passwordFile", "from", "to"]);
  const to = mail.strings(100, "to");
  if (to.length === 0) throw wrong(`${mail.where}.to`, "names nobody");
  // A line end in an address would be a header of somebody else's making.
  for (const address of [mail.string("from"), ...to])
    if (/[\r\n]/.test(address) || !address.includes("@")) throw wrong(mail.where, "has an address that is none");
  return {
    host: mail.string("host"),
    port: Number(mail.optionalInt64("port") ?? 25n),
    secure: mail.get("secure") === true,
    user: mail.optionalString("user"),
    passwordFile: mail.optionalString("passwordFile"),
    from: mail.string("from"),
    to,
  };
}
