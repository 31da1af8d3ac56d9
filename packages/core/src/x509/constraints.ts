// SPDX-License-Identifier: Apache-2.0
/**
 * Name constraints (RFC 5280 sections 4.2.1.10 and 6.1): what an authority's certificate allows those below it to be
 * called. For every name of every certificate below, of a form that is constrained: it lies in no excluded subtree, and in
 * one of the permitted ones if there are any of its form.
 *
 *     NameConstraints ::= SEQUENCE { [0] permitted GeneralSubtrees OPTIONAL, [1] excluded GeneralSubtrees OPTIONAL }
 *     GeneralSubtree  ::= SEQUENCE { base GeneralName, [0] minimum DEFAULT 0, [1] maximum OPTIONAL }
 *
 * Names are the subject (a directory name, unless empty), the e-mail addresses in it, and subjectAltName. Processed are
 * dNSName, rfc822Name, URI, directoryName and iPAddress; a name of another form that is constrained refuses the path, and
 * so does what cannot be compared. Certificates that are self-issued and not the leaf are exempt, as the section says.
 *
 *     dNSName        example.com      that host and all below it; .example.com: below it alone; empty: every host
 *     rfc822Name     a@example.com    that mailbox; example.com: every mailbox of that host; .example.com: of hosts below
 *     URI            example.com      that host alone; .example.com: hosts below it; a URI without a host name is refused
 *     directoryName  a name           names that begin with it, each part compared without regard to case and spaces
 *     iPAddress      address, mask    addresses of the same kind in that network
 */
import { toHex } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import { EXTENSION } from "./extensions.ts";
import { checkName, formatName } from "./name.ts";

const { TAG } = der;

/** No honest authority lists more; comparing is names times subtrees. */
const MAX_SUBTREES = 256;
const MAX_COMPARED = 20_000;

const EMAIL = der.contextTag(1, false);
const DNS = der.contextTag(2, false);
const DIRECTORY = der.contextTag(4);
const URI = der.contextTag(6, false);
const IP = der.contextTag(7, false);
const FORMS: ReadonlyMap<number, string> = new Map([
  [der.contextTag(0), "otherName"],
  [EMAIL, "rfc822Name"],
  [DNS, "dNSName"],
  [der.contextTag(3), "x400Address"],
  [DIRECTORY, "directoryName"],
  [der.contextTag(5), "ediPartyName"],
  [URI, "uniformResourceIdentifier"],
  [IP, "iPAddress"],
  [der.contextTag(8, false), "registeredID"],
]);

const EMAIL_ATTRIBUTE = "1.2.840.113549.1.9.1";

/** One name or the base of a subtree: its form, and what it says. */
interface Form {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** The constraints of one authority. */
export interface NameConstraints {
  readonly permitted: readonly Form[];
  readonly excluded: readonly Form[];
}

function refused(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("CHAIN_INVALID", message, { rule: "H3", ...detail });
}

/** Reads the extension's value. Throws BAD_DER, and CHAIN_INVALID for what is not to be processed. */
export function readNameConstraints(value: Uint8Array): NameConstraints {
  const fields = der.openDer(value);
  const permitted = fields.optional(der.contextTag(0));
  const excluded = fields.optional(der.contextTag(1));
  fields.end();
  if (permitted === undefined && excluded === undefined) throw refused("name constraints constrain nothing");
  const read = (list: der.Der | undefined): readonly Form[] => (list === undefined ? [] : readSubtrees(list.content));
  return { permitted: read(permitted), excluded: read(excluded) };
}

function readSubtrees(content: Uint8Array): readonly Form[] {
  const list = new der.DerReader(content);
  const forms: Form[] = [];
  do {
    const subtree = list.enter();
    const { tag, content: base } = subtree.next();
    if (!subtree.done) throw refused("name constraints state a distance, which has no meaning");
    const form = FORMS.get(tag);
    if (form === undefined) throw new LacreError("BAD_DER", "not a GeneralName", { found: `0x${tag.toString(16)}` });
    checkBase(tag, base);
    forms.push({ tag, content: base });
    if (forms.length > MAX_SUBTREES) throw refused("name constraints have too many subtrees", { expected: `${MAX_SUBTREES}` });
  } while (!list.done);
  return forms;
}

// What a base may look like. A base that two verifiers would read differently is refused rather than guessed at.
function checkBase(tag: number, base: Uint8Array): void {
  if (tag === DIRECTORY) return checkName(der.openDer(base));
  if (tag === IP) {
    if (base.length !== 8 && base.length !== 32) throw refused("a constraint on addresses is no address and mask");
    const mask = [...base.subarray(base.length / 2)].map((octet) => octet.toString(2).padStart(8, "0")).join("");
    if (!/^1*0*$/.test(mask)) throw refused("a constraint on addresses has a mask with gaps", { found: toHex(base) });
    return;
  }
  if (tag !== EMAIL && tag !== DNS && tag !== URI) return;
  const text = der.readAscii(base);
  const host = tag === EMAIL && text.includes("@") ? text.slice(text.lastIndexOf("@") + 1) : text.replace(/^\./, "");
  const isMailbox = tag === EMAIL && text.includes("@");
  if ((isMailbox && text.startsWith("@")) || !(HOST.test(host) || (tag === DNS && text === "")))
    throw refused("a name constraint is no host, domain or mailbox", { found: text.slice(0, 100) });
}

// Letters of any alphabet come as punycode; underscores exist.
const HOST = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i;

/**
 * Proves that all that stand below an authority are called as it allows. `below`: leaf first, the authority not among them.
 * Throws CHAIN_INVALID, BAD_DER.
 */
export function checkNameConstraints(authority: Certificate, below: readonly Certificate[]): void {
  const extension = authority.extensions.get(EXTENSION.nameConstraints);
  if (extension === undefined) return;
  const constraints = readNameConstraints(extension.value);
  let compared = 0;
  below.forEach((certificate, index) => {
    if (index > 0 && toHex(certificate.issuer) === toHex(certificate.subject)) return;
    for (const name of namesOf(certificate)) {
      compared += constraints.permitted.length + constraints.excluded.length;
      if (compared > MAX_COMPARED) throw refused("too many names and name constraints to compare");
      checkOne(name, constraints, authority);
    }
  });
}

function checkOne(name: Form, { permitted, excluded }: NameConstraints, authority: Certificate): void {
  const isSame = (base: Form): boolean => base.tag === name.tag;
  const allowed = permitted.filter(isSame);
  const barred = excluded.filter(isSame);
  if (allowed.length === 0 && barred.length === 0) return;
  if (!PROCESSED.has(name.tag))
    throw refused("a name is of a constrained form that is not processed", { found: FORMS.get(name.tag)! });
  const lies = PROCESSED.get(name.tag)!(name.content);
  const shown = (): string => `${FORMS.get(name.tag)!} ${show(name)}`;
  if (barred.some((base) => lies(base.content)))
    throw refused("an authority excludes this name", { expected: `none of ${list(barred)}`, found: shown() });
  if (allowed.length > 0 && !allowed.some((base) => lies(base.content)))
    throw refused("an authority does not permit this name", {
      expected: `${list(allowed)}, says ${formatName(authority.subject)}`,
      found: shown(),
    });
}

function list(bases: readonly Form[]): string {
  return bases.slice(0, 10).map(show).join(" or ");
}

function show({ tag, content }: Form): string {
  if (tag === DIRECTORY) return formatName(content);
  return tag === EMAIL || tag === DNS || tag === URI ? `"${der.readAscii(content).slice(0, 100)}"` : toHex(content);
}

// The names of a certificate: its subject unless empty, addresses in its subject, and subjectAltName.
function namesOf(certificate: Certificate): Form[] {
  const names: Form[] = [];
  const attributes = partsOf(certificate.subject).flat();
  if (attributes.length > 0) names.push({ tag: DIRECTORY, content: certificate.subject });
  for (const { type, value } of attributes) if (type === EMAIL_ATTRIBUTE) names.push({ tag: EMAIL, content: value.content });
  const alternatives = certificate.extensions.get(EXTENSION.subjectAltName);
  if (alternatives === undefined) return names;
  const reader = der.openDer(alternatives.value);
  do {
    const { tag, content } = reader.next();
    names.push({ tag, content });
  } while (!reader.done);
  return names;
}

type Lies = (base: Uint8Array) => boolean;

/** By form: whether a name lies in a subtree. Throws CHAIN_INVALID for a name that cannot be compared. */
const PROCESSED: ReadonlyMap<number, (name: Uint8Array) => Lies> = new Map([
  [
    DNS,
    (name): Lies => {
      const host = hostOf(der.readAscii(name).replace(/^\*\./, ""), "a host");
      return (base) => {
        const domain = der.readAscii(base).toLowerCase();
        return domain === "" || host === domain || host.endsWith(domain.startsWith(".") ? domain : `.${domain}`);
      };
    },
  ],
  [
    EMAIL,
    (name): Lies => {
      const text = der.readAscii(name);
      const cut = text.lastIndexOf("@");
      if (cut < 1 || text.indexOf("@") !== cut) throw refused("a mailbox cannot be compared", { found: text.slice(0, 100) });
      const host = hostOf(text.slice(cut + 1), "the host of a mailbox");
      return (base) => {
        const rule = der.readAscii(base);
        const at = rule.lastIndexOf("@");
        // The part before the sign is the host's own affair: case counts.
        if (at !== -1) return text.slice(0, cut) === rule.slice(0, at) && host === rule.slice(at + 1).toLowerCase();
        return isHostIn(host, rule);
      };
    },
  ],
  [
    URI,
    (name): Lies => {
      const text = der.readAscii(name);
      const authority = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@[\]]+)(?::\d*)?(?:[/?#]|$)/i.exec(text)?.[1];
      if (authority === undefined || /^[0-9.]+$/.test(authority))
        throw refused("a URI has no host name that could be compared", { found: text.slice(0, 100) });
      const host = hostOf(authority, "the host of a URI");
      return (base) => isHostIn(host, der.readAscii(base));
    },
  ],
  [
    DIRECTORY,
    (name): Lies => {
      const parts = partsOf(name).map(keyOf);
      return (base) => partsOf(base).every((part, at) => parts[at] === keyOf(part));
    },
  ],
  [
    IP,
    (name): Lies =>
      (base) => {
        if (base.length !== 2 * name.length) return false;
        return name.every((octet, at) => ((octet ^ base[at]!) & base[name.length + at]!) === 0);
      },
  ],
]);

function hostOf(host: string, what: string): string {
  if (HOST.test(host)) return host.toLowerCase();
  throw refused(`${what} cannot be compared`, { found: host.slice(0, 100) });
}

// With a dot in front: the hosts below; without: that host.
function isHostIn(host: string, rule: string): boolean {
  const domain = rule.toLowerCase();
  // No host begins with a dot, so what ends with one and a domain has something before it.
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain;
}

interface Attribute {
  readonly type: string;
  readonly value: der.Der;
}

function partsOf(name: Uint8Array): Attribute[][] {
  const parts: Attribute[][] = [];
  const sets = der.openDer(name);
  while (!sets.done) {
    const set = sets.enter(TAG.set);
    const part: Attribute[] = [];
    do {
      const attribute = set.enter();
      part.push({ type: der.readOid(attribute.next(TAG.oid)), value: attribute.next() });
      attribute.end();
    } while (!set.done);
    parts.push(part);
  }
  return parts;
}

// One spelling of a part for comparing (RFC 5280 section 7.1): case and spaces folded in character strings. A string of a
// kind that we do not read could be equal to one that we do, so it cannot be compared.
function keyOf(part: readonly Attribute[]): string {
  return part
    .map(({ type, value }) => {
      if (value.tag !== TAG.utf8String && value.tag !== TAG.printableString && value.tag !== TAG.ia5String)
        throw refused("a directory name has a string that cannot be compared", { found: `0x${value.tag.toString(16)}` });
      const text = der.readString(value).normalize("NFKC").toLowerCase().trim().replaceAll(/\s+/g, " ");
      return `${type}=${text.length}:${text}`;
    })
    .toSorted()
    .join("+");
}
