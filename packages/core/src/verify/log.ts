// SPDX-License-Identifier: Apache-2.0
/**
 * Transparency log entries (blocks F and G): known log, promise, inclusion, signed checkpoint, and the step most often
 * forgotten: that the entry is about this signature, this artifact and this signer.
 *
 * Entries of logs that the trusted root does not know prove nothing and count for nothing; all others must be good, for
 * a bundle with one false entry is not a good bundle.
 */
import {
  checkNoteSignature,
  parseCheckpoint,
  type Bundle,
  type Checkpoint,
  type InclusionProof,
  type LogEntry,
} from "../bundle/index.ts";
import { equalBytes, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { checkSignature, defaultAlgorithm, sha256 } from "../crypto/index.ts";
import { checkEntryMatches, decodeEntry, type EntryEvidence, type EntryFacts } from "../entry/index.ts";
import { LacreError } from "../errors.ts";
import { checkInclusion, hashLeaf } from "../merkle/index.ts";
import type { TransparencyLog } from "../trust/index.ts";
import { contains, operatorOf, outside, type Anchors } from "./anchors.ts";
import type { Evidence } from "./evidence.ts";
import type { Digests } from "./input.ts";
import type { Rules } from "./policy.ts";
import type { LogPromise, ProvedTime } from "./times.ts";
import type { CheckId, VerdictEntry } from "./verdict.ts";

/** An entry of a log that the trusted root knows, its body read, its promise checked. */
export interface KnownEntry {
  readonly entry: LogEntry;
  /** Instances of the log, by its id. */
  readonly logs: readonly TransparencyLog[];
  readonly facts: EntryFacts;
  readonly promise: LogPromise | undefined;
}

/** F1–F3 for every entry: what the log is, what the entry says, and whether the promise in it is the log's. */
export function openEntries(
  evidence: Evidence,
  rules: Rules,
  anchors: Anchors | undefined,
  bundle: Bundle,
): readonly KnownEntry[] {
  if (rules.ignoreTlog) {
    for (const id of LOG_CHECKS) evidence.assume(id, "the policy does without the log");
    evidence.warn("the transparency log was not consulted: nobody but the verifier may ever see this signature");
    return [];
  }
  if (anchors === undefined) {
    return evidence.refuse("F1", new LacreError("ROOT_MISSING", "log entries cannot be judged without a trusted root"));
  }
  const [leaf] = bundle.key.kind === "certificate" ? bundle.key.chain : [];
  const expected = leaf === undefined ? undefined : { content: bundle.content, certificate: leaf };
  const known: KnownEntry[] = [];
  for (const entry of bundle.logEntries) {
    const logs = anchors.logs(entry.logId);
    const [log] = logs;
    if (log === undefined) {
      evidence.warn(`an entry of an unknown log does not count: ${toHex(entry.logId)}`);
      continue;
    }
    evidence.pass("F1", log.name);
    const facts = evidence.prove(
      "F2",
      () => decodeEntry(entry.canonicalizedBody, entry.kind, entry.version, expected),
      () => `${entry.kind} ${entry.version}`,
    );
    const { signedEntryTimestamp } = entry;
    if (signedEntryTimestamp === undefined) evidence.skip("F3", "not applicable: no promise");
    const promise =
      signedEntryTimestamp === undefined
        ? undefined
        : evidence.prove("F3", () => checkPromise(entry, signedEntryTimestamp, logs));
    known.push({ entry, logs, facts, promise });
  }
  if (known.length === 0) {
    const [first] = bundle.logEntries;
    evidence.refuse(
      "F1",
      first === undefined
        ? new LacreError("LOG_ENTRY_MISSING", "the bundle has no log entry", { expected: "1", found: "0" })
        : new LacreError("LOG_UNKNOWN", "no entry is of a log that the trusted root knows", {
            expected: knownNames(anchors),
            found: toHex(first.logId),
          }),
    );
  }
  return known;
}

const LOG_CHECKS: readonly CheckId[] = [
  "F1",
  "F2",
  "F3",
  "F4",
  "F5",
  "F6",
  "F7",
  "F8",
  "F9",
  "F10",
  "G1",
  "G2",
  "G3",
  "G4",
  "G5",
  "G6",
];

function knownNames(anchors: Anchors): string {
  return [...new Set(anchors.root.tlogs.map((log) => log.name))].join(", ") || "no log at all";
}

/** Above it, JSON's numbers are not exact. */
const LARGEST_NUMBER = BigInt(Number.MAX_SAFE_INTEGER);

// F3 (Rekor v1): the log's signature over the canonical JSON of body, time, log id and index.
function checkPromise(entry: LogEntry, signature: Uint8Array, logs: readonly TransparencyLog[]): LogPromise {
  const { integratedTime, logIndex, canonicalizedBody, logId } = entry;
  for (const number of [integratedTime, logIndex]) {
    if (number > LARGEST_NUMBER)
      throw new LacreError("PROMISE_INVALID", "a number in the promise has no canonical JSON form", { found: `${number}` });
  }
  const timeMs = Number(integratedTime) * 1000;
  // Members in canonical order (RFC 8785); base64 and hexadecimal need no escaping.
  const promise = `{"body":"${toBase64(canonicalizedBody)}","integratedTime":${integratedTime},"logID":"${toHex(logId)}","logIndex":${logIndex}}`;
  const log = logs.find((instance) => contains(instance, timeMs));
  if (log === undefined) throw outside("the log's key", logs, timeMs);
  try {
    checkSignature(defaultAlgorithm(log.key), log.key, { message: utf8(promise) }, signature);
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "ALGORITHM_UNKNOWN") throw cause;
    throw new LacreError("PROMISE_INVALID", "the log did not sign this promise for this entry", { found: cause.message, cause });
  }
  return { log, timeMs: timeMs === 0 ? undefined : timeMs };
}

/** F4–F10: inclusion and window of every known entry; how many independent logs that makes. */
export function proveEntries(
  evidence: Evidence,
  rules: Rules,
  known: readonly KnownEntry[],
  times: readonly ProvedTime[],
  needed: number,
  nowMs: number | undefined,
): readonly VerdictEntry[] {
  if (rules.ignoreTlog) return [];
  const operators = new Set<string>();
  const proved = known.map((item): VerdictEntry => {
    const log = evidence.prove(
      "F8",
      () => chooseLog(item, times, nowMs),
      (instance) => instance.name,
    );
    const checkpoint = proveInclusion(evidence, rules, item, log);
    operators.add(operatorOf(log, log.baseUrl));
    const {
      entry: { inclusionProof, logIndex, kind, version },
      promise,
    } = item;
    const isGlobal = promise !== undefined;
    return {
      logId: toHex(log.logId),
      log: log.baseUrl,
      kind,
      version,
      ...(isGlobal
        ? { logIndex: `${logIndex}` }
        : checkpoint?.isShard === false
          ? { logIndex: `${inclusionProof!.logIndex}` }
          : undefined),
      ...(checkpoint === undefined
        ? undefined
        : { treeIndex: `${inclusionProof!.logIndex}`, treeSize: `${inclusionProof!.treeSize}` }),
    };
  });
  evidence.prove(
    "F9",
    () => {
      if (operators.size < needed) {
        throw new LacreError("LOG_ENTRY_MISSING", "fewer independent log entries were proved than are required", {
          expected: `${needed}`,
          found: `${operators.size}`,
        });
      }
    },
    () => `${operators.size} of ${needed}`,
  );
  return proved;
}

// F8: the instance whose window holds the entry's time, or without one every proved time. In key mode a bundle may prove
// no time at all: then the log must be trusted now, or its window must be open to the end.
function chooseLog({ logs, promise }: KnownEntry, times: readonly ProvedTime[], nowMs: number | undefined): TransparencyLog {
  if (promise?.timeMs !== undefined) return promise.log;
  const moments = times.length > 0 ? times.map((time) => time.timeMs) : nowMs === undefined ? [Infinity] : [nowMs];
  const log = logs.find((instance) => moments.every((moment) => contains(instance, moment)));
  if (log !== undefined) return log;
  throw outside(
    "the log's key",
    logs,
    moments.find((moment) => !logs.some((instance) => contains(instance, moment))) ?? moments[0]!,
  );
}

interface ProvedCheckpoint {
  /** Whether the tree is one shard of several under one index (Rekor v1), so that the proof's index is not the entry's. */
  readonly isShard: boolean;
}

// F4–F7 and F10. Structure and hashes first, the checkpoint's signature last: it costs the most.
function proveInclusion(
  evidence: Evidence,
  rules: Rules,
  { entry, promise }: KnownEntry,
  log: TransparencyLog,
): ProvedCheckpoint | undefined {
  const proof = entry.inclusionProof;
  if (proof === undefined) {
    if (rules.requireProof || promise === undefined) {
      return evidence.refuse("F4", new LacreError("BUNDLE_NO_PROOF", "a log entry has no inclusion proof with a checkpoint"));
    }
    for (const id of ["F4", "F5", "F6", "F7", "F10"] as const) evidence.skip(id, "not applicable: a promise alone");
    return undefined;
  }
  const checkpoint = evidence.prove(
    "F5",
    () => parseCheckpoint(proof.checkpoint),
    (note) => `${note.origin}, size ${note.size}`,
  );
  evidence.prove("F7", () => checkSameTree(proof, checkpoint));
  evidence.prove(
    "F4",
    () => {
      checkInclusion(sha256, {
        index: proof.logIndex,
        size: proof.treeSize,
        leafHash: hashLeaf(sha256, entry.canonicalizedBody),
        proof: proof.hashes,
        root: checkpoint.root,
      });
    },
    () => `leaf ${proof.logIndex} of ${proof.treeSize}`,
  );
  const isShard = evidence.prove(
    "F6",
    () => checkSigned(checkpoint, log),
    () => log.name,
  );
  evidence.prove("F10", () => {
    // A sharded log counts over all its trees: there the outer index is another number, bound by the promise alone.
    if (isShard || entry.logIndex === 0n || entry.logIndex === proof.logIndex) return;
    throw new LacreError("LOG_INDEX_MISMATCH", "the entry states another index than its proof", {
      expected: `${proof.logIndex}`,
      found: `${entry.logIndex}`,
    });
  });
  return { isShard };
}

function checkSameTree(proof: InclusionProof, checkpoint: Checkpoint): void {
  if (checkpoint.size !== proof.treeSize) {
    throw new LacreError("CHECKPOINT_MISMATCH", "checkpoint and proof are of different tree sizes", {
      expected: `${checkpoint.size}`,
      found: `${proof.treeSize}`,
    });
  }
  if (proof.rootHash.length > 0 && !equalBytes(proof.rootHash, checkpoint.root)) {
    throw new LacreError("CHECKPOINT_MISMATCH", "checkpoint and proof state different roots", {
      expected: toHex(checkpoint.root),
      found: toHex(proof.rootHash),
    });
  }
}

// F6: the log's key, under the log's name, on a checkpoint that calls itself that log's. Names are compared whole. A root
// made of a bare key says no name: then the log is whoever its key says it is.
function checkSigned(checkpoint: Checkpoint, log: TransparencyLog): boolean {
  const { note, origin } = checkpoint;
  const names = namesOf(log);
  const name =
    names.find((candidate) => note.signatures.some((line) => line.name === candidate)) ??
    (names.length > 0 ? log.name : note.signatures.find((line) => equalBytes(line.keyHint, log.logId.subarray(0, 4)))?.name) ??
    log.name;
  checkNoteSignature({ note, name, keyHint: log.logId, key: log.key });
  if (origin === name) return false;
  if (origin.startsWith(`${name} - `) && /^[0-9]{1,20}$/.test(origin.slice(name.length + 3))) return true;
  throw new LacreError("CHECKPOINT_UNSIGNED", "the checkpoint calls itself another log's", { expected: name, found: origin });
}

// A log is called by its host; some were set up under host and port, or under the whole address less its scheme.
function namesOf({ name, baseUrl }: TransparencyLog): readonly string[] {
  const address = baseUrl.replace(/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//, "").replace(/\/+$/, "");
  return [name, address.replace(/\/.*$/, ""), address].filter((candidate) => candidate !== "");
}

const BY_KIND: Readonly<Record<string, CheckId>> = {
  "hashedrekord 0.0.1": "G1",
  "hashedrekord 0.0.2": "G2",
  dsse: "G3",
  intoto: "G4",
};

/** What an entry has to be about: the bundle's content, signer and artifact. */
export interface Subject extends Omit<EntryEvidence, "artifact"> {
  readonly digests: Digests | undefined;
}

/** G: every known entry is about what this bundle holds. */
export function matchEntries(
  evidence: Evidence,
  rules: Rules,
  known: readonly KnownEntry[],
  { digests, ...subject }: Subject,
): void {
  if (rules.ignoreTlog) return;
  for (const { entry, facts } of known) {
    const id = BY_KIND[`${entry.kind} ${entry.version}`] ?? BY_KIND[entry.kind] ?? "G5";
    const isEnvelopeDigest = subject.content.kind === "dsse" && facts.digest !== undefined;
    const ids: readonly CheckId[] = isEnvelopeDigest ? [id, "G5", "G6"] : [id, "G5"];
    evidence.prove(ids, () => checkEntryMatches(facts, { ...subject, artifact: digests?.table(facts.digest?.algorithm) }));
  }
  for (const id of ["G1", "G2", "G3", "G4", "G6"] as const)
    if (evidence.status(id) === undefined) evidence.skip(id, "not applicable: no such entry");
}
