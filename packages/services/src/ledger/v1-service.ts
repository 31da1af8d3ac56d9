// SPDX-License-Identifier: Apache-2.0
/**
 * The ledger's rules in the v1 dialect: what is admitted, what is answered, what is found again. No HTTP, no kinds.
 *
 * One log of its own, on the same engine. A promise could leave as soon as the entry is durable; the answer waits for
 * the proof all the same, because every reply of this dialect carries one. An entry that is already there is refused, as
 * the dialect wants it, with the way to it; but requests for the same entry that are under way together are one request
 * with one answer, so that a client that retries too early is not told off for its own entry.
 */
import { toHex } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { parseCheckpoint } from "@lacre/core/bundle";
import { sha256, type PrivateKey } from "@lacre/core/crypto";
import type { Admitted } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { mayHavePayload, payloadPath } from "@lacre/core/search";
import type { Log, Sequenced } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import type { BlobStore } from "../store/index.ts";
import { proveGrowth } from "./consistency.ts";
import { createScanIndex, type EntryIndex } from "./index-reader.ts";
import { LEDGER_PERSONALITY } from "./service.ts";
import { formatMember, treePrefix, type PromiseSigner } from "./v1-answer.ts";
import { admitV1, readEntryId, readRetrieval, readSearch, type EntryId } from "./v1-request.ts";
import type { Verification } from "./verification.ts";

/** An entry as it stands in the log now. */
export interface EntryV1 {
  readonly uuid: string;
  /** Its member of a reply: `"<uuid>":{…}`. */
  readonly member: string;
}

/** The state of the log, in the dialect's words. */
export interface LogInfoV1 {
  readonly inactiveShards: readonly never[];
  readonly rootHash: string;
  readonly signedTreeHead: string;
  readonly treeID: string;
  readonly treeSize: number;
}

/** A consistency proof, in the dialect's words. */
export interface GrowthV1 {
  readonly rootHash: string;
  readonly hashes: readonly string[];
}

export interface LedgerV1Service {
  /** Logs what a body proposes. Throws ENTRY_EXISTS, with its Location, for an entry that is already there. */
  add(body: Uint8Array): Promise<EntryV1>;
  /** The entry at an index; undefined beyond the published size. */
  byIndex(index: number): Promise<EntryV1 | undefined>;
  /** The entry of a UUID, or of a leaf hash. */
  byId(uuid: string): Promise<EntryV1 | undefined>;
  /** The entries that a retrieval asks for, without those that are not there. */
  retrieve(body: Uint8Array): Promise<readonly EntryV1[]>;
  /** UUIDs of the entries that a search finds. */
  search(body: Uint8Array): Promise<readonly string[]>;
  info(): LogInfoV1;
  /** How the tree grew from one size to the other. Throws BAD_REQUEST for sizes that it does not have. */
  growth(firstSize: number, lastSize: number, treeId: string | undefined): Promise<GrowthV1>;
  /** The log's key in PEM. Throws BAD_REQUEST for another tree. */
  publicKey(treeId: string | undefined): string;
}

export interface LedgerV1Options {
  readonly log: Log;
  readonly treeId: string;
  /** The log's key, P-256: it signs promises. */
  readonly key: PrivateKey;
  readonly verification: Verification;
  /** Where payloads are kept that entries hold the hash of. */
  readonly blobs: BlobStore;
  /** Finds entries. Without one the log itself is read. */
  readonly index?: EntryIndex | undefined;
}

/** Payloads up to this size are kept beside their entry. */
const MAX_ATTESTATION = 100 << 10;

/** The service over one log. */
export function createLedgerV1Service({ log, treeId, key, verification, blobs, ...more }: LedgerV1Options): LedgerV1Service {
  const prefix = treePrefix(treeId);
  const signer: PromiseSigner = { key, logId: toHex(sha256(key.publicKey.spki)) };
  const pem = formatPem("PUBLIC KEY", key.publicKey.spki);
  const kept = async (record: Uint8Array, leafHash: Uint8Array): Promise<Uint8Array | undefined> =>
    mayHavePayload(record) ? blobs.get(payloadPath(leafHash)) : undefined;
  const index = more.index ?? createScanIndex(log, kept);
  const underWay = new Map<string, Promise<EntryV1>>();

  async function describe(entry: Sequenced, attestation?: Uint8Array): Promise<EntryV1> {
    const uuid = prefix + toHex(entry.leafHash);
    return { uuid, member: formatMember(uuid, await log.receipt(entry), signer, attestation) };
  }

  async function byIndex(at: number): Promise<EntryV1 | undefined> {
    const entry = await log.entry(at);
    return entry && describe(entry, await kept(entry.record, entry.leafHash));
  }

  async function byLeaf(leafHash: Uint8Array): Promise<EntryV1 | undefined> {
    const at = await log.find(leafHash);
    return at === undefined ? undefined : byIndex(at);
  }

  async function byId({ treePrefix: tree, leafHash }: EntryId): Promise<EntryV1 | undefined> {
    return tree === undefined || tree === prefix ? byLeaf(leafHash) : undefined;
  }

  async function add(body: Uint8Array): Promise<EntryV1> {
    const admitted = admitV1(body);
    const leafHash = LEDGER_PERSONALITY.identity(admitted.body);
    const name = toHex(leafHash);
    const first = underWay.get(name);
    if (first !== undefined) return first;
    const work = logEntry(admitted, leafHash);
    underWay.set(name, work);
    try {
      return await work;
    } finally {
      underWay.delete(name);
    }
  }

  async function logEntry({ body: record, checks, attestation, facts }: Admitted, leafHash: Uint8Array): Promise<EntryV1> {
    const payload =
      attestation !== undefined && attestation.length > 0 && attestation.length <= MAX_ATTESTATION ? attestation : undefined;
    if ((await log.find(leafHash)) === undefined) {
      await verify(checks, verification);
      if (payload !== undefined) {
        await blobs.putImmutable(payloadPath(leafHash), payload);
        await blobs.flush([payloadPath(leafHash)]);
      }
    }
    const sequenced = await log.append(record, facts);
    const entry = await describe(sequenced, payload);
    if (sequenced.duplicate) {
      throw new ServiceError(
        "ENTRY_EXISTS",
        `an equivalent entry already exists in the transparency log with UUID ${entry.uuid}`,
        {
          headers: { location: `/api/v1/log/entries/${entry.uuid}` },
        },
      );
    }
    return entry;
  }

  function checkTree(asked: string | undefined): void {
    if (asked !== undefined && asked !== treeId) throw new ServiceError("BAD_REQUEST", "the tree id is not of this log");
  }

  return {
    add,
    byIndex,
    byId: (uuid) => byId(readEntryId(uuid, "entryUUID in path")),
    async retrieve(body) {
      const { ids, indices, leaves } = readRetrieval(body);
      const found = new Map<string, EntryV1>();
      const note = (entry: EntryV1 | undefined): void => void (entry !== undefined && found.set(entry.uuid, entry));
      for (const id of ids) note(await byId(id));
      for (const at of indices) note(await byIndex(at));
      for (const leaf of leaves) note(await byLeaf(LEDGER_PERSONALITY.identity(leaf)));
      return [...found.values()];
    },
    async search(body) {
      const { criteria, all } = readSearch(body);
      if (criteria.length === 0) return [];
      const uuids: string[] = [];
      for (const at of await index.find(all ? criteria : [criteria.flat()])) {
        const entry = await log.entry(at);
        if (entry !== undefined) uuids.push(prefix + toHex(entry.leafHash));
      }
      return uuids;
    },
    info() {
      const signedTreeHead = log.checkpoint();
      const { size, root } = parseCheckpoint(signedTreeHead);
      return { inactiveShards: [], rootHash: toHex(root), signedTreeHead, treeID: treeId, treeSize: Number(size) };
    },
    async growth(firstSize, lastSize, tree) {
      checkTree(tree);
      if (firstSize > lastSize)
        throw new ServiceError("BAD_REQUEST", `firstSize(${firstSize}) must be less than lastSize(${lastSize})`);
      const { size } = log;
      if (lastSize > size)
        throw new ServiceError(
          "BAD_REQUEST",
          `the tree size requested(${lastSize}) was greater than what is currently observable(${size})`,
        );
      const { root, proof } = await proveGrowth(log, firstSize, lastSize);
      return { rootHash: toHex(root), hashes: proof.map(toHex) };
    },
    publicKey(tree) {
      checkTree(tree);
      return pem;
    },
  };
}

async function verify(checks: Admitted["checks"], verification: Verification): Promise<void> {
  try {
    await verification.check(checks);
  } catch (cause) {
    if (cause instanceof LacreError)
      throw new ServiceError("ENTRY_REFUSED", `error processing entry: verifying signature: ${cause.message}`, { cause });
    throw cause;
  }
}
