// SPDX-License-Identifier: Apache-2.0
/**
 * Search in logs that can be checked: what an entry is found by, the index's files, and a reader that proves its answers.
 * The format is in docs/formats/search.md.
 */
export { answerSource } from "./answer.ts";
export { KEY_KINDS, type KeyMemory, keyPrefix, keysOfCertificateEntry, keysOfEntry, MAX_KEYS, parseSearchKey } from "./keys.ts";
export { anyOf, collectPlaces, type Match, type Places } from "./places.ts";
export {
  createSearchReader,
  mayHavePayload,
  payloadPath,
  type SearchHit,
  type SearchLog,
  type SearchQuery,
  type SearchReader,
  type SearchReaderOptions,
  type SearchResult,
  segmentPath,
} from "./reader.ts";
export {
  entriesAt,
  INDEX_SHAPE,
  type IndexRoot,
  type IndexShape,
  levelsOf,
  openIndexRoot,
  ROOT_PATH,
  ROOT_SUFFIX,
  signIndexRoot,
} from "./root.ts";
export {
  decodePage,
  hashPage,
  lookUp,
  type LookUp,
  MAX_ENTRIES,
  octetsOf,
  openPage,
  PAGE_CHILDREN,
  type Page,
  pageCounts,
  type PageNeed,
  pageRange,
  type SegmentInfo,
  segmentLength,
} from "./segment.ts";
export { fetchSearch, type SearchSource } from "./source.ts";
export { SegmentWriter } from "./writer.ts";
