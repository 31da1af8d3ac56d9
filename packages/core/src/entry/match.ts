// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a log entry is about this bundle (block G of the verifier): the step most often forgotten. Without it a valid
 * entry of any other signature would serve as proof for this one (CVE-2022-36056, CVE-2026-22703, CVE-2024-53267).
 *
 * Everything is compared as decoded octets, lengths first. The facts decide what is compared: a digest of what was signed,
 * the payload of an envelope, or both; the signature, the certificate or key, and the algorithm always.
 */
import type { BundleContent } from "../bundle/index.ts";
import { equalBytes, toHex } from "../bytes/index.ts";
import { pae } from "../codec/index.ts";
import { findAlgorithm, fits, hash, type HashName, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Digest, EntryFacts, EntrySignature } from "./facts.ts";

/** The bundle's side of the comparison. */
export interface EntryEvidence {
  readonly content: BundleContent;
  /**
   * Digests of the artifact, as computed or given by the caller, never as stated in the bundle. Used for a message
   * signature; an envelope is hashed here, from `content`.
   */
  readonly artifact: ReadonlyMap<HashName, Uint8Array> | undefined;
  /** The leaf certificate in DER; undefined for a bundle that is verified with a bare key. */
  readonly certificate: Uint8Array | undefined;
  /** The key that the signature is verified with: the certificate's, or the caller's. */
  readonly key: PublicKey;
}

function mismatch(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("ENTRY_MISMATCH", message, detail);
}

/**
 * Proves that an entry records the bundle's signature, by the bundle's certificate or key, over what the bundle signs.
 * Throws ENTRY_MISMATCH; ENTRY_UNSUPPORTED for a kind that does not record the signature; ARTIFACT_MISSING and
 * ARTIFACT_DIGEST_MISSING when the artifact's digest of the entry's algorithm is not at hand.
 */
export function checkEntryMatches(facts: EntryFacts, evidence: EntryEvidence): void {
  const [recorded, ...more] = facts.signatures;
  if (recorded === undefined || more.length > 0)
    throw mismatch("entry has not exactly one signature", { expected: "1", found: `${facts.signatures.length}` });
  checkRecordedSignature(facts, recorded, evidence);
  checkRecordedVerifier(recorded, evidence);
  if (facts.digest !== undefined) checkRecordedDigest(facts.digest, recorded, evidence);
  if (facts.payloadHash !== undefined) checkRecordedPayload(facts.payloadHash, facts.payloadType, evidence.content);
  if (facts.digest === undefined && facts.payloadHash === undefined) {
    throw new LacreError("ENTRY_UNSUPPORTED", "entries of this kind do not record what was signed", {
      found: `${facts.kind} ${facts.version}`,
    });
  }
}

function checkRecordedSignature(facts: EntryFacts, { signature }: EntrySignature, { content }: EntryEvidence): void {
  if (signature === undefined) {
    // Such an entry records the envelope's own text instead: that binds signature and payload alike, where it is at hand.
    if (facts.envelopeHash !== undefined && content.kind === "dsse" && content.envelope !== undefined) {
      const found = hash(facts.envelopeHash.algorithm, content.envelope);
      if (equalBytes(found, facts.envelopeHash.value)) return;
      throw mismatch("entry is of another envelope", { expected: toHex(found), found: toHex(facts.envelopeHash.value) });
    }
    throw new LacreError("ENTRY_UNSUPPORTED", "entries of this kind do not record the signature", {
      found: `${facts.kind} ${facts.version}`,
    });
  }
  if (!equalBytes(signature, content.signature))
    throw mismatch("entry is of another signature", { expected: toHex(content.signature), found: toHex(signature) });
}

function checkRecordedVerifier({ verifier, keyDetails }: EntrySignature, { certificate, key }: EntryEvidence): void {
  const expected = certificate === undefined ? "publicKey" : "certificate";
  if (verifier.kind !== expected) throw mismatch("entry is verified in another way", { expected, found: verifier.kind });
  if (!equalBytes(verifier.der, certificate ?? key.spki))
    throw mismatch(`entry is of another ${expected === "publicKey" ? "key" : "certificate"}`);
  if (keyDetails === undefined) return;
  const algorithm = findAlgorithm(keyDetails);
  if (algorithm === undefined || !fits(algorithm, key))
    throw mismatch("entry states an algorithm that does not fit the key", { expected: key.type, found: keyDetails.slice(0, 60) });
}

function checkRecordedDigest(digest: Digest, { keyDetails }: EntrySignature, { content, artifact }: EntryEvidence): void {
  if (keyDetails !== undefined) {
    // The digest is what the signature covers, so both name one hash; a pure scheme covers no digest at all.
    const algorithm = findAlgorithm(keyDetails);
    if (algorithm === undefined || !algorithm.prehashed || algorithm.hash !== digest.algorithm) {
      throw mismatch("entry's digest is not of the hash that its algorithm signs", {
        expected: algorithm?.hash ?? "a known algorithm",
        found: digest.algorithm,
      });
    }
  }
  const expected =
    content.kind === "dsse"
      ? hash(digest.algorithm, pae(content.payloadType, content.payload))
      : artifactDigest(digest.algorithm, artifact);
  if (!equalBytes(digest.value, expected)) {
    throw mismatch(`entry is of another ${content.kind === "dsse" ? "envelope" : "artifact"}`, {
      expected: toHex(expected),
      found: toHex(digest.value),
    });
  }
}

function artifactDigest(algorithm: HashName, artifact: EntryEvidence["artifact"]): Uint8Array {
  if (artifact === undefined) throw new LacreError("ARTIFACT_MISSING", "the entry cannot be compared without the artifact");
  const digest = artifact.get(algorithm);
  if (digest === undefined) {
    throw new LacreError("ARTIFACT_DIGEST_MISSING", "the entry records the artifact by another digest than is at hand", {
      expected: algorithm,
      found: [...artifact.keys()].join(", "),
    });
  }
  return digest;
}

function checkRecordedPayload(payloadHash: Digest, payloadType: string | undefined, content: BundleContent): void {
  if (content.kind !== "dsse") throw mismatch("entry is of an envelope, the bundle holds a message signature");
  const expected = hash(payloadHash.algorithm, content.payload);
  if (!equalBytes(payloadHash.value, expected))
    throw mismatch("entry is of another payload", { expected: toHex(expected), found: toHex(payloadHash.value) });
  if (payloadType !== undefined && payloadType !== content.payloadType) {
    throw mismatch("entry is of another payload type", {
      expected: content.payloadType.slice(0, 100),
      found: payloadType.slice(0, 100),
    });
  }
}
