// SPDX-License-Identifier: Apache-2.0
/**
 * The policy: who may sign, and what else a caller asks for (block I of the rules).
 *
 * A policy that says nothing about the signer refuses everything: "any identity" has to be said. A member that is not
 * understood is the caller's mistake and throws, because a requirement that is quietly dropped is the worst outcome of
 * all (GHSA-52v5-jr5w-gjxr). Nothing here trims, folds case or reads patterns: exact values are compared whole, patterns
 * are the caller's engine, which has to run in linear time.
 */
import { CLAIMS, type Identity } from "../x509/index.ts";
import { LacreError } from "../errors.ts";
import type { Evidence } from "./evidence.ts";

/** A pattern: its source for the record, and the caller's engine, which has to run in linear time. Anchoring is its maker's matter. */
export interface Pattern {
  /** The pattern as written. */
  readonly source: string;
  /** Whether the text fits. */
  test(text: string): boolean;
}

/** Exact text, or a pattern. */
export type Matcher = { readonly exact: string } | { readonly pattern: Pattern };

/** Required values of certificate claims, by claim name (see `CLAIMS` in the x509 room). */
export type ClaimRules = Readonly<Record<string, Matcher>>;

/** One signer that is accepted: subject and issuer, and claims if given, must all match. */
export interface IdentityRule {
  readonly identity: Matcher;
  readonly issuer: Matcher;
  readonly claims?: ClaimRules;
}

/** What the caller asks of a bundle. In key mode (a key is handed in) the members about identities do not apply. */
export interface Policy {
  /** Accepted signers: any one of them. */
  readonly identities?: readonly IdentityRule[];
  /** Accepts whoever holds a certificate of the trusted root's authorities. Loud on purpose. */
  readonly anyIdentity?: true;
  /** Claims required of every signer. */
  readonly claims?: ClaimRules;
  /** The statement's predicate type, exactly. A bundle without a statement is then refused. */
  readonly predicateType?: string;
  /** Accepted payload types of envelopes. Default: in-toto only. */
  readonly payloadTypes?: readonly string[];
  /** false: a statement need not be about an artifact, and none need be given. Default true. */
  readonly checkClaims?: boolean;
  /** Does without the transparency log; entries in the bundle are not looked at. */
  readonly ignoreTlog?: boolean;
  /** Does without the promise of a certificate log. */
  readonly ignoreSct?: boolean;
  /** Refuses log entries without a proof of inclusion (version 0.1 bundles may have a promise alone). */
  readonly requireProof?: boolean;
  /** Accepts P-384 and P-521 signatures with SHA-256, which old clients made. */
  readonly legacyHashes?: boolean;
  /** Key mode: judges the key's window at the current time when the bundle proves none. */
  readonly allowCurrentTime?: boolean;
}

/** The payload type of in-toto statements. */
export const IN_TOTO = "application/vnd.in-toto+json";

/** A policy with its defaults filled in and its mode decided. */
export interface Rules {
  readonly mode: "certificate" | "key";
  readonly identities: readonly IdentityRule[];
  readonly anyIdentity: boolean;
  readonly claims: ClaimRules;
  readonly predicateType: string | undefined;
  readonly payloadTypes: readonly string[];
  readonly checkClaims: boolean;
  readonly ignoreTlog: boolean;
  readonly ignoreSct: boolean;
  readonly requireProof: boolean;
  readonly legacyHashes: boolean;
  readonly allowCurrentTime: boolean;
}

const FLAGS = [
  "checkClaims",
  "ignoreTlog",
  "ignoreSct",
  "requireProof",
  "legacyHashes",
  "allowCurrentTime",
  "anyIdentity",
] as const;
const MEMBERS: ReadonlySet<string> = new Set([...FLAGS, "identities", "claims", "predicateType", "payloadTypes"]);
const RULE_MEMBERS: ReadonlySet<string> = new Set(["identity", "issuer", "claims"]);

/**
 * Reads a policy. Throws TypeError for what a programmer got wrong: unknown members and claims, values of the wrong
 * type, requirements that contradict one another or the mode. An empty policy is no mistake: it refuses (check A1).
 */
export function readPolicy(policy: Policy, mode: "certificate" | "key"): Rules {
  for (const name of Object.keys(policy)) if (!MEMBERS.has(name)) throw new TypeError(`unknown policy member: ${name}`);
  for (const name of FLAGS) {
    if (policy[name] !== undefined && typeof policy[name] !== "boolean")
      throw new TypeError(`policy member ${name} is not a boolean`);
  }
  const identities = policy.identities ?? [];
  if (
    mode === "key" &&
    (identities.length > 0 || policy.anyIdentity === true || policy.claims !== undefined || policy.ignoreSct === true)
  ) {
    throw new TypeError("identities, claims and certificate logs do not apply when a key is given");
  }
  if (mode === "certificate" && policy.allowCurrentTime === true)
    throw new TypeError("allowCurrentTime applies only when a key is given");
  if (identities.length > 0 && policy.anyIdentity === true)
    throw new TypeError("identities and anyIdentity contradict one another");
  for (const rule of identities) {
    for (const name of Object.keys(rule))
      if (!RULE_MEMBERS.has(name)) throw new TypeError(`unknown member of an identity rule: ${name}`);
    expectMatcher(rule.identity, "identity");
    expectMatcher(rule.issuer, "issuer");
    expectClaims(rule.claims);
  }
  expectClaims(policy.claims);
  if (policy.payloadTypes?.every((type) => typeof type === "string" && type !== "") === false)
    throw new TypeError("payloadTypes are not non-empty strings");
  if (policy.predicateType !== undefined && (typeof policy.predicateType !== "string" || policy.predicateType === "")) {
    throw new TypeError("predicateType is not a non-empty string");
  }
  return {
    mode,
    identities,
    anyIdentity: policy.anyIdentity ?? false,
    claims: policy.claims ?? {},
    predicateType: policy.predicateType,
    payloadTypes: policy.payloadTypes ?? [IN_TOTO],
    checkClaims: policy.checkClaims ?? true,
    ignoreTlog: policy.ignoreTlog ?? false,
    ignoreSct: policy.ignoreSct ?? false,
    requireProof: policy.requireProof ?? false,
    legacyHashes: policy.legacyHashes ?? false,
    allowCurrentTime: policy.allowCurrentTime ?? false,
  };
}

function expectMatcher(matcher: Matcher | undefined, what: string): void {
  if (typeof matcher === "object" && matcher !== null) {
    // A RegExp with these flags answers by where it stopped last time.
    if ("pattern" in matcher && matcher.pattern instanceof RegExp && (matcher.pattern.global || matcher.pattern.sticky))
      throw new TypeError(`${what} is a pattern with a memory (flag g or y)`);
    if (
      "exact" in matcher ? typeof matcher.exact === "string" && matcher.exact !== "" : typeof matcher.pattern?.test === "function"
    )
      return;
  }
  throw new TypeError(`${what} is neither {exact: text} nor {pattern}`);
}

function expectClaims(claims: ClaimRules | undefined): void {
  for (const [name, matcher] of Object.entries(claims ?? {})) {
    if (!CLAIMS.has(name)) throw new TypeError(`unknown claim: ${name}`);
    expectMatcher(matcher, `claim ${name}`);
  }
}

/** Whether the whole text is what the matcher asks for. */
function matches(matcher: Matcher, text: string | undefined): boolean {
  if (text === undefined) return false;
  if ("exact" in matcher) return matcher.exact === text;
  // Whatever a foreign engine returns, only true is a match.
  const answer: unknown = matcher.pattern.test(text);
  return answer === true;
}

function show(matcher: Matcher): string {
  return "exact" in matcher ? matcher.exact : `/${matcher.pattern.source}/`;
}

/** I3–I5: the proved identity is one of those accepted, with the claims required. */
export function checkIdentity(evidence: Evidence, rules: Rules, identity: Identity): void {
  const { san, issuer } = identity;
  const found = `${san.value} from ${issuer ?? "no issuer"}`;
  if (rules.anyIdentity) {
    evidence.assume("I3", `any identity is accepted: ${found}`);
    evidence.warn("any identity was accepted: this says who signed, not that they may");
    evidence.prove("I4", () => checkClaims(rules.claims, identity));
    evidence.assume("I5", "any identity is accepted");
    return;
  }
  const named = evidence.prove(
    "I3",
    () => {
      const fit = rules.identities.filter((rule) => matches(rule.identity, san.value) && matches(rule.issuer, issuer));
      if (fit.length === 0) throw identityMismatch(rules, identity);
      return fit;
    },
    () => found,
  );
  const accepted = evidence.prove(
    "I4",
    () => {
      checkClaims(rules.claims, identity);
      // Of several rules for one identity any may fit; the error is about the last.
      let mismatch: unknown;
      for (const rule of named) {
        try {
          checkClaims(rule.claims ?? {}, identity);
          return rule;
        } catch (error) {
          mismatch = error;
        }
      }
      throw mismatch;
    },
    (rule) => claimNames(rules.claims, rule.claims),
  );
  evidence.pass("I5", `rule ${rules.identities.indexOf(accepted) + 1} of ${rules.identities.length}`);
}

function identityMismatch(rules: Rules, identity: Identity): LacreError {
  const expected = rules.identities.map((rule) => `${show(rule.identity)} from ${show(rule.issuer)}`).join(" or ");
  const nearly = rules.identities.some((rule) => matches(rule.identity, identity.san.value));
  const message = nearly ? "the identity is right, its issuer is not" : "the signer is not one of those accepted";
  return new LacreError("IDENTITY_MISMATCH", message, {
    expected,
    found: `${identity.san.value} from ${identity.issuer ?? "no issuer"}`,
  });
}

function checkClaims(claims: ClaimRules, identity: Identity): void {
  for (const [name, matcher] of Object.entries(claims)) {
    const value = identity.claims.get(name);
    if (!matches(matcher, value)) {
      throw new LacreError("CLAIM_MISMATCH", `claim ${name} is not as required`, {
        expected: show(matcher),
        found: value ?? "absent",
      });
    }
  }
}

function claimNames(...rules: readonly (ClaimRules | undefined)[]): string {
  const names = rules.flatMap((claims) => Object.keys(claims ?? {}));
  return names.length === 0 ? "no claims required" : names.join(", ");
}
