// SPDX-License-Identifier: Apache-2.0
/**
 * The decision: what a policy says of one artifact, given what verification proved.
 *
 * Pure: verdicts and the time are handed in, nothing is read or asked. Only verified verdicts about this very artifact
 * count; those that were refused are named with their reason and take no part. Every rule that is for the artifact stands
 * in the decision with what it wanted, what was found, and what would help.
 *
 *     verified   each enforced rule holds, and there is one (rules in mode `warn` alone count when they hold)
 *     warned     no enforced rule was broken, but none was there, and a rule in mode `warn` does not hold: not verified
 *     refused    an enforced rule does not hold, no rule is for the artifact, or the artifact is revoked
 */
import type { LacreCode } from "@lacre/core/errors";
import { CODES, LacreError } from "@lacre/core/errors";
import { decidingCheck, type Verdict } from "@lacre/core/verify";
import type { Finding } from "./condition.ts";
import { type ArtifactFacts, earliest, type Facts, gatherFacts } from "./facts.ts";
import {
  type Age,
  type AttestationDemand,
  type Policy,
  type ProofThresholds,
  type Quorum,
  type Revocation,
  type Rule,
  rulesFor,
  type TrustChoice,
} from "./policy.ts";
import { countDistinct, describeWay, type Keys, missOf, personOf } from "./signer.ts";

/** The versioned name of this shape: the `schema` member of every decision. */
export const DECISION_SCHEMA = "urn:lacre:decision:1";

/** What rules of one kind ask of verification: bundles are verified once for each. */
export interface Proof {
  /** Equal for equal questions. */
  readonly id: string;
  readonly trust: TrustChoice | undefined;
  readonly thresholds: ProofThresholds;
}

/** A bundle that was looked at. */
export interface Seal {
  /** Where it came from: a file, a descriptor. */
  readonly source: string;
  /** The question it answers (`Proof.id`). */
  readonly proof: string;
  /** Verified under the policy that accepts any identity, or the key. */
  readonly verdict: Verdict;
  /**
   * The artifact's digests that the seal is about, where its host proved that by other means than the verdict's `artifact`
   * (an image's simple signing payload names the digest).
   */
  readonly about?: Readonly<Record<string, string>>;
}

/** All that a decision rests on. */
export interface Evidence {
  readonly artifact: ArtifactFacts;
  readonly seals: readonly Seal[];
  /** The time of the judgement, in milliseconds since 1970. */
  readonly nowMs: number;
  /** Keys that the policy names by reference. */
  readonly keys?: Keys;
}

/** One thing a rule asks for. */
export interface DemandResult {
  readonly demand: "signatures" | "attestation";
  readonly outcome: "holds" | "fails";
  readonly wanted: string;
  readonly found: string;
  /** Of a failure. */
  readonly code?: LacreCode;
  readonly fix?: string;
  /** Who counted, by the policy's names. */
  readonly signers: readonly string[];
}

export interface RuleResult {
  readonly rule: string;
  readonly mode: Rule["mode"];
  readonly outcome: "holds" | "fails";
  readonly demands: readonly DemandResult[];
}

export interface SealResult {
  readonly source: string;
  readonly outcome: "counted" | "unused" | "refused";
  /** Who signed, if that was proved. */
  readonly signer?: string;
  readonly predicateType?: string;
  readonly signedAt?: string;
  /** Why it was refused, or counted for nothing. */
  readonly reason?: string;
  readonly code?: LacreCode;
}

export interface Decision {
  readonly schema: typeof DECISION_SCHEMA;
  readonly outcome: "verified" | "warned" | "refused";
  readonly artifact: ArtifactFacts;
  readonly policy: { readonly name?: string; readonly digest: string };
  /** When it was judged. */
  readonly at: string;
  /** Of a refusal or warning: the first reason. */
  readonly code?: LacreCode;
  readonly reason?: string;
  readonly fix?: string;
  readonly rules: readonly RuleResult[];
  readonly seals: readonly SealResult[];
  readonly warnings: readonly string[];
}

/** What has to be asked of verification for an artifact: one proof for each trust and thresholds among its rules. */
export function proofsFor(policy: Policy, artifact: ArtifactFacts): readonly Proof[] {
  return [...new Map(rulesFor(policy, artifact).map((rule) => [proofOf(rule).id, proofOf(rule)])).values()];
}

function proofOf({ trust, thresholds }: Rule): Proof {
  const { logs, times, timestamps, scts } = thresholds;
  return { id: JSON.stringify([trust?.name ?? null, logs, times ?? null, timestamps, scts]), trust, thresholds };
}

/** A seal made ready: facts are gathered once, and only when a condition asks. */
interface Candidate {
  readonly seal: Seal;
  readonly person: string;
  facts(): Facts;
  /** Why it counted for nothing so far: the reason that came nearest. */
  miss: string | undefined;
  counted: boolean;
}

/** Judges an artifact. Never throws for what the evidence holds. */
export function evaluate(policy: Policy, evidence: Evidence): Decision {
  const { artifact, nowMs } = evidence;
  const keys = evidence.keys ?? new Map<string, string>();
  const refusedSeals = new Map<Seal, Omit<SealResult, "source">>();
  const candidates: Candidate[] = [];
  for (const seal of evidence.seals) {
    const refusal = refusalOf(seal, policy, evidence, keys);
    if (refusal !== undefined) {
      refusedSeals.set(seal, refusal);
      continue;
    }
    let facts: Facts | undefined;
    candidates.push({
      seal,
      person: personOf(seal.verdict),
      facts: () => (facts ??= gatherFacts(artifact, seal.verdict, nowMs)),
      miss: undefined,
      counted: false,
    });
  }
  const revocation = revokedArtifact(policy, artifact);
  const rules = rulesFor(policy, artifact).map((rule) => judgeRule(rule, candidates, keys, nowMs));
  const conclusion = conclude(rules, artifact, revocation);
  return {
    schema: DECISION_SCHEMA,
    ...conclusion,
    artifact,
    policy: { ...(policy.name === undefined ? {} : { name: policy.name }), digest: policy.digest },
    at: showTime(nowMs),
    rules,
    seals: evidence.seals.map((seal) =>
      tellSeal(
        seal,
        refusedSeals.get(seal),
        candidates.find((one) => one.seal === seal),
      ),
    ),
    warnings: rules
      .filter(({ mode, outcome }) => mode === "warn" && outcome === "fails")
      .map(
        ({ rule, demands }) =>
          `rule "${rule}" does not hold, and is in mode warn: ${demands.find(({ outcome }) => outcome === "fails")!.found}`,
      ),
  };
}

function conclude(
  rules: readonly RuleResult[],
  artifact: ArtifactFacts,
  revocation: Refused | undefined,
): Pick<Decision, "outcome" | "code" | "reason" | "fix"> {
  if (revocation !== undefined) return { outcome: "refused", ...revocation };
  if (rules.length === 0) {
    return {
      outcome: "refused",
      code: "RULE_MISSING",
      reason: `no rule is for ${artifact.kind} ${artifact.name}`,
      fix: CODES.RULE_MISSING.hint,
    };
  }
  const broken = rules.find(({ mode, outcome }) => mode === "enforce" && outcome === "fails");
  const warned = rules.find(({ outcome }) => outcome === "fails");
  const isEnforced = rules.some(({ mode }) => mode === "enforce");
  const deciding = broken ?? (isEnforced ? undefined : warned);
  if (deciding === undefined) return { outcome: "verified" };
  const demand = deciding.demands.find(({ outcome }) => outcome === "fails")!;
  return {
    outcome: broken === undefined ? "warned" : "refused",
    code: demand.code!,
    reason: `rule "${deciding.rule}" wants ${demand.wanted}; ${demand.found}`,
    fix: demand.fix!,
  };
}

interface Refused {
  readonly code: LacreCode;
  readonly reason: string;
  readonly fix: string;
}

// The digests were computed by the host: a hash that a revocation names and the host left out cannot be passed over.
function revokedArtifact(policy: Policy, artifact: ArtifactFacts): Refused | undefined {
  for (const { what, reason } of policy.revoked) {
    if (what.kind !== "digest") continue;
    const digest = Object.hasOwn(artifact.digests, what.algorithm) ? artifact.digests[what.algorithm] : undefined;
    if (digest === undefined)
      return {
        code: "ARTIFACT_DIGEST_MISSING",
        reason: `the policy revokes by ${what.algorithm}, and the artifact's is not known`,
        fix: CODES.ARTIFACT_DIGEST_MISSING.hint,
      };
    if (digest === what.value)
      return {
        code: "REVOKED",
        reason: `this artifact is revoked${reason === undefined ? "" : `: ${reason}`}`,
        fix: CODES.REVOKED.hint,
      };
  }
  return undefined;
}

// Why a seal takes no part at all.
function refusalOf(seal: Seal, policy: Policy, { artifact }: Evidence, keys: Keys): Omit<SealResult, "source"> | undefined {
  const { verdict } = seal;
  if (verdict.outcome !== "verified") {
    const check = decidingCheck(verdict);
    return {
      outcome: "refused",
      reason: `${check?.message ?? "not verified"}${check === undefined ? "" : ` (check ${check.id})`}`,
      ...(check?.code === undefined ? {} : { code: check.code }),
    };
  }
  if (!isAbout(seal, artifact)) return { outcome: "refused", reason: "it is not about this artifact", code: "ARTIFACT_MISMATCH" };
  const revoked = policy.revoked.find((revocation) => isRevoked(revocation, verdict, keys));
  if (revoked !== undefined)
    return {
      outcome: "refused",
      code: "REVOKED",
      reason: `${revoked.what.kind} is revoked${revoked.reason === undefined ? "" : `: ${revoked.reason}`}`,
    };
  return undefined;
}

function isAbout({ verdict, about }: Seal, artifact: ArtifactFacts): boolean {
  const compared = Object.entries(about ?? verdict.artifact ?? {});
  const known = compared.filter(([name]) => Object.hasOwn(artifact.digests, name));
  return known.length > 0 && known.every(([name, value]) => artifact.digests[name] === value);
}

function isRevoked({ what, sinceMs }: Revocation, verdict: Verdict, keys: Keys): boolean {
  if (sinceMs !== undefined) {
    const signedMs = earliest(verdict);
    if (signedMs !== undefined && signedMs < sinceMs) return false;
  }
  const { identity, key } = verdict;
  switch (what.kind) {
    case "identity":
      return (
        identity !== undefined &&
        what.identity.test(identity.value) &&
        (what.issuer === undefined || (identity.issuer !== undefined && what.issuer.test(identity.issuer)))
      );
    case "key": {
      const fingerprint = what.key.fingerprint ?? keys.get(what.key.name);
      // A key that should be refused and cannot be found: none that is used may be it.
      return key !== undefined && (fingerprint === undefined || fingerprint === key);
    }
    case "serial":
      return identity !== undefined && (identity.serial === undefined || identity.serial.replace(/^0+(?=.)/, "") === what.serial);
    case "digest":
      return false;
  }
}

function judgeRule(rule: Rule, candidates: readonly Candidate[], keys: Keys, nowMs: number): RuleResult {
  const proof = proofOf(rule).id;
  const own = candidates.filter(({ seal }) => seal.proof === proof);
  const demands: DemandResult[] = [];
  if (rule.signatures !== undefined)
    demands.push(judgeQuorum("signatures", rule.signatures, rule.age, own.filter(isSignature), keys, nowMs));
  for (const attestation of rule.attestations)
    demands.push(
      judgeQuorum(
        "attestation",
        attestation,
        rule.age,
        own.filter(({ seal }) => seal.verdict.predicateType === attestation.type),
        keys,
        nowMs,
      ),
    );
  return {
    rule: rule.name,
    mode: rule.mode,
    outcome: demands.every(({ outcome }) => outcome === "holds") ? "holds" : "fails",
    demands,
  };
}

/** The statement by which cosign signs images. */
const COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1";

// A statement about an artifact (that it was scanned, say) is no approval of it.
function isSignature({ seal: { verdict } }: Candidate): boolean {
  return verdict.payloadType === undefined || verdict.predicateType === COSIGN_SIGN;
}

function judgeQuorum(
  demand: DemandResult["demand"],
  quorum: Quorum | AttestationDemand,
  age: Age,
  candidates: readonly Candidate[],
  keys: Keys,
  nowMs: number,
): DemandResult {
  const fits = new Map<string, Set<number>>();
  let worst: Miss | undefined;
  for (const candidate of candidates) {
    const result = judgeSeal(candidate, quorum, age, keys, nowMs);
    if ("signers" in result) {
      candidate.counted = true;
      const known = fits.get(candidate.person) ?? new Set();
      for (const signer of result.signers) known.add(signer);
      fits.set(candidate.person, known);
    } else {
      candidate.miss ??= result.text;
      if (worst === undefined || MISS_RANK.indexOf(result.code) > MISS_RANK.indexOf(worst.code)) worst = result;
    }
  }
  const count = countDistinct(
    [...fits.values()].map((signers) => [...signers]),
    quorum.from.map(({ isEach }) => isEach),
  );
  const names = [...new Set([...fits.values()].flatMap((signers) => [...signers].map((at) => quorum.from[at]!.name)))];
  const common = { demand, wanted: describeQuorum(demand, quorum, age), signers: names };
  if (count >= quorum.atLeast) return { ...common, outcome: "holds", found: `${count} distinct: ${[...fits.keys()].join(", ")}` };
  const code: LacreCode =
    candidates.length === 0
      ? demand === "attestation"
        ? "ATTESTATION_MISSING"
        : "SIGNATURE_MISSING"
      : (worst?.code ?? "SIGNERS_MISSING");
  const found =
    candidates.length === 0
      ? demand === "attestation"
        ? "there is no verified statement of this type"
        : "there is no verified signature"
      : count > 0
        ? `${count} distinct of ${quorum.atLeast}: ${[...fits.keys()].join(", ")}${worst === undefined ? "" : `; not counted: ${worst.text}`}`
        : worst!.text;
  return {
    ...common,
    outcome: "fails",
    code: count > 0 && worst === undefined ? "SIGNERS_MISSING" : code,
    found,
    fix: CODES[count > 0 && worst === undefined ? "SIGNERS_MISSING" : code].hint,
  };
}

interface Miss {
  readonly code: LacreCode;
  readonly text: string;
}

/** The later a seal fails, the more it tells. */
const MISS_RANK: readonly LacreCode[] = ["SIGNERS_MISSING", "SEAL_AGE", "CONDITION_FAILED", "CONDITION_FALSE"];

function judgeSeal(
  candidate: Candidate,
  quorum: Quorum,
  age: Age,
  keys: Keys,
  nowMs: number,
): { readonly signers: readonly number[] } | Miss {
  const { verdict } = candidate.seal;
  const signers: number[] = [];
  const misses: string[] = [];
  quorum.from.forEach((signer, at) => {
    const miss = missOf(signer, verdict, keys);
    if (miss === undefined) signers.push(at);
    else misses.push(`${signer.name}: ${miss}`);
  });
  // Who is not asked for gets no condition run over what they state.
  if (signers.length === 0)
    return { code: "SIGNERS_MISSING", text: `signed by ${describeSigner(verdict)} (${misses.slice(0, 4).join("; ")})` };
  const old = missOfAge(age, verdict, nowMs);
  if (old !== undefined) return { code: "SEAL_AGE", text: old };
  for (const condition of quorum.conditions) {
    let finding: Finding;
    try {
      finding = condition.evaluate(candidate.facts());
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      finding = { outcome: "failed", reason: error.message };
    }
    if (finding.outcome === "false")
      return {
        code: "CONDITION_FALSE",
        text: `${condition.source} is false${finding.found === "" ? "" : ` (${finding.found})`}`,
      };
    if (finding.outcome === "failed")
      return { code: "CONDITION_FAILED", text: `${condition.source} has no value: ${finding.reason}` };
  }
  return { signers };
}

function missOfAge({ withinMs, notBeforeMs, notAfterMs }: Age, verdict: Verdict, nowMs: number): string | undefined {
  if (withinMs === undefined && notBeforeMs === undefined && notAfterMs === undefined) return undefined;
  const signedMs = earliest(verdict);
  if (signedMs === undefined) return "no time of the signature was proved";
  const isWithin = withinMs === undefined || nowMs - signedMs <= withinMs;
  if (isWithin && signedMs >= (notBeforeMs ?? -Infinity) && signedMs <= (notAfterMs ?? Infinity)) return undefined;
  return `it was signed at ${showTime(signedMs)}`;
}

/** What a quorum asks for, in words. */
export function describeQuorum(demand: DemandResult["demand"], quorum: Quorum | AttestationDemand, age: Age): string {
  const names = quorum.from.map(({ name, isEach }) => (isEach ? `any who are ${name}` : name)).join(", ");
  const who = quorum.from.length === 1 && quorum.atLeast === 1 ? `by ${names}` : `by ${quorum.atLeast} of: ${names}`;
  const what = demand === "attestation" ? `a statement ${(quorum as AttestationDemand).type}` : "a signature";
  const where =
    quorum.conditions.length === 0 ? "" : `, for which ${quorum.conditions.map(({ source }) => source).join(" and ")}`;
  return `${what} ${who}${where}${describeAge(age)}`;
}

function describeAge({ withinMs, notBeforeMs, notAfterMs }: Age): string {
  const parts = [
    withinMs === undefined ? [] : [`not older than ${withinMs / 3_600_000} hours`],
    notBeforeMs === undefined ? [] : [`from ${showTime(notBeforeMs)} on`],
    notAfterMs === undefined ? [] : [`until ${showTime(notAfterMs)}`],
  ].flat();
  return parts.length === 0 ? "" : `, signed ${parts.join(", ")}`;
}

function describeSigner({ identity, key }: Verdict): string {
  return identity === undefined ? `key ${key ?? "unknown"}` : `${identity.value} from ${identity.issuer ?? "no issuer"}`;
}

function tellSeal(seal: Seal, refused: Omit<SealResult, "source"> | undefined, candidate: Candidate | undefined): SealResult {
  const { source, verdict } = seal;
  const isProved = verdict.outcome === "verified";
  const signedMs = isProved ? earliest(verdict) : undefined;
  return {
    source,
    ...(refused ?? {
      outcome: candidate?.counted === true ? "counted" : "unused",
      ...(candidate?.counted !== true && candidate?.miss !== undefined ? { reason: candidate.miss } : {}),
    }),
    ...(isProved ? { signer: describeSigner(verdict) } : {}),
    ...(isProved && verdict.predicateType !== undefined ? { predicateType: verdict.predicateType } : {}),
    ...(signedMs === undefined ? {} : { signedAt: showTime(signedMs) }),
  };
}

/** A moment for people and JSON. */
export function showTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : "never";
}

/** What a rule demands, in plain sentences. */
export function describeRule(rule: Rule): readonly string[] {
  const lines = [
    ...(rule.signatures === undefined ? [] : [describeQuorum("signatures", rule.signatures, rule.age)]),
    ...rule.attestations.map((attestation) => describeQuorum("attestation", attestation, rule.age)),
  ];
  const { logs, times, timestamps, scts } = rule.thresholds;
  if (logs !== 1) lines.push(logs === 0 ? "no transparency log is asked for" : `entries in ${logs} independent logs`);
  if (times !== undefined) lines.push(`${times} independent proofs of time`);
  if (timestamps > 0) lines.push(`${timestamps} independent timestamp authorities`);
  if (scts !== 1) lines.push(scts === 0 ? "no certificate log is asked for" : `promises of ${scts} certificate logs`);
  if (rule.trust !== undefined)
    lines.push(
      "root" in rule.trust ? `trusting the root in ${rule.trust.root}` : `trusting the installation ${rule.trust.installation}`,
    );
  return lines;
}

/** Who a policy's signers are, in plain words. */
export function describeSigners(policy: Policy): readonly (readonly [string, string])[] {
  return policy.signers.map(({ name, ways, isEach }) => [
    name,
    `${ways.map(describeWay).join(", or ")}${isEach ? " (each of them counts)" : ""}`,
  ]);
}

/** The artifacts a rule is for, in plain words. */
export function describeSelectors(rule: Rule): readonly string[] {
  return rule.selectors.map(({ kind, name }) => `${kind} ${name.shown}`);
}

/** Signers that anybody with a certificate would pass for: names of a policy worth a warning. */
export function broadSigners(policy: Policy): readonly string[] {
  const stranger = ["nobody-in-particular@stranger.invalid", "https://stranger.invalid/anything"];
  return policy.signers.flatMap(({ name, ways }) =>
    ways.some(
      (way) =>
        way.kind === "identity" &&
        way.claims.size === 0 &&
        stranger.every((one) => way.identity.test(one)) &&
        way.issuer.test("https://issuer.invalid"),
    )
      ? [name]
      : [],
  );
}
