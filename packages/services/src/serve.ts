// SPDX-License-Identifier: Apache-2.0
/**
 * Configuration in, running services out: one directory, one process, one listener.
 *
 * Order of a start, and why: the address is tried first (nothing is touched when it is taken); the directory is locked
 * and opened or created; the trusted root is published before any key signs; the logs recover; the doors open last, so
 * whoever gets an answer gets a good one. A failure on the way closes what was opened, in reverse.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { noteKeyId } from "@lacre/core/bundle";
import type { Fetch } from "@lacre/core/client";
import type { Json } from "@lacre/core/codec";
import { defaultAlgorithm, signMessage } from "@lacre/core/crypto";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import {
  createAnchoredFetch,
  createAuthorityService,
  createDiscovery,
  createIssuerTable,
  decodeIssuers,
  emailIssuer,
  registerAuthority,
} from "./ca/index.ts";
import { parseConfig as parseConfigFile, type ConfigFile } from "./config.ts";
import { createCtService, createDirectCtClient, registerCt, type CtService } from "./ct/index.ts";
import { checkProxies, createEdge, createLocalFetch } from "./edge/index.ts";
import { ServiceError } from "./errors.ts";
import { createHealth, keepFresh } from "./health/index.ts";
import { createIdentityProvider, importIdentityKey, registerIdp } from "./idp/index.ts";
import {
  createTrustDocuments,
  openInstallation,
  openKey,
  writeTrustFiles,
  type Installation,
  type Offered,
} from "./installation/index.ts";
import {
  createLedgerService,
  createLedgerV1Service,
  createVerification,
  registerLedger,
  registerLedgerV1,
} from "./ledger/index.ts";
import { findPlace, openDoors, parseListen, type Listen, type Place } from "./listen.ts";
import { formatPolicies } from "./logkeys.ts";
import { anchorDirectory, ctSigner, firstFailure, openLogs, openSearches, type Logs, type Searches } from "./logs.ts";
import { createMeasures, expiriesOf, measureAll, openPackers, serveMetrics, type Measures, type Packers } from "./operations.ts";
import { registerSearch } from "./search/index.ts";
import { measureWatchers } from "./metrics/index.ts";
import { openMonitoring } from "./monitoring.ts";
import { openQuorums, type Quorums } from "./quorums.ts";
import { createFileBlobStore, createFileSystem } from "./store/index.ts";
import { createClockService, registerTsa } from "./tsa/index.ts";
import { createTrustService, registerTuf, type TrustService } from "./tuf/index.ts";
import { createWitnessService, openWitnessStore, originHash, registerWitness, type WitnessService } from "./witness/index.ts";

export { SERVICE_CODES, ServiceError, type ServiceCode } from "./errors.ts";
export { parseListen, type Listen } from "./listen.ts";

/** Reads a configuration as a start would, to its end. Throws ServiceError CONFIG_INVALID, DIRECTORY_FOREIGN. */
export function parseConfig(input: Uint8Array | string, where: string): ConfigFile {
  const file = parseConfigFile(input, where);
  decodeIssuers(file.settings.ca.issuers as Json);
  checkProxies(file.settings.edge.proxies);
  if (file.settings.metrics.listen !== "") parseListen(file.settings.metrics.listen);
  return file;
}

/** The parts that may be served. */
export type ServiceName = "ca" | "ct" | "idp" | "ledger" | "tsa" | "tuf" | "witness";
export const SERVICE_NAMES: readonly ServiceName[] = ["ca", "ct", "idp", "ledger", "tsa", "tuf", "witness"];

export interface UpOptions {
  /** The data directory; created with everything in it when it does not exist. */
  readonly dir: string;
  readonly listen: Listen;
  /** A configuration file in place of the settings in the directory. */
  readonly config?: string | undefined;
  /** Serve only these parts. */
  readonly only?: ReadonlySet<ServiceName> | undefined;
  /** The operator's word that trees of these sizes and roots are the right ones, where the anchors are missing or ahead. */
  readonly accept?: readonly { readonly size: number; readonly root: Uint8Array }[] | undefined;
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
  /** Where `/metrics` has a listener of its own, if it has. */
  readonly metricsUrl: string | undefined;
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

/** What the parts are made of. */
interface Parts {
  readonly app: FastifyInstance;
  readonly place: Place;
  readonly installation: Installation;
  readonly logs: Logs;
  readonly searches: Searches;
  readonly packers: Packers;
  readonly measures: Measures;
  /** One service, for the doors and for the authority in this process. */
  readonly ct: CtService | undefined;
  readonly witness: WitnessService | undefined;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
  readonly log: FastifyBaseLogger | undefined;
}

async function start(o: UpOptions, closers: (() => void | Promise<void>)[], closeAll: () => Promise<void>): Promise<Running> {
  const { log } = o;
  const now = o.now ?? Date.now;
  const random = o.random ?? ((length: number) => randomBytes(length));
  const services = new Set(o.only ?? SERVICE_NAMES);
  // The authority gives nothing out that its CT log has not promised, and that log is where its key is: here.
  if (services.has("ca")) services.add("ct");
  const place = await findPlace(o.listen);

  const installation = openInstallation({ dir: o.dir, config: o.config, now, random });
  closers.push(() => installation.release());
  const trust = openTrust(installation, now, log);
  closers.push(() => trust.close());
  const documents = createTrustDocuments(installation, place.url, new Set([...services].filter(isOffered)));
  trust.publish(documents.targets, o.accept !== undefined);
  const quorums = openQuorums({
    installation,
    wanted: services,
    anchors: anchorDirectory(o.stateDir, installation.facts.id),
    fetch: globalThis.fetch as Fetch,
    log,
  });
  writeTrustFiles(installation.layout.trust, documents, trust.firstRoot(), formatPolicies(installation, services, place.url));

  const measures = createMeasures(now);
  const wanted = {
    installation,
    wanted: services,
    stateDir: o.stateDir,
    accept: o.accept,
    quorums,
    observe: measures.logs.observe,
    now,
    log,
  };
  const logs = await openLogs(wanted, (one) => closers.push(() => one.close()));
  const searches = await openSearches(wanted, logs, (one) => closers.push(() => one.close()));
  const witness = openWitness(installation, services, { isAsked: o.only?.has("witness") ?? false, now, log });
  const { settings } = installation;
  const expiries = expiriesOf(installation, services, trust);
  const localFetch = createLocalFetch({ app: () => app, origins: [place.url], elsewhere: globalThis.fetch as Fetch });
  const monitor = openMonitoring({ installation, logs, url: place.url, fetch: localFetch, now, log });
  // A witnessed log publishes at its interval: what waits for that is not late.
  const interval = Object.keys(quorums).length > 0 ? Math.ceil(settings.witnesses.intervalSeconds) : 0;
  const health = createHealth({
    logs,
    config: { ...settings.health, publishWithinSeconds: settings.health.publishWithinSeconds + interval },
    expiries,
    now,
    more: (name) => ({
      ...(name in quorums ? { witnesses: quorums[name as keyof Quorums]!.health() } : {}),
      ...(name in searches ? { search: searches[name as keyof Searches]!.index.state } : {}),
    }),
    parts: {
      ...(witness === undefined ? {} : { witness: () => ({ name: witness.name, vkeys: witness.vkeys, ...witness.health() }) }),
      ...(monitor === undefined ? {} : { monitor: () => ({ ...monitor.status(), problems: monitor.problems() }) }),
    },
  });
  const app: FastifyInstance = createEdge({ log, health, ...settings.edge, now, observer: measures.doors });
  closers.push(() => app.close());
  closers.push(keepFresh(logs, settings.health.renewMinutes * 60_000, now));
  const packers = openPackers(installation, logs, log);
  for (const packer of Object.values(packers)) closers.push(() => packer.close());
  const parts: Parts = {
    app,
    place,
    installation,
    logs,
    searches,
    packers,
    measures,
    ct: openCt(installation, logs, now),
    witness,
    now,
    random,
    log,
  };

  for (const name of SERVICE_NAMES) if (services.has(name) && name !== "tuf") MOUNT[name](parts, services);
  if (services.has("tuf")) registerTuf(app, trust);
  app.get("/", { config: { errors: "text" } }, (_request, reply) =>
    reply.type("text/html; charset=utf-8").send(frontPage(installation, place.url)),
  );

  measureWatchers(measures.metrics, {
    monitor: monitor && (() => monitor.status()),
    quorums: Object.fromEntries(Object.entries(quorums).map(([name, quorum]) => [name, () => quorum.health()])),
    contradictions: witness && (() => witness.health().contradictions),
  });
  measureAll(measures, { installation, logs, searches, expiries, health, app, now });
  const metrics = await serveMetrics(app, measures.metrics, installation, health, log);
  closers.push(() => metrics.close());
  closers.push(await openDoors(app, place));
  if (monitor !== undefined) closers.push(() => monitor.close());
  monitor?.start();
  let closing: Promise<void> | undefined;
  return {
    url: place.url,
    metricsUrl: metrics.url,
    installation,
    services,
    failed: firstFailure(logs),
    close: () => (closing ??= closeAll()),
  };
}

const MOUNT: Readonly<Record<Exclude<ServiceName, "tuf">, (parts: Parts, services: ReadonlySet<ServiceName>) => void>> = {
  ca({ app, place, installation, ct, now, random, log }, services) {
    const { keys, certificates, settings } = installation;
    const fetch = createLocalFetch({ app: () => app, origins: [place.url], elsewhere: globalThis.fetch as Fetch });
    const issuing = keys["ca-issuing"];
    const algorithm = defaultAlgorithm(issuing.publicKey);
    const development =
      installation.facts.mode === "development" && services.has("idp") ? [emailIssuer(`${place.url}/oidc`)] : [];
    const service = createAuthorityService({
      chain: [certificates["ca-issuing"], certificates["ca-root"]],
      algorithm,
      sign: (tbs) => signMessage(algorithm, issuing, tbs),
      // In this process, so neither by HTTP nor doubted: a log elsewhere gets createCtClient and `ctLog`.
      ct: createDirectCtClient(ct!),
      issuers: createIssuerTable([...decodeIssuers(settings.ca.issuers as Json), ...development]),
      discovery: createDiscovery({ fetch, fetchTrusting: createAnchoredFetch, now }),
      now,
      random,
      log,
    });
    registerAuthority(app, service);
  },
  ct({ app, installation, ct, searches, packers }) {
    registerCt(app, ct!, { ...installation.settings.ct, packed: packers.ct?.read });
    if (searches.ct !== undefined) registerSearch(app, "/ct", searches.ct);
  },
  idp({ app, place, installation, now, log }) {
    if (installation.facts.mode !== "development") return;
    registerIdp(
      app,
      createIdentityProvider({ issuer: `${place.url}/oidc`, key: importIdentityKey(installation.keys.idp.pkcs8), now, log }),
    );
  },
  ledger({ app, installation, logs, searches, packers, measures }) {
    const log = logs.ledger!;
    // One core is this thread's, one the disk's and the collector's; a thread on a core that is busy only costs.
    const verification = createVerification({ threads: Math.max(0, Math.min(8, availableParallelism() - 2)) });
    app.addHook("onClose", async () => verification.close());
    const logId = noteKeyId(log.origin, installation.keys.ledger.publicKey);
    registerLedger(app, createLedgerService({ log, logId, verification, onLogged: measures.logs.logged }), {
      packed: packers.ledger?.read,
    });
    const blobs = createFileBlobStore(createFileSystem(), installation.layout.log("ledger-v1"));
    const { treeId } = installation.facts.ledgerV1;
    registerLedgerV1(
      app,
      createLedgerV1Service({
        log: logs["ledger-v1"]!,
        treeId,
        key: installation.keys["ledger-v1"],
        verification,
        blobs,
        index: searches["ledger-v1"],
      }),
    );
    registerSearch(app, "/api/v2", searches.ledger!);
    registerSearch(app, "/api/v1", searches["ledger-v1"]!, { files: true });
  },
  witness({ app, witness }) {
    if (witness !== undefined) registerWitness(app, witness);
  },
  tsa({ app, installation, now, random }) {
    const { keys, certificates, settings } = installation;
    const signer = { certificate: certificates.tsa, intermediates: [], key: keys.tsa };
    registerTsa(app, createClockService({ signer, root: certificates["tsa-root"].der, config: settings.tsa, now, random }));
  },
};

function openCt(installation: Installation, logs: Logs, now: () => number): CtService | undefined {
  if (logs.ct === undefined) return undefined;
  const blobs = createFileBlobStore(createFileSystem(), installation.layout.log("ct"));
  return createCtService({ ...ctSigner(installation), log: logs.ct, roots: [installation.certificates["ca-root"]], blobs, now });
}

/** The witness, where logs are configured for it. Its record is made before its keys: see the room. Throws CONFIG_INVALID, DIRECTORY_DAMAGED. */
function openWitness(
  { facts, layout, settings }: Installation,
  services: ReadonlySet<ServiceName>,
  { isAsked, now, log }: { readonly isAsked: boolean; readonly now: () => number; readonly log: FastifyBaseLogger | undefined },
): WitnessService | undefined {
  const { logs, keys: types, name } = settings.witness;
  if (!services.has("witness")) return undefined;
  if (logs.length === 0) {
    if (isAsked)
      throw new ServiceError("CONFIG_INVALID", "A witness has to know the logs that it watches over: set witness.logs", {
        detail: layout.config,
      });
    return undefined;
  }
  const paths = types.map((type) => [type, join(layout.dir, "keys", `witness-${type.toLowerCase()}.pem`)] as const);
  const store = openWitnessStore(join(layout.dir, "witness", "witness.db"), {
    hasKeys: paths.some(([, path]) => existsSync(path)),
    hashOf: originHash,
  });
  try {
    const keys = paths.map(([type, path]) => openKey(path, type));
    return createWitnessService({
      name: name === "" ? `witness.${facts.id}.lacre.localhost` : name,
      logs,
      keys,
      store,
      now,
      log,
    });
  } catch (error) {
    store.close();
    throw error;
  }
}

function openTrust(installation: Installation, now: () => number, log: FastifyBaseLogger | undefined): TrustService {
  const { keys, layout, settings } = installation;
  return createTrustService({
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
    onFailure: (error) => log?.error({ err: error }, "trust metadata could not be renewed"),
  });
}

function isOffered(name: ServiceName): name is Offered {
  return name === "ca" || name === "ledger" || name === "tsa" || name === "idp";
}

function frontPage({ facts }: Installation, url: string): string {
  const banner =
    facts.mode === "development"
      ? "<p><strong>Development installation:</strong> it gives an identity to anybody who asks.</p>"
      : "";
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>lacre ${facts.id}</title>
<h1>lacre</h1>${banner}
<p>Installation ${facts.id}, ledger ${facts.ledger.origin}.</p>
<ul><li><a href="/tuf/timestamp.json">trust repository</a> (${url}/tuf)</li><li><a href="/api/v2/checkpoint">checkpoint</a></li><li><a href="/healthz">health</a></li></ul>
</html>
`;
}
