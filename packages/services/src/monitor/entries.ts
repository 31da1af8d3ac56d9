// SPDX-License-Identifier: Apache-2.0
/**
 * What rules are held against: the traits of an entry, whatever kind of log it is in. An entry that cannot be read has
 * none and matches no rule; it is counted, since a log of ours holds no such entries.
 */
import { text, toHex } from "@lacre/core/bytes";
import { der } from "@lacre/core/codec";
import { importPublicKey, sha256 } from "@lacre/core/crypto";
import { describeEntry } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { decodeTileLeaf, tileLeafInput, unframeEntries, unframeTileLeaves } from "@lacre/core/log";
import { type Certificate, decodeCertificate } from "@lacre/core/x509";

export interface EntryTraits {
  /** Kind of the entry: `hashedrekord 0.0.2`, `precertificate`, … */
  readonly kind: string;
  /** Subject alternative names: addresses, URIs, hosts. */
  readonly identities: readonly string[];
  readonly issuers: readonly string[];
  /** `sha256:` of SubjectPublicKeyInfo. */
  readonly keys: readonly string[];
  /** `<algorithm>:<hex>` of what was signed and of payloads. */
  readonly digests: readonly string[];
  /** Values of a certificate's extension, as text where they are text, else in hexadecimal. */
  extension(oid: string): readonly string[];
}

/** How the entries of one kind of log are read. */
export interface EntryReader {
  readonly bundles: "entries" | "data";
  readonly unframe: (bundle: Uint8Array) => readonly Uint8Array[];
  readonly leafInput: (entry: Uint8Array) => Uint8Array;
  /** Undefined for an entry that cannot be read. */
  readonly traits: (entry: Uint8Array) => EntryTraits | undefined;
}

const LEGACY_ISSUER = "1.3.6.1.4.1.57264.1.1";
const ISSUER = "1.3.6.1.4.1.57264.1.8";

/** Logs of signatures, in either dialect of Rekor. */
export const LEDGER_ENTRIES: EntryReader = {
  bundles: "entries",
  unframe: unframeEntries,
  leafInput: (entry) => entry,
  traits: (entry) =>
    tolerant(() => {
      const { kind, version, digest, payloadHash, envelopeHash, signatures } = describeEntry(entry);
      const certificates: Certificate[] = [];
      const keys = new Set<string>();
      for (const { verifier } of signatures) {
        const certificate = verifier.kind === "certificate" ? tolerant(() => decodeCertificate(verifier.der)) : undefined;
        if (certificate !== undefined) certificates.push(certificate);
        const spki =
          certificate?.publicKey.spki ??
          (verifier.kind === "publicKey" ? tolerant(() => importPublicKey(verifier.der))?.spki : undefined);
        if (spki !== undefined) keys.add(hashOf(spki));
      }
      const digests = [digest, payloadHash, envelopeHash].flatMap((one) =>
        one === undefined ? [] : [`${one.algorithm}:${toHex(one.value)}`],
      );
      return { kind: `${kind} ${version}`, digests, keys: [...keys], ...traitsOf(certificates) };
    }),
};

/** Certificate logs (C2SP static-ct-api). */
export const CERTIFICATE_ENTRIES: EntryReader = {
  bundles: "data",
  unframe: unframeTileLeaves,
  leafInput: tileLeafInput,
  traits: (entry) =>
    tolerant(() => {
      const leaf = decodeTileLeaf(entry);
      const certificate = decodeCertificate(leaf.certificate);
      return {
        kind: leaf.isPrecertificate ? "precertificate" : "certificate",
        digests: [hashOf(leaf.certificate)],
        keys: [hashOf(certificate.publicKey.spki)],
        ...traitsOf([certificate]),
      };
    }),
};

function hashOf(bytes: Uint8Array): string {
  return `sha256:${toHex(sha256(bytes))}`;
}

function traitsOf(certificates: readonly Certificate[]): Pick<EntryTraits, "identities" | "issuers" | "extension"> {
  const extension = (oid: string): readonly string[] =>
    certificates.flatMap((certificate) => {
      const found = certificate.extensions.get(oid);
      return found === undefined ? [] : [valueOf(found.value)];
    });
  return {
    identities: certificates.flatMap(({ subjectAltNames }) => subjectAltNames.map(({ value }) => value)),
    issuers: [...new Set([...extension(ISSUER), ...extension(LEGACY_ISSUER)])],
    extension,
  };
}

/** An extension's value: a DER UTF8String, or text as old extensions have it, or octets. */
function valueOf(bytes: Uint8Array): string {
  const wrapped = tolerant(() => text(der.decodeDer(bytes, der.TAG.utf8String).content));
  if (wrapped !== undefined) return wrapped;
  const plain = tolerant(() => text(bytes));
  return plain !== undefined && !/\p{Cc}/u.test(plain) ? plain : toHex(bytes);
}

function tolerant<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof LacreError) return undefined;
    throw error;
  }
}
