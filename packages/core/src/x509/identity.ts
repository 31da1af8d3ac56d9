// SPDX-License-Identifier: Apache-2.0
/**
 * Who a signing certificate was given to (rules I1, I2): its one subject alternative name, the issuer of the
 * identity token, and what else the token said, as extensions of the arc 1.3.6.1.4.1.57264.1.
 *
 * Extensions 1 to 6 are raw UTF-8; 8 and later hold one DER UTF8String. Values are exact: no trimming, no case folding.
 */
import { text, utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import type { Extension, GeneralName } from "./extensions.ts";

/** One row of the registry of claims. */
export interface Claim {
  /** Name in verdicts, policies and JSON. */
  readonly name: string;
  readonly oid: string;
  /** Whether the value is the UTF-8 text itself, without a DER UTF8String around it. */
  readonly raw: boolean;
}

const ARC = "1.3.6.1.4.1.57264.1";

const RAW_CLAIMS = [
  "issuer",
  "githubWorkflowTrigger",
  "githubWorkflowSHA",
  "githubWorkflowName",
  "githubWorkflowRepository",
  "githubWorkflowRef",
];
const DER_CLAIMS = [
  "issuer",
  "buildSignerURI",
  "buildSignerDigest",
  "runnerEnvironment",
  "sourceRepositoryURI",
  "sourceRepositoryDigest",
  "sourceRepositoryRef",
  "sourceRepositoryIdentifier",
  "sourceRepositoryOwnerURI",
  "sourceRepositoryOwnerIdentifier",
  "buildConfigURI",
  "buildConfigDigest",
  "buildTrigger",
  "runInvocationURI",
  "sourceRepositoryVisibilityAtSigning",
  "deploymentEnvironment",
  "tokenSubject",
];

const ALL: readonly Claim[] = [
  ...RAW_CLAIMS.map((name, index) => ({ name, oid: `${ARC}.${index + 1}`, raw: true })).slice(1),
  ...DER_CLAIMS.map((name, index) => ({ name, oid: `${ARC}.${index + 8}`, raw: false })).slice(1),
];

/** Every claim a certificate can carry beside its issuer, by name, in the order in which an authority writes them. */
export const CLAIMS: ReadonlyMap<string, Claim> = new Map(ALL.map((claim) => [claim.name, claim]));

const LEGACY_ISSUER: Claim = { name: "issuer", oid: `${ARC}.1`, raw: true };
const ISSUER: Claim = { name: "issuer", oid: `${ARC}.8`, raw: false };

/** A subject alternative name that can be an identity. */
export interface IdentityName {
  readonly kind: "email" | "uri" | "other";
  readonly value: string;
}

/** Who a certificate was given to, as {@link readIdentity} reads it. */
export interface Identity {
  readonly san: IdentityName;
  /** Issuer of the identity token; undefined when the certificate names none. */
  readonly issuer: string | undefined;
  /** Claims by name ({@link CLAIMS}); those that the certificate does not carry are absent. */
  readonly claims: ReadonlyMap<string, string>;
}

/**
 * Reads the identity of a signer's certificate. Throws IDENTITY_INVALID: not exactly one name, a name of another kind or
 * with control characters, a claim that is malformed, two issuer extensions that differ.
 */
export function readIdentity(certificate: Certificate): Identity {
  const san = onlyName(certificate.subjectAltNames);
  const issuer = readIssuer(certificate);
  const claims = new Map<string, string>();
  for (const claim of ALL) {
    const value = readClaim(certificate, claim);
    if (value !== undefined) claims.set(claim.name, value);
  }
  return { san, issuer, claims };
}

/** Issuer of the identity token alone; undefined when the certificate names none. Throws IDENTITY_INVALID. */
export function readIssuer(certificate: Certificate): string | undefined {
  const legacy = readClaim(certificate, LEGACY_ISSUER);
  const current = readClaim(certificate, ISSUER);
  if (legacy !== undefined && current !== undefined && legacy !== current) {
    throw new LacreError("IDENTITY_INVALID", "certificate names two issuers", { rule: "I1", expected: current, found: legacy });
  }
  return current ?? legacy;
}

/** One claim by its name ({@link CLAIMS}); undefined where the certificate does not carry it. Throws IDENTITY_INVALID. */
export function readNamedClaim(certificate: Certificate, name: string): string | undefined {
  const claim = CLAIMS.get(name);
  if (claim === undefined) throw new TypeError(`unknown claim: ${name}`);
  return readClaim(certificate, claim);
}

function onlyName(names: readonly GeneralName[]): IdentityName {
  const [name] = names;
  if (name === undefined || names.length !== 1)
    throw new LacreError("IDENTITY_INVALID", "certificate does not have exactly one name", {
      expected: "1",
      found: `${names.length}`,
    });
  const { kind, value } = name;
  if (kind !== "email" && kind !== "uri" && kind !== "other") {
    throw new LacreError("IDENTITY_INVALID", "name is of a kind that is no identity", {
      expected: "email, URI or user name",
      found: kind,
    });
  }
  // No provider issues them; in a pattern or on a terminal they deceive.
  if (value === "" || /\p{Cc}/u.test(value))
    throw new LacreError("IDENTITY_INVALID", "name is empty or has control characters", { found: JSON.stringify(value) });
  return { kind, value };
}

function readClaim(certificate: Certificate, claim: Claim): string | undefined {
  const extension = certificate.extensions.get(claim.oid);
  if (extension === undefined) return undefined;
  try {
    if (claim.raw) return text(extension.value);
    const wrapped = new der.DerReader(extension.value);
    const value = wrapped.content(der.TAG.utf8String);
    wrapped.end();
    return text(value);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new LacreError("IDENTITY_INVALID", "a claim in the certificate is malformed", {
      found: `${claim.name} (${claim.oid})`,
      cause,
    });
  }
}

/**
 * The extensions of an identity, for an authority to put into a certificate, in the order that Fulcio writes: issuer as
 * 1, claims 2 to 6, issuer as 8, claims 9 to 24. Empty values are left out. A name outside {@link CLAIMS} is misuse.
 */
export function identityExtensions(issuer: string, claims: ReadonlyMap<string, string>): readonly Extension[] {
  for (const name of claims.keys()) if (!CLAIMS.has(name)) throw new TypeError(`unknown claim: ${name}`);
  const raw = ALL.filter((claim) => claim.raw);
  const wrapped = ALL.filter((claim) => !claim.raw);
  const extensions: Extension[] = [];
  for (const claim of [LEGACY_ISSUER, ...raw, ISSUER, ...wrapped]) {
    const value = claim.name === "issuer" ? issuer : claims.get(claim.name);
    if (value === undefined || value === "") continue;
    extensions.push({ oid: claim.oid, critical: false, value: claim.raw ? utf8(value) : der.utf8String(value) });
  }
  return extensions;
}
