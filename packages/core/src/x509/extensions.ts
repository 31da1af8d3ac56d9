// SPDX-License-Identifier: Apache-2.0
/** The certificate extensions we understand (RFC 5280 section 4.2, RFC 6962 section 3): their names, values both ways. */
import { toHex } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { checkName } from "./name.ts";

/** Object identifiers of extensions. */
export const EXTENSION = {
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  /** The list of signed certificate timestamps. */
  sctList: "1.3.6.1.4.1.11129.2.4.2",
  /** Marks a precertificate, so that no verifier takes it for a certificate. */
  poison: "1.3.6.1.4.1.11129.2.4.3",
} as const;

/** What a certificate's key may be used for, beyond the bits of keyUsage. */
export const PURPOSE = {
  codeSigning: "1.3.6.1.5.5.7.3.3",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  any: "2.5.29.37.0",
} as const;

/** The bits of keyUsage that have a meaning here. */
export const KEY_USAGE = { digitalSignature: 0, nonRepudiation: 1, keyCertSign: 5, crlSign: 6 } as const;
/** A name of {@link KEY_USAGE}. */
export type KeyUsage = keyof typeof KEY_USAGE;

/** The type of the otherName in which an authority puts a user name (`user!domain`). */
export const USER_NAME_TYPE = "1.3.6.1.4.1.57264.1.7";

/** One extension of a certificate. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** Content of extnValue: for standard extensions one DER value. */
  readonly value: Uint8Array;
}

/**
 * One subject alternative name, bytes exact. `email`, `uri` and `dns` are the IA5String as it stands; `other` is the
 * UTF8String of the otherName 1.3.6.1.4.1.57264.1.7; `ip` is in dotted or colon form without shortening; every other
 * kind is `unsupported` and its value is hexadecimal.
 */
export interface GeneralName {
  readonly kind: "email" | "uri" | "dns" | "other" | "ip" | "unsupported";
  readonly value: string;
}

const { TAG } = der;

function invalid(message: string, found?: string): LacreError {
  return new LacreError("CERT_INVALID", message, found === undefined ? {} : { found });
}

// Fulcio's arc and the arc of certificate extensions are in every certificate: spelled once, looked up by their last octet.
const STANDARD = Array.from({ length: 128 }, (_, last) => `2.5.29.${last}`);
const SIGSTORE = Array.from({ length: 128 }, (_, last) => `1.3.6.1.4.1.57264.1.${last}`);
const SIGSTORE_ARC: readonly number[] = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1];

function isInSigstoreArc(content: Uint8Array): boolean {
  for (let i = 0; i < SIGSTORE_ARC.length; i++) if (content[i] !== SIGSTORE_ARC[i]) return false;
  return true;
}

function readExtensionOid(content: Uint8Array): string {
  const last = content[content.length - 1] ?? 0xff;
  if (last < 128) {
    if (content.length === 3 && content[0] === 0x55 && content[1] === 0x1d) return STANDARD[last]!;
    if (content.length === 10 && isInSigstoreArc(content)) return SIGSTORE[last]!;
  }
  return der.readOidContent(content);
}

/** Extensions by their object identifiers, in the order written. Throws CERT_INVALID for one that stands twice. */
export function readExtensions(list: der.DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  do {
    const fields = list.enter();
    const oid = readExtensionOid(fields.content(TAG.oid));
    const flag = fields.optional(TAG.boolean);
    // DEFAULT FALSE: DER writes the flag only when it is true (X.690 section 11.5).
    if (flag !== undefined && !der.readBoolean(flag))
      throw new LacreError("BAD_DER", "a default value is written out", { found: oid });
    const value = fields.content(TAG.octetString);
    fields.end();
    if (extensions.has(oid)) throw invalid("an extension stands twice", oid);
    extensions.set(oid, { oid, critical: flag !== undefined, value });
  } while (!list.done);
  return extensions;
}

/** One Extension, for a TBSCertificate or a request. `value` is the content of extnValue. */
export function encodeExtension({ oid, critical, value }: Extension): Uint8Array {
  return critical
    ? der.sequence(der.oid(oid), der.boolean(true), der.octets(value))
    : der.sequence(der.oid(oid), der.octets(value));
}

/** basicConstraints: whether an authority, and how many more may stand below it. Throws BAD_DER, CERT_INVALID. */
export function readBasicConstraints(value: Uint8Array): { readonly isCa: boolean; readonly pathLength: number | undefined } {
  const fields = der.openDer(value);
  const flag = fields.optional(TAG.boolean);
  if (flag !== undefined && !der.readBoolean(flag))
    throw new LacreError("BAD_DER", "a default value is written out", { found: "cA" });
  const limit = fields.optional(TAG.integer);
  fields.end();
  if (limit === undefined) return { isCa: flag !== undefined, pathLength: undefined };
  if (flag === undefined) throw invalid("a path length stands in a certificate that is no authority");
  return { isCa: true, pathLength: der.readSmall(limit) };
}

/** basicConstraints, critical. */
export function basicConstraints(isCa: boolean, pathLength?: number): Extension {
  const parts = [
    isCa ? der.boolean(true) : new Uint8Array(),
    pathLength === undefined ? new Uint8Array() : der.integer(pathLength),
  ];
  return { oid: EXTENSION.basicConstraints, critical: true, value: der.sequence(...parts) };
}

/** keyUsage, critical. */
export function keyUsage(...usages: readonly KeyUsage[]): Extension {
  return { oid: EXTENSION.keyUsage, critical: true, value: der.flags(...usages.map((usage) => KEY_USAGE[usage])) };
}

/** The dotted purposes of extKeyUsage, at least one. Throws BAD_DER. */
export function readExtendedKeyUsage(value: Uint8Array): readonly string[] {
  const fields = der.openDer(value);
  const purposes: string[] = [];
  do purposes.push(der.readOid(fields.next(TAG.oid)));
  while (!fields.done);
  return purposes;
}

/** extKeyUsage. */
export function extendedKeyUsage(purposes: readonly string[], critical: boolean): Extension {
  return { oid: EXTENSION.extendedKeyUsage, critical, value: der.sequence(...purposes.map((purpose) => der.oid(purpose))) };
}

/** subjectKeyIdentifier. */
export function subjectKeyId(keyId: Uint8Array): Extension {
  return { oid: EXTENSION.subjectKeyId, critical: false, value: der.octets(keyId) };
}

/** The keyIdentifier of authorityKeyIdentifier; issuer and serial, which name one certificate, are not used. */
export function readAuthorityKeyId(value: Uint8Array): Uint8Array | undefined {
  const fields = der.openDer(value);
  const keyId = fields.optional(der.contextTag(0, false));
  fields.optional(der.contextTag(1));
  fields.optional(der.contextTag(2, false));
  fields.end();
  return keyId?.content;
}

/** authorityKeyIdentifier: the issuer's subjectKeyIdentifier. */
export function authorityKeyId(keyId: Uint8Array): Extension {
  return { oid: EXTENSION.authorityKeyId, critical: false, value: der.sequence(der.contextPrimitive(0, keyId)) };
}

/** Names of subjectAltName. Throws BAD_DER, also for an IA5String that is not ASCII. */
export function readAltNames(value: Uint8Array): readonly GeneralName[] {
  const list = der.openDer(value);
  const names: GeneralName[] = [];
  do names.push(readGeneralName(list.next()));
  while (!list.done);
  return names;
}

const OTHER_NAME = der.contextTag(0);
const EMAIL = der.contextTag(1, false);
const DNS = der.contextTag(2, false);
const DIRECTORY = der.contextTag(4);
const URI = der.contextTag(6, false);
const IP = der.contextTag(7, false);
const UNSUPPORTED: readonly number[] = [der.contextTag(3), der.contextTag(5), der.contextTag(8, false)];

/** One GeneralName (RFC 5280 section 4.2.1.6). Throws BAD_DER. */
export function readGeneralName(name: der.Der): GeneralName {
  const { tag, content } = name;
  if (tag === EMAIL) return { kind: "email", value: der.readAscii(content) };
  if (tag === URI) return { kind: "uri", value: der.readAscii(content) };
  if (tag === DNS) return { kind: "dns", value: der.readAscii(content) };
  if (tag === IP) return { kind: "ip", value: formatAddress(content) };
  if (tag === OTHER_NAME) {
    const fields = new der.DerReader(content);
    const type = der.readOid(fields.next(TAG.oid));
    const wrapped = fields.enter(der.contextTag(0));
    const inner = wrapped.next();
    wrapped.end();
    fields.end();
    if (type !== USER_NAME_TYPE) return { kind: "unsupported", value: toHex(content) };
    if (inner.tag !== TAG.utf8String)
      throw new LacreError("BAD_DER", "a user name is not a UTF8String", { found: `0x${inner.tag.toString(16)}` });
    return { kind: "other", value: der.readString(inner) };
  }
  if (tag === DIRECTORY) {
    checkName(der.openDer(content));
    return { kind: "unsupported", value: toHex(content) };
  }
  if (UNSUPPORTED.includes(tag)) return { kind: "unsupported", value: toHex(content) };
  throw new LacreError("BAD_DER", "not a GeneralName", { found: `0x${tag.toString(16)}` });
}

function formatAddress(content: Uint8Array): string {
  if (content.length === 4) return content.join(".");
  if (content.length !== 16)
    throw new LacreError("BAD_DER", "an IP address is not of 4 or 16 octets", { found: `${content.length}` });
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((content[i]! << 8) | content[i + 1]!).toString(16));
  return groups.join(":");
}

/** subjectAltName with one name; critical when the subject is empty, as RFC 5280 section 4.2.1.6 asks. */
export function subjectAltName(
  name: { readonly kind: "email" | "uri" | "dns" | "other"; readonly value: string },
  critical: boolean,
): Extension {
  return { oid: EXTENSION.subjectAltName, critical, value: der.sequence(encodeGeneralName(name)) };
}

function encodeGeneralName({
  kind,
  value,
}: {
  readonly kind: "email" | "uri" | "dns" | "other";
  readonly value: string;
}): Uint8Array {
  if (kind === "other") return der.context(0, der.oid(USER_NAME_TYPE), der.context(0, der.utf8String(value)));
  const content = new Uint8Array(value.length);
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 127)
      throw new LacreError("IDENTITY_INVALID", "a name in a certificate is not ASCII", { found: value.slice(0, 100) });
    content[i] = code;
  }
  return der.contextPrimitive(kind === "email" ? 1 : kind === "dns" ? 2 : 6, content);
}
