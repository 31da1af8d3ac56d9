// SPDX-License-Identifier: Apache-2.0
/**
 * What a witness has vouched for: per log the last checkpoint it cosigned, whole, and what it refused although the log had
 * signed it. One SQLite file; every change is one transaction, synced before `record` returns.
 *
 * This is all that keeps a witness honest. Lost, it would cosign a second history: so the file is made before the keys
 * are, and where there are keys but no file the witness does not start.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ServiceError } from "../errors.ts";
import { storageFailure } from "../store/index.ts";

/** What was cosigned last of one log. */
export interface Witnessed {
  readonly origin: string;
  readonly size: bigint;
  /** 32 octets. */
  readonly root: Uint8Array;
  /** When, in milliseconds; never goes back. */
  readonly timeMs: number;
  /** The checkpoint with the log's signatures that were verified, and the witness's own. */
  readonly note: string;
}

/** A request that a log had signed and that contradicts what was cosigned before: proof that the log misbehaves. */
export interface Evidence {
  readonly origin: string;
  readonly timeMs: number;
  readonly reason: string;
  /** The request, with the checkpoint that the log signed. */
  readonly request: string;
  /** The checkpoint that had been cosigned. */
  readonly before: string;
}

export interface WitnessStore {
  latest(origin: string): Witnessed | undefined;
  /** By SHA-256 of the origin in hexadecimal, as monitors ask. */
  latestByHash(hash: string): Witnessed | undefined;
  /**
   * Reads the log's state, lets `decide` judge it, and keeps what it returns, as one step: no other request comes between.
   * What `decide` throws is thrown, and nothing is kept. Durable on return.
   */
  update(origin: string, decide: (before: Witnessed | undefined) => Omit<Witnessed, "origin">): Witnessed;
  keepEvidence(evidence: Evidence): void;
  evidence(): readonly Evidence[];
  close(): void;
}

/** Pieces of evidence kept of one log: the first ones, which prove as much as the later. */
const MAX_EVIDENCE = 100;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS witnessed (origin TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, size TEXT NOT NULL, root BLOB NOT NULL, time_ms INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS evidence (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, time_ms INTEGER NOT NULL, reason TEXT NOT NULL, request TEXT NOT NULL, before TEXT NOT NULL) STRICT;
`;

interface Row {
  readonly origin: string;
  readonly size: string;
  readonly root: Uint8Array;
  readonly time_ms: number;
  readonly note: string;
}

function witnessedOf(row: unknown): Witnessed | undefined {
  if (row === undefined) return undefined;
  const { origin, size, root, time_ms: timeMs, note } = row as Row;
  return { origin, size: BigInt(size), root: new Uint8Array(root), timeMs, note };
}

/** Opens the store at `path`. `hasKeys`: the witness has signed before, so the store must be there. Throws DIRECTORY_DAMAGED. */
export function openWitnessStore(
  path: string,
  { hasKeys, hashOf }: { readonly hasKeys: boolean; readonly hashOf: (origin: string) => string },
): WitnessStore {
  const isNew = path !== ":memory:" && !existsSync(path);
  if (isNew && hasKeys) {
    throw new ServiceError("DIRECTORY_DAMAGED", "The witness has keys but no record of what it cosigned", {
      detail: `${path} is missing; restore it. A witness that forgot is retired: remove its keys, and it starts again under new ones`,
    });
  }
  const database = openDatabase(path, isNew);
  const select = database.prepare("SELECT origin, size, root, time_ms, note FROM witnessed WHERE origin = ?");
  const selectByHash = database.prepare("SELECT origin, size, root, time_ms, note FROM witnessed WHERE hash = ?");
  const upsert = database.prepare(
    "INSERT INTO witnessed (origin, hash, size, root, time_ms, note) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, time_ms = excluded.time_ms, note = excluded.note",
  );
  const count = database.prepare("SELECT count(*) AS count FROM evidence WHERE origin = ?");
  const insert = database.prepare("INSERT INTO evidence (origin, time_ms, reason, request, before) VALUES (?, ?, ?, ?, ?)");
  const list = database.prepare("SELECT origin, time_ms, reason, request, before FROM evidence ORDER BY id");
  return {
    latest: (origin) => witnessedOf(select.get(origin)),
    latestByHash: (hash) => witnessedOf(selectByHash.get(hash)),
    update(origin, decide) {
      database.exec("BEGIN IMMEDIATE");
      try {
        const next = { origin, ...decide(witnessedOf(select.get(origin))) };
        upsert.run(origin, hashOf(origin), `${next.size}`, next.root, next.timeMs, next.note);
        database.exec("COMMIT");
        return next;
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        throw (error as { code?: unknown }).code === "ERR_SQLITE_ERROR" ? storageFailure(`writing ${path}`, error) : error;
      }
    },
    keepEvidence({ origin, timeMs, reason, request, before }) {
      if ((count.get(origin) as { count: number }).count < MAX_EVIDENCE) insert.run(origin, timeMs, reason, request, before);
    },
    evidence: () =>
      (list.all() as unknown as (Omit<Evidence, "timeMs"> & { time_ms: number })[]).map(({ time_ms: timeMs, ...rest }) => ({
        ...rest,
        timeMs,
      })),
    close: () => database.close(),
  };
}

function openDatabase(path: string, isNew: boolean): DatabaseSync {
  try {
    if (isNew) mkdirSync(dirname(path), { recursive: true });
    const database = new DatabaseSync(path);
    // FULL syncs the write-ahead log at every commit: what was answered is on the disk.
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000; ${SCHEMA}`);
    // The name of a new file is durable with its directory.
    if (isNew) {
      const fd = openSync(dirname(path), "r");
      fsyncSync(fd);
      closeSync(fd);
    }
    return database;
  } catch (cause) {
    throw storageFailure(`opening ${path}`, cause);
  }
}
