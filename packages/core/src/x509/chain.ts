// SPDX-License-Identifier: Apache-2.0
/**
 * Certification paths (RFC 5280 section 6, rules H1–H4 and E7): from a leaf over given intermediates to an anchor.
 *
 * Anchors are trusted because the caller says so; intermediates are only help. For each certificate of the path: valid at
 * the given time, signed by the next, names equal as DER, no critical extension that we do not process; for each
 * authority: basicConstraints, keyCertSign, path length, and if it names purposes then this one among them (nested).
 * Name constraints of an authority hold for all that stand below it (`constraints.ts`).
 *
 * Signatures between certificates of a trusted root are computed once for the life of the Certificate objects: keep
 * those, and a verification computes the leaf's signature alone.
 */
import { equalBytes } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import { checkNameConstraints } from "./constraints.ts";
import { EXTENSION, PURPOSE } from "./extensions.ts";
import { formatName } from "./name.ts";

/** The longest path, leaf and anchor counted. */
export const MAX_PATH = 10;
// Every certificate that a stranger adds can at most add one step per path; honest input needs fewer than ten.
const MAX_STEPS = 100;

/** What a path is for; the leaf and each authority that restricts itself must allow it. */
export type Purpose = "codeSigning" | "timeStamping";

/** What {@link checkChain} is asked. */
export interface ChainOptions {
  readonly leaf: Certificate;
  /** Untrusted help: may be in any order, and need not be used. */
  readonly intermediates: readonly Certificate[];
  readonly anchors: readonly Certificate[];
  /** The moment at which every certificate must be valid, milliseconds since 1970. */
  readonly timeMs: number;
  readonly purpose: Purpose;
}

/**
 * Proves that `issuer` issued `child`: names equal, the issuer is an authority that may sign certificates, its key made
 * the signature. Times, path length and purposes depend on the path: see {@link checkChain}. Throws CHAIN_INVALID,
 * CERT_INVALID, ALGORITHM_UNKNOWN.
 */
export function checkIssuedBy(child: Certificate, issuer: Certificate): void {
  if (!equalBytes(child.issuer, issuer.subject)) {
    throw new LacreError("CHAIN_INVALID", "issuer has another name", {
      expected: formatName(child.issuer),
      found: formatName(issuer.subject),
    });
  }
  if (!issuer.isCa)
    throw new LacreError("CHAIN_INVALID", "issuer is not an authority", { rule: "H3", found: formatName(issuer.subject) });
  if (!issuer.keyUsage("keyCertSign"))
    throw new LacreError("CHAIN_INVALID", "issuer may not sign certificates", { rule: "H3", found: formatName(issuer.subject) });
  child.checkSignedBy(issuer);
}

/** Proves that a certificate is valid at a moment, ends included. Throws CERT_EXPIRED, CERT_NOT_YET_VALID. */
export function checkValidAt(certificate: Certificate, timeMs: number): void {
  if (timeMs < certificate.notBeforeMs) {
    throw new LacreError("CERT_NOT_YET_VALID", "certificate is not yet valid at this time", {
      expected: `from ${showTime(certificate.notBeforeMs)}`,
      found: showTime(timeMs),
    });
  }
  // The comparison is written so that a time that is no number fails it.
  if (!(timeMs <= certificate.notAfterMs + 999)) {
    throw new LacreError("CERT_EXPIRED", "certificate has expired at this time", {
      expected: `until ${showTime(certificate.notAfterMs)}`,
      found: showTime(timeMs),
    });
  }
}

function showTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
}

// What a certificate must be by itself, wherever in the path it stands. `below`: authorities between it and the leaf.
function checkAuthority(authority: Certificate, below: number, purpose: Purpose, timeMs: number): void {
  const name = (): string => formatName(authority.subject);
  checkNoUnknownCritical(authority, EXTENSION.nameConstraints);
  if (authority.pathLength !== undefined && below > authority.pathLength) {
    throw new LacreError("CHAIN_INVALID", "path is longer than an authority allows", {
      rule: "H3",
      expected: `${authority.pathLength}`,
      found: `${below} below ${name()}`,
    });
  }
  const purposes = authority.extendedKeyUsage;
  if (purposes.length > 0 && !purposes.includes(PURPOSE[purpose]) && !purposes.includes(PURPOSE.any)) {
    throw new LacreError("CHAIN_INVALID", "authority is not for this purpose", { rule: "H3", expected: purpose, found: name() });
  }
  checkValidAt(authority, timeMs);
}

// `processed`: an extension that is processed in this place, and in no other.
function checkNoUnknownCritical(certificate: Certificate, processed?: string): void {
  const oid = certificate.unknownCritical.find((unknown) => unknown !== processed);
  if (oid !== undefined)
    throw new LacreError("CHAIN_INVALID", "certificate has a critical extension that is not processed", {
      rule: "H3",
      found: oid,
    });
}

/**
 * Builds and proves a path; returns it, leaf first, anchor last. If several exist, one that ends after the fewest steps
 * tried is returned; if none, the error is the one that came closest to an anchor. Throws CHAIN_INVALID, CERT_INVALID,
 * CERT_EXPIRED, CERT_NOT_YET_VALID, ALGORITHM_UNKNOWN.
 */
export function checkChain({ leaf, intermediates, anchors, timeMs, purpose }: ChainOptions): readonly Certificate[] {
  checkNoUnknownCritical(leaf);
  if (!leaf.extendedKeyUsage.includes(PURPOSE[purpose])) {
    throw new LacreError("CHAIN_INVALID", "leaf is not for this purpose", {
      rule: "H4",
      expected: purpose,
      found: leaf.extendedKeyUsage.join(" ") || "no purpose",
    });
  }
  checkValidAt(leaf, timeMs);

  let failure: LacreError | undefined;
  let failedAt = -1;
  let steps = 0;

  function climb(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const child = path[path.length - 1]!;
    for (const [candidates, trusted] of [
      [anchors, true],
      [intermediates, false],
    ] as const) {
      for (const issuer of candidatesFor(child, candidates)) {
        try {
          if (++steps > MAX_STEPS)
            throw new LacreError("TOO_LARGE", "too many certificates fit one another", { expected: `${MAX_STEPS} steps` });
          if (path.length >= MAX_PATH)
            throw new LacreError("CHAIN_INVALID", "path is too long", { expected: `${MAX_PATH} certificates` });
          checkNoLoop(path, issuer);
          checkAuthority(issuer, path.length - 1, purpose, timeMs);
          checkIssuedBy(child, issuer);
          checkNameConstraints(issuer, path);
        } catch (error) {
          if (!(error instanceof LacreError) || error.code === "TOO_LARGE") throw error;
          if (path.length > failedAt) [failure, failedAt] = [error, path.length];
          continue;
        }
        const longer = [...path, issuer];
        const found = trusted ? longer : climb(longer);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  const found = climb([leaf]);
  if (found !== undefined) return found;
  throw failure ?? new LacreError("CHAIN_INVALID", "no path leads to a trusted authority", { found: formatName(leaf.issuer) });
}

// Those named as the child's issuer; where both sides state a key identifier, the ones that agree first.
function candidatesFor(child: Certificate, among: readonly Certificate[]): readonly Certificate[] {
  const named = among.filter((candidate) => equalBytes(child.issuer, candidate.subject));
  const wanted = child.authorityKeyId;
  if (named.length < 2 || wanted === undefined) return named;
  const agrees = (candidate: Certificate): boolean =>
    candidate.subjectKeyId !== undefined && equalBytes(candidate.subjectKeyId, wanted);
  return [...named.filter(agrees), ...named.filter((candidate) => !agrees(candidate))];
}

// The same authority twice (same name and key) proves nothing that once does not.
function checkNoLoop(path: readonly Certificate[], issuer: Certificate): void {
  for (const passed of path) {
    if (equalBytes(passed.subject, issuer.subject) && equalBytes(passed.spki, issuer.spki)) {
      throw new LacreError("CHAIN_INVALID", "path returns to an authority it has passed", { found: formatName(issuer.subject) });
    }
  }
}

/**
 * Proves that a certificate is one that an authority gives to signers (rules H4): no authority, digitalSignature,
 * codeSigning, exactly one subject alternative name. Throws CERT_INVALID.
 */
export function checkCodeSigningLeaf(leaf: Certificate): void {
  if (leaf.isCa) throw new LacreError("CERT_INVALID", "signer's certificate is an authority");
  if (!leaf.keyUsage("digitalSignature"))
    throw new LacreError("CERT_INVALID", "signer's certificate is not for digital signatures");
  if (!leaf.extendedKeyUsage.includes(PURPOSE.codeSigning))
    throw new LacreError("CERT_INVALID", "signer's certificate is not for code signing");
  const count = leaf.subjectAltNames.length;
  if (count !== 1)
    throw new LacreError("CERT_INVALID", "signer's certificate does not have exactly one name", {
      expected: "1",
      found: `${count}`,
    });
}
