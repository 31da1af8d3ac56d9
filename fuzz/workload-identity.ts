// SPDX-License-Identifier: Apache-2.0
/** Answers of SPIFFE's workload API: a token, none, or a refusal. */
import { LacreError } from "../packages/core/src/errors.ts";
import { CliError } from "../packages/cli/src/errors.ts";
import { decodeResponse } from "../packages/cli/src/identities/spiffe.ts";

export const name = "workload-identity";

const frame = (message: readonly number[]): Uint8Array => Uint8Array.from([0, 0, 0, 0, message.length, ...message]);
export const seeds: Uint8Array[] = [
  frame([]),
  frame([0x0a, 8, 0x0a, 1, 65, 0x12, 3, 97, 46, 98]),
  frame([0x0a, 5, 0x12, 3, 97, 46, 98, 0x0a, 0]),
];

export function target(bytes: Uint8Array): void {
  try {
    decodeResponse(bytes);
  } catch (error) {
    if (error instanceof CliError) throw new LacreError("BAD_JSON", error.message);
    throw error;
  }
}
