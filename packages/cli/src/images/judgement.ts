// SPDX-License-Identifier: Apache-2.0
/**
 * The judgement of an image: each stored signature verified on its own, and what that makes of the image.
 *
 * A signature counts when the verifier says so and, unless claims are not asked for, when what it signs is about this
 * image with the annotations required. One that counts is enough; the others are told with their reasons. An attestation
 * never stands for a signature, nor one predicate type for another (CVE-2022-35929).
 */
import type { PublicKey } from "@lacre/core/crypto";
import { fromBase64, fromHex } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import {
  checkImageClaims,
  type ImageClaims,
  readPayloadClaims,
  readStatementClaims,
  SIGNATURE_PREDICATE_TYPE,
  splitDigest,
} from "@lacre/core/oci";
import { decidingCheck, type Policy, type Verdict, type Verifier } from "@lacre/core/verify";
import type { SealKind, StoredSeal } from "./seals.ts";

/** The versioned name of the record of an image. */
export const IMAGE_SCHEMA = "urn:lacre:image:1";

/** What came of one signature. */
export interface JudgedSeal {
  readonly digest: string;
  readonly store: StoredSeal["store"];
  readonly outcome: "verified" | "refused";
  /** What it says about the image, once verified. */
  readonly claims?: ImageClaims;
  /** Why a good signature does not count. */
  readonly refusal?: { readonly code: string; readonly message: string; readonly expected?: string; readonly found?: string };
  readonly verdict: Verdict;
}

/** The record of an image. */
export interface ImageRecord {
  readonly schema: typeof IMAGE_SCHEMA;
  readonly image: string;
  readonly digest: string;
  readonly kind: SealKind;
  /** unsigned: the place was looked at, and nothing was there. */
  readonly outcome: "verified" | "refused" | "unsigned";
  /** Whether the layers were there and were held against the manifest: images in files alone. */
  readonly content?: ContentRecord;
  readonly seals: readonly JudgedSeal[];
}

/** What was proved of an image's content. */
export interface ContentRecord {
  readonly layers: number;
  readonly octets: number;
  /** Manifests of an index that are not in the file. */
  readonly absent: readonly string[];
}

export interface Judging {
  readonly verifier: Verifier;
  readonly policy: Policy;
  readonly key: PublicKey | undefined;
  readonly nowMs: number;
  /** The image's digest. */
  readonly digest: string;
  readonly kind: SealKind;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Judges one signature. */
export function judgeSeal(stored: StoredSeal, judging: Judging): JudgedSeal {
  const { verifier, policy, key, digest, kind, nowMs } = judging;
  const isStatement = stored.content === "dsse";
  const verdict = verifier.verify({
    bundle: stored.seal,
    artifact: stored.payload === undefined ? digestArtifact(digest) : { digests: new Map(), message: stored.payload },
    // A statement that stands for a signature is of that type and no other.
    policy: isStatement && kind === "signature" ? { ...policy, predicateType: SIGNATURE_PREDICATE_TYPE } : policy,
    ...(key === undefined ? {} : { key }),
    nowMs,
  });
  const common = { digest: stored.digest, store: stored.store, verdict };
  if (verdict.outcome !== "verified") return { ...common, outcome: "refused" };
  try {
    const claims = readClaims(stored, verdict, digest, policy.checkClaims !== false);
    if (policy.checkClaims !== false) checkImageClaims(claims, { digest, annotations: judging.annotations });
    return { ...common, outcome: "verified", claims };
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
    const { code, message, expected, found } = error;
    const detail = { ...(expected === undefined ? {} : { expected }), ...(found === undefined ? {} : { found }) };
    return { ...common, outcome: "refused", refusal: { code, message, ...detail } };
  }
}

function digestArtifact(digest: string): { readonly digests: ReadonlyMap<"sha256" | "sha384" | "sha512", Uint8Array> } {
  const { algorithm, hex } = splitDigest(digest);
  return { digests: new Map([[algorithm, fromHex(hex)]]) };
}

// Only what was verified is read: the payload of the verdict, or the document that the signature was verified over.
function readClaims({ payload }: StoredSeal, verdict: Verdict, digest: string, isChecked: boolean): ImageClaims {
  if (payload !== undefined) return readPayloadClaims(payload);
  // A signature over the manifest itself names the image by being over it, and has no annotations.
  if (verdict.payload === undefined) return { reference: "", digest, type: "", annotations: {} };
  try {
    return readStatementClaims(fromBase64(verdict.payload), digest);
  } catch (error) {
    // Without claims a statement need not be about the image, nor be one.
    if (isChecked || !(error instanceof LacreError)) throw error;
    return { reference: "", digest, type: verdict.predicateType ?? "", annotations: {} };
  }
}

/** Why a signature does not count, in one line. */
export function reasonOf({ verdict, refusal }: JudgedSeal): string {
  if (refusal !== undefined) {
    const detail = refusal.expected === undefined ? "" : ` (expected ${refusal.expected}, found ${refusal.found ?? "nothing"})`;
    return `${refusal.message} [${refusal.code}]${detail}`;
  }
  const check = decidingCheck(verdict);
  if (check === undefined) return "not proved";
  const detail = check.expected === undefined ? "" : ` (expected ${check.expected}, found ${check.found ?? "nothing"})`;
  return `${check.id}: ${check.message ?? check.name} [${check.code ?? "?"}]${detail}`;
}

/** Whether a signature was refused because it has no certificate where an identity is asked for. */
export function lacksCertificate({ verdict }: JudgedSeal): boolean {
  const check = decidingCheck(verdict);
  return check?.code === "POLICY_MISMATCH" && check.expected === "certificate";
}
