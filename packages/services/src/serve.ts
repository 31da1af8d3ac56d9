// SPDX-License-Identifier: Apache-2.0
/**
 * Configuration in, running services out: one directory, one process, one listener.
 *
 * Order of a start, and why: the address is tried first (nothing is touched when it is taken); the directory is locked
 * and opened or created; the logs recover; the trusted root is published before any key signs; the doors open last, so
 * whoever gets an answer gets a good one. A failure on the way closes what was opened, in reverse.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import envPaths from "env-paths";
import type { FastifyBaseLogger } from "fastify";
import { noteKeyId, signCheckpoint } from "@lacre/core/bundle";
import { createEdge } from "./edge/index.ts";
import { createFileAnchor, openLog, type Log, type LogOptions } from "./engine/index.ts";
import { ServiceError } from "./errors.ts";
import { createIdentityProvider, importIdentityKey, registerIdp } from "./idp/index.ts";
import { createTrustDocuments, openInstallation, writeTrustFiles, type Installation, type Offered } from "./installation/index.ts";
import { createLedgerService, LEDGER_PERSONALITY, registerLedger } from "./ledger/index.ts";
import { findPlace, openDoors, type Listen } from "./listen.ts";
import { createClockService, registerTsa } from "./tsa/index.ts";
import { createTrustService, registerTuf } from "./tuf/index.ts";

export { parseConfig } from "./config.ts";
export { SERVICE_CODES, ServiceError, type ServiceCode } from "./errors.ts";
export { parseListen, type Listen } from "./listen.ts";

/** The parts that may be served. */
export type ServiceName = "ca" | "ct" | "idp" | "ledger" | "tsa" | "tuf";
export const SERVICE_NAMES: readonly ServiceName[] = ["ca", "ct", "idp", "ledger", "tsa", "tuf"];

export interface UpOptions {
  /** The data directory; created with everything in it when it does not exist. */
  readonly dir: string;
  readonly listen: Listen;
  /** A configuration file in place of the settings in the directory. */
  readonly config?: string | undefined;
  /** Serve only these parts. */
  readonly only?: ReadonlySet<ServiceName> | undefined;
  /** The operator's word that a tree of this size and root is the right one, where the anchor is missing or ahead. */
  readonly accept?: { readonly size: number; readonly root: Uint8Array } | undefined;
  readonly log?: FastifyBaseLogger | undefined;
  readonly now?: () => number;
  readonly random?: (length: number) => Uint8Array;
  /** Where anchors are kept; the user's state directory unless given. */
  readonly stateDir?: string | undefined;
}

/** A running installation. */
export interface Running {
  /** Where it answers, without a slash at the end. */
  readonly url: string;
  readonly installation: Installation;
  readonly services: ReadonlySet<ServiceName>;
  /** Resolves when a part has failed in a way that ends the process; never rejects. */
  readonly failed: Promise<Error>;
  /** Stops taking requests, lets those under way end, and gives everything back. Further calls return the same promise. */
  close(): Promise<void>;
}

/** Serves the installation in a directory. Resolves when requests succeed. Throws ServiceError. */
export async function up(o: UpOptions): Promise<Running> {
  const closers: (() => void | Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) {
      try {
        await close();
      } catch (error) {
        o.log?.error({ err: error }, "closing failed");
      }
    }
  };
  try {
    return await start(o, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function start(o: UpOptions, closers: (() => void | Promise<void>)[], closeAll: () => Promise<void>): Promise<Running> {
  const now = o.now ?? Date.now;
  const random = o.random ?? ((length: number) => randomBytes(length));
  const services = new Set(o.only ?? SERVICE_NAMES);
  const place = await findPlace(o.listen);

  const installation = openInstallation({ dir: o.dir, config: o.config, now, random });
  closers.push(() => installation.release());
  const { keys, certificates, settings, layout } = installation;

  const logs = await openLogs(o, installation, services, now);
  for (const log of Object.values(logs)) closers.push(() => log.close());

  const app = createEdge({ log: o.log, health: () => healthOf(logs, now()) });
  closers.push(() => app.close());
  app.get("/", (_request, reply) => reply.type("text/html; charset=utf-8").send(frontPage(installation, place.url)));

  const tuf = createTrustService({
    dir: layout.tuf,
    rootKey: keys["tuf-root"],
    onlineKey: keys["tuf-online"],
    lives: {
      timestampMs: settings.tuf.timestampLifeSeconds * 1000,
      snapshotMs: settings.tuf.snapshotLifeSeconds * 1000,
      targetsMs: settings.tuf.targetsLifeSeconds * 1000,
      rootMs: settings.tuf.rootLifeSeconds * 1000,
    },
    now,
    onFailure: (error) => o.log?.error({ err: error }, "trust metadata could not be renewed"),
  });
  closers.push(() => tuf.close());
  const documents = createTrustDocuments(installation, place.url, new Set([...services].filter(isOffered)));
  tuf.publish(documents.targets);
  writeTrustFiles(layout.trust, documents, tuf.firstRoot());

  if (services.has("tuf")) registerTuf(app, tuf);
  if (logs.ledger !== undefined) {
    registerLedger(app, createLedgerService({ log: logs.ledger, logId: noteKeyId(logs.ledger.origin, keys.ledger.publicKey) }));
  }
  if (services.has("tsa")) {
    const signer = { certificate: certificates.tsa, intermediates: [], key: keys.tsa };
    registerTsa(app, createClockService({ signer, root: certificates["tsa-root"].der, config: settings.tsa, now, random }));
  }
  if (services.has("idp")) {
    registerIdp(app, createIdentityProvider({ issuer: `${place.url}/oidc`, key: importIdentityKey(keys.idp.pkcs8), now, log: o.log }));
  }

  closers.push(await openDoors(app, place));
  let closing: Promise<void> | undefined;
  return {
    url: place.url,
    installation,
    services,
    failed: firstFailure(Object.values(logs)),
    close: () => (closing ??= closeAll()),
  };
}

/** The logs that the wanted services need. A log that fails to open closes those before it. */
async function openLogs(o: UpOptions, { layout, facts, keys }: Installation, services: ReadonlySet<ServiceName>, now: () => number): Promise<Readonly<Partial<Record<"ledger", Log>>>> {
  const stateDir = join(o.stateDir ?? envPaths("lacre", { suffix: "" }).log, facts.id);
  const common = (name: string, origin: string): Pick<LogOptions, "dir" | "origin" | "now" | "anchor" | "production" | "accept" | "log"> => ({
    dir: layout.log(name),
    origin,
    now,
    anchor: createFileAnchor(join(stateDir, `${name}.anchor`), origin),
    production: facts.mode === "production",
    accept: o.accept,
    log: o.log,
  });
  const logs: Partial<Record<"ledger", Log>> = {};
  if (services.has("ledger")) {
    const { origin } = facts.ledger;
    logs.ledger = await openLog({
      ...common("ledger", origin),
      personality: LEDGER_PERSONALITY,
      signCheckpoint: ({ size, root }) => signCheckpoint({ origin, name: origin, size: BigInt(size), root, key: keys.ledger }),
    });
  }
  return logs;
}

/** What `/healthz` says: serving while every log takes entries, and how fresh each published checkpoint is. */
function healthOf(logs: Readonly<Record<string, Log | undefined>>, nowMs: number): { readonly ready: boolean; readonly [name: string]: unknown } {
  const states = Object.entries(logs).flatMap(([name, log]) => (log === undefined ? [] : [[name, log.health()] as const]));
  const members = states.map(([name, { status, committed, published, timeMs }]) => [name, { status, committed, published, checkpointAgeSeconds: Math.max(0, Math.round((nowMs - timeMs) / 1000)) }]);
  return { ready: states.every(([, { status }]) => status === "serving"), ...Object.fromEntries(members) };
}

/** A log that has stopped takes no more entries: the process should end and start again from what the disk holds. */
function firstFailure(logs: readonly Log[]): Promise<Error> {
  return new Promise((resolve) => {
    for (const log of logs) void log.ended.then((failure) => failure !== undefined && resolve(failure));
  });
}

function isOffered(name: ServiceName): name is Offered {
  return name === "ca" || name === "ledger" || name === "tsa" || name === "idp";
}

function frontPage({ facts }: Installation, url: string): string {
  const banner = facts.mode === "development" ? "<p><strong>Development installation:</strong> it gives an identity to anybody who asks.</p>" : "";
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>lacre ${facts.id}</title>
<h1>lacre</h1>${banner}
<p>Installation ${facts.id}, ledger ${facts.ledger.origin}.</p>
<ul><li><a href="/tuf/timestamp.json">trust repository</a> (${url}/tuf)</li><li><a href="/api/v2/checkpoint">checkpoint</a></li><li><a href="/healthz">health</a></li></ul>
</html>
`;
}
