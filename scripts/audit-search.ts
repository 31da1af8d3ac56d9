// SPDX-License-Identifier: Apache-2.0
/**
 * The audit of a search index: every segment that its root lists is made again from the entries and compared. What a
 * reader cannot see (a key that was left out) is seen here; who sees it holds a lie under the log's signature.
 */
import { equalBytes, text } from "@lacre/core/bytes";
import type { PublicKey } from "@lacre/core/crypto";
import { sha256 } from "@lacre/core/crypto";
import { tileLeafInput, unframeEntries, unframeTileLeaves } from "@lacre/core/log";
import { hashLeaf, TILE_WIDTH, tilePath } from "@lacre/core/merkle";
import {
  entriesAt,
  keyPrefix,
  keysOfCertificateEntry,
  keysOfEntry,
  mayHavePayload,
  openIndexRoot,
  payloadPath,
  ROOT_PATH,
  type SegmentInfo,
  segmentPath,
  SegmentWriter,
} from "@lacre/core/search";

/** A log's public files, by name. */
type Source = (name: string) => Promise<Uint8Array | undefined>;

export interface SearchAudit {
  readonly source: Source;
  readonly kind: "artifacts" | "certificates";
  readonly origin: string;
  readonly name: string;
  readonly key: PublicKey;
  /** Size and root of the log at each size that was computed from its entries. */
  readonly rootAt: (size: number) => Uint8Array | undefined;
}

/** What is wrong with a log's search index; undefined where it has none. Entries must be in full bundles. */
export async function searchProblems(audit: SearchAudit): Promise<readonly string[] | undefined> {
  const bytes = await audit.source(ROOT_PATH);
  if (bytes === undefined) return undefined;
  const root = openIndexRoot(text(bytes), audit);
  const problems: string[] = [];
  const computed = audit.rootAt(root.size);
  if (computed !== undefined && !equalBytes(computed, root.root))
    problems.push(`${ROOT_PATH} is of another tree at size ${root.size}`);
  for (const segment of root.segments) {
    const span = entriesAt(root.shape, segment.level);
    // Small shapes end within a bundle; only whole ones are files.
    if (span % TILE_WIDTH === 0) problems.push(...(await segmentProblems(audit, segment, span)));
  }
  return problems;
}

async function segmentProblems(audit: SearchAudit, segment: SegmentInfo, span: number): Promise<readonly string[]> {
  const path = segmentPath(segment);
  const file = await audit.source(path);
  if (file === undefined) return [`${path} is missing (the next start makes it)`];
  let at = 0;
  let isSame = true;
  const writer = new SegmentWriter((page) => {
    isSame &&= equalBytes(file.subarray(at, at + page.length), page);
    at += page.length;
  });
  const words = await recordsOf(audit, segment.place * span, span);
  let [high, low] = [-1, -1];
  for (let i = 0; i < words.length; i += 2) {
    if (words[i + 1] !== high || words[i] !== low) writer.add(words[i + 1]!, words[i]!);
    [high, low] = [words[i + 1]!, words[i]!];
  }
  const { records, root } = writer.finish();
  if (records !== segment.records || !equalBytes(root, segment.root))
    return [`${path} is not what the entries say, and is signed: ${segment.records} records, not ${records}`];
  return isSame && at === file.length ? [] : [`${path} is not what its root says (the next start makes it again)`];
}

/** Records of the entries from `first` on, in order: low word, high word. */
async function recordsOf({ source, kind }: SearchAudit, first: number, count: number): Promise<Uint32Array> {
  const found: number[] = [];
  for (let index = first / TILE_WIDTH; index < (first + count) / TILE_WIDTH; index++) {
    const path = `tile/${tilePath({ level: kind === "artifacts" ? "entries" : "data", index, width: TILE_WIDTH })}`;
    const bundle = await source(path);
    if (bundle === undefined) throw new Error(`${path} is missing`);
    const entries = kind === "artifacts" ? unframeEntries(bundle) : unframeTileLeaves(bundle);
    for (const [at, entry] of entries.entries()) {
      const place = index * TILE_WIDTH + at - first;
      for (const key of await keysOf(source, kind, entry)) {
        const prefix = keyPrefix(key);
        found.push(((prefix % 256) * 2 ** 24 + place) >>> 0, Math.floor(prefix / 256));
      }
    }
  }
  const words = Uint32Array.from(found);
  new BigUint64Array(words.buffer).sort();
  return words;
}

async function keysOf(source: Source, kind: SearchAudit["kind"], entry: Uint8Array): Promise<readonly string[]> {
  if (kind === "certificates") return keysOfCertificateEntry(entry, hashLeaf(sha256, tileLeafInput(entry)));
  const leafHash = hashLeaf(sha256, entry);
  return keysOfEntry(entry, leafHash, mayHavePayload(entry) ? await source(payloadPath(leafHash)) : undefined);
}
