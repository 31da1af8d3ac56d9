// SPDX-License-Identifier: Apache-2.0
/** The certificate transparency log: a chain in, a promise out. */
export { createCtCheckpointSigner, ctNoteKeyId, treeHeadSignedData, type CtSigner } from "./checkpoint.ts";
export { createDirectCtClient } from "./client.ts";
export { CT_DEFAULTS, CT_SCHEMA, type CtConfig } from "./config.ts";
export { CT_PERSONALITY } from "./entry.ts";
export { registerCt } from "./http.ts";
export { createCtService, type CtService, type CtServiceOptions } from "./service.ts";
