// SPDX-License-Identifier: Apache-2.0
/**
 * The flags that say who may have signed, and the policy they make.
 *
 * Exact values are compared whole. Patterns follow Go's RE2 in a linear-time engine and are unanchored, as cosign's are:
 * scripts write their own `^…$`. A pattern without anchors gets a warning, because `example.com` also fits
 * `example.com.evil.org`. An exact value and a pattern for the same thing must both fit. No identity at all is refused:
 * a verification that accepts anybody has to say so (`--certificate-identity-regexp '.*'`).
 */
import type { ClaimRules, IdentityRule, Matcher, Policy } from "@lacre/core/verify";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { text, type FlagValues, type TextFlag } from "./verb.ts";

/** The flags, for every verb that verifies. */
export const SIGNER_FLAGS = {
  certificateIdentity: text("Who must have signed: the whole email address or URI", { placeholder: "identity" }),
  certificateIdentityRegexp: text("… or a pattern (RE2, unanchored) for it", { placeholder: "pattern" }),
  certificateOidcIssuer: text("The issuer that vouched for the identity", { placeholder: "url" }),
  certificateOidcIssuerRegexp: text("… or a pattern (RE2, unanchored) for it", { placeholder: "pattern" }),
  certificateGithubWorkflowTrigger: text("Claim: the event that triggered the workflow", { placeholder: "name" }),
  certificateGithubWorkflowSha: text("Claim: the commit the workflow ran on", { placeholder: "sha" }),
  certificateGithubWorkflowName: text("Claim: the workflow's name", { placeholder: "name" }),
  certificateGithubWorkflowRepository: text("Claim: the repository", { placeholder: "owner/name" }),
  certificateGithubWorkflowRef: text("Claim: the git ref", { placeholder: "ref" }),
} as const satisfies Readonly<Record<string, TextFlag>>;

export type SignerFlags = FlagValues<typeof SIGNER_FLAGS>;

const CLAIM_FLAGS = {
  certificateGithubWorkflowTrigger: "githubWorkflowTrigger",
  certificateGithubWorkflowSha: "githubWorkflowSHA",
  certificateGithubWorkflowName: "githubWorkflowName",
  certificateGithubWorkflowRepository: "githubWorkflowRepository",
  certificateGithubWorkflowRef: "githubWorkflowRef",
} as const;

/**
 * Several accepted signers, for a verb whose flags may be repeated: one issuer for all identities, or one for each, in
 * order. Throws USAGE for anything between.
 */
export function pairSigners(
  identities: readonly string[],
  issuers: readonly string[],
): readonly Pick<SignerFlags, "certificateIdentity" | "certificateOidcIssuer">[] {
  if (identities.length <= 1 && issuers.length <= 1)
    return [{ certificateIdentity: identities[0], certificateOidcIssuer: issuers[0] }];
  if (issuers.length !== 1 && issuers.length !== identities.length) {
    throw new CliError("USAGE", `${identities.length} identities and ${issuers.length} issuers cannot be paired`, {
      hint: "Give one --certificate-oidc-issuer for all, or one for each --certificate-identity, in order.",
    });
  }
  return identities.map((certificateIdentity, at) => ({
    certificateIdentity,
    certificateOidcIssuer: issuers[issuers.length === 1 ? 0 : at],
  }));
}

/** The policy of several accepted signers: any one of them, with the same claims. */
export async function readAnySigner(
  context: Context,
  flags: SignerFlags,
  signers: ReturnType<typeof pairSigners>,
): Promise<Policy> {
  const policies = [];
  for (const signer of signers) policies.push(await readSigners(context, { ...flags, ...signer }));
  return { ...policies[0], identities: policies.flatMap(({ identities = [] }) => identities) };
}

/** The part of a policy about the signer, in certificate mode. Throws POLICY_MISSING, USAGE. */
export async function readSigners(context: Context, flags: SignerFlags): Promise<Policy> {
  const identity = await readMatcher(
    context,
    "--certificate-identity",
    flags.certificateIdentity,
    flags.certificateIdentityRegexp,
  );
  const issuer = await readMatcher(
    context,
    "--certificate-oidc-issuer",
    flags.certificateOidcIssuer,
    flags.certificateOidcIssuerRegexp,
  );
  if (identity === undefined)
    throw new CliError("POLICY_MISSING", "it is not said who must have signed", {
      hint: "Give --certificate-identity (or --certificate-identity-regexp), or --key.",
    });
  if (issuer === undefined) {
    throw new CliError("POLICY_MISSING", "it is not said which issuer must have vouched for the signer", {
      hint: "Give --certificate-oidc-issuer (or --certificate-oidc-issuer-regexp).",
    });
  }
  const claims: Record<string, Matcher> = {};
  for (const [flag, claim] of Object.entries(CLAIM_FLAGS)) {
    const value = flags[flag as keyof typeof CLAIM_FLAGS];
    if (value !== undefined) claims[claim] = { exact: value };
  }
  const rule: IdentityRule = { identity, issuer };
  return Object.keys(claims).length === 0 ? { identities: [rule] } : { identities: [rule], claims: claims satisfies ClaimRules };
}

/** Refuses flags about a certificate beside `--key`: they would be ignored. */
export function refuseSigners(flags: SignerFlags): void {
  const given = Object.keys(SIGNER_FLAGS).filter((name) => flags[name as keyof SignerFlags] !== undefined);
  if (given.length > 0) {
    const names = given.map((name) => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    throw new CliError("USAGE", `${names.join(", ")} cannot be checked when --key is given`, {
      hint: "A bare key has no certificate: leave those flags out.",
    });
  }
}

async function readMatcher(
  context: Context,
  flag: string,
  exact: string | undefined,
  pattern: string | undefined,
): Promise<Matcher | undefined> {
  if (exact === "" || pattern === "") throw new CliError("POLICY_MISSING", `${flag} is empty`);
  if (pattern === undefined) return exact === undefined ? undefined : { exact };
  const matcher = await compileMatcher(flag, { pattern, exact });
  if (!isAnchored(pattern)) {
    context.terminal.warn(
      `${flag}-regexp is not anchored: it also fits longer values around it; write ^…$ around the whole pattern`,
    );
  }
  return matcher;
}

/** A pattern as the flags have it: plain data, from which the same matcher can be made elsewhere. */
export interface Spelling {
  readonly pattern: string;
  readonly exact: string | undefined;
}

/** A matcher that remembers how it was spelled. */
export type SpelledMatcher = {
  readonly pattern: Extract<Matcher, { pattern: unknown }>["pattern"] & { readonly spelled: Spelling };
};

/** The matcher of a pattern, and of the exact value that has to fit as well. Throws USAGE for what is no RE2 pattern. */
export async function compileMatcher(flag: string, spelled: Spelling): Promise<SpelledMatcher> {
  const { pattern, exact } = spelled;
  const { RE2JS } = await import("re2js");
  let compiled: { test(value: string): boolean };
  try {
    compiled = RE2JS.compile(pattern);
  } catch (cause) {
    throw new CliError("USAGE", `${flag}-regexp is not an RE2 pattern: ${(cause as Error).message}`, { cause });
  }
  const test = (value: string): boolean => compiled.test(value);
  if (exact === undefined) return { pattern: { source: pattern, test, spelled } };
  const source = `${pattern}/ and exactly /${exact}`;
  return { pattern: { source, test: (value) => value === exact && test(value), spelled } };
}

/** Whether both ends of every alternative are tied: `^…$` without `|` outside brackets. */
export function isAnchored(pattern: string): boolean {
  const begins = /^(\(\?[a-zA-Z]+\))?(\^|\\A)/.test(pattern);
  const ends = /(^|[^\\])(\\\\)*(\$|\\z)$/.test(pattern);
  if (!begins || !ends) return false;
  let depth = 0;
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const letter = pattern[i]!;
    if (letter === "\\") i++;
    else if (inClass) inClass = letter !== "]";
    else if (letter === "[") {
      inClass = true;
      if (pattern[i + 1] === "^") i++;
      if (pattern[i + 1] === "]") i++;
    } else if (letter === "(") depth++;
    else if (letter === ")") depth--;
    else if (letter === "|" && depth === 0) return false;
  }
  return true;
}
