// SPDX-License-Identifier: Apache-2.0
/** A policy as plain data, to be handed to another thread: patterns are spelled out, and compiled again where they arrive. */
import type { ClaimRules, IdentityRule, Matcher, Policy } from "@lacre/core/verify";
import { compileMatcher, type SpelledMatcher, type Spelling } from "./signers.ts";

type PlainMatcher = { readonly exact: string } | { readonly spelled: Spelling };
type PlainClaims = Readonly<Record<string, PlainMatcher>>;
interface PlainRule {
  readonly identity: PlainMatcher;
  readonly issuer: PlainMatcher;
  readonly claims: PlainClaims | undefined;
}

/** What `structuredClone` takes. */
export interface SpelledPolicy {
  readonly rest: Omit<Policy, "identities" | "claims">;
  readonly identities: readonly PlainRule[] | undefined;
  readonly claims: PlainClaims | undefined;
}

/** The policy as data; undefined when it holds a pattern that does not say how it was spelled. */
export function spellPolicy(policy: Policy): SpelledPolicy | undefined {
  const { identities, claims, ...rest } = policy;
  try {
    return {
      rest,
      identities: identities?.map(({ identity, issuer, claims: own }) => ({
        identity: spell(identity),
        issuer: spell(issuer),
        claims: own && spellClaims(own),
      })),
      claims: claims && spellClaims(claims),
    };
  } catch (error) {
    if (error instanceof Unspelled) return undefined;
    throw error;
  }
}

class Unspelled extends Error {}

function spellClaims(claims: ClaimRules): PlainClaims {
  return Object.fromEntries(Object.entries(claims).map(([name, matcher]) => [name, spell(matcher)]));
}

function spell(matcher: Matcher): PlainMatcher {
  if ("exact" in matcher) return { exact: matcher.exact };
  const { spelled } = matcher.pattern as Partial<SpelledMatcher["pattern"]>;
  if (spelled === undefined) throw new Unspelled();
  return { spelled };
}

/** The policy again. */
export async function readSpelled({ rest, identities, claims }: SpelledPolicy): Promise<Policy> {
  const rules: IdentityRule[] = [];
  for (const rule of identities ?? []) {
    const own = rule.claims === undefined ? {} : { claims: await readClaims(rule.claims) };
    rules.push({ identity: await read(rule.identity), issuer: await read(rule.issuer), ...own });
  }
  return {
    ...rest,
    ...(identities === undefined ? {} : { identities: rules }),
    ...(claims === undefined ? {} : { claims: await readClaims(claims) }),
  };
}

async function readClaims(claims: PlainClaims): Promise<ClaimRules> {
  const matchers: Record<string, Matcher> = {};
  for (const [name, matcher] of Object.entries(claims)) matchers[name] = await read(matcher);
  return matchers;
}

async function read(matcher: PlainMatcher): Promise<Matcher> {
  return "exact" in matcher ? matcher : compileMatcher("", matcher.spelled);
}
