// SPDX-License-Identifier: Apache-2.0
/** The log engine: append, publish, prove, recover. It knows no personality. */
export { createFileAnchor, createMemoryAnchor, type Anchor, type Anchored } from "./anchor.ts";
export type { Follower } from "./follower.ts";
export { openLog, type Log, type LogHealth, type LogOptions, type Receipt } from "./log.ts";
export type { LogObserver } from "./observer.ts";
export type { Logger } from "./logger.ts";
export type { Personality } from "./personality.ts";
export { lowerBound, mergeSegments, type Segment } from "./segment.ts";
export type { CheckpointState, ForWitnesses, Ticks, Witnessing } from "./publish.ts";
export type { SequenceLimits, Sequenced } from "./sequence.ts";
