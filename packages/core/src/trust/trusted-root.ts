// SPDX-License-Identifier: Apache-2.0
/**
 * The trusted root (`dev.sigstore.trustroot.v1.TrustedRoot`, protobuf JSON): whose signatures count, and from when to when.
 *
 *     tlogs, ctlogs            key, id, address and window of each log
 *     certificateAuthorities   intermediates, then the anchor; one chain, one window
 *     timestampAuthorities     signer's certificate, intermediates, anchor; one chain, one window
 *
 * Instances may overlap, may be over, may lie in the future: the root is a history. Everything is proved once, at
 * decoding (rules C1 to C6): keys fit their stated type, ids follow from keys, each certificate is signed by the
 * next. A verifier takes it from there and repeats none of it; the signatures between certificates are remembered by the
 * Certificate objects.
 *
 * An instance of a kind that we do not know (a key type or an algorithm of the future) is left out with a warning, so
 * that one new log does not make the whole root unreadable. What is malformed within a known kind refuses the root.
 */
import { equalBytes, toBase64, toHex } from "../bytes/index.ts";
import { noteKeyId } from "../bundle/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { ALGORITHMS, encodeSpki, importPublicKey, keyTypeOf, sha256, type KeyType, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { checkIssuedBy, decodeCertificate, MAX_PATH, type Certificate } from "../x509/index.ts";
import type { Revocations } from "./revocations.ts";
import { readWindow, writeWindow, type Window } from "./window.ts";

/** A transparency log, or a certificate-transparency log. */
export interface TransparencyLog extends Window {
  /** Where it can (or could) be reached, and what it is called: its host names its checkpoints. May be empty for v1 and CT logs. */
  readonly baseUrl: string;
  /** The host of `baseUrl`, without port: the name on the log's notes. */
  readonly name: string;
  readonly key: PublicKey;
  /** Name in `PublicKeyDetails`, as the root states it: also the names that the registry has retired. */
  readonly keyDetails: string;
  /** 32 octets: SHA-256 of the key (Rekor v1, CT) or the note key id of name and key (Rekor v2). */
  readonly logId: Uint8Array;
  /** Who runs it, where the root says so. */
  readonly operator?: string;
}

/** A certificate authority or timestamp authority. */
export interface CertificateAuthority extends Window {
  readonly subject: { readonly organization: string; readonly commonName: string };
  readonly uri: string;
  /** As listed, anchor last. Each is proved to be signed by the next. */
  readonly chain: readonly Certificate[];
  readonly operator?: string;
}

/** A trusted root whose every instance has been checked. */
export interface TrustedRoot {
  readonly mediaType: string;
  readonly tlogs: readonly TransparencyLog[];
  readonly ctlogs: readonly TransparencyLog[];
  readonly certificateAuthorities: readonly CertificateAuthority[];
  readonly timestampAuthorities: readonly CertificateAuthority[];
  /** What was left out, and why; for people. */
  readonly warnings: readonly string[];
  /** What is not trusted any more. A root's own document has none; a trust pack brings them. */
  readonly revocations?: Revocations;
}

/** The media type that every client reads; the only one that is written. */
export const TRUSTED_ROOT_MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const MEDIA_TYPES: readonly string[] = [
  TRUSTED_ROOT_MEDIA_TYPE,
  "application/vnd.dev.sigstore.trustedroot.v0.1+json",
  "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

type Rule = "C1" | "C2" | "C3" | "C4";

function invalid(rule: Rule, message: string, detail: { expected?: string; found?: string; cause?: unknown } = {}): LacreError {
  return new LacreError("TRUSTED_ROOT_INVALID", message, { ...detail, rule });
}

/** What makes us leave an instance out. Never leaves this file. */
class Unknown extends Error {
  override readonly name = "Unknown";
}

/**
 * Reads a trusted root. Throws TRUSTED_ROOT_INVALID with the broken rule (C1 version, C2 keys and windows, C3 log ids,
 * C4 chains); BAD_JSON, BAD_BASE64, BAD_UTF8 and TOO_LARGE for text that is no such document at all.
 */
export function decodeTrustedRoot(input: Uint8Array): TrustedRoot {
  return readTrustedRoot(new JsonObject(parseJson(input), "trusted root"));
}

/** As {@link decodeTrustedRoot}, for a root within another document. */
export function readTrustedRoot(root: JsonObject): TrustedRoot {
  const mediaType = root.optionalString("mediaType", "media_type") ?? "";
  if (!MEDIA_TYPES.includes(mediaType)) {
    throw invalid("C1", "trusted root is of a version that is not supported", {
      expected: TRUSTED_ROOT_MEDIA_TYPE,
      found: mediaType.slice(0, 100) || "no media type",
    });
  }
  const warnings: string[] = [];
  const decoded = {
    mediaType,
    tlogs: readAll(root, ["tlogs"], warnings, (log) => readLog(log, "transparency")),
    ctlogs: readAll(root, ["ctlogs"], warnings, (log) => readLog(log, "certificate")),
    certificateAuthorities: readAll(
      root,
      ["certificateAuthorities", "certificate_authorities"],
      warnings,
      readCertificateAuthority,
    ),
    timestampAuthorities: readAll(root, ["timestampAuthorities", "timestamp_authorities"], warnings, readAuthority),
    warnings,
  };
  for (const key of root.unread()) warnings.push(`${root.where}.${key.slice(0, 60)} is not known and was left out`);
  return decoded;
}

function readAll<T>(
  root: JsonObject,
  [name, ...aliases]: readonly [string, ...string[]],
  warnings: string[],
  read: (instance: JsonObject) => T,
): readonly T[] {
  const out: T[] = [];
  for (const [at, value] of (root.optionalArray(name, ...aliases) ?? []).entries()) {
    const where = `${name}[${at}]`;
    try {
      out.push(read(new JsonObject(value, where)));
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      warnings.push(`${where} was left out: ${error.message}`);
    }
  }
  return out;
}

function readLog(log: JsonObject, kind: "transparency" | "certificate"): TransparencyLog {
  const hash = enumName(log, "hashAlgorithm", "hash_algorithm");
  if (hash !== "SHA2_256" && hash !== "1") {
    if (hash === "" || hash === "HASH_ALGORITHM_UNSPECIFIED" || hash === "0")
      throw invalid("C2", `${log.where} does not name its hash algorithm`);
    throw new Unknown(`its hash algorithm ${hash} is not known`);
  }
  const publicKey = log.object("publicKey", "public_key");
  const keyDetails = readKeyDetails(publicKey);
  const key = readKey(publicKey, keyDetails);
  const window = readWindow(publicKey, "TRUSTED_ROOT_INVALID", "C2");
  const baseUrl = log.optionalString("baseUrl", "base_url") ?? "";
  const name = hostOf(baseUrl);
  const logId = checkLogId(log, kind, name, key);
  const operator = log.optionalString("operator");
  return { baseUrl, name, key, keyDetails, logId, ...window, ...(operator === undefined || operator === "" ? {} : { operator }) };
}

/** How a `keyDetails` name stores its key: which type, and whether as SubjectPublicKeyInfo or bare PKCS#1. */
interface Storage {
  readonly type: KeyType;
  /** 0: any size. */
  readonly rsaBits: number;
  readonly bare: boolean;
}

// Retired names (dev.sigstore.common.v1, deprecated values) which old instances still carry: [number, name, storage].
const RETIRED: readonly (readonly [number, string, Storage])[] = [
  [1, "PKCS1_RSA_PKCS1V5", { type: "RSA", rsaBits: 0, bare: true }],
  [2, "PKCS1_RSA_PSS", { type: "RSA", rsaBits: 0, bare: true }],
  [3, "PKIX_RSA_PKCS1V5", { type: "RSA", rsaBits: 0, bare: false }],
  [4, "PKIX_RSA_PSS", { type: "RSA", rsaBits: 0, bare: false }],
  [6, "PKIX_ECDSA_P256_HMAC_SHA_256", { type: "P-256", rsaBits: 0, bare: false }],
];

const NAMES: ReadonlyMap<string, string> = new Map([
  ...ALGORITHMS.map((row) => [`${row.number}`, row.keyDetails] as const),
  ...RETIRED.map(([number, name]) => [`${number}`, name] as const),
]);
const STORAGE: ReadonlyMap<string, Storage> = new Map([
  ...ALGORITHMS.map(({ keyDetails, keyType, rsaBits }) => [keyDetails, { type: keyType, rsaBits, bare: false }] as const),
  ...RETIRED.map(([, name, storage]) => [name, storage] as const),
]);

// Enums are names in protobuf JSON, but every parser takes the number as well.
function enumName(parent: JsonObject, name: string, alias: string): string {
  const value = parent.get(name, alias);
  return typeof value === "number" ? `${value}` : (parent.optionalString(name, alias) ?? "");
}

function readKeyDetails(publicKey: JsonObject): string {
  const stated = enumName(publicKey, "keyDetails", "key_details");
  if (stated === "" || stated === "0" || stated === "PUBLIC_KEY_DETAILS_UNSPECIFIED")
    throw invalid("C2", `${publicKey.where} does not state the type of its key`);
  const name = NAMES.get(stated) ?? stated;
  if (!STORAGE.has(name)) throw new Unknown(`keys of type ${name.slice(0, 60)} are not known`);
  return name;
}

function readKey(publicKey: JsonObject, keyDetails: string): PublicKey {
  const { type, rsaBits, bare } = STORAGE.get(keyDetails)!;
  const raw = publicKey.bytes("rawBytes", "raw_bytes");
  let key: PublicKey;
  try {
    key = importPublicKey(bare ? encodeSpki("RSA", raw) : raw);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw invalid("C2", `${publicKey.where} cannot be used: ${cause.message}`, { expected: keyDetails, ...found(cause), cause });
  }
  if (key.type !== type || (rsaBits !== 0 && key.rsaBits !== rsaBits)) {
    throw invalid("C2", `${publicKey.where} is of another type than stated`, {
      expected: keyDetails,
      found: `${key.type} ${key.rsaBits || ""}`.trim(),
    });
  }
  return key;
}

function found(cause: LacreError): { found?: string } {
  return cause.found === undefined ? {} : { found: cause.found };
}

/** The host of an address: what lies between `//` and the next `/`, less user and port. A bare host is its own. */
function hostOf(baseUrl: string): string {
  const authority = /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:\/\/)?([^/?#]*)/.exec(baseUrl)![1]!;
  return authority
    .slice(authority.lastIndexOf("@") + 1)
    .replace(/:[0-9]*$/, "")
    .toLowerCase();
}

// C3. A certificate log has the id of RFC 6962; a transparency log that, or the one of C2SP.
function checkLogId(log: JsonObject, kind: "transparency" | "certificate", name: string, key: PublicKey): Uint8Array {
  const plain = sha256(key.spki);
  const noted = kind === "certificate" ? undefined : noteIdOf(name, key);
  const stated = log.optionalObject("logId", "log_id")?.bytes("keyId", "key_id");
  const inNotes =
    kind === "certificate" ? undefined : log.optionalObject("checkpointKeyId", "checkpoint_key_id")?.bytes("keyId", "key_id");
  const known = noted === undefined ? [plain] : [plain, noted];
  if (
    inNotes !== undefined &&
    !(inNotes.length >= 4 && known.some((id) => equalBytes(id.subarray(0, inNotes.length), inNotes)))
  ) {
    throw noted === undefined
      ? new Unknown("its key is of a type whose ids in notes are not known")
      : notDerived(`${log.where}.checkpointKeyId`, known, inNotes);
  }
  if (stated === undefined) {
    if (inNotes === undefined || noted === undefined) throw invalid("C3", `${log.where} has no log id`);
    return noted;
  }
  const id = known.find((candidate) => equalBytes(candidate, stated));
  if (id !== undefined) return id;
  // A key type of the future may have a rule of the future for its id; nothing is known to be wrong.
  if (noted === undefined && kind === "transparency") throw new Unknown("its key is of a type whose log ids are not known");
  throw notDerived(`${log.where}.logId`, known, stated);
}

function notDerived(where: string, known: readonly Uint8Array[], stated: Uint8Array): LacreError {
  return invalid("C3", `${where} does not follow from the log's key and name`, {
    expected: known.map(toHex).join(" or "),
    found: toHex(stated.subarray(0, 64)),
  });
}

function noteIdOf(name: string, key: PublicKey): Uint8Array | undefined {
  try {
    return noteKeyId(name, key);
  } catch (error) {
    if (error instanceof LacreError && error.code === "ALGORITHM_UNKNOWN") return undefined;
    throw error;
  }
}

function readCertificateAuthority(authority: JsonObject): CertificateAuthority {
  const decoded = readAuthority(authority);
  const place = decoded.chain.findIndex((certificate) => !certificate.isCa);
  if (place >= 0)
    throw invalid("C4", `${authority.where} lists a certificate that is no authority`, { found: `certificate ${place}` });
  return decoded;
}

function readAuthority(authority: JsonObject): CertificateAuthority {
  const window = readWindow(authority, "TRUSTED_ROOT_INVALID", "C4");
  const chain = readChain(authority.object("certChain", "cert_chain"));
  const subject = authority.optionalObject("subject");
  const operator = authority.optionalString("operator");
  return {
    subject: {
      organization: subject?.optionalString("organization") ?? "",
      commonName: subject?.optionalString("commonName", "common_name") ?? "",
    },
    uri: authority.optionalString("uri") ?? "",
    chain,
    ...window,
    ...(operator === undefined || operator === "" ? {} : { operator }),
  };
}

function readChain(certChain: JsonObject): readonly Certificate[] {
  const listed = certChain.optionalArray("certificates") ?? [];
  if (listed.length === 0) throw invalid("C4", `${certChain.where} has no certificate`);
  if (listed.length > MAX_PATH)
    throw invalid("C4", `${certChain.where} is too long`, {
      expected: `at most ${MAX_PATH} certificates`,
      found: `${listed.length}`,
    });
  const chain = listed.map((value, at) => {
    const certificate = new JsonObject(value, `${certChain.where}.certificates[${at}]`);
    return readCertificate(certificate.bytes("rawBytes", "raw_bytes"), certificate.where);
  });
  for (const [at, child] of chain.entries()) {
    const issuer = chain[at + 1];
    if (issuer === undefined) break;
    try {
      checkIssuedBy(child, issuer);
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      if (cause.code === "ALGORITHM_UNKNOWN") throw new Unknown(cause.message);
      throw invalid("C4", `${certChain.where}.certificates[${at}] is not signed by the next: ${cause.message}`, {
        ...found(cause),
        cause,
      });
    }
  }
  return chain;
}

function readCertificate(bytes: Uint8Array, where: string): Certificate {
  try {
    const certificate = decodeCertificate(bytes);
    if (keyTypeOf(certificate.spki) === undefined) throw new Unknown("a certificate has a key of a type that is not known");
    // Decoded here, so that a key that cannot be used refuses the root and not a verification.
    void certificate.publicKey;
    return certificate;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    if (cause.code === "ALGORITHM_UNKNOWN")
      throw new Unknown(`a certificate is signed with an algorithm that is not known (${cause.found ?? cause.message})`);
    throw invalid("C4", `${where} cannot be read: ${cause.message}`, { ...found(cause), cause });
  }
}

/**
 * The JSON text of a trusted root, in the one form that all clients read: the old media type, and neither `operator` nor
 * `checkpointKeyId`, which some refuse. `mediaType` and `warnings` of the argument are not used.
 */
export function encodeTrustedRoot(root: Omit<TrustedRoot, "mediaType" | "warnings" | "revocations">): string {
  return `${JSON.stringify(writeTrustedRoot(root), null, 2)}\n`;
}

/** As {@link encodeTrustedRoot}, for a root within another document. */
export function writeTrustedRoot(root: Omit<TrustedRoot, "mediaType" | "warnings" | "revocations">): object {
  return {
    mediaType: TRUSTED_ROOT_MEDIA_TYPE,
    tlogs: root.tlogs.map(writeLog),
    certificateAuthorities: root.certificateAuthorities.map(writeAuthority),
    ctlogs: root.ctlogs.map(writeLog),
    timestampAuthorities: root.timestampAuthorities.map(writeAuthority),
  };
}

function writeLog(log: TransparencyLog): object {
  const { key, keyDetails } = log;
  return {
    ...(log.baseUrl === "" ? {} : { baseUrl: log.baseUrl }),
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: toBase64(STORAGE.get(keyDetails)?.bare ? key.raw : key.spki), keyDetails, validFor: writeWindow(log) },
    logId: { keyId: toBase64(log.logId) },
  };
}

function writeAuthority(authority: CertificateAuthority): object {
  return {
    subject: { organization: authority.subject.organization, commonName: authority.subject.commonName },
    ...(authority.uri === "" ? {} : { uri: authority.uri }),
    certChain: { certificates: authority.chain.map((certificate) => ({ rawBytes: toBase64(certificate.der) })) },
    validFor: writeWindow(authority),
  };
}
