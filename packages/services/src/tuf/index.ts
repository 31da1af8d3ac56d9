// SPDX-License-Identifier: Apache-2.0
/** The trust repository: keys and targets in, signed TUF metadata out, renewed for ever. */
export { TUF_DEFAULTS, TUF_SCHEMA, type TufConfig } from "./config.ts";
export { registerTuf } from "./http.ts";
export type { Target } from "./metadata.ts";
export type { Lives } from "./repository.ts";
export { createTrustService, type TrustService, type TrustServiceOptions } from "./service.ts";
