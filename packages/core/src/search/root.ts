// SPDX-License-Identifier: Apache-2.0
/**
 * The root of a search index: a checkpoint of the log's own key under another name, whose further lines list the segments.
 *
 *     <log's origin>/search⏎
 *     <decimal size>⏎            entries that the segments cover: the index is complete up to here
 *     <base64 root>⏎             root of the log's tree at that size
 *     index 1 1024 4⏎            format and rules of keys; entries of a segment of level 0; how many make one of the next
 *     0 0 11264 <base64>⏎        level, place, records, root; segments side by side, from the first entry on
 *     ⏎
 *     — <name of the log>/search <base64>⏎
 *
 * Size and root tie the index to the tree: a reader proves that it is the beginning of the tree of the log's checkpoint.
 * Nobody takes the one for the other, for origin and name differ. That segments hold what they should is not proved by the
 * signature: whoever recomputes them from the entries sees it, and then holds a signed lie.
 */
import { checkNoteSignature, formatCheckpointText, noteKeyId, parseCheckpoint, signNote } from "../bundle/index.ts";
import { fromBase64, toBase64 } from "../bytes/index.ts";
import type { PrivateKey, PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { MAX_KEYS } from "./keys.ts";
import { MAX_ENTRIES, type SegmentInfo } from "./segment.ts";

/** What tells the index's root from the log's checkpoint, in origin and name. */
export const ROOT_SUFFIX = "/search";
/** Version of keys and pages. */
const FORMAT = 1;

/** Sizes of segments: level L holds `generation` × `fan`^L entries, up to 2^24. */
export interface IndexShape {
  /** A multiple of 256. */
  readonly generation: number;
  readonly fan: number;
}

/** 1,024 entries, four of which make the next: 65,536 are level 3, 2^20 level 5, 2^24 level 7. */
export const INDEX_SHAPE: IndexShape = { generation: 1024, fan: 4 };

/** What a root says. */
export interface IndexRoot {
  /** Of the log, without the suffix. */
  readonly origin: string;
  /** Entries that the segments cover. */
  readonly size: number;
  /** Root of the log's tree at that size. */
  readonly root: Uint8Array;
  readonly shape: IndexShape;
  readonly segments: readonly SegmentInfo[];
}

/** Entries of a segment of a level. */
export function entriesAt({ generation, fan }: IndexShape, level: number): number {
  return generation * fan ** level;
}

/** Levels that a shape has: as many as places have bits for. */
export function levelsOf(shape: IndexShape): number {
  let levels = 1;
  while (entriesAt(shape, levels) <= MAX_ENTRIES) levels++;
  return levels;
}

function invalid(message: string, found?: string): LacreError {
  return new LacreError("SEARCH_ROOT_INVALID", message, found === undefined ? {} : { found: found.slice(0, 120) });
}

const LINE = /^(0|[1-9][0-9]?) (0|[1-9][0-9]{0,14}) ([1-9][0-9]{0,11}) ([A-Za-z0-9+/=]{44})$/;

/** Keys of one entry are bounded, so the records of a segment are. */
const MAX_RECORDS_PER_ENTRY = MAX_KEYS;

/**
 * Reads a root and proves that the log's key signed it. Throws BAD_NOTE, TOO_LARGE and CHECKPOINT_INVALID for other texts,
 * SEARCH_ROOT_INVALID for one that does not hold together or is of another log, CHECKPOINT_UNSIGNED and SIGNATURE_INVALID.
 */
export function openIndexRoot(
  text: string,
  log: {
    readonly origin: string;
    /** Name in the log's signatures; the origin unless given. */ readonly name?: string | undefined;
    readonly key: PublicKey;
  },
): IndexRoot {
  const { origin, size, root, extensions, note } = parseCheckpoint(text);
  if (origin !== log.origin + ROOT_SUFFIX) throw invalid("the index root is another log's", origin);
  const name = (log.name ?? log.origin) + ROOT_SUFFIX;
  checkNoteSignature({ note, name, keyHint: noteKeyId(name, log.key).subarray(0, 4), key: log.key });
  const [format, generation, fan] =
    /^index ([0-9]{1,4}) ([0-9]{1,8}) ([0-9]{1,3})$/
      .exec(extensions[0] ?? "")
      ?.slice(1)
      .map(Number) ?? [];
  if (format !== FORMAT) throw invalid("the index is of a format that is not known", extensions[0] ?? "");
  const shape: IndexShape = { generation: generation!, fan: fan! };
  if (shape.generation < 1 || shape.generation > MAX_ENTRIES || shape.fan < 2)
    throw invalid("the index has impossible segments", extensions[0]);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid("the index is larger than can be read", `${size}`);
  const segments = extensions.slice(1).map((line) => readSegment(line));
  checkSideBySide(shape, segments, Number(size));
  return { origin: log.origin, size: Number(size), root, shape, segments };
}

function readSegment(line: string): SegmentInfo {
  const match = LINE.exec(line);
  if (match === null) throw invalid("a line of the index root is no segment", line);
  const root = fromBase64(match[4]!);
  if (root.length !== 32) throw invalid("a segment's root is not of 32 octets", line);
  return { level: Number(match[1]), place: Number(match[2]), records: Number(match[3]), root };
}

/** From the first entry to the last, none left out, none twice. */
function checkSideBySide(shape: IndexShape, segments: readonly SegmentInfo[], size: number): void {
  let at = 0;
  const levels = levelsOf(shape);
  for (const { level, place, records } of segments) {
    const entries = level < levels ? entriesAt(shape, level) : 0;
    if (entries === 0 || place * entries !== at)
      throw invalid("the segments of the index do not stand side by side", `${level} ${place} at ${at}`);
    if (records < entries || records > entries * MAX_RECORDS_PER_ENTRY)
      throw invalid("a segment has an impossible number of records", `${records} of ${entries} entries`);
    at += entries;
  }
  if (at !== size) throw invalid("the segments of the index cover another size", `${at}, not ${size}`);
}

/** Signs a root. */
export function signIndexRoot({ origin, size, root, shape, segments }: IndexRoot, name: string, key: PrivateKey): string {
  const lines = segments.map(({ level, place, records, root: hash }) => `${level} ${place} ${records} ${toBase64(hash)}\n`);
  const head = formatCheckpointText(origin + ROOT_SUFFIX, BigInt(size), root);
  return signNote(`${head}index ${FORMAT} ${shape.generation} ${shape.fan}\n${lines.join("")}`, name + ROOT_SUFFIX, key);
}

/** Path of the root, below the log's address. */
export const ROOT_PATH = "index/search/root";
