// SPDX-License-Identifier: Apache-2.0
/**
 * What signs: a fresh key with a certificate that lives ten minutes, or a key of one's own.
 *
 * A certificate is asked for with a PKCS#10 request (RFC 2986) signed by the fresh key, so that no guess about the
 * token's issuer is needed for the proof of possession. What comes back is checked before anything is signed with it:
 * it must certify our key and, given a trusted root, lead to one of its authorities. Its promise of publication (SCT) and
 * everything else is checked with the finished seal.
 *
 * How long a certificate can be used is counted from its arrival on the local clock by its own length of life: a clock
 * that is years off signs as well as any other, because nothing in a seal comes from it.
 */
import { equalBytes, toBase64 } from "../bytes/index.ts";
import type { AuthorityClient, EntryVerifier } from "../client/index.ts";
import { type Algorithm, algorithmOf, defaultAlgorithm, generateKey, type PrivateKey, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { TrustedRoot } from "../trust/index.ts";
import { type Certificate, checkChain, checkCodeSigningLeaf, decodeCertificate, EMPTY_NAME, prepareRequest, signUnsigned } from "../x509/index.ts";
import { readToken } from "./token.ts";

/** A key that can sign, and what the world knows it by. Made by `requestCredential` or `keyCredential`. */
export interface Credential {
  readonly key: PrivateKey;
  readonly algorithm: Algorithm;
  /** What a ledger entry records of it. */
  readonly verifier: EntryVerifier;
  /** The signing certificate; undefined for a key of one's own. */
  readonly certificate: Certificate | undefined;
  /** What a bundle names a bare key by: base64 of the SHA-256 of its SubjectPublicKeyInfo. */
  readonly hint: string;
  /** On the local clock, milliseconds since 1970: not to be used for new signatures after this. */
  readonly usableUntilMs: number;
}

export interface CredentialRequest {
  readonly authority: AuthorityClient;
  /** Identity token. It is sent to the authority and nowhere else. */
  readonly token: string;
  readonly now: () => number;
  /** Given: the certificate must lead to one of its authorities. */
  readonly trustedRoot?: TrustedRoot | undefined;
}

/** Signing and logging happen within this before a certificate's end. */
const MARGIN_MS = 60_000;

/**
 * A certificate for a fresh P-256 key and the token's identity. Throws TOKEN_INVALID, CREDENTIAL_INVALID and what the
 * authority's client throws.
 */
export async function requestCredential({ authority, token, now, trustedRoot }: CredentialRequest): Promise<Credential> {
  readToken(token, now());
  const key = generateKey("P-256");
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const csr = signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm, subject: EMPTY_NAME }), key);
  const chain = await authority.signingCertificate({ token, csr });
  const arrivedMs = now();
  try {
    const [leaf, ...above] = chain.map(decodeCertificate);
    if (leaf === undefined || !equalBytes(leaf.spki, key.publicKey.spki)) throw new LacreError("CREDENTIAL_INVALID", "the certificate is not for the key it was asked for");
    checkCodeSigningLeaf(leaf);
    if (trustedRoot !== undefined) checkAuthority(leaf, above, trustedRoot);
    return {
      key,
      algorithm,
      verifier: { kind: "certificate", der: leaf.der, keyDetails: algorithm.keyDetails },
      certificate: leaf,
      hint: hintOf(key),
      usableUntilMs: arrivedMs + Math.max(0, leaf.notAfterMs - leaf.notBeforeMs - MARGIN_MS),
    };
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "CREDENTIAL_INVALID") throw cause;
    throw new LacreError("CREDENTIAL_INVALID", `the authority's certificate is unusable: ${cause.message}`, {
      ...(cause.expected === undefined ? {} : { expected: cause.expected }),
      ...(cause.found === undefined ? {} : { found: cause.found }),
      cause,
    });
  }
}

/** A credential from a key of one's own. Throws KEY_INVALID when `algorithm` does not fit the key. */
export function keyCredential(key: PrivateKey, algorithm: Algorithm = defaultAlgorithm(key.publicKey)): Credential {
  return {
    key,
    algorithm,
    verifier: { kind: "publicKey", der: key.publicKey.spki, keyDetails: algorithm.keyDetails },
    certificate: undefined,
    hint: hintOf(key),
    usableUntilMs: Infinity,
  };
}

/** A source that asks for a certificate when the last one is used up, and once for any number of callers at a time. */
export function createCredentialSource(request: () => Promise<Credential>, now: () => number): () => Promise<Credential> {
  let current: Promise<Credential> | undefined;
  const renew = (): Promise<Credential> => {
    const asked = request();
    current = asked;
    // A failure is told to those who wait for it and is not remembered.
    asked.catch(() => {
      if (current === asked) current = undefined;
    });
    return asked;
  };
  return async () => {
    if (current === undefined) return renew();
    const asked = current;
    const credential = await asked;
    if (now() < credential.usableUntilMs) return credential;
    return current === asked || current === undefined ? renew() : current;
  };
}

function hintOf(key: PrivateKey): string {
  return toBase64(sha256(key.publicKey.spki));
}

/**
 * The certificate leads to one of the root's authorities. Judged at the certificate's own beginning: whether that is now
 * is for the timestamp to say.
 */
function checkAuthority(leaf: Certificate, above: readonly Certificate[], root: TrustedRoot): void {
  let failure = new LacreError("CREDENTIAL_INVALID", "the trusted root has no certificate authority for this time");
  for (const { chain, startMs, endMs } of root.certificateAuthorities) {
    const anchor = chain.at(-1);
    if (anchor === undefined || leaf.notBeforeMs < startMs || (endMs !== undefined && leaf.notBeforeMs > endMs)) continue;
    try {
      checkChain({ leaf, intermediates: [...chain.slice(0, -1), ...above], anchors: [anchor], timeMs: leaf.notBeforeMs, purpose: "codeSigning" });
      return;
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      failure = new LacreError("CREDENTIAL_INVALID", "the certificate is not from an authority of the trusted root", { found: cause.message, cause });
    }
  }
  throw failure;
}
