// SPDX-License-Identifier: Apache-2.0
/**
 * Watches over one log, look by look.
 *
 * A look fetches the checkpoint, verifies its signature, reads every entry since the last look, computes the tree's root
 * over all entries ever read, and compares. Equal roots prove at once that the log still holds everything it ever showed
 * us, and that each new entry is in it: no proof of the log's is needed or believed. What cannot be read is a failure of
 * this look and no more; what contradicts is an alarm, which stays until an operator accepts what the log is now. While it
 * stays the baseline does not move.
 *
 * A log may show one history to us and another to its witnesses. So the checkpoints that witnesses cosigned are looked at
 * too: signed by the log, they have to lie in the same history.
 */
import { checkSigned, parseCheckpoint, type Checkpoint, type VerifierKey } from "@lacre/core/bundle";
import { concat, equalBytes, text, toBase64, toHex } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { createLogReader, type TileSource } from "@lacre/core/log";
import { CompactRange, HASH_LENGTH, hashLeaf, TILE_WIDTH, tilePath, tileWidth } from "@lacre/core/merkle";
import type { EntryReader, EntryTraits } from "./entries.ts";
import type { Rule } from "./rules.ts";
import type { Alarm, Match, MonitorStore } from "./store.ts";

/** A log to watch. */
export interface WatchedLog {
  /** First line of its checkpoints. */
  readonly origin: string;
  readonly key: VerifierKey;
  readonly source: TileSource;
  readonly entries: EntryReader;
  /** How witnesses and other readers see it: each gives a checkpoint, or nothing. */
  readonly views?: readonly { readonly by: string; latest(): Promise<string | undefined> }[];
}

/** How a look ended. */
export interface Look {
  readonly status: "current" | "alarm" | "unreadable";
  readonly size: number;
  /** Entries read in this look. */
  readonly read: number;
  readonly matches: number;
  readonly reason: string | undefined;
}

export interface Watch {
  readonly origin: string;
  look(signal?: { readonly aborted: boolean }): Promise<Look>;
}

export interface WatchOptions {
  readonly log: WatchedLog;
  readonly rules: readonly Rule[];
  readonly store: MonitorStore;
  /** Names of the sinks that events go to. */
  readonly sinks: readonly string[];
  readonly now: () => number;
}

/** Bundles between two transactions, and pauses for others on the thread. */
const BUNDLES_AT_ONCE = 16;
/** Rounds in which a larger checkpoint of a witness may outrun what the log shows us. */
const PATIENCE = 3;

interface Ahead {
  readonly checkpoint: Checkpoint;
  readonly note: string;
  rounds: number;
}

class Contradiction extends Error {
  readonly kind: Alarm["kind"];
  readonly note: string;

  constructor(kind: Alarm["kind"], message: string, note: string) {
    super(message);
    this.kind = kind;
    this.note = note;
  }
}

function rangeOf(size: number, hashes: Uint8Array): CompactRange {
  return new CompactRange(
    sha256,
    size,
    Array.from({ length: hashes.length / HASH_LENGTH }, (_, at) => hashes.slice(at * HASH_LENGTH, (at + 1) * HASH_LENGTH)),
  );
}

/** A watch over one log. */
export function createWatch({ log, rules, store, sinks, now }: WatchOptions): Watch {
  const { origin, key, source, entries } = log;
  /** Checkpoints of others that are larger than what we were shown. */
  const ahead = new Map<string, Ahead>();

  async function fetchCheckpoint(): Promise<{ readonly checkpoint: Checkpoint; readonly note: string }> {
    const bytes = await source("checkpoint");
    if (bytes === undefined) throw new LacreError("LOG_INCOMPLETE", "the log has no checkpoint");
    const note = text(bytes);
    return { checkpoint: check(note), note };
  }

  function check(note: string): Checkpoint {
    const checkpoint = parseCheckpoint(note);
    if (checkpoint.origin !== origin)
      throw new LacreError("CHECKPOINT_INVALID", "the checkpoint is another log's", {
        expected: origin,
        found: checkpoint.origin.slice(0, 120),
      });
    checkSigned(checkpoint, key);
    if (checkpoint.size > BigInt(Number.MAX_SAFE_INTEGER))
      throw new LacreError("TOO_LARGE", "the tree is larger than can be read");
    return checkpoint;
  }

  /** The entries of a bundle of a tree of `size`. A partial one may have become full meanwhile. */
  async function readBundle(index: number, size: number): Promise<readonly Uint8Array[]> {
    const width = tileWidth(entries.bundles, index, size);
    const path = tilePath({ level: entries.bundles, index, width });
    const bytes =
      (await source(`tile/${path}`)) ??
      (width < TILE_WIDTH ? await source(`tile/${tilePath({ level: entries.bundles, index, width: TILE_WIDTH })}`) : undefined);
    if (bytes === undefined)
      throw new LacreError("LOG_INCOMPLETE", "the log lacks an entry bundle that its checkpoint promises", {
        expected: `tile/${path}`,
      });
    const found = entries.unframe(bytes);
    if (found.length < width)
      throw new LacreError("LOG_INCOMPLETE", "an entry bundle holds fewer entries than its name says", {
        expected: `${width}`,
        found: `${found.length}`,
      });
    return found.slice(0, width);
  }

  function* matchesOf(entry: Uint8Array, index: number, leafHash: Uint8Array): Generator<Match> {
    if (rules.length === 0) return;
    const traits = entries.traits(entry);
    if (traits === undefined) return;
    for (const rule of rules)
      if (rule.test(traits)) yield { index, rule: rule.name, facts: factsOf(rule, traits, index, leafHash) };
  }

  function factsOf(rule: Rule, traits: EntryTraits, index: number, leafHash: Uint8Array): object {
    const { kind, identities, issuers, keys, digests } = traits;
    return { origin, index, leafHash: toHex(leafHash), rule: rule.name, kind, identities, issuers, keys, digests };
  }

  /** Reads up to a checkpoint, transaction by transaction. */
  async function readTo(size: number, signal: { readonly aborted: boolean } | undefined): Promise<CompactRange> {
    const { read, readHashes } = store.progress(origin) ?? { read: 0, readHashes: new Uint8Array(0) };
    const range = rangeOf(read, readHashes);
    let matches: Match[] = [];
    const keep = (): void => {
      store.keepRead(origin, range.size, concat(...range.hashes()), matches);
      matches = [];
    };
    try {
      await readBundles(range, size, signal, (found) => matches.push(...found), keep);
    } finally {
      // Also where reading failed: the next look goes on from here.
      keep();
    }
    return range;
  }

  async function readBundles(
    range: CompactRange,
    size: number,
    signal: { readonly aborted: boolean } | undefined,
    onMatches: (matches: Iterable<Match>) => void,
    keep: () => void,
  ): Promise<void> {
    for (let bundle = Math.floor(range.size / TILE_WIDTH), count = 1; range.size < size; bundle++, count++) {
      if (signal?.aborted === true) throw new LacreError("LOG_INCOMPLETE", "the look was ended");
      const found = await readBundle(bundle, size);
      for (let at = range.size % TILE_WIDTH; at < found.length; at++) {
        const leafHash = hashLeaf(sha256, entries.leafInput(found[at]!));
        onMatches(matchesOf(found[at]!, range.size, leafHash));
        range.append(leafHash);
      }
      if (count % BUNDLES_AT_ONCE === 0 && range.size < size) keep();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** One look. Throws LacreError for what cannot be read, Contradiction for what cannot be true. */
  async function advance(signal: { readonly aborted: boolean } | undefined): Promise<Omit<Look, "status" | "reason">> {
    const { checkpoint, note } = await fetchCheckpoint();
    settleAccepted(checkpoint);
    if (store.alarm(origin) !== undefined) return { size: store.progress(origin)?.size ?? 0, read: 0, matches: 0 };
    const before = store.progress(origin) ?? {
      checkpoint: "",
      size: 0,
      hashes: new Uint8Array(0),
      read: 0,
      readHashes: new Uint8Array(0),
    };
    const size = Number(checkpoint.size);
    if (size < before.size) throw new Contradiction("shrunk", `it had ${before.size} entries, and now signs ${size}`, note);
    // What was read towards a larger checkpoint that is not shown any more proves nothing.
    if (before.read > size) store.discard(origin, "unverified");
    const range = await readTo(size, signal);
    if (!equalBytes(range.root(), checkpoint.root)) throw await explain(before, checkpoint, note);
    const matches = note === before.checkpoint ? 0 : store.confirm(origin, note, sinks, now());
    await compareViews(checkpoint);
    return { size, read: size - before.size, matches };
  }

  /** Why the entries do not lead to a checkpoint: another history, or entries that are not those of the tree. */
  async function explain(
    before: { readonly size: number; readonly checkpoint: string; readonly hashes: Uint8Array },
    checkpoint: Checkpoint,
    note: string,
  ): Promise<Contradiction> {
    store.discard(origin, "unverified");
    try {
      const reader = createReader();
      if (before.size > 0)
        await reader.proveConsistency(
          { size: BigInt(before.size), root: rangeOf(before.size, before.hashes).root() },
          checkpoint,
        );
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      if (error.code === "PROOF_MISMATCH")
        return new Contradiction(
          "inconsistent",
          `the tree of ${checkpoint.size} entries does not begin with the ${before.size} that it had`,
          note,
        );
      throw error;
    }
    return new Contradiction(
      "entries",
      `the entries that it serves are not those of the ${checkpoint.size} that it signed`,
      note,
    );
  }

  function createReader(): ReturnType<typeof createLogReader> {
    return createLogReader({
      source,
      origin,
      name: key.name,
      key: key.key,
      signature: key.kind === "rfc6962" ? "treeHead" : "note",
      bundles: entries.bundles,
      maxTiles: 64,
    });
  }

  /** What others were shown has to be of the history that we were shown. */
  async function compareViews(current: Checkpoint): Promise<void> {
    for (const view of log.views ?? []) {
      const theirs = ahead.get(view.by) ?? (await viewOf(view));
      if (theirs === undefined) continue;
      const { checkpoint, note } = theirs;
      if (checkpoint.size > current.size) {
        // It may have been signed since our look began; this very tree is waited for.
        ahead.set(view.by, theirs);
        if (theirs.rounds++ < PATIENCE) continue;
        throw new Contradiction(
          "witness",
          `${view.by} was shown ${checkpoint.size} entries, and we are shown ${current.size}`,
          note,
        );
      }
      ahead.delete(view.by);
      const { root } = await createReader().rootAt(Number(checkpoint.size), current);
      if (!equalBytes(root, checkpoint.root))
        throw new Contradiction("witness", `${view.by} was shown another tree of ${checkpoint.size} entries than we were`, note);
    }
  }

  /** The checkpoint that another was shown; undefined where none is to be had that the log signed. */
  async function viewOf(view: NonNullable<WatchedLog["views"]>[number]): Promise<Ahead | undefined> {
    try {
      const note = await view.latest();
      return note === undefined ? undefined : { checkpoint: check(note), note, rounds: 0 };
    } catch (error) {
      if (error instanceof LacreError) return undefined;
      throw error;
    }
  }

  /** An operator's word counts for the state that it names and no other. */
  function settleAccepted(checkpoint: Checkpoint): void {
    const accepted = store.accepted(origin);
    if (accepted === undefined || store.alarm(origin) === undefined) return;
    if (BigInt(accepted.size) === checkpoint.size && accepted.root === toBase64(checkpoint.root))
      store.settle(origin, sinks, now());
  }

  return {
    origin,
    async look(signal) {
      let failure: string | undefined;
      let done: Omit<Look, "status" | "reason"> = { size: store.progress(origin)?.size ?? 0, read: 0, matches: 0 };
      try {
        done = await advance(signal);
      } catch (error) {
        if (error instanceof Contradiction)
          store.raise(origin, { kind: error.kind, sinceMs: now(), reason: error.message, checkpoint: error.note }, sinks);
        else if (error instanceof LacreError) failure = error.message;
        else throw error;
      }
      const alarm = store.alarm(origin);
      if (alarm !== undefined) return { ...done, status: "alarm", reason: alarm.reason };
      return failure === undefined
        ? { ...done, status: "current", reason: undefined }
        : { ...done, status: "unreadable", reason: failure };
    },
  };
}
