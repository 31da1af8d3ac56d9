// SPDX-License-Identifier: Apache-2.0
/** The signature itself, and what it says about the artifact (block J). The last step, when all else is proved. */
import { decodeStatement, type Bundle, type Statement } from "../bundle/index.ts";
import { equalBytes, fromHex, toHex } from "../bytes/index.ts";
import { pae } from "../codec/index.ts";
import {
  ALGORITHMS,
  checkEcdsaEncoding,
  checkSignature,
  fits,
  type Algorithm,
  type HashName,
  type PublicKey,
} from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Evidence } from "./evidence.ts";
import type { Digests } from "./input.ts";
import type { KnownEntry } from "./log.ts";
import { IN_TOTO, type Rules } from "./policy.ts";

/** What was signed, proved. */
export interface Signed {
  readonly algorithm: Algorithm;
  /** The statement in the payload, if it is one. */
  readonly statement: Statement | undefined;
  /** Names of the artifact's digests that this rests on. */
  readonly compared: readonly HashName[];
}

/** J: algorithm, encoding, signature, statement. */
export function proveSignature(
  evidence: Evidence,
  rules: Rules,
  bundle: Bundle,
  key: PublicKey,
  digests: Digests | undefined,
  known: readonly KnownEntry[],
): Signed {
  const { content } = bundle;
  const candidates = evidence.prove(
    "J1",
    () => candidateAlgorithms(key, known),
    ([first]) => first!.keyDetails,
  );
  const allowed = evidence.prove("J2", () => {
    const current = rules.legacyHashes ? candidates : candidates.filter((algorithm) => !isOutdated(algorithm));
    if (current.length > 0) return current;
    throw new LacreError("ALGORITHM_REFUSED", "the pairing of key and hash is outdated", {
      expected: `${key.type} with its own hash`,
      found: candidates[0]!.keyDetails,
    });
  });
  evidence.prove("J3", () => {
    if (allowed[0]!.family === "ecdsa") checkEcdsaEncoding(content.signature, key.type);
  });
  if (content.kind === "message") {
    const artifact = digests!;
    const algorithm = evidence.prove(
      "J4",
      () => checkWithAny(allowed, key, artifact, content.signature),
      (used) => used.keyDetails,
    );
    if (artifact.message === undefined) evidence.pass("J7", `${algorithm.hash} digest`);
    else evidence.skip("J7", "not applicable: the bytes were at hand");
    evidence.skip("J5", "not applicable: no envelope");
    evidence.skip("J8", "not applicable: no payload");
    evidence.prove(
      "J6",
      () => {
        if (rules.predicateType === undefined) return;
        throw new LacreError("PREDICATE_MISMATCH", "the bundle holds no statement", {
          expected: rules.predicateType,
          found: "a message signature",
        });
      },
      () => "no statement required",
    );
    return { algorithm, statement: undefined, compared: [algorithm.hash] };
  }
  evidence.skip("J4", "not applicable: no message signature");
  evidence.skip("J7", "not applicable: the payload was at hand");
  const encoded = pae(content.payloadType, content.payload);
  const algorithm = evidence.prove(
    "J5",
    () => checkWithAny(allowed, key, { message: encoded }, content.signature),
    (used) => used.keyDetails,
  );
  const statement = evidence.guard("J6", () => readStatement(rules, content.payloadType, content.payload));
  evidence.pass("J8", `${content.payload.length} bytes`);
  if (!rules.checkClaims) {
    evidence.assume("J6", "the policy does not compare subjects with an artifact");
    return { algorithm, statement, compared: [] };
  }
  const { compared } = evidence.prove(
    "J6",
    () => checkSubjects(statement, digests),
    (match) => `${match.subject} by ${match.compared.join(", ")}`,
  );
  return { algorithm, statement, compared };
}

/** J4, the part that costs nothing: the digest that a message signature states is the artifact's. Never what is verified. */
export function checkStatedDigest({ content }: Bundle, artifact: Digests): void {
  if (content.kind !== "message" || content.digest === undefined) return;
  const { algorithm, value } = content.digest;
  const digest = artifact.get(algorithm);
  if (!equalBytes(digest, value)) {
    throw new LacreError("ARTIFACT_MISMATCH", "the artifact is not the one that was signed", {
      expected: `${algorithm}:${toHex(value)}`,
      found: `${algorithm}:${toHex(digest)}`,
    });
  }
}

// P-384 and P-521 with SHA-256, as old clients signed.
function isOutdated({ keyType, hash }: Algorithm): boolean {
  return (keyType === "P-384" || keyType === "P-521") && hash === "sha256";
}

/**
 * J1: how this key can have signed. The log's record decides where it says (keyDetails, or the hash of a recorded
 * digest); otherwise the registry's order does. RSA-PSS only where the log says so, and a logged Ed25519 signature is over
 * a digest (Ed25519ph), because a log sees digests alone.
 */
function candidateAlgorithms(key: PublicKey, known: readonly KnownEntry[]): readonly Algorithm[] {
  const fitting = ALGORITHMS.filter((algorithm) => fits(algorithm, key));
  const details = new Set<string>();
  const hashes = new Set<HashName>();
  for (const { facts } of known) {
    for (const { keyDetails } of facts.signatures) if (keyDetails !== undefined) details.add(keyDetails);
    if (facts.digest !== undefined) hashes.add(facts.digest.algorithm);
  }
  const isLogged = hashes.size > 0;
  const left = fitting.filter((algorithm) => {
    if (details.size > 0) return details.size === 1 && details.has(algorithm.keyDetails);
    if (algorithm.family === "rsa-pss") return false;
    if (!isLogged) return algorithm.family !== "ed25519ph";
    return algorithm.prehashed && hashes.size === 1 && hashes.has(algorithm.hash);
  });
  if (left.length > 0) return left;
  const found = [...details, ...hashes].join(", ") || key.type;
  throw new LacreError("KEY_INVALID", "the key cannot have signed in the way that the log records", {
    expected: fitting.map((algorithm) => algorithm.keyDetails).join(" or "),
    found,
  });
}

// With outdated pairings accepted there can be two ways; one good signature is enough, and it is the same key's.
function checkWithAny(
  algorithms: readonly Algorithm[],
  key: PublicKey,
  over: { readonly message: Uint8Array | undefined; get?(name: HashName): Uint8Array },
  signature: Uint8Array,
): Algorithm {
  let refusal: unknown;
  for (const algorithm of algorithms) {
    try {
      checkSignature(
        algorithm,
        key,
        over.message === undefined ? { digest: over.get!(algorithm.hash) } : { message: over.message },
        signature,
      );
      return algorithm;
    } catch (error) {
      refusal ??= error;
    }
  }
  throw refusal;
}

// J6, first half: what the payload says, if it is a statement.
function readStatement(rules: Rules, payloadType: string, payload: Uint8Array): Statement | undefined {
  if (payloadType !== IN_TOTO) {
    if (rules.predicateType === undefined) return undefined;
    throw new LacreError("PREDICATE_MISMATCH", "the payload is no statement", {
      expected: rules.predicateType,
      found: payloadType,
    });
  }
  const statement = decodeStatement(payload);
  if (rules.predicateType !== undefined && statement.predicateType !== rules.predicateType) {
    throw new LacreError("PREDICATE_MISMATCH", "the statement is of another predicate type", {
      expected: rules.predicateType,
      found: statement.predicateType,
    });
  }
  return statement;
}

const SUBJECT_HASHES: readonly HashName[] = ["sha256", "sha384", "sha512"];

// J6, second half: some subject is this artifact. SHA-1 and others never count; a subject whose digests contradict one
// another is about nothing.
function checkSubjects(
  statement: Statement | undefined,
  digests: Digests | undefined,
): { readonly subject: string; readonly compared: readonly HashName[] } {
  if (digests === undefined) throw new LacreError("ARTIFACT_MISSING", "the statement cannot be compared without the artifact");
  if (statement === undefined)
    throw new LacreError("STATEMENT_INVALID", "a payload of this type says nothing about an artifact", { expected: IN_TOTO });
  let isComparable = false;
  for (const subject of statement.subjects) {
    const compared: HashName[] = [];
    let isEqual = true;
    for (const name of SUBJECT_HASHES) {
      const stated = subject.digests.get(name);
      const actual = stated === undefined ? undefined : digests.find(name);
      if (stated === undefined || actual === undefined) continue;
      compared.push(name);
      if (!isHexOf(stated, actual)) isEqual = false;
    }
    if (compared.length === 0) continue;
    isComparable = true;
    if (isEqual) return { subject: subject.name ?? "unnamed subject", compared };
  }
  const found = statement.subjects
    .slice(0, 5)
    .map(
      ({ name, digests: stated }) => `${name ?? "unnamed"} ${[...stated].map(([hash, value]) => `${hash}:${value}`).join(" ")}`,
    )
    .join(", ");
  if (!isComparable) {
    throw new LacreError("ARTIFACT_DIGEST_MISSING", "no subject has a digest that the artifact can be compared with", {
      expected: digests.names.join(", ") || "sha256, sha384 or sha512",
      found,
    });
  }
  const expected = digests.names.map((name) => `${name}:${toHex(digests.get(name))}`).join(" ");
  throw new LacreError("ARTIFACT_MISMATCH", "the statement is about other artifacts", { expected, found });
}

function isHexOf(stated: string, digest: Uint8Array): boolean {
  return stated.length === 2 * digest.length && /^[0-9a-fA-F]*$/.test(stated) && equalBytes(fromHex(stated), digest);
}
