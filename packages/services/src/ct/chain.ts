// SPDX-License-Identifier: Apache-2.0
/**
 * What may be logged (RFC 6962 section 3.1): a certificate or precertificate whose chain leads to an accepted root.
 *
 * Leaf first, each next certificate issues the one before it; the last is an accepted root or issued by one. Validity is
 * not looked at: signers' certificates live ten minutes, and logging an old one harms nobody. A precertificate is signed
 * by the issuing authority itself; separate precertificate signing certificates are not known here.
 */
import { equalBytes, fromBase64, toBase64 } from "@lacre/core/bytes";
import { type Json, JsonObject } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { type Certificate, checkIssuedBy, decodeCertificate, EXTENSION, POISON } from "@lacre/core/x509";
import { ServiceError } from "../errors.ts";

/** A submission that may be logged. */
export interface Submission {
  readonly leaf: Certificate;
  /** Issuers, the leaf's first, accepted root last. */
  readonly issuers: readonly Certificate[];
}

/** Decides submissions. Throws BAD_REQUEST for what is no submission, CHAIN_REFUSED. */
export interface ChainChecker {
  check(body: Json, kind: "certificate" | "precertificate"): Submission;
}

/** Certificates in a chain, leaf and root counted. */
const MAX_CHAIN = 10;
/** Longest certificate in base64. */
const MAX_BASE64 = 128 * 1024;
/** Issuers kept decoded, with their signatures verified once. */
const MAX_KNOWN = 64;

function refused(message: string, cause?: unknown): ServiceError {
  return new ServiceError("CHAIN_REFUSED", message, { cause });
}

/** A checker for these roots. */
export function createChainChecker(roots: readonly Certificate[]): ChainChecker {
  // By the text they are submitted as: the same issuers come with every submission.
  const known = new Map<string, Certificate>(roots.map((root) => [toBase64(root.der), root]));

  function decodeIssuer(encoded: string): Certificate {
    return known.get(encoded) ?? decode(encoded);
  }

  /** Only issuers of chains that were accepted are kept, so a stranger cannot fill the table. */
  function remember(encoded: string, issuer: Certificate): void {
    if (known.has(encoded)) return;
    if (known.size >= MAX_KNOWN + roots.length) {
      const oldest = [...known.keys()][roots.length];
      if (oldest !== undefined) known.delete(oldest);
    }
    known.set(encoded, issuer);
  }

  return {
    check(body, kind) {
      const encoded = readChain(body);
      const leaf = decode(encoded[0]!);
      checkKind(leaf, kind);
      const issuers = encoded.slice(1).map(decodeIssuer);
      try {
        const path = complete(leaf, issuers, roots);
        encoded.slice(1).forEach((text, at) => remember(text, issuers[at]!));
        return { leaf, issuers: path };
      } catch (cause) {
        if (cause instanceof LacreError) throw refused(`the chain is not valid: ${cause.message}`, cause);
        throw cause;
      }
    },
  };
}

function readChain(body: Json): string[] {
  try {
    const chain = new JsonObject(body, "submission").array("chain");
    if (chain.length === 0) throw new ServiceError("BAD_REQUEST", "the chain is empty");
    if (chain.length > MAX_CHAIN) throw refused(`the chain is longer than ${MAX_CHAIN} certificates`);
    return chain.map((item) => {
      if (typeof item !== "string" || item.length > MAX_BASE64)
        throw new ServiceError("BAD_REQUEST", "the chain holds something that is not a certificate in base64");
      return item;
    });
  } catch (cause) {
    if (cause instanceof LacreError) throw new ServiceError("BAD_REQUEST", cause.message, { cause });
    throw cause;
  }
}

function decode(encoded: string): Certificate {
  try {
    return decodeCertificate(fromBase64(encoded));
  } catch (cause) {
    if (cause instanceof LacreError) throw refused(`a certificate of the chain cannot be read: ${cause.message}`, cause);
    throw cause;
  }
}

/** Poison makes a precertificate, and nothing else does (RFC 6962 section 3.1). */
function checkKind(leaf: Certificate, kind: "certificate" | "precertificate"): void {
  const poison = leaf.extensions.get(EXTENSION.poison);
  if (kind === "certificate") {
    if (poison !== undefined) throw refused("a precertificate was submitted to add-chain");
    return;
  }
  if (poison === undefined) throw refused("a certificate was submitted to add-pre-chain");
  if (!poison.critical || !equalBytes(poison.value, POISON.value)) throw refused("the poison extension is malformed");
  if (leaf.extensions.has(EXTENSION.sctList)) throw refused("a precertificate already carries promises");
}

/** Proves each step and appends the root when the submission left it out. */
function complete(leaf: Certificate, issuers: readonly Certificate[], roots: readonly Certificate[]): Certificate[] {
  const path: Certificate[] = [];
  let child = leaf;
  for (const issuer of issuers) {
    step(child, issuer, path.length);
    path.push(issuer);
    child = issuer;
  }
  const last = path.at(-1);
  if (last !== undefined && roots.some((root) => equalBytes(root.der, last.der))) return path;
  for (const root of roots.filter((candidate) => equalBytes(candidate.subject, child.issuer))) {
    step(child, root, path.length);
    return [...path, root];
  }
  throw new LacreError("CHAIN_INVALID", "it does not lead to an accepted root");
}

function step(child: Certificate, issuer: Certificate, below: number): void {
  const [critical] = issuer.unknownCritical;
  if (critical !== undefined || issuer.extensions.has(EXTENSION.nameConstraints)) {
    throw new LacreError("CHAIN_INVALID", "an issuer has a critical extension that is not processed", {
      found: critical ?? EXTENSION.nameConstraints,
    });
  }
  if (issuer.pathLength !== undefined && below > issuer.pathLength)
    throw new LacreError("CHAIN_INVALID", "it is longer than an issuer allows");
  checkIssuedBy(child, issuer);
}
