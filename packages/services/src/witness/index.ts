// SPDX-License-Identifier: Apache-2.0
/** The witness: a checkpoint in, a cosignature out, if it continues all that was cosigned before. */
export { WITNESS_DEFAULTS, WITNESS_SCHEMA, type WitnessConfig } from "./config.ts";
export { registerWitness } from "./http.ts";
export { createWitnessService, originHash, readLogs, type Answer, type WitnessOptions, type WitnessService } from "./service.ts";
export { openWitnessStore, type Evidence, type Witnessed, type WitnessStore } from "./store.ts";
