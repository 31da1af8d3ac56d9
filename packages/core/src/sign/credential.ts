// SPDX-License-Identifier: Apache-2.0
/**
 * What signs: a fresh key with a certificate that lives ten minutes, or a key of one's own.
 *
 * A certificate is asked for with a PKCS#10 request (RFC 2986) signed by the fresh key, so that no guess about the
 * token's issuer is needed for the proof of possession. What comes back is checked before anything is signed with it:
 * it must certify our key and, given a trusted root, lead to one of its authorities and carry a promise of publication
 * (SCT) by one of its certificate logs: nothing is logged under a certificate that verifiers would refuse. Both are judged
 * at the certificate's own beginning; when the signature was made is for the timestamp to say.
 *
 * How long a certificate can be used is counted from its arrival by its own length of life, so that a local clock that
 * differs from the authority's does not cut it short.
 */
import { equalBytes, toBase64 } from "../bytes/index.ts";
import type { AuthorityClient, EntryVerifier } from "../client/index.ts";
import { type Algorithm, algorithmOf, generateKey, type PublicKey, sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { TrustedRoot } from "../trust/index.ts";
import {
  type Certificate,
  checkChain,
  checkCodeSigningLeaf,
  checkSct,
  decodeCertificate,
  embeddedScts,
  EMPTY_NAME,
  issuerKeyHash,
  loggedTbs,
  prepareRequest,
} from "../x509/index.ts";
import { createKeySigner, type Signer } from "./signer.ts";
import { readToken } from "./token.ts";

/** A key that can sign, and what the world knows it by. Made by `requestCredential` or `keyCredential`. */
export interface Credential {
  readonly signer: Signer;
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
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Given: the certificate must lead to one of its authorities. */
  readonly trustedRoot?: TrustedRoot | undefined;
  /** The key to certify. Default: a fresh one. */
  readonly signer?: Signer | undefined;
  /** What a fresh key is for. Default: ECDSA with P-256, which every client verifies. */
  readonly algorithm?: Algorithm | undefined;
  /** Do not ask for a promise of publication. */
  readonly ignoreSct?: boolean | undefined;
}

/** Signing and logging happen within this before a certificate's end. */
const MARGIN_MS = 60_000;

/**
 * A certificate for a key (a fresh one, where none is given) and the token's identity. Throws TOKEN_INVALID,
 * CREDENTIAL_INVALID and what the authority's client throws.
 */
export async function requestCredential(request: CredentialRequest): Promise<Credential> {
  const { authority, token, now, trustedRoot, ignoreSct = false } = request;
  readToken(token, now());
  const signer = request.signer ?? freshSigner(request.algorithm ?? algorithmOf("PKIX_ECDSA_P256_SHA_256"));
  const { publicKey, algorithm } = signer;
  const unsigned = prepareRequest({ publicKey, algorithm, subject: EMPTY_NAME });
  const csr = unsigned.assemble(await signer.sign({ message: unsigned.toBeSigned }));
  const chain = await authority.signingCertificate({ token, csr });
  const arrivedMs = now();
  try {
    const [leaf, ...above] = chain.map(decodeCertificate);
    if (leaf === undefined || !equalBytes(leaf.spki, publicKey.spki))
      throw new LacreError("CREDENTIAL_INVALID", "the certificate is not for the key it was asked for");
    checkCodeSigningLeaf(leaf);
    if (trustedRoot !== undefined) checkTrusted(leaf, above, trustedRoot, ignoreSct);
    return {
      signer,
      algorithm,
      verifier: { kind: "certificate", der: leaf.der, keyDetails: algorithm.keyDetails },
      certificate: leaf,
      hint: hintOf(publicKey),
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

function freshSigner(algorithm: Algorithm): Signer {
  return createKeySigner(generateKey(algorithm.keyType, algorithm.rsaBits || undefined), algorithm);
}

/** A credential from a key of one's own. */
export function keyCredential(signer: Signer): Credential {
  const { publicKey, algorithm } = signer;
  return {
    signer,
    algorithm,
    verifier: { kind: "publicKey", der: publicKey.spki, keyDetails: algorithm.keyDetails },
    certificate: undefined,
    hint: hintOf(publicKey),
    usableUntilMs: Infinity,
  };
}

/**
 * A credential from a key of one's own and a certificate that one has for it. Nothing is known of who would trust the
 * certificate. Throws CREDENTIAL_INVALID when it is another key's.
 */
export function certifiedCredential(signer: Signer, certificate: Certificate): Credential {
  const { publicKey, algorithm } = signer;
  if (!equalBytes(certificate.spki, publicKey.spki))
    throw new LacreError("CREDENTIAL_INVALID", "the certificate is not for the key to sign with");
  return {
    signer,
    algorithm,
    verifier: { kind: "certificate", der: certificate.der, keyDetails: algorithm.keyDetails },
    certificate,
    hint: hintOf(publicKey),
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

function hintOf(key: PublicKey): string {
  return toBase64(sha256(key.spki));
}

/** The certificate leads to one of the root's authorities, and one of its certificate logs knows of it. */
function checkTrusted(leaf: Certificate, above: readonly Certificate[], root: TrustedRoot, ignoreSct: boolean): void {
  const issuer = findIssuer(leaf, above, root);
  if (ignoreSct) return;
  const logged = { tbs: loggedTbs(leaf.tbs), issuerKeyHash: issuerKeyHash(issuer) };
  for (const sct of embeddedScts(leaf)) {
    const log = root.ctlogs.find((one) => equalBytes(one.logId, sct.logId) && isWithin(one, sct.timestampMs));
    if (log === undefined) continue;
    checkSct({ sct, logged, log });
    return;
  }
  throw new LacreError("CREDENTIAL_INVALID", "no certificate log of the trusted root has promised to publish the certificate");
}

function isWithin({ startMs, endMs }: { readonly startMs: number; readonly endMs: number | undefined }, timeMs: number): boolean {
  return timeMs >= startMs && (endMs === undefined || timeMs <= endMs);
}

function findIssuer(leaf: Certificate, above: readonly Certificate[], root: TrustedRoot): Certificate {
  let failure = new LacreError("CREDENTIAL_INVALID", "the trusted root has no certificate authority for this time");
  for (const { chain, ...window } of root.certificateAuthorities) {
    const anchor = chain.at(-1);
    if (anchor === undefined || !isWithin(window, leaf.notBeforeMs)) continue;
    try {
      return checkChain({
        leaf,
        intermediates: [...chain.slice(0, -1), ...above],
        anchors: [anchor],
        timeMs: leaf.notBeforeMs,
        purpose: "codeSigning",
      })[1]!;
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      failure = new LacreError("CREDENTIAL_INVALID", "the certificate is not from an authority of the trusted root", {
        found: cause.message,
        cause,
      });
    }
  }
  throw failure;
}
