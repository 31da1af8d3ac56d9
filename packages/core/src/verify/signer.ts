// SPDX-License-Identifier: Apache-2.0
/**
 * The signer's certificate (block H) and whom it names (block I).
 *
 * The path has to hold at every proved time, for all certificates in it and for the authority's window in the trusted
 * root: not at "some" time, not now, not at the leaf's own beginning. Certificates in the bundle beside the leaf are help
 * to find a path, never its end.
 *
 * A release seals many artifacts under one certificate. What depends on the leaf alone (its decoding, its issuer's
 * signature, its logs' promises) is therefore remembered for a bounded number of leaves; times, windows and identity are
 * judged anew for each bundle.
 */
import type { Bundle } from "../bundle/index.ts";
import { compareBytes, toHex } from "../bytes/index.ts";
import { sha256 } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import {
  checkChain,
  checkCodeSigningLeaf,
  checkSct,
  decodeCertificate,
  embeddedScts,
  formatName,
  loggedTbs,
  readIdentity,
  type Certificate,
  type Identity,
  type Sct,
} from "../x509/index.ts";
import { contains, operatorOf, outside, SKEW_MS, showTime, type Anchors, type Authority } from "./anchors.ts";
import type { Evidence } from "./evidence.ts";
import { checkIdentity, type Rules } from "./policy.ts";
import type { ProvedTime } from "./times.ts";
import type { CheckId } from "./verdict.ts";

/** A proved signer. */
export interface Signer {
  readonly certificate: Certificate;
  readonly identity: Identity;
}

interface Leaf {
  readonly certificate: Certificate;
  /** Issuers under which all promises of known logs were found good: keys of their certificates. */
  readonly promised: WeakMap<Certificate, number>;
}

/** Remembers leaves. Only decoded bytes and good results are kept: a refusal is worked out each time. */
export class LeafCache {
  readonly #leaves = new Map<string, Leaf>();
  readonly #limit: number;

  /** `limit`: how many leaves at most; the one that came first goes first. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The leaf of these bytes. Throws what `decodeCertificate` throws. */
  open(bytes: Uint8Array): Leaf {
    if (this.#limit === 0) return { certificate: decodeCertificate(bytes), promised: new WeakMap() };
    const name = toHex(sha256(bytes));
    let leaf = this.#leaves.get(name);
    if (leaf !== undefined) return leaf;
    // A copy: the caller's bytes may change after this verification, what is remembered may not.
    leaf = { certificate: decodeCertificate(Uint8Array.from(bytes)), promised: new WeakMap() };
    if (this.#leaves.size >= this.#limit) {
      for (const oldest of this.#leaves.keys()) {
        this.#leaves.delete(oldest);
        break;
      }
    }
    this.#leaves.set(name, leaf);
    return leaf;
  }
}

/** H and I: the bundle's certificate leads to the trusted root, was logged, and names an accepted signer. */
export function proveSigner(
  evidence: Evidence,
  rules: Rules,
  anchors: Anchors,
  leaves: LeafCache,
  bundle: Bundle,
  times: readonly ProvedTime[],
  neededScts: number,
): Signer {
  const chain = bundle.key.kind === "certificate" ? bundle.key.chain : [];
  const [first, ...rest] = chain;
  if (first === undefined) return evidence.refuse("B5", new LacreError("BUNDLE_SHAPE", "certificate chain is empty"));
  const leaf = evidence.guard("B6", () => leaves.open(first));
  const { certificate } = leaf;
  const extra = evidence.prove("B6", () => rest.map(decodeCertificate));
  if (bundle.version !== "0.3")
    evidence.prove(
      "B5",
      () => checkNoRoot(extra),
      () => `${chain.length} in the chain`,
    );

  evidence.prove("H4", () => checkCodeSigningLeaf(certificate));
  const path = evidence.prove(
    ["H1", "H2", "H3"],
    () => findPath(anchors, certificate, extra, times),
    (found) =>
      found
        .slice(1)
        .map((issuer) => anchors.issuer(issuer).title)
        .join(" under "),
    locate,
  );
  proveScts(evidence, rules, anchors, leaf, path[1]!, neededScts);
  const identity = evidence.prove(
    ["I2", "I1"],
    () => {
      const proved = readIdentity(certificate);
      if (proved.issuer !== undefined || rules.anyIdentity) return proved;
      throw new LacreError("IDENTITY_INVALID", "certificate names no issuer", { rule: "I1" });
    },
    (proved) => `${proved.san.kind} ${proved.san.value} from ${proved.issuer ?? "no issuer"}`,
    locateIdentity,
  );
  checkIdentity(evidence, rules, identity);
  return { certificate, identity };
}

// B5: who ships an anchor asks to be trusted for it.
function checkNoRoot(certificates: readonly Certificate[]): void {
  for (const certificate of certificates) {
    if (compareBytes(certificate.issuer, certificate.subject) !== 0) continue;
    throw new LacreError("BUNDLE_SHAPE", "the certificate chain contains a root", { found: formatName(certificate.subject) });
  }
}

function locate(error: LacreError): CheckId {
  if (error.rule !== undefined) return error.rule as CheckId;
  return error.code === "CERT_EXPIRED" || error.code === "CERT_NOT_YET_VALID" || error.code === "OUTSIDE_WINDOW" ? "H2" : "H1";
}

// Two issuers that differ are about I1, everything else about the subject or the claims.
function locateIdentity(error: LacreError): CheckId {
  return error.rule === "I1" ? "I1" : "I2";
}

// H1–H3. Each authority of the root is one unit: its own intermediates, its anchor, its window.
function findPath(
  anchors: Anchors,
  leaf: Certificate,
  extra: readonly Certificate[],
  times: readonly ProvedTime[],
): readonly Certificate[] {
  const issuer = toHex(leaf.issuer);
  // Without help from the bundle a leaf's issuer is among an authority's own certificates, or there is no path.
  const candidates =
    extra.length > 0 ? anchors.authorities : anchors.authorities.filter((authority) => authority.names.has(issuer));
  let closest: LacreError | undefined;
  for (const authority of candidates) {
    try {
      return climb(authority, leaf, extra, times);
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      // Of several refusals the one about time is the nearer miss: the path itself was found.
      if (closest === undefined || locate(closest) !== "H2") closest = error;
    }
  }
  if (closest !== undefined) throw closest;
  const expected =
    anchors.authorities.map((authority) => formatName(authority.anchor.subject)).join("; ") || "no authority at all";
  throw new LacreError("CHAIN_INVALID", "no path leads to a trusted authority", { expected, found: formatName(leaf.issuer) });
}

function climb(
  { anchor, intermediates, ...window }: Authority,
  leaf: Certificate,
  extra: readonly Certificate[],
  times: readonly ProvedTime[],
): readonly Certificate[] {
  let path: readonly Certificate[] | undefined;
  for (const { timeMs } of times) {
    const found = checkChain({
      leaf,
      intermediates: extra.length === 0 ? intermediates : [...intermediates, ...extra],
      anchors: [anchor],
      timeMs,
      purpose: "codeSigning",
    });
    if (!contains(window, timeMs)) throw outside("the certificate authority", [window], timeMs);
    path ??= found;
  }
  // D3 has asked for a time; without one nothing was checked, and nothing is proved.
  if (path === undefined || path.length < 2)
    throw new LacreError("TIME_MISSING", "the certificate path cannot be judged without a proved time");
  return path;
}

// H5–H7.
function proveScts(evidence: Evidence, rules: Rules, anchors: Anchors, leaf: Leaf, issuer: Certificate, needed: number): void {
  if (rules.ignoreSct) {
    for (const id of ["H5", "H6", "H7"] as const) evidence.assume(id, "the policy does without certificate logs");
    evidence.warn("no certificate log was consulted: the authority may have issued this certificate unseen");
    return;
  }
  evidence.prove("H7", () => {
    if (anchors.root.ctlogs.length > 0) return;
    throw new LacreError("SCT_MISSING", "the trusted root has no certificate log", {
      expected: "a certificate log, or a policy that does without",
    });
  });
  const count = evidence.prove(
    ["H5", "H6"],
    () => {
      const known = leaf.promised.get(issuer) ?? countPromises(anchors, leaf.certificate, issuer);
      leaf.promised.set(issuer, known);
      if (known < needed) {
        throw new LacreError(
          "SCT_MISSING",
          "fewer known certificate logs than required have promised to publish the certificate",
          { expected: `${needed}`, found: `${known}` },
        );
      }
      return known;
    },
    (known) => `${known} of ${needed}`,
    (error) => (error.rule === "H6" ? "H6" : "H5"),
  );
  if (count === 0) evidence.warn("no certificate log was required");
}

function countPromises(anchors: Anchors, certificate: Certificate, issuer: Certificate): number {
  const scts = embeddedScts(certificate);
  const logged = { tbs: loggedTbs(certificate.tbs), issuerKeyHash: anchors.issuer(issuer).keyHash };
  const operators = new Set<string>();
  for (const sct of scts) {
    const logs = anchors.ctLogs(sct.logId);
    if (logs.length === 0) continue;
    const log = logs.find((instance) => contains(instance, sct.timestampMs));
    if (log === undefined) throw outside("the certificate log's key", logs, sct.timestampMs);
    try {
      checkSct({ sct, logged, log });
    } catch (cause) {
      if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
      throw new LacreError("SCT_INVALID", "a known certificate log did not make this promise", {
        rule: "H6",
        found: cause.message,
        cause,
      });
    }
    checkSctTime(sct, certificate);
    operators.add(operatorOf(log, log.baseUrl));
  }
  return operators.size;
}

// The promise is given while the certificate is being issued, by another machine's clock.
function checkSctTime(sct: Sct, certificate: Certificate): void {
  const window = { startMs: certificate.notBeforeMs - SKEW_MS, endMs: certificate.notAfterMs + 999 + SKEW_MS };
  if (contains(window, sct.timestampMs)) return;
  throw new LacreError("SCT_INVALID", "a promise is of a time at which the certificate was not valid", {
    rule: "H6",
    expected: `${showTime(certificate.notBeforeMs)} to ${showTime(certificate.notAfterMs)}`,
    found: showTime(sct.timestampMs),
  });
}
