// SPDX-License-Identifier: Apache-2.0
/**
 * What conditions can speak of: facts that verification proved, and nothing else.
 *
 *     artifact       {kind, name, digests: {sha256: hex}}    what is judged; the name is the caller's word
 *     identity       {kind, value, issuer}                   who signed with a certificate; empty for a key
 *     claims         {name: text}                            the certificate's claims
 *     key            "sha256:…" of the key that signed, or ""
 *     predicateType  the statement's, or ""
 *     predicate      the statement's, or null
 *     subjects       [{name, digests}]                       the statement's
 *     times          [{time, kind, source}]                  proved times
 *     signedAt       the earliest of them; without one, using it is an error
 *     entries        [{log, logId, kind, index}]             proved log entries
 *     now            the time of the judgement, as handed in
 */
import { type CelInput, celEnv, parse, plan } from "@bufbuild/cel";
import type { Json } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import type { Verdict } from "@lacre/core/verify";

/** The names a condition may use. */
export const FACT_NAMES: readonly string[] = [
  "artifact",
  "identity",
  "claims",
  "key",
  "predicateType",
  "predicate",
  "subjects",
  "times",
  "signedAt",
  "entries",
  "now",
];

/** What is judged. */
export interface ArtifactFacts {
  readonly kind: ArtifactKind;
  /** As the caller calls it. */
  readonly name: string;
  /** Hexadecimal, by name of the hash: computed by the caller from the artifact itself. */
  readonly digests: Readonly<Record<string, string>>;
}

export const ARTIFACT_KINDS = ["file", "image", "package"] as const;
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];

/** Facts ready for conditions. */
export interface Facts {
  readonly variables: Readonly<Record<string, CelInput>>;
  /** A path and what stands there, for people. */
  show(path: readonly string[]): string;
}

const MAX_VALUES = 2_000_000;

/**
 * A mapping whose names are all texts. CEL's maps look through their keys one by one for a number that they lack; here that
 * is answered at once, or a statement of many names would make each look-up long. Loops take names from the entries.
 */
class Names extends Map<string, CelInput> {
  override keys(): MapIterator<string> {
    return new Map<string, CelInput>().keys();
  }
}

/**
 * The facts of one verified bundle. Throws TOO_LARGE for a statement of too many values, TypeError for a verdict that is not
 * verified.
 */
export function gatherFacts(artifact: ArtifactFacts, verdict: Verdict, nowMs: number): Facts {
  if (verdict.outcome !== "verified") throw new TypeError("facts are taken from verified verdicts alone");
  const { identity, times = [], logEntries = [] } = verdict;
  const first = earliest(verdict);
  // Without a prototype: `constructor` is no fact.
  const variables: Record<string, CelInput> = Object.assign(Object.create(null) as object, {
    artifact: dictionary({ kind: artifact.kind, name: artifact.name, digests: dictionary(artifact.digests) }),
    identity:
      identity === undefined
        ? new Names()
        : dictionary({
            kind: identity.kind,
            value: identity.value,
            ...(identity.issuer === undefined ? {} : { issuer: identity.issuer }),
          }),
    claims: dictionary(identity?.claims ?? {}),
    key: verdict.key ?? "",
    predicateType: verdict.predicateType ?? "",
    predicate: toInput(verdict.predicate ?? null, { left: MAX_VALUES }),
    subjects: (verdict.subjects ?? []).map(({ name, digests }) => dictionary({ name: name ?? "", digests: dictionary(digests) })),
    times: times.map(({ timeMs, kind, source }) => dictionary({ time: toTime(timeMs), kind, source })),
    ...(first === undefined ? {} : { signedAt: toTime(first) }),
    entries: logEntries.map(({ log, logId, kind, logIndex, treeIndex }) =>
      dictionary({ log, logId, kind, index: logIndex ?? treeIndex ?? "" }),
    ),
    now: toTime(nowMs),
  });
  return { variables, show: (path) => show(path, variables, first, nowMs) };
}

/** The earliest proved time: when the signature is known to have existed. */
export function earliest(verdict: Verdict): number | undefined {
  const times = (verdict.times ?? []).map(({ timeMs }) => timeMs);
  return times.length === 0 ? undefined : Math.min(...times);
}

function dictionary(members: Readonly<Record<string, CelInput>>): CelInput {
  return new Names(Object.entries(members)) as CelInput;
}

// Whole numbers become CEL's int, as JSON's do in Kubernetes; the others are doubles.
function toInput(value: Json, budget: { left: number }): CelInput {
  if (--budget.left < 0)
    throw new LacreError("TOO_LARGE", "the statement has too many values for conditions", { expected: `at most ${MAX_VALUES}` });
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map((one) => toInput(one, budget));
  return new Names(Object.entries(value).map(([name, one]) => [name, toInput(one, budget)])) as CelInput;
}

// CEL's own reading of a time: its values are messages of a library that this room need not know.
const readTime = plan(celEnv(), parse("timestamp(given)"));

function toTime(timeMs: number): CelInput {
  // What Date cannot show CEL's timestamps cannot either; the error is a value, and fails any condition that uses it.
  const given = Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : "never";
  return readTime({ given }) as CelInput;
}

const LONGEST = 120;

function show(
  path: readonly string[],
  variables: Readonly<Record<string, CelInput>>,
  first: number | undefined,
  nowMs: number,
): string {
  const name = path.join(".");
  if (name === "now" || name === "signedAt") {
    const timeMs = name === "now" ? nowMs : first;
    return `${name} = ${timeMs === undefined || Math.abs(timeMs) > 8.64e15 ? "nothing" : new Date(timeMs).toISOString()}`;
  }
  let value: unknown = variables[path[0]!];
  for (const step of path.slice(1)) value = value instanceof Map ? (value as Map<string, unknown>).get(step) : undefined;
  const text =
    value === undefined || value === null
      ? "nothing"
      : value instanceof Map
        ? `a mapping of ${value.size}`
        : Array.isArray(value)
          ? `a list of ${value.length}`
          : typeof value === "string"
            ? JSON.stringify(value)
            : typeof value === "object"
              ? "a value"
              : `${value as bigint}`;
  return `${name} = ${text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}`;
}
