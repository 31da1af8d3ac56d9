// SPDX-License-Identifier: Apache-2.0
/** The platform binding for pages: audited JavaScript (@noble), inlined when the browser bundle is built. */
import type { Platform } from "./platform.ts";

export const platform: Platform = undefined as unknown as Platform;
