// SPDX-License-Identifier: Apache-2.0
/**
 * Whose tokens are taken, and as what: the configuration of Fulcio, in its YAML spelling
 * (`oidc-issuers`, `client-id`) or its JSON spelling (`OIDCIssuers`, `ClientID`).
 *
 * An issuer is found by the exact text of `iss`. Only then are the patterns of meta-issuers tried: `*` stands for
 * `[-_a-zA-Z0-9]+`, everything else for itself, and the pattern covers the whole text. A dot in a pattern is a dot.
 */
import { type Json, JsonObject } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { CLAIMS } from "@lacre/core/x509";
import { ServiceError } from "../errors.ts";
import { parseTemplate, type Template } from "./template.ts";

/** Types of issuers; each is a row in `principal.ts`. */
export const ISSUER_TYPES = [
  "email",
  "uri",
  "username",
  "spiffe",
  "kubernetes",
  "github-workflow",
  "gitlab-pipeline",
  "buildkite-job",
  "codefresh-workflow",
  "chainguard-identity",
  "ci-provider",
] as const;

export type IssuerType = (typeof ISSUER_TYPES)[number];

/** How the claims of a CI provider become a certificate. */
export interface ProviderTemplates {
  readonly defaults: ReadonlyMap<string, string>;
  /** By name in {@link CLAIMS}. */
  readonly extensions: ReadonlyMap<string, Template>;
  readonly subjectAlternativeName: Template;
}

/** One configured issuer, or a pattern for many. */
export interface IssuerEntry {
  /** The issuer, or the pattern. */
  readonly issuerUrl: string;
  readonly isPattern: boolean;
  /** The audience that tokens must name. */
  readonly clientId: string;
  readonly type: IssuerType;
  readonly ciProvider: ProviderTemplates | undefined;
  /** Members to walk from the claims to the issuer that certificates name, instead of `iss`. */
  readonly issuerClaim: readonly string[] | undefined;
  readonly subjectDomain: string;
  readonly spiffeTrustDomain: string;
  readonly skipEmailVerification: boolean;
  /** PEM trust anchor for talking to the issuer. */
  readonly caCert: string | undefined;
  /** Which claim the proof of possession signs, as published. */
  readonly challengeClaim: "email" | "sub";
}

/** What is asked of the configuration. */
export interface IssuerTable {
  readonly entries: readonly IssuerEntry[];
  find(issuer: string): IssuerEntry | undefined;
}

/** Longest `iss` that is looked at. */
const MAX_ISSUER = 2048;
const TEXT_FIELDS = ["description", "contact", "environment"];

/** A table of entries; the first that fits wins, exact ones first. */
export function createIssuerTable(entries: readonly IssuerEntry[]): IssuerTable {
  const exact = new Map<string, IssuerEntry>();
  const patterns: { readonly pattern: RegExp; readonly entry: IssuerEntry }[] = [];
  for (const entry of entries) {
    if (entry.isPattern) patterns.push({ pattern: patternOf(entry.issuerUrl), entry });
    else if (!exact.has(entry.issuerUrl)) exact.set(entry.issuerUrl, entry);
  }
  return {
    entries,
    find(issuer) {
      if (issuer.length > MAX_ISSUER) return undefined;
      return exact.get(issuer) ?? patterns.find(({ pattern }) => pattern.test(issuer))?.entry;
    },
  };
}

/** The anchored expression of a meta-issuer. */
export function patternOf(meta: string): RegExp {
  const literal = meta.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\/-]/g, "\\$&"));
  // Not `$` with multiline or a forgiving end: the expression is tested against the whole text.
  return new RegExp(`^${literal.join("[-_a-zA-Z0-9]+")}$`);
}

/** The entry of an issuer whose tokens carry verified e-mail addresses, the development provider for one. */
export function emailIssuer(issuerUrl: string, clientId = "sigstore"): IssuerEntry {
  return {
    issuerUrl,
    clientId,
    isPattern: false,
    type: "email",
    ciProvider: undefined,
    issuerClaim: undefined,
    subjectDomain: "",
    spiffeTrustDomain: "",
    skipEmailVerification: false,
    caCert: undefined,
    challengeClaim: "email",
  };
}

/** Reads a configuration document in either spelling. Throws CONFIG_INVALID. */
export function decodeIssuers(document: Json): IssuerEntry[] {
  try {
    return decode(document);
  } catch (cause) {
    if (cause instanceof LacreError) throw new ServiceError("CONFIG_INVALID", `issuers: ${cause.message}`, { cause });
    throw cause;
  }
}

function decode(document: Json): IssuerEntry[] {
  const top = new JsonObject(document, "issuers");
  top.refuseUnknown(["oidc-issuers", "OIDCIssuers", "meta-issuers", "MetaIssuers", "ci-issuer-metadata", "CIIssuerMetadata"]);
  const providers = new Map<string, ProviderTemplates>();
  const metadata = top.optionalObject("ci-issuer-metadata", "CIIssuerMetadata");
  for (const name of metadata?.keys() ?? []) providers.set(name, decodeTemplates(metadata!.object(name), name));

  const entries: IssuerEntry[] = [];
  for (const [name, alias, isPattern] of [
    ["oidc-issuers", "OIDCIssuers", false],
    ["meta-issuers", "MetaIssuers", true],
  ] as const) {
    const block = top.optionalObject(name, alias);
    for (const key of block?.keys() ?? []) entries.push(decodeEntry(block!.object(key), key, isPattern, providers));
  }
  return entries;
}

function decodeEntry(
  fields: JsonObject,
  key: string,
  isPattern: boolean,
  providers: ReadonlyMap<string, ProviderTemplates>,
): IssuerEntry {
  const where = `issuer ${JSON.stringify(key.slice(0, 200))}`;
  const wrong = (what: string): ServiceError => new ServiceError("CONFIG_INVALID", `${where} ${what}`);
  fields.refuseUnknown([
    "issuer-url",
    "IssuerURL",
    "client-id",
    "ClientID",
    "type",
    "Type",
    "ci-provider",
    "CIProvider",
    "issuer-claim",
    "IssuerClaim",
    "subject-domain",
    "SubjectDomain",
    "spiffe-trust-domain",
    "SPIFFETrustDomain",
    "challenge-claim",
    "ChallengeClaim",
    "ca-cert",
    "CACert",
    "skip-email-verification",
    "SkipEmailVerification",
    ...TEXT_FIELDS,
    "Description",
    "Contact",
    "Environment",
  ]);
  const stated = fields.optionalString("issuer-url", "IssuerURL");
  if (!isPattern && stated !== undefined && stated !== key) throw wrong("has another issuer-url than its key");
  const type = fields.string("type", "Type");
  if (!isIssuerType(type)) throw wrong("has a type that is not known");
  checkAddress(key, isPattern, wrong);

  const subjectDomain = fields.optionalString("subject-domain", "SubjectDomain") ?? "";
  const spiffeTrustDomain = fields.optionalString("spiffe-trust-domain", "SPIFFETrustDomain") ?? "";
  if (type === "uri" || type === "username") checkSubjectDomain(type, subjectDomain, key, wrong);
  if (type === "spiffe") {
    if (isPattern) throw wrong("is of type spiffe, which cannot be a meta-issuer");
    if (!/^[a-z0-9._-]{1,255}$/.test(spiffeTrustDomain)) throw wrong("needs a spiffe-trust-domain");
  }
  const providerName = fields.optionalString("ci-provider", "CIProvider");
  const ciProvider = providerName === undefined ? undefined : providers.get(providerName);
  if (type === "ci-provider" && ciProvider === undefined) throw wrong("names a ci-provider without ci-issuer-metadata");
  const claim = fields.optionalString("issuer-claim", "IssuerClaim");
  const challenge = fields.optionalString("challenge-claim", "ChallengeClaim");
  if (challenge !== undefined && challenge !== "" && challenge !== "email" && challenge !== "sub")
    throw wrong("has a challenge-claim that is not email or sub");
  return {
    issuerUrl: key,
    isPattern,
    clientId: fields.string("client-id", "ClientID"),
    type,
    ciProvider,
    issuerClaim: claim === undefined || claim === "" ? undefined : decodePath(claim, wrong),
    subjectDomain,
    spiffeTrustDomain,
    skipEmailVerification: fields.optionalBoolean("skip-email-verification", "SkipEmailVerification") ?? false,
    caCert: fields.optionalString("ca-cert", "CACert") || undefined,
    challengeClaim: type === "email" || (type === "chainguard-identity" && challenge === "email") ? "email" : "sub",
  };
}

function isIssuerType(type: string): type is IssuerType {
  return (ISSUER_TYPES as readonly string[]).includes(type);
}

/** Keys of tokens come over this address: https, or plain http where an operator names one exact issuer (a test, a pod). */
function checkAddress(key: string, isPattern: boolean, wrong: (what: string) => ServiceError): void {
  const sample = isPattern ? key.replaceAll("*", "x") : key;
  if (!URL.canParse(sample) || /[\s\\#?]/.test(key)) throw wrong("is not a URL");
  const { protocol, username } = new URL(sample);
  if (username !== "" || (protocol !== "https:" && (protocol !== "http:" || isPattern))) throw wrong("is not an https URL");
  if (isPattern && (!key.includes("*") || key.includes("**"))) throw wrong("is not a pattern with single stars");
  if (!isPattern && key.includes("*")) throw wrong("is a pattern; patterns belong into meta-issuers");
}

function checkSubjectDomain(
  type: "uri" | "username",
  domain: string,
  issuer: string,
  wrong: (what: string) => ServiceError,
): void {
  const url = type === "uri" ? domain : `https://${domain}`;
  if (!URL.canParse(url) || (type === "username" && /[/:@]/.test(domain))) throw wrong("needs a subject-domain");
  const subject = new URL(url);
  if (subject.origin !== url.toLowerCase() && `${subject.protocol}//${subject.host}` !== url)
    throw wrong("has a subject-domain with more than a scheme and a host");
  const from = new URL(issuer.replaceAll("*", "x"));
  if (type === "uri" && subject.protocol !== from.protocol) throw wrong("has a subject-domain of another scheme");
  const tail = (host: string): string => host.split(".").slice(-2).join(".");
  if (tail(subject.hostname) !== tail(from.hostname)) throw wrong("has a subject-domain that does not belong to the issuer");
}

/** `$.a.b` as names to walk. */
function decodePath(path: string, wrong: (what: string) => ServiceError): readonly string[] {
  if (!/^\$(?:\.[A-Za-z0-9_-]{1,64}){1,8}$/.test(path))
    throw wrong("has an issuer-claim that is not a plain path like $.federated_claims.connector_id");
  return path.slice(2).split(".");
}

/** `build-signer-uri` (YAML) and `BuildSignerURI` (JSON) of a claim named `buildSignerURI`. */
function spellings(name: string): [string, string] {
  const kebab = name.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase();
  return [
    kebab === "token-subject" ? "subject" : kebab,
    name === "tokenSubject" ? "Subject" : name[0]!.toUpperCase() + name.slice(1),
  ];
}

function decodeTemplates(fields: JsonObject, name: string): ProviderTemplates {
  fields.refuseUnknown([
    "default-template-values",
    "DefaultTemplateValues",
    "extension-templates",
    "ExtensionTemplates",
    "subject-alternative-name-template",
    "SubjectAlternativeNameTemplate",
  ]);
  const defaults = new Map<string, string>();
  const given = fields.optionalObject("default-template-values", "DefaultTemplateValues");
  for (const key of given?.keys() ?? []) defaults.set(key, given!.string(key));
  const extensions = new Map<string, Template>();
  const block = fields.optionalObject("extension-templates", "ExtensionTemplates");
  const known: string[] = [];
  for (const claim of CLAIMS.keys()) {
    const [kebab, pascal] = spellings(claim);
    known.push(kebab, pascal);
    const source = block?.optionalString(kebab, pascal);
    if (source !== undefined && source !== "") extensions.set(claim, parseTemplate(source, `${name}.${kebab}`));
  }
  block?.refuseUnknown(known);
  const san = fields.string("subject-alternative-name-template", "SubjectAlternativeNameTemplate");
  return { defaults, extensions, subjectAlternativeName: parseTemplate(san, `${name}.subject-alternative-name`) };
}
