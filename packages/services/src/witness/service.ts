// SPDX-License-Identifier: Apache-2.0
/**
 * The witness's rules (C2SP tlog-witness), in the order in which a request is judged:
 *
 *  1. the request has its form, else 400
 *  2. the checkpoint's origin is one of the logs configured, else 404
 *  3. the log's key signed it: no line by a configured key, or one that does not verify, is 403
 *  4. the old size is not beyond the checkpoint's, else 400
 *  5. the old size is the one cosigned last (0 for none), else 409 with that size
 *  6. an empty tree has the empty root, equal sizes have equal roots, and otherwise the proof leads from one to the other,
 *     else 422: signed by the log, this is proof that it shows different histories. It is kept
 *  7. the cosigned checkpoint is durable before its signature leaves
 *
 * 5 to 7 are one transaction. The same size again is cosigned again: that is how a log shows that it is fresh. (The
 * protocol's first edition answers equal sizes with different roots by 409; the later text by 422, as here.)
 */
import {
  cosign,
  checkSigned,
  createVerifierKey,
  formatVerifierKey,
  formatWitnessRequest,
  linesOf,
  parseVerifierKey,
  parseWitnessRequest,
  type CosignatureKind,
  type VerifierKey,
  type WitnessRequest,
} from "@lacre/core/bundle";
import { equalBytes, text, toHex, utf8 } from "@lacre/core/bytes";
import { formatNote, type NoteSignature } from "@lacre/core/codec";
import { sha256, type PrivateKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { checkConsistency, emptyRoot } from "@lacre/core/merkle";
import { ServiceError } from "../errors.ts";
import type { WitnessConfig } from "./config.ts";
import type { Witnessed, WitnessStore } from "./store.ts";

/** The answer to a checkpoint. */
export type Answer = { readonly kind: "cosigned"; readonly lines: string } | { readonly kind: "conflict"; readonly size: bigint };

export interface WitnessService {
  readonly name: string;
  /** The witness's keys, for those who rely on it. */
  readonly vkeys: readonly string[];
  /** Judges a request body. Throws BAD_REQUEST, NOT_FOUND, CHECKPOINT_UNTRUSTED, CHECKPOINT_INCONSISTENT, STORE_FAILED. */
  addCheckpoint(body: Uint8Array): Answer;
  /** The checkpoint of a log that was cosigned last, with the log's signature and ours; by the hash of its origin. */
  latest(originHash: string): string | undefined;
  /** For `/healthz`: each log with its size, and how many contradictions were seen. */
  health(): {
    readonly logs: readonly { readonly origin: string; readonly size: number; readonly timeMs: number }[];
    readonly contradictions: number;
  };
  close(): void;
}

export interface WitnessOptions {
  readonly name: string;
  readonly logs: WitnessConfig["logs"];
  readonly keys: readonly PrivateKey[];
  readonly store: WitnessStore;
  readonly now: () => number;
  readonly log?: { warn(fields: object, message: string): void; error(fields: object, message: string): void } | undefined;
}

/** How monitors name a log: SHA-256 of its origin, in hexadecimal. */
export function originHash(origin: string): string {
  return toHex(sha256(utf8(origin)));
}

const KIND: Readonly<Record<string, CosignatureKind>> = { Ed25519: "ed25519-cosignature", "ML-DSA-44": "ml-dsa-44-cosignature" };

interface Cosigner {
  readonly kind: CosignatureKind;
  readonly verifier: VerifierKey;
  readonly key: PrivateKey;
}

/** The logs of a configuration, each with its keys. Throws CONFIG_INVALID. */
export function readLogs(logs: WitnessConfig["logs"]): ReadonlyMap<string, readonly VerifierKey[]> {
  const known = new Map<string, VerifierKey[]>();
  for (const { vkey, origin } of logs) {
    let key: VerifierKey;
    try {
      key = parseVerifierKey(vkey);
    } catch (cause) {
      if (!(cause instanceof LacreError)) throw cause;
      throw new ServiceError("CONFIG_INVALID", `witness.logs: ${cause.message}`, { detail: vkey.slice(0, 120), cause });
    }
    const name = origin ?? key.name;
    if (/[\n\u0000-\u001f]/.test(name))
      throw new ServiceError("CONFIG_INVALID", "witness.logs: an origin has a control character");
    known.set(name, [...(known.get(name) ?? []), key]);
  }
  return known;
}

/** A witness. */
export function createWitnessService({ name, logs, keys, store, now, log }: WitnessOptions): WitnessService {
  const known = readLogs(logs);
  const cosigners: Cosigner[] = keys.map((key) => {
    const kind = KIND[key.publicKey.type];
    if (kind === undefined) throw new TypeError(`a ${key.publicKey.type} key does not cosign`);
    return { kind, key, verifier: createVerifierKey(name, kind, key.publicKey) };
  });

  function decide(
    { oldSize, proof, checkpoint, note }: WitnessRequest,
    lines: readonly NoteSignature[],
    before: Witnessed | undefined,
  ): Omit<Witnessed, "origin"> {
    const known = before?.size ?? 0n;
    if (oldSize !== known) throw new Conflict(known);
    checkGrowth({ oldSize, proof, checkpoint, note }, before);
    const timeMs = Math.max(now(), before?.timeMs ?? 0);
    const ours = cosigners.map(({ kind, key, verifier }) =>
      cosign(kind, { checkpoint, name, keyId: verifier.keyId, key, timeMs }),
    );
    return {
      size: checkpoint.size,
      root: checkpoint.root,
      timeMs,
      note: formatNote({ text: checkpoint.note.text, signatures: [...lines, ...ours] }),
    };
  }

  return {
    name,
    vkeys: cosigners.map(({ verifier }) => formatVerifierKey(verifier)),
    addCheckpoint(body) {
      const request = readRequest(body);
      const { checkpoint } = request;
      const trusted = known.get(checkpoint.origin);
      if (trusted === undefined) throw new ServiceError("NOT_FOUND", "this witness does not know the log");
      const lines = checkAuthor(request, trusted);
      if (request.oldSize > checkpoint.size) throw new ServiceError("BAD_REQUEST", "the old size is beyond the checkpoint's");
      try {
        const { note } = store.update(checkpoint.origin, (before) => decide(request, lines, before));
        return { kind: "cosigned", lines: linesOfOurs(note) };
      } catch (error) {
        if (error instanceof Conflict) return { kind: "conflict", size: error.size };
        if (error instanceof LacreError) throw new ServiceError("BAD_REQUEST", error.message, { cause: error });
        if (error instanceof ServiceError && error.code === "CHECKPOINT_INCONSISTENT") accuse(request, error.message);
        throw error;
      }
    },
    latest: (hash) => store.latestByHash(hash)?.note,
    health: () => ({
      logs: [...known.keys()].map((origin) => {
        const latest = store.latest(origin);
        return { origin, size: Number(latest?.size ?? 0n), timeMs: latest?.timeMs ?? 0 };
      }),
      contradictions: store.evidence().length,
    }),
    close: () => store.close(),
  };

  function linesOfOurs(note: string): string {
    const signatures = note
      .slice(note.lastIndexOf("\n\n") + 2)
      .split("\n")
      .filter((line) => line !== "");
    return signatures
      .slice(-cosigners.length)
      .map((line) => `${line}\n`)
      .join("");
  }

  /** Keeps what the log signed: two checkpoints that cannot both be true, or a growth that it could not prove. */
  function accuse(request: WitnessRequest, reason: string): void {
    const { origin, size } = request.checkpoint;
    const before = store.latest(origin);
    log?.error(
      { origin, size: Number(size), cosigned: Number(before?.size ?? 0n), reason },
      "a log signed a checkpoint that contradicts what was cosigned before",
    );
    store.keepEvidence({ origin, timeMs: now(), reason, request: formatWitnessRequest(request), before: before?.note ?? "" });
  }
}

/** Not a failure: the client has to start from another size. */
class Conflict extends Error {
  readonly size: bigint;

  constructor(size: bigint) {
    super(`cosigned size is ${size}`);
    this.size = size;
  }
}

function readRequest(body: Uint8Array): WitnessRequest {
  try {
    return parseWitnessRequest(text(body));
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new ServiceError("BAD_REQUEST", cause.message, { cause });
  }
}

/** The lines of the log's keys, all verified; at least one. */
function checkAuthor({ checkpoint }: WitnessRequest, trusted: readonly VerifierKey[]): readonly NoteSignature[] {
  const lines: NoteSignature[] = [];
  try {
    for (const key of trusted) {
      if (linesOf(checkpoint.note.signatures, key).length > 0) lines.push(checkSigned(checkpoint, key).line);
    }
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new ServiceError("CHECKPOINT_UNTRUSTED", undefined, { cause });
  }
  if (lines.length === 0) throw new ServiceError("CHECKPOINT_UNTRUSTED");
  return lines;
}

/** Step 6. */
function checkGrowth({ oldSize, proof, checkpoint }: WitnessRequest, before: Witnessed | undefined): void {
  const oldRoot = before?.root ?? emptyRoot(sha256);
  if (oldSize === checkpoint.size && !equalBytes(oldRoot, checkpoint.root))
    throw new ServiceError("CHECKPOINT_INCONSISTENT", "another root was cosigned at this size");
  try {
    checkConsistency(sha256, { oldSize, oldRoot, newSize: checkpoint.size, newRoot: checkpoint.root, proof });
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new ServiceError("CHECKPOINT_INCONSISTENT", undefined, { cause });
  }
}
