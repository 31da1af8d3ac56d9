// SPDX-License-Identifier: Apache-2.0
/**
 * The audit of logs, for fsck: against nothing but their own entries. Every leaf is hashed again, every tile and root
 * computed again and compared. Nothing is written, so the server of a directory may be running.
 *
 * Of a directory, also: the journal's chain, the times beside the bundles, the index of identities, what is left over, and
 * the anchor. The checkpoint's signature is checked where there is a trusted root.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import { checkNoteSignature, noteKeyId, rekorV1KeyId, parseCheckpoint, type Checkpoint } from "@lacre/core/bundle";
import { ByteReader, concat, equalBytes, toBase64 } from "@lacre/core/bytes";
import { algorithmOf, checkSignature, sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { CompactRange, emptyRoot, hashLeaf, TILE_WIDTH, tilePath, tileWidth } from "@lacre/core/merkle";
import { decodeTrustedRoot, type TransparencyLog, type TrustedRoot } from "@lacre/core/trust";
import { CT_PERSONALITY, ctNoteKeyId, treeHeadSignedData } from "../packages/services/src/ct/index.ts";
import { createFileAnchor, type Personality } from "../packages/services/src/engine/index.ts";
import { decodeBatch } from "../packages/services/src/engine/batch.ts";
import { DEFAULT_SHAPE, key as keyOf, segmentName, spanOf } from "../packages/services/src/engine/identities.ts";
import { buildSegment, encodeSegment } from "../packages/services/src/engine/segment.ts";
import { decodeTimes, timesName } from "../packages/services/src/engine/tiles.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { LEDGER_PERSONALITY } from "../packages/services/src/ledger/index.ts";
import { anchorDirectory } from "../packages/services/src/logs.ts";
import { createFileSystem, createJournal, type Loaded } from "../packages/services/src/store/index.ts";
import { searchProblems } from "./audit-search.ts";

const PERSONALITIES: Readonly<Record<string, Personality>> = {
  ledger: LEDGER_PERSONALITY,
  "ledger-v1": LEDGER_PERSONALITY,
  ct: CT_PERSONALITY,
};

/** What was looked at and how it was. */
export class Report {
  passed = 0;
  failed = 0;
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** One thing looked at. No problems is good. */
  add(name: string, problems: readonly string[]): void {
    if (problems.length === 0) {
      this.passed++;
      this.#say(`ok     ${name}`);
      return;
    }
    this.failed++;
    this.#say(`FAILED ${name}`);
    for (const problem of problems.slice(0, 8)) this.#say(`       ${problem}`);
    if (problems.length > 8) this.#say(`       and ${problems.length - 8} more`);
  }

  /** A word beside the last thing. */
  note(text: string): void {
    this.#say(`       (${text})`);
  }
}

/** What goes wrong in `work` is a problem, not the end of the audit. */
async function problemsOf(work: () => Promise<readonly string[]> | readonly string[]): Promise<readonly string[]> {
  try {
    return await work();
  } catch (error) {
    return [describe(error)];
  }
}

function describe(error: unknown): string {
  if (error instanceof ServiceError) return `${error.code}: ${error.detail ?? error.message}`;
  if (error instanceof LacreError)
    return `${error.code}: ${error.message}${error.found === undefined ? "" : ` (${error.found})`}`;
  return error instanceof Error ? error.message : String(error);
}

/** A log's public files, by name. */
type Source = (name: string) => Promise<Uint8Array | undefined>;

/** What an audit of the entries found out, for the checks that need it. */
interface Walked {
  readonly size: number;
  readonly roots: ReadonlyMap<number, Uint8Array>;
  readonly duplicates: number;
}

/**
 * Goes through the entries once, in order. `tail` has those that are not in full bundles; without it partial bundles and
 * tiles are asked for. `roots` names the sizes at which roots are wanted.
 */
async function walk(
  report: Report,
  options: {
    readonly name: string;
    readonly source: Source;
    readonly personality: Personality;
    readonly size: number;
    readonly tail?: ((index: number) => Uint8Array | undefined) | undefined;
    readonly wanted: ReadonlySet<number>;
    readonly onIdentity?: (identity: string, index: number) => void;
  },
): Promise<Walked> {
  const { name, source, personality, size, tail, wanted } = options;
  const bundles = personality.bundles ?? "entries";
  const range = new CompactRange(sha256);
  const roots = new Map([[0, emptyRoot(sha256)]]);
  const problems = { bundles: [] as string[], tiles: [] as string[] };
  const seen = new Set<string>();
  let duplicates = 0;
  let tiles = 0;
  /** The hashes of the tile that is being filled at each level. */
  const edges: Uint8Array[][] = [];

  const compare = async (level: number, index: number, width: number): Promise<void> => {
    // The rest of a directory's log lives in its journal: no file to compare with.
    if (width < TILE_WIDTH && tail !== undefined) return;
    const path = `tile/${tilePath({ level, index, width })}`;
    const found = await source(path);
    tiles++;
    if (found === undefined) problems.tiles.push(`${path} is missing`);
    else if (!equalBytes(found, concat(...edges[level]!.slice(0, width))))
      problems.tiles.push(`${path} is not what the entries hash to`);
  };

  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = tileWidth(bundles, index, size);
    let records: (Uint8Array | undefined)[];
    const path = `tile/${tilePath({ level: bundles, index, width })}`;
    const bytes = width === TILE_WIDTH || tail === undefined ? await source(path) : undefined;
    try {
      records = bytes === undefined ? [] : personality.unframe(bytes);
      if (bytes !== undefined && records.length !== width) throw new Error(`holds ${records.length} entries`);
    } catch (error) {
      problems.bundles.push(`${path}: ${describe(error)}`);
      records = [];
    }
    if (records.length === 0) records = Array.from({ length: width }, (_, at) => tail?.(index * TILE_WIDTH + at));
    for (const [at, record] of records.entries()) {
      const place = index * TILE_WIDTH + at;
      if (record === undefined) {
        problems.bundles.push(`${path}: entry ${place} is nowhere`);
        report.add(`${name}: entries`, problems.bundles);
        return { size: place, roots, duplicates };
      }
      const other = tail?.(place);
      if (other !== undefined && !equalBytes(other, record))
        problems.bundles.push(`${path}: entry ${place} is another one in the journal`);
      const identity = keyOf(personality.identity(record));
      if (seen.has(identity)) duplicates++;
      seen.add(identity);
      options.onIdentity?.(identity, place);
      const full: [number, number][] = [];
      range.append(hashLeaf(sha256, personality.leafInput(record)), (level, node, hash) => {
        if (level % 8 !== 0) return;
        const edge = (edges[level / 8] ??= []);
        edge.push(hash);
        if (edge.length === TILE_WIDTH) full.push([level / 8, Math.floor(node / TILE_WIDTH)]);
      });
      for (const [level, tile] of full) {
        await compare(level, tile, TILE_WIDTH);
        edges[level] = [];
      }
      if (wanted.has(range.size)) roots.set(range.size, range.root());
    }
  }
  for (const [level, edge] of edges.entries()) {
    const count = Math.floor(size / TILE_WIDTH ** level);
    if (edge.length > 0) await compare(level, Math.floor(count / TILE_WIDTH), edge.length);
  }
  report.add(`${name}: ${size} entries`, problems.bundles);
  report.add(`${name}: ${tiles} tiles`, problems.tiles);
  return { size, roots, duplicates };
}

/** Whose key signs a log's checkpoints, by origin. */
function findLog(root: TrustedRoot, kind: string, origin: string): TransparencyLog | undefined {
  const name = hostOf(origin);
  const named = (log: TransparencyLog): boolean => log.name === name;
  return kind === "ct" ? (root.ctlogs.find(named) ?? root.ctlogs[0]) : root.tlogs.find(named);
}

/** The name a log signs under: its origin, which in the v1 dialect has the tree's id behind it ("host - 123"). */
function hostOf(origin: string): string {
  return origin.replace(/ - [0-9]+$/, "");
}

function checkpointProblems(kind: string, checkpoint: Checkpoint, root: TrustedRoot): readonly string[] {
  const { origin, note } = checkpoint;
  const log = findLog(root, kind, origin);
  if (log === undefined) return [`the trusted root has no log named ${origin}`];
  if (kind !== "ct") {
    const name = hostOf(origin);
    const keyId = name === origin ? noteKeyId(name, log.key) : rekorV1KeyId(log.key);
    checkNoteSignature({ note, name, keyHint: keyId.subarray(0, 4), key: log.key });
    return [];
  }
  // static-ct-api: the note's signature is that of an RFC 6962 tree head.
  const hint = ctNoteKeyId(origin, log.logId).subarray(0, 4);
  const line = note.signatures.find((one) => one.name === origin && equalBytes(one.keyHint, hint));
  if (line === undefined) return ["no signature line is of the log's name and key"];
  const reader = new ByteReader(line.signature);
  const timeMs = Number(reader.uint64());
  reader.take(2);
  checkSignature(
    algorithmOf("PKIX_ECDSA_P256_SHA_256"),
    log.key,
    { message: treeHeadSignedData(timeMs, Number(checkpoint.size), checkpoint.root) },
    reader.vector(2),
  );
  return [];
}

function sameRoot(what: string, size: number, root: Uint8Array, { roots, size: reached }: Walked): string[] {
  const found = roots.get(size);
  if (found === undefined) return [`${what} is of size ${size}, the entries reach ${reached}`];
  return equalBytes(found, root)
    ? []
    : [`${what} has root ${toBase64(root)} at size ${size}, the entries have ${toBase64(found)}`];
}

// A directory.

/** Audits every log of an installation's directory. Anchors are where `stateDir` (or the user's own) has them. */
export async function auditDirectory(
  report: Report,
  dir: string,
  { trustedRoot, stateDir }: { readonly trustedRoot?: string | undefined; readonly stateDir?: string | undefined } = {},
): Promise<void> {
  const trust = readTrust(trustedRoot ?? join(dir, "trust", "trusted_root.json"));
  const id = installationId(dir);
  const logs = existsSync(join(dir, "logs")) ? readdirSync(join(dir, "logs")).toSorted() : [];
  for (const name of logs) {
    const personality = PERSONALITIES[name];
    if (personality === undefined) report.add(`${name}: kind of log`, [`no rules for a log named ${name}`]);
    else await auditLogDirectory(report, name, join(dir, "logs", name), personality, trust, id && anchorDirectory(stateDir, id));
  }
}

function installationId(dir: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(dir, "lacre.json"), "utf8")) as { installation?: { id?: string } }).installation?.id;
  } catch {
    return undefined;
  }
}

function readTrust(path: string): TrustedRoot | undefined {
  return existsSync(path) ? decodeTrustedRoot(readFileSync(path)) : undefined;
}

async function auditLogDirectory(
  report: Report,
  name: string,
  dir: string,
  personality: Personality,
  trust: TrustedRoot | undefined,
  anchors: string | undefined,
): Promise<void> {
  const fs = createFileSystem();
  const source: Source = (file) => fs.readFile(join(dir, file));
  const bytes = await source("checkpoint");
  if (bytes === undefined) return report.add(`${name}: checkpoint`, ["there is none"]);
  let checkpoint: Checkpoint | undefined;
  report.add(
    `${name}: checkpoint`,
    await problemsOf(() => {
      checkpoint = parseCheckpoint(Buffer.from(bytes).toString());
      return trust === undefined ? [] : checkpointProblems(name, checkpoint, trust);
    }),
  );
  if (checkpoint === undefined) return;
  if (trust === undefined) report.note("no trusted root: the signature was not checked");
  const { origin } = checkpoint;

  let loaded: Loaded | undefined;
  report.add(
    `${name}: journal`,
    await problemsOf(async () => {
      loaded = await loadJournal(dir, origin);
      return loaded === undefined ? ["there is none"] : [];
    }),
  );
  if (loaded === undefined) return;

  const { state, base, commits } = loaded;
  const records = commits.flatMap(({ body }) => decodeBatch(body));
  const anchor = anchors === undefined ? undefined : await createFileAnchor(join(anchors, `${name}.anchor`), origin, fs).read();
  const wanted = new Set([
    Number(checkpoint.size),
    base.size,
    ...commits.map(({ next }) => next.size),
    ...(anchor === undefined ? [] : [anchor.size]),
  ]);
  const identities: string[] = [];
  const walked = await walk(report, {
    name,
    source,
    personality,
    size: state.size,
    wanted,
    tail: (index) => records[index - base.size],
    onIdentity: (identity, index) => void (identities[index] = identity),
  });
  report.add(`${name}: roots of the checkpoint and of ${commits.length + 1} journal frames`, [
    ...sameRoot("the checkpoint", Number(checkpoint.size), checkpoint.root, walked),
    ...[base, ...commits.map(({ next }) => next)].flatMap(({ size, root }) => sameRoot("a frame", size, root, walked)),
  ]);
  if (anchor !== undefined) report.add(`${name}: anchor`, sameRoot("the anchor", anchor.size, anchor.root, walked));
  const sealed = base.size - (base.size % TILE_WIDTH);
  report.add(
    `${name}: times`,
    await timesProblems(
      source,
      sealed,
      commits.map(({ next }) => next.timeMs),
    ),
  );
  report.add(`${name}: index`, await indexProblems(source, dir, identities, sealed));
  await auditSearch(report, name, name, origin, source, trust, walked);
  report.add(`${name}: packed bundles`, packedProblems(dir, personality));
  report.add(`${name}: nothing left over`, leftOver(dir, personality, state.size));
  if (walked.duplicates > 0) report.note(`${walked.duplicates} entries repeat an earlier one: an index was lost at some time`);
}

/** A running server may switch segments under the reader; then it is read again. */
async function loadJournal(dir: string, context: string): Promise<Loaded | undefined> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await createJournal({ fs: createFileSystem(), directory: join(dir, "journal"), context }).load();
    } catch (error) {
      if (attempt === 4) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function timesProblems(source: Source, sealed: number, tail: readonly number[]): Promise<readonly string[]> {
  const problems: string[] = [];
  let last = 0;
  const follow = (name: string, timeMs: number): void => {
    if (timeMs < last) problems.push(`${name}: time goes back from ${last} to ${timeMs}`);
    last = timeMs;
  };
  for (let index = 0; index < sealed / TILE_WIDTH; index++) {
    const name = timesName(index);
    const bytes = await source(name);
    if (bytes === undefined) problems.push(`${name} is missing`);
    else problems.push(...(await problemsOf(() => (decodeTimes(bytes).forEach((timeMs) => follow(name, timeMs)), []))));
  }
  tail.forEach((timeMs) => follow("journal", timeMs));
  return problems;
}

async function indexProblems(
  source: Source,
  dir: string,
  identities: readonly string[],
  sealed: number,
): Promise<readonly string[]> {
  const problems: string[] = [];
  let from = 0;
  for (let level = DEFAULT_SHAPE.fans.length; level >= 0; level--) {
    const span = spanOf(DEFAULT_SHAPE, level);
    for (; from + span <= sealed; from += span) {
      const name = segmentName(level, from / span);
      const found = await source(name);
      // A merge that was not finished has the smaller ones in place.
      if (found === undefined && level > 0) break;
      const wanted = encodeSegment(
        buildSegment(
          from,
          identities.slice(from, from + span).map((identity, at) => [identity, from + at] as const),
          span,
        ),
      );
      if (found === undefined) problems.push(`${name} is missing (the next start makes it)`);
      else if (!equalBytes(found, wanted)) problems.push(`${name} is not what the entries say`);
    }
  }
  for (const file of filesBelow(join(dir, "index", "identity")))
    if (!/^\d\/(?:x\d{3}\/)*\d{3}$/.test(file)) problems.push(`index/identity/${file} does not belong here`);
  return problems;
}

/** The search index, where there is one and the key that signs it is known. */
async function auditSearch(
  report: Report,
  name: string,
  kind: string,
  origin: string,
  source: Source,
  trust: TrustedRoot | undefined,
  { roots }: Walked,
): Promise<void> {
  const log = trust && findLog(trust, kind, origin);
  if (log === undefined) return;
  const audit = {
    source,
    kind: kind === "ct" ? "certificates" : "artifacts",
    origin,
    name: hostOf(origin),
    key: log.key,
    rootAt: (size: number) => roots.get(size),
  } as const;
  let isThere = true;
  const problems = await problemsOf(async () => {
    const found = await searchProblems(audit);
    isThere = found !== undefined;
    return found ?? [];
  });
  if (isThere) report.add(`${name}: search index`, problems);
}

function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)));
}

/** A web server hands packed bundles out in place of the plain ones. */
function packedProblems(dir: string, personality: Personality): string[] {
  const folder = join(dir, "tile", personality.bundles ?? "entries");
  return filesBelow(folder)
    .filter((file) => file.endsWith(".gz"))
    .flatMap((file) => {
      const plain = join(folder, file.slice(0, -".gz".length));
      try {
        const bytes = readFileSync(plain);
        if (equalBytes(gunzipSync(readFileSync(join(folder, file)), { maxOutputLength: bytes.length + 1 }), bytes)) return [];
      } catch (error) {
        const longer = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
        if (!longer) return [`${file} cannot be unpacked, or has no bundle beside it; remove it`];
      }
      return [`${file} is not the bundle beside it; remove it, and it is made again`];
    });
}

/** Tiles and bundles that no tree of this size has; halves of writes are not counted. */
function leftOver(dir: string, personality: Personality, size: number): string[] {
  const bundles = personality.bundles ?? "entries";
  return filesBelow(join(dir, "tile"))
    .filter((file) => !file.endsWith(".tmp") && !file.endsWith(".gz"))
    .flatMap((file) => {
      const [level, ...groups] = file.split("/");
      const index = Number(groups.join("").replaceAll("x", ""));
      const known = level === bundles ? bundles : Number(level);
      return Number.isInteger(index) &&
        (known === bundles || Number.isInteger(known)) &&
        tileWidth(known, index, size) === TILE_WIDTH
        ? []
        : [`tile/${file}`];
    });
}

// A server.

const PREFIXES: readonly { readonly prefix: string; readonly kind: string }[] = [
  { prefix: "/api/v2", kind: "ledger" },
  { prefix: "/ct", kind: "ct" },
  { prefix: "", kind: "ledger" },
];

/** Audits every log that answers at a URL: the two dialects' and the CT log's addresses below it, or the log at the URL itself. */
export async function auditServer(
  report: Report,
  url: string,
  { trustedRoot }: { readonly trustedRoot?: string | undefined } = {},
): Promise<void> {
  const trust = trustedRoot === undefined ? undefined : readTrust(trustedRoot);
  let found = false;
  for (const { prefix, kind } of PREFIXES) {
    if (found && prefix === "") continue;
    const base = url.replace(/\/+$/, "") + prefix;
    const source: Source = async (name) => {
      const answer = await fetch(`${base}/${name}`);
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw new Error(`${base}/${name} answered ${answer.status}`);
      return new Uint8Array(await answer.arrayBuffer());
    };
    const bytes = await source("checkpoint").catch(() => undefined);
    if (bytes === undefined) continue;
    found = true;
    let checkpoint: Checkpoint | undefined;
    report.add(
      `${base}: checkpoint`,
      await problemsOf(() => {
        checkpoint = parseCheckpoint(Buffer.from(bytes).toString());
        return trust === undefined ? [] : checkpointProblems(kind, checkpoint, trust);
      }),
    );
    if (checkpoint === undefined) continue;
    if (trust === undefined) report.note("no --trusted-root: the signature was not checked");
    const size = Number(checkpoint.size);
    const walked = await walk(report, { name: base, source, personality: PERSONALITIES[kind]!, size, wanted: new Set([size]) });
    report.add(`${base}: root`, sameRoot("the checkpoint", size, checkpoint.root, walked));
    await auditSearch(report, base, kind, checkpoint.origin, source, trust, walked);
  }
}
