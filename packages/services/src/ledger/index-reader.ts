// SPDX-License-Identifier: Apache-2.0
/**
 * What the v1 dialect's search asks of an index, and the keys it asks by (contracts 3.7).
 *
 * Keys are lower case and say of what kind they are: `pem:<hex>`, SHA-256 of a signer's key or certificate as PEM;
 * `identity:<name>`, a subject alternative name; `digest:<algorithm>:<hex>`, of artifact, payload, envelope, in-toto subject.
 *
 * `createScanIndex` answers from the entries themselves, one search at a time: always complete and right, in time that
 * grows with the log. An index of sorted segments takes its place behind the same interface.
 */
import { toHex, utf8 } from "@lacre/core/bytes";
import { formatPem, type Json } from "@lacre/core/codec";
import { decodeStatement } from "@lacre/core/bundle";
import { sha256 } from "@lacre/core/crypto";
import { describeEntry, type EntryFacts, type EntryVerifier } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { decodeCertificate } from "@lacre/core/x509";
import type { Log } from "../engine/index.ts";

/** Where entries are by what is in them. */
export interface EntryIndex {
  /** Indices of the published entries that have at least one of these keys (lower case), in order. */
  find(keys: readonly string[]): Promise<readonly number[]>;
}

/** The keys of an entry. `attestation` is the payload kept beside it, if there is one. Unreadable entries have none. */
export function keysOf(body: Uint8Array, attestation?: Uint8Array): readonly string[] {
  let facts: EntryFacts;
  try {
    facts = describeEntry(body);
  } catch (cause) {
    // A kind that is only kept, such as a timestamp.
    if (cause instanceof LacreError) return [];
    throw cause;
  }
  const keys = new Set<string>();
  for (const digest of [facts.digest, facts.payloadHash, facts.envelopeHash]) if (digest !== undefined) keys.add(`digest:${digest.algorithm}:${toHex(digest.value)}`);
  for (const { verifier } of facts.signatures) {
    keys.add(`pem:${pemHash(verifier)}`);
    if (verifier.kind === "certificate") for (const name of namesOf(verifier.der)) keys.add(`identity:${name.toLowerCase()}`);
  }
  if (attestation !== undefined) for (const digest of subjectsOf(attestation)) keys.add(`digest:${digest.toLowerCase()}`);
  return [...keys];
}

function pemHash({ kind, der }: EntryVerifier): string {
  return toHex(sha256(utf8(formatPem(kind === "certificate" ? "CERTIFICATE" : "PUBLIC KEY", der))));
}

function namesOf(der: Uint8Array): readonly string[] {
  try {
    return decodeCertificate(der).subjectAltNames.flatMap(({ value }) => (typeof value === "string" ? [value] : []));
  } catch (cause) {
    if (cause instanceof LacreError) return [];
    throw cause;
  }
}

// Subjects, and the materials of SLSA predicates.
function subjectsOf(payload: Uint8Array): readonly string[] {
  try {
    const { subjects, predicate } = decodeStatement(payload);
    const named = subjects.flatMap(({ digests }) => [...digests].map(([algorithm, value]) => `${algorithm}:${value}`));
    return [...named, ...materialsOf(predicate)];
  } catch (cause) {
    if (cause instanceof LacreError) return [];
    throw cause;
  }
}

function materialsOf(predicate: Json): readonly string[] {
  const materials = member(predicate, "materials");
  if (!Array.isArray(materials)) return [];
  return materials.flatMap((material: Json) =>
    Object.entries((member(material, "digest") ?? {}) as Record<string, Json>).flatMap(([algorithm, value]) => (typeof value === "string" ? [`${algorithm}:${value}`] : [])),
  );
}

function member(value: Json, name: string): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, name) ? (value as Record<string, Json>)[name] : undefined;
}

/** Entries looked at between two turns of the event loop. */
const SLICE = 64;

/** An index that reads the log anew for each search. `attestation` gives the payload kept beside an entry. */
export function createScanIndex(log: Log, attestation: (leafHash: Uint8Array) => Promise<Uint8Array | undefined>): EntryIndex {
  let last: Promise<unknown> = Promise.resolve();
  async function scan(wanted: ReadonlySet<string>): Promise<readonly number[]> {
    const found: number[] = [];
    const { size } = log;
    for (let index = 0; index < size; index++) {
      if (index % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      const entry = await log.entry(index);
      if (entry !== undefined && keysOf(entry.record, await attestation(entry.leafHash)).some((key) => wanted.has(key))) found.push(index);
    }
    return found;
  }
  return {
    find(keys) {
      const work = last.then(() => scan(new Set(keys)));
      last = work.catch(() => {});
      return work;
    },
  };
}
