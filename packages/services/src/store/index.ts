// SPDX-License-Identifier: Apache-2.0
/** Where logs keep their state: contracts, and their implementations in memory and on files. */
export { createFileBlobStore, createMemoryBlobStore, type BlobStore, type OpenBlob } from "./blob.ts";
export {
  createMemoryCommitStore,
  lastState,
  sameState,
  type Commit,
  type Committed,
  type CommitStore,
  type Loaded,
  type MemoryPlace,
  type Token,
} from "./commit.ts";
export {
  createFileSystem,
  ensureDirectory,
  isDiskFull,
  storageFailure,
  systemCode,
  type FileSystem,
  type OpenFile,
  type OpenMode,
} from "./filesystem.ts";
export { createJournal, type JournalOptions } from "./journal.ts";
export { createFileLock, createMemoryLock, type Lock, type Release } from "./lock.ts";
