// SPDX-License-Identifier: Apache-2.0
/**
 * Which log the `log` commands read, and how: by its files, from an address or a folder, with the key that the trusted root
 * has for it. The source is believed in nothing.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseCheckpoint } from "@lacre/core/bundle";
import { text as decodeText, toBase64, toHex } from "@lacre/core/bytes";
import { describeEntry, type EntryFacts } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { decodeTileLeaf, type ProvenEntry } from "@lacre/core/log";
import {
  answerSource,
  createSearchReader,
  fetchSearch,
  type SearchLog,
  type SearchReader,
  type SearchSource,
} from "@lacre/core/search";
import type { TrustedRoot } from "@lacre/core/trust";
import { type Certificate, decodeCertificate, readIdentity } from "@lacre/core/x509";
import type { Context } from "../../context.ts";
import { CliError, fileError } from "../../errors.ts";
import { GLOBAL_FLAGS } from "../../globals.ts";
import { plain } from "../../terminal.ts";
import { findSigningConfig, findTrustedRoot } from "../../trust.ts";
import { choice, type FlagTable, type FlagValues, text } from "../../verb.ts";

export const LOG_FLAGS = {
  log: choice(["ledger", "ledger-v1", "ct"], "Which of the installation's logs (default ledger)"),
  url: text(
    "Where the log's files are: an address such as http://localhost:7800/api/v2, or a folder; default: the installation's",
    { placeholder: "url|folder" },
  ),
  trustedRoot: text("The trusted root that has the log's key", { placeholder: "file" }),
  signingConfig: text("The signing config that has the log's address", { placeholder: "file" }),
  dir: text("Data directory of the installation", { placeholder: "dir" }),
  output: choice(["text", "json"], "How to report", { alias: "o" }),
  ...GLOBAL_FLAGS,
} as const satisfies FlagTable;

export type LogFlags = FlagValues<typeof LOG_FLAGS>;

/** A log that is about to be read. */
export interface OpenLog {
  readonly log: SearchLog;
  readonly source: SearchSource;
  readonly reader: SearchReader;
  /** Where its files come from, for people. */
  readonly where: string;
  /** Asks the log's search service, which may save many small requests; undefined where there is none. */
  readonly ask: (query: string) => Promise<SearchSource | undefined>;
}

/** Opens the log that the flags mean. Throws what finding trust and services throws; LOG_INCOMPLETE, LOG_UNKNOWN. */
export async function openLog(context: Context, flags: LogFlags): Promise<OpenLog> {
  const where = flags.url ?? (await findAddress(context, flags));
  const isAddress = /^https?:\/\//.test(where);
  if (!isAddress && /^[a-z]+:\/\//.test(where)) throw new CliError("USAGE", "--url is an http or https address, or a folder");
  const source = isAddress ? fetchSearch({ url: where, fetch: context.fetch }) : folderSource(resolve(context.cwd, where));
  const { value: root } = await findTrustedRoot(context, flags);
  const log = await recognise(root, source, flags);
  return {
    log,
    source,
    reader: createSearchReader({ source, log }),
    where,
    ask: (query) => (isAddress ? askService(context, where, query, source) : Promise.resolve(undefined)),
  };
}

async function findAddress(context: Context, flags: LogFlags): Promise<string> {
  const { value: config } = await findSigningConfig(context, flags);
  const which = flags.log ?? "ledger";
  const version = which === "ledger-v1" ? 1 : 2;
  const service =
    which === "ct" ? config.caUrls[0] : config.rekorTlogUrls.find(({ majorApiVersion }) => majorApiVersion === version);
  if (service === undefined)
    throw new CliError("SERVICES_MISSING", `the signing config names no ${which}`, {
      hint: "Give the log's address with --url.",
    });
  return `${service.url.replace(/\/+$/, "")}${which === "ct" ? "/ct" : `/api/v${version}`}`;
}

function folderSource(folder: string): SearchSource {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return await readFile(join(folder, path));
    } catch (cause) {
      if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw fileError("FILE_UNREADABLE", join(folder, path), cause);
    }
  };
  return { file: read, range: async (path, offset, length) => (await read(path))?.subarray(offset, offset + length) };
}

async function askService(context: Context, where: string, query: string, rest: SearchSource): Promise<SearchSource | undefined> {
  const answer = await context.fetch(`${where.replace(/\/+$/, "")}/search?${query}`).catch(() => undefined);
  // No such service, or not now: the files answer as well.
  if (answer?.status !== 200) return undefined;
  try {
    return answerSource(new Uint8Array(await answer.arrayBuffer()), rest);
  } catch (cause) {
    if (cause instanceof LacreError) return undefined;
    throw cause;
  }
}

/** The log by the origin of its checkpoint, which is believed for nothing but finding the key that has to have signed it. */
async function recognise(root: TrustedRoot, source: SearchSource, flags: LogFlags): Promise<SearchLog> {
  const bytes = await source.file("checkpoint");
  if (bytes === undefined) throw new LacreError("LOG_INCOMPLETE", "there is no checkpoint at this address");
  const { origin } = parseCheckpoint(decodeText(bytes));
  const ct = root.ctlogs.find(({ name }) => name === origin) ?? (flags.log === "ct" ? root.ctlogs[0] : undefined);
  if (ct !== undefined) return { origin, key: ct.key, kind: "certificates" };
  // Rekor's v1 logs add the number of their tree.
  const name = origin.replace(/ - \d+$/, "");
  const log = root.tlogs.find((one) => one.name === name);
  if (log === undefined)
    throw new LacreError("LOG_UNKNOWN", `the trusted root does not know the log ${plain(origin.slice(0, 120))}`);
  return { origin, name, key: log.key, kind: "artifacts" };
}

/** Reads an index from the command line. Throws USAGE. */
export function readIndex(given: string, what: string): number {
  const index = Number(given);
  if (!/^\d{1,15}$/.test(given)) throw new CliError("USAGE", `${what} is a number, not ${JSON.stringify(given.slice(0, 40))}`);
  return index;
}

/** What an entry says, for people and programs. */
export interface Told {
  readonly kind: string;
  /** Who signed, or what was certified: names, or the key's hash. */
  readonly who: readonly string[];
  readonly issuer: string | undefined;
  /** `<algorithm>:<hex>` of what was signed. */
  readonly digests: readonly string[];
  readonly serial: string | undefined;
}

/** Reads an entry as far as it can be read. */
export function tell({ entry }: Pick<ProvenEntry, "entry">, kind: SearchLog["kind"]): Told {
  if (kind === "certificates") return tellCertificate(entry);
  const facts = tolerant(() => describeEntry(entry));
  if (facts === undefined) return { kind: "unknown", who: [], issuer: undefined, digests: [], serial: undefined };
  const certificates = facts.signatures.flatMap(({ verifier }) =>
    verifier.kind === "certificate" ? (tolerant(() => decodeCertificate(verifier.der)) ?? []) : [],
  );
  const keys = facts.signatures.flatMap(({ verifier }) =>
    verifier.kind === "publicKey" ? [`key ${toHex(verifier.der.subarray(-8))}`] : [],
  );
  return {
    kind: `${facts.kind} ${facts.version}`,
    who: [...certificates.flatMap(namesOf), ...keys],
    issuer: issuerOf(certificates[0]),
    digests: digestsOf(facts),
    serial: undefined,
  };
}

function tellCertificate(entry: Uint8Array): Told {
  const leaf = tolerant(() => decodeTileLeaf(entry));
  const certificate = leaf && tolerant(() => decodeCertificate(leaf.certificate));
  return {
    kind: leaf === undefined ? "unknown" : leaf.isPrecertificate ? "precertificate" : "certificate",
    who: certificate === undefined ? [] : namesOf(certificate),
    issuer: issuerOf(certificate),
    digests: [],
    serial: certificate && toHex(certificate.serial),
  };
}

function tolerant<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof LacreError) return undefined;
    throw cause;
  }
}

function namesOf({ subjectAltNames }: Certificate): readonly string[] {
  return subjectAltNames.map(({ value }) => value);
}

function issuerOf(certificate: Certificate | undefined): string | undefined {
  return certificate && tolerant(() => readIdentity(certificate))?.issuer;
}

function digestsOf({ digest, payloadHash }: EntryFacts): readonly string[] {
  return [digest, payloadHash].flatMap((one) => (one === undefined ? [] : [`${one.algorithm}:${toHex(one.value)}`]));
}

/** An entry in one line. */
export function formatLine({ index, ...entry }: Pick<ProvenEntry, "index" | "entry">, kind: SearchLog["kind"]): string {
  const { kind: what, who, issuer, digests, serial } = tell(entry, kind);
  const parts = [
    `${index}`,
    what,
    ...who,
    ...(issuer === undefined ? [] : [`(${issuer})`]),
    ...digests,
    ...(serial === undefined ? [] : [`serial ${serial}`]),
  ];
  return plain(parts.join("  "));
}

/** An entry as JSON. */
export function formatJson({ index, entry, leafHash, proof }: ProvenEntry, kind: SearchLog["kind"]): object {
  const { kind: what, who, issuer, digests, serial } = tell({ entry }, kind);
  return {
    index,
    leafHash: toHex(leafHash),
    kind: what,
    names: who,
    ...(issuer === undefined ? {} : { issuer }),
    digests,
    ...(serial === undefined ? {} : { serial }),
    body: toBase64(entry),
    proof: proof.map(toBase64),
  };
}
