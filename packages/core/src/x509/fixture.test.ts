// SPDX-License-Identifier: Apache-2.0
/** What the tests of this room share: an installation's authorities, certificates with one thing wrong, OpenSSL, vectors. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { concat, utf8 } from "../bytes/index.ts";
import { der, formatPem } from "../codec/index.ts";
import { defaultAlgorithm, generateKey, signMessage, type KeyType, type PrivateKey } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { decodeCertificate, type Certificate } from "./certificate.ts";
import {
  authorityFields,
  prepareCertificate,
  rootFields,
  signerFields,
  signUnsigned,
  timestampLeafFields,
  type CertificateFields,
} from "./issue.ts";
import { encodeName } from "./name.ts";
import { encodeExtension, type Extension } from "./extensions.ts";
import { signatureAlgorithmOf } from "./signature.ts";

export const HOUR = 3_600_000;
/** 2026-03-01T12:00:00Z, a whole second. */
export const NOW: number = Date.UTC(2026, 2, 1, 12);

/** A certificate and the key it is about. */
export interface Holder {
  readonly certificate: Certificate;
  readonly key: PrivateKey;
}

const keys = new Map<string, PrivateKey>();

/** The key of this name, made once per process. */
export function keyOf(name: string, type: KeyType = "P-256", rsaBits?: number): PrivateKey {
  const found = keys.get(name) ?? generateKey(type, rsaBits);
  keys.set(name, found);
  return found;
}

let serials = 1;
export function serial(): Uint8Array {
  return Uint8Array.of(0x5a, serials >> 8, serials++ & 0xff, 1);
}

/** Signs fields with the key of `issuer`. */
export function issue(fields: CertificateFields, issuer: PrivateKey): Certificate {
  return decodeCertificate(signUnsigned(prepareCertificate(fields, defaultAlgorithm(issuer.publicKey)), issuer));
}

export type Change = (fields: CertificateFields) => CertificateFields;
const same: Change = (fields) => fields;

/** Puts extensions in the place of those with the same object identifier, or at the end. */
export function withExtensions(...changed: readonly Extension[]): Change {
  return (fields) => {
    const extensions = [...fields.extensions];
    for (const extension of changed) {
      const at = extensions.findIndex(({ oid }) => oid === extension.oid);
      if (at < 0) extensions.push(extension);
      else extensions[at] = extension;
    }
    return { ...fields, extensions };
  };
}

export function withoutExtension(oid: string): Change {
  return (fields) => ({ ...fields, extensions: fields.extensions.filter((extension) => extension.oid !== oid) });
}

export function root(name = "root", change: Change = same, type: KeyType = "P-256"): Holder {
  const key = keyOf(name, type);
  const subject = encodeName({ O: "lacre test", CN: name });
  const fields = rootFields({
    subject,
    serial: serial(),
    publicKey: key.publicKey,
    notBeforeMs: NOW - 1000 * HOUR,
    notAfterMs: NOW + 1000 * HOUR,
  });
  return { key, certificate: issue(change(fields), key) };
}

export function authority(
  issuer: Holder,
  name = "issuing",
  change: Change = same,
  purpose: "codeSigning" | "timeStamping" = "codeSigning",
): Holder {
  const key = keyOf(name);
  const fields = authorityFields({
    issuer: issuer.certificate,
    subject: encodeName({ O: "lacre test", CN: name }),
    purpose,
    serial: serial(),
    publicKey: key.publicKey,
    notBeforeMs: NOW - 100 * HOUR,
    notAfterMs: NOW + 100 * HOUR,
  });
  return { key, certificate: issue(change(fields), issuer.key) };
}

export function signer(issuer: Holder, change: Change = same): Holder {
  const key = keyOf("signer");
  const fields = signerFields({
    issuer: issuer.certificate,
    san: { kind: "email", value: "ada@example.com" },
    identityIssuer: "https://idp.example.com",
    claims: new Map(),
    serial: serial(),
    publicKey: key.publicKey,
    notBeforeMs: NOW,
    notAfterMs: NOW + 600_000,
  });
  return { key, certificate: issue(change(fields), issuer.key) };
}

export function clock(issuer: Holder, change: Change = same, name = "clock", type: KeyType = "P-256"): Holder {
  const key = keyOf(name, type);
  const fields = timestampLeafFields({
    issuer: issuer.certificate,
    subject: encodeName({ O: "lacre test", CN: name }),
    serial: serial(),
    publicKey: key.publicKey,
    notBeforeMs: NOW - 50 * HOUR,
    notAfterMs: NOW + 50 * HOUR,
  });
  return { key, certificate: issue(change(fields), issuer.key) };
}

/** A certificate put together by hand, each field replaceable by any bytes; signed like a good one. */
export function crafted(parts: {
  readonly version?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly inner?: Uint8Array;
  readonly outer?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  readonly afterSpki?: Uint8Array;
  /** Complete Extension values. */
  readonly extensions?: readonly Uint8Array[];
  readonly tail?: Uint8Array;
}): Uint8Array {
  const key = keyOf("crafted");
  const algorithm = signatureAlgorithmOf(defaultAlgorithm(key.publicKey)).der;
  const extensions = parts.extensions ?? [
    encodeExtension({ oid: "2.5.29.14", critical: false, value: der.octets(Uint8Array.of(1)) }),
  ];
  const tbs = der.sequence(
    parts.version ?? der.context(0, der.integer(2)),
    parts.serial ?? der.integer(7),
    parts.inner ?? algorithm,
    parts.issuer ?? encodeName({ CN: "crafted" }),
    parts.validity ?? der.sequence(der.time(NOW), der.time(NOW + HOUR)),
    parts.subject ?? encodeName({ CN: "crafted" }),
    parts.spki ?? key.publicKey.spki,
    parts.afterSpki ?? new Uint8Array(),
    der.context(3, der.sequence(...extensions)),
    parts.tail ?? new Uint8Array(),
  );
  return der.sequence(tbs, parts.outer ?? algorithm, der.bits(signMessage(defaultAlgorithm(key.publicKey), key, tbs)));
}

/** Asserts a refusal with this code, and where given with words of its message. */
export function refuses(act: () => unknown, code: LacreCode, words?: RegExp): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof LacreError, String(error));
    assert.equal(error.code, code, error.message);
    if (words !== undefined) assert.match(error.message, words);
    return true;
  });
}

/** Runs `act`; anything but an answer or a LacreError is a failure. */
export function answers(act: () => unknown, what: string): void {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof LacreError, `${what}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

/** Each truncation of the bytes, each octet changed in three ways, and each value lengthened: T18 and T39 in small. */
export function* damaged(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) {
    yield bytes.subarray(0, at);
    for (const change of [0x01, 0x80, 0xff]) {
      const copy = Uint8Array.from(bytes);
      copy[at]! ^= change;
      yield copy;
    }
  }
  yield concat(bytes, Uint8Array.of(0));
  // Indefinite length, overlong length, deep nesting.
  yield concat(Uint8Array.of(0x30, 0x80), bytes, Uint8Array.of(0, 0));
  yield concat(Uint8Array.of(0x30, 0x84, 0, 0, bytes.length >> 8, bytes.length & 0xff), bytes);
  yield Uint8Array.from({ length: 60_000 }, (_, at) => (at % 2 === 0 ? 0x30 : 0x80));
}

const CONSTRUCTED = 0x20;

/**
 * Each way of putting one more value (NULL) at the end of a constructed value, lengths adjusted all the way up, also
 * inside OCTET STRINGs that hold DER. A decoder that asks every value to end must refuse them all.
 */
export function* stuffed(bytes: Uint8Array): Generator<Uint8Array> {
  const { tag, content } = der.decodeDer(bytes);
  const inner = tag === der.TAG.octetString ? valuesOf(content) : (tag & CONSTRUCTED) === 0 ? undefined : valuesOf(content);
  if (inner === undefined) return;
  if (tag !== der.TAG.octetString) yield der.der(tag, content, der.nil());
  for (const [at, value] of inner.entries()) {
    for (const changed of stuffed(value)) yield der.der(tag, ...inner.slice(0, at), changed, ...inner.slice(at + 1));
  }
}

function valuesOf(content: Uint8Array): readonly Uint8Array[] | undefined {
  const reader = new der.DerReader(content);
  const values: Uint8Array[] = [];
  try {
    while (!reader.done) values.push(reader.next().whole);
    return values;
  } catch {
    return undefined;
  }
}

const scratch = mkdtempSync(join(tmpdir(), "lacre-x509-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let files = 0;

/** Writes bytes to a scratch file; returns its path. */
export function file(bytes: Uint8Array | string, suffix = ".der"): string {
  const path = join(scratch, `${files++}${suffix}`);
  writeFileSync(path, bytes);
  return path;
}

export function pem(...certificates: readonly Uint8Array[]): string {
  return certificates.map((bytes) => formatPem("CERTIFICATE", bytes)).join("");
}

/** Runs OpenSSL; returns its output, or throws with what it said. */
export function openssl(...args: readonly string[]): string {
  return execFileSync("openssl", [...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export function scratchPath(name: string): string {
  return join(scratch, `${files++}-${name}`);
}

const shared = join(import.meta.dirname, "../../../../../shared/vectors");

/** Whether the published vectors lie beside the repository. */
export const haveVectors: boolean = existsSync(shared);

interface Raw {
  readonly rawBytes: string;
}
interface ChainJson {
  readonly certChain: { readonly certificates: readonly Raw[] };
  readonly uri: string;
  readonly validFor?: { readonly start?: string; readonly end?: string };
}
interface LogJson {
  readonly publicKey: { readonly rawBytes: string };
  readonly logId: { readonly keyId: string };
}
/** What a case of the vectors brings, in the shape of its JSON. */
export interface Case {
  readonly name: string;
  readonly leaf: Uint8Array | undefined;
  readonly signature: Uint8Array;
  readonly timestamps: readonly Uint8Array[];
  readonly root: {
    readonly certificateAuthorities: readonly ChainJson[];
    readonly timestampAuthorities?: readonly ChainJson[];
    readonly ctlogs: readonly LogJson[];
  };
}

export function raw({ rawBytes }: Raw): Uint8Array {
  return Buffer.from(rawBytes, "base64");
}

/** The cases that can be read as JSON. */
export function cases(): readonly Case[] {
  const folder = join(shared, "bundle-verify");
  const publicGood = join(shared, "public-good-trusted_root.json");
  return readdirSync(folder).flatMap((name): readonly Case[] => {
    const path = join(folder, name, "bundle.sigstore.json");
    if (!existsSync(path) || name === "bundle-malformed-json_fail") return [];
    const bundle = JSON.parse(readFileSync(path, "utf8"));
    const own = join(folder, name, "trusted_root.json");
    const material = bundle.verificationMaterial;
    const leaf: Raw | undefined = material.certificate ?? material.x509CertificateChain?.certificates?.[0];
    const signature: string = bundle.messageSignature?.signature ?? bundle.dsseEnvelope?.signatures?.[0]?.sig ?? "";
    const tokens: readonly { readonly signedTimestamp: string }[] = material.timestampVerificationData?.rfc3161Timestamps ?? [];
    return [
      {
        name,
        leaf: leaf && raw(leaf),
        signature: Buffer.from(signature, "base64"),
        timestamps: tokens.map(({ signedTimestamp }) => Buffer.from(signedTimestamp, "base64")),
        root: JSON.parse(readFileSync(existsSync(own) ? own : publicGood, "utf8")),
      },
    ];
  });
}

test("the fixture's files are where OpenSSL finds them", () => {
  assert.deepEqual(readFileSync(file(utf8("x"))), Buffer.from("x"));
});
