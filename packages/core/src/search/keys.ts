// SPDX-License-Identifier: Apache-2.0
/**
 * What an entry is found by: a pure function of what the log stores.
 *
 * A key is a text `kind:value`, written in one way only:
 *
 *     digest       <algorithm>:<hex>       what was signed, the payload, the envelope's text, subjects of a statement
 *     key          <hex>                   SHA-256 of a signer's SubjectPublicKeyInfo
 *     certificate  <hex>                   SHA-256 of a signer's certificate, DER
 *     pem          <hex>                   SHA-256 of a signer's key or certificate as PEM, where the entry holds PEM
 *     leaf         <hex>                   the entry's leaf hash
 *     identity     <name>                  a subject alternative name: address, URI, host, user name
 *     issuer       <url>                   who vouched for the identity
 *     domain       <domain>                of an e-mail address or host name, and each domain above it that has a dot
 *     under        <uri>                   a URI cut off: origin, first path segment, first two, project, all without `@ref`
 *     serial       <hex>                   of a certificate in a CT log
 *
 * Hexadecimal is lower case; so are names (Unicode's own mapping): who looks for a name wants to see its other spellings,
 * and Rekor v1 searches so. An index holds the first 40 bits of a key's SHA-256 and the place of its entry, so a hit is a candidate:
 * whoever reads it derives the entry's keys again and compares.
 */
import { decodeStatement, STATEMENT_PAYLOAD_TYPE } from "../bundle/index.ts";
import { toHex, utf8 } from "../bytes/index.ts";
import { formatPem, type Json } from "../codec/index.ts";
import { sha256 } from "../crypto/index.ts";
import { describeEntry, type EntryFacts, type EntryVerifier } from "../entry/index.ts";
import { LacreError } from "../errors.ts";
import { decodeTileLeaf } from "../log/index.ts";
import { type Certificate, decodeCertificate, type GeneralName, readIssuer, readNamedClaim } from "../x509/index.ts";

/** How the value of each kind is brought into its one spelling; undefined for what no entry can have. */
const KINDS: Readonly<Record<string, (value: string) => string | undefined>> = {
  digest: spellDigest,
  key: spellHash,
  certificate: spellHash,
  pem: spellHash,
  leaf: spellHash,
  identity: spellName,
  issuer: spellName,
  domain: (value) => spellName(value.replace(/^@/, "").replace(/\.$/, "")),
  under: (value) => spellName(value.replace(/\/+$/, "")),
  serial: (value) => spellHex(value.replaceAll(":", "")),
};

/** The kinds of keys. */
export const KEY_KINDS: readonly string[] = Object.keys(KINDS);

/** Other words for them. */
const ALIASES: Readonly<Record<string, string>> = { email: "identity", uri: "identity", dns: "identity", repository: "under" };

const MAX_VALUE = 4096;
const DIGEST_DIGITS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64, sha384: 96, sha512: 128 };

/**
 * Brings a key as people write it into its one spelling: `email:You@Example.com` is `identity:you@example.com`. Throws
 * SEARCH_KEY_INVALID.
 */
export function parseSearchKey(text: string): string {
  const colon = text.indexOf(":");
  const word = colon < 0 ? "" : text.slice(0, colon);
  const kind = Object.hasOwn(ALIASES, word) ? ALIASES[word]! : word;
  if (!Object.hasOwn(KINDS, kind))
    throw new LacreError("SEARCH_KEY_INVALID", "a search key has no known kind", {
      expected: KEY_KINDS.join(", "),
      found: word.slice(0, 40),
    });
  const value = text.length > MAX_VALUE ? undefined : KINDS[kind]!(text.slice(colon + 1));
  if (value === undefined)
    throw new LacreError("SEARCH_KEY_INVALID", `a search key of kind ${kind} has a value that no entry can have`, {
      found: text.slice(colon + 1, colon + 81),
    });
  return `${kind}:${value}`;
}

function spellHex(value: string): string | undefined {
  return /^(?:[0-9a-fA-F]{2})+$/.test(value) ? value.toLowerCase() : undefined;
}

function spellHash(value: string): string | undefined {
  return value.length === 64 ? spellHex(value) : undefined;
}

function spellName(value: string): string | undefined {
  return value === "" ? undefined : value.toLowerCase();
}

// Bare digits say by their number what they are a digest by; algorithms that are not ours are taken as they are.
function spellDigest(value: string): string | undefined {
  const colon = value.indexOf(":");
  if (colon < 0) {
    const algorithm = Object.keys(DIGEST_DIGITS).find((name) => DIGEST_DIGITS[name] === value.length);
    return algorithm === undefined || spellHex(value) === undefined ? undefined : `${algorithm}:${value.toLowerCase()}`;
  }
  const algorithm = value.slice(0, colon).toLowerCase();
  const digits = value.slice(colon + 1).toLowerCase();
  const isWrong =
    Object.hasOwn(DIGEST_DIGITS, algorithm) && (digits.length !== DIGEST_DIGITS[algorithm] || spellHex(digits) === undefined);
  return algorithm === "" || digits === "" || isWrong ? undefined : `${algorithm}:${digits}`;
}

/** Keys of one entry; an entry with more is found by the first of them, in the order in which they are derived. */
export const MAX_KEYS = 1024;

/**
 * Keys that follow from a signer's names, remembered by whoever derives keys of many entries: most signers come again. It
 * may be emptied at any time.
 */
export type KeyMemory = Map<string, readonly string[]>;

/** The first 40 bits of a key's hash, as a number. */
export function keyPrefix(key: string): number {
  const hash = sha256(utf8(key));
  return (((hash[0]! << 24) | (hash[1]! << 16) | (hash[2]! << 8) | hash[3]!) >>> 0) * 256 + hash[4]!;
}

/**
 * The keys of an entry of an artifact log, its leaf's first. `payload` is what the ledger keeps beside an entry that holds
 * only its hash; anything with another hash is not looked at. `known` is what the entry says, where that was read before.
 * Never throws: an entry that cannot be read has its leaf's.
 */
export function keysOfEntry(
  body: Uint8Array,
  leafHash: Uint8Array,
  payload?: Uint8Array,
  known?: EntryFacts,
  memory?: KeyMemory,
): readonly string[] {
  const keys = new Set([`leaf:${toHex(leafHash)}`]);
  const facts = known ?? tolerant(() => describeEntry(body));
  if (facts === undefined) return [...keys];
  for (const digest of [facts.digest, facts.payloadHash, facts.envelopeHash])
    if (digest !== undefined) keys.add(`digest:${digest.algorithm}:${toHex(digest.value)}`);
  for (const { verifier, keyDetails } of facts.signatures) addVerifier(keys, verifier, keyDetails === undefined, memory);
  if (payload !== undefined) addSubjects(keys, facts, payload);
  return keys.size > MAX_KEYS ? [...keys].slice(0, MAX_KEYS) : [...keys];
}

/** The keys of an entry of a CT log, its leaf's first. Never throws. */
export function keysOfCertificateEntry(entry: Uint8Array, leafHash: Uint8Array, memory?: KeyMemory): readonly string[] {
  const keys = new Set([`leaf:${toHex(leafHash)}`]);
  const der = tolerant(() => decodeTileLeaf(entry))?.certificate;
  if (der === undefined) return [...keys];
  keys.add(`certificate:${toHex(sha256(der))}`);
  const certificate = tolerant(() => decodeCertificate(der));
  if (certificate !== undefined) keys.add(`serial:${toHex(certificate.serial)}`);
  addCertificate(keys, certificate, memory);
  return keys.size > MAX_KEYS ? [...keys].slice(0, MAX_KEYS) : [...keys];
}

function tolerant<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof LacreError) return undefined;
    throw cause;
  }
}

function addVerifier(
  keys: Set<string>,
  { kind, der, certificate }: EntryVerifier,
  isPem: boolean,
  memory: KeyMemory | undefined,
): void {
  const hash = toHex(sha256(der));
  keys.add(`${kind === "certificate" ? "certificate" : "key"}:${hash}`);
  if (isPem) keys.add(`pem:${toHex(sha256(utf8(formatPem(kind === "certificate" ? "CERTIFICATE" : "PUBLIC KEY", der))))}`);
  if (kind === "certificate") addCertificate(keys, certificate ?? tolerant(() => decodeCertificate(der)), memory);
}

function addCertificate(keys: Set<string>, certificate: Certificate | undefined, memory: KeyMemory | undefined): void {
  if (certificate === undefined) return;
  keys.add(`key:${toHex(sha256(certificate.spki))}`);
  const issuer = tolerant(() => readIssuer(certificate));
  // A reusable workflow signs under its own name; what was built is named by this claim.
  const source = tolerant(() => readNamedClaim(certificate, "sourceRepositoryURI"));
  const names = certificate.subjectAltNames;
  const whole = JSON.stringify([names, issuer, source]);
  let found = memory?.get(whole);
  if (found === undefined) memory?.set(whole, (found = keysOfNames(names, issuer, source)));
  for (const key of found ?? keysOfNames(names, issuer, source)) keys.add(key);
}

/** What a certificate's names are found by: the same for every certificate of one signer. */
function keysOfNames(names: readonly GeneralName[], issuer: string | undefined, source: string | undefined): readonly string[] {
  const keys = new Set<string>();
  for (const { kind, value } of names) {
    if (kind === "unsupported" || value === "") continue;
    const name = value.toLowerCase();
    keys.add(`identity:${name}`);
    if (kind === "email") addDomains(keys, name.slice(name.lastIndexOf("@") + 1));
    else if (kind === "dns") addDomains(keys, name);
    else if (kind === "uri") addPrefixes(keys, name);
  }
  if (issuer !== undefined && issuer !== "") keys.add(`issuer:${issuer.toLowerCase()}`);
  if (source !== undefined) addPrefixes(keys, source.toLowerCase());
  return [...keys];
}

const MAX_DOMAINS = 8;

function addDomains(keys: Set<string>, domain: string): void {
  const labels = domain.split(".");
  for (let at = Math.max(0, labels.length - MAX_DOMAINS - 1); at === 0 || at + 1 < labels.length; at++) {
    const part = labels.slice(at).join(".");
    if (part !== "") keys.add(`domain:${part}`);
  }
}

/** Scheme and authority; the path. */
const HIERARCHICAL = /^([a-z][a-z0-9+.-]*:\/\/[^/?#]+)([^?#]*)/;

function addPrefixes(keys: Set<string>, uri: string): void {
  const [, origin, path] = HIERARCHICAL.exec(uri) ?? [];
  if (origin === undefined || path === undefined) return;
  keys.add(`under:${origin}`);
  const ref = path.includes("@refs/") ? path.indexOf("@refs/") : path.lastIndexOf("@");
  const named = (ref > 0 ? path.slice(0, ref) : path).replace(/\/+$/, "");
  const [first, second] = named.split("/", 3).slice(1);
  if (first !== undefined && first !== "") keys.add(`under:${origin}/${first}`);
  if (first !== undefined && second !== undefined && second !== "") keys.add(`under:${origin}/${first}/${second}`);
  // GitLab puts two slashes between a project, however deep in groups, and a file of it.
  const project = named.indexOf("//", 1);
  if (project > 0) keys.add(`under:${origin}${named.slice(0, project)}`);
  if (named !== "") keys.add(`under:${origin}${named}`);
}

/** Subjects of the statement, and the materials that a predicate of SLSA 0.x names. */
function addSubjects(keys: Set<string>, { payloadHash, payloadType }: EntryFacts, payload: Uint8Array): void {
  if (
    payloadHash === undefined ||
    toHex(sha256(payload)) !== toHex(payloadHash.value) ||
    (payloadType !== undefined && payloadType !== STATEMENT_PAYLOAD_TYPE)
  )
    return;
  const statement = tolerant(() => decodeStatement(payload));
  if (statement === undefined) return;
  for (const { digests } of statement.subjects) for (const [algorithm, value] of digests) addDigest(keys, algorithm, value);
  const materials = member(statement.predicate, "materials");
  if (!Array.isArray(materials)) return;
  for (const material of materials as readonly Json[]) {
    const digest = member(material, "digest");
    if (typeof digest !== "object" || digest === null || Array.isArray(digest)) continue;
    for (const [algorithm, value] of Object.entries(digest)) if (typeof value === "string") addDigest(keys, algorithm, value);
  }
}

/** A digest that somebody stated; one that nobody can ask for is left out. */
function addDigest(keys: Set<string>, algorithm: string, value: string): void {
  const spelled = spellDigest(`${algorithm}:${value}`);
  if (spelled !== undefined) keys.add(`digest:${spelled}`);
}

function member(value: Json | undefined, name: string): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, name)
    ? (value as { readonly [key: string]: Json })[name]
    : undefined;
}
