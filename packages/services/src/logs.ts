// SPDX-License-Identifier: Apache-2.0
/**
 * The logs of an installation: instances of one engine, each with its own key, origin and directory.
 *
 * What each published is also recorded outside the data directory, in one small file a log under the user's state
 * directory: an old copy of the directory put back is then noticed before it signs a second history.
 */
import { join } from "node:path";
import { signCheckpoint } from "@lacre/core/bundle";
import { defaultAlgorithm, sha256, signMessage } from "@lacre/core/crypto";
import envPaths from "env-paths";
import { createCtCheckpointSigner, CT_PERSONALITY, type CtSigner } from "./ct/index.ts";
import {
  createFileAnchor,
  openLog,
  type Anchored,
  type Log,
  type Logger,
  type LogObserver,
  type LogOptions,
} from "./engine/index.ts";
import type { Installation } from "./installation/index.ts";
import { LEDGER_PERSONALITY, originV1 } from "./ledger/index.ts";
import type { Quorums } from "./quorums.ts";
import { openSearch, type SearchService } from "./search/index.ts";
import { createFileBlobStore, createFileSystem } from "./store/index.ts";

/** Names of the logs. The ledger writes two, one a dialect. */
export type LogName = "ct" | "ledger" | "ledger-v1";
export type Logs = Readonly<Partial<Record<LogName, Log>>>;

export interface LogsOptions {
  readonly installation: Installation;
  readonly wanted: ReadonlySet<string>;
  /** Where anchors are kept; the user's state directory unless given. */
  readonly stateDir?: string | undefined;
  /** The operator's word for trees whose anchor is missing or ahead; each counts for the log that it fits. */
  readonly accept?: readonly Anchored[] | undefined;
  /** Who has to cosign, for the logs that are witnessed. */
  readonly quorums?: Quorums | undefined;
  /** Who measures a log. */
  readonly observe?: ((name: LogName) => LogObserver) | undefined;
  readonly now: () => number;
  readonly log?: Logger | undefined;
}

/** Opens the wanted logs. Each that is open is in the result of `opened` even if a later one fails. */
export async function openLogs(o: LogsOptions, opened: (log: Log) => void): Promise<Logs> {
  const { facts, keys } = o.installation;
  const logs: Partial<Record<LogName, Log>> = {};
  const open = async (name: LogName, origin: string, rest: Pick<LogOptions, "personality" | "signCheckpoint">): Promise<void> => {
    const witnessing = name === "ledger-v1" ? undefined : o.quorums?.[name];
    const pause = o.installation.settings.witnesses.intervalSeconds * 1000;
    const log = await openLog({
      dir: o.installation.layout.log(name),
      origin,
      now: o.now,
      anchor: createFileAnchor(join(anchorDirectory(o.stateDir, facts.id), `${name}.anchor`), origin),
      production: facts.mode === "production",
      accept: o.accept,
      log: o.log,
      observer: o.observe?.(name),
      witnessing,
      ticks: witnessing && { minMs: pause, maxMs: pause },
      ...rest,
    });
    opened(log);
    logs[name] = log;
  };
  if (o.wanted.has("ledger")) {
    const { origin } = facts.ledger;
    await open("ledger", origin, {
      personality: LEDGER_PERSONALITY,
      signCheckpoint: ({ size, root }) => signCheckpoint({ origin, name: origin, size: BigInt(size), root, key: keys.ledger }),
    });
    const { name, treeId } = facts.ledgerV1;
    await open("ledger-v1", originV1(name, treeId), {
      personality: LEDGER_PERSONALITY,
      signCheckpoint: ({ origin: full, size, root }) =>
        signCheckpoint({ origin: full, name, size: BigInt(size), root, key: keys["ledger-v1"] }),
    });
  }
  if (o.wanted.has("ct")) {
    await open("ct", facts.ct.origin, {
      personality: CT_PERSONALITY,
      signCheckpoint: createCtCheckpointSigner(ctSigner(o.installation)),
    });
  }
  return logs;
}

/** Search in each log that strangers may read. */
export type Searches = Readonly<Partial<Record<LogName, SearchService>>>;

/** Opens search on the logs, before anything is written to them. `opened` as with `openLogs`. */
export async function openSearches(o: LogsOptions, logs: Logs, opened: (search: SearchService) => void): Promise<Searches> {
  const { facts, keys, layout, settings } = o.installation;
  const searches: Partial<Record<LogName, SearchService>> = {};
  const open = async (at: LogName, name: string, kind: "artifacts" | "certificates"): Promise<void> => {
    const log = logs[at];
    if (log === undefined) return;
    const blobs = createFileBlobStore(createFileSystem(), layout.log(at));
    const search = await openSearch({ log, blobs, kind, name, key: keys[at], now: o.now, logger: o.log });
    opened(search);
    searches[at] = search;
  };
  await open("ledger", facts.ledger.origin, "artifacts");
  await open("ledger-v1", facts.ledgerV1.name, "artifacts");
  if (settings.ct.monitor) await open("ct", facts.ct.origin, "certificates");
  return searches;
}

/** How the CT log signs: promises and checkpoints with one key. */
export function ctSigner({ keys }: Installation): CtSigner {
  const key = keys.ct;
  const algorithm = defaultAlgorithm(key.publicKey);
  return { logId: sha256(key.publicKey.spki), sign: (message) => signMessage(algorithm, key, message) };
}

/** The directory of an installation's anchors. */
export function anchorDirectory(stateDir: string | undefined, id: string): string {
  return join(stateDir ?? envPaths("lacre", { suffix: "" }).log, id);
}

/** Resolves when a log has stopped by itself: the process should end, and start again from what the disk holds. */
export function firstFailure(logs: Logs): Promise<Error> {
  return new Promise((resolve) => {
    for (const log of Object.values(logs)) void log.ended.then((failure) => failure !== undefined && resolve(failure));
  });
}
