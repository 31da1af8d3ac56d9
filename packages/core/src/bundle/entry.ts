// SPDX-License-Identifier: Apache-2.0
/**
 * A log entry as bundles and Rekor v2 answers carry it: `dev.sigstore.rekor.v1.TransparencyLogEntry` in protobuf JSON.
 *
 * Everything here is a claim. The body is bound by the proof or the promise; `integratedTime` and the outer `logIndex`
 * by the promise alone.
 */
import { toBase64 } from "../bytes/index.ts";
import type { Json, JsonObject } from "../codec/index.ts";
import { LacreError } from "../errors.ts";

/** The way from a leaf to a signed root. */
export interface InclusionProof {
  /** Index in the tree of the proof (a shard, say): not always the outer one. */
  readonly logIndex: bigint;
  /** Empty, or 32 octets. */
  readonly rootHash: Uint8Array;
  readonly treeSize: bigint;
  readonly hashes: readonly Uint8Array[];
  /** The signed note, as text. */
  readonly checkpoint: string;
}

/** One entry of a transparency log. */
export interface LogEntry {
  readonly logIndex: bigint;
  readonly logId: Uint8Array;
  readonly kind: string;
  readonly version: string;
  /** Seconds since 1970; 0 when the log does not say. */
  readonly integratedTime: bigint;
  /** The promise of Rekor v1: signed entry timestamp. */
  readonly signedEntryTimestamp: Uint8Array | undefined;
  /** Undefined also when a proof has no checkpoint: such a proof proves nothing. */
  readonly inclusionProof: InclusionProof | undefined;
  /** What was hashed into the tree. */
  readonly canonicalizedBody: Uint8Array;
}

const MAX_HASHES = 64;
const MAX_CHECKPOINT = 64 << 10;
const MAX_NAME = 64;

function shape(message: string, found?: string): LacreError {
  return new LacreError("BUNDLE_SHAPE", message, { rule: "B3", ...(found === undefined ? {} : { found }) });
}

/**
 * Reads an entry. Numbers that are left out are zero, as protobuf writers leave them out. Throws BAD_JSON or BAD_BASE64
 * for members of the wrong type, BUNDLE_SHAPE for missing or misshapen ones, TOO_LARGE beyond 64 hashes or 64 KiB of
 * checkpoint.
 */
export function decodeLogEntry(entry: JsonObject): LogEntry {
  const kindVersion = entry.object("kindVersion", "kind_version");
  const promise = entry.optionalObject("inclusionPromise", "inclusion_promise");
  const signedEntryTimestamp = promise?.optionalBytes("signedEntryTimestamp", "signed_entry_timestamp");
  const proof = entry.optionalObject("inclusionProof", "inclusion_proof");
  const logId = entry.object("logId", "log_id").bytes("keyId", "key_id");
  if (logId.length === 0 || logId.length > 64) throw shape("the id of a log has the wrong length", `${logId.length} octets`);
  const canonicalizedBody = entry.bytes("canonicalizedBody", "canonicalized_body");
  if (canonicalizedBody.length === 0) throw shape("a log entry has no body");
  return {
    logIndex: entry.optionalInt64("logIndex", "log_index") ?? 0n,
    logId,
    kind: shortName(kindVersion.string("kind")),
    version: shortName(kindVersion.string("version")),
    integratedTime: entry.optionalInt64("integratedTime", "integrated_time") ?? 0n,
    signedEntryTimestamp: signedEntryTimestamp?.length === 0 ? undefined : signedEntryTimestamp,
    inclusionProof: proof === undefined ? undefined : decodeProof(proof),
    canonicalizedBody,
  };
}

function shortName(value: string): string {
  if (value === "" || value.length > MAX_NAME) throw shape("the kind of a log entry is empty or too long");
  return value;
}

function decodeProof(proof: JsonObject): InclusionProof | undefined {
  const list = proof.optionalArray("hashes") ?? [];
  if (list.length > MAX_HASHES) {
    throw new LacreError("TOO_LARGE", "an inclusion proof has too many hashes", {
      expected: `at most ${MAX_HASHES}`,
      found: `${list.length}`,
    });
  }
  const hashes = proof.bytesArray("hashes");
  if (hashes.some((hash) => hash.length !== 32)) throw shape("a hash of an inclusion proof is not of 32 octets");
  const rootHash = proof.optionalBytes("rootHash", "root_hash") ?? new Uint8Array(0);
  if (rootHash.length !== 0 && rootHash.length !== 32) throw shape("a root hash is not of 32 octets", `${rootHash.length}`);
  const checkpoint = proof.optionalObject("checkpoint")?.optionalString("envelope") ?? "";
  if (checkpoint.length > MAX_CHECKPOINT) throw new LacreError("TOO_LARGE", "a checkpoint is larger than 64 KiB");
  const logIndex = proof.optionalInt64("logIndex", "log_index") ?? 0n;
  const treeSize = proof.optionalInt64("treeSize", "tree_size") ?? 0n;
  return checkpoint === "" ? undefined : { logIndex, rootHash, treeSize, hashes, checkpoint };
}

/** The entry in protobuf JSON, as bundles and answers of the ledger hold it. Parts that are absent are left out. */
export function encodeLogEntry(entry: LogEntry): { readonly [key: string]: Json } {
  const { signedEntryTimestamp, inclusionProof } = entry;
  return {
    logIndex: `${entry.logIndex}`,
    logId: { keyId: toBase64(entry.logId) },
    kindVersion: { kind: entry.kind, version: entry.version },
    ...(entry.integratedTime === 0n ? {} : { integratedTime: `${entry.integratedTime}` }),
    ...(signedEntryTimestamp === undefined ? {} : { inclusionPromise: { signedEntryTimestamp: toBase64(signedEntryTimestamp) } }),
    ...(inclusionProof === undefined
      ? {}
      : {
          inclusionProof: {
            logIndex: `${inclusionProof.logIndex}`,
            rootHash: toBase64(inclusionProof.rootHash),
            treeSize: `${inclusionProof.treeSize}`,
            hashes: inclusionProof.hashes.map(toBase64),
            checkpoint: { envelope: inclusionProof.checkpoint },
          },
        }),
    canonicalizedBody: toBase64(entry.canonicalizedBody),
  };
}
