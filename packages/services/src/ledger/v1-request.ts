// SPDX-License-Identifier: Apache-2.0
/**
 * Requests of the v1 dialect, read: what upstream's generated server refuses with 422 and a number of its own, and what
 * its entry kinds refuse with 400. No HTTP, no log.
 */
import { toHex, utf8 } from "@lacre/core/bytes";
import { JsonObject, parseJson, type Json } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { admitProposed, canonicalPem, type Admitted } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { ServiceError } from "../errors.ts";

/** The longest body that is read: envelopes travel whole. */
export const BODY_LIMIT_V1: number = 16 << 20;

/** Numbers of the validation faults that clients may see. */
export const FAULT = {
  type: 601,
  required: 602,
  tooLong: 603,
  tooShort: 604,
  pattern: 605,
  choice: 606,
  below: 609,
  many: 611,
  few: 612,
} as const;

/** A refusal with 422. */
export function unprocessable(number: number, message: string): ServiceError {
  return new ServiceError("REQUEST_UNPROCESSABLE", message, { number });
}

const SEMVER = /^(?:0|[1-9]\d{0,9})\.(?:0|[1-9]\d{0,9})\.(?:0|[1-9]\d{0,9})(?:[-+][0-9A-Za-z.+-]{1,100})?$/;
const DEPTH = 16;

/** Runs a reader; what the library refuses becomes 400 with `error processing entry` and its sentence. */
function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    const found = cause.code === "ENTRY_UNSUPPORTED" ? ` (${cause.found}; known: ${cause.expected})` : "";
    throw new ServiceError("ENTRY_REFUSED", `${what}: ${cause.message}${found}`, { cause });
  }
}

function readBody(body: Uint8Array): Json {
  return reading("parsing body failed", () => parseJson(body, { maxBytes: BODY_LIMIT_V1, maxDepth: DEPTH }));
}

function readObject(value: Json, where = "body"): JsonObject {
  return reading("parsing body failed", () => new JsonObject(value, where));
}

/** The entry that a request body proposes. Throws ServiceError. */
export function admitV1(body: Uint8Array): Admitted {
  return admitProposal(readBody(body), "");
}

function admitProposal(value: Json, path: string): Admitted {
  const proposal = readObject(value);
  for (const name of ["kind", "apiVersion", "spec"]) {
    if (!proposal.has(name)) throw unprocessable(FAULT.required, `${path}${name} in body is required`);
  }
  const [kind, version] = [proposal.get("kind"), proposal.get("apiVersion")];
  if (typeof kind !== "string") throw unprocessable(FAULT.type, `${path}kind in body must be of type string`);
  if (typeof version !== "string") throw unprocessable(FAULT.type, `${path}apiVersion in body must be of type string`);
  if (!SEMVER.test(version))
    throw unprocessable(FAULT.pattern, `${path}apiVersion in body should match semantic versions, such as 0.0.1`);
  return reading("error processing entry", () => admitProposed(value));
}

/** A UUID with its tree id, or the leaf hash alone, in lower case. */
export interface EntryId {
  readonly treePrefix: string | undefined;
  readonly leafHash: Uint8Array;
}

/** Reads an entry's id from a path or a list. Throws ServiceError. */
export function readEntryId(text: string, where: string): EntryId {
  if (!/^(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{80})$/.test(text)) {
    throw unprocessable(FAULT.pattern, `${where} should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'`);
  }
  return {
    treePrefix: text.length === 80 ? text.slice(0, 16).toLowerCase() : undefined,
    leafHash: Buffer.from(text.slice(-64), "hex"),
  };
}

/** Which entries a retrieval asks for. */
export interface Retrieval {
  readonly ids: readonly EntryId[];
  readonly indices: readonly number[];
  readonly leaves: readonly Uint8Array[];
}

const MAX_RETRIEVED = 10;

/** Reads a retrieval. Proposed entries are canonicalised, their signatures are not asked about. Throws ServiceError. */
export function readRetrieval(body: Uint8Array): Retrieval {
  const request = readObject(readBody(body));
  const lists = ["entryUUIDs", "logIndexes", "entries"].map((name) => {
    const list = request.get(name);
    if (list === undefined) return [];
    if (!Array.isArray(list)) throw unprocessable(FAULT.type, `${name} in body must be of type array`);
    if (list.length === 0) throw unprocessable(FAULT.few, `${name} in body should have at least 1 items`);
    if (list.length > MAX_RETRIEVED)
      throw unprocessable(FAULT.many, `${name} in body should have at most ${MAX_RETRIEVED} items`);
    return list as readonly Json[];
  });
  const [uuids, indices, entries] = lists as [readonly Json[], readonly Json[], readonly Json[]];
  if (uuids.length + indices.length + entries.length > MAX_RETRIEVED)
    throw unprocessable(422, `more than max allowed ${MAX_RETRIEVED} entries in request`);
  return {
    ids: uuids.map((uuid, i) => readEntryId(typeof uuid === "string" ? uuid : "", `entryUUIDs.${i} in body`)),
    indices: indices.map((index, i) => {
      if (typeof index !== "number" || !Number.isSafeInteger(index))
        throw unprocessable(FAULT.type, `logIndexes.${i} in body must be of type int64`);
      if (index < 0) throw unprocessable(FAULT.below, `logIndexes.${i} in body should be greater than or equal to 0`);
      return index;
    }),
    leaves: entries.map((entry, i) => admitProposal(entry, `entries.${i}.`).body),
  };
}

/** What a search asks. A criterion is met by any of its keys; `all` wants entries that meet every criterion. */
export interface SearchQuery {
  readonly criteria: readonly (readonly string[])[];
  readonly all: boolean;
}

const HASH = /^(?:(?:sha512:)?[0-9a-f]{128}|(?:sha256:)?[0-9a-f]{64}|(?:sha1:)?[0-9a-f]{40})$/;
const HASH_BY_LENGTH: Readonly<Record<number, string>> = { 40: "sha1", 64: "sha256", 128: "sha512" };
const FORMATS: readonly string[] = ["pgp", "x509", "minisign", "ssh", "tuf"];
const MAX_TEXT = 512;

/** Reads a search. Throws ServiceError. */
export function readSearch(body: Uint8Array): SearchQuery {
  const request = readObject(readBody(body));
  const text = (name: string): string | undefined => {
    const value = request.get(name);
    if (value !== undefined && typeof value !== "string")
      throw unprocessable(FAULT.type, `${name} in body must be of type string`);
    return value?.toLowerCase();
  };
  const operator = text("operator") ?? "or";
  if (operator !== "or" && operator !== "and") throw unprocessable(FAULT.choice, "operator in body should be one of [and or]");
  const criteria: string[][] = [];
  const hash = text("hash");
  if (hash !== undefined) {
    if (!HASH.test(hash)) throw unprocessable(FAULT.pattern, "hash in body should match sha1, sha256 or sha512 in hexadecimal");
    const [digits, algorithm = HASH_BY_LENGTH[hash.length]!] = hash.split(":").toReversed();
    // Upstream files the signers of envelopes under digests.
    criteria.push([`digest:${algorithm}:${digits}`, ...(algorithm === "sha256" ? [`pem:${digits}`] : [])]);
  }
  for (const name of ["email", "subject"]) {
    const value = text(name);
    if (value === undefined) continue;
    if (value === "") throw unprocessable(FAULT.tooShort, `${name} in body should be at least 1 chars long`);
    if (value.length > MAX_TEXT) throw unprocessable(FAULT.tooLong, `${name} in body should be at most ${MAX_TEXT} chars long`);
    criteria.push([`identity:${value}`]);
  }
  const publicKey = request.get("publicKey");
  if (publicKey !== undefined) criteria.push([readKeyCriterion(publicKey)]);
  return { criteria, all: operator === "and" };
}

function readKeyCriterion(value: Json): string {
  const criterion = readObject(value, "publicKey");
  const format = criterion.get("format");
  if (format === undefined) throw unprocessable(FAULT.required, "publicKey.format in body is required");
  if (typeof format !== "string" || !FORMATS.includes(format))
    throw unprocessable(FAULT.choice, `publicKey.format in body should be one of [${FORMATS.join(" ")}]`);
  if (format !== "x509") throw new ServiceError("BAD_REQUEST", `keys of format ${format} are not logged here; search by x509`);
  // Of a chain the first counts: it is whose entry it is.
  const [first] = reading("error reading public key", () => canonicalPem(criterion.looseBytes("content"))).split(
    /(?<=-----END [A-Z ]+-----\n)/,
  );
  return `pem:${toHex(sha256(utf8(first!)))}`;
}
