// SPDX-License-Identifier: Apache-2.0
/**
 * What a monitor remembers, in one SQLite file: of each log the checkpoint that was verified last and how far the entries
 * are read, alarms, and the events that have to be delivered.
 *
 * The rule of the file: how far we are, what we found there, and what has to be told about it change in one transaction.
 * So a match is neither lost nor found for nothing when the process dies, and nothing is told twice by us before it was
 * told once (a receiver may still get an event twice: it carries an id).
 *
 * Reading runs ahead of proof. Matches between the verified checkpoint and the place read so far are kept apart until the
 * root over all entries read is that of the next checkpoint; only then they become events.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { storageFailure } from "../store/index.ts";

/** How far a log is read. */
export interface Progress {
  /** The last checkpoint that was verified down to its entries, as signed. Empty at the start. */
  readonly checkpoint: string;
  readonly size: number;
  /** Roots of the complete subtrees at `size`, 32 octets each. */
  readonly hashes: Uint8Array;
  /** Entries read towards the next checkpoint, and the subtrees there. */
  readonly read: number;
  readonly readHashes: Uint8Array;
}

/** An entry that a rule matched. */
export interface Match {
  readonly index: number;
  readonly rule: string;
  /** What is told of it. */
  readonly facts: object;
}

/** A log that does what no honest log does. It stays until an operator accepts a state. */
export interface Alarm {
  readonly kind: "shrunk" | "inconsistent" | "entries" | "witness";
  readonly sinceMs: number;
  readonly reason: string;
  /** The checkpoint that raised it, as signed: with the one before it, proof for everybody. */
  readonly checkpoint: string;
}

/** Something to be told. */
export interface Event {
  readonly id: string;
  readonly kind: "match" | "alarm" | "accepted";
  readonly body: object;
}

/** An event on its way to one sink. */
export interface Delivery {
  readonly key: number;
  readonly sink: string;
  readonly attempts: number;
  readonly event: Event;
}

export interface MonitorStore {
  progress(origin: string): Progress | undefined;
  /** Keeps how far a log is read, with the matches on the way. */
  keepRead(origin: string, read: number, readHashes: Uint8Array, matches: readonly Match[]): void;
  /**
   * The entries read lead to this checkpoint: it is the verified one from now on, and the matches before it become events,
   * each for every sink of `sinks`.
   */
  confirm(origin: string, checkpoint: string, sinks: readonly string[], timeMs: number): number;
  /** Forgets what was read beyond the verified checkpoint; from `start`, everything. */
  discard(origin: string, what: "unverified" | "everything"): void;
  alarm(origin: string): Alarm | undefined;
  /** Raises an alarm, once, and tells it. */
  raise(origin: string, alarm: Alarm, sinks: readonly string[]): void;
  /** The operator's word that a log goes on from this state. */
  accept(origin: string, size: number, root: string): void;
  accepted(origin: string): { readonly size: number; readonly root: string } | undefined;
  /** Lets an alarm go, because the operator accepted what the log is now; the log is read again from its start. */
  settle(origin: string, sinks: readonly string[], timeMs: number): void;
  due(nowMs: number, limit: number): readonly Delivery[];
  delivered(key: number): void;
  failed(key: number, nextMs: number | undefined, reason: string): void;
  counts(): {
    readonly matches: number;
    readonly waiting: number;
    readonly givenUp: number;
    readonly lastFailure: string | undefined;
  };
  origins(): readonly string[];
  close(): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS logs (
    origin TEXT PRIMARY KEY, checkpoint TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0, hashes BLOB NOT NULL DEFAULT x'',
    read INTEGER NOT NULL DEFAULT 0, read_hashes BLOB NOT NULL DEFAULT x'', alarm TEXT, accepted TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS matches (
    origin TEXT NOT NULL, entry INTEGER NOT NULL, rule TEXT NOT NULL, facts TEXT NOT NULL, confirmed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (origin, entry, rule)) STRICT;
  CREATE INDEX IF NOT EXISTS unconfirmed ON matches (origin) WHERE confirmed = 0;
  CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, time_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events, sink TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting', reason TEXT) STRICT;
  CREATE INDEX IF NOT EXISTS waiting ON deliveries (next_ms) WHERE state = 'waiting';
`;

interface LogRow {
  readonly checkpoint: string;
  readonly size: number;
  readonly hashes: Uint8Array;
  readonly read: number;
  readonly read_hashes: Uint8Array;
  readonly alarm: string | null;
  readonly accepted: string | null;
}
interface DeliveryRow {
  readonly id: number;
  readonly sink: string;
  readonly attempts: number;
  readonly event: number;
  readonly kind: Event["kind"];
  readonly body: string;
}

/** Opens the memory at `path`. `identity` goes into event ids: two monitors tell the same thing under two ids. Throws as files do. */
export function openMonitorStore(path: string, identity: string): MonitorStore {
  const database = openDatabase(path);
  const row = database.prepare("SELECT checkpoint, size, hashes, read, read_hashes, alarm, accepted FROM logs WHERE origin = ?");
  const find = (origin: string): LogRow | undefined => row.get(origin) as unknown as LogRow | undefined;
  const addLog = database.prepare("INSERT INTO logs (origin) VALUES (?) ON CONFLICT DO NOTHING");
  const addMatch = database.prepare(
    "INSERT INTO matches (origin, entry, rule, facts) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const setRead = database.prepare("UPDATE logs SET read = ?, read_hashes = ? WHERE origin = ?");
  const unconfirmed = database.prepare(
    "SELECT entry, rule, facts FROM matches WHERE origin = ? AND confirmed = 0 ORDER BY entry, rule",
  );
  const addEvent = database.prepare("INSERT INTO events (kind, body, time_ms) VALUES (?, ?, ?)");
  const addDelivery = database.prepare("INSERT INTO deliveries (event, sink) VALUES (?, ?)");
  const dueRows = database.prepare(
    "SELECT deliveries.id, sink, attempts, event, kind, body FROM deliveries JOIN events ON events.id = event WHERE state = 'waiting' AND next_ms <= ? ORDER BY deliveries.id LIMIT ?",
  );

  const atomically = <T>(work: () => T): T => {
    database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      database.exec("COMMIT");
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw (error as { code?: unknown }).code === "ERR_SQLITE_ERROR" ? storageFailure(`writing ${path}`, error) : error;
    }
  };
  const tell = (kind: Event["kind"], body: object, sinks: readonly string[], timeMs: number): void => {
    const { lastInsertRowid } = addEvent.run(kind, JSON.stringify(body), timeMs);
    for (const sink of sinks) addDelivery.run(lastInsertRowid, sink);
  };
  return {
    progress(origin) {
      const found = find(origin);
      return (
        found && {
          checkpoint: found.checkpoint,
          size: found.size,
          hashes: new Uint8Array(found.hashes),
          read: found.read,
          readHashes: new Uint8Array(found.read_hashes),
        }
      );
    },
    keepRead: (origin, read, readHashes, matches) =>
      atomically(() => {
        addLog.run(origin);
        for (const { index, rule, facts } of matches) addMatch.run(origin, index, rule, JSON.stringify(facts));
        setRead.run(read, readHashes, origin);
      }),
    confirm: (origin, checkpoint, sinks, timeMs) =>
      atomically(() => {
        addLog.run(origin);
        const found = unconfirmed.all(origin) as unknown as { entry: number; rule: string; facts: string }[];
        for (const { facts } of found) tell("match", JSON.parse(facts) as object, sinks, timeMs);
        database.prepare("UPDATE matches SET confirmed = 1 WHERE origin = ? AND confirmed = 0").run(origin);
        database
          .prepare("UPDATE logs SET checkpoint = ?, size = read, hashes = read_hashes WHERE origin = ?")
          .run(checkpoint, origin);
        return found.length;
      }),
    discard: (origin, what) =>
      atomically(() => {
        database.prepare("DELETE FROM matches WHERE origin = ? AND confirmed = 0").run(origin);
        if (what === "unverified")
          database.prepare("UPDATE logs SET read = size, read_hashes = hashes WHERE origin = ?").run(origin);
        else
          database
            .prepare("UPDATE logs SET checkpoint = '', size = 0, hashes = x'', read = 0, read_hashes = x'' WHERE origin = ?")
            .run(origin);
      }),
    alarm: (origin) => {
      const said = find(origin)?.alarm;
      return said === null || said === undefined ? undefined : (JSON.parse(said) as Alarm);
    },
    raise: (origin, alarm, sinks) =>
      atomically(() => {
        addLog.run(origin);
        const before = find(origin)!;
        if (before.alarm !== null) return;
        database.prepare("UPDATE logs SET alarm = ? WHERE origin = ?").run(JSON.stringify(alarm), origin);
        tell("alarm", { origin, ...alarm, before: before.checkpoint }, sinks, alarm.sinceMs);
      }),
    accept: (origin, size, root) =>
      atomically(() => {
        addLog.run(origin);
        database.prepare("UPDATE logs SET accepted = ? WHERE origin = ?").run(JSON.stringify({ size, root }), origin);
      }),
    accepted: (origin) => {
      const said = find(origin)?.accepted;
      return said === null || said === undefined ? undefined : (JSON.parse(said) as { size: number; root: string });
    },
    settle: (origin, sinks, timeMs) =>
      atomically(() => {
        const before = find(origin)!;
        tell(
          "accepted",
          {
            origin,
            accepted: JSON.parse(before.accepted ?? "null") as object,
            alarm: JSON.parse(before.alarm ?? "null") as object,
          },
          sinks,
          timeMs,
        );
        database.prepare("DELETE FROM matches WHERE origin = ? AND confirmed = 0").run(origin);
        // What was told of the other history was true of it; what stands in this one is told anew.
        database.prepare("DELETE FROM matches WHERE origin = ?").run(origin);
        database
          .prepare(
            "UPDATE logs SET alarm = NULL, accepted = NULL, checkpoint = '', size = 0, hashes = x'', read = 0, read_hashes = x'' WHERE origin = ?",
          )
          .run(origin);
      }),
    due: (nowMs, limit) =>
      (dueRows.all(nowMs, limit) as unknown as DeliveryRow[]).map(({ id, sink, attempts, event, kind, body }) => ({
        key: id,
        sink,
        attempts,
        event: { id: `${identity}-${event}`, kind, body: JSON.parse(body) as object },
      })),
    delivered: (key) => void database.prepare("UPDATE deliveries SET state = 'done', reason = NULL WHERE id = ?").run(key),
    failed: (key, nextMs, reason) =>
      void database
        .prepare("UPDATE deliveries SET attempts = attempts + 1, next_ms = ?, state = ?, reason = ? WHERE id = ?")
        .run(nextMs ?? 0, nextMs === undefined ? "given up" : "waiting", reason, key),
    counts() {
      const one = (sql: string): number => (database.prepare(sql).get() as { count: number }).count;
      const failure = database
        .prepare("SELECT reason FROM deliveries WHERE reason IS NOT NULL ORDER BY id DESC LIMIT 1")
        .get() as { reason: string } | undefined;
      return {
        matches: one("SELECT count(*) AS count FROM matches WHERE confirmed = 1"),
        waiting: one("SELECT count(*) AS count FROM deliveries WHERE state = 'waiting'"),
        givenUp: one("SELECT count(*) AS count FROM deliveries WHERE state = 'given up'"),
        lastFailure: failure?.reason,
      };
    },
    origins: () =>
      (database.prepare("SELECT origin FROM logs ORDER BY origin").all() as unknown as { origin: string }[]).map(
        ({ origin }) => origin,
      ),
    close: () => database.close(),
  };
}

function openDatabase(path: string): DatabaseSync {
  try {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true });
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 3000; ${SCHEMA}`);
    return database;
  } catch (cause) {
    throw storageFailure(`opening ${path}`, cause);
  }
}
