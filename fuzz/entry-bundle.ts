// SPDX-License-Identifier: Apache-2.0
import { unframeEntries } from "../packages/core/src/log/index.ts";

export const name = "entry-bundle";

export const seeds: Uint8Array[] = [Uint8Array.of(0, 1, 65, 0, 2, 66, 67), new Uint8Array(512), Uint8Array.of(0xff, 0xff)];

export function target(bytes: Uint8Array): void {
  unframeEntries(bytes);
}
