// SPDX-License-Identifier: Apache-2.0
/** Witnesses of our own logs: who has to cosign, asked before anything is published. */
export { WITNESSES_DEFAULTS, WITNESSES_SCHEMA, type WitnessesConfig } from "./config.ts";
export { createMemory, openMemory, type Cosigned, type WitnessMemory } from "./memory.ts";
export { readPolicy } from "./policy.ts";
export { createQuorum, type QuorumHealth, type QuorumOptions, type WitnessQuorum, type WitnessStanding } from "./quorum.ts";
