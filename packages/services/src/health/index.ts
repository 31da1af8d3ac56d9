// SPDX-License-Identifier: Apache-2.0
/** Whether the installation keeps what it promises, and what keeps its checkpoints fresh. */
export { HEALTH_DEFAULTS, HEALTH_SCHEMA, type HealthConfig } from "./config.ts";
export { createHealth, keepFresh, type Expiry, type HealthOptions, type HealthReport } from "./health.ts";
