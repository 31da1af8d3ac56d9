// SPDX-License-Identifier: Apache-2.0
/** A verdict that was saved. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { createVerifier, decodeVerdict } from "../packages/core/src/verify/index.ts";

export const name = "saved-verdict";

const refused = createVerifier().verify({ bundle: utf8("{}"), artifact: undefined, policy: { anyIdentity: true } });
export const seeds: Uint8Array[] = [utf8(JSON.stringify(refused))];

export function target(bytes: Uint8Array): void {
  decodeVerdict(bytes);
}
