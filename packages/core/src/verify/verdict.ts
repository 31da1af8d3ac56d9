// SPDX-License-Identifier: Apache-2.0
/**
 * The verdict: what verification says, as one JSON value that feeds text, exit codes and policy engines alike.
 *
 * `checks` has every row of the catalogue below, always, in this order. A verdict is `verified` only if each step that
 * the policy and the kind of bundle require is recorded as done; what a refused verdict tells about the bundle stands
 * in its checks alone, because nothing else was proved. `verdict.schema.json` describes the same value; both carry the
 * version in `VERDICT_SCHEMA`, and a change that a reader could trip over changes the version.
 */
import type { Json } from "../codec/index.ts";
import type { LacreCode } from "../errors.ts";

/** The versioned name of this shape: the `schema` member of every verdict. */
export const VERDICT_SCHEMA = "urn:lacre:verdict:1";

/**
 * `pass`: proved in this run. `fail`: proved wrong, or missing. `assumed`: not looked at, because the policy says so or
 * the caller vouches for it. `unknown`: this platform cannot decide; refuses like a failure. `skipped`: does not apply,
 * or was not reached; `evidence` says which.
 */
export type CheckStatus = "pass" | "fail" | "assumed" | "unknown" | "skipped";

const NAMES = {
  A1: "the policy says who may sign",
  A2: "the bundle is JSON of reasonable size and depth, without duplicate keys",
  A3: "counts are within limits",
  A4: "encodings are strict",
  A5: "the artifact's digest is known",
  B1: "the bundle version is supported",
  B2: "there is exactly one content and one kind of verification material",
  B3: "each log entry carries the proof that its bundle version demands",
  B4: "a version 0.3 bundle carries a single certificate or a key hint",
  B5: "a certificate chain starts with the signer and contains no root",
  B6: "certificates and keys are complete DER",
  B7: "the message signature and digest are well formed",
  B8: "the envelope has one signature and an accepted payload type",
  B9: "unknown members are ignored and reported",
  C1: "the trusted root's version is supported",
  C2: "keys in the trusted root fit their stated type and have a start",
  C3: "log ids in the trusted root are derived from the keys",
  C4: "authority chains in the trusted root are whole",
  C5: "windows of validity are closed intervals",
  C6: "overlapping and future instances are kept apart",
  C7: "the trusted root's origin is known",
  D1: "every timestamp and every promise was checked",
  D2: "times come from a timestamp authority or a log's promise",
  D3: "there are enough independent times",
  D4: "no time lies in the future",
  E1: "the timestamp was granted",
  E2: "the timestamp is one signed structure by one signer",
  E3: "the timestamp is about this signature",
  E4: "the timestamp's signed attributes bind content and signer",
  E5: "the timestamp's signer is known to the trusted root",
  E6: "the timestamp's signature verifies",
  E7: "the timestamp authority's certificate is valid for timestamping at that time",
  E8: "the timestamp lies in the authority's window",
  E9: "no timestamp failed",
  F1: "the log is known",
  F2: "the entry is of the stated, supported kind",
  F3: "the log's promise verifies",
  F4: "the entry is included in the log's tree",
  F5: "the checkpoint is a signed note",
  F6: "the checkpoint is signed by the log, under its name",
  F7: "the checkpoint, the proof and the tree agree",
  F8: "the log's key was valid at the time",
  F9: "there are enough independent log entries",
  F10: "the log index is consistent",
  G1: "the hashedrekord 0.0.1 entry is about this artifact, signature and signer",
  G2: "the hashedrekord 0.0.2 entry is about this artifact, signature and signer",
  G3: "the dsse entry is about this payload, signature and signer",
  G4: "the intoto entry is about this payload, signature and signer",
  G5: "entry and bundle were compared byte for byte",
  G6: "the entry's digest is that of the envelope's signed bytes",
  H1: "the certificate leads to a trusted authority",
  H2: "every certificate was valid at every proved time",
  H3: "the certificate path keeps its constraints",
  H4: "the certificate is a signing certificate of one subject",
  H5: "a known certificate log has promised to publish the certificate",
  H6: "no known certificate log's promise is false",
  H7: "certificate logs are configured",
  I1: "the issuer of the identity is stated, once",
  I2: "the subject is of a known kind",
  I3: "identity and issuer are as required",
  I4: "the required claims are present and equal",
  I5: "the signer is one of those accepted",
  J1: "the algorithm follows from the key",
  J2: "no outdated pairing of key and hash",
  J3: "the signature is strictly encoded",
  J4: "the signature over the artifact verifies",
  J5: "the signature over the envelope verifies",
  J6: "the statement is about this artifact and of the required type",
  J7: "a digest alone was enough to verify",
  J8: "the payload returned is the payload verified",
  K1: "every required step was done",
  K2: "the result lists what was proved",
  K3: "the outcome follows from the checks",
  K4: "nothing went wrong inside the verifier",
};

/** The number of a check: block letter and position. */
export type CheckId = keyof typeof NAMES;

/** Every check by its number in the rules, with a plain name, in order. Ids never change their meaning. */
export const CHECKS: Readonly<Record<CheckId, string>> = NAMES;

/** One row: what was looked at, and what came of it. Texts are for people; `id`, `status` and `code` are for programs. */
export interface Check {
  readonly id: CheckId;
  readonly name: string;
  readonly status: CheckStatus;
  /** The stable code of a failure (or of an unknown). */
  readonly code?: LacreCode;
  readonly message?: string;
  readonly expected?: string;
  readonly found?: string;
  /** What the status rests on. */
  readonly evidence?: string;
  /** What would help. */
  readonly hint?: string;
}

/** A time that was proved, by whom, in milliseconds since 1970. */
export interface VerdictTime {
  readonly timeMs: number;
  readonly kind: "timestamp" | "log";
  /** The authority's or log's address in the trusted root. */
  readonly source: string;
}

/** A log entry that was proved. */
export interface VerdictEntry {
  /** Hexadecimal log id. */
  readonly logId: string;
  readonly log: string;
  /** Decimal; absent where only the position in the tree was proved. */
  readonly logIndex?: string;
  /** Decimal position and size of the tree that included the entry; absent for entries proved by a promise alone. */
  readonly treeIndex?: string;
  readonly treeSize?: string;
  readonly kind: string;
  readonly version: string;
}

/** Who signed with a certificate: subject, issuer and claims of the proved leaf. */
export interface VerdictIdentity {
  readonly kind: string;
  readonly value: string;
  readonly issuer?: string;
  readonly claims: Readonly<Record<string, string>>;
  /** Serial number of the certificate, hexadecimal: what a revocation may name. */
  readonly serial?: string;
}

/** One subject of a verified statement. */
export interface VerdictSubject {
  readonly name?: string;
  readonly digests: Readonly<Record<string, string>>;
}

/** Where the trusted root came from, in the caller's words. */
export interface RootSource {
  /** File, URL or "TUF". */
  readonly source?: string;
  /** Why this root was chosen. */
  readonly reason?: string;
  /** `sha256:` and hexadecimal of its bytes. */
  readonly digest?: string;
}

/** The result. Members after `trustedRoot` are present only when verified, and hold nothing that was not proved. */
export interface Verdict {
  readonly schema: typeof VERDICT_SCHEMA;
  readonly outcome: "verified" | "refused";
  readonly checks: readonly Check[];
  /** Sentences about things that did not decide the outcome but deserve a look. */
  readonly warnings: readonly string[];
  readonly trustedRoot?: RootSource;
  /** The bundle's media type. */
  readonly mediaType?: string;
  readonly identity?: VerdictIdentity;
  /** The key that signed, in key mode: `sha256:` and hexadecimal of its SubjectPublicKeyInfo. */
  readonly key?: string;
  /** `keyDetails` name of the signature's algorithm. */
  readonly algorithm?: string;
  readonly times?: readonly VerdictTime[];
  readonly logEntries?: readonly VerdictEntry[];
  /** The artifact's digests that were compared, hexadecimal by hash name. */
  readonly artifact?: Readonly<Record<string, string>>;
  readonly payloadType?: string;
  /** The verified payload, base64. */
  readonly payload?: string;
  readonly subjects?: readonly VerdictSubject[];
  readonly predicateType?: string;
  readonly predicate?: Json;
}

/** The first check that decided against, or undefined for a verified one. */
export function decidingCheck(verdict: Verdict): Check | undefined {
  return verdict.checks.find((check) => check.status === "fail" || check.status === "unknown");
}
