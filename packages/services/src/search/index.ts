// SPDX-License-Identifier: Apache-2.0
/** Search: where the entries of a log are by what is in them, and the proof of it. */
export { registerSearch } from "./http.ts";
export { type IndexedLog, SearchIndex, type SearchIndexOptions } from "./search-index.ts";
export { openSearch, type Answer, type Found, type Query, type SearchOptions, type SearchService } from "./service.ts";
