// SPDX-License-Identifier: Apache-2.0
/**
 * The policy: for which artifacts whose signatures and which statements are needed. One format for files, images and
 * packages, for a command line, a release and a cluster. `docs/formats/policy.md` has it with examples.
 *
 *     schema: urn:lacre:policy:1
 *     name: releases                       # optional
 *     trust:   {NAME: {root: FILE} | {installation: TEXT}}
 *     signers: {NAME: signer}              # see signer.ts
 *     revoked: [{identity, issuer} | {key} | {serial} | {digest}, with `since` and `reason`]
 *     rules:
 *       - name: binaries
 *         artifacts: [{kind: file | image | package, name: GLOB}]
 *         mode: enforce | warn
 *         trust: NAME
 *         signatures: {from: [NAME…], atLeast: 1}
 *         attestations: [{type: URI, from: [NAME…], atLeast: 1, conditions: [CEL…]}]
 *         conditions: [CEL…]               # on each signature that counts
 *         age: {within: 30d, notBefore: DATE, notAfter: DATE}
 *         thresholds: {logs: 1, times: 1, timestamps: 0, scts: 1}
 *
 * An artifact that no rule is for is refused. Of several rules that are for it all have to hold. What is misspelt, empty
 * or contradictory is refused when the policy is read, never when an artifact is judged.
 */
import { findPredicateType, PREDICATE_NAMES } from "@lacre/core/bundle";
import { toHex } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import type { Json } from "@lacre/core/codec";
import { type Condition, parseCondition } from "./condition.ts";
import { readDocument, wrong } from "./document.ts";
import { ARTIFACT_KINDS, type ArtifactFacts, type ArtifactKind } from "./facts.ts";
import { readGlob, readMatcher, type TextMatcher } from "./matcher.ts";
import { asText, nearest, Section } from "./section.ts";
import { type KeyReference, readKey, readSigner, type Signer } from "./signer.ts";

/** The versioned name of the format: the `schema` member of every policy. */
export const POLICY_SCHEMA = "urn:lacre:policy:1";

/** Which artifacts a rule is for. */
export interface Selector {
  readonly kind: ArtifactKind;
  readonly name: TextMatcher;
}

/** Whom to believe: a file, or an installation that the host remembers. */
export type TrustChoice = { readonly name: string } & ({ readonly root: string } | { readonly installation: string });

/** How much proof a bundle has to bring. 0 does without. */
export interface ProofThresholds {
  readonly logs: number;
  /** undefined: one with a certificate, none with a key. */
  readonly times: number | undefined;
  readonly timestamps: number;
  readonly scts: number;
}

/** When a signature has to be from, by its earliest proved time. */
export interface Age {
  readonly withinMs: number | undefined;
  readonly notBeforeMs: number | undefined;
  readonly notAfterMs: number | undefined;
}

/** Signers of whom so many have to have signed. */
export interface Quorum {
  readonly from: readonly Signer[];
  readonly atLeast: number;
  readonly conditions: readonly Condition[];
}

/** A statement that has to be there. */
export interface AttestationDemand extends Quorum {
  readonly type: string;
}

export interface Rule {
  readonly name: string;
  readonly selectors: readonly Selector[];
  readonly mode: "enforce" | "warn";
  readonly trust: TrustChoice | undefined;
  readonly thresholds: ProofThresholds;
  readonly age: Age;
  readonly signatures: Quorum | undefined;
  readonly attestations: readonly AttestationDemand[];
}

/** Something that no longer counts. */
export interface Revocation {
  readonly what:
    | { readonly kind: "identity"; readonly identity: TextMatcher; readonly issuer: TextMatcher | undefined }
    | { readonly kind: "key"; readonly key: KeyReference }
    | { readonly kind: "serial"; readonly serial: string }
    | { readonly kind: "digest"; readonly algorithm: string; readonly value: string };
  /** Signatures proved to be older still count. */
  readonly sinceMs: number | undefined;
  readonly reason: string | undefined;
}

export interface Policy {
  readonly name: string | undefined;
  /** `sha256:` of the text. */
  readonly digest: string;
  readonly signers: readonly Signer[];
  readonly rules: readonly Rule[];
  readonly revoked: readonly Revocation[];
  /** Keys that the host has to find, in the order of the text. */
  readonly keys: readonly KeyReference[];
}

const MAX_RULES = 500;
const MAX_LIST = 200;
const MAX_REVOKED = 5000;

/** Reads a policy; `where` names it in refusals. Throws POLICY_INVALID, CONDITION_INVALID, KEY_INVALID, TOO_LARGE. */
export function parsePolicy(bytes: Uint8Array, where: string = "the policy"): Policy {
  const root = new Section(readDocument(bytes, where), where, ["schema", "name", "trust", "signers", "revoked", "rules"]);
  if (root.text("schema") !== POLICY_SCHEMA)
    throw wrong(root.at("schema"), "is not one that is read", {
      expected: POLICY_SCHEMA,
      found: root.text("schema").slice(0, 80),
    });
  const trusts = readNamed(root, "trust", readTrust);
  const signers = readNamed(root, "signers", readSigner);
  if (signers.size === 0) throw wrong(root.at("signers"), "is missing: nobody could sign");
  const rules = root.list("rules", MAX_RULES, (value, at) => readRule(value, at, signers, trusts));
  const names = new Set<string>();
  for (const { name } of rules) {
    if (names.has(name)) throw wrong(root.at("rules"), "has two rules of one name", { found: name });
    names.add(name);
  }
  const used = new Set(rules.flatMap((rule) => quorumsOf(rule).flatMap(({ from }) => from.map((signer) => signer.name))));
  for (const name of signers.keys()) if (!used.has(name)) throw wrong(root.at("signers"), `names ${name}, whom no rule asks for`);
  const revoked = root.optionalList("revoked", MAX_REVOKED, readRevocation);
  const keys = new Map<string, KeyReference>();
  for (const key of [
    ...[...signers.values()].flatMap(({ ways }) => ways.flatMap((way) => (way.kind === "key" ? [way.key] : []))),
    ...revoked.flatMap(({ what }) => (what.kind === "key" ? [what.key] : [])),
  ])
    keys.set(key.name, key);
  return {
    name: root.optionalText("name"),
    digest: `sha256:${toHex(sha256(bytes))}`,
    signers: [...signers.values()],
    rules,
    revoked,
    keys: [...keys.values()],
  };
}

/** The quorums of a rule: of signatures, then of each attestation. */
export function quorumsOf(rule: Rule): readonly Quorum[] {
  return rule.signatures === undefined ? rule.attestations : [rule.signatures, ...rule.attestations];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$/;

function readNamed<T>(
  root: Section,
  member: string,
  read: (name: string, value: Json | undefined, where: string) => T,
): ReadonlyMap<string, T> {
  if (!root.has(member)) return new Map();
  const section = new Section(root.get(member), root.at(member), undefined);
  if (section.names.length === 0) throw wrong(section.where, "is empty");
  if (section.names.length > MAX_LIST) throw wrong(section.where, "has too many members", { expected: `at most ${MAX_LIST}` });
  return new Map(
    section.names.map((name) => {
      if (!NAME.test(name))
        throw wrong(section.where, "has a name of other characters than letters, digits, blank . _ -", {
          found: name.slice(0, 60),
        });
      return [name, read(name, section.get(name), section.at(name))];
    }),
  );
}

function readTrust(name: string, value: Json | undefined, where: string): TrustChoice {
  const section = new Section(value, where, ["root", "installation"]);
  if (section.has("root") === section.has("installation")) throw wrong(where, "names neither root nor installation, or both");
  return section.has("root") ? { name, root: section.text("root") } : { name, installation: section.text("installation") };
}

function readRule(
  value: Json,
  where: string,
  signers: ReadonlyMap<string, Signer>,
  trusts: ReadonlyMap<string, TrustChoice>,
): Rule {
  const section = new Section(value, where, [
    "name",
    "artifacts",
    "mode",
    "trust",
    "signatures",
    "attestations",
    "conditions",
    "age",
    "thresholds",
  ]);
  const name = section.text("name");
  if (!NAME.test(name)) throw wrong(section.at("name"), "has other characters than letters, digits, blank . _ -");
  const trust = section.optionalText("trust");
  const conditions = readConditions(section);
  const signatures = section.has("signatures")
    ? readSignatures(section.get("signatures"), section.at("signatures"), signers, conditions)
    : undefined;
  const attestations = section.optionalList("attestations", MAX_LIST, (one, at) => readAttestation(one, at, signers));
  if (signatures === undefined && attestations.length === 0) throw wrong(where, "asks for neither signatures nor attestations");
  if (signatures === undefined && conditions.length > 0)
    throw wrong(section.at("conditions"), "are about signatures, and none are asked for");
  return {
    name,
    selectors: section.list("artifacts", MAX_LIST, readSelector),
    mode: section.choice("mode", ["enforce", "warn"], "enforce"),
    trust: trust === undefined ? undefined : find(trusts, trust, section.at("trust"), "trust"),
    thresholds: readThresholds(section),
    age: readAge(section),
    signatures,
    attestations,
  };
}

function find<T>(known: ReadonlyMap<string, T>, name: string, where: string, what: string): T {
  const found = known.get(name);
  if (found !== undefined) return found;
  const near = nearest(name, [...known.keys()]);
  throw wrong(where, `names a ${what} that is not there`, {
    expected: near === undefined ? [...known.keys()].join(", ") || "none is named" : `${near} (did you mean that?)`,
    found: name.slice(0, 60),
  });
}

function readSelector(value: Json, where: string): Selector {
  const section = new Section(value, where, ["kind", "name"]);
  if (!section.has("kind")) throw wrong(section.at("kind"), "is missing", { expected: ARTIFACT_KINDS.join(", ") });
  return { kind: section.choice("kind", ARTIFACT_KINDS, "file"), name: readGlob(section.get("name"), section.at("name")) };
}

function readSignatures(
  value: Json | undefined,
  where: string,
  signers: ReadonlyMap<string, Signer>,
  conditions: readonly Condition[],
): Quorum {
  return { ...readQuorum(new Section(value, where, ["from", "atLeast"]), signers), conditions };
}

function readAttestation(value: Json, where: string, signers: ReadonlyMap<string, Signer>): AttestationDemand {
  const section = new Section(value, where, ["type", "from", "atLeast", "conditions"]);
  return {
    ...readQuorum(section, signers),
    type: readType(section.get("type"), section.at("type")),
    conditions: readConditions(section),
  };
}

function readQuorum(section: Section, signers: ReadonlyMap<string, Signer>): Omit<Quorum, "conditions"> {
  const from = section.list("from", MAX_LIST, (one, at) => find(signers, asText(one, at), at, "signer"));
  if (new Set(from).size !== from.length) throw wrong(section.at("from"), "names a signer twice");
  // More than there are could never be had; `each` stands for any number.
  const most = from.some(({ isEach }) => isEach) ? MAX_LIST : from.length;
  return { from, atLeast: section.count("atLeast", 1, most) ?? 1 };
}

function readConditions(section: Section): readonly Condition[] {
  return section.optionalList("conditions", MAX_LIST, (one, at) => parseCondition(asText(one, at), at));
}

function readType(value: Json | undefined, where: string): string {
  const given = asText(value, where);
  const type = findPredicateType(given);
  if (type !== undefined) return type;
  throw wrong(where, "is no predicate type", {
    expected: `a URI, or one of ${PREDICATE_NAMES.join(", ")}`,
    found: given.slice(0, 80),
  });
}

function readThresholds(rule: Section): ProofThresholds {
  const section = new Section(rule.has("thresholds") ? rule.get("thresholds") : {}, rule.at("thresholds"), [
    "logs",
    "times",
    "timestamps",
    "scts",
  ]);
  if (rule.has("thresholds") && section.names.length === 0) throw wrong(section.where, "is empty");
  return {
    logs: section.count("logs", 0, 16) ?? 1,
    times: section.count("times", 1, 16),
    timestamps: section.count("timestamps", 0, 16) ?? 0,
    scts: section.count("scts", 0, 16) ?? 1,
  };
}

function readAge(rule: Section): Age {
  const section = new Section(rule.has("age") ? rule.get("age") : {}, rule.at("age"), ["within", "notBefore", "notAfter"]);
  if (rule.has("age") && section.names.length === 0) throw wrong(section.where, "is empty");
  const age = {
    withinMs: section.has("within") ? readDuration(section.text("within"), section.at("within")) : undefined,
    notBeforeMs: section.has("notBefore") ? readTime(section.text("notBefore"), section.at("notBefore")) : undefined,
    notAfterMs: section.has("notAfter") ? readTime(section.text("notAfter"), section.at("notAfter")) : undefined,
  };
  if ((age.notBeforeMs ?? -Infinity) > (age.notAfterMs ?? Infinity)) throw wrong(section.where, "ends before it begins");
  return age;
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

function readDuration(given: string, where: string): number {
  const match = /^([1-9][0-9]{0,6})([mhdw])$/.exec(given);
  if (match === null)
    throw wrong(where, "is no span of time", { expected: "a number and m, h, d or w: 30d", found: given.slice(0, 40) });
  return Number(match[1]) * UNITS[match[2]!]!;
}

/** A date or a moment, in milliseconds since 1970. Throws POLICY_INVALID. */
export function readTime(given: string, where: string): number {
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d))?$/.test(given);
  const timeMs = isTime ? Date.parse(given) : NaN;
  // Date.parse takes 2026-02-31 for the third of March.
  const isReal =
    !Number.isNaN(timeMs) && new Date(`${given.slice(0, 10)}T00:00:00Z`).toISOString().startsWith(given.slice(0, 10));
  if (!isReal) throw wrong(where, "is no date", { expected: "2026-01-31, or 2026-01-31T12:00:00Z", found: given.slice(0, 40) });
  return timeMs;
}

const DIGEST_DIGITS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

function readRevocation(value: Json, where: string): Revocation {
  const section = new Section(value, where, ["identity", "issuer", "key", "serial", "digest", "since", "reason"]);
  const forms = ["identity", "key", "serial", "digest"].filter((name) => section.has(name));
  if (forms.length !== 1)
    throw wrong(where, "does not name one of identity, key, serial, digest", { found: forms.join(" and ") || "none" });
  const [form] = forms;
  if (section.has("issuer") && form !== "identity") throw wrong(section.at("issuer"), `says nothing beside ${form!}`);
  if (section.has("since") && form === "digest") throw wrong(section.at("since"), "says nothing beside digest");
  const at = section.at(form!);
  let what: Revocation["what"];
  if (form === "identity")
    what = {
      kind: "identity",
      identity: readMatcher(section.get("identity"), at),
      issuer: section.has("issuer") ? readMatcher(section.get("issuer"), section.at("issuer")) : undefined,
    };
  else if (form === "key") what = { kind: "key", key: readKey(section.get("key"), at) };
  else if (form === "serial") {
    const serial = section
      .text("serial")
      .toLowerCase()
      .replaceAll(":", "")
      .replace(/^(?:0x)?0*(?=.)/, "");
    if (!/^[0-9a-f]{1,64}$/.test(serial))
      throw wrong(at, "is no serial number in hexadecimal", { found: section.text("serial").slice(0, 80) });
    what = { kind: "serial", serial };
  } else {
    const [algorithm = "", digits = ""] = section.text("digest").split(":");
    const length = Object.hasOwn(DIGEST_DIGITS, algorithm) ? DIGEST_DIGITS[algorithm] : undefined;
    if (!/^[0-9a-f]+$/.test(digits) || digits.length !== length)
      throw wrong(at, "is no digest", {
        expected: "sha256:, sha384: or sha512: and hexadecimal digits in lower case",
        found: section.text("digest").slice(0, 80),
      });
    what = { kind: "digest", algorithm, value: digits };
  }
  return {
    what,
    sinceMs: section.has("since") ? readTime(section.text("since"), section.at("since")) : undefined,
    reason: section.optionalText("reason"),
  };
}

/** The rules that are for an artifact. */
export function rulesFor(policy: Policy, artifact: ArtifactFacts): readonly Rule[] {
  return policy.rules.filter(({ selectors }) => selectors.some((selector) => fitsSelector(selector, artifact)));
}

// A glob for files that has no slash is about the last part of the path, wherever it lies; one with a slash cannot fit it.
function fitsSelector({ kind, name }: Selector, artifact: ArtifactFacts): boolean {
  if (kind !== artifact.kind) return false;
  if (name.test(artifact.name)) return true;
  return kind === "file" && name.test(artifact.name.slice(artifact.name.lastIndexOf("/") + 1));
}

/** Hashes of the artifact that the policy needs beside SHA-256: those by which it revokes. */
export function hashesOf(policy: Policy): readonly string[] {
  return [...new Set(["sha256", ...policy.revoked.flatMap(({ what }) => (what.kind === "digest" ? [what.algorithm] : []))])];
}
