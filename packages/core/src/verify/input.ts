// SPDX-License-Identifier: Apache-2.0
/** What comes in: the bundle (blocks A and B), the artifact, the key. Structure and policy only, before any cryptography. */
import { assembleLegacy, decodeBundle, type Bundle, type LegacySignature } from "../bundle/index.ts";
import { toBase64 } from "../bytes/index.ts";
import { parseJson } from "../codec/index.ts";
import { DIGEST_LENGTH, hash, sha256, type HashName, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Window } from "./anchors.ts";
import type { Evidence } from "./evidence.ts";
import type { Rules } from "./policy.ts";
import type { CheckId } from "./verdict.ts";

/** What the signature is said to be over. The bytes themselves, if given, are what counts; else the digests. */
export interface Artifact {
  readonly digests: ReadonlyMap<HashName, Uint8Array>;
  readonly message?: Uint8Array | undefined;
}

/** A key that the caller trusts, with the hint it goes by and the window in which it does. */
export interface TrustedKey extends Partial<Window> {
  readonly publicKey: PublicKey;
  readonly hint?: string;
}

/** The digests of an artifact, computed when asked for. */
export class Digests {
  readonly message: Uint8Array | undefined;
  readonly #known: Map<HashName, Uint8Array>;

  constructor(artifact: Artifact) {
    this.message = artifact.message;
    // Given the bytes, what somebody says about their digests is of no interest.
    this.#known = new Map(artifact.message === undefined ? artifact.digests : []);
  }

  /** The digest, or undefined when neither it nor the bytes are known. */
  find(name: HashName): Uint8Array | undefined {
    const known = this.#known.get(name);
    if (known !== undefined || this.message === undefined) return known;
    const digest = hash(name, this.message);
    this.#known.set(name, digest);
    return digest;
  }

  /** The digest. Throws ARTIFACT_DIGEST_MISSING. */
  get(name: HashName): Uint8Array {
    const digest = this.find(name);
    if (digest !== undefined) return digest;
    const found = this.names.join(", ");
    throw new LacreError("ARTIFACT_DIGEST_MISSING", "the artifact's digest is needed in another algorithm", {
      expected: name,
      found,
    });
  }

  /** The digests known so far, and this one if it can be known. */
  table(name: HashName | undefined): ReadonlyMap<HashName, Uint8Array> {
    if (name !== undefined) this.find(name);
    return this.#known;
  }

  /** Names of the digests known so far. */
  get names(): readonly HashName[] {
    return [...this.#known.keys()];
  }
}

/** A2–A4 and B: the bundle, decoded, its structure as its version demands. */
export function openBundle(evidence: Evidence, rules: Rules, input: Uint8Array | Bundle | LegacySignature): Bundle {
  // Loose parts of the old kind become a bundle, and go on as one.
  if (!(input instanceof Uint8Array) && !("version" in input)) {
    const bundle = evidence.prove(
      STRUCTURE,
      () => assembleLegacy(input),
      () => "loose parts put together",
      (error) =>
        (error.rule as CheckId | undefined) ??
        BY_CODE[error.code] ??
        (error.code === "BAD_JSON" || error.code === "TOO_LARGE" ? "A2" : "B6"),
    );
    return checkKinds(evidence, rules, bundle);
  }
  if (!(input instanceof Uint8Array)) {
    for (const id of STRUCTURE) evidence.assume(id, "decoded by the caller");
    return checkKinds(evidence, rules, input);
  }
  const bundle = evidence.prove(
    STRUCTURE,
    () => decodeBundle(input),
    undefined,
    (error) => locate(error, input),
  );
  return checkKinds(evidence, rules, bundle);
}

const STRUCTURE: readonly CheckId[] = ["A2", "A3", "A4", "B1", "B2", "B3", "B6"];

const BY_CODE: Readonly<Record<string, CheckId>> = {
  BUNDLE_VERSION: "B1",
  BUNDLE_NO_PROMISE: "B3",
  BUNDLE_NO_PROOF: "B3",
  BAD_BASE64: "A4",
  BAD_HEX: "A4",
  BAD_DER: "B6",
  BAD_UTF8: "A2",
};

// One decoder covers A2–B8; this says which of them it was. Only ever run on the way to a refusal.
function locate(error: LacreError, input: Uint8Array): CheckId {
  if (error.rule !== undefined) return error.rule as CheckId;
  const known = BY_CODE[error.code];
  if (known !== undefined) return known;
  try {
    parseJson(input);
  } catch {
    return "A2";
  }
  if (error.code === "TOO_LARGE") return "A3";
  // A member of the wrong kind says what it should have been; one that is missing does not.
  return error.expected === undefined ? "B2" : "A4";
}

function checkKinds(evidence: Evidence, rules: Rules, bundle: Bundle): Bundle {
  const { key, content, version, unknownFields } = bundle;
  if (key.kind === "publicKey") {
    evidence.pass("B4", "a key hint");
    evidence.skip("B5", "not applicable: signed with a key");
  } else if (version === "0.3") {
    evidence.pass("B4", "one certificate");
    evidence.skip("B5", "not applicable: no chain in version 0.3");
  } else {
    evidence.skip("B4", `not applicable: version ${version}`);
    // B5 is proved where the chain is decoded.
  }
  if (content.kind === "message") {
    evidence.pass("B7", content.digest === undefined ? "no digest stated" : `${content.digest.algorithm} digest stated`);
    evidence.skip("B8", "not applicable: no envelope");
  } else {
    evidence.skip("B7", "not applicable: no message signature");
    evidence.prove(
      "B8",
      () => {
        if (rules.payloadTypes.includes(content.payloadType)) return;
        throw new LacreError("PAYLOAD_TYPE_MISMATCH", "the envelope's payload is of a type that is not accepted", {
          expected: rules.payloadTypes.join(" or "),
          found: content.payloadType,
        });
      },
      () => content.payloadType,
    );
  }
  evidence.pass("B9", unknownFields.length === 0 ? "none" : unknownFields.slice(0, 20).join(", "));
  if (unknownFields.length > 0)
    evidence.warn(`the bundle has members that no version defines: ${unknownFields.slice(0, 20).join(", ")}`);
  return bundle;
}

/** A1: the policy says who may sign, and bundle and policy speak of the same kind of signer. */
export function checkPolicyPresent(evidence: Evidence, rules: Rules, keys: readonly TrustedKey[]): void {
  evidence.guard("A1", () => {
    if (rules.mode === "certificate" && rules.identities.length === 0 && !rules.anyIdentity) {
      throw new LacreError("POLICY_MISSING", "the policy does not say who may sign", {
        expected: "identities with issuers, a key, or anyIdentity",
      });
    }
    if (rules.mode === "key" && keys.length === 0)
      throw new LacreError("POLICY_MISSING", "no key was given", { expected: "a key" });
  });
}

function describeSigner(rules: Rules, keys: readonly TrustedKey[]): string {
  if (rules.mode === "key") return keys.length === 1 ? "one key" : `${keys.length} keys`;
  return rules.anyIdentity
    ? "any identity"
    : `${rules.identities.length} accepted ${rules.identities.length === 1 ? "identity" : "identities"}`;
}

/** A1, second half: a bundle with a certificate is not verified with a key, nor the reverse. */
export function checkSameKind(evidence: Evidence, rules: Rules, bundle: Bundle, keys: readonly TrustedKey[]): void {
  evidence.prove(
    "A1",
    () => {
      const found = bundle.key.kind === "publicKey" ? "key" : "certificate";
      if (found === rules.mode) return;
      throw new LacreError("POLICY_MISMATCH", `the bundle is signed with a ${found}, the policy expects a ${rules.mode}`, {
        expected: rules.mode,
        found,
      });
    },
    () => describeSigner(rules, keys),
  );
}

/** A5: the artifact, with usable digests; undefined where the policy does without one. */
export function openArtifact(
  evidence: Evidence,
  rules: Rules,
  bundle: Bundle,
  artifact: Artifact | undefined,
): Digests | undefined {
  if (artifact === undefined) {
    if (bundle.content.kind === "dsse" && !rules.checkClaims) {
      evidence.assume("A5", "no artifact: the policy does without");
      return undefined;
    }
    return evidence.refuse(
      "A5",
      new LacreError("ARTIFACT_MISSING", "no artifact was given", { expected: "an artifact or its digest" }),
    );
  }
  return evidence.prove(
    "A5",
    () => {
      if (artifact.message === undefined) {
        if (artifact.digests.size === 0)
          throw new LacreError("ARTIFACT_MISSING", "neither the artifact nor a digest of it was given");
        for (const [name, digest] of artifact.digests) {
          const expected = Object.hasOwn(DIGEST_LENGTH, name) ? DIGEST_LENGTH[name] : undefined;
          if (digest.length === expected) continue;
          throw new LacreError(
            "ARTIFACT_DIGEST_MISSING",
            "the artifact's digest is of an unknown algorithm or has the wrong length",
            {
              expected: expected === undefined ? Object.keys(DIGEST_LENGTH).join(", ") : `${expected} octets`,
              found: `${name}, ${digest.length} octets`,
            },
          );
        }
      }
      return new Digests(artifact);
    },
    (digests) => (digests.message === undefined ? `${digests.names.join(", ")} digest` : `${digests.message.length} bytes`),
  );
}

/** The hint under which clients file a key: base64 of SHA-256 of its SubjectPublicKeyInfo. */
export function keyHint(key: PublicKey): string {
  return toBase64(sha256(key.spki));
}

/** Key mode: the key that the bundle's hint selects. One key needs no selecting; then a strange hint is only reported. */
export function chooseKey(evidence: Evidence, bundle: Bundle, keys: readonly TrustedKey[]): TrustedKey {
  const hint = bundle.key.kind === "publicKey" ? bundle.key.hint : "";
  const named = keys.find((key) => hint !== "" && (key.hint === hint || keyHint(key.publicKey) === hint));
  if (named !== undefined) return named;
  const [only] = keys;
  if (only !== undefined && keys.length === 1) {
    if (hint !== "")
      evidence.warn(`the bundle names its key "${hint.slice(0, 100)}", which is not how the given key is usually called`);
    return only;
  }
  return evidence.refuse(
    "A1",
    new LacreError("KEY_HINT_UNKNOWN", "the bundle asks for a key that is not among those given", {
      expected: `one of ${keys.length} keys`,
      found: hint.slice(0, 100),
    }),
  );
}
