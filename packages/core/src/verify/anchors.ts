// SPDX-License-Identifier: Apache-2.0
/**
 * A trusted root made ready for many verifications (block C): logs by id, authorities with their anchors apart.
 *
 * What was proved when the root was decoded (its version, its keys, ids and chains) is not proved again. Signatures
 * between its certificates are remembered by the Certificate objects, which live as long as the verifier does.
 */
import { toHex } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import type { CertificateAuthority, TransparencyLog, TrustedRoot } from "../trust/index.ts";
import { formatName, issuerKeyHash, type Certificate } from "../x509/index.ts";

/** Clock differences between services that we tolerate where no window of the trusted root is concerned. */
export const SKEW_MS: number = 5 * 60 * 1000;

/** A time span of the trusted root, both ends included; no end: open. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number | undefined;
}

/** Whether a moment lies in a window. A moment that is no number lies in none. */
export function contains(window: Window, timeMs: number): boolean {
  return timeMs >= window.startMs && (window.endMs === undefined || timeMs <= window.endMs);
}

/** The refusal of a moment outside a window. */
export function outside(what: string, windows: readonly Window[], timeMs: number): LacreError {
  const expected = windows
    .map(({ startMs, endMs }) => `${showTime(startMs)} to ${endMs === undefined ? "now" : showTime(endMs)}`)
    .join(", or ");
  return new LacreError("OUTSIDE_WINDOW", `${what} was not valid at this time`, { expected, found: showTime(timeMs) });
}

/** A moment for people. */
export function showTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
}

/** An issuing authority of the trusted root: its anchor, and the intermediates that belong to it and to no other. */
export interface Authority extends Window {
  readonly uri: string;
  readonly anchor: Certificate;
  readonly intermediates: readonly Certificate[];
  /** Subjects of its certificates (hexadecimal DER): whom a leaf may name as its issuer. */
  readonly names: ReadonlySet<string>;
}

/** A certificate of the trusted root, as far as it does not depend on what it issued. */
export interface Issuer {
  /** Its name for people. */
  readonly title: string;
  /** SHA-256 of its key: what certificate logs sign. */
  readonly keyHash: Uint8Array;
}

/** The prepared trusted root. */
export interface Anchors {
  readonly root: TrustedRoot;
  /** Instances of the transparency log with this id; several when its key is listed for several windows. */
  logs(logId: Uint8Array): readonly TransparencyLog[];
  /** Instances of the certificate log with this id. */
  ctLogs(logId: Uint8Array): readonly TransparencyLog[];
  readonly authorities: readonly Authority[];
  /** Facts about an issuing certificate; worked out once for those of the root. */
  issuer(certificate: Certificate): Issuer;
}

/** Prepares a trusted root. */
export function prepareAnchors(root: TrustedRoot): Anchors {
  const logs = byId(root.tlogs);
  const ctLogs = byId(root.ctlogs);
  const issuers = new WeakMap<Certificate, Issuer>();
  return {
    root,
    logs: (logId) => logs.get(toHex(logId)) ?? [],
    ctLogs: (logId) => ctLogs.get(toHex(logId)) ?? [],
    authorities: root.certificateAuthorities.map(prepareAuthority),
    issuer(certificate) {
      let issuer = issuers.get(certificate);
      if (issuer === undefined)
        issuers.set(certificate, (issuer = { title: formatName(certificate.subject), keyHash: issuerKeyHash(certificate) }));
      return issuer;
    },
  };
}

function byId(logs: readonly TransparencyLog[]): ReadonlyMap<string, readonly TransparencyLog[]> {
  const groups = new Map<string, TransparencyLog[]>();
  for (const log of logs) {
    const id = toHex(log.logId);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [log]);
    else group.push(log);
  }
  return groups;
}

function prepareAuthority({ uri, chain, startMs, endMs }: CertificateAuthority): Authority {
  const anchor = chain[chain.length - 1];
  if (anchor === undefined) throw new TypeError("an authority of the trusted root has no certificate");
  const names = new Set(chain.map((certificate) => toHex(certificate.subject)));
  return { uri, anchor, intermediates: chain.slice(0, -1), names, startMs, endMs };
}

/**
 * Who operates a service, for counting independent ones: as the trusted root says, otherwise by host. Two addresses on
 * one host are never two operators.
 */
export function operatorOf(service: { readonly operator?: string | undefined }, address: string): string {
  if (service.operator !== undefined && service.operator !== "") return service.operator;
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/(?:[^/@]*@)?([^/:?#]+)/.exec(address)?.[1]?.toLowerCase() ?? address;
}
