// SPDX-License-Identifier: Apache-2.0
/** The HTTP door of every service: limits, dialects of refusal, and calls within the process. */
export { readRange, sendBytes } from "./bytes.ts";
export { checkProxies, EDGE_DEFAULTS, EDGE_SCHEMA, type EdgeConfig } from "./config.ts";
export { BODY_LIMIT, bodyOf, createEdge, type BrokenReason, type EdgeObserver, type EdgeOptions } from "./edge.ts";
export { readJson, refusing } from "./json.ts";
export { createGate, type Gate } from "./gate.ts";
export { createLocalFetch, type LocalFetchOptions } from "./local.ts";
export { httpStatusOf, renderRefusal, type ErrorShape, type Refusal } from "./shape.ts";
