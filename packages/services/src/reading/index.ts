// SPDX-License-Identifier: Apache-2.0
/** A log's files for readers, over HTTP and packed for web servers. */
export { registerReading, type ReadableLog, type ReadingOptions } from "./http.ts";
export { createPacker, type Packer, type PackerOptions } from "./packer.ts";
