// SPDX-License-Identifier: Apache-2.0
/**
 * The verifier: the steps, in order, and the verdict that follows from them.
 *
 * The order is that of the rules: input and structure, proved times, signer, log entries, signature. Cheap steps come
 * first, and nothing that a step returns is used before the step is recorded as passed. The verdict starts as refused;
 * the list of steps that have to be on record is made from policy and bundle alone, not by the steps.
 */
import type { Bundle, LegacySignature } from "../bundle/index.ts";
import { toBase64, toHex } from "../bytes/index.ts";
import { sha256, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { TrustedRoot } from "../trust/index.ts";
import { contains, outside, prepareAnchors, type Anchors, type Window } from "./anchors.ts";
import { Evidence, Refusal } from "./evidence.ts";
import {
  checkPolicyPresent,
  checkSameKind,
  chooseKey,
  openArtifact,
  openBundle,
  type Artifact,
  type Digests,
  type TrustedKey,
} from "./input.ts";
import { matchEntries, openEntries, proveEntries } from "./log.ts";
import { readPolicy, type Policy, type Rules } from "./policy.ts";
import { checkRevocations } from "./revocation.ts";
import { checkStatedDigest, proveSignature, type Signed } from "./signature.ts";
import { LeafCache, proveSigner, type Signer } from "./signer.ts";
import { checkTimes, proveTimestamps, type ProvedTime } from "./times.ts";
import {
  VERDICT_SCHEMA,
  type CheckId,
  type RootSource,
  type Verdict,
  type VerdictEntry,
  type VerdictIdentity,
} from "./verdict.ts";

/** How many independent witnesses are needed. Each counts operators, not entries or tokens. */
export interface Thresholds {
  /** Transparency logs. Default 1; the policy's `ignoreTlog` is the way to do without. */
  readonly logEntries?: number;
  /** Times, from timestamp authorities or logs' promises. Default 1; with a key that has no window, 0. */
  readonly times?: number;
  /** Times from timestamp authorities alone. Default 0. */
  readonly timestamps?: number;
  /** Certificate logs. Default 1; the policy's `ignoreSct` is the way to do without. */
  readonly scts?: number;
}

export interface VerifierOptions extends Thresholds {
  /** Left out: only key mode without a log (policy `ignoreTlog`) can verify anything. */
  readonly trustedRoot?: TrustedRoot | undefined;
  /** Where the root came from and why it was chosen, for the verdict. */
  readonly rootSource?: RootSource;
  /** How many signers' certificates are remembered, for bundles made under one certificate. Default 256; 0: none. */
  readonly rememberedLeaves?: number;
}

/** One thing to verify. */
export interface Question {
  /**
   * The bundle's text; or the loose parts of a signature of the old kind; or the result of `decodeBundle`: then its
   * structure is the caller's word.
   */
  readonly bundle: Uint8Array | Bundle | LegacySignature;
  /** What the signature is said to be over. Undefined only for statements, and with `checkClaims: false`. */
  readonly artifact: Artifact | undefined;
  readonly policy: Policy;
  /** Key mode: the key, or several of which the bundle's hint selects one. */
  readonly key?: PublicKey | readonly TrustedKey[];
  /** Now, in milliseconds since 1970: to refuse times in the future. */
  readonly nowMs?: number;
}

export interface Verifier {
  /**
   * Judges one bundle. Synchronous, opens no file and no socket, never throws for bad input: everything that is wrong
   * with bundle, artifact or root is a refusal in the verdict. Throws TypeError for what a programmer got wrong in the
   * question: unknown policy members or claims, contradictions, options of one mode in the other.
   */
  verify(question: Question): Verdict;
}

interface Needed {
  readonly logEntries: number;
  readonly times: number | undefined;
  readonly timestamps: number;
  readonly scts: number;
}

/**
 * A verifier over one trusted root, prepared for many bundles: keep it. Results that depend on a certificate alone are
 * remembered in it, within bounds. Throws TypeError for thresholds that are no whole numbers, or that would switch a check off.
 */
export function createVerifier(options: VerifierOptions = {}): Verifier {
  const { trustedRoot, rootSource } = options;
  const needed: Needed = {
    logEntries: threshold("logEntries", options.logEntries ?? 1, 1),
    times: options.times === undefined ? undefined : threshold("times", options.times, 1),
    timestamps: threshold("timestamps", options.timestamps ?? 0, 0),
    scts: threshold("scts", options.scts ?? 1, 1),
  };
  const anchors = trustedRoot === undefined ? undefined : prepareAnchors(trustedRoot);
  const leaves = new LeafCache(threshold("rememberedLeaves", options.rememberedLeaves ?? 256, 0));
  return {
    verify(question) {
      const rules = readPolicy(question.policy, question.key === undefined ? "certificate" : "key");
      const evidence = new Evidence();
      let proved: Proved | undefined;
      try {
        proved = judge(evidence, rules, { anchors, leaves, needed, rootSource, question, keys: listKeys(question.key) });
      } catch (error) {
        if (!(error instanceof Refusal)) evidence.fail("K4", internal(error));
      }
      return conclude(evidence, rules, proved, trustedRoot === undefined ? undefined : (rootSource ?? {}));
    },
  };
}

function threshold(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) throw new TypeError(`${name} is not a whole number of at least ${least}`);
  return value;
}

function listKeys(key: PublicKey | readonly TrustedKey[] | undefined): readonly TrustedKey[] {
  if (key === undefined) return [];
  return Array.isArray(key) ? (key as readonly TrustedKey[]) : [{ publicKey: key as PublicKey }];
}

// K4: whatever escapes the steps is ours, and is told without a stack.
function internal(error: unknown): LacreError {
  const found = error instanceof Error ? `${error.name}: ${error.message}` : "a value that is no error";
  return new LacreError("INTERNAL", "something went wrong inside the verifier", { found, cause: error });
}

interface Case {
  readonly anchors: Anchors | undefined;
  readonly leaves: LeafCache;
  readonly needed: Needed;
  readonly rootSource: RootSource | undefined;
  readonly question: Question;
  readonly keys: readonly TrustedKey[];
}

/** What a verified bundle proved. */
interface Proved {
  readonly bundle: Bundle;
  readonly digests: Digests | undefined;
  readonly times: readonly ProvedTime[];
  readonly entries: readonly VerdictEntry[];
  readonly key: PublicKey;
  readonly signer: Signer | undefined;
  readonly signed: Signed;
}

// The steps. Each ends in a Refusal or leaves its checks on record.
function judge(evidence: Evidence, rules: Rules, { anchors, leaves, needed, rootSource, question, keys }: Case): Proved {
  // A and B: what came in.
  checkPolicyPresent(evidence, rules, keys);
  const bundle = openBundle(evidence, rules, question.bundle);
  checkSameKind(evidence, rules, bundle, keys);
  const digests = openArtifact(evidence, rules, bundle, question.artifact);
  if (digests !== undefined && bundle.content.kind === "message") evidence.guard("J4", () => checkStatedDigest(bundle, digests));
  const given = rules.mode === "key" ? chooseKey(evidence, bundle, keys) : undefined;

  // C: whom we trust.
  checkRoot(evidence, rules, anchors, rootSource);

  // E, F1–F3, D: when it was signed.
  const timestamps = proveTimestamps(evidence, anchors, bundle);
  const known = openEntries(evidence, rules, anchors, bundle);
  const isTimed = rules.mode === "certificate" || (hasWindow(given) && !rules.allowCurrentTime);
  const times = checkTimes(
    evidence,
    timestamps,
    known.map((entry) => entry.promise),
    { times: needed.times ?? (isTimed ? 1 : 0), timestamps: needed.timestamps },
    question.nowMs,
  );

  // H and I: who signed.
  const signer = given === undefined ? proveSigner(evidence, rules, anchors!, leaves, bundle, times, needed.scts) : undefined;
  if (given !== undefined) proveKey(evidence, rules, given, times, question.nowMs);
  const key = given?.publicKey ?? evidence.guard("J1", () => signer!.certificate.publicKey);

  // F4–F10 and G: that it was logged.
  const entries = proveEntries(evidence, rules, known, times, needed.logEntries, question.nowMs);
  matchEntries(evidence, rules, known, { content: bundle.content, certificate: signer?.certificate.der, key, digests });

  // J: that this is what was signed.
  const signed = proveSignature(evidence, rules, bundle, key, digests, known);

  // Last: what has been proved, against what is not trusted any more.
  if (anchors?.root.revocations !== undefined)
    checkRevocations(evidence, anchors.root.revocations, { signer, key, times, entries });
  return { bundle, digests, times, entries, key, signer, signed };
}

// C: proved when the root was decoded; here is said what that rests on.
function checkRoot(evidence: Evidence, rules: Rules, anchors: Anchors | undefined, source: RootSource | undefined): void {
  if (anchors === undefined) {
    if (rules.mode === "certificate")
      evidence.refuse("C7", new LacreError("ROOT_MISSING", "certificates cannot be judged without a trusted root"));
    for (const id of ["C1", "C2", "C3", "C4", "C5", "C6", "C7"] as const) evidence.skip(id, "not applicable: no trusted root");
    return;
  }
  for (const id of ["C1", "C2", "C3", "C4", "C5", "C6"] as const) evidence.pass(id, "proved when the root was read");
  for (const warning of anchors.root.warnings) evidence.warn(warning);
  if (source?.source === undefined) evidence.assume("C7", "handed in by the caller");
  else evidence.pass("C7", [source.source, source.reason, source.digest].filter((part) => part !== undefined).join(", "));
}

function hasWindow(key: TrustedKey | undefined): boolean {
  return key?.startMs !== undefined || key?.endMs !== undefined;
}

// Key mode: no certificate to judge, but a window if the caller's material gives one (GHSA-wqqc-jjcq-vfxm).
function proveKey(
  evidence: Evidence,
  rules: Rules,
  key: TrustedKey,
  times: readonly ProvedTime[],
  nowMs: number | undefined,
): void {
  for (const id of ["H1", "H3", "H4", "H5", "H6", "H7", "I1", "I2", "I3", "I4", "I5"] as const)
    evidence.skip(id, "not applicable: signed with a key");
  if (!hasWindow(key)) return evidence.skip("H2", "not applicable: the key has no window");
  const window: Window = { startMs: key.startMs ?? -Infinity, endMs: key.endMs };
  evidence.prove("H2", () => {
    const moments = times.map((time) => time.timeMs);
    if (moments.length === 0 && rules.allowCurrentTime && nowMs !== undefined) moments.push(nowMs);
    if (moments.length === 0) throw new LacreError("TIME_MISSING", "the key's window cannot be judged without a time");
    for (const moment of moments) if (!contains(window, moment)) throw outside("the key", [window], moment);
  });
}

// Steps that have to be on record, by what is verified and how. Of those in an inner list one is enough.
type Steps = readonly (CheckId | readonly CheckId[])[];
const ALWAYS: Steps = [
  "A1",
  "A2",
  "A3",
  "A4",
  "A5",
  "B1",
  "B2",
  "B3",
  "B6",
  "B9",
  "D1",
  "D2",
  "D3",
  "D4",
  "F1",
  "F2",
  ["F3", "F4"],
  "F8",
  "F9",
  "G5",
  ["G1", "G2", "G3", "G4"],
  "J1",
  "J2",
  "J3",
  "J6",
];
const MESSAGE: Steps = ["B7", "J4"];
const ENVELOPE: Steps = ["B8", "J5", "J8"];
const KEY: Steps = ["B4"];
const CERTIFICATE: Steps = [
  ["B4", "B5"],
  "C1",
  "C2",
  "C3",
  "C4",
  "C5",
  "C6",
  "C7",
  "H1",
  "H2",
  "H3",
  "H4",
  "H5",
  "H6",
  "H7",
  "I1",
  "I2",
  "I3",
  "I4",
  "I5",
];
const PROMISED: Steps = ["F3"];
const INCLUDED: Steps = ["F4", "F5", "F6", "F7", "F10"];

function missingSteps(evidence: Evidence, rules: Rules, { bundle }: Proved): readonly string[] {
  const isOnRecord = (id: CheckId): boolean => {
    const status = evidence.status(id);
    return status === "pass" || status === "assumed";
  };
  const required = [
    ALWAYS,
    bundle.content.kind === "message" ? MESSAGE : ENVELOPE,
    rules.mode === "certificate" ? CERTIFICATE : KEY,
    bundle.version === "0.1" ? PROMISED : INCLUDED,
  ];
  const missing: string[] = [];
  for (const steps of required) {
    for (const step of steps) {
      if (typeof step === "string" ? !isOnRecord(step) : !step.some(isOnRecord))
        missing.push(typeof step === "string" ? step : step.join(" or "));
    }
  }
  return missing;
}

// K: the outcome.
function conclude(evidence: Evidence, rules: Rules, proved: Proved | undefined, trustedRoot: RootSource | undefined): Verdict {
  if (evidence.status("K4") === undefined) evidence.pass("K4");
  if (proved === undefined) {
    if (!evidence.isRefused) evidence.fail("K1", new LacreError("STEP_MISSING", "the verification ended without a reason"));
  } else {
    const missing = missingSteps(evidence, rules, proved);
    if (missing.length > 0)
      evidence.fail("K1", new LacreError("STEP_MISSING", "a required step left no record", { expected: missing.join(", ") }));
    else for (const id of ["K1", "K2", "K3"] as const) evidence.pass(id);
  }
  // Told before the rows are read: what goes wrong in telling is on record like everything else.
  let told: Told | undefined;
  try {
    told = proved === undefined ? undefined : tell(proved);
  } catch (error) {
    evidence.fail("K4", internal(error));
  }
  const checks = evidence.checks();
  const isVerified = told !== undefined && checks.every(({ status }) => status !== "fail" && status !== "unknown");
  const outcome = isVerified ? "verified" : "refused";
  const { warnings } = evidence;
  const verdict: Verdict =
    trustedRoot === undefined
      ? { schema: VERDICT_SCHEMA, outcome, checks, warnings }
      : { schema: VERDICT_SCHEMA, outcome, checks, warnings, trustedRoot };
  return isVerified ? Object.assign(verdict, told) : verdict;
}

// What a verified verdict says beyond its checks: nothing but what was proved.
function tell({ bundle, digests, times, entries, key, signer, signed }: Proved): Told {
  const { content, mediaType } = bundle;
  const { statement } = signed;
  const told: Told = { mediaType };
  if (signer === undefined) told.key = `sha256:${toHex(sha256(key.spki))}`;
  else told.identity = tellIdentity(signer);
  told.algorithm = signed.algorithm.keyDetails;
  told.times = times.map(({ timeMs, kind, source }) => ({ timeMs, kind, source }));
  told.logEntries = entries;
  if (digests !== undefined) told.artifact = tellArtifact(digests, signed);
  if (content.kind === "dsse") {
    told.payloadType = content.payloadType;
    told.payload = toBase64(content.payload);
  }
  if (statement !== undefined) {
    told.subjects = statement.subjects.map(({ name, digests: stated }) =>
      name === undefined ? { digests: Object.fromEntries(stated) } : { name, digests: Object.fromEntries(stated) },
    );
    told.predicateType = statement.predicateType;
    told.predicate = statement.predicate;
  }
  return told;
}

/** What a verified verdict says beyond its checks, while it is being put together. */
type Told = {
  -readonly [Member in keyof Omit<Verdict, "schema" | "outcome" | "checks" | "warnings" | "trustedRoot">]: Verdict[Member];
};

// The digests that the proof rests on, and no other that came along.
function tellArtifact(digests: Digests, { compared }: Signed): Readonly<Record<string, string>> {
  return Object.fromEntries(compared.map((name) => [name, toHex(digests.get(name))]));
}

function tellIdentity({ certificate, identity: { san, issuer, claims: proved } }: Signer): VerdictIdentity {
  // One by one: `Object.fromEntries` takes several times as long. The names are those of the registry.
  const claims: Record<string, string> = {};
  for (const [name, value] of proved) claims[name] = value;
  return {
    kind: san.kind,
    value: san.value,
    ...(issuer === undefined ? undefined : { issuer }),
    claims,
    serial: toHex(certificate.serial),
  };
}
