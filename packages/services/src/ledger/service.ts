// SPDX-License-Identifier: Apache-2.0
/**
 * The ledger's rules (v2 dialect): what is admitted, what is logged, what is answered. No HTTP, no kinds: the library's
 * `entry/` knows how a request of each kind becomes a leaf and which signatures have to verify before it does.
 *
 * Nothing is sequenced before every signature verified: a log whose entries were not checked proves nothing. Certificates
 * are not chained and may have expired; who trusts whom is the reader's question.
 */
import { ByteReader, concat } from "@lacre/core/bytes";
import { parseJson, type Json } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { admitRequest, type Admitted } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { hashLeaf, type TileCoordinate } from "@lacre/core/merkle";
import type { Log, Personality } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import { createAnswerWriter } from "./answer.ts";
import type { Verification } from "./verification.ts";

/** How the engine treats entries: the record is the leaf, equal leaves are one entry, bundles prefix each with 16 bits of length (C2SP tlog-tiles). */
export const LEDGER_PERSONALITY: Personality = {
  leafInput: (record) => record,
  identity: (record) => hashLeaf(sha256, record),
  frame(record) {
    if (record.length > 0xffff) throw new ServiceError("ENTRY_TOO_LARGE");
    return concat(Uint8Array.of(record.length >> 8, record.length & 0xff), record);
  },
  unframe(bundle) {
    const reader = new ByteReader(bundle);
    const records: Uint8Array[] = [];
    while (reader.left > 0) records.push(reader.vector(2));
    return records;
  },
};

/** An entry as it stands in the log now. */
export interface LoggedEntry {
  readonly index: number;
  /** It was there before this request. */
  readonly duplicate: boolean;
  /** The TransparencyLogEntry for the client, as JSON. */
  readonly answer: string;
}

export interface LedgerService {
  /**
   * Logs what a request body asks for and returns once a published checkpoint covers it. An entry that is already there
   * is answered with its own index and a current proof; so is one whose first request is still under way.
   */
  add(body: Uint8Array): Promise<LoggedEntry>;
  /** The newest published checkpoint. */
  checkpoint(): string;
  /** The bytes of a tile or entry bundle; undefined beyond the published size. */
  readTile(tile: TileCoordinate): Promise<Uint8Array | undefined>;
}

export interface LedgerServiceOptions {
  readonly log: Log;
  /** The 32-byte id of the log's key: what trusted roots list. */
  readonly logId: Uint8Array;
  readonly verification: Verification;
  /** Hears of each entry that is new, by its kind. */
  readonly onLogged?: (kind: string) => void;
}

export function createLedgerService({ log, logId, verification, onLogged }: LedgerServiceOptions): LedgerService {
  const write = createAnswerWriter(logId);
  return {
    async add(body) {
      const entry = admit(body);
      await verify(entry, verification);
      const receipt = await log.receipt(await log.append(entry.body, entry.facts));
      if (!receipt.duplicate) onLogged?.(entry.kind);
      return { index: receipt.index, duplicate: receipt.duplicate, answer: write(entry.kind, entry.version, receipt) };
    },
    checkpoint: () => log.checkpoint(),
    readTile: (tile) => log.readTile(tile),
  };
}

/** The entry that a request body asks for. Throws ServiceError in the words of rekor-tiles. */
export function admit(body: Uint8Array): Admitted {
  let request: Json;
  try {
    request = parseJson(body, { maxDepth: 16 });
  } catch (cause) {
    if (cause instanceof LacreError)
      throw new ServiceError("BAD_REQUEST", `the request is not JSON: ${cause.message}`, { cause });
    throw cause;
  }
  let entry: Admitted;
  try {
    entry = admitRequest(request);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    if (cause.code === "TOO_LARGE") throw new ServiceError("ENTRY_TOO_LARGE", cause.message, { cause });
    throw new ServiceError("ENTRY_REFUSED", refusal(request), { cause });
  }
  return entry;
}

async function verify(entry: Admitted, verification: Verification): Promise<void> {
  try {
    await verification.check(entry.checks);
  } catch (cause) {
    if (cause instanceof LacreError) throw new ServiceError("ENTRY_REFUSED", `invalid ${entry.kind} request`, { cause });
    throw cause;
  }
}

/** The sentence for a request that was refused, by the member it has. */
function refusal(request: Json): string {
  const members =
    typeof request === "object" && request !== null
      ? Object.entries(request).flatMap(([name, value]) => (value === null ? [] : [name]))
      : [];
  if (members.some((name) => /^hashed_?rekord_?request/i.test(name))) return "invalid hashedrekord request";
  if (members.some((name) => /^dsse_?request/i.test(name))) return "invalid dsse request";
  return "invalid type, must be either hashedrekord or dsse";
}
