// SPDX-License-Identifier: Apache-2.0
/**
 * Who a token's owner is in a certificate: one row per type of issuer says which claims it needs,
 * what the requester must have signed (the challenge), which name and which claims the certificate carries.
 *
 * Everything here comes from a token whose signature was verified, and is still not trusted with shape: names are held to
 * the characters that their kind allows, so that what is certified reads as what it is.
 */
import type { Json } from "@lacre/core/codec";
import type { IdentityName } from "@lacre/core/x509";
import { ServiceError } from "../errors.ts";
import type { IssuerEntry, IssuerType, ProviderTemplates } from "./issuers.ts";
import { parseTemplate, type Template } from "./template.ts";

/** The claims of a verified token. */
export type Claims = Readonly<Record<string, Json>>;

/** What a certificate says of its owner. */
export interface Principal {
  readonly san: IdentityName;
  /** The issuer that the certificate names. */
  readonly issuer: string;
  /** Further claims by the names of the library's table. */
  readonly claims: ReadonlyMap<string, string>;
  /** What the proof of possession is a signature of. */
  readonly challenge: string;
}

type Row = (
  claims: Claims,
  entry: IssuerEntry,
  issuer: string,
) => { readonly san: IdentityName; readonly challenge: string; readonly claims?: ReadonlyMap<string, string> };

/** Longest value that goes into a certificate. */
const MAX_VALUE = 2048;

function missing(detail: string): ServiceError {
  return new ServiceError("TOKEN_CLAIMS", undefined, { detail });
}

/** A claim that is a text, not empty, without control characters. */
function textOf(claims: Claims, name: string): string {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (typeof value !== "string" || value === "") throw missing(`claim ${name} is not a text`);
  return checkText(value, name);
}

function checkText(value: string, name: string): string {
  if (value.length > MAX_VALUE || /\p{Cc}/u.test(value) || !value.isWellFormed())
    throw missing(`claim ${name} is too long or has control characters`);
  return value;
}

/** A name that is certified as a URI: printable ASCII. */
function uri(value: string): IdentityName {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[\x21-\x7e]+$/.test(value) || /["<>\\^`{|}]/.test(value))
    throw missing("the subject is not a URI");
  return { kind: "uri", value };
}

/** An e-mail address that the issuer says it verified. */
function verifiedEmail(claims: Claims, entry: IssuerEntry): string {
  const email = textOf(claims, "email");
  const verified = Object.hasOwn(claims, "email_verified") ? claims.email_verified : undefined;
  if (!entry.skipEmailVerification && verified !== true && verified !== "true" && verified !== "True")
    throw missing("email is not verified");
  if (email.length > 254 || !/^[\x21-\x3b\x3d\x3f\x41-\x7e]+@[A-Za-z0-9.-]+$/.test(email))
    throw missing("email is not a plain ASCII address");
  return email;
}

const ROWS: Readonly<Record<IssuerType, Row>> = {
  email(claims, entry) {
    const email = verifiedEmail(claims, entry);
    return { san: { kind: "email", value: email }, challenge: email };
  },
  uri(claims, entry) {
    const sub = textOf(claims, "sub");
    // The text itself is compared: a URL parser would forgive other spellings of another host.
    const rest = sub.startsWith(entry.subjectDomain) ? sub.slice(entry.subjectDomain.length) : undefined;
    if (rest === undefined || (rest !== "" && !"/?#".includes(rest[0]!))) throw missing("sub is not inside subject-domain");
    return { san: uri(sub), challenge: sub };
  },
  username(claims, entry) {
    const sub = textOf(claims, "sub");
    if (/[!@\s]/.test(sub)) throw missing("sub is not a user name");
    return { san: { kind: "other", value: `${sub}!${entry.subjectDomain}` }, challenge: sub };
  },
  spiffe(claims, entry) {
    const sub = textOf(claims, "sub");
    const prefix = `spiffe://${entry.spiffeTrustDomain}`;
    const path = sub.startsWith(prefix) ? sub.slice(prefix.length) : undefined;
    if (path === undefined || !/^(?:\/[A-Za-z0-9._-]+)+$/.test(path) || /\/\.{1,2}(?:\/|$)/.test(path))
      throw missing("sub is not a SPIFFE ID of the trust domain");
    return { san: uri(sub), challenge: sub };
  },
  kubernetes(claims) {
    const sub = textOf(claims, "sub");
    const pod = claims["kubernetes.io"];
    const namespace = label(member(pod, "namespace"), "namespace");
    const account = label(member(member(pod, "serviceaccount"), "name"), "service account");
    return { san: uri(`https://kubernetes.io/namespaces/${namespace}/serviceaccounts/${account}`), challenge: sub };
  },
  "github-workflow": (claims) => fromTemplates(claims, GITHUB),
  "gitlab-pipeline": (claims) => fromTemplates(claims, GITLAB),
  "buildkite-job": (claims) => fromTemplates(claims, BUILDKITE),
  "codefresh-workflow": (claims) => fromTemplates(claims, CODEFRESH),
  "chainguard-identity"(claims, entry, issuer) {
    const sub = textOf(claims, "sub");
    const challenge = Object.hasOwn(claims, "email") && claims.email !== "" ? verifiedEmail(claims, entry) : sub;
    return { san: uri(`${issuer}/${sub}`), challenge };
  },
  "ci-provider": (claims, entry) => fromTemplates(claims, entry.ciProvider!),
};

/**
 * The principal of a verified token. `issuer` is the token's. Throws TOKEN_CLAIMS, whose detail names the claim and never
 * its value.
 */
export function principalOf(claims: Claims, entry: IssuerEntry, issuer: string): Principal {
  const found = ROWS[entry.type](claims, entry, issuer);
  const all = new Map(found.claims);
  const sub = Object.hasOwn(claims, "sub") ? claims.sub : undefined;
  if (typeof sub === "string" && sub !== "") all.set("tokenSubject", checkText(sub, "sub"));
  return { san: found.san, challenge: found.challenge, claims: all, issuer: certifiedIssuer(claims, entry, issuer) };
}

function certifiedIssuer(claims: Claims, entry: IssuerEntry, issuer: string): string {
  if (entry.issuerClaim === undefined) return issuer;
  let value: Json | undefined = claims as Json;
  for (const name of entry.issuerClaim) value = member(value, name);
  if (typeof value !== "string" || value === "") throw missing(`claim ${entry.issuerClaim.join(".")} is not a text`);
  return checkText(value, "issuer");
}

function member(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
  return (value as { readonly [key: string]: Json })[name];
}

/** A Kubernetes name (RFC 1123 subdomain). */
function label(value: Json | undefined, what: string): string {
  if (typeof value !== "string" || !/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(value))
    throw missing(`${what} is not a Kubernetes name`);
  return value;
}

function fromTemplates(claims: Claims, templates: ProviderTemplates): ReturnType<Row> {
  const sub = textOf(claims, "sub");
  const values = new Map(templates.defaults);
  for (const [name, value] of Object.entries(claims)) {
    if (typeof value === "string") values.set(name, value);
    else if (typeof value === "boolean" || (typeof value === "number" && Number.isSafeInteger(value)))
      values.set(name, String(value));
  }
  const extensions = new Map<string, string>();
  for (const [name, template] of templates.extensions) {
    const value = checkText(template(values), name);
    if (value !== "") extensions.set(name, value);
  }
  return { san: uri(templates.subjectAlternativeName(values)), challenge: sub, claims: extensions };
}

/** The mappings that Fulcio publishes, for the types that name a provider. */
function builtIn(
  extensions: Readonly<Record<string, string>>,
  san: string,
  defaults: Readonly<Record<string, string>> = {},
): ProviderTemplates {
  const parsed = Object.entries(extensions).map(([name, source]): [string, Template] => [name, parseTemplate(source, name)]);
  return {
    defaults: new Map(Object.entries(defaults)),
    extensions: new Map(parsed),
    subjectAlternativeName: parseTemplate(san, "name"),
  };
}

const GITHUB = builtIn(
  {
    githubWorkflowTrigger: "event_name",
    githubWorkflowSHA: "sha",
    githubWorkflowName: "workflow",
    githubWorkflowRepository: "repository",
    githubWorkflowRef: "ref",
    buildSignerURI: "https://github.com/{{ .job_workflow_ref }}",
    buildSignerDigest: "job_workflow_sha",
    runnerEnvironment: "runner_environment",
    sourceRepositoryURI: "https://github.com/{{ .repository }}",
    sourceRepositoryDigest: "sha",
    sourceRepositoryRef: "ref",
    sourceRepositoryIdentifier: "repository_id",
    sourceRepositoryOwnerURI: "https://github.com/{{ .repository_owner }}",
    sourceRepositoryOwnerIdentifier: "repository_owner_id",
    buildConfigURI: "https://github.com/{{ .workflow_ref }}",
    buildConfigDigest: "workflow_sha",
    buildTrigger: "event_name",
    runInvocationURI: "https://github.com/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
    sourceRepositoryVisibilityAtSigning: "repository_visibility",
    deploymentEnvironment: "environment",
  },
  "https://github.com/{{ .job_workflow_ref }}",
  { environment: "" },
);

const GITLAB = builtIn(
  {
    buildSignerURI: "https://{{ .ci_config_ref_uri }}",
    buildSignerDigest: "ci_config_sha",
    runnerEnvironment: "runner_environment",
    sourceRepositoryURI: "https://gitlab.com/{{ .project_path }}",
    sourceRepositoryDigest: "sha",
    sourceRepositoryRef: 'refs/{{ if eq .ref_type "branch" }}heads/{{ else }}tags/{{ end }}{{ .ref }}',
    sourceRepositoryIdentifier: "project_id",
    sourceRepositoryOwnerURI: "https://gitlab.com/{{ .namespace_path }}",
    sourceRepositoryOwnerIdentifier: "namespace_id",
    buildConfigURI: "https://{{ .ci_config_ref_uri }}",
    buildConfigDigest: "ci_config_sha",
    buildTrigger: "pipeline_source",
    runInvocationURI: "https://gitlab.com/{{ .project_path }}/-/jobs/{{ .job_id }}",
    sourceRepositoryVisibilityAtSigning: "project_visibility",
    deploymentEnvironment: "environment",
  },
  "https://{{ .ci_config_ref_uri }}",
  { environment: "" },
);

const BUILDKITE = builtIn({}, "https://buildkite.com/{{ .organization_slug }}/{{ .pipeline_slug }}");

const CODEFRESH = builtIn(
  {},
  "{{ .platform_url }}/{{ .account_name }}/{{ .pipeline_name }}:{{ .account_id }}/{{ .pipeline_id }}",
  { platform_url: "https://g.codefresh.io" },
);
